/* SPDX-License-Identifier: MIT */
#include "sync/base/xalloc.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static void *check(void *ptr)
{
	if (ptr == NULL) {
		static const char message[] = "interimap: out of memory\n";

		(void)!write(STDERR_FILENO, message, sizeof(message) - 1);
		abort();
	}
	return ptr;
}

void *xmalloc(size_t size)
{
	return check(malloc(size > 0 ? size : 1));
}

void *xcalloc(size_t count, size_t size)
{
	return check(calloc(count > 0 ? count : 1, size > 0 ? size : 1));
}

void *xreallocarray(void *ptr, size_t count, size_t size)
{
	return check(reallocarray(ptr, count > 0 ? count : 1, size > 0 ? size : 1));
}

void *xgrow(void *ptr, size_t count, size_t size)
{
	return (count & (count + 1)) == 0 ? xreallocarray(ptr, 2 * count + 1, size) : ptr;
}

char *xstrdup(const char *s)
{
	return check(strdup(s));
}

char *xstrndup(const char *s, size_t n)
{
	return check(strndup(s, n));
}

void *xmemdup0(const void *data, size_t n)
{
	char *copy = xmalloc(n + 1);

	if (n > 0)
		memcpy(copy, data, n);
	copy[n] = '\0';
	return copy;
}

char *xasprintf(const char *fmt, ...)
{
	va_list ap;
	char *s;

	va_start(ap, fmt);
	s = xvasprintf(fmt, ap);
	va_end(ap);
	return s;
}

char *xvasprintf(const char *fmt, va_list ap)
{
	char *s;

	if (vasprintf(&s, fmt, ap) < 0)
		s = NULL;
	return check(s);
}

void freep(void *pp)
{
	free(*(void **)pp);
}

void closep(const int *fdp)
{
	if (*fdp >= 0)
		(void)close(*fdp);
}
