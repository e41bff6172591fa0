/* SPDX-License-Identifier: MIT */
/* How a connection ends, what its commands learn of it, and what a server may not do. */
#include "client-fixture.h"

static void test_commands_end_in_order(void **state)
{
	give("a", "NOOP");
	give("b", "NOOP");
	give_kind("c", "COMPRESS DEFLATE", COMMAND_ALONE);
	give("d", "NOOP");
	expect("1 NOOP\r\n2 NOOP");
	wire_hang_up();
	/* What never left was surely not carried out. */
	expect_lost(
		"a:LOST b:LOST c:CANCELLED d:CANCELLED lost", "the server closed the connection");
	assert_null(client_stream(client));
	assert_true(client_is_idle(client));
	expect_nothing();
}

static bool is_oldest(const struct probe *probe)
{
	assert_int_equal(probe->command.outcome, OUTCOME_LOST);
	return probe->command.was_oldest;
}

/* Whoever looks for the cause begins with the command that the server was at. */
static void test_the_oldest_is_known(void **state)
{
	struct probe *a = give("a", "NOOP"), *b = give("b", "NOOP");
	struct probe *c = give("c", "NOOP");

	expect("1 NOOP\r\n2 NOOP\r\n3 NOOP");
	say("1 OK done");
	expect_events("a:OK");
	assert_false(a->command.was_oldest);
	wire_hang_up();
	expect_lost("b:LOST c:LOST lost", "the server closed the connection");
	assert_true(is_oldest(b));
	assert_false(is_oldest(c));
}

/* An IDLE waits for the server, and not the other way round; what was never begun is not lost. */
static void test_nothing_was_oldest(void **state)
{
	struct probe *idle = give_kind("idle", "IDLE", COMMAND_IDLE);

	expect("1 IDLE");
	wire_hang_up();
	expect_lost("idle:LOST lost", "the server closed the connection");
	assert_false(is_oldest(idle));
}

static void test_commands_end_with_the_client(void **state)
{
	give("a", "NOOP");
	give_kind("b", "COMPRESS DEFLATE", COMMAND_ALONE);
	expect("1 NOOP");
	client = client_free(client);
	expect_events("a:LOST b:CANCELLED");
}

/* A command whose first literal was announced may have been carried out as far as we know. */
static void test_half_a_command_is_lost(void **state)
{
	struct probe *half = prepare("half", "CREATE ");

	command_mailbox(&half->command, "\xff");
	submit(half);
	give("later", "NOOP");
	expect("1 CREATE {1}");
	wire_hang_up();
	expect_lost("half:LOST later:CANCELLED lost", "the server closed the connection");
}

static void test_submitting_after_the_loss(void **state)
{
	wire_hang_up();
	expect_lost("lost", "the server closed the connection");
	give("a", "NOOP"); /* the probe fails if it completes within this */
	give("b", "NOOP");
	expect_events("a:CANCELLED b:CANCELLED");
	give("c", "NOOP");
	client = client_free(client);
	expect_events("c:CANCELLED");
}

static void submit_another(struct probe *probe)
{
	give("again", "NOOP");
}

static void test_submitting_from_a_loss(void **state)
{
	struct probe *first = prepare("first", "NOOP");

	first->completed = submit_another;
	submit(first);
	expect("1 NOOP");
	wire_hang_up();
	expect_events("first:LOST again:CANCELLED lost");
}

static void test_freed_when_lost(void **state)
{
	free_when_lost = true;
	give("a", "NOOP");
	expect("1 NOOP");
	wire_hang_up();
	expect_events("a:LOST lost");
	assert_null(client);
	expect_nothing();
}

static void test_failed_by_the_owner(void **state)
{
	give("a", "NOOP");
	client_fail(client, "%s number %d", "reason", 1);
	client_fail(client, "another");
	expect_lost("a:CANCELLED lost", "reason number 1");
}

/* The server's last words say more than how the line went. */
static void test_bye(void **state)
{
	give("a", "NOOP");
	expect("1 NOOP");
	say("* BYE Server is shutting down");
	expect_events("owner<type2");
	wire_hang_up();
	expect_lost("a:LOST lost", "the server ended the connection: Server is shutting down");
}

static void test_bye_and_more(void **state)
{
	say("* BYE first\r\n* BYE second\r\n?");
	expect_lost("owner<type2 owner<type2 lost", "the server ended the connection: first");
}

/* Whatever the server says next is not for us: the line is dropped. */
static void expect_dropped(const char *line, const char *reason)
{
	give("a", "NOOP");
	expect("1 NOOP");
	say(line);
	RUN_UNTIL(wire.eof);
	expect_lost("a:LOST lost", reason);
}

