/* SPDX-License-Identifier: MIT */
/*
 * Does on one side what was done on the other, above all by a mail client in the local store: one
 * deed (deeds/journal.h), step by step.  What of it cannot be done that way is left to the ordinary
 * sync, which finds the result of the deed like any other change.
 *
 * Nobody else works on the mailboxes that it concerns meanwhile.
 */
#ifndef INTERIMAP_REPLAY_REPLAY_H
#define INTERIMAP_REPLAY_REPLAY_H

#include <stdbool.h>

struct barrier;
struct core;
struct deed;
struct replay;

enum replay_end {
	REPLAY_DONE, /* it is over, and out of the database */
	REPLAY_REFUSED, /* the remote side does not let us: the deed stays, and holds its mailboxes
			 */
	REPLAY_LOST, /* a connection went: the deed stays */
	REPLAY_BROKEN, /* the database failed, see db_error() */
};

/* finished() is called once, from the loop; the replay is freed after it. */
struct replay *replay_new(struct core *core, struct deed *deed,
	void (*finished)(struct core *core, struct deed *deed, enum replay_end end));
/* The connections are gone: it ends, soon, as lost. */
void replay_connection_lost(struct replay *replay);
/* Ends it without finished(); all its commands have completed. Accepts NULL. */
struct replay *replay_abandon(struct replay *replay);

/* What it does, for those that ask what it waits for. */
const struct deed *replay_deed(const struct replay *replay);
/* It is about to go on … */
bool replay_is_woken(const struct replay *replay);
/* … or waits for these commands. */
struct barrier *replay_barrier(struct replay *replay);

#endif
