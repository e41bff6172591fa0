/* SPDX-License-Identifier: MIT */
/*
 * The dialogue before login over a socket pair: the test is the client; the store is a shell script
 * behind the real session layer.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <crypt.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "proxy/auth.h"
#include "proxy/session.h"
#include "sync/config/account.h"
#include "sync/config/endpoint.h"
#include "sync/base/buf.h"
#include "sync/base/limits.h"
#include "sync/base/log.h"
#include "sync/base/loop.h"
#include "sync/base/worker.h"
#include "sync/base/xalloc.h"
#include "sync/net/tls.h"
#include "tests/unit/certificates-fixture.h"

enum { PATIENCE_SECONDS = 20 };

#define GREETING "* OK [CAPABILITY IMAP4rev1 SASL-IR LITERAL+ ID AUTH=PLAIN] interimap ready.\r\n"

/* Answers every line with OK, and shows it. */
static const char good_store[] =
	"printf '* PREAUTH [CAPABILITY IMAP4rev1 COMPRESS=DEFLATE IDLE AUTH=PLAIN SASL-IR] "
	"hi\\r\\n';"
	" while read -r tag rest; do printf '* SAW %s %s\\n%s OK done\\r\\n' \"$tag\" \"$rest\""
	" \"$tag\"; done";

struct client {
	struct proxy_session_handler handler;
	struct proxy_session *session;
	int fd;
	struct buf in;
	bool eof, ended;
};

struct fixture {
	struct loop loop;
	struct worker *worker;
	struct account *account;
	struct proxy_context context;
	struct client clients[2];
	bool from_elsewhere;
};

static void on_ended(struct proxy_session_handler *handler, struct proxy_session *session)
{
	struct client *client = container_of(handler, struct client, handler);

	assert_ptr_equal(session, client->session);
	client->session = proxy_session_free(session);
	client->ended = true;
}

static void start(struct fixture *fixture, const char *store, const char *hash)
{
	_cleanup_free_ char *text = xasprintf("database = /nonexistent/x.db\n[local]\n"
					      "type = tunnel\ncommand = %s\nnull-stderr = YES\n"
					      "[remote]\ntype = tunnel\ncommand = false\n",
		store);
	char *reason = NULL;

	loop_init(&fixture->loop);
	fixture->worker = worker_new(&fixture->loop);
	if (account_parse("test", text, strlen(text), &fixture->account, &reason) < 0)
		fail_msg("%s", reason);
	fixture->context = (struct proxy_context){
		.loop = &fixture->loop,
		.worker = fixture->worker,
		.auth = auth_new(fixture->worker, "joe", hash == NULL ? "secret" : NULL, hash),
		.store = endpoint_new(&fixture->account->local, &reason),
	};
	assert_non_null(fixture->context.store);
}

static struct client *connect_client(struct fixture *fixture, int i)
{
	struct client *client = &fixture->clients[i];
	struct proxy_client description = {.name = "test", .is_local = !fixture->from_elsewhere};
	int fds[2];

	assert_int_equal(
		socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, fds), 0);
	*client = (struct client){.fd = fds[0], .handler.ended = on_ended};
	buf_init(&client->in, 1 << 20);
	description.own_fd = fds[1];
	client->session = proxy_session_new(&fixture->context, &description, &client->handler);
	return client;
}

static int setup(void **state)
{
	struct fixture *fixture = xcalloc(1, sizeof(*fixture));

	fixture->clients[0].fd = fixture->clients[1].fd = -1;
	*state = fixture;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *fixture = *state;

	for (int i = 0; i < 2; i++) {
		struct client *client = &fixture->clients[i];

		proxy_session_free(client->session);
		if (client->fd >= 0)
			(void)close(client->fd);
		buf_done(&client->in);
	}
	auth_free(fixture->context.auth);
	endpoint_free(fixture->context.store);
	worker_free(fixture->worker);
	account_free(fixture->account);
	loop_done(&fixture->loop);
	free(fixture);
	return 0;
}

static void turn(struct fixture *fixture)
{
	ev_run(fixture->loop.ev, EVRUN_NOWAIT);
	for (int i = 0; i < 2; i++) {
		struct client *client = &fixture->clients[i];
		char bytes[4096];
		ssize_t n;

		if (client->fd < 0 || client->eof)
			continue;
		n = recv(client->fd, bytes, sizeof(bytes), 0);
		if (n > 0)
			assert_true(buf_append(&client->in, bytes, (size_t)n));
		client->eof = n == 0 || (n < 0 && errno == ECONNRESET);
	}
}

