/* SPDX-License-Identifier: MIT */
#include "sync/base/loop.h"

#include <assert.h>
#include <stddef.h>
#include <utlist.h>

#include "sync/base/fault.h"
#include "sync/base/xalloc.h"

/* Sockets are looked at between two turns, those of mail clients among them: a turn ends with the
 * step that goes beyond either.  A step may wait for the disk. */
enum { STEPS_PER_TURN = 1000 };
static const double SECONDS_PER_TURN = 0.01;

static void idle(struct ev_loop *ev, struct ev_idle *watcher, int revents)
{
	/* Its being active keeps the loop from blocking; there is nothing to do. */
}

static void run_one(struct loop *loop)
{
	struct task *task = loop->queue;
	enum step result;

	DL_DELETE(loop->queue, task);
	task->queued = false;
	result = task->step(task);
	switch (result) {
	case STEP_AGAIN:
		task_wake(task);
		break;
	case STEP_WAIT:
		break;
	case STEP_DONE:
	case STEP_FAILED:
		task_cancel(task);
		task->over = true;
		if (task->finished != NULL)
			task->finished(task, result);
		break;
	}
}

static void check_all(struct loop *loop)
{
	struct loop_check *check;

	if (!INTERIMAP_CHECKS)
		return;
	DL_FOREACH (loop->checks, check)
		check->check(check);
}

static void prepare(struct ev_loop *ev, struct ev_prepare *watcher, int revents)
{
	struct loop *loop = container_of(watcher, struct loop, prepare);

	ev_tstamp begin = ev_time();

	(void)fault_due(FAULT_TURN);
	for (int steps = 0; loop->queue != NULL && steps < STEPS_PER_TURN; steps++) {
		run_one(loop);
		if (ev_time() - begin > SECONDS_PER_TURN)
			break;
	}
	if (loop->queue == NULL) {
		ev_idle_stop(loop->ev, &loop->idle);
		check_all(loop);
	} else {
		ev_idle_start(loop->ev, &loop->idle);
	}
}

void loop_init(struct loop *loop)
{
	*loop = (struct loop){.ev = ev_default_loop(EVFLAG_AUTO | EVFLAG_NOENV)};
	assert(loop->ev != NULL);
	ev_prepare_init(&loop->prepare, prepare);
	ev_prepare_start(loop->ev, &loop->prepare);
	ev_unref(loop->ev); /* the queue alone does not keep the loop running */
	ev_idle_init(&loop->idle, idle);
}

void loop_done(struct loop *loop)
{
	ev_idle_stop(loop->ev, &loop->idle);
	ev_ref(loop->ev);
	ev_prepare_stop(loop->ev, &loop->prepare);
	ev_loop_destroy(loop->ev);
	loop->ev = NULL;
}

void loop_run(struct loop *loop)
{
	ev_run(loop->ev, 0);
}

void loop_stop(struct loop *loop)
{
	ev_break(loop->ev, EVBREAK_ALL);
}

void loop_add_check(struct loop *loop, struct loop_check *check)
{
	DL_APPEND(loop->checks, check);
}

void loop_remove_check(struct loop *loop, struct loop_check *check)
{
	DL_DELETE(loop->checks, check);
}

void task_init(struct task *task, struct loop *loop, enum step (*step)(struct task *),
	void (*finished)(struct task *, enum step))
{
	*task = (struct task){.step = step, .finished = finished, .loop = loop};
}

void task_wake(struct task *task)
{
	if (task->queued || task->over || fault_due(FAULT_WAKE))
		return;
	task->queued = true;
	DL_APPEND(task->loop->queue, task);
	ev_idle_start(task->loop->ev, &task->loop->idle);
}

void task_cancel(struct task *task)
{
	if (!task->queued)
		return;
	task->queued = false;
	DL_DELETE(task->loop->queue, task);
}
