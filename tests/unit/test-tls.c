/* SPDX-License-Identifier: MIT */
#include "net-fixture.h"

#include "certificates-fixture.h"
#include "sync/net/tls.h"

enum { MUCH = 10 << 20, DAY = 86400 };

static char folder[] = "/tmp/interimap-tls-XXXXXX";
static struct certificate authority, good, expired, early, lone, for_clients, of_expired;
static struct certificate expired_authority;

static struct peer client, server;
static struct tls_context *server_context, *client_context;

static int make_all(void **state)
{
	const struct certificate_options ca = {
		.name = "Test CA", .from = -DAY, .to = DAY, .is_authority = true};
	struct certificate_options o = {.name = "mail.example",
		.alternative_names = "DNS:mail.example,DNS:*.pool.example,IP:127.0.0.1,IP:::1",
		.issuer = &authority,
		.from = -DAY,
		.to = DAY};
	struct certificate_options old = ca;

	assert_non_null(mkdtemp(folder));
	make_certificate(&authority, folder, &ca);
	make_certificate(&good, folder, &o);
	o.usage = "clientAuth";
	make_certificate(&for_clients, folder, &o);
	o.usage = NULL;
	o.to = -10;
	make_certificate(&expired, folder, &o);
	o.from = DAY / 2;
	o.to = DAY;
	make_certificate(&early, folder, &o);
	o.from = -DAY;
	o.issuer = NULL;
	make_certificate(&lone, folder, &o);
	old.to = -10;
	make_certificate(&expired_authority, folder, &old);
	o.issuer = &expired_authority;
	make_certificate(&of_expired, folder, &o);
	return 0;
}

static int free_all(void **state)
{
	free_certificate(&authority);
	free_certificate(&good);
	free_certificate(&expired);
	free_certificate(&early);
	free_certificate(&lone);
	free_certificate(&for_clients);
	free_certificate(&of_expired);
	free_certificate(&expired_authority);
	assert_int_equal(rmdir(folder), 0);
	return 0;
}

static int setup(void **state)
{
	int fds[2];

	setup_loop(state);
	make_pair(fds);
	peer_init(&client, fds[0]);
	peer_init(&server, fds[1]);
	return 0;
}

static int teardown(void **state)
{
	peer_done(&client);
	peer_done(&server);
	client_context = tls_free(client_context);
	server_context = tls_free(server_context);
	return teardown_loop(state);
}

static void start_server(const struct certificate *c)
{
	char *reason = NULL;

	server_context = tls_server_new(c->cert_file, c->key_file, &reason);
	assert_null(reason);
	stream_start_tls_server(server.stream, server_context);
}

static void start_client(const struct tls_options *options, const char *host)
{
	char *reason = NULL;

	client_context = tls_client_new(options, &reason);
	assert_null(reason);
	stream_start_tls_client(client.stream, client_context, host);
}

static struct tls_options trusting(void)
{
	return (struct tls_options){.verify = true, .ca_file = authority.cert_file};
}

static void expect_up(void)
{
	RUN_UNTIL(client.ups + client.losts > 0 && server.ups + server.losts > 0);
	assert_int_equal(client.losts, 0);
	assert_int_equal(server.losts, 0);
	assert_true(stream_is_tls(client.stream));
}

static void expect_client_loss(const char *reason)
{
	RUN_UNTIL(client.ups + client.losts > 0);
	assert_int_equal(client.losts, 1);
	assert_string_equal(stream_error(client.stream), reason);
	assert_int_equal(client.ups, 0);
}

#define FOREIGN "; if it is the server's, put its issuer's into SSL_CAfile"

/* The client refuses, says why, and tells the server. */
static void expect_refusal(const char *reason)
{
	expect_client_loss(reason);
	RUN_UNTIL(server.losts > 0 || server.ups > 0);
}

/* --- Who the server is --- */

static void good_name(void **state)
{
	struct tls_options options = trusting();

	start_server(&good);
	start_client(&options, "mail.example");
	expect_up();
	assert_non_null(strstr(stream_tls_description(client.stream), "TLSv1.3 with TLS_"));
}

static void good_names_of_all_kinds(void **state)
{
	static const char *const names[] = {
		"MAIL.example.", "imap.pool.example", "127.0.0.1", "::1", "[::1]"};
	struct tls_options options = trusting();

	for (size_t i = 0; i < ARRAY_LEN(names); i++) {
		start_server(&good);
		start_client(&options, names[i]);
		expect_up();
		teardown(state);
		setup(state);
	}
}

