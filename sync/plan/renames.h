/* SPDX-License-Identifier: MIT */
/*
 * Which known mailboxes have another name on a server now, by their UIDVALIDITY: servers that give
 * each mailbox one of its own (Dovecot, Cyrus) keep it through a renaming.  Pure.
 */
#ifndef INTERIMAP_PLAN_RENAMES_H
#define INTERIMAP_PLAN_RENAMES_H

#include <stddef.h>
#include <stdint.h>

/* A mailbox as the database knows it, or as it is listed. */
struct plan_place {
	const char *name;
	size_t len;
	uint32_t uidvalidity; /* 0: not known */
	uint32_t uidnext;
	uint64_t highestmodseq;
};

struct plan_rename {
	const struct plan_place *from, *to; /* of `known`, of `listed` */
};

/*
 * A renaming is only seen where the UIDVALIDITY occurs once in both lists, and UIDNEXT and
 * HIGHESTMODSEQ did not go back.  *ret is the caller's, and borrows from the lists, which are
 * reordered.  O(n log n).
 */
void plan_renames(struct plan_place *known, size_t known_count, struct plan_place *listed,
	size_t listed_count, struct plan_rename **ret, size_t *ret_count);

#endif
