/* SPDX-License-Identifier: MIT */
#include "observer-fixture.h"

static void test_quiet_commands(void **state)
{
	check(DIALOGUE(SELECTED, C("1 NOOP\r\n2 UID FETCH 1:* (FLAGS BODY.PEEK[])\r\n"),
		      S("1 OK\r\n* 1 FETCH (FLAGS ())\r\n2 OK done\r\n"),
		      C("3 LIST \"\" \"*\"\r\n4 STATUS x (MESSAGES)\r\n"
			"5 UID SEARCH BODY {3}\r\n"),
		      S("* LIST () \"/\" INBOX\r\n3 OK\r\n4 NO\r\n+ go\r\n"), C("abc\r\n"),
		      S("* SEARCH 1\r\n5 OK done\r\n"), C("6 LOGOUT\r\n"),
		      S("* BYE bye\r\n6 OK\r\n")),
		"");
}

static void test_flags(void **state)
{
	check(DIALOGUE(SELECTED, C("1 STORE 1 +FLAGS (\\Seen)\r\n"), S("1 OK done\r\n"),
		      C("2 uid store 1 -FLAGS (\\Seen)\r\n"), S("2 NO [MODIFIED 7] partly\r\n"),
		      C("3 STORE x y\r\n"), S("3 BAD no\r\n")),
		"mailbox a/b,mailbox a/b");
}

static void test_nothing_before_the_answer(void **state)
{
	struct run run;

	run_init(&run);
	client(&run, "s SELECT x\r\n", 12);
	server(&run, "s OK\r\n", 6);
	client(&run, "1 STORE 1 FLAGS ()\r\n", 20);
	server(&run, "* 1 FETCH (FLAGS ())\r\n1 OK", 26);
	assert_buf(&run.told, "");
	server(&run, "\r\n", 2);
	assert_buf(&run.told, "mailbox x");
	run_done(&run);
}

static void test_expunges(void **state)
{
	check(DIALOGUE(SELECTED, C("1 EXPUNGE\r\n2 UID EXPUNGE 1:3\r\n3 UID MOVE 4 Trash\r\n"),
		      S("* 1 EXPUNGE\r\n1 OK\r\n2 OK\r\n* OK [COPYUID 1 4 9] m\r\n3 OK\r\n"),
		      C("4 CLOSE\r\n"), S("4 OK\r\n")),
		"expunged a/b,expunged a/b,expunged a/b,mailbox Trash,expunged a/b");
}

static void test_seen_by_fetch(void **state)
{
	check(DIALOGUE(SELECTED, C("1 FETCH 1 BODY[]\r\n2 UID FETCH 1 (UID BODY[TEXT]<0.9>)\r\n"),
		      S("* 1 FETCH (BODY[] {16}\r\n2 OK no answer\r\n)\r\n1 OK\r\n"),
		      S("* 1 FETCH (UID 1 BODY[TEXT]<0> \"x\")\r\n2 OK\r\n"),
		      C("3 FETCH 1 (RFC822.SIZE RFC822.HEADER BODY)\r\n4 FETCH 1 RFC822\r\n"),
		      S("3 OK\r\n4 OK\r\n"), C("5 FETCH 1 (BINARY[1])\r\n"), S("5 OK\r\n")),
		"mailbox a/b,mailbox a/b,mailbox a/b,mailbox a/b");
}

static void test_examine_is_read_only(void **state)
{
	check(DIALOGUE(C("s EXAMINE box\r\n"), S("s OK [READ-ONLY]\r\n"),
		      C("1 FETCH 1 BODY[]\r\n2 CLOSE\r\n"), S("1 OK\r\n2 OK\r\n")),
		"");
}