static void bad_name(void **state)
{
	struct tls_options options = trusting();

	start_server(&good);
	start_client(&options, "mail.example.org");
	expect_refusal("the certificate is for mail.example, *.pool.example, 127.0.0.1, ::1, "
		       "not for mail.example.org");
}

static void bad_address(void **state)
{
	struct tls_options options = trusting();

	start_server(&good);
	start_client(&options, "127.0.0.2");
	expect_refusal("the certificate is for mail.example, *.pool.example, 127.0.0.1, ::1, "
		       "not for 127.0.0.2");
}

/* The name sent for SNI is not the one that is checked. */
static void server_name_is_not_checked(void **state)
{
	struct tls_options options = trusting();

	options.server_name = "mail.example";
	start_server(&good);
	start_client(&options, "other.example");
	expect_refusal("the certificate is for mail.example, *.pool.example, 127.0.0.1, ::1, "
		       "not for other.example");
}

/* To OpenSSL they would mean any name at all. */
static void names_that_match_all(void **state)
{
	struct tls_options options = trusting();

	start_server(&good);
	start_client(&options, "");
	expect_client_loss("\"\" is not a host name");
	teardown(state);
	setup(state);
	start_server(&good);
	start_client(&options, ".example");
	expect_client_loss("\".example\" is not a host name");
}

static void expired_certificate(void **state)
{
	struct tls_options options = trusting();

	start_server(&expired);
	start_client(&options, "mail.example");
	expect_refusal("the certificate has expired");
}

static void expired_issuer(void **state)
{
	struct tls_options options = trusting();

	options.ca_file = expired_authority.cert_file;
	start_server(&of_expired);
	start_client(&options, "mail.example");
	expect_refusal("the certificate of the server's issuer has expired");
}

static void early_certificate(void **state)
{
	struct tls_options options = trusting();

	start_server(&early);
	start_client(&options, "mail.example");
	expect_refusal("the certificate is not valid yet");
}

static void self_signed(void **state)
{
	struct tls_options options = trusting();

	start_server(&lone);
	start_client(&options, "mail.example");
	expect_refusal("the certificate is not trusted: self-signed certificate" FOREIGN);
}

static void unknown_issuer(void **state)
{
	struct tls_options options = {.verify = true};

	start_server(&good);
	start_client(&options, "mail.example");
	expect_refusal(
		"the certificate is not trusted: unable to get local issuer certificate" FOREIGN);
}

static void wrong_purpose(void **state)
{
	struct tls_options options = trusting();

	start_server(&for_clients);
	start_client(&options, "mail.example");
	RUN_UNTIL(client.losts > 0);
	assert_non_null(strstr(stream_error(client.stream), "purpose"));
}

static void not_verified(void **state)
{
	struct tls_options options = {.verify = false};

	start_server(&lone);
	start_client(&options, "whatever.example");
	expect_up();
}

/* --- Fingerprints --- */

static void fingerprint(void **state)
{
	_cleanup_free_ char *other = key_fingerprint(&lone, EVP_sha256());
	_cleanup_free_ char *right = key_fingerprint(&good, EVP_sha512());
	_cleanup_free_ char *list = xasprintf("%s  sha512$%s", other, right);
	struct tls_options options = trusting();

	options.fingerprints = list;
	start_server(&good);
	start_client(&options, "mail.example");
	expect_up();
}

static void fingerprint_without_chain(void **state)
{
	_cleanup_free_ char *right = key_fingerprint(&lone, EVP_sha256());
	struct tls_options options = {.verify = false, .fingerprints = right};

	start_server(&lone);
	start_client(&options, "mail.example");
	expect_up();
}

static void other_fingerprint(void **state)
{
	_cleanup_free_ char *other = key_fingerprint(&lone, EVP_sha256());
	_cleanup_free_ char *right = key_fingerprint(&good, EVP_sha256());
	_cleanup_free_ char *reason =
		xasprintf("the fingerprint of the server's public key is none "
			  "of those expected: sha256$%s; if that is the server's, put it into "
			  "SSL_fingerprint",
			right);
	struct tls_options options = trusting();

	options.fingerprints = other;
	start_server(&good);
	start_client(&options, "mail.example");
	expect_refusal(reason);
	teardown(state);
	setup(state);
	options.verify = false;
	start_server(&good);
	start_client(&options, "mail.example");
	expect_refusal(reason);
}

