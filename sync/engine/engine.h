/* SPDX-License-Identifier: MIT */
/*
 * Keeps the mailboxes of one account the same on both servers: once, or for as long as it lives.
 */
#ifndef INTERIMAP_ENGINE_ENGINE_H
#define INTERIMAP_ENGINE_ENGINE_H

#include <stdbool.h>

#include "sync/engine/action.h"
#include "sync/engine/change.h"
#include "sync/engine/hint.h"
#include "sync/imap/session.h"

struct account;
struct db;
struct engine;
struct loop;
struct worker;

/* Borrowed; must outlive the engine. */
struct engine_options {
	const struct account *account;
	const struct session_options *local, *remote;
	const char *const *local_folders; /* what the embedded store writes to, NULL-terminated; or
					     NULL */
	struct db *db; /* open and locked */
	const char *const *mailboxes; /* names on the command line, NULL-terminated, or NULL for the
					 configured ones */
	bool allow_deletions; /* the brake is off for `mailboxes` */
	bool repair; /* compare everything with the database, and mend what differs */
	const struct engine_change *change; /* or NULL; `mailboxes` are its names then */
	bool stay; /* keep synchronising */
	bool push; /* NOTIFY, else IDLE, on both sides; otherwise only look at intervals */
	bool follow; /* what is seen to be renamed or deleted on one side is so on the other */
	bool reconnect; /* a lost connection is made again, for ever */
	unsigned interval; /* seconds between two looks at everything */
	struct news_receiver *news; /* or NULL */
	const char *const *foreign; /* list-references of other accounts in the same local store,
				       NULL-terminated, or NULL: what begins with one is theirs */
};

struct engine_owner {
	/*
	 * Once, from the loop: all is done (options.stay unset), or it cannot go on.  complete:
	 * nothing is left undone.  The owner frees the engine from here or later.
	 */
	void (*finished)(struct engine_owner *owner, bool complete);
};

/* Starts at once; never calls back before it returns. */
struct engine *engine_new(struct loop *loop, struct worker *worker,
	const struct engine_options *options, struct engine_owner *owner);
/* Drops both connections; what was under way is resumed by the next engine.  Accepts NULL. */
struct engine *engine_free(struct engine *engine);

/* Where the proxy tells what its clients did. */
struct hint_receiver *engine_hints(struct engine *engine);
struct action_receiver *engine_actions(struct engine *engine);
/* What they did and is not yet done on the remote side. */
unsigned engine_actions_waiting(const struct engine *engine);

#endif
