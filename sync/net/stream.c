/* SPDX-License-Identifier: MIT */
/*
 * A descriptor, one watcher on it, and a stack of filters.
 *
 * All events are reported from turn(), which runs either from the watcher or, when there is
 * something to do that the descriptor does not show (input hidden in a filter, output just
 * accepted, a failure to report), from a task on the loop's queue.  Calls of the interface only
 * change state and then arrange(), which decides what to wait for.
 *
 * A failure of the output does not hide what the peer has still said: a server that closes the line
 * explains itself first ("* BYE …").  So the input is offered until it is exhausted, and then the
 * loss is reported.
 */
#include "sync/net/stream.h"

#include <assert.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "sync/base/loop.h"
#include "sync/base/xalloc.h"
#include "sync/net/filter.h"
#include "sync/net/reason.h"

struct stream {
	struct loop *loop;
	struct stream_handler *handler;
	struct filter *top, *bottom; /* the bottom is the socket */
	struct filter *tls; /* one of them, or NULL */
	struct filter *closing; /* to be shut down next; NULL while open, and at the end */
	struct ev_io io;
	struct task task;

	bool want_read, want_write;
	bool fd_readable, fd_writable; /* as the watcher said, until used */
	bool handshaking;
	bool up; /* STREAM_UP is to be reported */
	bool push_due; /* output was accepted since the last push */
	bool eof;
	bool got_input; /* since the last READABLE */
	bool last_words; /* failed, but there may be input left */
	bool lost; /* STREAM_LOST was reported */
	bool in_turn, dead;
	int error; /* negative errno once it has failed */
	char *reason;
};

void filter_fail(struct filter *filter, const char *fmt, ...)
{
	va_list ap;

	if (filter->error != NULL)
		return;
	va_start(ap, fmt);
	filter->error = xvasprintf(fmt, ap);
	va_end(ap);
}

/* The first failure counts; a filter that has a sentence for it knows best. */
static void fail(struct stream *stream, int error, bool in_output)
{
	if (stream->error != 0)
		return;
	stream->error = error;
	stream->last_words = in_output && !stream->eof;
	for (struct filter *f = stream->top; f != NULL && stream->reason == NULL; f = f->lower)
		stream->reason = take(f->error);
	if (stream->reason == NULL)
		stream->reason = reason_errno(error);
}

static bool has_input(const struct stream *stream)
{
	for (const struct filter *f = stream->top; f != NULL; f = f->lower)
		if (f->class->has_input(f))
			return true;
	return false;
}

static bool has_output(const struct stream *stream)
{
	for (const struct filter *f = stream->top; f != NULL; f = f->lower)
		if (f->class->has_output(f))
			return true;
	return false;
}

/* Shuts down the filters from the top, each once all has left it. */
static void close_output(struct stream *stream)
{
	struct filter *f;

	while ((f = stream->closing) != NULL && !f->class->has_output(f)) {
		if (!f->shut) {
			f->shut = true;
			f->class->shutdown(f);
			f->class->flush(f);
			(void)f->class->push(f); /* an error shows again in the next push */
			continue;
		}
		stream->closing = f->lower;
	}
}

static void push_output(struct stream *stream)
{
	int r = 0;

	stream->push_due = false;
	for (struct filter *f = stream->top; f != NULL && r == 0; f = f->lower)
		r = f->class->push(f);
	if (r < 0)
		fail(stream, r, true);
	else if (stream->closing != NULL && !stream->handshaking)
		close_output(stream);
}

static void advance_handshake(struct stream *stream)
{
	int r = filter_tls_handshake(stream->tls);

	if (r == -EAGAIN)
		return;
	stream->handshaking = false;
	stream->up = r == 0;
	if (r < 0) {
		(void)stream->tls->class->push(stream->tls); /* the alert that tells the peer why */
		fail(stream, r, false);
	}
}

static bool is_readable(const struct stream *stream)
{
	if (!stream->want_read || stream->handshaking || stream->eof)
		return false;
	if (stream->error != 0)
		return stream->last_words;
	return stream->fd_readable || has_input(stream);
}

static bool is_writable(const struct stream *stream)
{
	if (!stream->want_write || stream->handshaking || stream->error != 0 ||
		stream->closing != NULL || stream->bottom->shut)
		return false;
	assert(stream->top != NULL);
	return stream->top == stream->bottom ? stream->fd_writable
					     : stream->top->class->has_room(stream->top);
}

/* Whether the stream still is the owner's. */
static bool report(struct stream *stream, enum stream_event event)
{
	stream->handler->event(stream->handler, event);
	return !stream->dead;
}

static bool report_input(struct stream *stream)
{
	stream->got_input = false;
	stream->fd_readable = false;
	if (!report(stream, STREAM_READABLE))
		return false;
	if (stream->error != 0 && !stream->got_input)
		stream->last_words = false;
	return true;
}

