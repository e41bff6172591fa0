/* SPDX-License-Identifier: MIT */
/* The command queue: order, the reasons to wait, literals, IDLE, and what a command learns. */
#include "client-fixture.h"

static void test_pipelining(void **state)
{
	struct probe *b;

	give("a", "NOOP");
	b = give("b", "CHECK");
	give("c", "EXPUNGE");
	expect("1 NOOP\r\n2 CHECK\r\n3 EXPUNGE");
	expect_nothing();
	assert_false(client_is_idle(client));
	say("1 OK done");
	expect_events("a:OK");
	say("2 NO [NONEXISTENT] no such thing\r\n3 BAD what?");
	expect_events("b:NO c:BAD");
	assert_int_equal(b->command.code, CODE_NONEXISTENT);
	assert_string_equal(b->command.text, "no such thing");
	assert_true(client_is_idle(client));
	assert_true(client_is_flushed(client));
	give("d", "NOOP");
	expect("4 NOOP");
	say("4 OK done");
	expect_events("d:OK");
}

/* RFC 3501 section 5.5: a server may answer in another order. */
static void test_answers_out_of_order(void **state)
{
	give("a", "NOOP");
	give("b", "NOOP");
	expect("1 NOOP\r\n2 NOOP");
	say("2 OK done\r\n1 OK done");
	expect_events("b:OK a:OK");
}

static void test_what_a_command_learns(void **state)
{
	struct probe *append, *copy, *store;

	append = give("append", "APPEND x");
	copy = give("copy", "UID COPY 1:3 y");
	store = give("store", "UID STORE 1:9");
	expect("1 APPEND x\r\n2 UID COPY 1:3 y\r\n3 UID STORE 1:9");
	say("1 OK [APPENDUID 38505 3955:3957] done");
	say("2 OK [COPYUID 38506 304,319:320 3956:3958] done");
	say("3 NO [MODIFIED 7,9] failed");
	expect_events("append:OK copy:OK store:NO");
	assert_int_equal(append->command.uidvalidity, 38505);
	assert_string_equal(append->command.uids, "3955:3957");
	assert_int_equal(copy->command.uidvalidity, 38506);
	assert_string_equal(copy->command.source_uids, "304,319:320");
	assert_string_equal(copy->command.uids, "3956:3958");
	assert_true(seqset_contains(&store->command.modified, 7));
	assert_int_equal(seqset_count(&store->command.modified), 2);
}

static void test_untagged_goes_to_who_takes_it(void **state)
{
	struct probe *one, *other;

	say("* 1 FETCH (UID 5)");
	expect_events("owner<5");
	one = prepare("one", "UID FETCH 6 UID");
	other = prepare("other", "UID FETCH 7 UID");
	one->takes = other->takes = true;
	submit(one);
	submit(other);
	expect("1 UID FETCH 6 UID\r\n2 UID FETCH 7 UID");
	say("* 1 FETCH (UID 6)");
	expect_events("one<6");
	say("1 OK done\r\n* 2 FETCH (UID 7)\r\n2 OK done\r\n* 3 FETCH (UID 8)");
	expect_events("one:OK other<7 other:OK owner<8");
	say("* CAPABILITY IMAP4rev1 IDLE");
	expect_events("capabilities=2 owner<type3");
}

/* A command not yet sent gets nothing. */
static void test_untagged_before_sending(void **state)
{
	struct probe *later = prepare("later", "UID FETCH 1 UID");

	later->takes = true;
	give_kind("alone", "COMPRESS DEFLATE", COMMAND_ALONE);
	submit(later);
	expect("1 COMPRESS DEFLATE");
	say("* 1 FETCH (UID 5)");
	expect_events("owner<5");
	say("1 NO no");
	expect_events("alone:NO");
	expect("2 UID FETCH 1 UID");
	say("2 OK done");
	expect_events("later:OK");
}

static void test_alone(void **state)
{
	give("a", "NOOP");
	give_kind("b", "COMPRESS DEFLATE", COMMAND_ALONE);
	give("c", "NOOP");
	expect("1 NOOP");
	expect_nothing();
	say("1 OK done");
	expect_events("a:OK");
	expect("2 COMPRESS DEFLATE");
	expect_nothing();
	say("2 NO not now");
	expect_events("b:NO");
	expect("3 NOOP");
	say("3 OK done");
	expect_events("c:OK");
}

/* Some more than may be in flight; they still all are answered. */
static void test_limit_in_flight(void **state)
{
	enum { TAG_AND_END = 13, MOST = LIMIT_IN_FLIGHT / (1 + TAG_AND_END), MORE = 3 };
	char line[32];

	for (int i = 0; i < MOST + MORE; i++)
		give("n", "N");
	for (int i = 1; i <= MOST; i++) {
		snprintf(line, sizeof(line), "%d N", i);
		expect(line);
	}
	expect_nothing();
	say("1 OK x");
	expect_events("n:OK");
	snprintf(line, sizeof(line), "%d N", MOST + 1);
	expect(line);
	expect_nothing();
	for (int i = 2; i <= MOST + 1; i++) {
		snprintf(line, sizeof(line), "%d OK x", i);
		say(line);
	}
	for (int i = 2; i <= MORE; i++) {
		snprintf(line, sizeof(line), "%d N", MOST + i);
		expect(line);
	}
	RUN_UNTIL(buf_len(&wire.events) == MOST * strlen("n:OK "));
	buf_clear(&wire.events);
	snprintf(line, sizeof(line), "%d OK x\r\n%d NO x", MOST + 2, MOST + 3);
	say(line);
	expect_events("n:OK n:NO");
	assert_true(client_is_idle(client));
}

