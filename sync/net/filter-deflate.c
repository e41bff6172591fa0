/* SPDX-License-Identifier: MIT */
/*
 * COMPRESS=DEFLATE (RFC 4978): raw DEFLATE both ways, without header or checksum.
 *
 * recv() never inflates more than was asked for, so a small input that stands for gigabytes costs
 * its reader time but no memory.  Output waits in zlib until flush(), since each flush costs
 * compression.
 */
#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <zlib.h>

#include "sync/base/buf.h"
#include "sync/base/limits.h"
#include "sync/base/xalloc.h"
#include "sync/net/filter.h"

enum {
	RAW = -MAX_WBITS,
	INPUT_CHUNK = 16 << 10,
	OUTPUT_CHUNK = 16 << 10, /* room that a step of deflate() gets */
	ROUNDS = 16, /* reads from below in one recv() that give no output (empty blocks) */
};

struct filter_deflate {
	struct filter filter;
	z_stream inflate, deflate;
	struct buf in; /* read from below, not yet inflated */
	struct buf out; /* deflated, not yet taken below */
	bool starved; /* inflate() can give nothing before it gets more */
	bool full; /* inflate() filled all it was given, and may have more */
	bool ended; /* the peer's final block */
	bool flushing; /* a flush is under way inside zlib */
};

static struct filter_deflate *deflate_of(const struct filter *filter)
{
	return container_of(filter, struct filter_deflate, filter);
}

/* Bytes inflated into data, or 0 if more input is needed or at the end, or -EBADMSG. */
static ssize_t inflate_some(struct filter_deflate *z, void *data, size_t n)
{
	z_stream *stream = &z->inflate;
	unsigned size = n < UINT_MAX ? (unsigned)n : UINT_MAX;
	int r;

	stream->next_in = (unsigned char *)(uintptr_t)buf_data(&z->in);
	stream->avail_in = (unsigned)buf_len(&z->in);
	stream->next_out = data;
	stream->avail_out = size;
	r = inflate(stream, Z_SYNC_FLUSH);
	buf_consume(&z->in, buf_len(&z->in) - stream->avail_in);
	z->full = stream->avail_out == 0;
	if (r == Z_STREAM_END) {
		z->ended = true;
		z->full = false;
	} else if (r != Z_OK && r != Z_BUF_ERROR) {
		filter_fail(&z->filter, "received invalid compressed data");
		return -EBADMSG;
	}
	return (ssize_t)(size - stream->avail_out);
}

static ssize_t deflate_recv(struct filter *filter, void *data, size_t n)
{
	struct filter_deflate *z = deflate_of(filter);
	struct filter *lower = filter->lower;
	ssize_t got;

	z->starved = false;
	for (int round = 0; round < ROUNDS; round++) {
		if (z->ended)
			return 0;
		got = inflate_some(z, data, n);
		if (got != 0)
			return got;
		if (z->ended || buf_len(&z->in) > 0)
			continue;
		got = lower->class->recv(lower, buf_reserve(&z->in, INPUT_CHUNK), INPUT_CHUNK);
		if (got == -EAGAIN)
			z->starved = true;
		if (got <= 0)
			return got;
		buf_commit(&z->in, (size_t)got);
	}
	return -EAGAIN; /* has_input() brings us back, after others had their turn */
}

/* One step of deflate() into the output.  Whether zlib has given all it has. */
static bool deflate_step(struct filter_deflate *z, int flush)
{
	z_stream *stream = &z->deflate;

	stream->next_out = (unsigned char *)buf_reserve(&z->out, OUTPUT_CHUNK);
	stream->avail_out = OUTPUT_CHUNK;
	(void)deflate(stream, flush); /* can only fail with Z_BUF_ERROR: nothing to do */
	buf_commit(&z->out, OUTPUT_CHUNK - stream->avail_out);
	return stream->avail_out > 0;
}

