/* SPDX-License-Identifier: MIT */
/* Credentials: over which connections they go, by which mechanism, and what a refusal means. */
#include "session-fixture.h"

#include "sync/imap/secret.h"

/* --- STARTTLS --- */

static void start_with_starttls(const char *greeting)
{
	options.security = SESSION_STARTTLS;
	prepare_tls(&certificate);
	start();
	say(greeting);
}

static void test_starttls(void **state)
{
	start_with_starttls("* OK [CAPABILITY IMAP4rev1 STARTTLS SASL-IR AUTH=LOGIN] hello");
	expect("1 STARTTLS");
	expect_nothing();
	agree_to_tls();
	RUN_UNTIL(wire.up);
	/* RFC 3501 section 6.2.1: what was said in clear text does not count */
	expect("2 CAPABILITY");
	expect_nothing();
	say("* CAPABILITY IMAP4rev1 SASL-IR AUTH=PLAIN\r\n2 OK done");
	expect("3 AUTHENTICATE PLAIN " PLAIN);
	say("3 OK [CAPABILITY " READY_CAPABILITIES "] in");
	expect_events("ready");
	expect("4 ENABLE QRESYNC");
}

static void test_starttls_after_asking(void **state)
{
	start_with_starttls("* OK hello");
	expect("1 CAPABILITY");
	say("* CAPABILITY IMAP4rev1 STARTTLS LOGINDISABLED\r\n1 OK done");
	expect("2 STARTTLS");
}

static void test_starttls_is_not_offered(void **state)
{
	start_with_starttls("* OK [CAPABILITY IMAP4rev1 SASL-IR AUTH=PLAIN] hello");
	expect_lost(SESSION_FAILURE_REFUSED,
		"the server does not offer STARTTLS (\"STARTTLS = NO\" would send the password in "
		"clear text)");
}

static void test_starttls_is_refused(void **state)
{
	start_with_starttls("* OK [CAPABILITY IMAP4rev1 STARTTLS AUTH=PLAIN] hello");
	expect("1 STARTTLS");
	say("1 NO no certificate");
	expect_lost(SESSION_FAILURE_REFUSED, "STARTTLS was refused (NO: no certificate)");
}

/* RFC 9051 section 6.2.1: bytes that somebody put behind the answer in clear text must not be taken
 * for the server's. */
static void test_starttls_with_injected_bytes(void **state)
{
	wire.slow = false; /* in one piece: later ones would be a broken handshake */
	start_with_starttls("* OK [CAPABILITY IMAP4rev1 STARTTLS AUTH=PLAIN] hello");
	expect("1 STARTTLS");
	say("1 OK go ahead\r\n* CAPABILITY IMAP4rev1 AUTH=PLAIN");
	expect_lost(SESSION_FAILURE_NETWORK,
		"the server sent data before the TLS handshake that does not belong there");
}

static void test_starttls_with_clear_text_behind(void **state)
{
	start_with_starttls("* OK [CAPABILITY IMAP4rev1 STARTTLS AUTH=PLAIN] hello");
	expect("1 STARTTLS");
	say("1 OK go ahead");
	run_ready();
	say("* CAPABILITY IMAP4rev1 AUTH=PLAIN");
	expect_events("lost");
	assert_int_equal(lost_failure, SESSION_FAILURE_NETWORK);
	expect_no_imap();
}

/* RFC 9051 section 11.1 */
static void test_preauth_before_starttls(void **state)
{
	start_with_starttls("* PREAUTH [CAPABILITY IMAP4rev1 STARTTLS] hello");
	expect_lost(SESSION_FAILURE_REFUSED,
		"the server is logged in before TLS began, which would leave the connection in "
		"clear text (\"STARTTLS = NO\" would accept that)");
}

