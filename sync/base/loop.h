/* SPDX-License-Identifier: MIT */
/*
 * The event loop, and tasks that advance on it.
 *
 * A task is long work in phases.  Its step() is one switch over its phase; it issues what the phase
 * needs and says how to go on.  Whatever completes outside (a command, a timer) only records the
 * fact and calls task_wake(); woken tasks are stepped from a queue that the loop drains, never from
 * inside the caller.  So there is no recursion, and nothing is freed inside its own event.
 *
 * The queue is drained from an ev_prepare watcher, for a bounded number of steps and
 * 10 ms a turn; an ev_idle watcher keeps the loop from blocking while tasks are queued.
 *
 * A task that waits and is never woken is waited for in vain, and nobody would notice.  So whoever
 * has tasks can have it checked, in builds for tests, that each of them has something to wait for.
 */
#ifndef INTERIMAP_BASE_LOOP_H
#define INTERIMAP_BASE_LOOP_H

#include <ev.h>
#include <stdbool.h>

enum step {
	STEP_AGAIN, /* call step() again, soon */
	STEP_WAIT, /* call step() after the next task_wake() */
	STEP_DONE, /* finished */
	STEP_FAILED, /* finished, without success */
};

struct task;

/* Looks whether all is as it must be before the loop sleeps: no task is queued.  It changes
 * nothing, and aborts if not. */
struct loop_check {
	void (*check)(struct loop_check *check);
	struct loop_check *prev, *next; /* utlist */
};

struct loop {
	struct ev_loop *ev;
	struct task *queue; /* woken, in order (utlist) */
	struct loop_check *checks; /* utlist */
	struct ev_prepare prepare;
	struct ev_idle idle;
};

struct task {
	enum step (*step)(struct task *task);
	/* Called once from the queue after DONE or FAILED; may free the task.  May be NULL. */
	void (*finished)(struct task *task, enum step result);
	struct loop *loop;
	struct task *prev, *next; /* utlist, while queued */
	bool queued;
	bool over; /* DONE or FAILED was returned */
};

/* Uses libev's default loop, since only that one reaps children.  One per process. */
void loop_init(struct loop *loop);
void loop_done(struct loop *loop);
/* Runs until loop_stop(). */
void loop_run(struct loop *loop);
void loop_stop(struct loop *loop);

/* From here on, before each sleep; in builds with a sanitizer only, since it may take long. */
void loop_add_check(struct loop *loop, struct loop_check *check);
void loop_remove_check(struct loop *loop, struct loop_check *check);

void task_init(struct task *task, struct loop *loop, enum step (*step)(struct task *),
	void (*finished)(struct task *, enum step));
/* Queues the task to be stepped; harmless when it is queued already or over. */
void task_wake(struct task *task);
/* Takes the task out of the queue; it is not stepped again unless woken. */
void task_cancel(struct task *task);

#endif
