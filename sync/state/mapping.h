/* SPDX-License-Identifier: MIT */
/* Which UID on one side is which on the other, per mailbox (idx). */
#ifndef INTERIMAP_STATE_MAPPING_H
#define INTERIMAP_STATE_MAPPING_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "sync/base/uid-pair.h"

struct db;

/* -EEXIST when either UID is mapped already (the row is not changed). */
int mapping_insert(struct db *db, int64_t idx, struct uid_pair pair);
/* No error when there is no such pair. */
int mapping_delete(struct db *db, int64_t idx, struct uid_pair pair);

/*
 * Appends to the array *pairs (grown with xreallocarray; *count used) the pairs whose UID on the
 * given side lies in first…last, ascending by that UID.
 */
int mapping_in_range(struct db *db, int64_t idx, bool remote, uint32_t first, uint32_t last,
	struct uid_pair **pairs, size_t *count);

/* Calls visit() with each pair whose UID on that side is in first…last, ascending; memory does not
 * grow with their number.  visit() must not change the mapping; it returns false to stop. */
int mapping_visit(struct db *db, int64_t idx, bool remote, uint32_t first, uint32_t last,
	bool (*visit)(void *context, struct uid_pair pair), void *context);

/* Pairs left over from an interrupted run: local UID >= local_uidnext or remote UID >=
 * remote_uidnext. */
int mapping_dangling(struct db *db, int64_t idx, uint32_t local_uidnext, uint32_t remote_uidnext,
	struct uid_pair **pairs, size_t *count);

int mapping_count(struct db *db, int64_t idx, uint64_t *ret_count);
/* Of all mailboxes. */
int mapping_count_all(struct db *db, uint64_t *ret_count);

#endif
