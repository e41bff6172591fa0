/* SPDX-License-Identifier: MIT */
/* The engine's own files: engine.c (its life), engine-list.c (mailbox lists), engine-tree.c (what
 * follows from them), engine-watch.c (staying up to date), engine-network.c (connections that
 * go and come again), engine-order.c (what a person asks for
 * meanwhile), engine-status.c (what they are told). */
#ifndef INTERIMAP_ENGINE_ENGINE_PRIVATE_H
#define INTERIMAP_ENGINE_ENGINE_PRIVATE_H

#include <ev.h>
#include <stdbool.h>
#include <stdint.h>
#include <time.h>

#include "sync/base/log.h"
#include "sync/base/loop.h"
#include "sync/engine/engine.h"
#include "sync/engine/journal.h"
#include "sync/engine/listing.h"
#include "sync/engine/mailbox.h"
#include "sync/engine/meeting.h"
#include "sync/engine/request.h"
#include "sync/engine/side.h"
#include "sync/engine/suspects.h"
#include "sync/net/addresses.h"
#include "sync/plan/brake.h"
#include "sync/plan/messages.h"
#include "sync/state/db.h"

struct engine_order;
struct flag_pool;
struct mailbox_name;
struct replay;
struct run;
struct verification;

enum engine_phase {
	ENGINE_CONNECT, /* both sessions are being made, and both list */
	ENGINE_REPLAY, /* what mail clients did comes before the lists are compared */
	ENGINE_TREE, /* mailboxes are created and subscribed */
	ENGINE_WORK, /* runs */
	ENGINE_CHECK, /* STATUS of the mailboxes that were worked on: did something come meanwhile?
		       */
	ENGINE_REST, /* waiting for something to happen */
	ENGINE_LOGOUT,
	ENGINE_DOWN, /* not connected, until the back-off is over */
	ENGINE_OVER,
};

/* The stages of --delete and --rename; each waits for the answers to the one before. */
enum change_stage {
	CHANGE_CHECK,
	CHANGE_COUNT, /* of a deletion: what goes with it */
	CHANGE_LOCAL,
	CHANGE_REMOTE,
	CHANGE_SUBSCRIPTIONS,
	CHANGE_DATABASE, /* last: until then it knows the old name */
	CHANGE_OVER,
};

/* The messages of a mailbox that is deleted, and those that the other side does not have. */
struct change_loss {
	uint64_t messages, alone;
};

struct change_progress {
	unsigned stage;
	bool *failed; /* by the index of the name */
	bool *done; /* likewise: anywhere */
	struct change_loss *losses; /* likewise, local and remote */
	struct side_view views[2]; /* local, remote: of what is counted */
	bool local_renamed, remote_renamed;
	bool local_was_renamed, remote_was_renamed; /* before */
};

/* What the lists and the mailboxes are looked at for: the engine's options, or an order. */
struct engine_wish {
	const char *const *mailboxes;
	bool allow_deletions, repair;
	const struct engine_change *change;
};

/* Why and since when there is no connection. */
struct engine_outage {
	const struct side *side; /* that was lost, or could not be had; NULL: none */
	char *reason;
	time_t since;
};

/* engine-network.c */
struct engine_network {
	ev_timer backoff; /* until a new connection is tried */
	ev_timer clock; /* looks whether the machine was suspended */
	double clock_offset;
	struct addresses *addresses; /* NULL: nobody tells */
	struct addresses_handler handler;
	ev_timer probe; /* until when both servers must have said something */
	uint64_t local_heard, remote_heard; /* bytes, when it began */
};

enum {
	ENGINE_RUNS_MAX = 300, /* mailboxes under way at once */
};

struct engine {
	struct loop *loop;
	struct worker *worker;
	const struct engine_options *options;
	const char *name, *database_name; /* for log lines, of the account: see account.h */
	struct engine_owner *owner;
	struct db *db;
	struct flag_pool *flags;
	struct plan_brake brake;
	bool adopt;
	struct side local, remote;
	struct listing local_listing, remote_listing;

