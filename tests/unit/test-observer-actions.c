/* SPDX-License-Identifier: MIT */
/*
 * What clients do, as it is told: "1?move a>b" announces the first action, "1=", "1!" and "1~" tell
 * that it was done, refused, or is not known, "(7 1-4)" which UIDs became which.  Hints stand
 * between them, in the order in which they come.
 */
#include "observer-fixture.h"

#define IN_A C("s SELECT a\r\n"), S("s OK [READ-WRITE] done\r\n")

static void test_kinds(void **state)
{
	check(DIALOGUE(C("1 CREATE a (USE (\\Archive))\r\n"), S("1 OK\r\n"), C("2 DELETE b\r\n"),
		      S("2 OK\r\n"), C("3 RENAME a {1+}\r\nb\r\n"), S("3 OK\r\n"),
		      C("4 SUBSCRIBE \"a \\\"b\\\\\"\r\n"), S("4 OK\r\n"),
		      C("5 UNSUBSCRIBE inBox\r\n"), S("5 OK\r\n")),
		"1?create a,1=create a,tree,2?delete b,2=delete b,tree,"
		"3?rename a>b,3=rename a>b,tree,4?subscribe a \"b\\,4=subscribe a \"b\\,tree,"
		"5?unsubscribe INBOX,5=unsubscribe INBOX,tree");
}

static void test_append_forms(void **state)
{
	check(DIALOGUE(C("1 APPEND Sent (\\Seen) \"1-Jan-2020 00:00:00 +0000\" {3}\r\n"),
		      S("+ \r\n"), C("abc\r\n"), S("1 OK [APPENDUID 1 2]\r\n"),
		      C("2 APPEND {4+}\r\nSent {2+}\r\nab (\\Seen) ~{0+}\r\n {3+}\r\n\r\n\r\n"),
		      S("2 OK\r\n"),
		      C("3 APPEND s CATENATE (URL \"/x;UID=1\" TEXT {3+}\r\nabc URL \"/y\")\r\n"),
		      S("3 OK\r\n"), C("4 APPEND s UTF8 (~{2+}\r\nab)\r\n"), S("4 OK\r\n"),
		      C("5 APPEND s {3+}\r\nabc\r\n"), S("5 NO [OVERQUOTA]\r\n")),
		"1?append >Sent,1=append >Sent,mailbox Sent,2?append >Sent,2=append >Sent,"
		"mailbox Sent,3?append >s,3=append >s,mailbox s,4?append >s,4=append >s,"
		"mailbox s,5?append >s,5!append >s,mailbox s");
	/* refused before the message was sent */
	check(DIALOGUE(C("1 APPEND s {3}\r\n"), S("1 NO [TRYCREATE]\r\n"), C("2 NOOP\r\n"),
		      S("2 OK\r\n")),
		"");
	store_is_silent = true;
	check_streams(DIALOGUE(C("1 APPEND s {3+}\r\na"), S("1 NO\r\n"),
			      C("bc {2+}\r\n\r\n {1}\r\n2 CREATE b\r\n"), S("2 OK\r\n")),
		"1?create b,1=create b,tree", "1 APPEND s {3}\r\n2 CREATE b\r\n",
		"1 NO\r\n2 OK\r\n");
	store_is_silent = false;
}

static void test_copy_and_move(void **state)
{
	check(DIALOGUE(IN_A, C("1 UID COPY 1,4 b\r\n"), S("1 OK [COPYUID 7 1,4 8:9] done\r\n"),
		      C("2 COPY 1 {1}\r\n"), S("+ \r\n"), C("c\r\n"), S("2 OK nothing\r\n"),
		      C("3 UID MOVE 2:3 b\r\n"),
		      S("* OK [copyuid 7 3,2 10:11] m\r\n* 1 EXPUNGE\r\n3 ok done\r\n"),
		      C("4 MOVE $ b\r\n"), S("* 1 EXPUNGE\r\n4 OK [COPYUID 7 5 12] done\r\n")),
		"selected a,1?copy a>b,1=copy a>b(7 1-8 4-9),mailbox b,"
		"2?copy a>c,2=copy a>c,mailbox c,"
		"3?move a>b,3=move a>b(7 3-10 2-11),expunged a,mailbox b,"
		"4?move a>b,4=move a>b(7 5-12),expunged a,mailbox b");
}