static void test_starttls_with_another_certificate(void **state)
{
	options.security = SESSION_STARTTLS;
	prepare_tls(&other_certificate);
	start();
	say("* OK [CAPABILITY IMAP4rev1 STARTTLS AUTH=PLAIN] hello");
	expect("1 STARTTLS");
	agree_to_tls();
	expect_events("lost");
	assert_non_null(strstr(lost_reason, "the certificate is not trusted"));
	expect_no_imap();
}

/* --- TLS from the first byte --- */

static void test_tls(void **state)
{
	options.security = SESSION_TLS;
	prepare_tls(&certificate);
	start();
	RUN_UNTIL(wire.up);
	say("* OK [CAPABILITY IMAP4rev1 SASL-IR AUTH=PLAIN] hello");
	expect("1 AUTHENTICATE PLAIN " PLAIN);
}

static void test_tls_preauth(void **state)
{
	options.security = SESSION_TLS;
	prepare_tls(&certificate);
	start();
	RUN_UNTIL(wire.up);
	say("* PREAUTH [CAPABILITY " READY_CAPABILITIES "] hello");
	expect_events("ready");
}

static void test_tls_with_another_certificate(void **state)
{
	options.security = SESSION_TLS;
	prepare_tls(&other_certificate);
	start();
	expect_events("lost");
	assert_non_null(strstr(lost_reason, "the certificate is not trusted"));
	assert_int_equal(lost_failure, SESSION_FAILURE_NETWORK);
	expect_no_imap();
}

static void test_tls_to_a_server_without(void **state)
{
	int fd = -1;

	options.security = SESSION_TLS;
	prepare_tls(&certificate);
	session = session_new(&loop, worker, &options, &handler);
	RUN_UNTIL((fd = accept_one()) >= 0);
	wire_open(fd);
	say("* OK [CAPABILITY IMAP4rev1 AUTH=PLAIN] hello");
	expect_events("lost");
	expect_no_imap();
}

/* --- Mechanisms --- */

/* The first line after a greeting with these capabilities. */
static void expect_first(const char *capabilities, const char *line)
{
	_cleanup_free_ char *greeting =
		xasprintf("* OK [CAPABILITY IMAP4rev1 %s] hello", capabilities);

	start();
	say(greeting);
	expect(line);
	expect_nothing();
}

static void test_without_sasl_ir(void **state)
{
	expect_first("AUTH=PLAIN", "1 AUTHENTICATE PLAIN");
	say("+");
	expect(PLAIN);
	say("1 OK [CAPABILITY " READY_CAPABILITIES "] in");
	expect_events("ready");
}

/* The user's order counts, not the server's. */
static void test_preference(void **state)
{
	static const char *const preferred[] = {"CRAM-MD5", "LOGIN", "PLAIN", NULL};

	options.mechanisms = preferred;
	expect_first("AUTH=PLAIN AUTH=CRAM-MD5 SASL-IR", "1 AUTHENTICATE CRAM-MD5");
}

static void test_login_command(void **state)
{
	options.username = "us\"er";
	options.password = "pass word";
	expect_first("IDLE", "1 LOGIN \"us\\\"er\" \"pass word\"");
	say("1 OK [CAPABILITY " READY_CAPABILITIES "] in");
	expect_events("ready");
}

static void test_login_with_literals(void **state)
{
	options.password = "p\xc3\xa4ss";
	expect_first("IDLE", "1 LOGIN \"user\" {5}");
	say("+ go on");
	expect("p\xc3\xa4ss");
	say("1 OK [CAPABILITY " READY_CAPABILITIES "] in");
	expect_events("ready");
}

static void test_login_with_unasked_literals(void **state)
{
	options.password = "p\xc3\xa4ss";
	expect_first("LITERAL-", "1 LOGIN \"user\" {5+}\r\np\xc3\xa4ss");
}

static void test_login_is_disabled(void **state)
{
	start();
	say("* OK [CAPABILITY IMAP4rev1 LOGINDISABLED AUTH=GSSAPI] hello");
	expect_lost(SESSION_FAILURE_REFUSED,
		"the server offers none of the configured authentication mechanisms (it offers: "
		"IMAP4REV1 LOGINDISABLED AUTH=GSSAPI)");
}

