/* SPDX-License-Identifier: MIT */
/* Messages that have no pair in the database: what is deleted of them may be nowhere else. */
#ifndef INTERIMAP_CORE_PAIRLESS_H
#define INTERIMAP_CORE_PAIRLESS_H

#include <stdbool.h>
#include <stdint.h>

struct db;
struct seqset;

/* How many of these UIDs of a side of the mailbox; or -errno of the database. */
int pairless_count(
	struct db *db, int64_t idx, bool remote, const struct seqset *uids, uint64_t *ret_count);

#endif
