/* SPDX-License-Identifier: MIT */
/* What the tests of the IMAP grammar share: cmocka, string literals with NULs, slices. */
#ifndef INTERIMAP_TESTS_IMAP_FIXTURE_H
#define INTERIMAP_TESTS_IMAP_FIXTURE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "sync/base/buf.h"
#include "sync/base/xalloc.h"
#include "sync/imap/slice.h"

/* A string literal, possibly with NULs in it. */
#define BYTES(literal) (literal), sizeof(literal) - 1

static inline struct slice slice_of(const char *text)
{
	return (struct slice){text, strlen(text)};
}

static inline void assert_slice(struct slice slice, const char *expected)
{
	_cleanup_free_ char *text = slice_dup(slice);

	assert_string_equal(text, expected);
	assert_int_equal(slice.len, strlen(expected));
}

/* xorshift, so that a failure is the same everywhere. */
static inline uint32_t random_number(uint32_t *state)
{
	*state ^= *state << 13;
	*state ^= *state >> 17;
	*state ^= *state << 5;
	return *state;
}

#endif