static void test_login_is_not_wanted(void **state)
{
	static const char *const only[] = {"PLAIN", NULL};

	options.mechanisms = only;
	start();
	say("* OK [CAPABILITY IMAP4rev1 AUTH=LOGIN] hello");
	expect_events("lost");
	assert_int_equal(lost_failure, SESSION_FAILURE_REFUSED);
	expect_nothing();
}

static void test_no_credentials(void **state)
{
	options.password = NULL;
	start();
	say("* OK [CAPABILITY IMAP4rev1 AUTH=PLAIN] hello");
	expect_lost(
		SESSION_FAILURE_REFUSED, "the server wants a login, but no password is configured");
}

static void test_no_username(void **state)
{
	options.username = NULL;
	start();
	say("* OK [CAPABILITY IMAP4rev1 AUTH=PLAIN] hello");
	expect_lost(
		SESSION_FAILURE_REFUSED, "the server wants a login, but no username is configured");
}

/* The password was sent to whatever answered like a server, in whatever language it spoke. */
static void test_no_imap4rev1(void **state)
{
	start();
	say("* OK [CAPABILITY IMAP2 SASL-IR AUTH=PLAIN] hello");
	expect_lost(SESSION_FAILURE_REFUSED,
		"the server does not speak IMAP4rev1 (it offers: IMAP2 SASL-IR AUTH=PLAIN)");
}

/* Where nothing is to be proved, it was said that nothing was proved. */
static void test_login_before_credentials(void **state)
{
	start();
	say("* OK [CAPABILITY IMAP4rev1 AUTH=PLAIN] hello");
	expect("1 AUTHENTICATE PLAIN");
	say("1 OK [CAPABILITY " READY_CAPABILITIES "] in");
	expect_lost(SESSION_FAILURE_REFUSED,
		"the server accepted the login before it was told who logs in");
}

/* --- Answers --- */

static void expect_refusal(const char *answer, enum session_failure failure, const char *reason)
{
	expect_first("AUTH=PLAIN SASL-IR", "1 AUTHENTICATE PLAIN " PLAIN);
	say(answer);
	expect_lost(failure, reason);
}

static void test_wrong_password(void **state)
{
	expect_refusal("1 NO [AUTHENTICATIONFAILED] wrong", SESSION_FAILURE_LOGIN,
		"the login as \"user\" was refused (NO: wrong): check username and password");
}

static void test_bad_login(void **state)
{
	expect_refusal("1 BAD what?", SESSION_FAILURE_LOGIN,
		"the login as \"user\" was refused (BAD: what?): check username and password");
}

/* RFC 5530: what says "later" must not stop a service for good. */
static void test_login_later(void **state)
{
	static const char *const codes[] = {"UNAVAILABLE", "INUSE", "LIMIT", "SERVERBUG"};

	for (size_t i = 0; i < ARRAY_LEN(codes); i++) {
		_cleanup_free_ char *answer = xasprintf("1 NO [%s] later", codes[i]);

		expect_refusal(answer, SESSION_FAILURE_NETWORK,
			"the server takes no login now (NO: later)");
		session = session_free(session);
		wire_hang_up();
		wire.eof = false;
		free(take(lost_reason));
	}
}

static const char *const scram[] = {"SCRAM-SHA-256", NULL};

/* A mechanism that proves nothing was answered by one that is to prove that it knows the password.
 */
static void test_login_without_proof(void **state)
{
	options.mechanisms = scram;
	start();
	say("* OK [CAPABILITY IMAP4rev1 AUTH=SCRAM-SHA-256] hello");
	expect("1 AUTHENTICATE SCRAM-SHA-256");
	say("1 OK [CAPABILITY " READY_CAPABILITIES "] in");
	expect_lost(SESSION_FAILURE_REFUSED,
		"the server accepted the login without proving that it knows the password");
}

