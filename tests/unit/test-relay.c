/* SPDX-License-Identifier: MIT */
/* The relay between two socket pairs; the test plays the client at one end and the store at the
 * other. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "proxy/relay.h"
#include "sync/base/buf.h"
#include "sync/base/limits.h"
#include "sync/base/loop.h"
#include "sync/base/xalloc.h"
#include "sync/engine/hint.h"
#include "sync/net/stream.h"

enum { SOCKET_BUFFER = 8192, BIG = 10 << 20, PATIENCE_SECONDS = 20 };

struct end {
	int fd;
	const char *out; /* still to be written */
	size_t out_len;
	struct buf in;
	bool deaf; /* does not read */
	bool eof;
	size_t written;
};

struct fixture {
	struct loop loop;
	struct relay *relay;
	struct relay_handler handler;
	struct hint_receiver receiver;
	struct end client, store;
	struct buf hints;
	bool ended;
	char *reason;
};

static void on_ended(struct relay_handler *handler, const char *reason)
{
	struct fixture *fixture = container_of(handler, struct fixture, handler);

	assert_false(fixture->ended);
	fixture->ended = true;
	fixture->reason = reason != NULL ? xstrdup(reason) : NULL;
	fixture->relay = relay_free(fixture->relay);
}

static void on_hint(struct hint_receiver *receiver, enum hint_kind kind, const char *mailbox)
{
	struct fixture *fixture = container_of(receiver, struct fixture, receiver);

	(void)buf_printf(&fixture->hints, "%d %s\n", (int)kind, mailbox != NULL ? mailbox : "none");
}

static void no_event(struct stream_handler *handler, enum stream_event event)
{
	fail_msg("an event went to the old handler");
}

static struct stream_handler nobody = {no_event};

static struct stream *connect_end(struct fixture *fixture, struct end *end)
{
	int size = SOCKET_BUFFER, fds[2];

	assert_int_equal(
		socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, fds), 0);
	for (int i = 0; i < 2; i++)
		assert_int_equal(setsockopt(fds[i], SOL_SOCKET, SO_SNDBUF, &size, sizeof(size)), 0);
	*end = (struct end){.fd = fds[0]};
	buf_init(&end->in, BIG + (1 << 20));
	return stream_new(&fixture->loop, fds[1], &nobody);
}

static void start(struct fixture *fixture, const char *from_client, const char *from_store,
	const char *to_client)
{
	struct buf bufs[3];
	struct relay_start relay = {.from_client = &bufs[0],
		.from_store = &bufs[1],
		.to_client = &bufs[2],
		.own_client = connect_end(fixture, &fixture->client),
		.own_store = connect_end(fixture, &fixture->store)};

	for (int i = 0; i < 3; i++)
		buf_init(&bufs[i], 1000);
	assert_true(buf_puts(&bufs[0], from_client) && buf_puts(&bufs[1], from_store) &&
		    buf_puts(&bufs[2], to_client));
	fixture->relay =
		relay_new(&fixture->loop, &relay, &fixture->receiver, NULL, &fixture->handler);
	for (int i = 0; i < 3; i++)
		assert_int_equal(buf_len(&bufs[i]), 0);
}

static int setup(void **state)
{
	struct fixture *fixture = xcalloc(1, sizeof(*fixture));

	loop_init(&fixture->loop);
	fixture->handler.ended = on_ended;
	fixture->receiver.hint = on_hint;
	buf_init(&fixture->hints, 1 << 16);
	*state = fixture;
	return 0;
}

static void end_done(struct end *end)
{
	if (end->fd >= 0)
		(void)close(end->fd);
	buf_done(&end->in);
}

static int teardown(void **state)
{
	struct fixture *fixture = *state;

	fixture->relay = relay_free(fixture->relay);
	loop_done(&fixture->loop);
	end_done(&fixture->client);
	end_done(&fixture->store);
	buf_done(&fixture->hints);
	free(fixture->reason);
	free(fixture);
	return 0;
}

