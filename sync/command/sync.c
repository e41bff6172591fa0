/* SPDX-License-Identifier: MIT */
#include "sync/command/sync.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "sync/base/log.h"
#include "sync/base/xalloc.h"
#include "sync/command/control.h"
#include "sync/config/account.h"
#include "sync/config/endpoint.h"
#include "sync/core/core.h"
#include "sync/engine/engine.h"
#include "sync/engine/summary.h"
#include "sync/state/db.h"

struct sync {
	struct loop *loop;
	struct worker *worker;
	struct account *account;
	struct sync_owner *owner;
	struct engine_owner engine_owner;
	struct core_options options;
	struct endpoint *local, *remote;
	struct session_options local_options, remote_options;
	struct db *db;
	struct engine *engine;
	struct client_counter *clients;
	struct control *control; /* of one that stays, if it could be had */
};

static void on_finished(struct engine_owner *owner, bool complete)
{
	struct sync *sync = container_of(owner, struct sync, engine_owner);

	sync->owner->finished(sync->owner, complete);
}

static bool prepare_endpoints(struct sync *sync, const struct account *account, char **ret_reason)
{
	_cleanup_free_ char *reason = NULL;
	const char *side = account->local.name;

	sync->local = endpoint_new(&account->local, &reason);
	if (sync->local != NULL) {
		side = account->remote.name;
		sync->remote = endpoint_new(&account->remote, &reason);
	}
	if (sync->remote == NULL) {
		*ret_reason = xasprintf("%s: %s", side, reason);
		return false;
	}
	sync->local_options = *endpoint_session_options(sync->local);
	sync->remote_options = *endpoint_session_options(sync->remote);
	sync->local_options.enable_qresync = sync->remote_options.enable_qresync = true;
	return true;
}

static bool is_same_file(const char *one, const char *other)
{
	struct stat a, b;

	return stat(one, &a) == 0 && stat(other, &b) == 0 && a.st_dev == b.st_dev &&
	       a.st_ino == b.st_ino;
}

static bool prepare_database(struct sync *sync, const struct sync_options *options,
	const struct sync *before, char **ret_reason)
{
	const char *path = sync->account->database;
	bool missing = access(path, F_OK) < 0 && errno == ENOENT;
	int r;

	if (before != NULL && is_same_file(path, before->account->database))
		return true;
	r = db_open(path, options->create, &sync->db, ret_reason);
	if (r >= 0 && missing)
		log_info((&(const struct log_context){.side = sync->account->database_name}),
			"%s is made: there is none yet", path);
	return r >= 0;
}

struct sync *sync_new(struct loop *loop, struct worker *worker, struct account *account,
	const struct sync_options *options, struct sync_owner *owner, const struct sync *before,
	char **ret_reason)
{
	struct sync *sync = xcalloc(1, sizeof(*sync));

	sync->loop = loop;
	sync->worker = worker;
	sync->account = account_ref(account);
	sync->owner = owner;
	sync->engine_owner.finished = on_finished;
	sync->clients = options->clients;
	sync->options = (struct core_options){
		.account = account,
		.local = &sync->local_options,
		.remote = &sync->remote_options,
		.job = options->job,
		.stay = options->stay,
		.push = options->push,
		.follow = options->follow,
		.reconnect = options->reconnect,
		.interval = options->interval,
		.news = options->news,
		.foreign = options->foreign,
	};
	if (!prepare_endpoints(sync, account, ret_reason) ||
		!prepare_database(sync, options, before, ret_reason))
		return sync_free(sync);
	return sync;
}

static void take_commands(struct sync *sync)
{
	_cleanup_free_ char *reason = NULL;

	sync->control =
		control_new(sync->loop, sync->engine, sync->account, sync->clients, &reason);
	if (sync->control == NULL)
		log_error((&(const struct log_context){.side = sync->account->name}),
			"commands cannot reach this service: %s", reason);
}

void sync_start(struct sync *sync, struct sync *own_before)
{
	if (own_before != NULL) {
		own_before->engine = engine_free(own_before->engine);
		if (sync->db == NULL) {
			sync->db = take(own_before->db);
			db_rollback(sync->db); /* as closing it would */
		}
		sync_free(own_before);
	}
	sync->options.db = sync->db;
	sync->options.local_folders = endpoint_folders(sync->local);
	sync->engine = engine_new(sync->loop, sync->worker, &sync->options, &sync->engine_owner);
	if (sync->options.stay)
		take_commands(sync);
}

struct sync *sync_free(struct sync *sync)
{
	if (sync == NULL)
		return NULL;
	engine_free(sync->engine);
	control_free(sync->control);
	db_close(sync->db);
	endpoint_free(sync->local);
	endpoint_free(sync->remote);
	account_free(sync->account);
	free(sync);
	return NULL;
}

struct hint_receiver *sync_hints(struct sync *sync)
{
	return engine_hints(sync->engine);
}

struct action_receiver *sync_actions(struct sync *sync)
{
	return engine_actions(sync->engine);
}

uint64_t sync_summary_stamp(const struct sync *sync)
{
	return engine_summary_stamp(sync->engine);
}

char *sync_summary(const struct sync *sync)
{
	return engine_summary(sync->engine);
}
