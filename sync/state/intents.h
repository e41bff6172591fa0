/* SPDX-License-Identifier: MIT */
/*
 * Intents: an APPEND that is about to be sent, committed before the first byte of it leaves.  When
 * its APPENDUID arrives the intent is replaced by the mapping in one transaction; whatever happens
 * in between, the next run finds the intent and looks whether the message arrived (target UIDs from
 * `target_uidnext` on, paired by identity).
 */
#ifndef INTERIMAP_STATE_INTENTS_H
#define INTERIMAP_STATE_INTENTS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "sync/state/mapping.h"

struct db;

/* What identifies a message on any server: SHA-256, cut to 16 bytes, of Message-ID, and its size
 * and INTERNALDATE (UTC). */
struct identity {
	uint8_t digest[16];
	uint64_t size;
	int64_t date;
};

struct intent {
	int64_t id; /* set by intents_insert() */
	int64_t mailbox; /* mailboxes.idx */
	bool to_remote; /* direction of the copy */
	uint32_t source_uid;
	uint32_t target_uidvalidity;
	uint32_t target_uidnext; /* lower bound of the UID it gets */
	struct identity identity;
};

/* One intent per (mailbox, direction, source_uid): -EEXIST otherwise. */
int intents_insert(struct db *db, struct intent *intent);
/* The message is at the target: mapping in, intent out, one transaction (joins an open one). */
int intents_settle(struct db *db, const struct intent *intent, struct uid_pair pair);
/* It never arrived, or is not to be copied any more.  No error when it is gone already. */
int intents_drop(struct db *db, const struct intent *intent);
/*
 * It is not at the target, and its message is copied anew; but it may still arrive, since a server
 * works off what it received on a dead connection, and a network delivers what it holds.  It is no
 * longer open, and for twenty minutes one of late_load().
 */
int intents_lapse(struct db *db, const struct intent *intent);
/* Those given up within that time, in order of id.  The caller frees the array. */
int late_load(struct db *db, int64_t idx, struct intent **ret_intents, size_t *ret_count);
/* It did arrive. */
int late_drop(struct db *db, const struct intent *intent);
/* Open ones of a mailbox in order of id; idx 0: of all.  The caller frees the array. */
int intents_load(struct db *db, int64_t idx, struct intent **ret_intents, size_t *ret_count);

#endif
