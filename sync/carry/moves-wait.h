/* SPDX-License-Identifier: MIT */
/*
 * How runs of several mailboxes wait for each other, to find out which messages were moved from one
 * mailbox to another on one side.
 *
 * To the run of the one mailbox such a message is gone, to the run of the other it is new.  So
 * before they decide, a run that misses messages waits for those that may have new ones, and the
 * other way round; for a moment only, since most messages that are gone were deleted, and most that
 * are new came by mail.  When all that matter wait, each asks for the pairs of what is gone, which
 * are still on the other side; moves-match.h finds out which new message is which; and the run of
 * the mailbox where it is new moves it there (moves.h).  The run of the other mailbox goes on when
 * that is over, and does as ever with what is left.
 */
#ifndef INTERIMAP_CARRY_MOVES_WAIT_H
#define INTERIMAP_CARRY_MOVES_WAIT_H

#include "sync/run/run.h"

void moves_wait_init(struct moves_wait *wait, struct core *core);
void moves_wait_done(struct moves_wait *wait);

/* A pass begins. */
void moves_wait_reset(struct run *run);
/* OPEN has been answered. */
void moves_wait_opened(struct run *run);
/* How many new messages of one side a pass should look at: more than it would copy where as many
 * are missed elsewhere.  0: not known yet, the run is woken when it is. */
size_t moves_wait_batch(struct run *run, bool remote);
/* It is ready to decide, and waits (MOVE_WAITING), or need not (MOVE_OVER). */
void moves_wait_begin(struct run *run);
/* The pairs of what it misses have been asked for. */
void moves_wait_asked(struct run *run);
/* It has taken what is its own. */
void moves_wait_moved(struct run *run);
/* It ends. */
void moves_wait_leave(struct run *run);

#endif