static struct probe *prepare_create(const char *name, const char *mailbox)
{
	struct probe *probe = prepare(name, "RENAME ");

	command_mailbox(&probe->command, mailbox);
	command_puts(&probe->command, " ");
	command_mailbox(&probe->command, mailbox);
	return probe;
}

static void test_synchronising_literals(void **state)
{
	submit(prepare_create("a", "gr\xc3\xbcn"));
	give("b", "NOOP");
	expect("1 RENAME {5}");
	expect_nothing();
	say("+ go on");
	expect("gr\xc3\xbcn {5}");
	expect_nothing();
	say("+");
	expect("gr\xc3\xbcn\r\n2 NOOP");
	say("1 OK done\r\n2 OK done");
	expect_events("a:OK b:OK");
}

/* Answers to what is in flight come between. */
static void test_answers_while_a_literal_waits(void **state)
{
	give("a", "NOOP");
	submit(prepare_create("b", "\xff"));
	expect("1 NOOP\r\n2 RENAME {1}");
	say("1 OK done\r\n* OK still here\r\n+ go on");
	expect_events("a:OK owner<type2");
	expect("\xff {1}");
	say("+ go on");
	expect("\xff");
	say("2 OK done");
	expect_events("b:OK");
}

static void test_refused_literals(void **state)
{
	submit(prepare_create("a", "\xff"));
	submit(prepare_create("b", "\xfe"));
	expect("1 RENAME {1}");
	say("1 NO not that one");
	expect_events("a:NO");
	expect("2 RENAME {1}"); /* the first is over with the end of its line */
	say("+ go on");
	expect("\xfe {1}");
	give("c", "NOOP");
	expect_nothing();
	say("2 BAD not twice");
	expect_events("b:BAD");
	expect("3 NOOP");
	say("3 OK done");
	expect_events("c:OK");
}

static void add_literal(struct probe *probe, char c, size_t size)
{
	_cleanup_free_ char *text = xcalloc(size + 1, 1);

	memset(text, c, size);
	command_mailbox(&probe->command, text);
}

static struct probe *prepare_literal(const char *name, char c, size_t size)
{
	struct probe *probe = prepare(name, "CREATE ");

	add_literal(probe, c, size);
	return probe;
}

static void expect_repeated(char c, size_t size)
{
	_cleanup_free_ char *text = xcalloc(size + 1, 1);

	memset(text, c, size);
	expect(text);
}

/* RFC 7888 section 5: up to 4096 bytes without waiting. */
static void test_literal_minus(void **state)
{
	client_set_literal_mode(client, LITERAL_MINUS);
	submit(prepare_literal("a", '\x80', 4096));
	submit(prepare_literal("b", '\x81', 4097));
	submit(prepare_literal("c", '\x82', 1));
	expect("1 CREATE {4096+}");
	expect_repeated('\x80', 4096);
	expect("2 CREATE {4097}");
	expect_nothing();
	say("+ go on");
	expect_repeated('\x81', 4097);
	expect("3 CREATE {1+}\r\n\x82");
	say("1 OK done\r\n2 OK done\r\n3 OK done");
	expect_events("a:OK b:OK c:OK");
}

static void test_literal_plus(void **state)
{
	client_set_literal_mode(client, LITERAL_PLUS);
	submit(prepare_literal("a", '\x80', 100000));
	expect("1 CREATE {100000+}");
	expect_repeated('\x80', 100000);
	say("1 OK done");
	expect_events("a:OK");
}

static void on_proceed(struct command *command, struct slice text)
{
	note("proceed(%.*s)", (int)text.len, text.data);
}

static void test_idle(void **state)
{
	struct probe *idle = prepare("idle", "IDLE");

	idle->command.kind = COMMAND_IDLE;
	idle->command.proceed = on_proceed;
	give("a", "NOOP");
	submit(idle);
	expect("1 NOOP\r\n2 IDLE");
	say("1 OK done");
	expect_events("a:OK");
	assert_true(client_is_idle(client));
	give("b", "NOOP");
	expect_nothing(); /* RFC 2177: DONE answers the continuation, not before it */
	assert_false(client_is_idle(client));
	say("+ idling");
	expect_events("proceed(idling)");
	expect("DONE\r\n3 NOOP");
	say("* 7 EXISTS\r\n2 OK done\r\n3 OK done");
	expect_events("owner<type10 idle:OK b:OK");
}