static const char not_given[] = "the server answered a command that was not given";

static void test_unknown_tag(void **state)
{
	expect_dropped("7 OK done", not_given);
}

static void test_foreign_tag(void **state)
{
	expect_dropped("A1 OK done", not_given);
}

static void test_long_tag(void **state)
{
	expect_dropped("4294967297 OK done", not_given); /* 1 in 32 bits */
}

static void test_tagged_bye(void **state)
{
	expect_dropped("1 BYE", "the server sent something that is not IMAP: 1 BYE");
}

static void test_tag_of_a_completed_command(void **state)
{
	give("a", "NOOP");
	expect("1 NOOP");
	say("1 OK done");
	expect_events("a:OK");
	say("1 OK done");
	expect_lost("lost", not_given);
}

/* An answer that comes before its command was sent answers something else. */
static void test_tag_of_a_command_not_yet_sent(void **state)
{
	give_kind("a", "LOGIN", COMMAND_ALONE);
	give("b", "NOOP");
	expect("1 LOGIN");
	say("2 OK done");
	expect_lost("a:LOST b:CANCELLED lost", not_given);
}

static void test_continuation_nobody_asked_for(void **state)
{
	expect_dropped("+ go on", "the server asked for more where nothing was to come");
}

static void test_continuation_of_idle_comes_twice(void **state)
{
	give_kind("idle", "IDLE", COMMAND_IDLE);
	expect("1 IDLE");
	say("+ idling");
	run_ready();
	say("+ idling");
	expect_lost("idle:LOST lost", "the server asked for more where nothing was to come");
}

static void test_garbage(void **state)
{
	expect_dropped(
		"* 5 FETCH (UID", "the server sent something that is not IMAP: * 5 FETCH (UID");
}

static void test_nul(void **state)
{
	give("a", "NOOP");
	expect("1 NOOP");
	say_bytes("* OK \0", 6);
	expect_lost("a:LOST lost", "the server sent a NUL byte");
}

/* What follows a reason to drop the line is not looked at. */
static void test_nothing_after_a_failure(void **state)
{
	give("a", "NOOP");
	expect("1 NOOP");
	wire.slow = false;
	say("7 OK x\r\n1 OK done\r\n* BYE no");
	expect_lost("a:LOST lost", not_given);
}

/* --- Spools --- */

static struct probe *prepare_append(const char *name, struct spool *spool)
{
	struct probe *probe = prepare(name, "APPEND x ");

	command_spool(&probe->command, spool);
	return probe;
}

static void test_spool_grows_while_it_is_sent(void **state)
{
	struct spool *spool = spool_new(9);

	client_set_literal_mode(client, LITERAL_PLUS);
	assert_int_equal(spool_write(spool, "one", 3), 0);
	submit(prepare_append("a", spool));
	give("b", "NOOP");
	expect("1 APPEND x {9+}");
	expect_bytes("one", 3);
	expect_nothing();
	assert_false(client_is_flushed(client));
	assert_int_equal(spool_write(spool, "two", 3), 0);
	expect_bytes("two", 3);
	expect_nothing();
	assert_int_equal(spool_write(spool, "end", 3), 0);
	expect("end\r\n2 NOOP");
	say("1 OK [APPENDUID 1 2] done\r\n2 OK done");
	expect_events("a:OK b:OK");
	spool_free(spool);
}

/*
 * A message was sent behind a FETCH whose answer was not read yet and a SELECT that waited for
 * that.  Dovecot's input buffer was full: it refused the SELECT for arguments that are too long,
 * and went on with the message's text as commands, or panicked.
 */
static void test_spool_follows_spools_only(void **state)
{
	struct spool *one = spool_new(3), *two = spool_new(3);

	client_set_literal_mode(client, LITERAL_PLUS);
	assert_int_equal(spool_write(one, "one", 3), 0);
	assert_int_equal(spool_write(two, "two", 3), 0);
	give("a", "FETCH");
	give("b", "SELECT");
	submit(prepare_append("c", one));
	submit(prepare_append("d", two));
	give("e", "SELECT");
	expect("1 FETCH\r\n2 SELECT");
	say("1 OK done");
	expect_events("a:OK");
	expect_nothing();
	say("2 OK done");
	expect_events("b:OK");
	expect("3 APPEND x {3+}\r\none\r\n4 APPEND x {3+}\r\ntwo\r\n5 SELECT");
	say("3 OK done\r\n4 OK done\r\n5 OK done");
	expect_events("c:OK d:OK e:OK");
	spool_free(one);
	spool_free(two);
}