static void test_malformed_challenge(void **state)
{
	options.mechanisms = scram;
	start();
	say("* OK [CAPABILITY IMAP4rev1 AUTH=SCRAM-SHA-256] hello");
	expect("1 AUTHENTICATE SCRAM-SHA-256");
	say("+");
	RUN_UNTIL(buf_len(&wire.got) > 2 &&
		  memmem(buf_data(&wire.got), buf_len(&wire.got), "\r\n", 2) != NULL);
	assert_memory_equal(buf_data(&wire.got), "biws", 4); /* n,, */
	buf_clear(&wire.got);
	say("+ !!!!");
	expect("*"); /* RFC 3501 section 6.2.2 */
	say("1 BAD cancelled");
	expect_lost(SESSION_FAILURE_LOGIN,
		"the login as \"user\" was refused (BAD: cancelled): check username and password");
}

/* PLAIN has nothing more to say. */
static void test_one_challenge_too_many(void **state)
{
	expect_first("AUTH=PLAIN SASL-IR", "1 AUTHENTICATE PLAIN " PLAIN);
	say("+ bW9yZQ==");
	expect("*");
}

static void test_nothing_secret_is_logged(void **state)
{
	_cleanup_free_ char *logged = NULL;

	start_log();
	expect_first("AUTH=PLAIN SASL-IR", "1 AUTHENTICATE PLAIN " PLAIN);
	say("1 OK [CAPABILITY " READY_CAPABILITIES "] in");
	expect_events("ready");
	logged = end_log();
	assert_non_null(strstr(logged, "remote: C: 1 AUTHENTICATE PLAIN <secret>\n"));
	assert_null(strstr(logged, PLAIN));
	assert_null(strstr(logged, "secret\n"));
}

/* --- What a command prints --- */

static struct secret_source source;

/* The fixture's user, and token "t1". */
#define BEARER "dXNlcj11c2VyAWF1dGg9QmVhcmVyIHQxAQE="

static void start_with_command(enum secret_kind kind, const char *command, const char *offered)
{
	static const char *const bearer[] = {"OAUTHBEARER", "XOAUTH2", NULL};
	_cleanup_free_ char *greeting =
		xasprintf("* OK [CAPABILITY IMAP4rev1 SASL-IR %s] hello", offered);

	source = (struct secret_source){.kind = kind, .command = command};
	options.password = NULL;
	options.source = &source;
	if (kind == SECRET_TOKEN)
		options.mechanisms = bearer;
	start();
	say(greeting);
}

static void test_password_command(void **state)
{
	start_with_command(SECRET_PASSWORD, "echo secret", "AUTH=PLAIN");
	expect("1 AUTHENTICATE PLAIN " PLAIN);
	say("1 OK [CAPABILITY " READY_CAPABILITIES "] in");
	expect_events("ready");
}

/* As pass(1) shows it: what else is kept with it follows. */
static void test_first_line_is_the_password(void **state)
{
	start_with_command(
		SECRET_PASSWORD, "printf 'secret\\r\\nuser: x\\nurl: y\\n'", "AUTH=PLAIN");
	expect("1 AUTHENTICATE PLAIN " PLAIN);
}

static void test_token_command(void **state)
{
	start_with_command(SECRET_TOKEN, "echo t1", "AUTH=XOAUTH2 AUTH=PLAIN");
	expect("1 AUTHENTICATE XOAUTH2 " BEARER);
	say("1 OK [CAPABILITY " READY_CAPABILITIES "] in");
	expect_events("ready");
	assert_int_equal(source.state, SECRET_UNTRIED);
}

