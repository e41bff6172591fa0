/* SPDX-License-Identifier: MIT */
/* The command without a name: synchronise, once or for as long as it is let. */
#ifndef INTERIMAP_COMMAND_SYNC_H
#define INTERIMAP_COMMAND_SYNC_H

#include <stdbool.h>
#include <stdint.h>

#include "sync/core/job.h"

struct account;
struct action_receiver;
struct client_counter;
struct hint_receiver;
struct loop;
struct news_receiver;
struct sync;
struct worker;

struct sync_options {
	struct job job; /* not JOB_STATUS */
	bool stay; /* --watch, --notify, --proxy */
	bool push; /* --notify, --proxy */
	bool follow; /* --proxy */
	bool reconnect; /* --proxy */
	bool create; /* make the database if it is missing */
	unsigned interval; /* seconds; 0: as fits */
	struct news_receiver *news; /* of what was changed locally, or NULL */
	const char *const *foreign; /* as in core/core.h, or NULL */
	struct client_counter *clients; /* for --status, or NULL: see control.h */
};

struct sync_owner {
	/* Once, from the loop; the owner frees the sync from here or later. */
	void (*finished)(struct sync_owner *owner, bool complete);
};

/*
 * Does all that can fail, and locks the database.  With `before`, which goes on meanwhile, that
 * one's database is taken over by sync_start() if it is the same file.  The account is kept as long
 * as it is needed; the options are copied, and what they point to must outlive it.  NULL when it
 * cannot begin, with a sentence in *ret_reason that the caller frees.
 */
struct sync *sync_new(struct loop *loop, struct worker *worker, struct account *account,
	const struct sync_options *options, struct sync_owner *owner, const struct sync *before,
	char **ret_reason);
/* Ends the one before (or NULL), and begins; one that stays also takes commands (control.h).  The
 * hints' receiver is there from now on. */
void sync_start(struct sync *sync, struct sync *own_before);
struct sync *sync_free(struct sync *sync);

struct hint_receiver *sync_hints(struct sync *sync);
struct action_receiver *sync_actions(struct sync *sync);

/* How it is getting on; see engine/summary.h. */
uint64_t sync_summary_stamp(const struct sync *sync);
char *sync_summary(const struct sync *sync);

#endif
