/* SPDX-License-Identifier: MIT */
/*
 * Where runs of several mailboxes meet, to find out which messages were moved from one to another
 * on one side.
 *
 * To the run of the one mailbox such a message is gone, to the run of the other it is new.  So
 * before they decide, a run that misses messages waits for those that may have new ones, and the
 * other way round; for a moment only, since most messages that are gone were deleted, and most that
 * are new came by mail.  When all that matter are there, the meeting is held: what is gone is told
 * by its pair, which is still on the other side; plan_moves() recognises it; and the run of the
 * mailbox where it is new moves it there (moved.c).  The run of the other mailbox goes on when
 * that is over, and does as ever with what is left.
 */
#ifndef INTERIMAP_CARRY_MEETING_H
#define INTERIMAP_CARRY_MEETING_H

#include "sync/run/run.h"

void meeting_init(struct meeting *meeting, struct core *core);
void meeting_done(struct meeting *meeting);
/* Something has changed that others may wait for. */
void meeting_look(struct meeting *meeting);

/* A pass begins. */
void meeting_begin_pass(struct run *run);
/* OPEN has been answered. */
void meeting_expect(struct run *run);
/* How many new messages of one side a pass should look at: more than it would copy where as many
 * are missed elsewhere.  0: not known yet, the run is woken when it is. */
size_t meeting_batch(struct run *run, bool remote);
/* It is ready to decide, and waits (ATTENDANCE_WAITING), or need not (ATTENDANCE_OVER). */
void meeting_attend(struct run *run);
/* It has heard of what it misses. */
void meeting_asked(struct run *run);
/* It has taken what is its own. */
void meeting_moved(struct run *run);
/* It ends. */
void meeting_leave(struct run *run);

#endif