/* What is marked \\Deleted, no longer so, and expunged. */
static void test_removals(void **state)
{
	tells_removals = true;
	check(DIALOGUE(IN_A, C("1 UID STORE 5:7,9 +FLAGS.SILENT (\\Seen \\deleted)\r\n"),
		      S("1 OK\r\n"), C("2 STORE 1:* FLAGS \\Deleted\r\n"), S("2 OK\r\n"),
		      C("3 UID STORE 5 (UNCHANGEDSINCE 7) -FLAGS (\\Deleted)\r\n"), S("3 OK\r\n"),
		      C("4 STORE 2 FLAGS ()\r\n"), S("4 OK\r\n"),
		      C("5 STORE 2 +FLAGS (x)\r\n6 STORE 3 +FLAGS \\Deleted\r\n"),
		      S("5 OK\r\n6 NO\r\n"), C("7 UID EXPUNGE 1:*\r\n"), S("7 OK\r\n"),
		      C("8 EXPUNGE\r\n"), S("* 1 EXPUNGE\r\n8 OK\r\n"), C("9 CLOSE\r\n"),
		      S("9 OK\r\n")),
		"selected a,mark a uid 5:7,9,mailbox a,mark a 1:*,mailbox a,unmark a uid 5,"
		"mailbox a,unmark a 2,mailbox a,mailbox a,mailbox a,expunge a uid 1:*,expunged a,"
		"expunge a -,expunged a,expunge a -,expunged a");
	/* Of a mailbox that is read only, nothing is. */
	check(DIALOGUE(C("1 EXAMINE a\r\n"), S("1 OK\r\n"), C("2 CLOSE\r\n"), S("2 OK\r\n")),
		"selected a");
	tells_removals = false;
}

static void test_order_of_the_text(void **state)
{
	check(DIALOGUE(IN_A, C("1 UID COPY 1:9 b\r\n"),
		      S("1 OK [COPYUID 4294967295 7:6,2,4294967295 3,9:8,1] x\r\n")),
		"selected a,1?copy a>b,"
		"1=copy a>b(4294967295 6-3 7-8 2-9 4294967295-1),mailbox b");
}

static void test_refused(void **state)
{
	check(DIALOGUE(IN_A, C("1 MOVE 1 b\r\n"), S("* OK [COPYUID 7 1 2]\r\n1 NO partly\r\n"),
		      C("2 MOVE 1 b\r\n"), S("2 BAD\r\n"), C("3 CREATE x\r\n"), S("3 NO\r\n"),
		      C("4 COPY 1 b\r\n"), S("4 BYE\r\n")),
		"selected a,1?move a>b,1!move a>b,expunged a,mailbox b,2?move a>b,2!move a>b,"
		"3?create x,3!create x,tree,4?copy a>b,4~copy a>b");
}

/* REPLACE (RFC 8508) is no move; to rename the INBOX moves its messages; X may be anything. */
static void test_not_announced(void **state)
{
	check(DIALOGUE(IN_A, C("1 REPLACE 1 b {1+}\r\nx\r\n"), S("1 OK\r\n"),
		      C("2 RENAME inbox x\r\n"), S("2 OK\r\n"), C("3 STORE 1 FLAGS ()\r\n"),
		      S("3 OK\r\n"), C("4 MOVE 1\r\n"), S("4 BAD\r\n"), C("5 RENAME a\r\n"),
		      S("5 BAD\r\n"), C("6 X MOVE 1 b\r\n"), S("6 OK\r\n")),
		"selected a,expunged a,mailbox b,unknown,mailbox a,unknown");
}

