/* SPDX-License-Identifier: MIT */
/*
 * Helper threads for the two calls that block: name lookup and password hashing.
 * A chore runs there and its result comes back on the loop.  Up to LIMIT_WORKER_THREADS run at once,
 * so that a login does not wait for a lookup that hangs; chores may end in any order.
 */
#ifndef INTERIMAP_BASE_WORKER_H
#define INTERIMAP_BASE_WORKER_H

#include <stdbool.h>

struct loop;
struct worker;

struct chore {
	void (*run)(struct chore *chore); /* in the thread: touches only what is in the chore */
	void (*completed)(
		struct chore *chore); /* on the loop, once, also for an abandoned chore; frees it */
	bool abandoned; /* set by worker_abandon(): nobody waits for the result any more */
	struct chore *next; /* the worker's */
};

/* Threads start on first use. */
struct worker *worker_new(struct loop *loop);
/*
 * Waits for the chores that run, but no longer than LIMIT_WORKER_END_SECONDS; what ran and what was
 * queued completes as abandoned before this returns.  A chore that still hangs then (a lookup) is
 * left to end with the process and never completes.
 */
struct worker *worker_free(struct worker *worker);

/* Takes the chore.  Never calls back before it returns. */
void worker_submit(struct worker *worker, struct chore *chore);

/* The submitter is going away: completed() will see chore->abandoned and must only free. */
void worker_abandon(struct chore *chore);

#endif
