/* SPDX-License-Identifier: MIT */
/*
 * How long an answer is waited for.  Any byte that came, or left, began the wait anew: a server
 * that sent a line every other second, or a byte of a literal every five, was never given up.
 */
#include "client-fixture.h"

static void test_silence(void **state)
{
	give("a", "NOOP");
	expect("1 NOOP");
	pass_seconds(LIMIT_SILENCE_SECONDS - 10);
	expect_nothing();
	pass_seconds(20);
	expect_lost("a:LOST lost", "no answer to NOOP within 120 seconds");
	assert_true(client_was_silent(client));
}

static void test_other_ends_are_no_silence(void **state)
{
	give("a", "NOOP");
	expect("1 NOOP");
	wire_hang_up();
	expect_lost("a:LOST lost", "the server closed the connection");
	assert_false(client_was_silent(client));
}

static void test_silence_while_nothing_is_due(void **state)
{
	give_kind("idle", "IDLE", COMMAND_IDLE);
	expect("1 IDLE");
	say("+ idling");
	for (int i = 0; i < 5; i++) {
		pass_seconds(LIMIT_SILENCE_SECONDS);
		expect_nothing();
	}
	client_end_idle(client);
	expect("DONE");
	pass_seconds(LIMIT_SILENCE_SECONDS - 10);
	expect_nothing();
	pass_seconds(20);
	expect_lost("idle:LOST lost", "no answer to IDLE within 120 seconds");
}

/* It counts from when the command was given, however long nothing was due before. */
static void test_silence_after_a_rest(void **state)
{
	pass_seconds(LIMIT_SILENCE_SECONDS - 10);
	expect_nothing();
	give("a", "NOOP");
	expect("1 NOOP");
	pass_seconds(LIMIT_SILENCE_SECONDS - 10);
	expect_nothing();
	say("1 OK done");
	expect_events("a:OK");
}

static void test_less_patience(void **state)
{
	int fds[2];

	client = client_free(client);
	wire_done();
	wire_init(false);
	make_pair(fds);
	wire_open(fds[0]);
	client = client_new(&loop, "remote", &owner);
	client_set_patience(client, 30);
	client_attach(client, fds[1]);
	give("a", "LIST \"\" *");
	expect("1 LIST \"\" *");
	pass_seconds(25);
	expect_nothing();
	pass_seconds(10);
	expect_lost("a:LOST lost", "no answer to LIST within 30 seconds");
}

/* Each command has its own time, once those before it are answered. */
static void test_each_its_own(void **state)
{
	for (int i = 0; i < 4; i++)
		give("a", "NOOP");
	expect("1 NOOP\r\n2 NOOP\r\n3 NOOP\r\n4 NOOP");
	for (int i = 1; i <= 4; i++) {
		_cleanup_free_ char *answer = xasprintf("%d OK done", i);

		pass_seconds(LIMIT_SILENCE_SECONDS - 10);
		say(answer);
		expect_events("a:OK");
	}
}

/* What the server answers to those behind it does not tell that it will answer the oldest. */
static void test_only_the_oldest(void **state)
{
	for (int i = 0; i < 4; i++)
		give("a", "NOOP");
	expect("1 NOOP\r\n2 NOOP\r\n3 NOOP\r\n4 NOOP");
	for (int i = 4; i > 2; i--) {
		_cleanup_free_ char *answer = xasprintf("%d OK done", i);

		pass_seconds(50);
		say(answer);
		expect_events("a:OK");
	}
	pass_seconds(25);
	expect_lost("a:LOST a:LOST lost",
		"the answer to NOOP does not get on: 22 bytes in 125 seconds");
}

/* A server may say that it is at work, for a good while. */
static void test_progress(void **state)
{
	static const char *const lines[] = {"* OK Still here",
		"* OK [INPROGRESS (\"1\" 10 100)] copying", "* OK Searched 45% of the mailbox"};
	int seconds = 0;

	give("a", "UID SEARCH BODY x");
	expect("1 UID SEARCH BODY x");
	for (; seconds < LIMIT_PROGRESS_SECONDS; seconds += 30) {
		pass_seconds(30);
		say(lines[seconds / 30 % 3]);
		expect_events("owner<type2");
	}
	pass_seconds(LIMIT_SILENCE_SECONDS - 10);
	expect_nothing();
	pass_seconds(5);
	say(lines[0]); /* it has said so long enough */
	expect_events("owner<type2");
	pass_seconds(10);
	expect_lost("a:LOST lost", "no answer to UID SEARCH within 1025 seconds, but for words");
}

