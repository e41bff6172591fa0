/* SPDX-License-Identifier: MIT */
/* Known mailboxes and how far each side has been synchronised. */
#ifndef INTERIMAP_STATE_MAILBOXES_H
#define INTERIMAP_STATE_MAILBOXES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct db;

/* What of one side of a mailbox has been propagated to the other. */
struct mailbox_state {
	uint32_t uidvalidity; /* 0: no row yet */
	uint32_t uidnext; /* messages below are replicated; 0 at first */
	uint64_t highestmodseq; /* changes up to here are replicated; 0 at first */
};

struct mailbox_row {
	int64_t idx;
	char *name; /* NUL for the delimiter, without reference; len bytes and a final NUL */
	size_t len;
	bool subscribed;
	struct mailbox_state local, remote;
};

/* All rows in order of idx; the caller releases them with mailbox_rows_free(). */
int mailboxes_load(struct db *db, struct mailbox_row **ret_rows, size_t *ret_count);
void mailbox_rows_free(struct mailbox_row *rows, size_t count);

/* 0 and *ret_idx for a new row; -EEXIST if it is known. */
int mailboxes_insert(
	struct db *db, const char *name, size_t len, bool subscribed, int64_t *ret_idx);
/* -ENOENT when there is no such mailbox, here and for a rename. */
int mailboxes_set_subscribed(struct db *db, int64_t idx, bool subscribed);
/* Renames in place, idx kept; -EEXIST when the new name is known. */
int mailboxes_rename(struct db *db, int64_t idx, const char *name, size_t len);
/* Removes the mailbox with everything known of it. */
int mailboxes_delete(struct db *db, int64_t idx);

/* The UIDs of a side mean other messages now: the pairs go, and all else that is known by UID.
 * Within the caller's transaction, which also sets the state of both sides. */
int mailboxes_forget_uids(struct db *db, int64_t idx);

/* Inserts or updates the row of that side. */
int mailboxes_set_state(struct db *db, int64_t idx, bool remote, const struct mailbox_state *state);

#endif