	struct plan_mailbox *tree; /* what is being done to the mailbox lists */
	size_t tree_count;
	bool *tree_failed; /* by its index */
	struct change_progress change;
	struct verification *verification; /* --verify, under way; or NULL */
	struct engine_wish asked;
	struct engine_order *order; /* under way, or NULL */
	struct engine_order *orders; /* waiting (utlist) */
	struct log_tap order_tap; /* while it is under way */
	bool incomplete_before; /* that order began */
	ev_timer patience; /* of those that wait for a connection */
	struct engine_outage outage;

	struct task task;
	struct task fall; /* gives up both connections */
	struct barrier barrier;
	enum engine_phase phase;
	struct mailbox *mailboxes; /* uthash by name */
	struct mailbox *queue; /* to be run (utlist) */
	struct run *runs; /* under way (utlist) */
	unsigned runs_count;
	struct loop_check waits; /* see engine-waits.h */
	struct meeting meeting; /* of runs, about what was moved between their mailboxes */
	struct journal journal; /* what mail clients do */
	struct replay *replay; /* under way */
	struct suspects suspects; /* what may cost the connections */
	bool replayed; /* something was, so that the lists are out of date */
	bool schema_ready;
	bool database_failed; /* since it was last at rest */
	bool relist; /* look at both lists again */
	bool incomplete; /* something was left undone */
	bool incomplete_at_loss; /* … before the connection was lost */
	bool retries; /* a program that runs once connects once more after this loss */
	char *unresolved_said; /* unresolved.c: the command that was advised last, or NULL */
	bool first_done; /* all was looked at once */
	bool complete; /* how it ended */
	enum session_failure lost_as; /* how a connection went last */
	uint64_t copied; /* messages */
	ev_timer poll_logout;
	unsigned logout_polls;

	/* engine-watch.c */
	struct hint_receiver hints;
	ev_timer sweep, settle, verify;
	ev_timer quarantine; /* until something that is left alone is due (quarantine.c) */

	unsigned failures; /* connections in a row that came to nothing */
	struct engine_network network;
};

/* For a person: messages about neither side. */
static inline struct listing *side_listing(struct side *side)
{
	return side->remote ? &side->engine->remote_listing : &side->engine->local_listing;
}

#define ENGINE_CONTEXT(engine_) (&(const struct log_context){.side = (engine_)->name})
#define DATABASE_CONTEXT(engine_) (&(const struct log_context){.side = (engine_)->database_name})

/* side.c tells */
void engine_side_ready(struct engine *engine, struct side *side);
void engine_side_lost(
	struct engine *engine, struct side *side, enum session_failure failure, const char *reason);
void engine_side_notified(struct engine *engine, struct side *side, struct response *response);

/* copy.c: bytes may be asked for again. */
void engine_credit_released(struct engine *engine);
/* Largest message that side takes (APPENDLIMIT, RFC 7889), UINT64_MAX if it does not say. */
uint64_t engine_append_limit(const struct side *side);
/* Flags that a side cannot store: said once for each mailbox. */
void engine_warn_dropped(
	struct engine *engine, bool remote, struct mailbox *mailbox, const struct flags *flags);

/* engine.c */
struct mailbox *engine_find_mailbox(struct engine *engine, const char *name, size_t len);
void engine_queue_mailbox(struct engine *engine, struct mailbox *mailbox);
/* It becomes known, in the database too. */
int engine_add_mailbox(struct engine *engine, const char *name, size_t len, bool subscribed);
/* A client has opened it: it comes before all that waits. */
void engine_prefer_mailbox(struct engine *engine, struct mailbox *mailbox);
/* Runs work on mailboxes that it is about. */
bool engine_deed_is_in_use(const struct engine *engine, const struct deed *deed);
/* It is not in the database any more; no run works on it. */
void engine_forget_mailbox(struct engine *engine, struct mailbox *mailbox);
void engine_over(struct engine *engine, bool complete);
void engine_connect(struct engine *engine);
/* Gives up both connections, and goes on as after a loss. */
void engine_reset(struct engine *engine);

/* engine-failure.c */
/* It cannot go on, and a new connection would not mend that: says why, once, and is over, or down
 * for a while. */
