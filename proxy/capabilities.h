/* SPDX-License-Identifier: MIT */
/*
 * What a mail client sees of the store's capabilities: all but those that concern the connection
 * and its login, which are between the client and us (RFC 3501 section 7.2.1, RFC 4978).
 */
#ifndef INTERIMAP_PROXY_CAPABILITIES_H
#define INTERIMAP_PROXY_CAPABILITIES_H

#include <stdbool.h>
#include <stddef.h>

struct buf;

/* One list of words as it comes, in any pieces; a word is held until it is whole or cannot be one
 * that is taken out.  Zero-initialised. */
struct capability_filter {
	char word[32];
	size_t len;
	bool passing; /* the word is too long to be held, and passes */
	bool begun; /* a word was written: the next one needs a space before it */
};

/* Appends what may be forwarded; never more than was fed. */
void capability_filter_feed(
	struct capability_filter *filter, const char *data, size_t n, struct buf *out);
/* The list has ended. */
void capability_filter_end(struct capability_filter *filter, struct buf *out);

#endif