static void test_append_forms(void **state)
{
	check(DIALOGUE(C("1 APPEND Sent (\\Seen) {5}\r\n"), S("+ OK\r\n"), C("a STO\r\n"),
		      S("1 OK [APPENDUID 1 2]\r\n"),
		      C("2 APPEND \"My \\\"Mail\\\"\" {3+}\r\n2 O\r\n"), S("2 OK\r\n"),
		      C("3 APPEND {4+}\r\nSent ~{2+}\r\nab {0+}\r\n\r\n"), S("3 OK\r\n"),
		      C("4 APPEND inBOX {5}\r\n"), S("4 NO [OVERQUOTA] full\r\n"),
		      C("5 DELETE x\r\n"), S("5 OK\r\n")),
		"mailbox Sent,mailbox My \"Mail\",mailbox Sent,tree");
}

/* The bytes of a literal look like commands and answers, and are none. */
static void test_literals_are_not_read(void **state)
{
	check(DIALOGUE(SELECTED, C("1 APPEND x {22}\r\n"), S("+ \r\n"),
		      C("2 EXPUNGE\r\n3 EXPUNGE\r\n\r\n"),
		      S("* 1 FETCH (BODY[] {6}\r\n1 OK\r\n FLAGS ())\r\n1 OK\r\n")),
		"mailbox x");
}

static void test_text_with_braces(void **state)
{
	check(DIALOGUE(SELECTED, C("1 EXPUNGE\r\n"), S("* OK see {4}\r\n1 OK done {10}\r\n"),
		      C("2 EXPUNGE\r\n"), S("* LIST () \"/\" \"x {5}\"\r\n2 OK\r\n")),
		"expunged a/b,expunged a/b");
}

static void test_tree(void **state)
{
	check(DIALOGUE(C("1 CREATE a\r\n2 DELETE b\r\n3 RENAME a {1}\r\n"),
		      S("1 OK\r\n2 NO\r\n+ \r\n"), C("b\r\n4 SUBSCRIBE a\r\n5 UNSUBSCRIBE a\r\n"),
		      S("3 OK\r\n4 OK\r\n5 OK\r\n")),
		"tree,tree,tree,tree,tree");
}

static void test_copy(void **state)
{
	check(DIALOGUE(SELECTED, C("1 COPY 1:2 \"a b\"\r\n2 UID COPY 5 {3}\r\n"),
		      S("1 OK\r\n+ \r\n"), C("c d\r\n"), S("2 OK\r\n")),
		"mailbox a b,mailbox c d");
}

/* The selected mailbox is the one of the answers, not that of the last command sent. */
static void test_selection(void **state)
{
	check(DIALOGUE(C("1 SELECT a\r\n2 STORE 1 FLAGS x\r\n3 SELECT b\r\n4 EXPUNGE\r\n"),
		      S("1 OK\r\n2 OK\r\n3 OK\r\n4 OK\r\n"), C("5 SELECT none\r\n6 EXPUNGE\r\n"),
		      S("5 NO\r\n6 BAD\r\n"), C("7 SELECT \"c\"\r\n8 UNSELECT\r\n9 CLOSE\r\n"),
		      S("7 OK\r\n8 OK\r\n9 BAD\r\n"), C("A SELECT {1+}\r\nd (CONDSTORE)\r\n"),
		      S("A OK\r\n"), C("B EXPUNGE\r\n"), S("B OK\r\n")),
		"mailbox a,expunged b,expunged d");
}

static void test_idle(void **state)
{
	check(DIALOGUE(SELECTED, C("1 IDLE\r\n"), S("+ idling\r\n* 4 EXISTS\r\n"),
		      C("DONE\r\n2 EXPUNGE\r\n"), S("1 OK\r\n2 OK\r\n"), C("3 IDLE\r\nDONE\r\n"),
		      S("+ idling\r\n3 OK\r\n"), C("4 EXPUNGE\r\n"), S("4 OK\r\n")),
		"expunged a/b,expunged a/b");
}

static void test_odd_syntax(void **state)
{
	check(DIALOGUE(C("1 select x\n2 Expunge\r\r\n"), S("1 ok\n2 OK\n"),
		      C("3 FETCH 1 BODY[HEADER.FIELDS ({1}\r\n"), S("+ \r\n"), C("X)]\r\n"),
		      S("3 OK\r\n")),
		"expunged x,mailbox x");
}

