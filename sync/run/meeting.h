/* SPDX-License-Identifier: MIT */
/* What a run holds of the meeting (carry/meeting.h). */
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

#endif