/* The strongest that both know, and never as a password. */
static void test_token_mechanisms(void **state)
{
	start_with_command(SECRET_TOKEN, "echo t1", "AUTH=XOAUTH2 AUTH=OAUTHBEARER AUTH=PLAIN");
	expect("1 AUTHENTICATE OAUTHBEARER "
	       "bixhPXVzZXIsAWhvc3Q9bWFpbC5leGFtcGxlAWF1dGg9QmVhcmVyIHQxAQE=");
}

static void test_token_is_no_password(void **state)
{
	static const char *const all[] = {"PLAIN", "LOGIN", "XOAUTH2", NULL};

	options.mechanisms = all;
	source = (struct secret_source){.kind = SECRET_TOKEN, .command = "echo t1"};
	options.source = &source;
	start();
	say("* OK [CAPABILITY IMAP4rev1 SASL-IR AUTH=PLAIN] hello");
	expect_events("lost");
	assert_int_equal(lost_failure, SESSION_FAILURE_REFUSED);
	expect_no_imap();
}

/* It is told, and prints another one. */
static void test_rejected_once(void **state)
{
	start_with_command(SECRET_TOKEN, "echo t${INTERIMAP_REJECTED:-0}", "AUTH=XOAUTH2");
	expect("1 AUTHENTICATE XOAUTH2 dXNlcj11c2VyAWF1dGg9QmVhcmVyIHQwAQE=");
	say("+ eyJzdGF0dXMiOiI0MDAifQ==");
	expect("");
	say("1 NO AUTHENTICATE failed.");
	expect("2 AUTHENTICATE XOAUTH2 " BEARER);
	say("2 OK [CAPABILITY " READY_CAPABILITIES "] in");
	expect_events("ready");
	assert_int_equal(source.state, SECRET_UNTRIED);
}

static void test_rejected_twice(void **state)
{
	start_with_command(SECRET_TOKEN, "echo t${INTERIMAP_REJECTED:-0}", "AUTH=XOAUTH2");
	expect("1 AUTHENTICATE XOAUTH2 dXNlcj11c2VyAWF1dGg9QmVhcmVyIHQwAQE=");
	say("1 NO no");
	expect("2 AUTHENTICATE XOAUTH2 " BEARER);
	say("+ eyJzdGF0dXMiOiI0MDAifQ==");
	expect("");
	say("2 NO AUTHENTICATE failed.");
	expect_lost(SESSION_FAILURE_LOGIN,
		"the login as \"user\" was refused (NO: AUTHENTICATE failed.; its error: status "
		"400): check username, and for whom and what the token-command gets its tokens");
	assert_int_equal(source.state, SECRET_UNTRIED);
}

/* The same once more would only be counted against the account. */
static void test_no_other_one(void **state)
{
	start_with_command(SECRET_PASSWORD, "echo secret", "AUTH=PLAIN");
	expect("1 AUTHENTICATE PLAIN " PLAIN);
	say("1 NO [AUTHENTICATIONFAILED] wrong");
	expect_lost(SESSION_FAILURE_LOGIN,
		"the login as \"user\" was refused (NO: wrong): check username, and what the "
		"password-command prints (the password-command has no other one)");
}

/* Some end the connection with it: the next one is told. */
static void test_rejected_and_ended(void **state)
{
	start_with_command(SECRET_TOKEN, "echo t1; [ -z \"$INTERIMAP_REJECTED\" ] || sleep 1000",
		"AUTH=XOAUTH2");
	expect("1 AUTHENTICATE XOAUTH2 " BEARER);
	say("1 NO AUTHENTICATE failed.\r\n* BYE too many errors");
	wire_hang_up();
	expect_events("lost");
	assert_int_equal(lost_failure, SESSION_FAILURE_EXPIRED);
	assert_non_null(strstr(lost_reason, "the login as \"user\" was refused"));
	assert_int_equal(source.state, SECRET_REJECTED);
}

