/* SPDX-License-Identifier: MIT */
/* What the LIST of one side said. */
#ifndef INTERIMAP_TREE_LISTING_H
#define INTERIMAP_TREE_LISTING_H

#include <stdbool.h>
#include <stddef.h>
#include "sync/base/hash.h"

#include "sync/imap/response.h"
#include "sync/state/mailboxes.h"

struct listed {
	char *name; /* NUL for the delimiter */
	size_t len;
	unsigned attributes; /* enum list_attribute */
	struct mailbox_state status; /* uidvalidity 0: none */
	uint64_t append_limit; /* of this mailbox (RFC 7889), 0: not told */
	char *mailbox_id; /* MAILBOXID (RFC 8474), or NULL */
	UT_hash_handle hh;
};

struct listing {
	struct listed *entries; /* uthash by name */
	bool asked; /* the LIST was sent */
	bool complete; /* the LIST was answered OK */
	bool prepared; /* it is known what of it is of no concern */
	bool identified; /* MAILBOXIDs were asked for, as far as they are needed */
	bool doubted; /* what was listed without a STATUS was asked for once more */
	bool ambiguous; /* a subscription was told in two ways */
	bool missing_asked; /* what it lacks was asked for by name */
	bool overflow; /* more than LIMIT_MAILBOXES */
	size_t unusable; /* names that are too long, hold a NUL, CR or LF, or another delimiter */
};

void listing_clear(struct listing *listing);
struct listed *listing_find(struct listing *listing, const char *name, size_t len);
/* A LIST or STATUS response; names outside the reference are passed over. */
void listing_take(struct listing *listing, const struct response *response, char delimiter,
	const char *reference);
/* An entry for what the LIST did not say; NULL: there are LIMIT_MAILBOXES. */
struct listed *listing_add(
	struct listing *listing, const char *name, size_t len, unsigned attributes);
/* A STATUS of that mailbox; it counts if it says all that a mailbox_state holds. */
void listed_take_status(struct listed *listed, const struct response_status *status);
/* Removes the entries whose name matches the regular expression (PCRE); false when that is not
 * valid (it was checked before). */
bool listing_ignore(struct listing *listing, const char *regex);
/* Whether it would. */
bool listing_is_ignored(const char *regex, const char *name, size_t len);
/* Drops what begins with these bytes. */
void listing_drop_below(struct listing *listing, const char *prefix, size_t len);

static inline bool listed_is_selectable(const struct listed *listed)
{
	return (listed->attributes & (LIST_NOSELECT | LIST_NONEXISTENT | LIST_NOACCESS)) == 0;
}

#endif