static void test_spool_waits_for_the_server(void **state)
{
	struct spool *spool = spool_new(3);

	submit(prepare_append("a", spool));
	expect("1 APPEND x {3}");
	assert_int_equal(spool_write(spool, "one", 3), 0);
	expect_nothing();
	say("+ go on");
	expect("one");
	say("1 OK done");
	expect_events("a:OK");
	spool_free(spool);
}

/* Larger than what is held in memory, and than what is encoded at once. */
static void test_large_spool(void **state)
{
	enum { SIZE = 3 << 20 };
	_cleanup_free_ char *body = xcalloc(SIZE + 1, 1);
	struct spool *spool = spool_new(SIZE);

	for (size_t i = 0; i < SIZE; i++)
		body[i] = (char)(pattern(i) | 1);
	client_set_literal_mode(client, LITERAL_PLUS);
	submit(prepare_append("a", spool));
	for (size_t at = 0; at < SIZE; at += SIZE / 16) {
		assert_int_equal(spool_write(spool, body + at, SIZE / 16), 0);
		run_turns(3);
	}
	expect("1 APPEND x {3145728}"); /* so large that the server may refuse it first */
	expect_nothing();
	say("+ go on");
	expect_bytes(body, SIZE);
	expect("");
	say("1 OK done");
	expect_events("a:OK");
	spool_free(spool);
}

static void test_spool_of_no_bytes(void **state)
{
	struct spool *spool = spool_new(0);

	client_set_literal_mode(client, LITERAL_PLUS);
	submit(prepare_append("a", spool));
	expect("1 APPEND x {0+}\r\n");
	say("1 NO too short");
	expect_events("a:NO");
	spool_free(spool);
}

/* The rest of a literal that was announced cannot be left out. */
static void test_spool_is_given_up(void **state)
{
	struct spool *spool = spool_new(9);

	client_set_literal_mode(client, LITERAL_PLUS);
	assert_int_equal(spool_write(spool, "one", 3), 0);
	submit(prepare_append("a", spool));
	give("b", "NOOP");
	expect("1 APPEND x {9+}");
	expect_bytes("one", 3);
	spool_abort(spool);
	expect_lost("a:LOST b:CANCELLED lost",
		"a message could not be read to its end: its source was lost");
	spool_free(spool);
}

/* It belongs to its owner again as soon as its command has completed, whatever becomes of the
 * client: a spool that went on growing woke a client that was gone. */
static void test_spool_outlives_the_client(void **state)
{
	struct spool *spool = spool_new(9);

	client_set_literal_mode(client, LITERAL_PLUS);
	submit(prepare_append("a", spool));
	expect("1 APPEND x {9+}");
	client = client_free(client);
	expect_events("a:LOST");
	assert_int_equal(spool_write(spool, "one", 3), 0);
	run_ready();
	spool_abort(spool);
	run_ready();
	spool_free(spool);
}

/* RFC 7888 section 4: what was announced has to be sent, though nobody wants it any more. */
static void test_refused_before_it_was_sent(void **state)
{
	struct spool *spool = spool_new(6);
	struct probe *append;

	client_set_literal_mode(client, LITERAL_PLUS);
	append = submit(prepare_append("a", spool));
	give("b", "NOOP");
	expect("1 APPEND x {6+}");
	assert_int_equal(spool_write(spool, "one", 3), 0);
	expect_bytes("one", 3);
	say("1 NO [OVERQUOTA] full");
	expect_nothing();
	assert_int_equal(spool_write(spool, "two", 3), 0);
	expect("two\r\n2 NOOP");
	expect_events("a:NO");
	assert_int_equal(append->command.code, CODE_OVERQUOTA);
	assert_string_equal(append->command.text, "full");
	say("2 OK done");
	expect_events("b:OK");
	spool_free(spool);
}

static void test_answered_twice_before_it_was_sent(void **state)
{
	struct spool *spool = spool_new(6);

	client_set_literal_mode(client, LITERAL_PLUS);
	submit(prepare_append("a", spool));
	expect("1 APPEND x {6+}");
	say("1 NO [MODIFIED 7] once\r\n1 NO [MODIFIED 8] twice");
	expect_lost("a:LOST lost", not_given);
	spool_free(spool);
}

/* The refusal of a literal that was waited for, behind one that was sent without. */
static void test_refused_between_two_literals(void **state)
{
	struct spool *spool = spool_new(5000);
	struct probe *append = prepare("a", "APPEND ");

	command_mailbox(&append->command, "\xff");
	command_puts(&append->command, " ");
	command_spool(&append->command, spool);
	client_set_literal_mode(client, LITERAL_MINUS);
	submit(append);
	give("b", "NOOP");
	expect("1 APPEND {1+}\r\n\xff {5000}");
	say("1 NO [TOOBIG] too large");
	expect_events("a:NO");
	expect("2 NOOP");
	say("2 OK done");
	expect_events("b:OK");
	spool_free(spool);
}

