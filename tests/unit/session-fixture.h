/* SPDX-License-Identifier: MIT */
/* A session whose server is the test: it dials a UNIX socket and is answered line by line. */
#ifndef INTERIMAP_TESTS_SESSION_FIXTURE_H
#define INTERIMAP_TESTS_SESSION_FIXTURE_H

#include "wire-fixture.h"

#include <sys/un.h>

#include "certificates-fixture.h"
#include "sync/base/limits.h"
#include "sync/base/worker.h"
#include "sync/imap/client.h"
#include "sync/imap/response.h"
#include "sync/imap/session.h"
#include "sync/net/tls.h"

/* user NUL password, as PLAIN has it. */
#define PLAIN "AHVzZXIAc2VjcmV0"
#define READY_CAPABILITIES \
	"IMAP4rev1 LITERAL+ ENABLE QRESYNC UIDPLUS LIST-EXTENDED LIST-STATUS UNSELECT"

static char folder[] = "/tmp/interimap-session-XXXXXX";
static char *socket_path;
static int listener;
static struct certificate certificate, other_certificate;
static struct worker *worker;
static struct tls_context *server_context;
static const char *const mechanisms[] = {"PLAIN", "LOGIN", NULL};
static struct session_options options;
static struct session *session;
static char *lost_reason;
static enum session_failure lost_failure;
static bool free_when_lost;

static void on_ready(struct session_handler *handler)
{
	note("ready");
}

static void on_session_lost(
	struct session_handler *handler, enum session_failure failure, const char *reason)
{
	assert_null(lost_reason);
	lost_reason = xstrdup(reason);
	lost_failure = failure;
	note("lost");
	if (free_when_lost)
		session = session_free(session);
}

static void on_session_untagged(struct session_handler *handler, struct response *response)
{
	note("untagged%d", (int)response->type);
}

static struct session_handler handler = {
	.ready = on_ready,
	.lost = on_session_lost,
	.untagged = on_session_untagged,
};

static inline int make_files(void **state)
{
	const struct certificate_options of_server = {.name = "mail.example",
		.alternative_names = "DNS:mail.example",
		.from = -86400,
		.to = 86400,
		.is_authority = true};

	assert_non_null(mkdtemp(folder));
	socket_path = xasprintf("%s/socket", folder);
	make_certificate(&certificate, folder, &of_server);
	make_certificate(&other_certificate, folder, &of_server);
	return 0;
}

static inline int remove_files(void **state)
{
	free_certificate(&certificate);
	free_certificate(&other_certificate);
	free(socket_path);
	return rmdir(folder);
}

static inline void start_listening(void)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};

	strcpy(address.sun_path, socket_path);
	listener = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	assert_int_equal(bind(listener, (struct sockaddr *)&address, sizeof(address)), 0);
	assert_int_equal(listen(listener, 5), 0);
}

static inline int set_up_session(bool slow)
{
	loop_init(&loop);
	wire_init(slow);
	worker = worker_new(&loop);
	start_listening();
	lost_reason = NULL;
	free_when_lost = false;
	options = (struct session_options){
		.name = "remote",
		.dial.unix_path = socket_path,
		.username = "user",
		.password = "secret",
		.mechanisms = mechanisms,
		.tls_host = "mail.example",
		.enable_qresync = true,
	};
	return 0;
}

static inline int setup(void **state)
{
	return set_up_session(false);
}

static inline int setup_slow(void **state)
{
	return set_up_session(true);
}

static inline int teardown(void **state)
{
	session = session_free(session);
	free(take(lost_reason));
	wire_done();
	(void)close(listener);
	(void)unlink(socket_path);
	worker_free(worker);
	tls_free((struct tls_context *)options.tls);
	server_context = tls_free(server_context);
	loop_done(&loop);
	return 0;
}

static inline int accept_one(void)
{
	return accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
}

/* The session has connected, and waits for the greeting; with TLS from the first byte, its
 * handshake is under way. */
static inline void start(void)
{
	int fd = -1;

	session = session_new(&loop, worker, &options, &handler);
	RUN_UNTIL((fd = accept_one()) >= 0);
	wire_open(fd);
	if (options.security == SESSION_TLS)
		stream_start_tls_server(wire.stream, server_context);
	run_ready();
}

/* TLS for both ends, with this certificate for the server. */
static inline void prepare_tls(const struct certificate *of_server)
{
	const struct tls_options trusting = {.verify = true, .ca_file = certificate.cert_file};
	char *reason = NULL;

	options.tls = tls_client_new(&trusting, &reason);
	assert_null(reason);
	server_context = tls_server_new(of_server->cert_file, of_server->key_file, &reason);
	assert_null(reason);
}

/* Answers STARTTLS, and reads nothing more in clear text. */
static inline void agree_to_tls(void)
{
	stream_want_read(wire.stream, false);
	say("1 OK go ahead");
	stream_start_tls_server(wire.stream, server_context);
	stream_want_read(wire.stream, true);
}

/* Nothing of IMAP is in what was sent and not yet expected. */
static inline void expect_no_imap(void)
{
	static const char *const words[] = {"CAPABILITY", "AUTHENTICATE", "LOGIN", PLAIN};

	run_ready();
	for (size_t i = 0; i < ARRAY_LEN(words); i++)
		assert_null(memmem(
			buf_data(&wire.got), buf_len(&wire.got), words[i], strlen(words[i])));
}

/* It gave up for this reason, and said nothing more to the server. */
static inline void expect_lost(enum session_failure failure, const char *reason)
{
	expect_events("lost");
	assert_string_equal(lost_reason, reason);
	assert_int_equal(lost_failure, failure);
	expect_nothing();
}

/* Logged in, and ENABLE is answered. */
static inline void become_ready(const char *more_capabilities)
{
	_cleanup_free_ char *greeting = xasprintf(
		"* PREAUTH [CAPABILITY %s %s] hello", READY_CAPABILITIES, more_capabilities);

	start();
	say(greeting);
	expect_events("ready");
	expect("1 ENABLE QRESYNC");
	say("* ENABLED QRESYNC\r\n1 OK done");
	RUN_UNTIL(client_is_idle(session_client(session)));
}

#define BOTH(test) \
	cmocka_unit_test_setup_teardown(test, setup, teardown), \
	{ \
#test " (a byte at a time)", test, setup_slow, teardown, NULL \
	}

#endif
