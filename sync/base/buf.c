/* SPDX-License-Identifier: MIT */
#include "sync/base/buf.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "sync/base/xalloc.h"

enum { INITIAL_SIZE = 256 };

void buf_init(struct buf *buf, size_t max)
{
	*buf = (struct buf){.max = max};
}

void buf_done(struct buf *buf)
{
	free(buf->bytes);
	buf_init(buf, buf->max);
}

void buf_wipe(struct buf *buf)
{
	if (buf->bytes != NULL)
		explicit_bzero(buf->bytes, buf->size);
	buf_done(buf);
}

const char *buf_data(const struct buf *buf)
{
	return buf->bytes != NULL ? buf->bytes + buf->start : "";
}

size_t buf_room(const struct buf *buf)
{
	return buf->max - buf_len(buf);
}

/*
 * Growing copies by hand instead of realloc(): a buffer may hold a secret, and realloc() would
 * leave the old copy behind for nobody to wipe.  The old block is cleared only as far as it was
 * used, which costs little.
 */
static void grow(struct buf *buf, size_t want)
{
	size_t size = buf->size > 0 ? buf->size : INITIAL_SIZE;
	size_t used = buf_len(buf);
	char *bytes;

	while (size < want)
		size *= 2;
	if (size > buf->max && want <= buf->max)
		size = buf->max > 0 ? buf->max : 1;
	bytes = xmalloc(size);
	if (buf->bytes != NULL) {
		memcpy(bytes, buf->bytes + buf->start, used);
		explicit_bzero(buf->bytes, buf->end);
		free(buf->bytes);
	}
	buf->bytes = bytes;
	buf->start = 0;
	buf->end = used;
	buf->size = size;
}

char *buf_reserve(struct buf *buf, size_t n)
{
	if (n > buf_room(buf))
		return NULL;
	if (buf->bytes == NULL || n > buf->size - buf->end) {
		/* Moving down is enough when at least half of the block is free at the front. */
		if (buf->bytes != NULL && buf->start >= buf->size / 2 &&
			buf_len(buf) + n <= buf->size) {
			memmove(buf->bytes, buf->bytes + buf->start, buf_len(buf));
			buf->end -= buf->start;
			buf->start = 0;
		} else {
			grow(buf, buf_len(buf) + n);
		}
	}
	return buf->bytes + buf->end;
}

void buf_commit(struct buf *buf, size_t n)
{
	assert(n <= buf->size - buf->end);
	buf->end += n;
}

bool buf_append(struct buf *buf, const void *data, size_t n)
{
	char *room;

	if (n == 0)
		return true;
	room = buf_reserve(buf, n);
	if (room == NULL)
		return false;
	memcpy(room, data, n);
	buf_commit(buf, n);
	return true;
}

bool buf_puts(struct buf *buf, const char *s)
{
	return buf_append(buf, s, strlen(s));
}

bool buf_putc(struct buf *buf, char c)
{
	return buf_append(buf, &c, 1);
}

bool buf_printf(struct buf *buf, const char *fmt, ...)
{
	_cleanup_free_ char *s = NULL;
	va_list ap;

	va_start(ap, fmt);
	s = xvasprintf(fmt, ap);
	va_end(ap);
	return buf_puts(buf, s);
}

void buf_consume(struct buf *buf, size_t n)
{
	assert(n <= buf_len(buf));
	buf->start += n;
	if (buf->start == buf->end)
		buf->start = buf->end = 0;
}

void buf_truncate(struct buf *buf, size_t n)
{
	assert(n <= buf_len(buf));
	buf->end = buf->start + n;
}

void buf_clear(struct buf *buf)
{
	buf->start = buf->end = 0;
}

char *buf_steal(struct buf *buf)
{
	char *s = xmemdup0(buf_data(buf), buf_len(buf));

	buf_done(buf);
	return s;
}
