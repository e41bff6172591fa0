/* SPDX-License-Identifier: MIT */
/*
 * One helper thread for the two calls that block: name lookup and password hashing.
 * A job runs there and its result comes back on the loop.
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
	bool abandoned;	  /* set by worker_abandon(): nobody waits for the result any more */
	struct job *next; /* the worker's */
};

/* Starts the thread on first use. */
struct worker *worker_new(struct loop *loop);
/* Waits for the job that runs; queued ones complete as abandoned, before this returns. */
struct worker *worker_free(struct worker *worker);

/* Takes the job.  Never calls back before it returns. */
void worker_submit(struct worker *worker, struct job *job);

/* The submitter is going away: completed() will see job->abandoned and must only free. */
void worker_abandon(struct job *job);

#endif
