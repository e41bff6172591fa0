/* SPDX-License-Identifier: MIT */
/*
 * Pairs that are in step: up to which UIDs the flags of all pairs are known, as of the
 * HIGHESTMODSEQ that the database has.  Ordinarily that is UIDNEXT, and there is no row.  But
 * UIDNEXT stays below a message that was left out (for the quota, say), although the pairs beyond
 * it are in step.
 *
 * A pair is one that an interrupted run left, and neither side's changes since HIGHESTMODSEQ tell
 * all about it, if one of its UIDs is beyond both UIDNEXT and what is written here.  The Perl
 * interimap does not know the table.  It may move UIDNEXT and HIGHESTMODSEQ on, which leaves it
 * true; and whatever it pairs has a new UID on the side to which it was copied.
 */
#ifndef INTERIMAP_STATE_IN_STEP_H
#define INTERIMAP_STATE_IN_STEP_H

#include <stdint.h>

struct db;
struct mailbox_state;

/* The UIDs below these; 0: nothing is written. */
struct in_step {
	uint32_t local, remote;
};

/* What was written under another UIDVALIDITY than those of the database does not count. */
int in_step_load(struct db *db, int64_t idx, struct in_step *ret);
/* Under the UIDVALIDITYs that the database has by then; zeroes take the row out. */
int in_step_set(struct db *db, int64_t idx, const struct in_step *in_step);

#endif