static void test_selection(void **state)
{
	/* none, examined, failed, left, closed */
	check(DIALOGUE(C("1 COPY 1 b\r\n"), S("1 OK\r\n"), C("2 EXAMINE \"INbox\"\r\n"),
		      S("2 OK\r\n"), C("3 COPY 1 b\r\n"), S("3 OK\r\n"), C("4 SELECT no\r\n"),
		      S("4 NO\r\n"), C("5 COPY 1 b\r\n"), S("5 BAD\r\n"), IN_A, C("6 SELECT (\r\n"),
		      S("6 BAD\r\n"), C("7 MOVE 1 b\r\n"), S("7 BAD\r\n"), C("8 UNSELECT\r\n"),
		      S("8 OK\r\n"), C("9 COPY 1 b\r\n"), S("9 BAD\r\n"), IN_A, C("A CLOSE\r\n"),
		      S("A OK\r\n"), C("B COPY 1 b\r\n"), S("B BAD\r\n")),
		"mailbox b,selected INBOX,1?copy INBOX>b,1=copy INBOX>b,mailbox b,"
		"selected a,2?move a>b,2!move a>b,selected a,expunged a");
	/* a SELECT that is not yet answered may yet be refused */
	check(DIALOGUE(IN_A, C("1 SELECT b\r\n2 COPY 1 c\r\n"), S("1 OK\r\n2 OK\r\n"),
		      C("3 COPY 1 c\r\n4 SELECT d\r\n"), S("3 OK\r\n4 OK\r\n")),
		"selected a,selected b,mailbox c,1?copy b>c,1=copy b>c,mailbox c,selected d");
	/* names that are not certain */
	check(DIALOGUE(C("1 SELECT caf\xc3\xa9\r\n"), S("1 OK\r\n"), C("2 MOVE 1 b\r\n"),
		      S("2 OK\r\n")),
		"unknown,mailbox b");
	check(DIALOGUE(IN_A, C("1 XSELECT b\r\n2 MOVE 1 b\r\n"), S("1 OK\r\n2 OK\r\n")),
		"selected a,unknown,unknown,mailbox b");
}

/* Under which name would it be selected now? */
static void test_selected_is_renamed(void **state)
{
	check(DIALOGUE(C("1 SELECT A/b\r\n"), S("1 OK\r\n"), C("2 RENAME a c\r\n3 MOVE 1 d\r\n"),
		      S("2 OK\r\n3 OK\r\n"), C("4 MOVE 1 d\r\n"), S("4 OK\r\n")),
		"selected A/b,1?rename a>c,1=rename a>c,tree,unknown,mailbox d,unknown,mailbox d");
	check(DIALOGUE(
		      IN_A, C("1 DELETE a\r\n"), S("1 OK\r\n"), C("2 MOVE 1 b\r\n"), S("2 OK\r\n")),
		"selected a,1?delete a,1=delete a,tree,unknown,mailbox b");
	check(DIALOGUE(IN_A, C("1 DELETE b\r\n2 DELETE a\r\n"), S("1 OK\r\n2 NO\r\n"),
		      C("3 COPY 1 b\r\n"), S("3 OK\r\n")),
		"selected a,1?delete b,2?delete a,1=delete b,tree,2!delete a,tree,"
		"3?copy a>b,3=copy a>b,mailbox b");
}

static void test_pipelined(void **state)
{
	check(DIALOGUE(IN_A, C("1 CREATE b\r\n2 UID COPY 1 b\r\n3 NOOP\r\n4 SUBSCRIBE b\r\n"),
		      S("1 OK\r\n2 OK [COPYUID 1 1 1]\r\n3 OK\r\n4 OK\r\n"),
		      C("5 COPY 1 c\r\n6 COPY 2 d\r\n"),
		      S("6 OK [COPYUID 1 2 3]\r\n5 OK [COPYUID 1 1 2]\r\n")),
		"selected a,1?create b,2?copy a>b,3?subscribe b,1=create b,tree,"
		"2=copy a>b(1 1-1),mailbox b,3=subscribe b,tree,4?copy a>c,5?copy a>d,"
		"5=copy a>d(1 2-3),mailbox d,4=copy a>c(1 1-2),mailbox c");
}

