/* SPDX-License-Identifier: MIT */
/* What a run holds of messages that were moved between mailboxes (carry/moves.h). */
#ifndef INTERIMAP_RUN_MOVES_H
#define INTERIMAP_RUN_MOVES_H

#include <ev.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "sync/core/items.h"

struct core;
struct run;

/* Of all runs of an account (carry/moves-wait.h). */
struct moves_wait {
	struct core *core;
	ev_timer patience; /* of those that wait */
	bool asking; /* the pairs of what is gone are being asked for */
};

enum move_state {
	MOVE_UNKNOWN, /* what this pass will find to be gone or new is not known */
	MOVE_OPENED, /* OPEN has told it */
	MOVE_WAITING, /* it waits for other runs, before it decides */
	MOVE_ASKING, /* it asks for the pairs of what is gone from its mailbox … */
	MOVE_ASKED, /* … and has the answers */
	MOVE_MOVING, /* it moves messages into its mailbox */
	MOVE_MOVED, /* … and has; others may still take messages out of it */
	MOVE_OVER, /* it may decide */
};

/* How far a run is. */
struct run_moves {
	enum move_state state;
	ev_tstamp since; /* it waits */
	bool waits_for_counts; /* of what others miss, to know how many new messages to look at */
	unsigned takers; /* runs that have not yet finished taking from its mailbox */
	bool any; /* message was moved, out of it or into it … */
	bool any_before; /* … in the pass before */
};

/* A message that is gone here, and whose pair is on the other side. */
struct gone_message {
	uint32_t uid, other_uid;
	struct identity identity; /* of the pair */
	const struct flags *flags; /* likewise */
	struct email_id email_id; /* its own, if it is known */
	bool identified; /* both are known */
};

/* One that is new here, and is the same as one that is gone from another mailbox, or that is there
 * still (a copy). */
struct taken_message {
	struct run *from; /* NULL: its run has ended; or it is a copy (carry/moves-copied.c) */
	bool copy;
	struct gone_message gone;
	struct item item;
	bool moved, in_doubt; /* what became of it; neither: it is copied like any new message */
};

struct gone_list {
	struct gone_message *list; /* ascending by other_uid */
	size_t count;
};

struct taken_list {
	struct taken_message *list; /* by run, and then by the UID on the other side */
	size_t count, next, end; /* under way: next … end - 1 */
};

#endif
