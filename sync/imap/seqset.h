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
 * Adds; appending in ascending order is O(1), elsewhere it costs a move.  0 is not a UID and must
 * not be added.  A range may be given either way round.  False, and nothing added, when
 * LIMIT_UID_RANGES would be exceeded.
 */
bool seqset_add(struct seqset *set, uint32_t uid);
bool seqset_add_range(struct seqset *set, uint32_t first, uint32_t last);
bool seqset_add_set(struct seqset *set, const struct seqset *other);

/*
 * Removing splits ranges, so these may end up with as many ranges as both operands had; they
 * cannot fail.  `other` may be the set itself.
 */
void seqset_remove_range(struct seqset *set, uint32_t first, uint32_t last);
void seqset_remove_set(struct seqset *set, const struct seqset *other);
void seqset_intersect(struct seqset *set, const struct seqset *other);

/* The lower half of its UIDs and the upper one, added to these. */
void seqset_halve(const struct seqset *set, struct seqset *lower, struct seqset *upper);

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

/*
 * Collects many ranges that come in no particular order, e.g. the numbers of a SEARCH response, in
 * O(n log n): sorted only when they have to be.
 */
struct seqset_builder {
	struct seqrange *ranges;
	size_t count, size;
	bool sorted;
};

void seqset_builder_init(struct seqset_builder *builder);
void seqset_builder_done(struct seqset_builder *builder);
/* False when it holds more than LIMIT_UID_RANGES ranges that cannot be joined. */
bool seqset_builder_add(struct seqset_builder *builder, uint32_t first, uint32_t last);
/* Adds everything to the set, and empties the builder.  False, set untouched, over the limit. */
bool seqset_builder_finish(struct seqset_builder *builder, struct seqset *set);

/*
 * Parses "1,3:5,9:7", adding to the set in time linear but for a sort; no "*".  False, set
 * untouched, when malformed (empty included) or over the limit.
 */
bool seqset_parse(struct seqset *set, struct slice text);

/*
 * Expands a set in the order of its text; a range ascends whichever way round it is written, since
 * "4:2" and "2:4" are equivalent (RFC 4315 section 4 "uid-range").  The array is the
 * caller's to free.  False when malformed or when it has more than max UIDs.
 */
bool seqset_expand(struct slice text, size_t max, uint32_t **ret_uids, size_t *ret_count);

/*
 * Writes ranges from *index on, compacted, as long as the text stays within max_bytes (at least one
 * range is written); advances *index past what was written.  The caller splits commands with it:
 * while (index < set->count) { … }.  Aborts when
 * `out` cannot hold that much.
 */
void seqset_format(const struct seqset *set, size_t *index, size_t max_bytes, struct buf *out);

#endif
