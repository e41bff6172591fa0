/* SPDX-License-Identifier: MIT */
/*
 * --verify: all messages of both sides of one mailbox, to be compared.  They are in a temporary
 * table (on disk, private to the connection), so that memory does not grow with the mailbox;
 * nothing else of the database is written.
 */
#ifndef INTERIMAP_STATE_VERIFIED_H
#define INTERIMAP_STATE_VERIFIED_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "sync/state/intents.h"

struct db;

struct verified_counts {
	uint64_t local, remote; /* messages */
	uint64_t only_local, only_remote; /* without a twin on the other side */
	uint64_t flags; /* twins, or what is paired, whose flags differ */
	uint64_t strangers; /* what the database has paired, and is not the same message */
	uint64_t unpaired; /* twins that the database does not know of */
};

enum verified_difference {
	VERIFIED_ONLY_LOCAL,
	VERIFIED_ONLY_REMOTE,
	VERIFIED_FLAGS,
	VERIFIED_STRANGERS,
};

struct verified_message {
	uint32_t local, remote; /* UIDs; 0: it has none there */
	uint64_t size; /* of the local one, if there is one */
	char *local_flags, *remote_flags; /* NULL where there is no message */
};

/* Forgets what was compared before. */
int verified_begin(struct db *db);
/* A message; one that is told twice counts as told last. */
int verified_add(struct db *db, bool remote, uint32_t uid, const struct identity *identity,
	const char *flags);
/*
 * All are there.  First those that the database has paired belong together: twins are such that
 * Message-ID, and size or date, are the same (a server may change one of the two).  Of the rest,
 * the n-th local with the n-th remote one of the same identity.  idx 0: the database does not know
 * the mailbox.
 */
int verified_compare(struct db *db, int64_t idx, struct verified_counts *ret);
/*
 * After that: those that differ in one way, beyond that UID (local; remote for ONLY_REMOTE), in
 * ascending order, at most max.  The caller frees them with verified_messages_free().
 */
int verified_list(struct db *db, enum verified_difference difference, uint32_t after, uint32_t max,
	struct verified_message **ret, size_t *ret_count);
void verified_messages_free(struct verified_message *messages, size_t count);

#endif