void engine_fail(struct engine *engine, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* Likewise for the last error of the database. */
void engine_database_failed(struct engine *engine);
/* All is given up: what is known of mailboxes and deeds may not be what was written; after a
 * failure of the database it is read anew. */
void engine_forget_unwritten(struct engine *engine);
/* It has got so far that what failed works again. */
void engine_failure_over(struct engine *engine);

/* engine-list.c */
void engine_list(struct engine *engine, struct side *side);
/* When all that was asked is answered: true if there is more to ask, now that both delimiters are
 * known. */
bool engine_list_on(struct engine *engine);
/* engine-doubt.c: asks once more for what was listed without a STATUS; false if there is (now)
 * nothing to ask. */
bool engine_doubt(struct engine *engine);
/* engine-tree.c: */
/* Both lists are there, and prepared: decides, and submits what is to be created and subscribed.
 * False: one of them is not believed, and both connections are made anew. */
bool engine_tree_begin(struct engine *engine);
/* It is done: mailboxes become known, and those that are not up to date are queued; false: the
 * database failed. */
bool engine_tree_end(struct engine *engine);

/* engine-list.c: */
/* The lists are there, and so is the schema: false, cannot go on, which has been said and done. */
bool engine_prepare(struct engine *engine);
/* Whether a new mailbox of that name is among those that are synchronised, without asking.  False
 * if it is for the server's LIST to say. */
bool engine_is_in_scope(const struct engine *engine, const struct mailbox_name *name);

/* engine-absence.c: a known mailbox is now only a level of the hierarchy: notes its deletion. */
void absence_note_levels(struct engine *engine);
/*
 * A known mailbox that a list does not have any more was perhaps renamed or
 * deleted a moment ago, and the server is about to say so.  Takes out of the plan for a second what
 * would come of it if not: the absence, and what is new on that side.
 */
void absence_wait(struct engine *engine);
/*
 * Several known mailboxes are absent from what a server lists, and it told nothing of them.  Its
 * process may be at its wits' end: Dovecot's lists little more than INBOX for as long as it lives,
 * when many have renamed mailboxes at once and its index of them broke.  Another connection has
 * another process.
 */
bool absence_is_doubtful(struct engine *engine);

/* engine-objectid.c: 0 (or 1), or -errno of the database. */
/* Asks for the identifiers that are needed and not known; 1 if it has asked. */
int objectid_ask(struct engine *engine);
/* Notes what was renamed at the remote, as far as its identifiers tell; both lists are there. */
int objectid_note_renamed(struct engine *engine);
/* engine-identity.c: notes a renaming that the lists show by UIDVALIDITY, if any. */
void identity_note_renamed(struct engine *engine);
/* It gave way to another one, and is to be renamed again. */
bool is_makeshift(const struct mailbox_name *name);
/* Which identifiers the known mailboxes have; within a transaction. */
int objectid_remember(struct engine *engine);

/* engine-change.c */
void engine_change_begin(struct engine *engine);
/* All that was submitted is answered: goes on.  False when it is over, however it went (see
 * engine.incomplete). */
bool engine_change_on(struct engine *engine);
void engine_change_done(struct engine *engine);

/* engine-verify.c: the same three of --verify, which is a change that changes nothing. */
void engine_verify_begin(struct engine *engine);
bool engine_verify_on(struct engine *engine);
void engine_verify_done(struct engine *engine);
/* Whether it is what was asked: nothing is written then. */
static inline bool engine_verifies(const struct engine *engine)
{
	return engine->asked.change != NULL && engine->asked.change->kind == CHANGE_VERIFY;
}

/* For engine-rename.c: */
/* A command of the change; `index` is the mailbox's among the names given. */
struct change_request {
	struct request request;
	size_t index;
};
/* The name at an index, from the command line to the database's form; false if it is none. */
bool change_name(struct engine *engine, size_t index, struct mailbox_name *ret);
struct listed *change_find_listed(struct side *side, const struct mailbox_name *name);
/* Nothing (more) is done to that name. */
void change_refuse(struct engine *engine, size_t index);
/* "VERB wire" or "VERB wire to_wire". */
void change_submit(struct side *side, size_t index, const char *verb, const char *wire,
	const char *to_wire, bool (*completed)(struct request *));

/* engine-loss.c: asks what the mailbox holds; and says what was lost with it, if anything. */
void loss_ask(struct side *side, size_t index, const char *wire);
void loss_say(struct side *side, size_t index);

/* engine-rename.c: one stage; 0 (or more), or -errno of the database. */
int engine_rename_at(struct engine *engine, enum change_stage stage);

/* engine-order.c */
void engine_orders_init(struct engine *engine);
/* Forgets them all, without done(). */
void engine_orders_drop(struct engine *engine);
/* The engine rests: begins an order that waits, if any.  True: look at the lists for it. */
bool engine_order_next(struct engine *engine);
/* The engine has come to rest: the order under way, if any, is done. */
void engine_order_rested(struct engine *engine);
/* Likewise for --delete and --rename, whose last command has been answered. */
enum step engine_order_changed(struct engine *engine);
/* The connections are lost, and with them all orders. */
void engine_orders_fail(struct engine *engine);
/* The mailbox is to be run, be there something to do or not. */
bool engine_order_wants(struct engine *engine, struct mailbox *mailbox);
/* Its run failed: that leaves undone what was asked for, if it was. */
void engine_note_failed(struct engine *engine, struct mailbox *mailbox);

/* engine-status.c */
void engine_outage_note(struct engine *engine, const struct side *side, const char *reason);
void engine_outage_clear(struct engine *engine);

/* engine-network.c */
void network_init(struct engine *engine);
void network_done(struct engine *engine);
/* Both connections were given up: they are made again after a while. */
void network_reconnect_later(struct engine *engine);
/* Gives both connections up, for a reason that is no failure; they are made again at once. */
void network_connect_anew(struct engine *engine, const char *why);
/* The next connection is tried now.  False if it is on its way already. */
bool network_connect_now(struct engine *engine);
/* Nothing is waited for any more: both connections are being given up. */
void network_stop_waiting(struct engine *engine);
/* For how many seconds that side's answers are waited for. */
unsigned network_patience(const struct side *side);
/* The connection is being lost, and to silence, before an honest server must have answered: that
 * proves nothing against what was asked, and a service goes on to wait longer.  A program that runs
 * once has no time for that.  Before network_note_lost(). */
bool network_was_hasty(
	const struct engine *engine, const struct side *side, enum session_failure failure);
/* A connection was lost like that. */
void network_note_lost(struct side *side, enum session_failure failure);
/* All was looked at: both servers answer. */
void network_works(struct engine *engine);
/* The addresses of this machine have just changed. */
bool network_is_in_doubt(const struct engine *engine);
/* When the next connection will be tried; 0: none is waited for. */
time_t network_next_try(const struct engine *engine);

/* engine-watch.c */
void watch_init(struct engine *engine);
void watch_done(struct engine *engine);
/* The work is done: leave the mailboxes, and look whether something came to those that were worked
 * on. */
enum step watch_check(struct engine *engine);
/* Nothing did: ask to be told, and rest. */
enum step watch_checked(struct engine *engine);
/* Something is to be done: the end of the rest. */
void watch_pause(struct engine *engine);
/* Everything is looked at then, or before. */
void watch_look_in(struct engine *engine, double seconds);
/* A service looks at everything once more, some time from now. */
void watch_verify_later(struct engine *engine);
/* Both connections are given up: a new one looks anyway. */
void watch_stop(struct engine *engine);
/* Both sides are asked as often, in seconds. */
unsigned watch_interval(struct engine *engine);
bool watch_can_notify(const struct side *side);
/* The lists are about to be looked at again. */
bool watch_looks_soon(const struct engine *engine);
/* A line of a LIST, or told by itself: may it say that a mailbox was renamed or deleted there, then
 * that is looked into, if such things are followed.  Answers to LIST (SUBSCRIBED) are not meant. */
void watch_told(struct side *side, const struct response_list *list);
/* What a server told by itself. */
void watch_notified(struct engine *engine, struct side *side, struct response *response);

#endif