static void test_doubt(void **state)
{
	/* an unknown command, which might even have selected something; a name in UTF-8 */
	check(DIALOGUE(SELECTED, C("1 XFROB 1\r\n"), S("1 OK\r\n"), C("2 EXPUNGE\r\n"),
		      S("2 OK\r\n")),
		"unknown,unknown");
	check(DIALOGUE(C("1 APPEND caf\xc3\xa9 {1+}\r\nx\r\n"), S("1 OK\r\n")), "unknown");
	check(DIALOGUE(C("1 ENABLE UTF8=ACCEPT\r\n2 APPEND \"a&b\" {1+}\r\nx\r\n"),
		      S("1 OK\r\n2 OK\r\n")),
		"unknown");
	/* a string that does not end */
	check(DIALOGUE(C("1 CREATE \"x\r\n"), S("1 OK\r\n")), "unknown");
	/* what might be a literal, and might not */
	check(DIALOGUE(SELECTED, C("4 STORE 1 FLAGS (\"a\\\"b\" {1+}\r\n)) {1+} x\r\n"),
		      S("4 OK\r\n")),
		"unknown");
	/* only some commands may follow UID */
	check(DIALOGUE(SELECTED, C("1 UID COMPRESS DEFLATE\r\n2 EXPUNGE\r\n"),
		      S("1 BAD\r\n2 OK\r\n"), C("3 UID IDLE\r\n4 SELECT x\r\n"),
		      S("3 NO\r\n4 OK\r\n")),
		"expunged a/b,unknown");
	/* done without its literal */
	check(DIALOGUE(SELECTED, C("1 NOOP {3}\r\n"), S("1 OK\r\n"), C("2 EXPUNGE\r\n"),
		      S("2 OK\r\n")),
		"unknown,unknown");
}

/* A client that does not wait for its literal. */
static void test_impatience(void **state)
{
	check(DIALOGUE(C("1 APPEND y {3}\r\nabc\r\n2 NOOP\r\n"), S("+ \r\n1 OK\r\n2 OK\r\n")),
		"mailbox y");
	check(DIALOGUE(C("1 APPEND y {9}\r\n2 CREATE q\r\n"), S("1 NO\r\n2 OK\r\n")), "tree");
	/* the store has the last word on what is a literal: it is not sent what it does not want */
	store_is_silent = true;
	check_streams(
		DIALOGUE(C("1 XFROB {30+}\r\n2 COMPRESS"), S("1 BAD\r\n"),
			C(" DEFLATE\r\n3 COMPRESS x {1+}\r\n\n {1}\r\n4 NOOP\r\n"), S("4 OK\r\n")),
		"", "1 XFROB {30}\r\n4 NOOP\r\n", "1 BAD\r\n4 OK\r\n");
	store_is_silent = false;
}

/* Everything that would blind the observer, and what does not begin as a command does. */
static void test_refusals(void **state)
{
	static const char tag64[] =
		"tttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttt";
	static const struct {
		const char *line, *refusal;
	} table[] = {
		{"1 COMPRESS DEFLATE\r\n", "<1 NO >"},
		{"1 starttls\r\n", "<1 BAD>"},
		{"1 AUTHENTICATE PLAIN\r\n", "<1 BAD>"},
		{"1 unauthenticate\n", "<1 BAD>"},
		{"1 IDLE x\r\n", "<1 BAD>"},
		{"1 IDLE {10+}\r\n0 COMPRESS\r\n", "<1 BAD>"},
		{"\r\n", "<* BAD>"},
		{"DONE\r\n", "<DONE BAD>"},
		{"1 \r\n", "<1 BAD>"},
		{"1  COMPRESS DEFLATE\r\n", "<1 BAD>"},
		{" 1 COMPRESS DEFLATE\r\n", "<* BAD>"},
		{"1\tCOMPRESS DEFLATE\r\n", "<* BAD>"},
		{"1 \tCOMPRESS DEFLATE\r\n", "<1 BAD>"},
		{"1 COMPRESS\tDEFLATE\r\n", "<1 BAD>"},
		{"1\rCOMPRESS DEFLATE\r\n", "<* BAD>"},
		{"1 COMPRESS\rDEFLATE\r\n", "<1 BAD>"},
		{"1 \"COMPRESS\" DEFLATE\r\n", "<1 BAD>"},
		{"1 {8+}\r\nCOMPRESS DEFLATE\r\n", "<1 BAD>"},
		{"{1+}\r\n1 COMPRESS DEFLATE\r\n", "<* BAD>"},
		{"+1 COMPRESS DEFLATE\r\n", "<* BAD>"},
		{"\"1\" COMPRESS DEFLATE\r\n", "<* BAD>"},
		{"\xc3\xa9 COMPRESS DEFLATE\r\n", "<* BAD>"},
		{"1 COMPRESS\xc2\xa0 DEFLATE\r\n", "<1 BAD>"},
	};
	_cleanup_free_ char *long_tag = xasprintf("%st COMPRESS DEFLATE\r\n", tag64);
	_cleanup_free_ char *good_tag = xasprintf("%s COMPRESS DEFLATE\r\n", tag64);
	_cleanup_free_ char *refusal = xasprintf("<%s NO >", tag64);

	for (size_t i = 0; i < ARRAY_LEN(table); i++)
		check_streams(DIALOGUE(C(table[i].line)), "", table[i].refusal, "");
	check_streams(DIALOGUE(C(long_tag)), "", "<* BAD>", "");
	check_streams(DIALOGUE(C(good_tag)), "", refusal, "");
}

