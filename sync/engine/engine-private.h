/* SPDX-License-Identifier: MIT */
/* Between the files of engine/: engine.c (its life), watch.c (staying up to date), network.c
 * (connections that go and come again), failure.c (what else keeps it from going on), jobs.c (what
 * a person asks for meanwhile), status.c (what they are told). */
#ifndef INTERIMAP_ENGINE_ENGINE_PRIVATE_H
#define INTERIMAP_ENGINE_ENGINE_PRIVATE_H

#include <ev.h>
#include <stdbool.h>
#include <stdint.h>
#include <time.h>

#include "sync/base/log.h"
#include "sync/base/loop.h"
#include "sync/core/core.h"
#include "sync/core/request.h"
#include "sync/deeds/journal.h"
#include "sync/deeds/suspects.h"
#include "sync/engine/engine.h"
#include "sync/net/addresses.h"
#include "sync/pass/pass.h"
#include "sync/tree/tree.h"

struct engine_order;
struct replay;

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

/* Why and since when there is no connection. */
struct engine_outage {
	const struct side *side; /* that was lost, or could not be had; NULL: none */
	char *reason;
	time_t since;
};

/* network.c */
struct engine_network {
	bool synced; /* on these connections, all was up to date once */
	ev_tstamp over; /* when the server ended a session last; 0: it never did */
	unsigned failures; /* connections in a row that came to nothing */
	time_t failing_since; /* the first of them was lost; 0: there is none */
	unsigned refusals; /* … and logins of them that were refused */
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

/* jobs.c: what a person asks for meanwhile */
struct engine_orders {
	struct engine_order *current; /* under way, or NULL */
	struct engine_order *waiting; /* utlist */
	struct log_tap tap; /* of the current one */
	bool incomplete_before; /* the current one began */
	ev_timer patience; /* of those that wait for a connection */
};

/* The last loss of a connection. */
struct engine_loss {
	enum session_failure how;
	bool incomplete; /* it was, before that */
	bool retries; /* a program that runs once connects once more after it */
};

/* watch.c: when everything is looked at again */
struct engine_watch {
	struct hint_receiver hints;
	ev_timer sweep; /* at intervals */
	ev_timer soon; /* sooner than that: something was told of the lists, say */
	ev_timer verify; /* once more, after anything was told */
};

/* LOGOUT was sent. */
struct engine_logout {
	ev_timer poll; /* whether it has left */
	unsigned polls;
};

struct engine {
	struct core core;
	struct engine_owner *owner;
	struct tree tree;
	struct journal journal; /* what mail clients do */
	struct suspects suspects; /* what may cost the connections */
	struct runs runs;
	struct replay *replay; /* under way */

	struct task task;
	struct task fall; /* gives up both connections */
	struct barrier barrier;
	enum engine_phase phase;
	struct loop_check waits; /* see waits.h */
	bool replayed; /* something was, so that the lists are out of date */
	bool relist; /* look at both lists again */
	bool database_failed; /* since it was last at rest */
	bool complete; /* how it ended */
	char *unresolved_said; /* unresolved.c: the command that was advised last, or NULL */

	struct engine_orders orders;
	struct engine_watch watch;
	struct engine_network network;
	struct engine_outage outage;
	struct engine_loss loss;
	struct engine_logout logout;
};

static inline struct engine *engine_of(const struct core *core)
{
	return container_of((struct core *)core, struct engine, core);
}

/* engine.c */
/* Runs work on mailboxes that it is about. */
bool engine_deed_is_in_use(const struct engine *engine, const struct deed *deed);
void engine_over(struct engine *engine, bool complete);
void engine_connect(struct engine *engine);
/* Gives up both connections, and goes on as after a loss. */
void engine_reset(struct engine *engine);

/* failure.c */
/* It cannot go on, and a new connection would not mend that: says why, once, and is over, or down
 * for a while. */
void engine_fail(struct engine *engine, const char *reason);
/* Likewise for the last error of the database. */
void engine_database_failed(struct engine *engine);
/* All is given up: what is known of mailboxes and deeds may not be what was written; after a
 * failure of the database it is read anew. */
void engine_forget_unwritten(struct engine *engine);
/* It has got so far that what failed works again. */
void engine_failure_over(struct engine *engine);

/* jobs.c */
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
/* Its run failed: that leaves undone what was asked for, if it was. */
void engine_note_failed(struct engine *engine, struct mailbox *mailbox);

/* status.c */
void engine_outage_note(struct engine *engine, const struct side *side, const char *reason);
void engine_outage_clear(struct engine *engine);

/* network.c */
void network_init(struct engine *engine);
void network_done(struct engine *engine);
/* Both connections were given up: they are made again after a while. */
void network_reconnect_later(struct engine *engine);
/* The server ended a session at the end of its time (SESSION_FAILURE_EXPIRED), after it was of use. */
bool network_is_end_of_session(
	const struct engine *engine, const struct side *side, enum session_failure failure);
/* Then that is no failure: both connections are made anew. */
void network_session_over(struct engine *engine, const struct side *side, const char *reason);
/* All is up to date, and both servers answer: what went wrong before counts no more.  That they let us
 * in means less: one that throttles may do so, and refuse all that follows. */
void network_succeeded(struct engine *engine);
/* Gives both connections up, for a reason that is no failure; they are made again at once. */
void network_connect_anew(struct engine *engine, const char *why);
/* The next connection is tried now.  False if it is on its way already. */
bool network_connect_now(struct engine *engine);
/* Nothing is waited for any more: both connections are being given up. */
void network_stop_waiting(struct engine *engine);
/* The connection is being lost, and to silence, before an honest server must have answered: that
 * proves nothing against what was asked, and a service goes on to wait longer.  A program that runs
 * once has no time for that.  Before network_note_lost(). */
bool network_was_hasty(
	const struct engine *engine, const struct side *side, enum session_failure failure);
/* A connection was lost like that. */
void network_note_lost(struct side *side, enum session_failure failure);
/* The addresses of this machine have just changed. */
bool network_is_in_doubt(const struct engine *engine);
/* When the next connection will be tried; 0: none is waited for. */
time_t network_next_try(const struct engine *engine);

/* watch.c */
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
/* The lists are about to be looked at again. */
bool watch_looks_soon(const struct engine *engine);
/* A line of a LIST, or told by itself: may it say that a mailbox was renamed or deleted there, then
 * that is looked into, if such things are followed.  Answers to LIST (SUBSCRIBED) are not meant. */
void watch_told(struct side *side, const struct response_list *list);
/* What a server told by itself. */
void watch_notified(struct engine *engine, struct side *side, struct response *response);

#endif
