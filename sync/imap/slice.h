/* SPDX-License-Identifier: MIT */
/* Borrowed bytes within a response; valid until the next one is read.  Not NUL-terminated, may hold
 * any byte. */
#ifndef INTERIMAP_IMAP_SLICE_H
#define INTERIMAP_IMAP_SLICE_H

#include <stdbool.h>
#include <stddef.h>

struct slice {
	const char *data;
	size_t len;
};

/* ASCII case-insensitive comparison with a string. */
bool slice_is(struct slice slice, const char *string);
/* Copy with a NUL appended, owned by the caller. */
char *slice_dup(struct slice slice);

#endif
