/* SPDX-License-Identifier: MIT */
/* A session from the dial to the authenticated state, against a server that the test plays. */
#include "session-fixture.h"

#include <stdio.h>

#include "sync/base/log.h"

/* --- Greetings --- */

static void test_plain_login(void **state)
{
	start();
	expect_nothing(); /* the server speaks first */
	say("* OK hello");
	expect("1 CAPABILITY");
	say("* CAPABILITY IMAP4rev1 SASL-IR AUTH=PLAIN\r\n1 OK done");
	expect("2 AUTHENTICATE PLAIN " PLAIN);
	expect_nothing();
	say("2 OK [CAPABILITY " READY_CAPABILITIES "] in");
	expect_events("ready");
	expect("3 ENABLE QRESYNC");
	assert_true(session_has(session, "QRESYNC"));
	assert_false(session_has(session, "AUTH=PLAIN"));
	say("* ENABLED QRESYNC\r\n3 OK done");
	RUN_UNTIL(client_is_idle(session_client(session)));
}

/* What the greeting tells is not asked for. */
static void test_capabilities_in_the_greeting(void **state)
{
	start();
	say("* OK [CAPABILITY IMAP4rev1 SASL-IR AUTH=PLAIN] hello");
	expect("1 AUTHENTICATE PLAIN " PLAIN);
	say("1 OK in"); /* no capabilities: they may have changed */
	expect("2 CAPABILITY");
	say("* CAPABILITY " READY_CAPABILITIES "\r\n2 OK done");
	expect_events("ready");
	expect("3 ENABLE QRESYNC");
}

static void test_capabilities_before_the_ok(void **state)
{
	start();
	say("* OK [CAPABILITY IMAP4rev1 SASL-IR AUTH=PLAIN] hello");
	expect("1 AUTHENTICATE PLAIN " PLAIN);
	say("* CAPABILITY " READY_CAPABILITIES "\r\n1 OK in");
	expect("2 CAPABILITY");
	say("* CAPABILITY " READY_CAPABILITIES " SPECIAL-USE\r\n2 OK done");
	expect_events("ready");
	assert_true(session_has(session, "SPECIAL-USE"));
}

static void test_preauth(void **state)
{
	options.username = options.password = NULL;
	start();
	say("* PREAUTH hello");
	expect("1 CAPABILITY");
	say("* CAPABILITY " READY_CAPABILITIES "\r\n1 OK done");
	expect_events("ready");
	expect("2 ENABLE QRESYNC");
}

static void test_preauth_with_capabilities(void **state)
{
	become_ready("");
	expect_nothing();
}

/* For a mail client's own connection nothing is enabled. */
static void test_without_enable(void **state)
{
	options.enable_qresync = false;
	start();
	say("* PREAUTH [CAPABILITY IMAP4rev1] hello");
	expect_events("ready");
	expect_nothing();
}

static void test_bye_greeting(void **state)
{
	start();
	say("* BYE [UNAVAILABLE] too busy");
	expect_lost(SESSION_FAILURE_NETWORK, "the server ended the connection: too busy");
}

static void refuse_greeting(const char *greeting, const char *reason)
{
	start();
	say(greeting);
	expect_lost(SESSION_FAILURE_NETWORK, reason);
}

static void test_other_greetings(void **state)
{
	static const struct {
		const char *greeting, *reason;
	} cases[] = {
		{"HTTP/1.1 400 Bad Request",
			"the server sent something that is not IMAP: HTTP/1.1 400 Bad Request"},
		{"220 mail.example ESMTP",
			"the server sent something that is not IMAP: 220 mail.example ESMTP"},
		{"SSH-2.0-OpenSSH_9.2",
			"the server sent something that is not IMAP: SSH-2.0-OpenSSH_9.2"},
		{"+ hello", "the server asked for more where nothing was to come"},
		{"1 OK hello", "the server answered a command that was not given"},
		{"* NO go away", "the server did not greet: go away"},
		{"* BAD go away", "the server did not greet: go away"},
		{"* CAPABILITY IMAP4rev1", "the server did not greet: "},
	};

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		refuse_greeting(cases[i].greeting, cases[i].reason);
		session = session_free(session);
		wire_hang_up();
		wire.eof = false;
		free(take(lost_reason));
	}
}