static void check_failure(const struct turn *turns, const char *up, const char *failure)
{
	for (size_t step = 1; step < 40; step++) {
		struct run run;

		run_init(&run);
		for (size_t i = 0; turns[i].who != '\0'; i++) {
			size_t len = strlen(turns[i].bytes);

			for (size_t at = 0; at < len; at += step)
				speak(&run, &turns[i], at, at + step < len ? at + step : len);
		}
		assert_non_null(observer_failure(run.observer));
		assert_non_null(strstr(observer_failure(run.observer), failure));
		assert_false(observer_is_ready(run.observer));
		assert_buf(&run.up, up);
		run_done(&run);
	}
}

/* What ends the connection, since the store and we might not agree on where a command begins. */
static void test_failures(void **state)
{
	check_failure(
		DIALOGUE(C("1 NOOP x\r2 COMPRESS DEFLATE\r\n"), S("1 BAD\r\n"), C("3 NOOP\r\n")),
		"1 NOOP x\r", "carriage return");
	check_failure(DIALOGUE(C("1 APPEND x {9}\r\n"), S("+ \r\n"), C("abc"), S("1 NO\r\n"),
			      C("de\r\n2 COMPRESS DEFLATE\r\n")),
		"1 APPEND x {9}\r\nabc", "end of a literal");
	check_failure(DIALOGUE(C("1 XFROB\r\n"), S("+ what?\r\n"), C("2 NOOP\r\n")), "1 XFROB\r\n",
		"not known");
}

/* Nothing passes that a store could take for part of an IDLE, or for the answer to it. */
static void test_idle_is_alone(void **state)
{
	store_is_silent = true;
	/* the "+" is for the IDLE, the line in it ends it, and the literal is none */
	check_failure(DIALOGUE(C("1 IDLE\r\n2 APPEND x {22}\r\n3 COMPRESS DEFLATE\r\n\r\n"),
			      S("+ idling\r\n1 BAD\r\n2 NO\r\n")),
		"1 IDLE\r\n", "within IDLE");
	check_streams(DIALOGUE(C("1 IDLE\r\nDONE\r\n2 APPEND x {22}\r\n3 COMPRESS DEFLATE\r\n"),
			      S("+ idling\r\n1 OK\r\n2 NO\r\n")),
		"", "1 IDLE\r\nDONE\r\n2 APPEND x {22}\r\n<3 NO >", NULL);
	store_is_silent = false;
}

static void test_unanswered_at_the_end(void **state)
{
	struct run run;

	run_init(&run);
	client(&run, "1 CREATE x\r\n", 12);
	assert_buf(&run.told, "");
	run.observer = observer_free(run.observer);
	assert_buf(&run.told, "unknown");
	run_done(&run);

	run_init(&run);
	client(&run, "1 NOOP\r\n2 SELECT x\r\n3 FET", 25);
	run.observer = observer_free(run.observer);
	assert_buf(&run.told, "");
	run_done(&run);
}

