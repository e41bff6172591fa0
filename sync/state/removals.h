/* SPDX-License-Identifier: MIT */
/*
 * Removals: what clients of the proxy expunged from the local store, so that it does not count as
 * lost.  Committed before the client hears of it; and gone when a run that began after it has
 * carried it out.
 *
 * Names are as on the local wire: a client may act before the first connection has told the
 * hierarchy delimiter, and before the mailbox is in the database.
 */
#ifndef INTERIMAP_STATE_REMOVALS_H
#define INTERIMAP_STATE_REMOVALS_H

#include <stddef.h>
#include <stdint.h>

struct db;

struct removal {
	int64_t id; /* ascending */
	char *uids; /* owned: a set, perhaps "" */
	uint64_t messages; /* others, of which only the number is known */
};

/* The strings stay the caller's. */
int removals_insert(struct db *db, const char *mailbox, const char *uids, uint64_t messages);
/* Those of a mailbox, in order; the caller releases them. */
int removals_load(
	struct db *db, const char *mailbox, struct removal **ret_removals, size_t *ret_count);
void removals_free(struct removal *removals, size_t count);
/* Those of a mailbox up to and with that id. */
int removals_forget(struct db *db, const char *mailbox, int64_t last);

#endif
