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
#ifndef INTERIMAP_RUN_MEETING_H
#define INTERIMAP_RUN_MEETING_H

#include <ev.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "sync/core/items.h"

struct core;
struct run;

struct meeting {
	struct core *core;
	ev_timer patience; /* of those that wait */
	bool held; /* what is gone is being asked for */
};

enum attendance_state {
	ATTENDANCE_AWAY, /* what its pass will find is not known */
	ATTENDANCE_EXPECTED, /* OPEN has told what it brings */
	ATTENDANCE_WAITING, /* it is there */
	ATTENDANCE_ASKING, /* the meeting is held: it asks for what is gone from it … */
	ATTENDANCE_ASKED, /* … and has heard */
	ATTENDANCE_MOVING, /* it moves messages into its mailbox */
	ATTENDANCE_MOVED, /* … and has; others may still take theirs */
	ATTENDANCE_OVER, /* it may decide */
};

/* A run's part in it. */
struct attendance {
	enum attendance_state state;
	ev_tstamp since; /* it waits */
	bool wants_losses; /* it waits to learn how many new messages to look at */
	unsigned takers; /* runs that have not yet finished taking from it */
	bool moved; /* something was, out of it or into it … */
	bool moved_before; /* … in the pass before */
};

/* A message that is gone here, and whose pair is on the other side. */
struct offer {
	uint32_t uid, other_uid;
	struct identity identity; /* of the pair */
	const struct flags *flags; /* likewise */
	struct email email; /* its own, if it is known */
	bool identified; /* both are known */
};

/* One that is new here, and was an offer of another run. */
struct take {
	struct run *from; /* NULL: its run has ended; or it is a copy (copied.c) */
	bool copy;
	struct offer offer;
	struct item item;
	bool moved, in_doubt; /* what became of it; neither: it is copied like any new message */
};

struct offers {
	struct offer *list; /* ascending by other_uid */
	size_t count;
};

struct takes {
	struct take *list; /* by run, and then by the UID on the other side */
	size_t count, next, end; /* under way: next … end - 1 */
};

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