static void test_idle_is_ended(void **state)
{
	give_kind("a", "IDLE", COMMAND_IDLE);
	expect("1 IDLE");
	say("+ idling");
	expect_nothing();
	assert_true(client_is_idle(client));
	client_end_idle(client);
	client_end_idle(client);
	expect("DONE");
	expect_nothing();
	assert_false(client_is_idle(client));
	say("1 OK done");
	expect_events("a:OK");
	assert_true(client_is_idle(client));
	client_end_idle(client);
	expect_nothing();
}

/* Asked to end before the server is ready for the DONE. */
static void test_idle_is_ended_early(void **state)
{
	give_kind("a", "IDLE", COMMAND_IDLE);
	expect("1 IDLE");
	client_end_idle(client);
	expect_nothing();
	say("+ idling");
	expect("DONE");
	say("1 OK done");
	expect_events("a:OK");
}

static void test_idle_is_refused(void **state)
{
	give_kind("a", "IDLE", COMMAND_IDLE);
	give("b", "NOOP");
	expect("1 IDLE");
	say("1 NO not here");
	expect_events("a:NO");
	expect("2 NOOP");
	say("2 OK done");
	expect_events("b:OK");
}

static void test_idle_twice(void **state)
{
	for (int i = 1; i <= 3; i += 2) {
		char line[32];

		give_kind("idle", "IDLE", COMMAND_IDLE);
		snprintf(line, sizeof(line), "%d IDLE", i);
		expect(line);
		say("+ idling");
		run_ready();
		give("b", "NOOP");
		snprintf(line, sizeof(line), "DONE\r\n%d NOOP", i + 1);
		expect(line);
		snprintf(line, sizeof(line), "%d OK x\r\n%d OK x", i, i + 1);
		say(line);
		expect_events("idle:OK b:OK");
	}
}

static void submit_another(struct probe *probe)
{
	give("again", "NOOP");
}

static void test_submitting_from_a_completion(void **state)
{
	struct probe *first = prepare("first", "NOOP");

	first->completed = submit_another;
	submit(first);
	expect("1 NOOP");
	say("1 OK done");
	expect_events("first:OK");
	expect("2 NOOP");
	say("2 OK done");
	expect_events("again:OK");
}

static void test_empty_and_short_pieces(void **state)
{
	struct probe *probe = prepare("a", "");

	command_puts(&probe->command, "LIST ");
	command_mailbox(&probe->command, "");
	command_puts(&probe->command, " *");
	submit(probe);
	expect("1 LIST \"\" *");
	say("1 OK");
	expect_events("a:OK");
}

/* Longer than what is encoded at once, in all its pieces. */
static void test_much_output(void **state)
{
	enum { COMMANDS = 40, SIZE = 50000 };
	char line[64];

	struct spool *spool = spool_new(3);

	assert_int_equal(spool_write(spool, "end", 3), 0);
	client_set_literal_mode(client, LITERAL_PLUS);
	for (int i = 0; i < COMMANDS; i++) {
		struct probe *probe = prepare("x", "APPEND ");

		command_spool(&probe->command, spool);
		add_literal(probe, (char)(0x80 + i), SIZE);
		submit(probe);
	}
	for (int i = 0; i < COMMANDS; i++) {
		snprintf(line, sizeof(line), "%d APPEND {3+}\r\nend{%d+}", i + 1, SIZE);
		expect(line);
		expect_repeated((char)(0x80 + i), SIZE);
	}
	for (int i = 0; i < COMMANDS; i++) {
		snprintf(line, sizeof(line), "%d OK", i + 1);
		say(line);
		expect_events("x:OK");
	}
	spool_free(spool);
}

/* A relay takes over the stream: half a response that was read is not lost. */
static void test_release(void **state)
{
	static const char half[] = "* 1 FETCH (X {2}\r\n\r\n Y 3)\r";
	struct stream *stream;
	struct buf leftover;

	give("a", "NOOP");
	expect("1 NOOP");
	say("1 OK done");
	say_bytes(half, sizeof(half) - 1);
	expect_events("a:OK");
	run_ready();
	stream = client_release_stream(client, &leftover);
	assert_non_null(stream);
	assert_null(client_stream(client));
	assert_int_equal(buf_len(&leftover), sizeof(half) - 1);
	assert_memory_equal(buf_data(&leftover), half, sizeof(half) - 1);
	buf_done(&leftover);
	stream_free(stream);
	give("b", "NOOP");
	expect_events("b:CANCELLED");
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		BOTH(test_pipelining),
		BOTH(test_answers_out_of_order),
		BOTH(test_what_a_command_learns),
		BOTH(test_untagged_goes_to_who_takes_it),
		BOTH(test_untagged_before_sending),
		BOTH(test_alone),
		BOTH(test_limit_in_flight),
		BOTH(test_synchronising_literals),
		BOTH(test_answers_while_a_literal_waits),
		BOTH(test_refused_literals),
		BOTH(test_literal_minus),
		BOTH(test_literal_plus),
		BOTH(test_idle),
		BOTH(test_idle_is_ended),
		BOTH(test_idle_is_ended_early),
		BOTH(test_idle_is_refused),
		BOTH(test_idle_twice),
		BOTH(test_submitting_from_a_completion),
		BOTH(test_empty_and_short_pieces),
		BOTH(test_much_output),
		BOTH(test_release),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
