/* SPDX-License-Identifier: MIT */
/*
 * What all rooms of the engine work on: the two sides of an account, its database, the mailboxes
 * that both sides have, and those of them that are to be run.
 *
 * The rooms above (deeds, tree, replay, run, engine) each keep a struct of their own; it hangs here
 * by a pointer whose type only they know.
 */
#ifndef INTERIMAP_CORE_CORE_H
#define INTERIMAP_CORE_CORE_H

#include <ev.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "sync/base/log.h"
#include "sync/base/loop.h"
#include "sync/core/job.h"
#include "sync/core/mailbox.h"
#include "sync/core/request.h"
#include "sync/core/side.h"
#include "sync/imap/session.h"
#include "sync/plan/brake.h"
#include "sync/state/db.h"

struct account;
struct core;
struct flag_pool;
struct news_receiver;
struct response;
struct response_list;
struct suspect;
struct worker;

/* Borrowed; must outlive the engine. */
struct core_options {
	const struct account *account;
	const struct session_options *local, *remote;
	const char *const *local_folders; /* what the embedded store writes to, NULL-terminated; or
					     NULL */
	struct db *db; /* open and locked */
	struct job job; /* not JOB_STATUS */
	bool stay; /* keep synchronising */
	bool push; /* NOTIFY, else IDLE, on both sides; otherwise only look at intervals */
	bool follow; /* what is seen to be renamed or deleted on one side is so on the other */
	bool reconnect; /* a lost connection is made again, for ever */
	unsigned interval; /* seconds between two looks at everything */
	struct news_receiver *news; /* or NULL */
	const char *const *foreign; /* list-references of other accounts in the same local store,
				       NULL-terminated, or NULL: what begins with one is theirs */
};

/* What the rooms below tell the engine.  Nobody is freed from within. */
struct core_owner {
	/* A session of that side is ready, or lost. */
	void (*side_ready)(struct core *core, struct side *side);
	void (*side_lost)(struct core *core, struct side *side, enum session_failure failure,
		const char *reason);
	/* An untagged response that nobody had asked for. */
	void (*side_told)(struct core *core, struct side *side, struct response *response);
	/* A line that answers a LIST, or tells that a mailbox was renamed or deleted: nobody can
	 * know which. */
	void (*listed)(struct core *core, struct side *side, const struct response_list *line);
	/* A connection is being lost over this. */
	void (*accused)(struct core *core, const struct suspect *suspect);
	/* It cannot go on, for that reason; NULL: for the last error of the database. */
	void (*failed)(struct core *core, const char *reason);
	/* Everything is to be looked at then, or before. */
	void (*look_in)(struct core *core, double seconds);
	/* Whether that is so already. */
	bool (*looks_soon)(const struct core *core);
	/* The embedded store has room again. */
	void (*has_room)(struct core *core);
};

struct core {
	const struct core_owner *owner;
	const struct core_options *options;
	struct loop *loop;
	struct worker *worker;
	struct task
		*task; /* the engine's, which begins runs and replays: woken when there is one */
	const char *name, *database_name; /* for log lines, of the account: config/account.h */
	struct db *db;
	struct flag_pool *flags; /* lists of flags that runs refer to */
	struct plan_brake brake;
	bool adopt;

	struct side local, remote;
	struct mailbox *mailboxes; /* uthash by name: those that the database has */
	struct mailbox *queue; /* to be run (utlist) */

	struct job
		asked; /* what the lists and the mailboxes are looked at for: the options' job … */
	bool ordered; /* … or that of an order, which is under way */
	bool first_done; /* all was looked at once */
	bool incomplete; /* something was left undone */
	uint64_t copied; /* messages */
	ev_timer quarantine; /* until something that is left alone is due (quarantine.c) */

	struct journal *journal; /* deeds/: what mail clients do */
	struct suspects *suspects; /* deeds/: what may cost the connections */
	struct tree *tree; /* tree/: the mailbox lists */
	struct runs *runs; /* run/: mailboxes under way */
};

/* For a person: messages about neither side. */
#define CORE_CONTEXT(core_) (&(const struct log_context){.side = (core_)->name})
#define DATABASE_CONTEXT(core_) (&(const struct log_context){.side = (core_)->database_name})

static inline struct side *core_side(struct core *core, bool remote)
{
	return remote ? &core->remote : &core->local;
}

/* Sets up all but the pointers of the rooms above; the sides are not connected. */
void core_init(struct core *core, struct loop *loop, struct worker *worker, struct task *task,
	const struct core_options *options, const struct core_owner *owner);
/* Frees what it holds; the sides are disconnected by then, and no run is under way. */
void core_done(struct core *core);

/* By the database's form of the name (sync/imap/mailbox.h); NULL: it is not known. */
struct mailbox *core_find_mailbox(struct core *core, const char *name, size_t len);
/* It becomes known, in the database too, within the caller's transaction; 0, or -errno. */
int core_add_mailbox(struct core *core, const char *name, size_t len, bool subscribed);
/* It is not in the database any more; no run works on it. */
void core_forget_mailbox(struct core *core, struct mailbox *mailbox);
/* There may be something to do in it: a run begins as soon as one may, or again after the one that
 * is under way. */
void core_queue_mailbox(struct core *core, struct mailbox *mailbox);
/* A client has opened it: it comes before all that waits. */
void core_prefer_mailbox(struct core *core, struct mailbox *mailbox);

/* Tell the engine; see core_owner. */
void core_fail(struct core *core, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
void core_database_failed(struct core *core);
void core_look_in(struct core *core, double seconds);
bool core_looks_soon(const struct core *core);

#endif
