/* SPDX-License-Identifier: MIT */
/*
 * What mail clients remove from the local store (action.h): which messages they have marked
 * \Deleted, and that they expunge them.  EXPUNGE and CLOSE do not say which messages they are
 * about, and the store's answers also name what others removed, or what is lost; so it is the marks
 * that say what a client wants to be gone.  They are kept in memory, and become rows of the
 * database (sync/state/removals.h) when they are expunged.
 */
#ifndef INTERIMAP_DEEDS_REMOVALS_H
#define INTERIMAP_DEEDS_REMOVALS_H

#include <stdint.h>

struct client_removal;
struct copied_uids;
struct db;
struct marks;
struct seqset;

struct removals {
	struct marks *marks; /* uthash by mailbox */
};

void removals_done(struct removals *removals);
/* 0, or -errno of the database. */
int removals_note(struct removals *removals, struct db *db, const struct client_removal *removal);
/* Adds what is marked now; a client may be about to be told that it is expunged. */
void removals_add_marked(const struct removals *removals, const char *mailbox, struct seqset *uids,
	uint64_t *others);
/* A client has moved these away. */
int removals_note_moved(struct db *db, const char *mailbox, const struct copied_uids *copied);

#endif
