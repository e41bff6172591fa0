/* SPDX-License-Identifier: MIT */
#include "proxy/backend.h"

#include <stddef.h>
#include <stdlib.h>

#include "sync/base/buf.h"
#include "sync/base/limits.h"
#include "sync/base/loop.h"
#include "sync/base/xalloc.h"
#include "sync/config/embedded.h"
#include "sync/imap/session.h"
#include "sync/net/stream.h"
#include "sync/net/tls.h"

struct store {
	struct session_options options;
	struct tls_context *tls;
	struct embedded *embedded;
};

enum verdict { VERDICT_NONE, VERDICT_READY, VERDICT_FAILED };

struct backend {
	struct backend_handler *handler;
	struct session *session;
	struct session_handler session_handler;
	struct task task; /* passes the verdict on, outside of the session's own calls */
	enum verdict verdict;
	char *reason;
};

static bool prepare_embedded(struct store *store, const char *path, char **ret_reason)
{
	struct dial_options *dial = &store->options.dial;

	if (embedded_prepare(path, &store->embedded, ret_reason) < 0)
		return false;
	dial->argv = embedded_argv(store->embedded);
	dial->environment = embedded_environment(store->embedded);
	return true;
}

static bool prepare_network(struct store *store, const struct account_side *side, char **ret_reason)
{
	struct session_options *options = &store->options;

	options->dial.host = side->host;
	options->dial.port = side->port;
	options->dial.proxy = side->proxy;
	options->security = SESSION_TLS;
	if (side->type == ACCOUNT_IMAP)
		options->security = side->starttls ? SESSION_STARTTLS : SESSION_CLEARTEXT;
	if (options->security == SESSION_CLEARTEXT)
		return true;
	options->tls_host = side->tls_host;
	options->tls = store->tls = tls_client_new(&side->tls, ret_reason);
	return store->tls != NULL;
}

/*
 * The options of [local], without what is not for a mail client's connection: it is the client that
 * decides about ENABLE, and the relay must see the bytes uncompressed.
 */
struct store *store_new(const struct account *account, char **ret_reason)
{
	const struct account_side *side = &account->local;
	struct store *store = xcalloc(1, sizeof(*store));
	bool good = true;

	store->options = (struct session_options){
		.name = "local",
		.username = side->username,
		.password = side->password,
		.mechanisms = side->auth,
		.keepalive = true,
		.dial.timeout_seconds = LIMIT_GREETING_SECONDS,
		.dial.null_stderr = side->null_stderr,
	};
	if (side->type == ACCOUNT_MAILDIR)
		good = prepare_embedded(store, side->path, ret_reason);
	else if (side->type == ACCOUNT_TUNNEL)
		store->options.dial.command = side->command;
	else
		good = prepare_network(store, side, ret_reason);
	return good ? store : store_free(store);
}

struct store *store_free(struct store *store)
{
	if (store == NULL)
		return NULL;
	tls_free(store->tls);
	embedded_free(store->embedded);
	free(store);
	return NULL;
}

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

struct backend *backend_new(struct loop *loop, struct worker *worker, struct store *store,
	struct backend_handler *handler)
{
	struct backend *backend = xcalloc(1, sizeof(*backend));

	if (store->embedded != NULL)
		embedded_trim_log(store->embedded);
	backend->handler = handler;
	backend->session_handler.ready = on_ready;
	backend->session_handler.lost = on_lost;
	task_init(&backend->task, loop, step, finished);
	backend->session =
		session_new(loop, worker, &store->options, &backend->session_handler, NULL);
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

const char *backend_capabilities(const struct backend *backend)
{
	return session_capabilities(backend->session);
}

struct stream *backend_take_stream(struct backend *backend, struct buf *ret_leftover)
{
	return session_release_stream(backend->session, ret_leftover);
}
