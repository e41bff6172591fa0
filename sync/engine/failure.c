/* SPDX-License-Identifier: MIT */
/*
 * What keeps the account from going on without being a lost connection: the database cannot be
 * written, or what a server says of itself or of its mailboxes makes no account.  To a command that
 * is its end.  A service goes on being one: it is an outage like any other, with its reason in the
 * status, and tried again after a while.
 */
#include <stdlib.h>
#include <string.h>

#include "sync/base/xalloc.h"
#include "sync/engine/engine-private.h"

static void say(struct engine *engine, const struct log_context *context, const char *reason)
{
	const char *before = engine->outage.reason;

	if (engine->phase == ENGINE_DOWN || engine->phase == ENGINE_OVER)
		return; /* of what fails while all is given up, the first reason counts */
	if (before != NULL && strcmp(before, reason) == 0)
		log_debug(context, "%s", reason);
	else
		log_error(context, "%s%s", reason,
			engine->core.options->reconnect ? " (trying again)" : "");
	engine_outage_note(engine, NULL, reason);
}

static void fail(struct engine *engine)
{
	if (engine->phase == ENGINE_DOWN || engine->phase == ENGINE_OVER)
		return;
	engine->core.incomplete = true;
	if (engine->core.options->reconnect)
		engine_reset(engine);
	else
		engine_over(engine, false);
}

void engine_fail(struct engine *engine, const char *reason)
{
	say(engine, CORE_CONTEXT(&engine->core), reason);
	/* Somebody must change a server's settings: no sooner than after a refused login. */
	engine->loss.how = SESSION_FAILURE_REFUSED;
	fail(engine);
}

void engine_database_failed(struct engine *engine)
{
	_cleanup_free_ char *reason = xstrdup(db_error(engine->core.db));

	say(engine, DATABASE_CONTEXT(&engine->core), reason);
	engine->loss.how = SESSION_FAILURE_NETWORK;
	engine->database_failed = true;
	fail(engine);
}

void engine_forget_unwritten(struct engine *engine)
{
	struct mailbox *mailbox, *next;

	if (!engine->database_failed)
		return;
	HASH_ITER (hh, engine->core.mailboxes, mailbox, next)
		core_forget_mailbox(&engine->core, mailbox);
	journal_unload(&engine->journal);
}

void engine_failure_over(struct engine *engine)
{
	engine->database_failed = false;
	if (engine->network.failures > 0 && engine->outage.reason != NULL)
		log_notice(CORE_CONTEXT(&engine->core), "connected again");
	engine_outage_clear(engine);
}
