/* SPDX-License-Identifier: MIT */
/* Sets of UIDs as sorted, disjoint, non-adjacent ranges (RFC 3501 sequence-set, without "*"). */
#ifndef INTERIMAP_IMAP_SEQSET_H
#define INTERIMAP_IMAP_SEQSET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "sync/imap/slice.h"

struct buf;

struct seqrange {
	uint32_t first, last; /* inclusive */
};

struct seqset {
	struct seqrange *ranges;
	size_t count, size;
};

void seqset_init(struct seqset *set);
void seqset_done(struct seqset *set);
void seqset_clear(struct seqset *set);
void seqset_copy(struct seqset *to, const struct seqset *from);

/*
 * Adds; appending in ascending order is O(1), elsewhere it costs a move.  0 is not a UID and must not be added.
 * False when LIMIT_UID_RANGES would be exceeded.
 */
bool seqset_add(struct seqset *set, uint32_t uid);
bool seqset_add_range(struct seqset *set, uint32_t first, uint32_t last);
bool seqset_add_set(struct seqset *set, const struct seqset *other);
void seqset_remove_range(struct seqset *set, uint32_t first, uint32_t last);
void seqset_remove_set(struct seqset *set, const struct seqset *other);
void seqset_intersect(struct seqset *set, const struct seqset *other);

static inline bool seqset_is_empty(const struct seqset *set)
{
	return set->count == 0;
}

bool seqset_contains(const struct seqset *set, uint32_t uid);
uint64_t seqset_count(const struct seqset *set); /* of UIDs */

/* Iteration over UIDs: start with {0}; false at the end. */
struct seqset_iter {
	size_t range;
	uint64_t offset;
};
bool seqset_next(const struct seqset *set, struct seqset_iter *iter, uint32_t *ret_uid);

/* Parses "1,3:5,9:7", adding to the set in time linear but for a sort; no "*".  False when malformed or over the limit. */
bool seqset_parse(struct seqset *set, struct slice text);

/*
 * Expands a set in the order given ("2:3" or "3:2" in order of the text; RFC 4315 section 3).  The array is the caller's to free.
 * False when malformed or when it has more than max UIDs.
 */
bool seqset_expand(struct slice text, size_t max, uint32_t **ret_uids, size_t *ret_count);

/*
 * Writes ranges from *index on, compacted, as long as the text stays within max_bytes (at least one range is written); advances
 * *index past what was written.  The caller splits commands with it: while (index < set->count) { … }.
 */
void seqset_format(const struct seqset *set, size_t *index, size_t max_bytes, struct buf *out);

#endif