/* A fingerprint that is right does not make up for a chain that is not. */
static void fingerprint_lifts_nothing(void **state)
{
	_cleanup_free_ char *right = key_fingerprint(&lone, EVP_sha256());
	struct tls_options options = trusting();

	options.fingerprints = right;
	start_server(&lone);
	start_client(&options, "mail.example");
	expect_refusal("the certificate is not trusted: self-signed certificate" FOREIGN);
}

/* --- Settings --- */

static void expect_invalid(const struct tls_options *options, const char *expected)
{
	char *reason = NULL;

	assert_null(tls_client_new(options, &reason));
	assert_non_null(reason);
	assert_string_equal(reason, expected);
	free(reason);
}

static void invalid_settings(void **state)
{
	_cleanup_free_ char *short_one = xstrdup("sha256$abcd");

	expect_invalid(&(struct tls_options){.protocol_min = "TLSv1.9"},
		"unknown TLS protocol version \"TLSv1.9\"");
	expect_invalid(&(struct tls_options){.protocols = "!SSLv3 tls1"},
		"unknown TLS protocol version \"tls1\"");
	expect_invalid(&(struct tls_options){.protocols = "SSLv2"},
		"OpenSSL does not support protocol version SSLv2");
	expect_invalid(&(struct tls_options){.cipher_list = "NONSENSE"},
		"no usable cipher in \"NONSENSE\"");
	expect_invalid(&(struct tls_options){.cipher_suites = "NONSENSE"},
		"no usable cipher suite in \"NONSENSE\"");
	expect_invalid(&(struct tls_options){.verify = true, .ca_file = "/nonexistent.pem"},
		"cannot read trusted certificates from /nonexistent.pem: No such file or "
		"directory");
	expect_invalid(&(struct tls_options){.fingerprints = "md9$00"},
		"unknown fingerprint algorithm \"md9\"");
	expect_invalid(&(struct tls_options){.fingerprints = short_one},
		"\"abcd\" is not a sha256 fingerprint (64 hexadecimal digits)");
	expect_invalid(
		&(struct tls_options){.fingerprints = " "}, "the list of fingerprints is empty");
}

static void invalid_server(void **state)
{
	char *reason = NULL;

	assert_null(tls_server_new("/nonexistent.pem", good.key_file, &reason));
	assert_string_equal(reason, "cannot read the certificate in /nonexistent.pem: No such file "
				    "or directory");
	free(take(reason));
	assert_null(tls_server_new(good.cert_file, lone.key_file, &reason));
	assert_non_null(strstr(reason, "key values mismatch"));
	free(reason);
}

static void older_protocol(void **state)
{
	struct tls_options options = trusting();

	options.protocol_max = "TLSv1.2";
	options.cipher_list = "ECDHE-ECDSA-AES256-GCM-SHA384";
	start_server(&good);
	start_client(&options, "mail.example");
	expect_up();
	assert_string_equal(stream_tls_description(client.stream),
		"TLSv1.2 with ECDHE-ECDSA-AES256-GCM-SHA384");
}

static void listed_protocol(void **state)
{
	struct tls_options options = trusting();

	options.protocols = "!TLSv1.3";
	start_server(&good);
	start_client(&options, "mail.example");
	expect_up();
	assert_non_null(strstr(stream_tls_description(server.stream), "TLSv1.2 with"));
}

static void no_common_protocol(void **state)
{
	struct tls_options options = trusting();

	options.protocols = "TLSv1.1"; /* all others are off then */
	start_server(&good);
	start_client(&options, "mail.example");
	RUN_UNTIL(client.losts > 0);
	assert_non_null(strstr(stream_error(client.stream), "TLS handshake failed: "));
}

static void expect_server_name(const char *host, const char *server_name, const char *expected)
{
	struct tls_options options = trusting();
	char hello[4096];
	ssize_t n = -1;
	char *reason = NULL;

	options.server_name = server_name;
	client_context = tls_client_new(&options, &reason);
	stream_start_tls_client(client.stream, client_context, host);
	server.on_event = NULL;
	stream_want_read(server.stream, false);
	RUN_UNTIL((n = stream_recv(server.stream, hello, sizeof(hello))) > 0);
	if (expected != NULL)
		assert_non_null(memmem(hello, (size_t)n, expected, strlen(expected)));
	else
		assert_null(memmem(hello, (size_t)n, host, strlen(host)));
}

