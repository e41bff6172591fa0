/* SPDX-License-Identifier: MIT */
/*
 * A growing byte buffer with a mandatory maximum: append at the end, consume at the front.
 * All handling of bytes from and to a peer goes through it; pointer arithmetic stays in here and in
 * the lexer.
 */
#ifndef INTERIMAP_BASE_BUF_H
#define INTERIMAP_BASE_BUF_H

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>

struct buf {
	char *bytes;
	size_t start; /* first byte not yet consumed */
	size_t end; /* one past the last byte */
	size_t size; /* allocated */
	size_t max; /* most bytes it may hold (unconsumed ones) */
};

void buf_init(struct buf *buf, size_t max);
/* Releases the memory; the buffer is empty and usable again afterwards. */
void buf_done(struct buf *buf);
/* Like buf_done(), but overwrites what was there: for secrets. */
void buf_wipe(struct buf *buf);

static inline size_t buf_len(const struct buf *buf)
{
	return buf->end - buf->start;
}

/* Borrowed; valid until the next call that changes the buffer.  Not NUL-terminated.  Never NULL. */
const char *buf_data(const struct buf *buf);

/* Each appends all or nothing; false when the maximum would be exceeded. */
bool buf_append(struct buf *buf, const void *data, size_t n);
bool buf_puts(struct buf *buf, const char *s);
bool buf_putc(struct buf *buf, char c);
bool buf_printf(struct buf *buf, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/*
 * Room for n more bytes at the end, to be written in place and then confirmed with buf_commit();
 * NULL when the maximum would be exceeded.
 */
char *buf_reserve(struct buf *buf, size_t n);
void buf_commit(struct buf *buf, size_t n);

/* Bytes that can still be appended. */
size_t buf_room(const struct buf *buf);

/* Drops n bytes at the front (n <= buf_len()), or all after the first n. */
void buf_consume(struct buf *buf, size_t n);
void buf_truncate(struct buf *buf, size_t n);
void buf_clear(struct buf *buf);

/* Copy of the content as a string, NUL appended; the caller frees it.  The buffer is emptied and
 * its memory released. */
char *buf_steal(struct buf *buf);

#endif
