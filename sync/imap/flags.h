/* SPDX-License-Identifier: MIT */
/*
 * Flag lists of messages, interned: two lists with the same flags, whatever their order and case,
 * are the same pointer. \Recent is dropped on the way in: it never crosses (RFC 3501
 * section 2.3.2).
 */
#ifndef INTERIMAP_IMAP_FLAGS_H
#define INTERIMAP_IMAP_FLAGS_H

#include <stdbool.h>
#include <stddef.h>

#include "sync/imap/slice.h"

struct flags; /* opaque, immutable, owned by its pool */
struct flag_pool;

struct flag_pool *flag_pool_new(void);
struct flag_pool *flag_pool_free(struct flag_pool *pool);
/* Half of a limit is used up: a program that lives long should begin a new pool when it can. */
bool flag_pool_is_large(const struct flag_pool *pool);

/*
 * The list of these flags (duplicates and \Recent dropped, spelling of the first kept that was ever
 * seen). NULL when LIMIT_FLAG_LISTS or LIMIT_FLAGS_PER_MESSAGE is exceeded, or when one is not a
 * flag (RFC 3501 "flag").
 */
const struct flags *flags_intern(struct flag_pool *pool, const struct slice *atoms, size_t count);
/* The same of those that a message may have: the others, and those beyond the limit, are left out
 * and counted.  NULL only when the pool is full. */
const struct flags *flags_intern_usable(
	struct flag_pool *pool, const struct slice *atoms, size_t count, size_t *ret_left_out);
/* What a PERMANENTFLAGS list says where the server sent none: all can be stored for good (RFC 3501
 * section 7.1).  NULL when the pool is full. */
const struct flags *flags_all_permanent(struct flag_pool *pool);
const struct flags *flags_empty(struct flag_pool *pool);
const struct flags *flags_union(
	struct flag_pool *pool, const struct flags *one, const struct flags *other);
/*
 * Those that `permanent` (a PERMANENTFLAGS list, interned from the response's atoms) lets a client
 * store: all keywords if it holds "\*".
 */
const struct flags *flags_storable(
	struct flag_pool *pool, const struct flags *flags, const struct flags *permanent);
/* Those that RFC 3501 section 2.3.2 names: what is left without keywords. */
const struct flags *flags_system(struct flag_pool *pool, const struct flags *flags);
/* Those that are in `flags` and not in `other`. */
const struct flags *flags_minus(
	struct flag_pool *pool, const struct flags *flags, const struct flags *other);
bool flags_contain(const struct flags *flags, const char *flag);
bool flags_are_empty(const struct flags *flags);

/* "\Answered \Seen foo", sorted, without parentheses; ready for a STORE or an APPEND. */
const char *flags_text(const struct flags *flags);

#endif