static void test_hang_up_before_the_greeting(void **state)
{
	start();
	wire_hang_up();
	expect_lost(SESSION_FAILURE_NETWORK, "the server closed the connection");
}

static void test_hang_up_while_logging_in(void **state)
{
	start();
	say("* OK [CAPABILITY IMAP4rev1 SASL-IR AUTH=PLAIN] hello");
	expect("1 AUTHENTICATE PLAIN " PLAIN);
	wire_hang_up();
	expect_lost(SESSION_FAILURE_NETWORK, "the server closed the connection");
}

static void test_nobody_listens(void **state)
{
	(void)close(listener);
	session = session_new(&loop, worker, &options, &handler);
	assert_int_equal(buf_len(&wire.events), 0); /* from the loop, not from the call */
	expect_events("lost");
	assert_int_equal(lost_failure, SESSION_FAILURE_UNREACHABLE);
	assert_non_null(strstr(lost_reason, socket_path));
}

static void expect_deadline(const char *reason)
{
	pass_seconds(LIMIT_GREETING_SECONDS - 5);
	expect_nothing();
	pass_seconds(10);
	expect_lost(SESSION_FAILURE_NETWORK, reason);
}

static void test_no_greeting(void **state)
{
	start();
	expect_deadline("no greeting within 30 seconds");
}

static void test_no_capabilities(void **state)
{
	start();
	pass_seconds(LIMIT_GREETING_SECONDS - 5);
	say("* OK hello");
	expect("1 CAPABILITY");
	/* Each step has its own time. */
	expect_deadline("no answer to CAPABILITY within 30 seconds");
}

static void test_no_answer_to_the_login(void **state)
{
	start();
	say("* OK [CAPABILITY IMAP4rev1 SASL-IR AUTH=PLAIN] hello");
	expect("1 AUTHENTICATE PLAIN " PLAIN);
	expect_deadline("no answer to the login within 30 seconds");
}

/* Once it is ready, only an answer that is due can be late. */
static void test_no_deadline_when_ready(void **state)
{
	become_ready("");
	for (int i = 0; i < 5; i++) {
		pass_seconds(LIMIT_SILENCE_SECONDS);
		expect_nothing();
	}
}

static void test_capability_is_refused(void **state)
{
	start();
	say("* OK hello");
	expect("1 CAPABILITY");
	say("1 BAD what?");
	expect_lost(
		SESSION_FAILURE_REFUSED, "the server does not tell its capabilities (BAD: what?)");
}

static void test_capability_without_any(void **state)
{
	start();
	say("* OK hello");
	expect("1 CAPABILITY");
	say("1 OK nothing");
	expect_lost(
		SESSION_FAILURE_REFUSED, "the server does not tell its capabilities (OK: nothing)");
}

/* --- Freed at any time --- */

static void test_freed_while_dialling(void **state)
{
	session = session_new(&loop, worker, &options, &handler);
	session = session_free(session);
	expect_nothing();
	assert_null(session_free(NULL));
}

static void test_freed_while_logging_in(void **state)
{
	start();
	say("* OK hello");
	expect("1 CAPABILITY");
	session = session_free(session);
	RUN_UNTIL(wire.eof);
	expect_nothing();
}

static void test_freed_when_lost(void **state)
{
	free_when_lost = true;
	start();
	say("* OK [CAPABILITY IMAP4rev1 LOGINDISABLED] hello");
	expect_events("lost");
	assert_null(session);
	expect_nothing();
}

/* --- Capabilities --- */

static void test_has(void **state)
{
	become_ready("xa Special-Use AUTH=SCRAM-SHA-256 STATUS=SIZE");
	assert_true(session_has(session, "SPECIAL-USE"));
	assert_true(session_has(session, "special-use"));
	assert_true(session_has(session, "XA"));
	assert_true(session_has(session, "STATUS=SIZE"));
	assert_true(session_has(session, "IMAP4REV1"));
	assert_false(session_has(session, "SPECIAL"));
	assert_false(session_has(session, "USE"));
	assert_false(session_has(session, "STATUS"));
	assert_false(session_has(session, "MOVE"));
	assert_non_null(strstr(session_capabilities(session), "QRESYNC"));
	say("* CAPABILITY IMAP4rev1 MOVE");
	expect_events("untagged3");
	assert_true(session_has(session, "MOVE"));
	assert_false(session_has(session, "QRESYNC"));
}

