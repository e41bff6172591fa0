/* SPDX-License-Identifier: MIT */
/*
 * Helper threads for the two calls that block: name lookup and password hashing.
 * A job runs there and its result comes back on the loop.  Up to LIMIT_WORKER_THREADS run at once,
 * so that a login does not wait for a lookup that hangs; jobs may end in any order.
 */
#ifndef INTERIMAP_BASE_WORKER_H
#define INTERIMAP_BASE_WORKER_H

#include <stdbool.h>

struct loop;
struct worker;

struct job {
	void (*run)(struct job *job); /* in the thread: touches only what is in the job */
	void (*completed)(
		struct job *job); /* on the loop, once, also for an abandoned job; frees it */
	bool abandoned; /* set by worker_abandon(): nobody waits for the result any more */
	struct job *next; /* the worker's */
};

/* Threads start on first use. */
struct worker *worker_new(struct loop *loop);
/*
 * Waits for the jobs that run, but no longer than LIMIT_WORKER_END_SECONDS; what ran and what was
 * queued completes as abandoned before this returns.  A job that still hangs then (a lookup) is
 * left to end with the process and never completes.
 */
struct worker *worker_free(struct worker *worker);

/* Takes the job.  Never calls back before it returns. */
void worker_submit(struct worker *worker, struct job *job);

/* The submitter is going away: completed() will see job->abandoned and must only free. */
void worker_abandon(struct job *job);

#endif
