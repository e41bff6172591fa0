/* SPDX-License-Identifier: MIT */
/*
 * Allocation that aborts when memory is exhausted, so that no caller needs a path for it.
 * A size that comes from a peer must be checked against a limit (limits.h) before it gets here.
 */
#ifndef INTERIMAP_BASE_XALLOC_H
#define INTERIMAP_BASE_XALLOC_H

#include <stdarg.h>
#include <stddef.h>

void *xmalloc(size_t size);
void *xcalloc(size_t count, size_t size);
/* Resizes an array; aborts also when count * size overflows. */
void *xreallocarray(void *ptr, size_t count, size_t size);
/* Makes room for one more than `count` elements in an array that has grown only so: when it had
 * 0, 1, 3, 7 … */
void *xgrow(void *ptr, size_t count, size_t size);
char *xstrdup(const char *s);
char *xstrndup(const char *s, size_t n);
/* Copy of n bytes with a NUL appended. */
void *xmemdup0(const void *data, size_t n);
char *xasprintf(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
char *xvasprintf(const char *fmt, va_list ap) __attribute__((format(printf, 1, 0)));

void freep(void *pp); /* for _cleanup_: frees *(void **)pp */
void closep(const int *fdp); /* for _cleanup_: closes *fdp if it is >= 0 */

#define _cleanup_(f) __attribute__((cleanup(f)))
#define _cleanup_free_ _cleanup_(freep)
#define _cleanup_close_ _cleanup_(closep)

/* Hands out a pointer that a cleanup attribute would otherwise release. */
#define take(ptr) \
	({ \
		__typeof__(ptr) taken_ = (ptr); \
		(ptr) = NULL; \
		taken_; \
	})

#define container_of(ptr, type, member) ((type *)((char *)(ptr)-offsetof(type, member)))

#define ARRAY_LEN(a) (sizeof(a) / sizeof((a)[0]))

#endif
