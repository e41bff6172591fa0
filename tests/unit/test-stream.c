/* SPDX-License-Identifier: MIT */
#include "net-fixture.h"

#include <netinet/in.h>

enum { MUCH = 10 << 20 };

static struct peer a, b;

static int setup(void **state)
{
	int fds[2];

	setup_loop(state);
	make_pair(fds);
	peer_init(&a, fds[0]);
	peer_init(&b, fds[1]);
	return 0;
}

static int teardown(void **state)
{
	peer_done(&a);
	peer_done(&b);
	return teardown_loop(state);
}

static void much_both_ways(void **state)
{
	a.to_send = b.to_send = MUCH;
	a.shutdown_at_end = b.shutdown_at_end = true;
	peer_write(&a);
	peer_write(&b);
	assert_true(a.sent < MUCH); /* nothing holds ten megabytes */
	RUN_UNTIL(a.eof && b.eof);
	assert_int_equal(a.received, MUCH);
	assert_int_equal(b.received, MUCH);
	assert_int_equal(a.mismatch + b.mismatch, 0);
	assert_int_equal(stream_bytes_sent(a.stream), MUCH);
	assert_int_equal(stream_bytes_received(a.stream), MUCH);
	assert_true(stream_is_drained(a.stream));
}

/* READABLE comes as long as there is something, however little is read each time. */
static void level_triggered(void **state)
{
	b.chunk = 1;
	a.to_send = 1000;
	peer_write(&a);
	RUN_UNTIL(b.received == 1000);
	assert_true(b.readables >= 1000);
	assert_int_equal(b.mismatch, 0);
}

static void reading_not_wanted(void **state)
{
	stream_want_read(b.stream, false);
	a.to_send = 1000;
	peer_write(&a);
	run_ready();
	assert_int_equal(b.readables, 0);
	stream_want_read(b.stream, true);
	RUN_UNTIL(b.received == 1000);
}

static void half_closed(void **state)
{
	a.to_send = 5;
	a.shutdown_at_end = true;
	peer_write(&a);
	RUN_UNTIL(b.eof);
	assert_int_equal(stream_send(a.stream, "x", 1), -EPIPE);
	b.to_send = 300000;
	peer_write(&b);
	RUN_UNTIL(a.received == 300000);
	assert_int_equal(a.losts + b.losts, 0);
	run_ready();
	assert_int_equal(stream_recv(b.stream, &(char){0}, 1), 0); /* still */
}

static void one_byte_at_a_time(void **state)
{
	put_chopper(a.stream);
	put_chopper(b.stream);
	a.to_send = b.to_send = 3000;
	stream_want_write(a.stream, true);
	stream_want_write(b.stream, true);
	peer_write(&a);
	peer_write(&b);
	/* The chopper never has room of its own: poll as the socket would. */
	for (int i = 0; i < 100000 && (a.received < 3000 || b.received < 3000); i++) {
		peer_write(&a);
		peer_write(&b);
		ev_run(loop.ev, EVRUN_NOWAIT);
	}
	assert_int_equal(a.received, 3000);
	assert_int_equal(b.received, 3000);
	assert_int_equal(a.mismatch + b.mismatch, 0);
}

static void free_in_event(struct peer *peer, enum stream_event event)
{
	peer_done(peer);
}

static void freed_in_readable(void **state)
{
	b.on_event = free_in_event;
	a.to_send = 10;
	peer_write(&a);
	RUN_UNTIL(b.stream == NULL);
	assert_int_equal(b.readables, 1);
	RUN_UNTIL(a.eof || a.losts > 0);
}

static void freed_in_writable(void **state)
{
	a.on_event = free_in_event;
	stream_want_write(a.stream, true);
	RUN_UNTIL(a.stream == NULL);
	assert_int_equal(a.writables, 1);
}

static void write_only(struct peer *peer, enum stream_event event)
{
	if (event == STREAM_LOST)
		peer_done(peer);
}

/* From the task's queue, as no descriptor says so. */
static void freed_in_lost(void **state)
{
	a.on_event = write_only;
	stream_want_read(a.stream, false);
	peer_done(&b);
	assert_true(stream_send(a.stream, "x", 1) < 0);
	assert_int_equal(a.losts, 0);
	RUN_UNTIL(a.stream == NULL);
	assert_int_equal(a.losts, 1);
}

/* A server explains itself before it closes; that our own writing failed must not hide it. */
static void last_words(void **state)
{
	static const char bye[] = "* BYE too many connections\r\n";

	assert_int_equal(stream_send(b.stream, bye, sizeof(bye) - 1), sizeof(bye) - 1);
	peer_done(&b);
	a.chunk = 5;
	assert_int_equal(stream_send(a.stream, "x", 1), -EPIPE);
	RUN_UNTIL(a.losts > 0);
	assert_string_equal(a.first, bye);
	assert_string_equal(stream_error(a.stream), "connection closed by the other side");
	assert_int_equal(stream_recv(a.stream, &(char){0}, 1), -EPIPE);
}

static void reset_by_peer(void **state)
{
	const struct linger linger = {.l_onoff = 1, .l_linger = 0};
	struct sockaddr_in address = {.sin_family = AF_INET};
	socklen_t size = sizeof(address);
	int listener, client, server;
	struct peer c;

	address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	listener = socket(AF_INET, SOCK_STREAM, 0);
	assert_int_equal(bind(listener, (struct sockaddr *)&address, size), 0);
	assert_int_equal(listen(listener, 1), 0);
	assert_int_equal(getsockname(listener, (struct sockaddr *)&address, &size), 0);
	client = socket(AF_INET, SOCK_STREAM, 0);
	assert_int_equal(connect(client, (struct sockaddr *)&address, size), 0);
	server = accept4(listener, NULL, NULL, SOCK_NONBLOCK);
	assert_true(server >= 0);
	peer_init(&c, server);
	stream_set_keepalive(c.stream, true, 30000);
	setsockopt(client, SOL_SOCKET, SO_LINGER, &linger, sizeof(linger));
	close(client);
	RUN_UNTIL(c.losts > 0);
	assert_string_equal(stream_error(c.stream), "connection reset by the other side");
	run_ready();
	assert_int_equal(c.losts, 1);
	peer_done(&c);
	close(listener);
}

static void without_tls(void **state)
{
	const char *type;
	const void *data;
	size_t size;

	assert_false(stream_is_tls(a.stream));
	assert_null(stream_tls_description(a.stream));
	assert_false(stream_channel_binding(a.stream, &type, &data, &size));
	assert_null(stream_free(NULL));
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(much_both_ways),
		TEST(level_triggered),
		TEST(reading_not_wanted),
		TEST(half_closed),
		TEST(one_byte_at_a_time),
		TEST(freed_in_readable),
		TEST(freed_in_writable),
		TEST(freed_in_lost),
		TEST(last_words),
		TEST(reset_by_peer),
		TEST(without_tls),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