/* An untagged COPYUID does not say which MOVE it is of. */
static void test_several_moves(void **state)
{
	/* told while there was one only */
	check(DIALOGUE(IN_A, C("1 MOVE 1 b\r\n"), S("* OK [COPYUID 1 1 1]\r\n"),
		      C("2 MOVE 1 c\r\n"), S("1 OK\r\n* OK [COPYUID 1 2 1]\r\n2 OK\r\n")),
		"selected a,1?move a>b,2?move a>c,1=move a>b(1 1-1),expunged a,mailbox b,"
		"2=move a>c(1 2-1),expunged a,mailbox c");
	/* the first found nothing to move, or did it? */
	check(DIALOGUE(IN_A, C("1 MOVE 1 b\r\n2 MOVE 2 c\r\n"),
		      S("* OK [COPYUID 1 2 1]\r\n1 OK\r\n2 OK\r\n")),
		"selected a,1?move a>b,2?move a>c,1=move a>b,expunged a,mailbox b,"
		"2=move a>c,expunged a,mailbox c");
	check(DIALOGUE(IN_A, C("1 MOVE 1 b\r\n2 MOVE 2 c\r\n"),
		      S("* OK [COPYUID 1 1 1]\r\n1 OK\r\n* OK [COPYUID 1 2 1]\r\n2 OK\r\n")),
		"selected a,1?move a>b,2?move a>c,1=move a>b,expunged a,mailbox b,"
		"2=move a>c,expunged a,mailbox c");
	/* tagged, there is no doubt */
	check(DIALOGUE(IN_A, C("1 MOVE 1 b\r\n2 MOVE 2 c\r\n"),
		      S("1 OK [COPYUID 1 1 1]\r\n2 OK [COPYUID 1 2 1]\r\n")),
		"selected a,1?move a>b,2?move a>c,1=move a>b(1 1-1),expunged a,mailbox b,"
		"2=move a>c(1 2-1),expunged a,mailbox c");
	/* two of one MOVE, however they are told */
	check(DIALOGUE(IN_A, C("1 MOVE 1:2 b\r\n"),
		      S("* OK [COPYUID 1 1 1]\r\n* OK [COPYUID 1 2 2]\r\n1 OK\r\n"),
		      C("2 MOVE 1:2 b\r\n"), S("* OK [COPYUID 1 3 3]\r\n2 OK [COPYUID 1 3 3]\r\n")),
		"selected a,1?move a>b,1=move a>b,expunged a,mailbox b,"
		"2?move a>b,2=move a>b,expunged a,mailbox b");
	/* a command that might move as well */
	check(DIALOGUE(IN_A, C("1 MOVE 1 b\r\n2 XMOVE 1 b\r\n"),
		      S("* OK [COPYUID 1 1 1]\r\n1 OK\r\n2 OK\r\n")),
		"selected a,1?move a>b,1=move a>b,expunged a,mailbox b,unknown");
	/* Found by fuzzing: the code in the answer to what copies nothing. */
	check(DIALOGUE(C("1 CREATE b\r\n"), S("1 OK [COPYUID 1 1 1]\r\n")),
		"1?create b,1=create b,tree");
	/* none at all, and not of a COPY */
	check(DIALOGUE(IN_A, S("* OK [COPYUID 1 1 1]\r\n"), C("1 COPY 1 b\r\n"),
		      S("* OK [COPYUID 1 1 1]\r\n* NO [COPYUID 1 1 1]\r\n1 OK\r\n")),
		"selected a,1?copy a>b,1=copy a>b,mailbox b");
}

static void test_useless_copyuid(void **state)
{
	static const char *const codes[] = {"[COPYUID 1 1 1", "[COPYUID 1 1:2 1]",
		"[COPYUID 0 1 1]", "[COPYUID 1 * 1]", "[COPYUID 1 0 1]", "[COPYUID 1 1]",
		"[COPYUID 1 1 1 1]", "[COPYUID  ]", "[COPYUID]", "[COPYUID x 1 1]",
		"[COPYUID 1 \"1\" 1]", "[COPYUID 1 1, 1,]", "[COPYUID 4294967296 1 1]",
		"[COPYUIDX 1 1 1]", "[COPYUI 1 1 1]", "x [COPYUID 1 1 1]", "[UIDNOTSTICKY]",
		"[COPYUID 1 1:4294967295 1:4294967295]"};
	char line[80];

	for (size_t i = 0; i < ARRAY_LEN(codes); i++) {
		(void)snprintf(line, sizeof(line), "1 OK %s\r\n", codes[i]);
		check(DIALOGUE(IN_A, C("1 COPY 1 b\r\n"), S(line)),
			"selected a,1?copy a>b,1=copy a>b,mailbox b");
	}
}