static void test_missing_extensions(void **state)
{
	start();
	say("* PREAUTH [CAPABILITY IMAP4rev1 ENABLE CONDSTORE LIST-EXTENDED] hello");
	expect_lost(SESSION_FAILURE_REFUSED,
		"the server lacks what synchronisation needs: QRESYNC, UIDPLUS, "
		"LIST-STATUS (or NOTIFY)");
}

/* A server with NOTIFY was refused for want of LIST-STATUS, against the manual. */
static void test_notify_for_list_status(void **state)
{
	start();
	say("* PREAUTH [CAPABILITY IMAP4rev1 ENABLE QRESYNC UIDPLUS LIST-EXTENDED NOTIFY] hello");
	expect_events("ready");
	expect("1 ENABLE QRESYNC");
}

/* RFC 5161 section 3.1: OK is said in any case.  What followed went to a server without QRESYNC. */
static void test_enable_enables_nothing(void **state)
{
	static const char *const answers[] = {
		"1 OK done", "* ENABLED\r\n1 OK done", "* ENABLED CONDSTORE\r\n1 OK done"};

	for (size_t i = 0; i < ARRAY_LEN(answers); i++) {
		start();
		say("* PREAUTH [CAPABILITY " READY_CAPABILITIES "] hello");
		expect_events("ready");
		expect("1 ENABLE QRESYNC");
		say(answers[i]);
		expect_lost(SESSION_FAILURE_REFUSED,
			"the server does not enable QRESYNC, although it offers it");
		session = session_free(session);
		wire_hang_up();
		wire.eof = false;
		free(take(lost_reason));
	}
}

static char shown[400];

static void on_log_line(struct log_tap *tap, enum log_level level,
	const struct log_context *context, const char *line)
{
	(void)snprintf(shown + strlen(shown), sizeof(shown) - strlen(shown), "%s\n", line);
}

/* RFC 3501 section 7.1: they were dropped, with or without --quiet. */
static void test_alerts(void **state)
{
	struct log_tap tap = {.level = LOG_LEVEL_WARNING, .line = on_log_line};

	shown[0] = '\0';
	log_add_tap(&tap);
	start();
	say("* OK [ALERT] down at noon");
	expect("1 CAPABILITY");
	say("* OK [ALERT] down at noon");
	say("* BAD [ALERT] no \x1b[31m more");
	say("* CAPABILITY " READY_CAPABILITIES " AUTH=PLAIN SASL-IR\r\n1 OK [ALERT] done");
	expect("2 AUTHENTICATE PLAIN " PLAIN);
	log_remove_tap(&tap);
	assert_string_equal(shown, "remote: WARNING: the server says: down at noon\n"
				   "remote: WARNING: the server says: no ?[31m more\n"
				   "remote: WARNING: the server says: done\n");
}

static void test_enable_is_refused(void **state)
{
	start();
	say("* PREAUTH [CAPABILITY " READY_CAPABILITIES "] hello");
	expect_events("ready");
	expect("1 ENABLE QRESYNC");
	say("1 NO not for you");
	expect_lost(
		SESSION_FAILURE_REFUSED, "the server does not enable QRESYNC (NO: not for you)");
}

/* --- Once it is ready --- */

static void test_untagged_when_ready(void **state)
{
	become_ready("");
	say("* LIST () \"/\" a\r\n* STATUS a (UIDNEXT 1)\r\n* 3 EXISTS");
	expect_events("untagged5 untagged6 untagged10");
}

static void test_lost_when_ready(void **state)
{
	become_ready("");
	say("* BYE going down");
	expect_events("untagged2");
	wire_hang_up();
	expect_lost(SESSION_FAILURE_NETWORK, "the server ended the connection: going down");
}

