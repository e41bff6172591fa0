/* SPDX-License-Identifier: MIT */
#include "sync/command/sync.h"

#include <stdlib.h>

#include "sync/base/xalloc.h"
#include "sync/config/account.h"
#include "sync/config/server.h"
#include "sync/engine/engine.h"
#include "sync/state/db.h"

struct sync {
	struct sync_owner *owner;
	struct engine_owner engine_owner;
	struct engine_options engine_options;
	struct server *local, *remote;
	struct session_options local_options, remote_options;
	struct db *db;
	struct engine *engine;
};

static void on_finished(struct engine_owner *owner, bool complete)
{
	struct sync *sync = container_of(owner, struct sync, engine_owner);

	sync->owner->finished(sync->owner, complete);
}

static bool prepare_servers(struct sync *sync, const struct account *account, char **ret_reason)
{
	_cleanup_free_ char *reason = NULL;
	const char *side = account->local.name;

	sync->local = server_new(&account->local, &reason);
	if (sync->local != NULL) {
		side = account->remote.name;
		sync->remote = server_new(&account->remote, &reason);
	}
	if (sync->remote == NULL) {
		*ret_reason = xasprintf("%s: %s", side, reason);
		return false;
	}
	sync->local_options = *server_session_options(sync->local);
	sync->remote_options = *server_session_options(sync->remote);
	sync->local_options.enable_qresync = sync->remote_options.enable_qresync = true;
	return true;
}

struct sync *sync_new(struct loop *loop, struct worker *worker, const struct account *account,
	const struct sync_options *options, struct sync_owner *owner, char **ret_reason)
{
	struct sync *sync = xcalloc(1, sizeof(*sync));

	sync->owner = owner;
	sync->engine_owner.finished = on_finished;
	if (!prepare_servers(sync, account, ret_reason) ||
		db_open(account->database, options->create, &sync->db, ret_reason) < 0)
		return sync_free(sync);
	sync->engine_options = (struct engine_options){
		.account = account,
		.local = &sync->local_options,
		.remote = &sync->remote_options,
		.db = sync->db,
		.mailboxes = options->mailboxes,
		.allow_deletions = options->allow_deletions,
		.repair = options->repair,
		.change = options->change,
		.stay = options->stay,
		.push = options->push,
		.follow = options->follow,
		.reconnect = options->reconnect,
		.interval = options->interval,
		.news = options->news,
	};
	sync->engine = engine_new(loop, worker, &sync->engine_options, &sync->engine_owner);
	return sync;
}

struct sync *sync_free(struct sync *sync)
{
	if (sync == NULL)
		return NULL;
	engine_free(sync->engine);
	db_close(sync->db);
	server_free(sync->local);
	server_free(sync->remote);
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