static void test_names(void **state)
{
	static const struct {
		const char *argument, *name; /* NULL: not certain */
		bool unclear; /* where the command ends, neither */
	} table[] = {
		{"a", "a"},
		{"a]b", "a]b"},
		{"&AOk-", "&AOk-"},
		{"\"a(b) {3}%*\"", "a(b) {3}%*"},
		{"{5+}\r\na\"b{1", "a\"b{1"},
		{"iNBOX", "INBOX"},
		{"Inboxes", "Inboxes"},
		{"\"\"", NULL},
		{"{0+}\r\n", NULL},
		{"a\"b", NULL},
		{"a%", NULL},
		{"a\\b", NULL},
		{"a{1", NULL, true},
		{"a{1}", NULL, true},
		{"{1}x", NULL, true},
		{"(a)", NULL},
		{"a(b)", NULL},
		{"\"a\\b\"", NULL},
		{"\"a\tb\"", NULL},
		{"\"a\x7f\"", NULL},
		{"\"caf\xc3\xa9\"", NULL},
		{"caf\xc3\xa9", NULL},
		{"{2+}\r\n\r\n", NULL},
	};
	char line[80], told[80];

	for (size_t i = 0; i < ARRAY_LEN(table); i++) {
		const char *name = table[i].name;

		(void)snprintf(line, sizeof(line), "1 CREATE %s\r\n", table[i].argument);
		(void)snprintf(told, sizeof(told), "1?create %s,1=create %s,tree", name, name);
		check(DIALOGUE(C(line), S("1 OK\r\n")), name != NULL	   ? told
							: table[i].unclear ? "unknown"
									   : "tree");
	}
}

static void test_utf8_names(void **state)
{
	static const char *const extensions[] = {"UTF8=ACCEPT", "imap4REV2", "X UTF8=ACCEPT"};
	char ask[40], enabled[40];

	for (size_t i = 0; i < ARRAY_LEN(extensions); i++) {
		(void)snprintf(ask, sizeof(ask), "1 ENABLE %s\r\n", extensions[i]);
		(void)snprintf(enabled, sizeof(enabled), "* ENABLED %s\r\n", extensions[i]);
		check(DIALOGUE(C(ask), C("2 CREATE \"\xc3\xa9\"\r\n3 CREATE &AOk-\r\n"), S(enabled),
			      S("1 OK\r\n2 OK\r\n3 OK\r\n"), C("4 CREATE \"caf\xc3\xa9\"\r\n"),
			      S("4 OK\r\n"), C("5 SELECT {3+}\r\n\xc3\xa9z\r\n"), S("5 OK\r\n"),
			      C("6 MOVE 1 \"\xe2\x82\xac\"\r\n"), S("6 OK\r\n"),
			      C("7 CREATE &AOk-\r\n"), S("7 OK\r\n"), C("8 CREATE \"\xc3\"\r\n"),
			      S("8 OK\r\n"), C("9 CREATE caf\xc3\xa9\r\n"), S("9 OK\r\n"),
			      C("A CREATE x\r\n"), S("A OK\r\n")),
			"tree,tree,1?create caf&AOk-,1=create caf&AOk-,tree,selected &AOk-z,"
			"2?move &AOk-z>&IKw-,2=move &AOk-z>&IKw-,expunged &AOk-z,mailbox &IKw-,"
			"tree,tree,tree,3?create x,3=create x,tree");
	}
	/* not enabled, not asked for, or not that */
	check(DIALOGUE(C("1 ENABLE UTF8=ACCEPT CONDSTORE\r\n"),
		      S("* ENABLED CONDSTORE BYE\r\n1 OK\r\n"), C("2 CREATE \"\xc3\xa9\"\r\n"),
		      S("2 OK\r\n"), C("3 CREATE &AOk-\r\n"), S("3 OK\r\n")),
		"tree,tree");
	check(DIALOGUE(S("* ENABLED UTF8=ACCEPT\r\n"), C("1 ENABLE UTF8=ACCEPTED\r\n"),
		      S("* ENABLED UTF8=ACCEPTEDXXXXXX\r\n"), C("2 CREATE &AOk-\r\n"),
		      S("2 OK\r\n")),
		"1?create &AOk-,1=create &AOk-,tree");
}