/* No wrong password: it is not asked for another one. */
static void test_throttled_with_command(void **state)
{
	start_with_command(SECRET_TOKEN, "echo t1", "AUTH=XOAUTH2");
	expect("1 AUTHENTICATE XOAUTH2 " BEARER);
	say("1 NO [ALERT] Too many simultaneous connections. (Failure)");
	expect_lost(SESSION_FAILURE_NETWORK,
		"the server takes no login now (NO: Too many simultaneous connections. (Failure))");
	assert_int_equal(source.state, SECRET_UNTRIED);
}

/* What is wrong with it, and what to do. */
static void test_bad_commands(void **state)
{
	static const struct {
		enum secret_kind kind;
		const char *command;
		enum session_failure failure;
		const char *reason;
	} table[] = {
		{SECRET_TOKEN, "true", SESSION_FAILURE_NETWORK,
			"the token-command printed nothing: try it in a shell, with </dev/null"},
		{SECRET_TOKEN, "echo; echo t1", SESSION_FAILURE_NETWORK,
			"the token-command printed an empty first line: try it in a shell, with "
			"</dev/null"},
		{SECRET_TOKEN, "echo t1; echo t2", SESSION_FAILURE_NETWORK,
			"the token-command printed more than one line: try it in a shell, with "
			"</dev/null"},
		{SECRET_TOKEN, "echo a b", SESSION_FAILURE_NETWORK,
			"the token-command printed characters that no token has: try it in a "
			"shell, with </dev/null"},
		{SECRET_PASSWORD, "head -c 1000000 /dev/zero | tr '\\0' a", SESSION_FAILURE_NETWORK,
			"the password-command printed more than 16384 bytes: try it in a shell, "
			"with </dev/null"},
		{SECRET_PASSWORD, "printf 'sec\\000ret'", SESSION_FAILURE_NETWORK,
			"the password-command printed a NUL byte: try it in a shell, with "
			"</dev/null"},
		{SECRET_PASSWORD, "echo 'no \033[1mkey' >&2; exit 2", SESSION_FAILURE_NETWORK,
			"the password-command failed with exit status 2 (it said: \"no ?[1mkey\"): "
			"try it in a shell, with </dev/null"},
		{SECRET_PASSWORD, "echo secret; echo \"got secret\" >&2; exit 2",
			SESSION_FAILURE_NETWORK,
			"the password-command failed with exit status 2 (what it said holds what "
			"it printed, and is not shown): try it in a shell, with </dev/null"},
		{SECRET_PASSWORD, "kill -9 $$", SESSION_FAILURE_NETWORK,
			"the password-command was killed by signal 9 (Killed): try it in a shell, "
			"with </dev/null"},
		{SECRET_PASSWORD, "no-such-program x", SESSION_FAILURE_REFUSED,
			"the password-command cannot be run: No such file or directory: give its "
			"path, since it is looked for in /usr/bin and /bin only"},
	};

	for (size_t i = 0; i < ARRAY_LEN(table); i++) {
		start_with_command(table[i].kind, table[i].command, "AUTH=PLAIN AUTH=XOAUTH2");
		expect_lost(table[i].failure, table[i].reason);
		session = session_free(session);
		wire_hang_up();
		wire.eof = false;
		free(take(lost_reason));
	}
}

static void test_command_hangs(void **state)
{
	start_with_command(SECRET_TOKEN, "echo waiting for you >&2; sleep 1000", "AUTH=XOAUTH2");
	run_ready();
	assert_true(session_is_attended(session));
	pass_seconds(50); /* longer than any other step may last */
	run_ready();
	assert_null(lost_reason);
	pass_seconds(11);
	RUN_UNTIL(lost_reason != NULL);
	assert_non_null(strstr(lost_reason, "the token-command did not end within 60 seconds"));
	assert_non_null(strstr(lost_reason, "it must not ask anybody"));
	assert_int_equal(lost_failure, SESSION_FAILURE_NETWORK);
	buf_clear(&wire.events);
}

