/* SPDX-License-Identifier: MIT */
/* Between suspects.c (what is suspected, and what follows from it) and suspects-judge.c (what a
 * loss says). */
#ifndef INTERIMAP_DEEDS_SUSPECTS_PRIVATE_H
#define INTERIMAP_DEEDS_SUSPECTS_PRIVATE_H

#include "sync/deeds/suspects.h"

struct tracked {
	int64_t id;
	struct suspicion suspicion;
	bool tried; /* on this connection, and nothing came of it */
};

/* suspects.c; numbers are 0 (or more), or -errno of the database. */
/* Reads all from the database. */
int suspects_load(struct suspects *suspects);
/* A new one, with nothing in it. */
struct tracked *suspects_add(struct suspects *suspects);
/* Writes it down. */
int suspects_keep(struct suspects *suspects, struct tracked *tracked);
/* It is not suspected any more; the last of the list is in its place. */
int suspects_drop(struct suspects *suspects, struct tracked *tracked);
/* NULL: none that is known. */
struct mailbox *suspects_mailbox(const struct core *core, const struct suspect *suspect);

/* suspects-judge.c */
/* It is in the quarantine, and its time has not come: 1, and why, the caller's; 0: it is not;
 * -errno of the database. */
int suspects_find_row(struct core *core, const struct suspect *suspect, char **ret_words);

#endif
