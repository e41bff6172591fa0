/* SPDX-License-Identifier: MIT */
/* Metadata of messages that are to be copied, as one FETCH of FETCH_METADATA tells it. */
#ifndef INTERIMAP_CORE_ITEMS_H
#define INTERIMAP_CORE_ITEMS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "sync/core/credit.h"
#include "sync/state/email-ids.h"
#include "sync/state/intents.h"

struct flags;
struct flag_pool;
struct response;

#define FETCH_IDENTITY "UID INTERNALDATE RFC822.SIZE BODY.PEEK[HEADER.FIELDS (MESSAGE-ID)]"
#define FETCH_METADATA "UID FLAGS INTERNALDATE RFC822.SIZE BODY.PEEK[HEADER.FIELDS (MESSAGE-ID)]"

enum {
	INTERNALDATE_LEN = 26, /* RFC 3501 section 9: date-time without its quotes */
	MESSAGE_ID_SHOWN = 100, /* bytes */
};

/* What a message gets whose server has no date for it, or one that is none. */
#define INTERNALDATE_UNKNOWN "01-Jan-1970 00:00:00 +0000"

struct item {
	uint32_t uid;
	bool arrived; /* the copier's: dealt with */
	struct charge charge; /* against the credit, while it is asked for */
	char internaldate[INTERNALDATE_LEN + 1];
	const struct flags *flags;
	size_t flags_left_out; /* that no message may have, or too many of them */
	struct identity identity;
	struct email_id email_id; /* if the server tells it */
	char message_id[MESSAGE_ID_SHOWN + 1]; /* for a person: cut, and as the server wrote it */
};

struct items {
	struct item *list; /* ascending by UID once sorted */
	size_t count, size;
};

/* The identity that a FETCH of FETCH_IDENTITY tells; false if the response is not one. */
bool identity_from_fetch(const struct response *response, struct identity *ret);
/* It has a Message-ID.  Without one, two different messages of a size may well come within a
 * second. */
bool identity_is_named(const struct identity *identity);
/*
 * Whether they may be one message on two servers, of which one got it from the other.  A Message-ID
 * decides alone, since servers count sizes in their own ways and some do not keep dates; without
 * one, the sizes must be within a sixteenth, and exactly the same where the dates differ.  For
 * pairs that are in doubt: what is false here is not the same message.  It is no proof that two
 * messages are the same, and too lenient to pair by.
 */
bool identity_may_be_same(const struct identity *one, const struct identity *other);
/* Digest of the bytes as they are. */
void identity_digest_whole(const char *header, size_t len, uint8_t ret_digest[16]);

enum item_result {
	ITEM_TAKEN,
	ITEM_LACKS, /* not all of what was asked for */
	ITEM_TOO_MUCH, /* there is no room for its flags, or for those of any other message */
};
/* From a FETCH of FETCH_METADATA. */
enum item_result items_add(
	struct items *items, struct flag_pool *pool, const struct response *response);
/* Sorts, and drops repeated UIDs. */
void items_sort(struct items *items);
struct item *items_find(const struct items *items, uint32_t uid);
void items_clear(struct items *items);
void items_done(struct items *items);

#endif