static void end_work(struct end *end)
{
	static char bytes[1 << 16];
	ssize_t n;

	if (end->fd < 0)
		return;
	if (end->out_len > 0) {
		n = send(end->fd, end->out, end->out_len, MSG_NOSIGNAL);
		if (n > 0) {
			end->out += n;
			end->out_len -= (size_t)n;
			end->written += (size_t)n;
		}
	}
	if (end->deaf || end->eof)
		return;
	n = recv(end->fd, bytes, sizeof(bytes), 0);
	if (n > 0)
		assert_true(buf_append(&end->in, bytes, (size_t)n));
	end->eof = n == 0 || (n < 0 && errno == ECONNRESET);
}

/* Lets everything run until the condition holds; without one, until it surely is at rest. */
#define RUN_UNTIL(fixture, condition) \
	do { \
		time_t limit_ = time(NULL) + PATIENCE_SECONDS; \
		while (!(condition)) { \
			ev_run((fixture)->loop.ev, EVRUN_NOWAIT); \
			end_work(&(fixture)->client); \
			end_work(&(fixture)->store); \
			if (time(NULL) > limit_) \
				fail_msg("did not come true: %s", #condition); \
		} \
	} while (0)

static void settle(struct fixture *fixture)
{
	int turns = 200;

	RUN_UNTIL(fixture, turns-- == 0);
}

static void say(struct end *end, const char *text)
{
	assert_int_equal(end->out_len, 0);
	end->out = text;
	end->out_len = strlen(text);
}

static bool heard(const struct end *end, const char *text)
{
	return buf_len(&end->in) == strlen(text) &&
	       memcmp(buf_data(&end->in), text, strlen(text)) == 0;
}

#define HEARS(fixture, end, text) \
	RUN_UNTIL(fixture, buf_len(&(fixture)->end.in) >= strlen(text)); \
	if (!heard(&(fixture)->end, (text))) \
	fail_msg("heard '%.*s'", (int)buf_len(&(fixture)->end.in), buf_data(&(fixture)->end.in))

static void test_what_was_there_comes_first(void **state)
{
	struct fixture *fixture = *state;

	start(fixture, "2 SELECT x\r\n3 NO", "* 1 EXISTS\r\n", "1 OK welcome\r\n");
	say(&fixture->client, "OP\r\n");
	HEARS(fixture, store, "2 SELECT x\r\n3 NOOP\r\n");
	say(&fixture->store, "2 OK\r\n3 OK\r\n");
	HEARS(fixture, client, "1 OK welcome\r\n* 1 EXISTS\r\n2 OK\r\n3 OK\r\n");
	assert_false(fixture->ended);
}

static void test_hints(void **state)
{
	struct fixture *fixture = *state;

	start(fixture, "1 SELECT x\r\n2 EXPUNGE\r\n3 CREATE y\r\n", "", "");
	say(&fixture->store, "1 OK\r\n2 OK\r\n");
	HEARS(fixture, client, "1 OK\r\n2 OK\r\n");
	assert_int_equal(buf_len(&fixture->hints), 8);
	/* the store goes without an answer to the third */
	(void)close(fixture->store.fd);
	fixture->store.fd = -1;
	RUN_UNTIL(fixture, fixture->client.eof);
	(void)close(fixture->client.fd);
	fixture->client.fd = -1;
	RUN_UNTIL(fixture, fixture->ended);
	assert_true(buf_putc(&fixture->hints, '\0'));
	assert_string_equal(buf_data(&fixture->hints), "4 x\n1 x\n3 none\n");
}

static char *big_literal(const char *head, uint32_t seed)
{
	char *text = xmalloc(BIG + 100);
	size_t n = (size_t)snprintf(text, 100, "%s {%d}\r\n", head, (int)BIG);

	for (size_t i = 0; i < BIG; i++) {
		seed = seed * 1664525 + 1013904223;
		text[n + i] = (char)('a' + (seed >> 24) % 26);
	}
	memcpy(text + n + BIG, "\r\n", 3);
	return text;
}

static void test_ten_megabytes_each_way(void **state)
{
	struct fixture *fixture = *state;
	char *up = big_literal("1 APPEND x", 1);
	char *down = big_literal("* 1 FETCH (BODY[]", 2);

	start(fixture, "", "", "");
	say(&fixture->client, up);
	RUN_UNTIL(fixture, buf_len(&fixture->store.in) > 0);
	say(&fixture->store, "+ go on\r\n");
	HEARS(fixture, client, "+ go on\r\n");
	buf_clear(&fixture->client.in);
	say(&fixture->store, down);
	RUN_UNTIL(fixture, buf_len(&fixture->store.in) >= strlen(up) &&
				   buf_len(&fixture->client.in) >= strlen(down));
	assert_true(heard(&fixture->store, up));
	assert_true(heard(&fixture->client, down));
	free(up);
	free(down);
}

/* Who does not read makes the other side wait, and costs a bounded amount of memory. */
static void check_slow_reader(struct fixture *fixture, struct end *writer, struct end *reader)
{
	bool is_client = writer == &fixture->client;
	char *text = big_literal(is_client ? "1 APPEND x" : "* 1 FETCH (BODY[]", 3);

	start(fixture, "", "", "");
	say(writer, text);
	if (is_client) {
		RUN_UNTIL(fixture, buf_len(&reader->in) > 0);
		say(reader, "+ go on\r\n");
	}
	reader->deaf = true;
	settle(fixture);
	assert_in_range(writer->written, 1000, LIMIT_RELAY + 16 * SOCKET_BUFFER);
	settle(fixture);
	assert_in_range(writer->written, 1000, LIMIT_RELAY + 16 * SOCKET_BUFFER);
	reader->deaf = false;
	RUN_UNTIL(fixture, buf_len(&reader->in) >= strlen(text));
	assert_true(heard(reader, text));
	free(text);
}

static void test_slow_client(void **state)
{
	struct fixture *fixture = *state;

	check_slow_reader(fixture, &fixture->store, &fixture->client);
}

static void test_slow_store(void **state)
{
	struct fixture *fixture = *state;

	check_slow_reader(fixture, &fixture->client, &fixture->store);
}

/* A client that shuts down its side still gets its answers. */
static void test_client_half_closes(void **state)
{
	struct fixture *fixture = *state;

	start(fixture, "", "", "");
	say(&fixture->client, "1 NOOP\r\nunfinis");
	RUN_UNTIL(fixture, fixture->client.out_len == 0);
	assert_int_equal(shutdown(fixture->client.fd, SHUT_WR), 0);
	RUN_UNTIL(fixture, fixture->store.eof);
	assert_true(heard(&fixture->store, "1 NOOP\r\n")); /* half a command does no good */
	assert_false(fixture->ended);
	say(&fixture->store, "1 OK\r\n");
	HEARS(fixture, client, "1 OK\r\n");
	(void)close(fixture->store.fd);
	fixture->store.fd = -1;
	RUN_UNTIL(fixture, fixture->ended);
	assert_null(fixture->reason);
}

/* A client that vanishes: the store still gets all it has sent, and may answer at length. */
static void test_client_vanishes(void **state)
{
	struct fixture *fixture = *state;
	char *text = big_literal("* 1 FETCH (BODY[]", 4);

	start(fixture, "", "", "");
	say(&fixture->client, "1 EXPUNGE\r\n2 LOGOUT\r\n");
	RUN_UNTIL(fixture, fixture->client.out_len == 0);
	(void)close(fixture->client.fd);
	fixture->client.fd = -1;
	RUN_UNTIL(fixture, fixture->store.eof);
	assert_true(heard(&fixture->store, "1 EXPUNGE\r\n2 LOGOUT\r\n"));
	say(&fixture->store, text);
	RUN_UNTIL(fixture, fixture->store.out_len == 0);
	(void)close(fixture->store.fd);
	fixture->store.fd = -1;
	RUN_UNTIL(fixture, fixture->ended);
	assert_null(fixture->reason);
	free(text);
}

static void close_store(struct fixture *fixture)
{
	RUN_UNTIL(fixture, fixture->store.out_len == 0);
	(void)close(fixture->store.fd);
	fixture->store.fd = -1;
	RUN_UNTIL(fixture, fixture->client.eof);
	/* the relay waits for the client to close, and drops what it still says */
	assert_false(fixture->ended);
	say(&fixture->client, "9 NOOP\r\n");
	settle(fixture);
	(void)close(fixture->client.fd);
	fixture->client.fd = -1;
	RUN_UNTIL(fixture, fixture->ended);
}

static void test_logout(void **state)
{
	struct fixture *fixture = *state;

	start(fixture, "1 LOGOUT\r\n", "", "");
	say(&fixture->store, "* BYE bye\r\n1 OK\r\n");
	close_store(fixture);
	assert_true(heard(&fixture->client, "* BYE bye\r\n1 OK\r\n"));
	assert_null(fixture->reason);
}

static void test_store_fails(void **state)
{
	struct fixture *fixture = *state;

	start(fixture, "1 NOOP\r\n", "", "");
	say(&fixture->store, "* 1 EXISTS\r\n");
	close_store(fixture);
	assert_true(heard(&fixture->client,
		"* 1 EXISTS\r\n* BYE The mail store has closed the connection\r\n"));
	assert_non_null(fixture->reason);
}

static void test_store_fails_within_a_response(void **state)
{
	struct fixture *fixture = *state;

	start(fixture, "1 FETCH 1 BODY[]\r\n", "", "");
	say(&fixture->store, "* 1 FETCH (BODY[] {100}\r\nabc\r\n");
	close_store(fixture);
	assert_true(heard(&fixture->client, "* 1 FETCH (BODY[] {100}\r\nabc\r\n"));
	assert_non_null(fixture->reason);
}

/* A client that does not close after the store has: the relay loses patience. */
static void test_client_lingers(void **state)
{
	struct fixture *fixture = *state;

	start(fixture, "", "* BYE bye\r\n", "");
	(void)close(fixture->store.fd);
	fixture->store.fd = -1;
	RUN_UNTIL(fixture, fixture->ended);
	assert_true(heard(&fixture->client, "* BYE bye\r\n"));
}

static void test_compression_is_refused_in_a_gap(void **state)
{
	struct fixture *fixture = *state;

	start(fixture, "", "* CAPABILITY IMAP4rev1 COMPRESS=DEF", "");
	say(&fixture->store, "LATE IDLE\r\n* 1 FETCH (BODY[] {4}\r\nab");
	HEARS(fixture, client, "* CAPABILITY IMAP4rev1 IDLE\r\n* 1 FETCH (BODY[] {4}\r\nab");
	say(&fixture->client, "7 COMPRESS DEFLATE\r\n8 NOOP\r\n");
	HEARS(fixture, store, "8 NOOP\r\n");
	settle(fixture);
	say(&fixture->store, "cd)\r\n8 OK\r\n");
	HEARS(fixture, client,
		"* CAPABILITY IMAP4rev1 IDLE\r\n* 1 FETCH (BODY[] {4}\r\nabcd)\r\n"
		"7 NO [CANNOT] compression is not available here\r\n8 OK\r\n");
	/* between two responses it is told at once */
	say(&fixture->client, "9 COMPRESS DEFLATE\r\n");
	buf_clear(&fixture->client.in);
	HEARS(fixture, client, "9 NO [CANNOT] compression is not available here\r\n");
}

static void test_answers_are_bounded(void **state)
{
	struct fixture *fixture = *state;
	struct buf text;

	buf_init(&text, 1 << 20);
	start(fixture, "", "* 1 FETCH (BODY[] {4}\r\n", "");
	for (int i = 0; i < 1000; i++)
		assert_true(buf_puts(&text, "7 COMPRESS DEFLATE\r\n"));
	assert_true(buf_putc(&text, '\0'));
	say(&fixture->client, buf_data(&text));
	RUN_UNTIL(fixture, fixture->store.eof);
	(void)close(fixture->store.fd);
	fixture->store.fd = -1;
	RUN_UNTIL(fixture, fixture->ended);
	buf_done(&text);
}

/* Says it in pieces of one byte. */
static void say_slowly(struct fixture *fixture, struct end *end, const char *text)
{
	for (; *text != '\0'; text++) {
		const char byte[] = {*text, '\0'};

		say(end, byte);
		RUN_UNTIL(fixture, end->out_len == 0);
	}
}

/* The literal of {n+} leaves when the store has asked for it, and the client knows nothing of that.
 */
static void test_literal_without_waiting(void **state)
{
	struct fixture *fixture = *state;

	start(fixture, "1 APPEND x {3+}\r\nabc\r\n2 NOOP\r\n", "", "");
	HEARS(fixture, store, "1 APPEND x {3}\r\n");
	settle(fixture);
	assert_true(heard(&fixture->store, "1 APPEND x {3}\r\n"));
	say_slowly(fixture, &fixture->store, "* 5 EXISTS\r\n+ go on\r\n");
	HEARS(fixture, store, "1 APPEND x {3}\r\nabc\r\n2 NOOP\r\n");
	say(&fixture->store, "1 OK\r\n2 OK\r\n");
	HEARS(fixture, client, "* 5 EXISTS\r\n1 OK\r\n2 OK\r\n");
	/* it does not want it */
	buf_clear(&fixture->store.in);
	say(&fixture->client, "3 APPEND x {30+}\r\n4 COMPRESS DEFLATE\r\n");
	HEARS(fixture, store, "3 APPEND x {30}\r\n");
	say(&fixture->store, "3 NO\r\n");
	say(&fixture->client, "9 NOOP {1}\r\n5 NOOP\r\n");
	HEARS(fixture, store, "3 APPEND x {30}\r\n5 NOOP\r\n");
}

/* What cannot be followed ends the connection, and both sides hear of it. */
static void test_cannot_be_followed(void **state)
{
	struct fixture *fixture = *state;

	start(fixture, "1 IDLE\r\n2 COMPRESS DEFLATE\r\n", "", "");
	HEARS(fixture, client, "* BYE What was sent cannot be followed here\r\n");
	RUN_UNTIL(fixture, fixture->client.eof);
	(void)close(fixture->client.fd);
	fixture->client.fd = -1;
	RUN_UNTIL(fixture, fixture->ended);
	assert_string_equal(
		fixture->reason, "its connection is ended, since it sends a command within IDLE");
}

/* The client idles on the mailbox x. */
static void start_idle(struct fixture *fixture)
{
	start(fixture, "1 SELECT x\r\n", "", "");
	say(&fixture->store, "1 OK\r\n");
	HEARS(fixture, client, "1 OK\r\n");
	say(&fixture->client, "2 IDLE\r\n");
	HEARS(fixture, store, "1 SELECT x\r\n2 IDLE\r\n");
	relay_nudge(fixture->relay, "x"); /* too early: the store has not begun it */
	say(&fixture->store, "+ idling\r\n");
	HEARS(fixture, client, "1 OK\r\n+ idling\r\n");
	settle(fixture);
	assert_true(heard(&fixture->store, "1 SELECT x\r\n2 IDLE\r\n"));
	buf_clear(&fixture->store.in);
	buf_clear(&fixture->client.in);
}

static void test_nudge(void **state)
{
	struct fixture *fixture = *state;

	start_idle(fixture);
	relay_nudge(fixture->relay, "y");
	settle(fixture);
	assert_int_equal(buf_len(&fixture->store.in), 0);
	relay_nudge(fixture->relay, "x");
	HEARS(fixture, store, "DONE\r\n");
	/* what the client says meanwhile waits */
	say(&fixture->client, "DONE\r\n3 NOOP\r\n");
	settle(fixture);
	assert_true(heard(&fixture->store, "DONE\r\n"));
	say_slowly(fixture, &fixture->store,
		"* 5 EXISTS\r\n* 2 FETCH (BODY[] {4}\r\n2 OK)\r\n2 OK Idle completed.\r\n");
	HEARS(fixture, store, "DONE\r\n2 IDLE\r\n");
	settle(fixture);
	assert_true(heard(&fixture->store, "DONE\r\n2 IDLE\r\n"));
	say_slowly(fixture, &fixture->store, "+ idling\r\n");
	HEARS(fixture, store, "DONE\r\n2 IDLE\r\nDONE\r\n");
	settle(fixture);
	assert_true(heard(&fixture->store, "DONE\r\n2 IDLE\r\nDONE\r\n"));
	say(&fixture->store, "2 OK Idle completed.\r\n");
	HEARS(fixture, store, "DONE\r\n2 IDLE\r\nDONE\r\n3 NOOP\r\n");
	say(&fixture->store, "3 OK\r\n");
	HEARS(fixture, client,
		"* 5 EXISTS\r\n* 2 FETCH (BODY[] {4}\r\n2 OK)\r\n2 OK Idle completed.\r\n"
		"3 OK\r\n");
	relay_nudge(fixture->relay, NULL);
	settle(fixture);
	assert_true(heard(&fixture->store, "DONE\r\n2 IDLE\r\nDONE\r\n3 NOOP\r\n"));
}

static void test_nudges_in_a_row(void **state)
{
	struct fixture *fixture = *state;

	start_idle(fixture);
	for (int i = 0; i < 3; i++)
		relay_nudge(fixture->relay, "x");
	HEARS(fixture, store, "DONE\r\n");
	say(&fixture->store, "2 OK\r\n");
	HEARS(fixture, store, "DONE\r\n2 IDLE\r\n");
	say(&fixture->store, "+\r\n");
	/* the second and third are one, and wait for a moment */
	HEARS(fixture, store, "DONE\r\n2 IDLE\r\nDONE\r\n");
	say(&fixture->store, "* 6 EXISTS\r\n2 OK\r\n");
	HEARS(fixture, store, "DONE\r\n2 IDLE\r\nDONE\r\n2 IDLE\r\n");
	say(&fixture->store, "+\r\n");
	HEARS(fixture, client, "* 6 EXISTS\r\n");
	settle(fixture);
	assert_true(heard(&fixture->store, "DONE\r\n2 IDLE\r\nDONE\r\n2 IDLE\r\n"));
}

/* The store ends the IDLE at the wrong moment: the client must see that. */
static void test_nudge_is_refused(void **state)
{
	struct fixture *fixture = *state;

	start_idle(fixture);
	relay_nudge(fixture->relay, "x");
	HEARS(fixture, store, "DONE\r\n");
	say(&fixture->store, "2 NO not so\r\n");
	HEARS(fixture, client, "2 NO not so\r\n");
	say(&fixture->client, "3 IDLE\r\n");
	HEARS(fixture, store, "DONE\r\n3 IDLE\r\n");
	say(&fixture->store, "+\r\n");
	HEARS(fixture, client, "2 NO not so\r\n+\r\n");
	settle(fixture);
	relay_nudge(fixture->relay, "x");
	HEARS(fixture, store, "DONE\r\n3 IDLE\r\nDONE\r\n");
	say(&fixture->store, "3 OK\r\n");
	HEARS(fixture, store, "DONE\r\n3 IDLE\r\nDONE\r\n3 IDLE\r\n");
	say(&fixture->store, "3 BAD again?\r\n");
	HEARS(fixture, client, "2 NO not so\r\n+\r\n3 BAD again?\r\n");
	say(&fixture->client, "4 NOOP\r\n");
	HEARS(fixture, store, "DONE\r\n3 IDLE\r\nDONE\r\n3 IDLE\r\n4 NOOP\r\n");
}

static void test_client_vanishes_while_nudged(void **state)
{
	struct fixture *fixture = *state;

	start_idle(fixture);
	relay_nudge(fixture->relay, "x");
	HEARS(fixture, store, "DONE\r\n");
	(void)close(fixture->client.fd);
	fixture->client.fd = -1;
	say(&fixture->store, "2 OK\r\n");
	RUN_UNTIL(fixture, fixture->store.out_len == 0);
	settle(fixture);
	say(&fixture->store, "+\r\n");
	RUN_UNTIL(fixture, fixture->store.eof);
	(void)close(fixture->store.fd);
	fixture->store.fd = -1;
	RUN_UNTIL(fixture, fixture->ended);
}

static void test_says_bye(void **state)
{
	struct fixture *fixture = *state;

	start(fixture, "", "* 1 FETCH (BODY[] {2}\r\na", "");
	relay_say_bye(fixture->relay, "early");
	say(&fixture->store, "b)\r\n");
	HEARS(fixture, client, "* 1 FETCH (BODY[] {2}\r\nab)\r\n");
	relay_say_bye(fixture->relay, "The end");
	HEARS(fixture, client, "* 1 FETCH (BODY[] {2}\r\nab)\r\n* BYE The end\r\n");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
		TEST(test_what_was_there_comes_first),
		TEST(test_hints),
		TEST(test_ten_megabytes_each_way),
		TEST(test_slow_client),
		TEST(test_slow_store),
		TEST(test_client_half_closes),
		TEST(test_client_vanishes),
		TEST(test_logout),
		TEST(test_store_fails),
		TEST(test_store_fails_within_a_response),
		TEST(test_client_lingers),
		TEST(test_compression_is_refused_in_a_gap),
		TEST(test_literal_without_waiting),
		TEST(test_cannot_be_followed),
		TEST(test_answers_are_bounded),
		TEST(test_nudge),
		TEST(test_nudges_in_a_row),
		TEST(test_nudge_is_refused),
		TEST(test_client_vanishes_while_nudged),
		TEST(test_says_bye),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