/* --- Secrets --- */

static void proceed_with_secret(struct command *command, struct slice text)
{
	client_answer(client, "c2VjcmV0IGFuc3dlcg==");
}

/* All ways in which a secret leaves; what was logged, to be freed. */
static char *log_in_every_way(void)
{
	struct probe *login = prepare("login", "LOGIN "), *eight = prepare("eight", "LOGIN ");
	struct probe *authenticate = prepare("authenticate", "AUTHENTICATE PLAIN ");

	start_log();
	command_secret(&login->command, "someone");
	command_puts(&login->command, " ");
	command_secret(&login->command, "pass \"word\"");
	command_secret(&eight->command, "p\xc3\xa4ssword");
	command_secret_text(&authenticate->command, "AGluaXRpYWw=");
	authenticate->command.proceed = proceed_with_secret;
	authenticate->command.kind = COMMAND_ALONE;
	client_set_literal_mode(client, LITERAL_PLUS);
	submit(login);
	submit(eight);
	submit(authenticate);
	expect("1 LOGIN \"someone\" \"pass \\\"word\\\"\"\r\n2 LOGIN {9+}\r\np\xc3\xa4ssword");
	say("1 NO no\r\n2 NO no");
	expect("3 AUTHENTICATE PLAIN AGluaXRpYWw=");
	say("+");
	expect("c2VjcmV0IGFuc3dlcg==");
	say("3 OK done");
	expect_events("login:NO eight:NO authenticate:OK");
	return end_log();
}

static void test_secrets_are_not_logged(void **state)
{
	static const char *const secrets[] = {
		"someone", "pass ", "word\\", "ssword", "AGluaX", "c2Vj"};
	_cleanup_free_ char *logged = log_in_every_way();

	for (size_t i = 0; i < ARRAY_LEN(secrets); i++)
		assert_null(strstr(logged, secrets[i]));
	assert_non_null(strstr(logged, "remote: C: 1 LOGIN <secret> <secret>\n"));
	assert_non_null(strstr(logged, "remote: C: 2 LOGIN {9}\n"));
	assert_non_null(strstr(logged, "remote: C: 3 AUTHENTICATE PLAIN <secret>\n"));
	assert_non_null(strstr(logged, "remote: C: <secret>\n"));
	assert_non_null(strstr(logged, "remote: S: 3 OK done\n"));
}

static void test_secrets_are_shown_on_demand(void **state)
{
	_cleanup_free_ char *logged = NULL;

	client_show_secrets(true);
	logged = log_in_every_way();
	client_show_secrets(false);
	assert_non_null(strstr(logged, "C: 1 LOGIN \"someone\" \"pass \\\"word\\\"\"\n"));
	assert_non_null(strstr(logged, "C: 3 AUTHENTICATE PLAIN AGluaXRpYWw=\n"));
	assert_non_null(strstr(logged, "C: c2VjcmV0IGFuc3dlcg==\n"));
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		BOTH(test_commands_end_in_order),
		BOTH(test_the_oldest_is_known),
		BOTH(test_nothing_was_oldest),
		BOTH(test_commands_end_with_the_client),
		BOTH(test_half_a_command_is_lost),
		BOTH(test_submitting_after_the_loss),
		BOTH(test_submitting_from_a_loss),
		BOTH(test_freed_when_lost),
		BOTH(test_failed_by_the_owner),
		BOTH(test_bye),
		BOTH(test_bye_and_more),
		BOTH(test_unknown_tag),
		BOTH(test_foreign_tag),
		BOTH(test_long_tag),
		BOTH(test_tagged_bye),
		BOTH(test_tag_of_a_completed_command),
		BOTH(test_tag_of_a_command_not_yet_sent),
		BOTH(test_continuation_nobody_asked_for),
		BOTH(test_continuation_of_idle_comes_twice),
		BOTH(test_garbage),
		BOTH(test_nul),
		BOTH(test_nothing_after_a_failure),
		BOTH(test_spool_grows_while_it_is_sent),
		BOTH(test_spool_follows_spools_only),
		BOTH(test_spool_waits_for_the_server),
		BOTH(test_large_spool),
		BOTH(test_spool_of_no_bytes),
		BOTH(test_spool_is_given_up),
		BOTH(test_spool_outlives_the_client),
		BOTH(test_refused_before_it_was_sent),
		BOTH(test_answered_twice_before_it_was_sent),
		BOTH(test_refused_between_two_literals),
		BOTH(test_secrets_are_not_logged),
		BOTH(test_secrets_are_shown_on_demand),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
