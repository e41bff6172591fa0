/* SPDX-License-Identifier: MIT */
/*
 * Nothing waits for nothing.  Who is not done waits for one of the reasons below, each of which
 * will be over without anybody's help but that of who is named; and nobody waits for somebody who
 * waits for him.  A wait for nothing is how a program stops for good without a word: nothing fails,
 * no timer runs, and nobody is told.
 *
 * So it is looked at in two ways.  The status tells a person what is waited for, and since when.
 * And in builds for tests the program aborts, with all that it knows, when it is about to sleep and
 * somebody waits for nothing (engine_waits_watch()).
 */
#ifndef INTERIMAP_ENGINE_WAITS_H
#define INTERIMAP_ENGINE_WAITS_H

#include <stdbool.h>
#include <time.h>

struct engine;

/* Who waits: each only for what is above it in this list, or for a reason of its own. */
enum waiter {
	WAITER_SERVER, /* a connection */
	WAITER_RUN, /* of a mailbox; for another run only if that one is at work */
	WAITER_DEED, /* of a mail client, not yet done on the other side */
	WAITER_ENGINE, /* what it does as a whole: the lists, the tree, the work, … */
	WAITER_MAILBOX, /* that is to be run */
	WAITER_ORDER, /* of a person */
};

enum wait_reason {
	WAIT_FOR_NOTHING, /* that must not be */

	/* The machinery, for moments or as long as a server takes; not told one by one: */
	WAIT_WOKEN, /* it is about to go on */
	WAIT_ANSWER, /* a command is in the queue of a connection that stands */
	WAIT_TIMER, /* that is armed, and wakes it */
	WAIT_AT_REST, /* there is nothing to do: a server, a client or a timer will tell */
	WAIT_WORK, /* the engine's: for the runs and deeds that are under way */
	WAIT_CONNECTION, /* made anew, after a pause that grows: the status has it with the sides */

	/* Named in the status: */
	WAIT_CLIENT, /* a client's command is not answered; for half a minute at most */
	WAIT_MOVES, /* other runs may have what it misses, or take what it has (carry/moves-wait.h) */
	WAIT_CREDIT, /* other runs are not done with bodies that they have asked for (core/credit.h) */
	WAIT_RUNS, /* a deed's: runs of its mailboxes come to the end of their pass */
	WAIT_TURN, /* others come first: deeds before it, an order, ENGINE_RUNS_MAX runs */
	WAIT_DEED, /* a mailbox's: what a client did there is carried out first */
	WAIT_LISTS, /* the mailbox lists are looked at before it */
	WAIT_REST, /* an order's: what is under way comes to its end */
	WAIT_PERSON, /* it was refused, or the brake holds it: somebody must act */
};

struct wait {
	enum waiter waiter;
	const char *name; /* the mailbox's, or what a client did with it; NULL if there is none */
	enum wait_reason reason;
	time_t since; /* 0: not known */
};

/* All that is not done, in the order of enum waiter; the wait is borrowed. */
void engine_waits_visit(struct engine *engine,
	void (*visit)(const struct wait *wait, void *context), void *context);

/* For a person, "other mailboxes …"; NULL: it is no matter for one. */
const char *wait_reason_text(enum wait_reason reason);
/* "mailbox", "action", "command", or "account". */
const char *waiter_text(enum waiter waiter);

/* Looks at it before each sleep of the loop (loop_add_check()). */
void engine_waits_watch(struct engine *engine);
void engine_waits_unwatch(struct engine *engine);

#endif