static bool deflate_has_room(const struct filter *filter)
{
	const struct filter_deflate *z = deflate_of(filter);

	return !z->flushing && buf_len(&z->out) < LIMIT_FILTER_OUTPUT;
}

/* Moves output down, and the flush on, until below there is no more room. */
static int deflate_push(struct filter *filter)
{
	struct filter_deflate *z = deflate_of(filter);
	struct filter *lower = filter->lower;

	for (;;) {
		while (buf_len(&z->out) > 0) {
			ssize_t sent =
				lower->class->send(lower, buf_data(&z->out), buf_len(&z->out));

			if (sent == -EAGAIN)
				return 0;
			if (sent < 0)
				return (int)sent;
			buf_consume(&z->out, (size_t)sent);
		}
		if (!z->flushing)
			return 0;
		z->deflate.avail_in = 0;
		if (deflate_step(z, Z_SYNC_FLUSH))
			z->flushing = false;
	}
}

static ssize_t deflate_send(struct filter *filter, const void *data, size_t n)
{
	struct filter_deflate *z = deflate_of(filter);
	unsigned size = n < INPUT_CHUNK ? (unsigned)n : INPUT_CHUNK;
	int r;

	if (!deflate_has_room(filter)) {
		r = deflate_push(filter);
		if (r < 0)
			return r;
		if (!deflate_has_room(filter))
			return -EAGAIN;
	}
	z->deflate.next_in = (unsigned char *)(uintptr_t)data;
	z->deflate.avail_in = size;
	(void)deflate_step(z, Z_NO_FLUSH);
	size -= z->deflate.avail_in;
	filter->unflushed = true;
	return size > 0 ? (ssize_t)size : -EAGAIN;
}

static void deflate_flush(struct filter *filter)
{
	struct filter_deflate *z = deflate_of(filter);

	if (!filter->unflushed)
		return;
	filter->unflushed = false;
	z->flushing = true;
}

static void deflate_shutdown(struct filter *filter)
{
	/* RFC 4978 has no end of its own: the final block says nothing that the close does not. */
}

static bool deflate_has_input(const struct filter *filter)
{
	const struct filter_deflate *z = deflate_of(filter);

	return !z->starved && (z->full || z->ended || buf_len(&z->in) > 0);
}

static bool deflate_has_output(const struct filter *filter)
{
	const struct filter_deflate *z = deflate_of(filter);

	return z->flushing || buf_len(&z->out) > 0;
}

static void deflate_free(struct filter *filter)
{
	struct filter_deflate *z = deflate_of(filter);

	(void)inflateEnd(&z->inflate);
	(void)deflateEnd(&z->deflate);
	buf_wipe(&z->in);
	buf_wipe(&z->out);
	free(z);
}

static const struct filter_class deflate_class = {
	.recv = deflate_recv,
	.send = deflate_send,
	.push = deflate_push,
	.flush = deflate_flush,
	.shutdown = deflate_shutdown,
	.has_input = deflate_has_input,
	.has_output = deflate_has_output,
	.has_room = deflate_has_room,
	.free = deflate_free,
};

struct filter *filter_deflate_new(const void *already, size_t n)
{
	struct filter_deflate *z;

	if (n > LIMIT_READ)
		return NULL;
	z = xcalloc(1, sizeof(*z));
	z->filter.class = &deflate_class;
	buf_init(&z->in, n > INPUT_CHUNK ? n : INPUT_CHUNK);
	buf_init(&z->out, LIMIT_FILTER_OUTPUT + OUTPUT_CHUNK);
	(void)buf_append(&z->in, already, n);
	if (inflateInit2(&z->inflate, RAW) != Z_OK ||
		deflateInit2(&z->deflate, Z_DEFAULT_COMPRESSION, Z_DEFLATED, RAW, MAX_MEM_LEVEL - 1,
			Z_DEFAULT_STRATEGY) != Z_OK)
		abort(); /* only for want of memory */
	return &z->filter;
}