static void server_name(void **state)
{
	expect_server_name("mail.example", NULL, "mail.example");
	teardown(state);
	setup(state);
	expect_server_name("mail.example", "other.example", "other.example");
	teardown(state);
	setup(state);
	expect_server_name("mail.example", "", NULL);
	teardown(state);
	setup(state);
	expect_server_name("127.0.0.1", NULL, NULL);
}

/* --- Bytes --- */

static void connect_both(void)
{
	struct tls_options options = trusting();

	start_server(&good);
	start_client(&options, "mail.example");
}

static void much_both_ways(void **state)
{
	client.to_send = server.to_send = MUCH;
	client.shutdown_at_end = server.shutdown_at_end = true;
	connect_both();
	RUN_UNTIL(client.eof && server.eof);
	assert_int_equal(client.received, MUCH);
	assert_int_equal(server.received, MUCH);
	assert_int_equal(client.mismatch + server.mismatch, 0);
	assert_int_equal(client.losts + server.losts, 0);
	assert_true(stream_is_drained(client.stream));
	assert_true(stream_bytes_sent(client.stream) > MUCH);
}

/* One that does not read makes the other hold no more than a little. */
static void backpressure(void **state)
{
	connect_both();
	expect_up();
	stream_want_read(server.stream, false);
	client.to_send = MUCH;
	peer_write(&client);
	run_ready();
	assert_true(client.sent < 2 << 20);
	assert_false(stream_is_drained(client.stream));
	stream_want_read(server.stream, true);
	RUN_UNTIL(server.received == MUCH);
	assert_int_equal(server.mismatch, 0);
}

static void one_byte_at_a_time(void **state)
{
	put_chopper(client.stream);
	put_chopper(server.stream);
	client.to_send = server.to_send = 30000;
	client.shutdown_at_end = server.shutdown_at_end = true;
	connect_both();
	RUN_UNTIL(client.eof && server.eof);
	assert_int_equal(client.received, 30000);
	assert_int_equal(server.received, 30000);
	assert_int_equal(client.mismatch + server.mismatch, 0);
}

/* Bytes of a record that are inside OpenSSL do not show on the descriptor. */
static void hidden_input(void **state)
{
	server.chunk = 1;
	client.to_send = 5000;
	connect_both();
	RUN_UNTIL(server.received == 5000);
	assert_true(server.readables >= 5000);
	assert_int_equal(server.mismatch, 0);
}

static void half_closed(void **state)
{
	connect_both();
	expect_up();
	client.to_send = 5;
	client.shutdown_at_end = true;
	peer_write(&client);
	RUN_UNTIL(server.eof);
	server.to_send = 300000;
	peer_write(&server);
	RUN_UNTIL(client.received == 300000);
	assert_int_equal(client.losts + server.losts, 0);
}

static void start_tls_after_plaintext(void **state)
{
	char line[16];
	ssize_t n = -1;

	stream_want_read(client.stream, false);
	assert_int_equal(stream_send(server.stream, "OK\r\n", 4), 4);
	RUN_UNTIL((n = stream_recv(client.stream, line, sizeof(line))) > 0);
	assert_int_equal(n, 4);
	stream_want_read(client.stream, true);
	connect_both();
	expect_up();
	client.to_send = 100;
	peer_write(&client);
	RUN_UNTIL(server.received == 100);
}

static void nothing_passes_before_up(void **state)
{
	struct tls_options options = trusting();

	start_client(&options, "mail.example");
	stream_want_write(client.stream, true);
	assert_int_equal(stream_send(client.stream, "x", 1), -EAGAIN);
	assert_int_equal(stream_recv(client.stream, &(char){0}, 1), -EAGAIN);
	stream_want_read(server.stream, false);
	run_ready();
	assert_int_equal(client.writables + client.readables, 0);
	assert_false(stream_is_tls(client.stream));
}

/* Many servers just close, without saying so in TLS first. */
static void end_without_close_notify(void **state)
{
	connect_both();
	expect_up();
	peer_done(&server);
	RUN_UNTIL(client.eof || client.losts > 0);
	assert_true(client.eof);
	assert_int_equal(client.losts, 0);
}