static void test_logout(void **state)
{
	become_ready("");
	session_logout(session);
	session_logout(session);
	expect("2 LOGOUT");
	expect_nothing();
	assert_true(client_is_flushed(session_client(session)));
	say("* BYE bye\r\n2 OK done");
	expect_events("untagged2");
	assert_true(client_is_idle(session_client(session)));
}

static void test_logout_too_early(void **state)
{
	start();
	session_logout(session);
	expect_nothing();
}

static void test_release(void **state)
{
	struct stream *stream;
	struct buf leftover;

	options.enable_qresync = false;
	start();
	say("* PREAUTH [CAPABILITY IMAP4rev1] hello");
	say_bytes("* 7 EX", 6);
	expect_events("ready");
	run_ready();
	stream = session_release_stream(session, &leftover);
	assert_int_equal(buf_len(&leftover), 6);
	assert_memory_equal(buf_data(&leftover), "* 7 EX", 6);
	buf_done(&leftover);
	session = session_free(session);
	expect_nothing();
	assert_false(wire.eof); /* the stream lives on */
	stream_free(stream);
	RUN_UNTIL(wire.eof);
}

/* --- Compression --- */

static void test_compression(void **state)
{
	become_ready("COMPRESS=DEFLATE IDLE");
	session_compress(session);
	session_compress(session); /* once is enough */
	session_logout(session); /* waits for the answer */
	expect("2 COMPRESS DEFLATE");
	expect_nothing();
	say("2 OK now");
	assert_int_equal(
		stream_start_deflate(wire.stream, buf_data(&wire.got), buf_len(&wire.got)), 0);
	buf_clear(&wire.got);
	expect("3 LOGOUT");
	say("* BYE compressed\r\n3 OK done");
	expect_events("untagged2");
}

static void test_compression_is_refused(void **state)
{
	become_ready("COMPRESS=DEFLATE");
	session_compress(session);
	expect("2 COMPRESS DEFLATE");
	say("2 NO not today");
	session_logout(session);
	expect("3 LOGOUT"); /* in clear */
}

static void test_compression_is_active_already(void **state)
{
	_cleanup_free_ char *logged = NULL;

	become_ready("COMPRESS=DEFLATE");
	start_log();
	session_compress(session);
	expect("2 COMPRESS DEFLATE");
	say("2 NO [COMPRESSIONACTIVE] TLS does it");
	session_logout(session);
	expect("3 LOGOUT");
	logged = end_log();
	assert_null(strstr(logged, "WARNING"));
}

static void test_compression_is_not_offered(void **state)
{
	become_ready("");
	session_compress(session);
	expect_nothing();
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		BOTH(test_plain_login),
		BOTH(test_capabilities_in_the_greeting),
		BOTH(test_capabilities_before_the_ok),
		BOTH(test_preauth),
		BOTH(test_preauth_with_capabilities),
		BOTH(test_without_enable),
		BOTH(test_bye_greeting),
		BOTH(test_other_greetings),
		BOTH(test_hang_up_before_the_greeting),
		BOTH(test_hang_up_while_logging_in),
		BOTH(test_nobody_listens),
		BOTH(test_no_greeting),
		BOTH(test_no_capabilities),
		BOTH(test_no_answer_to_the_login),
		BOTH(test_no_deadline_when_ready),
		BOTH(test_capability_is_refused),
		BOTH(test_capability_without_any),
		BOTH(test_freed_while_dialling),
		BOTH(test_freed_while_logging_in),
		BOTH(test_freed_when_lost),
		BOTH(test_has),
		BOTH(test_missing_extensions),
		BOTH(test_notify_for_list_status),
		BOTH(test_enable_enables_nothing),
		BOTH(test_alerts),
		BOTH(test_enable_is_refused),
		BOTH(test_untagged_when_ready),
		BOTH(test_lost_when_ready),
		BOTH(test_logout),
		BOTH(test_logout_too_early),
		BOTH(test_release),
		BOTH(test_compression),
		BOTH(test_compression_is_refused),
		BOTH(test_compression_is_active_already),
		BOTH(test_compression_is_not_offered),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, make_files, remove_files);
}