static void repeat(struct run *run, void (*to)(struct run *, const char *, size_t),
	const char *text, size_t times)
{
	for (size_t i = 0; i < times; i++)
		to(run, text, strlen(text));
}

static void test_limits(void **state)
{
	struct run run;

	/* a name that is too long */
	run_init(&run);
	repeat(&run, client, "1 APPEND ", 1);
	repeat(&run, client, "n", LIMIT_OBSERVED_NAME + 1);
	repeat(&run, client, " {1+}\r\nx\r\n", 1);
	repeat(&run, server, "1 OK\r\n", 1);
	assert_buf(&run.told, "unknown");
	run_done(&run);

	/* spaces, returns and verbs without end are neither held nor kept, nor passed on */
	run_init(&run);
	repeat(&run, client, "\r ", 4096);
	repeat(&run, client, "\n1 ", 1);
	repeat(&run, client, "V", 4096);
	repeat(&run, client, "\r\n", 1);
	assert_buf(&run.up, "<* BAD><1 BAD>");
	run_done(&run);
}

static void test_too_many_commands(void **state)
{
	enum { COUNT = LIMIT_OBSERVED_COMMANDS + 9 };
	char line[32];
	struct run run;

	run_init(&run);
	for (int i = 0; i < COUNT; i++) {
		(void)snprintf(line, sizeof(line), "t%d CREATE a\r\n", i);
		repeat(&run, client, line, 1);
	}
	/* those that are too many wait for a place */
	(void)snprintf(line, sizeof(line), "t%d CREATE a\r\n", LIMIT_OBSERVED_COMMANDS - 1);
	assert_memory_equal(
		buf_data(&run.up) + buf_len(&run.up) - strlen(line), line, strlen(line));
	for (int i = 0; i < COUNT; i++) {
		buf_clear(&run.told);
		(void)snprintf(line, sizeof(line), "t%d OK\r\n", i);
		repeat(&run, server, line, 1);
		assert_buf(&run.told, "tree");
	}
	assert_int_equal(buf_len(&run.unread), 0);
	run_done(&run);
}

static void test_compress_is_refused(void **state)
{
	check_streams(DIALOGUE(C("1 NOOP\r\n2 COMPRESS DEFLATE\r\n3 compre x\r\n"),
			      S("1 OK\r\n3 BAD\r\n"), C("4 compress\n5 COMPRESSED\r\n"),
			      S("5 BAD\r\n"), C("6 APPEND x {22}\r\n"), S("+ \r\n"),
			      C("7 COMPRESS DEFLATE\r\n\r\n\r\n"), S("6 OK\r\n")),
		"mailbox x",
		"1 NOOP\r\n<2 NO >3 compre x\r\n<4 NO >5 COMPRESSED\r\n"
		"6 APPEND x {22}\r\n7 COMPRESS DEFLATE\r\n\r\n\r\n",
		NULL);
}

static void test_compress_without_end_is_not_held(void **state)
{
	struct run run;

	run_init(&run);
	repeat(&run, client, "1 COMPRESS ", 1);
	repeat(&run, client, "x", 100000);
	repeat(&run, client, "\r\n2 NOOP\r\n", 1);
	assert_buf(&run.up, "<1 NO >2 NOOP\r\n");
	run_done(&run);
}