static void closed_in_handshake(void **state)
{
	struct tls_options options = trusting();
	char hello[4096];

	start_client(&options, "mail.example");
	stream_want_read(server.stream, false);
	RUN_UNTIL(stream_recv(server.stream, hello, sizeof(hello)) > 0);
	peer_done(&server);
	RUN_UNTIL(client.losts > 0);
	assert_string_equal(stream_error(client.stream),
		"connection closed by the other side during the TLS handshake");
}

static void no_tls_there(void **state)
{
	static const char greeting[] = "* OK IMAP4rev1 server ready\r\n";
	struct tls_options options = trusting();

	stream_want_read(server.stream, false);
	start_client(&options, "mail.example");
	assert_true(stream_send(server.stream, greeting, sizeof(greeting) - 1) > 0);
	RUN_UNTIL(client.losts > 0);
	assert_string_equal(stream_error(client.stream),
		"TLS handshake failed: the other side does not speak TLS");
}

static void garbage_after_handshake(void **state)
{
	static const char garbage[] = "no record of any kind";
	int fd;

	connect_both();
	expect_up();
	fd = server.fd; /* past TLS */
	assert_int_equal(send(fd, garbage, sizeof(garbage), 0), sizeof(garbage));
	RUN_UNTIL(client.losts > 0);
	assert_non_null(strstr(stream_error(client.stream), "TLS connection failed: "));
	assert_true(stream_send(client.stream, "x", 1) < 0);
}

static void bindings_agree(void)
{
	const char *type[2];
	const void *data[2];
	size_t size[2];

	assert_true(stream_channel_binding(client.stream, &type[0], &data[0], &size[0]));
	assert_true(stream_channel_binding(server.stream, &type[1], &data[1], &size[1]));
	assert_string_equal(type[0], type[1]);
	assert_int_equal(size[0], size[1]);
	assert_memory_equal(data[0], data[1], size[0]);
}

static void channel_binding(void **state)
{
	struct tls_options options = trusting();
	const char *type;
	const void *data;
	size_t size;

	connect_both();
	assert_false(stream_channel_binding(client.stream, &type, &data, &size));
	expect_up();
	bindings_agree();
	assert_true(stream_channel_binding(client.stream, &type, &data, &size));
	assert_string_equal(type, "tls-exporter");
	assert_int_equal(size, 32);
	teardown(state);
	setup(state);
	options.protocol_max = "TLSv1.2";
	start_server(&good);
	start_client(&options, "mail.example");
	expect_up();
	bindings_agree();
	assert_true(stream_channel_binding(client.stream, &type, &data, &size));
	assert_string_equal(type, "tls-unique");
}

static void free_at_up(struct peer *peer, enum stream_event event)
{
	if (event == STREAM_UP)
		peer_done(peer);
}

static void freed_when_up(void **state)
{
	client.on_event = free_at_up;
	connect_both();
	RUN_UNTIL(client.stream == NULL);
	RUN_UNTIL(server.eof || server.losts > 0);
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(good_name),
		TEST(good_names_of_all_kinds),
		TEST(bad_name),
		TEST(bad_address),
		TEST(server_name_is_not_checked),
		TEST(names_that_match_all),
		TEST(expired_certificate),
		TEST(expired_issuer),
		TEST(early_certificate),
		TEST(self_signed),
		TEST(unknown_issuer),
		TEST(wrong_purpose),
		TEST(not_verified),
		TEST(fingerprint),
		TEST(fingerprint_without_chain),
		TEST(other_fingerprint),
		TEST(fingerprint_lifts_nothing),
		TEST(invalid_settings),
		TEST(invalid_server),
		TEST(older_protocol),
		TEST(listed_protocol),
		TEST(no_common_protocol),
		TEST(server_name),
		TEST(much_both_ways),
		TEST(backpressure),
		TEST(one_byte_at_a_time),
		TEST(hidden_input),
		TEST(half_closed),
		TEST(start_tls_after_plaintext),
		TEST(nothing_passes_before_up),
		TEST(end_without_close_notify),
		TEST(closed_in_handshake),
		TEST(no_tls_there),
		TEST(garbage_after_handshake),
		TEST(channel_binding),
		TEST(freed_when_up),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, make_all, free_all);
}