/* The answer to a command gives the next one all its time. */
static void test_progress_of_each(void **state)
{
	give("a", "UID SEARCH BODY x");
	give("b", "UID SEARCH BODY y");
	expect("1 UID SEARCH BODY x\r\n2 UID SEARCH BODY y");
	for (int command = 1; command <= 2; command++) {
		_cleanup_free_ char *answer = xasprintf("%d OK done", command);

		for (int i = 0; i < LIMIT_PROGRESS_SECONDS / 100; i++) {
			pass_seconds(100);
			say("* OK Still here");
			expect_events("owner<type2");
		}
		say(answer);
		expect_events(command == 1 ? "a:OK" : "b:OK");
	}
}

/* Lines that are no answer, and say nothing of one. */
static void test_lines_of_nobody(void **state)
{
	int seconds = 0;

	give("a", "NOOP");
	expect("1 NOOP");
	for (; seconds < LIMIT_SILENCE_SECONDS - 10; seconds += 10) {
		pass_seconds(10);
		say("* STATUS INBOX (MESSAGES 1 UIDNEXT 100 UIDVALIDITY 1 HIGHESTMODSEQ 1000000)");
		expect_events("owner<type6");
	}
	pass_seconds(20);
	run_ready();
	assert_non_null(lost_reason);
	assert_non_null(strstr(lost_reason, "the answer to NOOP does not get on: "));
	expect_events("a:LOST lost");
}

/* Lines of the answer, but so few that it will never end. */
static void test_drip_of_lines(void **state)
{
	int lines = 0;

	give("a", "UID FETCH 1:* (FLAGS)")->takes = true;
	expect("1 UID FETCH 1:* (FLAGS)");
	while (lost_reason == NULL && lines < 200) {
		lines++;
		pass_seconds(2);
		say("* 1 FETCH (UID 1 FLAGS ())");
		run_ready();
	}
	assert_in_range(lines, LIMIT_SILENCE_SECONDS / 2, LIMIT_SILENCE_SECONDS);
	assert_non_null(strstr(lost_reason, "the answer to UID FETCH does not get on: "));
}

/* A server that needs a second for each message is slow, and no more than that. */
static void test_slow_lines(void **state)
{
	give("a", "UID FETCH 1:* (X)")->takes = true;
	expect("1 UID FETCH 1:* (X)");
	for (int i = 1; i <= 300; i++) {
		pass_seconds(2);
		say("* 1 FETCH (UID 1 FLAGS (\\Seen) INTERNALDATE \"01-Feb-2021 10:00:00 +0000\" "
		    "RFC822.SIZE 2000 BODY[HEADER.FIELDS (MESSAGE-ID)] \"Message-ID: <1@x>\")");
		expect_events("a<1");
	}
	say("1 OK done");
	expect_events("a:OK");
}

/* --- Messages --- */

/* Sends `size` bytes of a message and runs until they have been read. */
static void say_body(size_t size)
{
	static char data[4096];
	uint64_t before = stream_bytes_received(client_stream(client));

	memset(data, 'x', sizeof(data));
	say_bytes(data, size);
	RUN_UNTIL(client_stream(client) == NULL ||
		  stream_bytes_received(client_stream(client)) >= before + size);
}

static void fetch_message(struct view *view)
{
	give_select("s", "INBOX", view);
	expect("1 SELECT INBOX");
	say("1 OK done");
	expect_events("s:OK");
	give_fetch("a", "UID FETCH 1 BODY.PEEK[]");
	expect("2 UID FETCH 1 BODY.PEEK[]");
}

/* 2 KB/s: a message of 8 MiB takes an hour. */
static void test_slow_body(void **state)
{
	enum { SIZE = 8 << 20, PIECE = 4096 };
	struct view view = {0};

	fetch_message(&view);
	say("* 1 FETCH (UID 1 BODY[] {8388608}");
	for (int i = 0; i < SIZE / PIECE; i++) {
		pass_seconds(2);
		say_body(PIECE);
	}
	say(")");
	say("2 OK done");
	expect_events("body a<1 a:OK");
}