static void report_all(struct stream *stream)
{
	if (stream->up) {
		stream->up = false;
		if (!report(stream, STREAM_UP))
			return;
	}
	if (is_readable(stream) && !report_input(stream))
		return;
	if (is_writable(stream) && !report(stream, STREAM_WRITABLE))
		return;
	if (stream->error != 0 && (!stream->last_words || !stream->want_read || stream->eof) &&
		!stream->lost) {
		stream->lost = true;
		stream->last_words = false;
		(void)report(stream, STREAM_LOST);
	}
}

/* What the descriptor is watched for. */
static int interest(const struct stream *stream)
{
	int events = 0;

	assert(stream->top != NULL && stream->bottom != NULL);
	if (stream->error != 0)
		return 0;
	if (stream->handshaking || (stream->want_read && !stream->eof))
		events |= EV_READ;
	if (has_output(stream))
		events |= EV_WRITE;
	if (stream->want_write && !stream->handshaking && stream->top == stream->bottom &&
		!stream->bottom->shut)
		events |= EV_WRITE;
	return events;
}

/* There is something to do that the descriptor does not show. */
static bool is_due(const struct stream *stream)
{
	return stream->push_due || stream->up || is_readable(stream) || is_writable(stream) ||
	       (stream->handshaking && has_input(stream)) || (stream->error != 0 && !stream->lost);
}

/* Arranges for the next turn. */
static void arrange(struct stream *stream)
{
	int events;

	if (stream->in_turn)
		return; /* its end does it */
	events = interest(stream);
	if (events != (stream->io.events & (EV_READ | EV_WRITE)) || !ev_is_active(&stream->io)) {
		ev_io_stop(stream->loop->ev, &stream->io);
		ev_io_set(&stream->io, stream->io.fd, events);
		if (events != 0)
			ev_io_start(stream->loop->ev, &stream->io);
	}
	if (is_due(stream))
		task_wake(&stream->task);
}

static void release(struct stream *stream)
{
	free(stream->reason);
	free(stream);
}

/* Does all there is to do now.  The stream is gone afterwards if its owner freed it. */
static void turn(struct stream *stream)
{
	stream->in_turn = true;
	if (stream->error == 0 && stream->handshaking)
		advance_handshake(stream);
	if (stream->error == 0)
		push_output(stream);
	report_all(stream);
	if (stream->dead) {
		release(stream);
		return;
	}
	if (stream->error == 0 && stream->push_due)
		push_output(stream);
	stream->in_turn = false;
	stream->fd_readable = stream->fd_writable = false;
	arrange(stream);
}

static void on_descriptor(struct ev_loop *ev, struct ev_io *watcher, int revents)
{
	struct stream *stream = container_of(watcher, struct stream, io);

	/* EV_ERROR is found by the read or write that follows. */
	stream->fd_readable = (revents & (EV_READ | EV_ERROR)) != 0;
	stream->fd_writable = (revents & (EV_WRITE | EV_ERROR)) != 0;
	turn(stream);
}

static enum step step(struct task *task)
{
	turn(container_of(task, struct stream, task));
	return STEP_WAIT; /* the task may be gone; whatever is left to do has woken it */
}

static void set_tcp(int fd, int option, int value)
{
	(void)setsockopt(fd, IPPROTO_TCP, option, &value, sizeof(value));
}

struct stream *stream_new(struct loop *loop, int own_fd, struct stream_handler *handler)
{
	struct stream *stream = xcalloc(1, sizeof(*stream));

	/* Commands are written in batches already; holding back a small one only adds delay. */
	set_tcp(own_fd, TCP_NODELAY, 1);
	stream->loop = loop;
	stream->handler = handler;
	stream->top = stream->bottom = filter_socket_new(own_fd);
	stream->want_read = true;
	task_init(&stream->task, loop, step, NULL);
	ev_io_init(&stream->io, on_descriptor, own_fd, 0);
	arrange(stream);
	return stream;
}

struct stream *stream_free(struct stream *stream)
{
	if (stream == NULL || stream->dead)
		return NULL;
	stream->dead = true;
	task_cancel(&stream->task);
	ev_io_stop(stream->loop->ev, &stream->io);
	while (stream->top != NULL) {
		struct filter *f = stream->top;

		stream->top = f->lower;
		free(f->error);
		f->class->free(f);
	}
	stream->tls = NULL;
	if (!stream->in_turn)
		release(stream);
	return NULL;
}

void stream_put_filter(struct stream *stream, struct filter *own_filter)
{
	assert(stream->closing == NULL && !stream->bottom->shut);
	own_filter->lower = stream->top;
	stream->top = own_filter;
	arrange(stream);
}

/* host_name is NULL for a server. */
static void start_tls(
	struct stream *stream, const struct tls_context *context, const char *host_name)
{
	assert(stream->tls == NULL);
	stream->tls = filter_tls_new(context, host_name);
	stream->handshaking = true;
	stream_put_filter(stream, stream->tls);
	task_wake(&stream->task); /* a client speaks first; this may be within a turn of ours */
}

void stream_start_tls_client(
	struct stream *stream, const struct tls_context *context, const char *host_name)
{
	start_tls(stream, context, host_name);
}

