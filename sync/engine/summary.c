/* SPDX-License-Identifier: MIT */
#include "sync/engine/summary.h"

#include <stdlib.h>

#include "sync/base/xalloc.h"
#include "sync/engine/engine-private.h"

enum stage { STAGE_CONNECTING, STAGE_WORKING, STAGE_RESTING, STAGE_DOWN, STAGE_OVER };

static enum stage stage_of(const struct engine *engine)
{
	switch (engine->phase) {
	case ENGINE_CONNECT:
	case ENGINE_TREE:
		if (engine->outage.reason != NULL)
			return STAGE_DOWN;
		/* A new look at the lists is no news. */
		return engine->core.first_done ? STAGE_RESTING : STAGE_CONNECTING;
	case ENGINE_REPLAY:
	case ENGINE_WORK:
	case ENGINE_CHECK:
	case ENGINE_LOGOUT:
		return STAGE_WORKING;
	case ENGINE_REST:
		return STAGE_RESTING;
	case ENGINE_DOWN:
		return STAGE_DOWN;
	case ENGINE_OVER:
		return STAGE_OVER;
	}
	abort();
}

uint64_t engine_summary_stamp(const struct engine *engine)
{
	/* The reason of a failure comes with the failure. */
	return (uint64_t)engine->network.failures << 32 | stage_of(engine);
}

static unsigned count_undone(const struct engine *engine)
{
	unsigned count = 0;

	for (const struct mailbox *mailbox = engine->core.mailboxes; mailbox != NULL;
		mailbox = mailbox->hh.next)
		count += mailbox->result.failed || mailbox->presence.missing_said ||
			 mailbox->left_out.rows > 0;
	return count;
}

static char *describe_rest(const struct engine *engine)
{
	unsigned undone = count_undone(engine);

	if (undone == 0)
		return xstrdup("up to date");
	return xasprintf("up to date except %u mailbox(es), see the log", undone);
}

static char *describe_loss(const struct engine *engine)
{
	if (engine->outage.reason == NULL)
		return xstrdup("not connected, trying again");
	/* Of the database, or of both lists together, no side is to blame. */
	if (engine->outage.side == NULL)
		return xasprintf("not connected, trying again: %s", engine->outage.reason);
	return xasprintf("not connected, trying again: %s: %s", engine->outage.side->name,
		engine->outage.reason);
}

char *engine_summary(const struct engine *engine)
{
	switch (stage_of(engine)) {
	case STAGE_CONNECTING:
		return xstrdup("connecting");
	case STAGE_WORKING:
		return xstrdup("synchronising");
	case STAGE_RESTING:
		return describe_rest(engine);
	case STAGE_DOWN:
		return describe_loss(engine);
	case STAGE_OVER:
		return xstrdup("stopped, see the log");
	}
	abort();
}
