/* SPDX-License-Identifier: MIT */
/*
 * For the tests of sync/net: a loop that runs until a condition holds, a stream's owner that sends
 * and checks a pattern, and a filter that passes one byte at a time.
 */
#ifndef INTERIMAP_TESTS_NET_FIXTURE_H
#define INTERIMAP_TESTS_NET_FIXTURE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "sync/base/loop.h"
#include "sync/base/xalloc.h"
#include "sync/net/filter.h"
#include "sync/net/stream.h"

#define FIXTURE_SECONDS 60.0 /* a test that waits longer has failed */

static struct loop loop;

static void fixture_tick(struct ev_loop *ev, struct ev_timer *watcher, int revents)
{
}

/* Runs the loop until the condition holds; it may have effects. */
#define RUN_UNTIL(condition) \
	do { \
		struct ev_timer tick_; \
		ev_tstamp end_ = ev_time() + FIXTURE_SECONDS; \
		bool met_; \
		ev_timer_init(&tick_, fixture_tick, 0.05, 0.05); \
		ev_timer_start(loop.ev, &tick_); \
		while (!(met_ = (condition)) && ev_time() < end_) \
			ev_run(loop.ev, EVRUN_ONCE); \
		ev_timer_stop(loop.ev, &tick_); \
		if (!met_) \
			fail_msg("%s never came true", #condition); \
	} while (0)

/* Lets everything happen that is ready to. */
static inline void run_ready(void)
{
	for (int i = 0; i < 20; i++)
		ev_run(loop.ev, EVRUN_NOWAIT);
}

static inline int setup_loop(void **state)
{
	loop_init(&loop);
	return 0;
}

static inline int teardown_loop(void **state)
{
	loop_done(&loop);
	return 0;
}

static inline void make_pair(int fds[2])
{
	assert_int_equal(
		socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, fds), 0);
}

/* --- One that passes a byte at a time, and every other time none --- */

struct chopper {
	struct filter filter;
	bool skip_recv, skip_send;
	bool hides;
};

static inline ssize_t chopper_recv(struct filter *filter, void *data, size_t n)
{
	struct chopper *chopper = container_of(filter, struct chopper, filter);

	chopper->skip_recv = !chopper->skip_recv;
	chopper->hides = chopper->skip_recv;
	if (chopper->skip_recv)
		return -EAGAIN;
	return filter->lower->class->recv(filter->lower, data, 1);
}

static inline ssize_t chopper_send(struct filter *filter, const void *data, size_t n)
{
	struct chopper *chopper = container_of(filter, struct chopper, filter);

	chopper->skip_send = !chopper->skip_send;
	if (chopper->skip_send)
		return -EAGAIN;
	return filter->lower->class->send(filter->lower, data, 1);
}

static inline int chopper_push(struct filter *filter)
{
	return 0;
}

static inline void chopper_none(struct filter *filter)
{
}

static inline bool chopper_has_input(const struct filter *filter)
{
	return container_of(filter, struct chopper, filter)->hides;
}

static inline bool chopper_false(const struct filter *filter)
{
	return false;
}

static inline void chopper_free(struct filter *filter)
{
	free(container_of(filter, struct chopper, filter));
}

static inline void put_chopper(struct stream *stream)
{
	static const struct filter_class class = {
		.recv = chopper_recv,
		.send = chopper_send,
		.push = chopper_push,
		.flush = chopper_none,
		.shutdown = chopper_none,
		.has_input = chopper_has_input,
		.has_output = chopper_false,
		.has_room = chopper_false,
		.free = chopper_free,
	};
	struct chopper *chopper = xcalloc(1, sizeof(*chopper));

	chopper->filter.class = &class;
	stream_put_filter(stream, &chopper->filter);
}

/* --- The owner of a stream --- */

struct peer {
	struct stream_handler handler;
	struct stream *stream;
	int fd; /* the stream's */
	uint64_t to_send, sent; /* of the pattern */
	uint64_t received, mismatch; /* bytes, and those that were not as the pattern says */
	size_t chunk; /* most bytes of one call */
	bool shutdown_at_end;
	unsigned ups, readables, writables, losts;
	bool eof;
	char first[64]; /* what came first, as a string */
	bool in_call; /* a call of the interface is under way: no event may come */
	void (*on_event)(struct peer *peer, enum stream_event event); /* instead of all this */
};

static inline unsigned char pattern(uint64_t i)
{
	return (unsigned char)((i / 7) ^ (i * 2654435761U >> 24));
}

static inline void peer_write(struct peer *peer)
{
	unsigned char data[65536];

	while (peer->sent < peer->to_send) {
		uint64_t n = peer->to_send - peer->sent;
		ssize_t r;

		if (n > peer->chunk)
			n = peer->chunk;
		for (uint64_t i = 0; i < n; i++)
			data[i] = pattern(peer->sent + i);
		peer->in_call = true;
		r = stream_send(peer->stream, data, (size_t)n);
		peer->in_call = false;
		if (r < 0)
			break;
		assert_true(r > 0 && (uint64_t)r <= n);
		peer->sent += (uint64_t)r;
	}
	peer->in_call = true;
	stream_flush(peer->stream);
	stream_want_write(peer->stream, peer->sent < peer->to_send);
	if (peer->sent == peer->to_send && peer->shutdown_at_end)
		stream_shutdown(peer->stream);
	peer->in_call = false;
}

static inline void peer_read(struct peer *peer)
{
	unsigned char data[65536];
	ssize_t r;

	peer->in_call = true;
	r = stream_recv(peer->stream, data, peer->chunk);
	peer->in_call = false;
	if (r == 0)
		peer->eof = true;
	for (ssize_t i = 0; i < r; i++, peer->received++) {
		if (peer->received < sizeof(peer->first) - 1)
			peer->first[peer->received] = (char)data[i];
		if (data[i] != pattern(peer->received))
			peer->mismatch++;
	}
}

static inline void peer_event(struct stream_handler *handler, enum stream_event event)
{
	struct peer *peer = container_of(handler, struct peer, handler);

	assert_false(peer->in_call);
	assert_int_equal(peer->losts, 0); /* nothing comes after it */
	peer->ups += event == STREAM_UP;
	peer->readables += event == STREAM_READABLE;
	peer->writables += event == STREAM_WRITABLE;
	peer->losts += event == STREAM_LOST;
	if (peer->on_event != NULL)
		peer->on_event(peer, event);
	else if (event == STREAM_READABLE)
		peer_read(peer);
	else if (event == STREAM_WRITABLE || event == STREAM_UP)
		peer_write(peer);
}

static inline void peer_init(struct peer *peer, int own_fd)
{
	*peer = (struct peer){.handler = {.event = peer_event}, .fd = own_fd, .chunk = 65536};
	peer->stream = stream_new(&loop, own_fd, &peer->handler);
}

static inline void peer_done(struct peer *peer)
{
	peer->stream = stream_free(peer->stream);
}

#endif
