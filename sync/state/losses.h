/* SPDX-License-Identifier: MIT */
/*
 * Losses: how many messages have vanished on a side and were deleted on the other for it, without
 * anybody of ours having asked for that; kept for an hour.  And holds: mailboxes whose losses were
 * too many for the brake, until a person lets them pass or the messages are back.
 *
 * An hour, since what goes wrong goes on within minutes, from pass to pass and from mailbox to
 * mailbox, and over a few polls of a quarter of an hour; while a person who deletes all mail of the
 * day, one by one, would reach any measure within a day, and is not to be asked every evening. Once
 * something is held the hour does not matter: a hold has no end of its own.
 */
#ifndef INTERIMAP_STATE_LOSSES_H
#define INTERIMAP_STATE_LOSSES_H

#include <stdbool.h>
#include <stdint.h>

struct db;

struct losses {
	uint64_t recent; /* within the hour */
	uint64_t burst; /* … of them within the last minute */
	uint64_t held; /* back */
};

/* Messages that vanished on that side, of a mailbox. */
int losses_add(struct db *db, int64_t idx, bool remote, uint64_t messages);
/* Of one mailbox. */
int losses_of_mailbox(struct db *db, int64_t idx, bool remote, struct losses *ret);
/* Of all, deleted ones too, and with what is held in others than that. */
int losses_of_side(struct db *db, bool remote, int64_t except, struct losses *ret);
/* A person says that they were right. */
int losses_forget(struct db *db, int64_t idx, bool remote);

/* 1: it is held, *ret_messages as it was noted; 0: it is not. */
int holds_find(struct db *db, int64_t idx, bool remote, uint64_t *ret_messages);
int holds_set(struct db *db, int64_t idx, bool remote, uint64_t messages);
/* No error when it is not held. */
int holds_clear(struct db *db, int64_t idx, bool remote);

#endif