void stream_start_tls_server(struct stream *stream, const struct tls_context *context)
{
	start_tls(stream, context, NULL);
}

int stream_start_deflate(struct stream *stream, const void *already, size_t n)
{
	struct filter *filter = filter_deflate_new(already, n);

	if (filter == NULL)
		return -EINVAL;
	stream_put_filter(stream, filter);
	return 0;
}

ssize_t stream_recv(struct stream *stream, void *data, size_t n)
{
	ssize_t got;

	if (stream->error != 0 && !stream->last_words)
		return stream->error;
	if (stream->handshaking)
		return -EAGAIN;
	if (stream->eof)
		return 0;
	got = stream->top->class->recv(stream->top, data, n);
	if (got > 0)
		stream->got_input = true;
	if (got == 0)
		stream->eof = true;
	if (got < 0 && got != -EAGAIN) {
		fail(stream, (int)got, false);
		stream->last_words = false;
	}
	arrange(stream);
	return got;
}

ssize_t stream_send(struct stream *stream, const void *data, size_t n)
{
	ssize_t sent;

	if (stream->error != 0)
		return stream->error;
	if (stream->closing != NULL || stream->bottom->shut)
		return -EPIPE;
	if (stream->handshaking)
		return -EAGAIN;
	if (n == 0)
		return -EINVAL;
	sent = stream->top->class->send(stream->top, data, n);
	if (sent < 0 && sent != -EAGAIN)
		fail(stream, (int)sent, true);
	else if (stream->top != stream->bottom)
		stream->push_due = true;
	arrange(stream);
	return sent;
}

void stream_flush(struct stream *stream)
{
	if (stream->error != 0 || stream->handshaking)
		return;
	for (struct filter *f = stream->top; f != NULL; f = f->lower)
		f->class->flush(f);
	push_output(stream);
	arrange(stream);
}

void stream_shutdown(struct stream *stream)
{
	if (stream->error != 0 || stream->closing != NULL || stream->bottom->shut)
		return;
	stream->closing = stream->top;
	stream_flush(stream);
}

bool stream_is_drained(const struct stream *stream)
{
	for (const struct filter *f = stream->top; f != NULL; f = f->lower)
		if (f->unflushed)
			return false;
	return !has_output(stream);
}

static bool is_watched_for(const struct stream *stream, int event)
{
	return stream->task.queued ||
	       (!is_due(stream) && ev_is_active(&stream->io) && (stream->io.events & event) != 0);
}

bool stream_is_listening(const struct stream *stream)
{
	return is_watched_for(stream, EV_READ);
}

bool stream_awaits_room(const struct stream *stream)
{
	return is_watched_for(stream, EV_WRITE);
}

void stream_set_handler(struct stream *stream, struct stream_handler *handler)
{
	stream->handler = handler;
}

void stream_want_read(struct stream *stream, bool want)
{
	stream->want_read = want;
	arrange(stream);
}

void stream_want_write(struct stream *stream, bool want)
{
	stream->want_write = want;
	arrange(stream);
}

void stream_set_keepalive(struct stream *stream, bool on, unsigned user_timeout_ms)
{
	/* The system's two hours are longer than any router remembers a silent connection.  Where a
	 * user timeout is set, that decides when it is dead, and not the number of probes. */
	enum { IDLE_SECONDS = 30, INTERVAL_SECONDS = 5, PROBES = 3 };
	int fd = filter_socket_fd(stream->bottom);
	int keep = on;

	(void)setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &keep, sizeof(keep));
	set_tcp(fd, TCP_KEEPIDLE, IDLE_SECONDS);
	set_tcp(fd, TCP_KEEPINTVL, INTERVAL_SECONDS);
	set_tcp(fd, TCP_KEEPCNT, PROBES);
	set_tcp(fd, TCP_USER_TIMEOUT, (int)user_timeout_ms);
}

const char *stream_error(const struct stream *stream)
{
	return stream->reason != NULL ? stream->reason : "connection closed by the other side";
}

bool stream_is_tls(const struct stream *stream)
{
	return stream->tls != NULL && !stream->handshaking;
}

bool stream_is_handshaking(const struct stream *stream)
{
	return stream->handshaking;
}

const char *stream_tls_description(const struct stream *stream)
{
	return stream_is_tls(stream) ? filter_tls_description(stream->tls) : NULL;
}

bool stream_channel_binding(
	const struct stream *stream, const char **ret_type, const void **ret_data, size_t *ret_size)
{
	return stream_is_tls(stream) &&
	       filter_tls_channel_binding(stream->tls, ret_type, ret_data, ret_size);
}

uint64_t stream_bytes_received(const struct stream *stream)
{
	return filter_socket_received(stream->bottom);
}

uint64_t stream_bytes_sent(const struct stream *stream)
{
	return filter_socket_sent(stream->bottom);
}

uint64_t stream_bytes_delivered(const struct stream *stream)
{
	return filter_socket_delivered(stream->bottom);
}