static void test_what_is_printed_is_not_logged(void **state)
{
	_cleanup_free_ char *logged = NULL;

	start_log();
	start_with_command(SECRET_TOKEN, "echo t1", "AUTH=XOAUTH2");
	expect("1 AUTHENTICATE XOAUTH2 " BEARER);
	say("1 OK [CAPABILITY " READY_CAPABILITIES "] in");
	expect_events("ready");
	logged = end_log();
	assert_non_null(strstr(logged, "running the token-command\n"));
	assert_non_null(strstr(logged, "AUTHENTICATE XOAUTH2 <secret>\n"));
	assert_null(strstr(logged, "t1"));
	assert_null(strstr(logged, BEARER));
}

/* What it logged in with ends: in words, or without any.  A server that stops it for another reason
 * says so. */
static void test_token_ends(void **state)
{
	static const struct {
		const char *words;
		enum session_failure failure;
	} table[] = {
		{"* BYE Session invalidated - AccessTokenExpired", SESSION_FAILURE_EXPIRED},
		{"* BYE Session expired, please login again.", SESSION_FAILURE_EXPIRED},
		{"* OK nothing in particular", SESSION_FAILURE_EXPIRED},
		{"* BYE Request is throttled", SESSION_FAILURE_NETWORK},
	};

	for (size_t i = 0; i < ARRAY_LEN(table); i++) {
		start_with_command(SECRET_TOKEN, "echo t1", "AUTH=XOAUTH2");
		expect("1 AUTHENTICATE XOAUTH2 " BEARER);
		say("1 OK [CAPABILITY " READY_CAPABILITIES "] in");
		expect_events("ready");
		expect("2 ENABLE QRESYNC");
		say("* ENABLED QRESYNC\r\n2 OK done");
		say(table[i].words);
		run_ready();
		wire_hang_up();
		RUN_UNTIL(lost_reason != NULL);
		assert_int_equal(lost_failure, table[i].failure);
		session = session_free(session);
		wire.eof = false;
		free(take(lost_reason));
		buf_clear(&wire.events);
		buf_clear(&wire.got);
	}
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		BOTH(test_starttls),
		BOTH(test_starttls_after_asking),
		BOTH(test_starttls_is_not_offered),
		BOTH(test_starttls_is_refused),
		BOTH(test_starttls_with_injected_bytes),
		BOTH(test_starttls_with_clear_text_behind),
		BOTH(test_preauth_before_starttls),
		BOTH(test_starttls_with_another_certificate),
		BOTH(test_tls),
		BOTH(test_tls_preauth),
		BOTH(test_tls_with_another_certificate),
		BOTH(test_tls_to_a_server_without),
		BOTH(test_without_sasl_ir),
		BOTH(test_preference),
		BOTH(test_login_command),
		BOTH(test_login_with_literals),
		BOTH(test_login_with_unasked_literals),
		BOTH(test_login_is_disabled),
		BOTH(test_login_is_not_wanted),
		BOTH(test_no_credentials),
		BOTH(test_no_username),
		BOTH(test_no_imap4rev1),
		BOTH(test_login_before_credentials),
		BOTH(test_wrong_password),
		BOTH(test_bad_login),
		BOTH(test_login_later),
		BOTH(test_login_without_proof),
		BOTH(test_malformed_challenge),
		BOTH(test_one_challenge_too_many),
		BOTH(test_nothing_secret_is_logged),
		BOTH(test_password_command),
		BOTH(test_first_line_is_the_password),
		BOTH(test_token_command),
		BOTH(test_token_mechanisms),
		BOTH(test_token_is_no_password),
		BOTH(test_rejected_once),
		BOTH(test_rejected_twice),
		BOTH(test_no_other_one),
		BOTH(test_rejected_and_ended),
		BOTH(test_throttled_with_command),
		BOTH(test_bad_commands),
		BOTH(test_command_hangs),
		BOTH(test_what_is_printed_is_not_logged),
		BOTH(test_token_ends),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, make_files, remove_files);
}