/* What the server might take for something else, or never answer. */
static void test_odd_commands(void **state)
{
	check(DIALOGUE(C("5 CREATE a {1-}\r\n"), S("5 OK\r\n"), C("6 CREATE a b{1}\r\n"),
		      S("6 OK\r\n"), C("7 CREATE a {1} b\r\n"), S("7 OK\r\n"),
		      C("A CREATE \"a\r\n"), S("A BAD\r\n"), C("B CREATE \"a\\\r\n"),
		      S("B BAD\r\n"), C("C CREATE a\n"), S("C OK\n")),
		"unknown,unknown,unknown,1?create a,1=create a,tree");
	/* a client that does not wait for "+" */
	check(DIALOGUE(C("1 CREATE {1}\r\na\r\n"), S("+ \r\n1 OK\r\n")),
		"1?create a,1=create a,tree");
}

static void test_repeated_tag(void **state)
{
	check(DIALOGUE(C("1 CREATE a\r\n2 CREATE b\r\n1 CREATE c\r\n"),
		      S("1 OK\r\n1 OK\r\n2 OK\r\n"), C("1 CREATE d\r\n"), S("1 OK\r\n")),
		"1?create a,2?create b,1~create a,tree,tree,2=create b,tree,"
		"3?create d,3=create d,tree");
	/* Of commands that change nothing, too: the first OK was taken for the other one's, and a
	 * renaming that was refused here was done at the remote. */
	check(DIALOGUE(C("1 NOOP\r\n1 RENAME a b\r\n"), S("1 OK\r\n1 NO\r\n")), "tree");
	check(DIALOGUE(C("1 RENAME a b\r\n1 UID FETCH 1 FLAGS\r\n"), S("1 OK\r\n1 NO\r\n")),
		"1?rename a>b,1~rename a>b,tree");
}

static void say(struct run *run, void (*to)(struct run *, const char *, size_t), const char *text)
{
	to(run, text, strlen(text));
}

static void test_announced_before_the_last_byte_is_passed(void **state)
{
	static const char command[] = "1 CREATE x\r\n", answer[] = "1 OK\r\n";
	enum observer_verdict verdict;
	struct run run;

	run_init(&run);
	client(&run, command, sizeof(command) - 2);
	assert_buf(&run.told, "");
	assert_int_equal(observer_client(run.observer, "\n", 1, &verdict), 1);
	assert_buf(&run.told, "1?create x");
	server(&run, answer, sizeof(answer) - 2);
	assert_buf(&run.told, "1?create x");
	assert_int_equal(observer_server(run.observer, "\n", 1, false, &verdict), 1);
	assert_buf(&run.told, "1?create x,1=create x,tree");
	run_done(&run);
}

/* Of two commands in one read, the first is announced and passed on before the second. */
static void test_announced_one_by_one(void **state)
{
	static const char commands[] = "1 CREATE x\r\n2 CREATE y\r\n";
	enum observer_verdict verdict;
	struct run run;
	size_t at = 0;

	run_init(&run);
	while (at < 12)
		at += observer_client(
			run.observer, commands + at, sizeof(commands) - 1 - at, &verdict);
	assert_int_equal(at, 12);
	assert_buf(&run.told, "1?create x");
	run_done(&run);
}

static void test_unanswered_at_the_end(void **state)
{
	struct run run;

	run_init(&run);
	say(&run, client, "1 CREATE x\r\n2 SUBSCRIBE x\r\n3 CREATE z");
	say(&run, server, "2 OK\r\n1 OK");
	run.observer = observer_free(run.observer);
	assert_buf(&run.told, "1?create x,2?subscribe x,2=subscribe x,tree,1~create x,unknown");
	run_done(&run);
}

static void test_too_many_commands(void **state)
{
	char line[40];
	struct run run;

	run_init(&run);
	say(&run, client, "s SELECT x\r\n");
	say(&run, server, "s OK\r\n");
	for (int i = 0; i < LIMIT_OBSERVED_COMMANDS; i++) {
		(void)snprintf(line, sizeof(line), "t%d STORE 1 FLAGS ()\r\n", i);
		say(&run, client, line);
	}
	buf_clear(&run.told);
	say(&run, client, "1 CREATE a\r\n2 MOVE 1 b\r\n");
	assert_buf(&run.told, ""); /* it waits until there is a place */
	say(&run, server, "t0 OK\r\n");
	assert_buf(&run.told, "mailbox x,1?create a");
	buf_clear(&run.told);
	say(&run, server, "1 OK\r\n");
	assert_buf(&run.told, "1=create a,tree,2?move x>b");
	run_done(&run);
}