static void test_capabilities(void **state)
{
	check_streams(
		DIALOGUE(S("* OK [CAPABILITY IMAP4rev1 AUTH=PLAIN COMPRESS=DEFLATE IDLE] hi\r\n"),
			C("1 CAPABILITY\r\n"),
			S("* CAPABILITY STARTTLS IMAP4rev1 compress=deflate LITERAL+ SASL-IR "
			  "LOGINDISABLED LOGINDISABLEDX X-AUTH=PLAIN AUTH=X\r\n"
			  "1 OK [capability AUTH=SCRAM-SHA-1 NOTIFY] COMPRESS=DEFLATE\r\n"),
			S("* OK [ALERT] CAPABILITY COMPRESS=DEFLATE\r\n"
			  "* NO [CAPABILITYX COMPRESS=DEFLATE] x\r\n"
			  "* FLAGS (COMPRESS=DEFLATE)\r\n"
			  "* 1 FETCH (BODY[] {31}\r\n* CAPABILITY COMPRESS=DEFLATE\r\n)\r\n"
			  "* CAPABILITY " /* longer than is ever held */
			  "COMPRESS=AVERYLONGNAMETHATGOESONANDONANDONANDON "
			  "XVERYLONGNAMETHATGOESONANDONANDONANDONANDON Z\r\n")),
		"", NULL,
		"* OK [CAPABILITY IMAP4rev1 IDLE] hi\r\n"
		"* CAPABILITY IMAP4rev1 LITERAL+ LOGINDISABLEDX X-AUTH=PLAIN\r\n"
		"1 OK [capability NOTIFY] COMPRESS=DEFLATE\r\n"
		"* OK [ALERT] CAPABILITY COMPRESS=DEFLATE\r\n"
		"* NO [CAPABILITYX COMPRESS=DEFLATE] x\r\n"
		"* FLAGS (COMPRESS=DEFLATE)\r\n"
		"* 1 FETCH (BODY[] {31}\r\n* CAPABILITY COMPRESS=DEFLATE\r\n)\r\n"
		"* CAPABILITY XVERYLONGNAMETHATGOESONANDONANDONANDONANDON Z\r\n");
}

/* Where a response of ours may be put into the server's stream. */
static void test_between(void **state)
{
	static const char stream[] = "* 1 FETCH (BODY[] {4}\r\n\r\n\r\n)\r\n1 OK\r\n* BYE";
	enum observer_verdict verdict;
	struct run run;

	run_init(&run);
	assert_true(observer_between(run.observer));
	assert_int_equal(observer_server(run.observer, stream, 23 + 4 + 3, true, &verdict), 30);
	assert_true(observer_between(run.observer));
	for (size_t i = 30; i < sizeof(stream) - 1; i++) {
		assert_int_equal(observer_server(run.observer, stream + i, 1, true, &verdict), 1);
		assert_int_equal(observer_between(run.observer), i == 35);
	}
	/* two lines at once: stops after the first */
	run_done(&run);
	run_init(&run);
	assert_int_equal(observer_server(run.observer, "1 OK\r\n2 OK\r\n", 12, true, &verdict), 6);
	assert_false(observer_saw_bye(run.observer));
	assert_int_equal(observer_server(run.observer, "* BYE\r\n", 7, true, &verdict), 7);
	assert_true(observer_saw_bye(run.observer));
	run_done(&run);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_quiet_commands),
		cmocka_unit_test(test_flags),
		cmocka_unit_test(test_nothing_before_the_answer),
		cmocka_unit_test(test_expunges),
		cmocka_unit_test(test_seen_by_fetch),
		cmocka_unit_test(test_examine_is_read_only),
		cmocka_unit_test(test_append_forms),
		cmocka_unit_test(test_literals_are_not_read),
		cmocka_unit_test(test_text_with_braces),
		cmocka_unit_test(test_tree),
		cmocka_unit_test(test_copy),
		cmocka_unit_test(test_selection),
		cmocka_unit_test(test_idle),
		cmocka_unit_test(test_odd_syntax),
		cmocka_unit_test(test_doubt),
		cmocka_unit_test(test_impatience),
		cmocka_unit_test(test_refusals),
		cmocka_unit_test(test_failures),
		cmocka_unit_test(test_idle_is_alone),
		cmocka_unit_test(test_unanswered_at_the_end),
		cmocka_unit_test(test_limits),
		cmocka_unit_test(test_too_many_commands),
		cmocka_unit_test(test_compress_is_refused),
		cmocka_unit_test(test_compress_without_end_is_not_held),
		cmocka_unit_test(test_capabilities),
		cmocka_unit_test(test_between),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
