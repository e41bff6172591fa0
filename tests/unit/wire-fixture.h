/* SPDX-License-Identifier: MIT */
/*
 * For the tests of the IMAP client: the server's end of a connection, played by the test line by
 * line, and a record of what happened here.
 *
 * say() lets the program see the bytes one at a time when wire.slow is set: every test runs both
 * ways.
 */
#ifndef INTERIMAP_TESTS_WIRE_FIXTURE_H
#define INTERIMAP_TESTS_WIRE_FIXTURE_H

#include "net-fixture.h"

#include <stdio.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <time.h>

#include "sync/base/buf.h"
#include "sync/base/log.h"

enum { WIRE_BYTES = 64 << 20, WIRE_READ = 65536 };

static struct {
	struct stream_handler handler;
	struct stream *stream; /* the server's end */
	struct buf got; /* from the program, not yet expected */
	struct buf events; /* words, a space after each */
	bool slow;
	bool eof; /* the program has closed */
	bool up; /* TLS */
} wire;

static void wire_event(struct stream_handler *handler, enum stream_event event)
{
	char data[WIRE_READ];
	ssize_t n;

	if (event == STREAM_UP)
		wire.up = true;
	if (event == STREAM_LOST)
		wire.eof = true;
	if (event != STREAM_READABLE)
		return;
	n = stream_recv(wire.stream, data, sizeof(data));
	if (n == 0)
		wire.eof = true;
	if (n > 0)
		assert_true(buf_append(&wire.got, data, (size_t)n));
}

static inline void wire_open(int own_fd)
{
	wire.handler.event = wire_event;
	wire.stream = stream_new(&loop, own_fd, &wire.handler);
}

static inline void wire_hang_up(void)
{
	wire.stream = stream_free(wire.stream);
}

static inline void wire_init(bool slow)
{
	memset(&wire, 0, sizeof(wire));
	wire.slow = slow;
	buf_init(&wire.got, WIRE_BYTES);
	buf_init(&wire.events, WIRE_BYTES);
}

static inline void wire_done(void)
{
	wire_hang_up();
	buf_done(&wire.got);
	buf_done(&wire.events);
}

static inline void run_turns(int turns)
{
	while (turns-- > 0)
		ev_run(loop.ev, EVRUN_NOWAIT);
}

static inline void say_bytes(const char *data, size_t len)
{
	while (len > 0) {
		ssize_t n = stream_send(wire.stream, data, wire.slow ? 1 : len);

		if (n == -EAGAIN) {
			run_turns(1);
			continue;
		}
		if (n <= 0)
			return; /* the program has hung up: what it makes of that is looked at */
		stream_flush(wire.stream);
		data += n;
		len -= (size_t)n;
		if (wire.slow)
			run_turns(2);
	}
}

/* Without the CRLF at its end. */
static inline void say(const char *line)
{
	say_bytes(line, strlen(line));
	say_bytes("\r\n", 2);
}

static inline void expect_bytes(const char *expected, size_t len)
{
	_cleanup_free_ char *got = NULL;

	RUN_UNTIL(buf_len(&wire.got) >= len || wire.eof);
	got = xmemdup0(buf_data(&wire.got), buf_len(&wire.got) < len ? buf_len(&wire.got) : len);
	if (strlen(expected) == len)
		assert_string_equal(got, expected);
	assert_true(buf_len(&wire.got) >= len);
	assert_memory_equal(buf_data(&wire.got), expected, len);
	buf_consume(&wire.got, len);
}

/* The next that the program sends; without the CRLF at its end. */
static inline void expect(const char *line)
{
	_cleanup_free_ char *bytes = xasprintf("%s\r\n", line);

	expect_bytes(bytes, strlen(bytes));
}

static inline void note(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

static inline void note(const char *fmt, ...)
{
	_cleanup_free_ char *word = NULL;
	va_list ap;

	va_start(ap, fmt);
	word = xvasprintf(fmt, ap);
	va_end(ap);
	assert_true(buf_printf(&wire.events, "%s ", word));
}

/* The next that happened: exactly this. */
static inline void expect_events(const char *expected)
{
	_cleanup_free_ char *all = xasprintf("%s ", expected);
	_cleanup_free_ char *events = NULL;

	RUN_UNTIL(buf_len(&wire.events) >= strlen(all));
	events = xmemdup0(buf_data(&wire.events), buf_len(&wire.events));
	assert_string_equal(events, all);
	buf_clear(&wire.events);
}

/* Nothing was sent, and nothing happened. */
static inline void expect_nothing(void)
{
	_cleanup_free_ char *got = NULL, *events = NULL;

	run_ready();
	got = xmemdup0(buf_data(&wire.got), buf_len(&wire.got));
	events = xmemdup0(buf_data(&wire.events), buf_len(&wire.events));
	assert_string_equal(got, "");
	assert_string_equal(events, "");
}

/* --- What the program logs --- */

static char log_path[] = "/tmp/interimap-log-XXXXXX";

static inline void start_log(void)
{
	int fd;

	memcpy(log_path + sizeof(log_path) - 7, "XXXXXX", 6);
	fd = mkstemp(log_path);
	assert_true(fd >= 0);
	assert_int_equal(close(fd), 0);
	assert_int_equal(log_open_file(log_path), 0);
	log_set_level(LOG_LEVEL_DEBUG);
}

/* All of it; the caller frees it. */
static inline char *end_log(void)
{
	char *text = xcalloc(1 << 20, 1);
	FILE *file = fopen(log_path, "r");

	assert_non_null(file);
	assert_int_not_equal(fread(text, 1, (1 << 20) - 1, file), 0);
	assert_int_equal(fclose(file), 0);
	log_set_level(LOG_LEVEL_INFO);
	log_close_file();
	(void)unlink(log_path);
	return text;
}

/* --- Time, which passes as the test says: libev asks here instead of the C library --- */

static time_t clock_ahead;

int clock_gettime(clockid_t id, struct timespec *ret)
{
	int r = (int)syscall(SYS_clock_gettime, id, ret);

	ret->tv_sec += clock_ahead;
	return r;
}

int gettimeofday(struct timeval *restrict ret, void *restrict zone)
{
	struct timespec now;
	int r = clock_gettime(CLOCK_REALTIME, &now);

	*ret = (struct timeval){.tv_sec = now.tv_sec, .tv_usec = now.tv_nsec / 1000};
	return r;
}

static inline void pass_seconds(time_t seconds)
{
	clock_ahead += seconds;
}

#endif
