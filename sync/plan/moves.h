/* SPDX-License-Identifier: MIT */
/*
 * Recognises messages that were moved on one side: which of those that are new in some mailbox are
 * the ones that are gone from another.  Pure: no I/O, no clock, no database.
 *
 * Two are the same message if the server says so (EMAILID, RFC 8474 section 5.1), or else if they
 * agree in Message-ID, size and date; and if nothing else could be meant.  Of several that are the
 * same, as many must have appeared as have gone, all in one mailbox and from one other, and with
 * the same flags: then it does not matter which became which, and they keep their order.  What is
 * not sure is not moved; it goes the ordinary way, as one deleted and one new message.
 */
#ifndef INTERIMAP_PLAN_MOVES_H
#define INTERIMAP_PLAN_MOVES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct flags;

struct plan_traveller {
	int64_t mailbox; /* whatever tells mailboxes apart */
	const uint8_t *digest; /* of its Message-ID, 16 bytes */
	bool named; /* it has a Message-ID */
	uint64_t size; /* bytes */
	int64_t date; /* INTERNALDATE, seconds since 1970 */
	const struct flags *flags; /* interned; of those that are gone */
	const char *email_id; /* NULL: not known */
};

#define PLAN_NOT_MOVED SIZE_MAX

/*
 * Both lists are in ascending order of UID within each mailbox.  ret_origins, an array of
 * arrived_count, becomes for each that arrived the index of the one gone that it is, or
 * PLAN_NOT_MOVED; no index is given twice.  O(n log n).
 */
void plan_moves(const struct plan_traveller *gone, size_t gone_count,
	const struct plan_traveller *arrived, size_t arrived_count, size_t *ret_origins);

#endif
