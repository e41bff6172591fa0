/* SPDX-License-Identifier: MIT */
/*
 * Decides what to do about the messages of one mailbox: the changes of both sides and the mapping
 * in, operations out.  Pure: no I/O, no clock, no database.
 *
 * Rules: a message gone on one side is expunged on the other, and that beats any flag change;
 * changed flags go to the other side; changed on both sides differently, both get the union (a
 * conflict).  A flag that a side cannot store (PERMANENTFLAGS) is left out there, and stays where
 * it is on the side that can.
 */
#ifndef INTERIMAP_PLAN_MESSAGES_H
#define INTERIMAP_PLAN_MESSAGES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "sync/base/uid-pair.h"
#include "sync/imap/seqset.h"

struct flags;
struct flag_pool;

struct plan_change {
	uint32_t uid;
	const struct flags *flags; /* as they are now */
};

struct plan_side {
	const struct seqset *vanished; /* confirmed to be gone */
	const struct plan_change *changes; /* changed messages, ascending by UID, one entry a UID */
	size_t changes_count;
	/* Unchanged ones whose flags were asked for (see need_flags), ascending. */
	const struct plan_change *known;
	size_t known_count;
	/* PERMANENTFLAGS there; NULL or empty: nothing can be stored. */
	const struct flags *permanent;
};

struct plan_store {
	const struct flags *flags; /* what to set */
	struct seqset uids;
};

struct plan_conflict {
	struct uid_pair pair;
	const struct flags *local, *remote, *both;
};

/* What to do on one side. */
struct plan_operations {
	struct seqset expunge;
	struct plan_store *stores; /* one for each flag list, in order of their first UIDs */
	size_t stores_count;
	/* Flags of these must be known first (as plan_side.known); nothing is decided for them. */
	struct seqset need_flags;
	const struct flags *dropped; /* flags that could not be stored here, or NULL */
};

struct plan {
	struct plan_operations local, remote;
	struct uid_pair *unmap; /* gone on both sides once the expunges are done */
	size_t unmap_count;
	struct plan_conflict *conflicts;
	size_t conflicts_count;
	/*
	 * Pairs left alone, because a flag list is longer than LIMIT_FLAG_TEXT or an expunge did
	 * not fit into the UID set (LIMIT_UID_RANGES): the mailbox is not done, and no
	 * mod-sequence may be moved past them.
	 */
	size_t skipped;
};

/*
 * Pairs: all those that a UID in the two sides' lists belongs to, each once; UIDs without a pair
 * are ignored.  The result is the caller's; release it with plan_done().  It borrows the flag
 * lists, which are all of `pool`.  O(n log n), whatever the order of the UIDs.
 */
void plan_messages(struct flag_pool *pool, const struct plan_side *local,
	const struct plan_side *remote, const struct uid_pair *pairs, size_t pairs_count,
	struct plan *ret);
void plan_done(struct plan *plan);

#endif
