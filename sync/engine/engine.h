/* SPDX-License-Identifier: MIT */
/*
 * Keeps the mailboxes of one account the same on both servers: once, or for as long as it lives.
 */
#ifndef INTERIMAP_ENGINE_ENGINE_H
#define INTERIMAP_ENGINE_ENGINE_H

#include <stdbool.h>

#include "sync/core/job.h"
#include "sync/deeds/action.h"
#include "sync/engine/hint.h"
#include "sync/imap/session.h"

struct core_options;
struct engine;
struct loop;
struct worker;

struct engine_owner {
	/*
	 * Once, from the loop: all is done (options.stay unset), or it cannot go on.  complete:
	 * nothing is left undone.  The owner frees the engine from here or later.
	 */
	void (*finished)(struct engine_owner *owner, bool complete);
};

/* Starts at once; never calls back before it returns. */
struct engine *engine_new(struct loop *loop, struct worker *worker,
	const struct core_options *options, struct engine_owner *owner);
/* Drops both connections; what was under way is resumed by the next engine.  Accepts NULL. */
struct engine *engine_free(struct engine *engine);

/* Where the proxy tells what its clients did. */
struct hint_receiver *engine_hints(struct engine *engine);
struct action_receiver *engine_actions(struct engine *engine);
/* What they did and is not yet done on the remote side. */
unsigned engine_actions_waiting(const struct engine *engine);

#endif