/* A code of up to LIMIT_OBSERVED_CODE bytes is kept. */
static void test_long_copyuid(void **state)
{
	enum { COUNT = 110000 };
	struct run run;
	struct buf code;

	for (int longer = 0; longer < 2; longer++) {
		run_init(&run);
		buf_init(&code, 4 << 20);
		say(&run, client, "s SELECT a\r\n");
		say(&run, server, "s OK\r\n");
		say(&run, client, "1 UID MOVE 1:* b\r\n");
		for (int i = 1; i <= COUNT; i++)
			assert_true(buf_printf(&code, "%s%u", i == 1 ? "* OK [COPYUID 7 " : ",",
				(unsigned)i * (longer ? 40000U : 1U)));
		assert_true(buf_printf(&code, " 1:%d] moved\r\n", COUNT));
		for (size_t at = 0; at < buf_len(&code); at += 1000)
			server(&run, buf_data(&code) + at,
				buf_len(&code) - at < 1000 ? buf_len(&code) - at : 1000);
		say(&run, server, "1 OK\r\n");
		assert_buf(&run.told,
			longer ? "selected a,1?move a>b,1=move a>b,expunged a,mailbox b"
			       : "selected a,1?move a>b,1=move a>b(7 1-1 2-2 3-3 4-4 5-5 6-6 "
				 "7-7 8-8 9-9 10-10),expunged a,mailbox b");
		buf_done(&code);
		run_done(&run);
	}
}

/* More messages than are followed, in a short code. */
static void test_many_copies(void **state)
{
	char line[80];

	for (unsigned more = 0; more < 2; more++) {
		struct run run;

		run_init(&run);
		say(&run, client, "s SELECT a\r\n");
		say(&run, server, "s OK\r\n");
		say(&run, client, "1 COPY 1:* b\r\n");
		(void)snprintf(line, sizeof(line), "1 OK [COPYUID 7 1:%u 1:%u]\r\n",
			LIMIT_COPIED_UIDS + more, LIMIT_COPIED_UIDS + more);
		say(&run, server, line);
		assert_true(buf_putc(&run.told, '\0'));
		assert_int_equal(strstr(buf_data(&run.told), "(7 1-1 2-2") != NULL, more == 0);
		run_done(&run);
	}
}

/* Tickets are of the process, not of the connection. */
static void test_tickets(void **state)
{
	struct run one, other;

	run_init(&one);
	run_init(&other);
	say(&one, client, "1 CREATE a\r\n");
	say(&other, client, "1 CREATE a\r\n");
	say(&one, client, "2 CREATE b\r\n");
	assert_true(one.open[0] > 0 && other.open[0] > one.open[0]);
	assert_true(one.open[1] > other.open[0]);
	run_done(&one);
	run_done(&other);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_kinds),
		cmocka_unit_test(test_append_forms),
		cmocka_unit_test(test_copy_and_move),
		cmocka_unit_test(test_order_of_the_text),
		cmocka_unit_test(test_removals),
		cmocka_unit_test(test_refused),
		cmocka_unit_test(test_not_announced),
		cmocka_unit_test(test_selection),
		cmocka_unit_test(test_selected_is_renamed),
		cmocka_unit_test(test_pipelined),
		cmocka_unit_test(test_several_moves),
		cmocka_unit_test(test_useless_copyuid),
		cmocka_unit_test(test_names),
		cmocka_unit_test(test_utf8_names),
		cmocka_unit_test(test_odd_commands),
		cmocka_unit_test(test_repeated_tag),
		cmocka_unit_test(test_announced_before_the_last_byte_is_passed),
		cmocka_unit_test(test_announced_one_by_one),
		cmocka_unit_test(test_unanswered_at_the_end),
		cmocka_unit_test(test_too_many_commands),
		cmocka_unit_test(test_long_copyuid),
		cmocka_unit_test(test_many_copies),
		cmocka_unit_test(test_tickets),
	};

	tells_actions = true;
	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