#define RUN_UNTIL(fixture, condition) \
	do { \
		time_t limit_ = time(NULL) + PATIENCE_SECONDS; \
		while (!(condition)) { \
			turn(fixture); \
			if (time(NULL) > limit_) \
				fail_msg("did not come true: %s", #condition); \
		} \
	} while (0)

static void say_bytes(struct fixture *fixture, struct client *client, const char *text, size_t step)
{
	for (size_t at = 0, n = strlen(text); at < n; at += step) {
		size_t piece = step < n - at ? step : n - at;

		assert_int_equal(send(client->fd, text + at, piece, MSG_NOSIGNAL), (ssize_t)piece);
		turn(fixture);
	}
}

static void hear(struct fixture *fixture, struct client *client, const char *text)
{
	size_t n = strlen(text);

	RUN_UNTIL(fixture, buf_len(&client->in) >= n || client->eof);
	if (buf_len(&client->in) < n || memcmp(buf_data(&client->in), text, n) != 0)
		fail_msg("heard '%.*s' instead of '%s'", (int)buf_len(&client->in),
			buf_data(&client->in), text);
	buf_consume(&client->in, n);
}

/* Says, and hears exactly that; whole and byte by byte must make no difference. */
static void ask(struct fixture *fixture, struct client *client, size_t step, const char *question,
	const char *answer)
{
	say_bytes(fixture, client, question, step);
	hear(fixture, client, answer);
}

static void hear_end(struct fixture *fixture, struct client *client)
{
	RUN_UNTIL(fixture, client->eof);
	assert_int_equal(buf_len(&client->in), 0);
	(void)close(client->fd);
	client->fd = -1;
	RUN_UNTIL(fixture, client->ended);
}

static void test_simple_commands(void **state)
{
	struct fixture *fixture = *state;
	struct client *client;

	start(fixture, good_store, NULL);
	for (size_t step = 1; step < 1000; step *= 500) {
		client = connect_client(fixture, 0);
		hear(fixture, client, GREETING);
		ask(fixture, client, step, "1 capability\r\n",
			"* CAPABILITY IMAP4rev1 SASL-IR LITERAL+ ID AUTH=PLAIN\r\n"
			"1 OK Capabilities listed.\r\n");
		ask(fixture, client, step,
			"2 NOOP\r\n\r\n3 ID (\"name\" {1+}\r\nx)\r\n4 ID NIL\r\n",
			"2 OK Nothing done.\r\n"
			"* ID (\"name\" \"interimap\" \"version\" \"" INTERIMAP_VERSION "\")\r\n"
			"3 OK Pleased to meet you.\r\n"
			"* ID (\"name\" \"interimap\" \"version\" \"" INTERIMAP_VERSION "\")\r\n"
			"4 OK Pleased to meet you.\r\n");
		ask(fixture, client, step,
			"5 SELECT x\r\n6\r\n(\r\n7 NOOP x\r\n8 STARTTLS\r\n9 LOGIN a\r\n",
			"5 BAD There is no such command before login.\r\n"
			"6 BAD This is no command.\r\n"
			"* BAD This is no command.\r\n"
			"7 BAD The command's arguments are wrong.\r\n"
			"8 BAD The command's arguments are wrong.\r\n"
			"9 BAD The command's arguments are wrong.\r\n");
		ask(fixture, client, step, "10 LOGOUT\r\n11 NOOP\r\n",
			"* BYE Logging out.\r\n10 OK Logged out.\r\n");
		hear_end(fixture, client);
		buf_done(&client->in);
	}
}

#define WELCOME(tag) tag " OK [CAPABILITY IMAP4rev1 IDLE] Logged in.\r\n"

/* All ways to log in; what follows at once goes to the store. */
static void check_login(
	struct fixture *fixture, size_t step, const char *login, const char *prompts)
{
	struct client *client = connect_client(fixture, 0);

	hear(fixture, client, GREETING);
	say_bytes(fixture, client, login, step);
	hear(fixture, client, prompts);
	hear(fixture, client, WELCOME("a"));
	hear(fixture, client, "* SAW b NOOP\r\nb OK done\r\n* SAW c X y\r\nc OK done\r\n");
	say_bytes(fixture, client, "d Z\r\n", step);
	hear(fixture, client, "* SAW d Z\r\nd OK done\r\n");
	(void)close(client->fd);
	client->fd = -1;
	RUN_UNTIL(fixture, client->ended);
	buf_done(&client->in);
}

static void test_logins(void **state)
{
	static const char *const logins[][2] = {
		{"a LOGIN joe secret\r\nb NOOP\r\nc X y\r\n", ""},
		{"a login \"joe\" \"secre\\t\"\r\nb NOOP\r\nc X y\r\n", ""},
		{"a LOGIN {3}\r\njoe {6}\r\nsecret\r\nb NOOP\r\nc X y\r\n",
			"+ Go on.\r\n+ Go on.\r\n"},
		{"a LOGIN {3+}\r\njoe {6+}\r\nsecret\r\nb NOOP\r\nc X y\r\n", ""},
		{"a AUTHENTICATE PLAIN AGpvZQBzZWNyZXQ=\r\nb NOOP\r\nc X y\r\n", ""},
		{"a authenticate plain\r\nAGpvZQBzZWNyZXQ=\r\nb NOOP\r\nc X y\r\n", "+ \r\n"},
	};
	struct fixture *fixture = *state;

	start(fixture, good_store, NULL);
	for (size_t i = 0; i < ARRAY_LEN(logins); i++)
		for (size_t step = 1; step < 1000; step *= 500)
			check_login(fixture, step, logins[i][0], logins[i][1]);
}

static void test_hash(void **state)
{
	struct crypt_data data = {0};
	const char *hash = crypt_rn("secret", "$6$rounds=1000$abcdefgh", &data, sizeof(data));

	assert_non_null(hash);
	start(*state, good_store, hash);
	check_login(*state, 1000, "a LOGIN joe secret\r\nb NOOP\r\nc X y\r\n", "");
}

#define WRONG(tag) tag " NO [AUTHENTICATIONFAILED] Wrong user name or password.\r\n"

static double now(void)
{
	struct timespec at;

	(void)clock_gettime(CLOCK_MONOTONIC, &at);
	return (double)at.tv_sec + (double)at.tv_nsec / 1e9;
}

/* The answer is late, each time later, and nobody else waits for it. */
static void test_wrong_passwords(void **state)
{
	struct fixture *fixture = *state;
	struct client *wrong, *right;
	double start_time, first, second;

	start(fixture, good_store, NULL);
	wrong = connect_client(fixture, 0);
	right = connect_client(fixture, 1);
	hear(fixture, wrong, GREETING);
	hear(fixture, right, GREETING);
	start_time = now();
	say_bytes(fixture, wrong, "a LOGIN joe wrong\r\nb NOOP\r\n", 1000);
	ask(fixture, right, 1000, "a LOGIN joe secret\r\n", WELCOME("a"));
	assert_int_equal(buf_len(&wrong->in), 0);
	hear(fixture, wrong, WRONG("a") "b OK Nothing done.\r\n");
	first = now() - start_time;
	assert_true(first > 0.4);
	start_time = now();
	ask(fixture, wrong, 1000, "c LOGIN jim secret\r\n", WRONG("c"));
	second = now() - start_time;
	assert_true(second > 0.8);
	ask(fixture, wrong, 1000, "d AUTHENTICATE PLAIN AGpvZQBzZWNyZXR0\r\n",
		WRONG("d") "* BYE Too many wrong passwords.\r\n");
	hear_end(fixture, wrong);
}

static void test_wrong_hash(void **state)
{
	struct fixture *fixture = *state;
	struct client *client;

	/* one that libcrypt does not know never matches */
	start(fixture, good_store, "$99$nothing$atall");
	client = connect_client(fixture, 0);
	hear(fixture, client, GREETING);
	ask(fixture, client, 1000, "a LOGIN joe *0\r\n",
		"a BAD The command's arguments are wrong.\r\n");
	ask(fixture, client, 1000, "a LOGIN joe \"*0\"\r\n", WRONG("a"));
}

static void test_authenticate_refusals(void **state)
{
	struct fixture *fixture = *state;
	struct client *client;

	start(fixture, good_store, NULL);
	client = connect_client(fixture, 0);
	hear(fixture, client, GREETING);
	ask(fixture, client, 1, "a AUTHENTICATE PLAIN\r\n*\r\n",
		"+ \r\na BAD Authentication cancelled.\r\n");
	ask(fixture, client, 1, "b AUTHENTICATE PLAIN =\r\n",
		"b BAD This is no message of the PLAIN mechanism.\r\n");
	ask(fixture, client, 1, "c AUTHENTICATE PLAIN\r\nx{3+}\r\n",
		"+ \r\nc BAD This is no message of the PLAIN mechanism.\r\n");
	ask(fixture, client, 1, "d AUTHENTICATE SCRAM-SHA-1\r\n",
		"d NO [CANNOT] Only the PLAIN mechanism is known here.\r\n");
	ask(fixture, client, 1, "e LOGIN joe {3+}\r\na\x01z\r\n", WRONG("e"));
}

/* With a certificate, and from elsewhere: no password in clear text. */
static void test_clear_text_from_elsewhere(void **state)
{
	struct fixture *fixture = *state;
	char folder[] = "/tmp/test-session-XXXXXX", *reason = NULL;
	struct certificate certificate = {0};
	struct tls_context *tls;
	struct client *client;

	start(fixture, good_store, NULL);
	assert_non_null(mkdtemp(folder));
	make_certificate(
		&certificate, folder, &(struct certificate_options){.name = "proxy", .to = 3600});
	tls = tls_server_new(certificate.cert_file, certificate.key_file, &reason);
	assert_non_null(tls);
	fixture->context.tls = tls;
	fixture->from_elsewhere = true;
	client = connect_client(fixture, 0);
	hear(fixture, client,
		"* OK [CAPABILITY IMAP4rev1 SASL-IR LITERAL+ ID STARTTLS LOGINDISABLED] interimap "
		"ready.\r\n");
	ask(fixture, client, 1000,
		"a LOGIN joe secret\r\nb AUTHENTICATE PLAIN AGpvZQBzZWNyZXQ=\r\n",
		"a NO [PRIVACYREQUIRED] Log in after STARTTLS only.\r\n"
		"b NO [PRIVACYREQUIRED] Log in after STARTTLS only.\r\n");
	ask(fixture, client, 1000, "c STARTTLS\r\n", "c OK Begin TLS negotiation now.\r\n");
	/* no handshake follows */
	say_bytes(fixture, client, "d LOGIN joe secret\r\n", 1000);
	RUN_UNTIL(fixture, client->ended);
	free_certificate(&certificate);
	assert_int_equal(rmdir(folder), 0);
	tls_free(tls);
}

static void test_store_is_not_there(void **state)
{
	struct fixture *fixture = *state;
	struct client *client;

	start(fixture, "exit 3", NULL);
	client = connect_client(fixture, 0);
	hear(fixture, client, GREETING);
	say_bytes(fixture, client, "a LOGIN joe secret\r\nb NOOP\r\n", 1000);
	hear(fixture, client, "a NO [UNAVAILABLE] The mail store: ");
	RUN_UNTIL(fixture, memmem(buf_data(&client->in), buf_len(&client->in),
				   "b OK Nothing done.\r\n", 20) != NULL);
}

static void test_store_refuses(void **state)
{
	struct fixture *fixture = *state;
	struct client *client;

	start(fixture, "printf '* BYE no room\\r\\n'", NULL);
	client = connect_client(fixture, 0);
	hear(fixture, client, GREETING);
	say_bytes(fixture, client, "a LOGIN joe secret\r\n", 1000);
	hear(fixture, client, "a NO [UNAVAILABLE] The mail store: ");
}

static void test_limits(void **state)
{
	struct fixture *fixture = *state;
	struct client *client;
	char line[LIMIT_LOGIN_LINE + 10];

	start(fixture, good_store, NULL);
	client = connect_client(fixture, 0);
	hear(fixture, client, GREETING);
	memset(line, 'x', sizeof(line) - 1);
	line[sizeof(line) - 1] = '\0';
	ask(fixture, client, 1000, line, "* BYE This is too long before login.\r\n");
	hear_end(fixture, client);
	buf_done(&client->in);

	client = connect_client(fixture, 0);
	hear(fixture, client, GREETING);
	ask(fixture, client, 1000, "a LOGIN joe {5000+}\r\n",
		"* BYE This is too long before login.\r\n");
	hear_end(fixture, client);
	buf_done(&client->in);

	client = connect_client(fixture, 0);
	hear(fixture, client, GREETING);
	for (int i = 0; i < LIMIT_BAD_COMMANDS; i++)
		ask(fixture, client, 1000, "a X\r\n",
			"a BAD There is no such command before login.\r\n");
	ask(fixture, client, 1000, "a X\r\n",
		"a BAD There is no such command before login.\r\n"
		"* BYE Too many bad commands.\r\n");
	hear_end(fixture, client);
}

/* Sessions are freed in every state; the sanitizers watch. */
static void test_free_at_any_time(void **state)
{
	static const char *const says[] = {"", "a LOGIN {3+}\r\njo", "a LOGIN joe wrong\r\n",
		"a LOGIN joe secret\r\n", "a LOGIN joe secret\r\nb NOOP\r\n", "a LOGOUT\r\n"};
	struct fixture *fixture = *state;

	start(fixture, good_store, NULL);
	for (size_t i = 0; i < ARRAY_LEN(says); i++) {
		for (int turns = 0; turns < 12; turns++) {
			struct client *client = connect_client(fixture, 0);

			say_bytes(fixture, client, says[i], 1000);
			for (int j = 0; j < turns * turns * turns; j++)
				turn(fixture);
			client->session = proxy_session_free(client->session);
			RUN_UNTIL(fixture, client->eof);
			(void)close(client->fd);
			client->fd = -1;
			buf_done(&client->in);
		}
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
		TEST(test_simple_commands),
		TEST(test_logins),
		TEST(test_hash),
		TEST(test_wrong_passwords),
		TEST(test_wrong_hash),
		TEST(test_authenticate_refusals),
		TEST(test_clear_text_from_elsewhere),
		TEST(test_store_is_not_there),
		TEST(test_store_refuses),
		TEST(test_limits),
		TEST(test_free_at_any_time),
	};

	log_set_level(LOG_LEVEL_ERROR);
	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
