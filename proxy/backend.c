/* SPDX-License-Identifier: MIT */
#include "proxy/backend.h"

#include <stddef.h>
#include <stdlib.h>

#include "sync/base/buf.h"
#include "sync/base/loop.h"
#include "sync/base/xalloc.h"
#include "sync/config/endpoint.h"
#include "sync/imap/session.h"
#include "sync/net/stream.h"

enum verdict { VERDICT_NONE, VERDICT_READY, VERDICT_FAILED };

struct backend {
	struct backend_handler *handler;
	struct session *session;
	struct session_handler session_handler;
	struct task task; /* passes the verdict on, outside of the session's own calls */
	enum verdict verdict;
	char *reason;
};

static void settle(struct backend *backend, enum verdict verdict)
{
	backend->verdict = verdict;
	task_wake(&backend->task);
}

static void on_ready(struct session_handler *handler)
{
	settle(container_of(handler, struct backend, session_handler), VERDICT_READY);
}

static void on_lost(
	struct session_handler *handler, enum session_failure failure, const char *reason)
{
	struct backend *backend = container_of(handler, struct backend, session_handler);

	free(backend->reason);
	backend->reason = xstrdup(reason);
	settle(backend, VERDICT_FAILED);
}

static enum step step(struct task *task)
{
	return STEP_DONE;
}

static void finished(struct task *task, enum step result)
{
	struct backend *backend = container_of(task, struct backend, task);

	if (backend->verdict == VERDICT_READY)
		backend->handler->ready(backend->handler);
	else
		backend->handler->failed(backend->handler, backend->reason);
}

struct backend *backend_new(struct loop *loop, struct worker *worker, const struct endpoint *store,
	struct backend_handler *handler)
{
	struct backend *backend = xcalloc(1, sizeof(*backend));

	endpoint_trim_log(store);
	backend->handler = handler;
	backend->session_handler.ready = on_ready;
	backend->session_handler.lost = on_lost;
	task_init(&backend->task, loop, step, finished);
	backend->session = session_new(
		loop, worker, endpoint_session_options(store), &backend->session_handler, NULL);
	return backend;
}

struct backend *backend_free(struct backend *backend)
{
	if (backend == NULL)
		return NULL;
	task_cancel(&backend->task);
	session_free(backend->session);
	free(backend->reason);
	free(backend);
	return NULL;
}

bool backend_is_attended(const struct backend *backend)
{
	return backend->task.queued || session_is_attended(backend->session);
}

const char *backend_capabilities(const struct backend *backend)
{
	return session_capabilities(backend->session);
}

struct stream *backend_take_stream(struct backend *backend, struct buf *ret_leftover)
{
	return session_release_stream(backend->session, ret_leftover);
}
