/* SPDX-License-Identifier: MIT */
/*
 * A queue with a few threads behind it.  More than one, because a name lookup can hang for half a
 * minute, and neither the login of a mail client nor another lookup may wait for that.  Threads are
 * started when there is a chore and none is free, and stay.
 */
#include "sync/base/worker.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <time.h>
#include <utlist.h>

#include "sync/base/limits.h"
#include "sync/base/loop.h"
#include "sync/base/xalloc.h"

struct worker {
	struct loop *loop;
	struct ev_async async; /* a thread has put a chore on `done` */
	unsigned under_way; /* submitted, not yet completed; the loop's side only */

	pthread_mutex_t mutex; /* guards all below */
	pthread_cond_t more; /* a chore was queued, or it is time to end */
	pthread_cond_t left; /* a thread has ended */
	struct chore *queue, *done;
	unsigned threads, idle;
	bool ending;
};

/* Hands finished chores back, on the loop. */
static void complete(struct worker *worker)
{
	struct chore *done, *chore;

	pthread_mutex_lock(&worker->mutex);
	done = take(worker->done);
	pthread_mutex_unlock(&worker->mutex);
	while ((chore = done) != NULL) {
		LL_DELETE(done, chore);
		chore->next = NULL;
		if (--worker->under_way == 0)
			ev_unref(worker->loop->ev);
		chore->completed(chore);
	}
}

static void on_async(struct ev_loop *ev, struct ev_async *watcher, int revents)
{
	complete(container_of(watcher, struct worker, async));
}

static void *serve(void *arg)
{
	struct worker *worker = arg;
	struct chore *chore;

	pthread_mutex_lock(&worker->mutex);
	while (!worker->ending) {
		chore = worker->queue;
		if (chore == NULL) {
			worker->idle++;
			pthread_cond_wait(&worker->more, &worker->mutex);
			worker->idle--;
			continue;
		}
		LL_DELETE(worker->queue, chore);
		pthread_mutex_unlock(&worker->mutex);
		chore->run(chore);
		pthread_mutex_lock(&worker->mutex);
		LL_APPEND(worker->done, chore);
		if (!worker->ending)
			ev_async_send(worker->loop->ev, &worker->async);
	}
	worker->threads--;
	pthread_cond_signal(&worker->left);
	pthread_mutex_unlock(&worker->mutex);
	return NULL;
}

struct worker *worker_new(struct loop *loop)
{
	struct worker *worker = xcalloc(1, sizeof(*worker));

	worker->loop = loop;
	pthread_mutex_init(&worker->mutex, NULL);
	pthread_cond_init(&worker->more, NULL);
	pthread_cond_init(&worker->left, NULL);
	ev_async_init(&worker->async, on_async);
	ev_async_start(loop->ev, &worker->async);
	ev_unref(loop->ev); /* only chores keep the loop running */
	return worker;
}

/* Signals are for the loop's thread.  Returns whether there is a thread more. */
static bool start_thread(struct worker *worker)
{
	sigset_t all, old;
	pthread_t thread;
	int r;

	(void)sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &old);
	r = pthread_create(&thread, NULL, serve, worker);
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	if (r != 0)
		return false;
	pthread_detach(thread);
	worker->threads++;
	return true;
}

void worker_submit(struct worker *worker, struct chore *chore)
{
	struct chore *other;
	unsigned queued;
	bool served = true;

	chore->abandoned = false;
	chore->next = NULL;
	if (worker->under_way++ == 0)
		ev_ref(worker->loop->ev);
	pthread_mutex_lock(&worker->mutex);
	LL_APPEND(worker->queue, chore);
	LL_COUNT(worker->queue, other, queued);
	if (queued > worker->idle && worker->threads < LIMIT_WORKER_THREADS)
		served = start_thread(worker) || worker->threads > 0;
	if (!served)
		LL_DELETE(worker->queue, chore);
	pthread_cond_signal(&worker->more);
	pthread_mutex_unlock(&worker->mutex);
	if (served)
		return;

	/* No thread can be had: blocking for a moment is better than an account without lookups. */
	chore->run(chore);
	pthread_mutex_lock(&worker->mutex);
	LL_APPEND(worker->done, chore);
	pthread_mutex_unlock(&worker->mutex);
	ev_async_send(worker->loop->ev, &worker->async);
}

void worker_abandon(struct chore *chore)
{
	chore->abandoned = true;
}

/* Waits until all threads have ended, but not for ever.  The mutex is held. */
static void wait_for_threads(struct worker *worker)
{
	struct timespec deadline;

	(void)clock_gettime(CLOCK_REALTIME, &deadline);
	deadline.tv_sec += LIMIT_WORKER_END_SECONDS;
	while (worker->threads > 0)
		if (pthread_cond_timedwait(&worker->left, &worker->mutex, &deadline) == ETIMEDOUT)
			break;
}

struct worker *worker_free(struct worker *worker)
{
	struct chore *chore;
	bool hung;

	if (worker == NULL)
		return NULL;
	pthread_mutex_lock(&worker->mutex);
	worker->ending = true;
	pthread_cond_broadcast(&worker->more);
	wait_for_threads(worker);
	hung = worker->threads > 0;
	LL_CONCAT(worker->done, worker->queue);
	worker->queue = NULL;
	LL_FOREACH (worker->done, chore)
		chore->abandoned = true;
	pthread_mutex_unlock(&worker->mutex);

	complete(worker);
	if (worker->under_way > 0)
		ev_unref(worker->loop->ev);
	ev_ref(worker->loop->ev);
	ev_async_stop(worker->loop->ev, &worker->async);
	if (hung)
		return NULL; /* its thread still uses it */
	pthread_cond_destroy(&worker->left);
	pthread_cond_destroy(&worker->more);
	pthread_mutex_destroy(&worker->mutex);
	free(worker);
	return NULL;
}