static void test_drip_of_bytes(void **state)
{
	struct view view = {0};
	int bytes = 0;

	fetch_message(&view);
	say("* 1 FETCH (UID 1 BODY[] {1000}");
	while (lost_reason == NULL && bytes < 100) {
		bytes++;
		pass_seconds(5);
		say_body(1);
		run_ready();
	}
	assert_in_range(bytes, 20, 30);
	expect_events("a:LOST lost");
	assert_non_null(strstr(lost_reason, "the answer to UID FETCH does not get on: "));
}

/* One that nobody asked for keeps no answer waiting. */
static void test_body_of_nobody(void **state)
{
	int seconds = 0;

	give("a", "NOOP");
	expect("1 NOOP");
	say("* 1 FETCH (UID 1 BODY[] {100000000}");
	while (lost_reason == NULL && seconds < 4 * LIMIT_PROGRESS_SECONDS) {
		seconds += 10;
		pass_seconds(10);
		say_body(1000);
		run_ready();
	}
	assert_in_range(seconds, LIMIT_PROGRESS_SECONDS,
		LIMIT_PROGRESS_SECONDS + LIMIT_SILENCE_SECONDS + 20);
}

/* A line without an end is no answer either. */
static void test_endless_line(void **state)
{
	static const char piece[] = "1000000:1000010,2000000:2000010,3000000:3000010,";
	int seconds = 0;

	give("a", "NOOP");
	expect("1 NOOP");
	say_bytes("* VANISHED (EARLIER) ", 21);
	while (lost_reason == NULL && seconds < 4 * LIMIT_PROGRESS_SECONDS) {
		seconds += 1;
		pass_seconds(1);
		for (int i = 0; i < 2; i++)
			say_bytes(piece, strlen(piece));
		run_ready();
	}
	assert_in_range(seconds, LIMIT_PROGRESS_SECONDS,
		LIMIT_PROGRESS_SECONDS + LIMIT_SILENCE_SECONDS + 20);
}

/* A message on its way out: what the server's machine takes counts, not what the kernel holds. */
static void test_slow_upload(void **state)
{
	/* A socket pair holds some 200 KB, and tells how many only roughly. */
	enum { SIZE = 8 << 20, STEP = 400 << 10 };
	struct spool *spool = spool_new(SIZE);
	static char data[SIZE];
	struct probe *probe = prepare("a", "APPEND x ");

	memset(data, 'x', SIZE);
	assert_int_equal(spool_write(spool, data, SIZE), 0);
	command_spool(&probe->command, spool);
	submit(probe);
	expect("1 APPEND x {8388608}");
	say("+ go on");
	run_ready();
	while (buf_len(&wire.got) < SIZE) {
		size_t before = buf_len(&wire.got);

		stream_want_read(wire.stream, false);
		pass_seconds(100);
		run_ready();
		assert_null(lost_reason);
		stream_want_read(wire.stream, true);
		RUN_UNTIL(buf_len(&wire.got) > before + STEP || buf_len(&wire.got) >= SIZE);
	}
	say("1 OK done");
	expect_events("a:OK");
	(void)spool_free(spool);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		BOTH(test_silence),
		BOTH(test_other_ends_are_no_silence),
		BOTH(test_silence_while_nothing_is_due),
		BOTH(test_silence_after_a_rest),
		cmocka_unit_test_setup_teardown(test_less_patience, setup, teardown),
		BOTH(test_each_its_own),
		BOTH(test_only_the_oldest),
		BOTH(test_progress),
		BOTH(test_progress_of_each),
		BOTH(test_lines_of_nobody),
		BOTH(test_drip_of_lines),
		BOTH(test_slow_lines),
		cmocka_unit_test_setup_teardown(test_slow_body, setup, teardown),
		cmocka_unit_test_setup_teardown(test_drip_of_bytes, setup, teardown),
		cmocka_unit_test_setup_teardown(test_body_of_nobody, setup, teardown),
		cmocka_unit_test_setup_teardown(test_endless_line, setup, teardown),
		cmocka_unit_test_setup_teardown(test_slow_upload, setup, teardown),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
