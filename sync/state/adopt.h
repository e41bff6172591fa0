/* SPDX-License-Identifier: MIT */
/*
 * Adoption: pairing by content the messages that are on both sides of a mailbox without being
 * mapped.  What was listed goes to a temporary table (on disk, private to the connection), so that
 * memory does not grow with the mailbox.
 */
#ifndef INTERIMAP_STATE_ADOPT_H
#define INTERIMAP_STATE_ADOPT_H

#include <stdbool.h>
#include <stdint.h>

#include "sync/state/intents.h"

struct db;

/* Empties the table for a new mailbox (several mailboxes may be under way at once: keyed by idx).
 */
int adopt_begin(struct db *db, int64_t idx);
/* Its UID may be in the mapping, which may be void (pass/renew.c). */
int adopt_add(
	struct db *db, int64_t idx, bool remote, uint32_t uid, const struct identity *identity);
/* How many messages of a side were listed, and how many of them have their UID in the mapping. */
int adopt_count(
	struct db *db, int64_t idx, bool remote, uint64_t *ret_listed, uint64_t *ret_mapped);
/*
 * Pairs, among the listed UIDs that are not mapped, the n-th local with the n-th remote message of
 * the same identity (ascending UID), inserts the pairs into the mapping in one transaction, and
 * empties the table.  *ret_count is the number of pairs.
 */
int adopt_pair(struct db *db, int64_t idx, uint64_t *ret_count);
/*
 * UIDs of one side whose identity occurs more than once on either side (ambiguous: the caller may
 * refine these with a digest of the whole header through adopt_refine() before pairing). Ascending,
 * at most max.  The caller frees the array.
 */
int adopt_ambiguous(struct db *db, int64_t idx, bool remote, uint32_t after_uid, uint32_t max,
	uint32_t **ret_uids, uint32_t *ret_count);
int adopt_refine(struct db *db, int64_t idx, bool remote, uint32_t uid, const uint8_t digest[16]);

#endif
