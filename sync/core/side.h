/* SPDX-License-Identifier: MIT */
/*
 * One of the two servers of an account, as the engine uses it: its session, its hierarchy, and the
 * selecting of mailboxes.
 */
#ifndef INTERIMAP_CORE_SIDE_H
#define INTERIMAP_CORE_SIDE_H

#include <stdbool.h>
#include <stdint.h>

#include "sync/base/log.h"
#include "sync/core/credit.h"
#include "sync/core/room.h"
#include "sync/imap/client.h"
#include "sync/imap/mailbox.h"
#include "sync/imap/session.h"
#include "sync/imap/view.h"

struct account_side;
struct barrier;
struct core;
struct flags;
struct mailbox;
struct side;

struct side {
	struct core *core;
	const char *name; /* for log lines, as in config/account.h */
	bool remote;
	const struct session_options *options;
	const char *reference; /* list-reference, never NULL */
	struct session *session;
	struct session_handler handler;
	bool ready;
	double ready_since; /* ev_now() when it became so, on this connection; 0: it did not */
	unsigned silences; /* in a row, over all connections: see side_patience() */
	char delimiter; /* '\0': flat, or unknown before the first LIST */
	bool compress; /* configured */

	struct view idle_view; /* INBOX, while it is watched by IDLE */
	bool believed; /* a list of this connection was */
	bool idling;
	bool notified; /* NOTIFY was set on this connection */
	bool overflowed; /* … and taken back by the server, or refused */
	bool fallback_said; /* that something else has its place */
	struct room room;
	struct credit credit; /* for bodies asked of this side and not yet done with on the other */
};

/* folders: see core_options. */
void side_init(struct side *side, struct core *core, bool remote,
	const struct session_options *options, const struct account_side *account,
	const char *const *folders);
void side_connect(struct side *side);
void side_disconnect(struct side *side);

static inline struct client *side_client(struct side *side)
{
	return session_client(side->session);
}

bool side_has(const struct side *side, const char *capability);
/* session_tier(); of a side that is not connected, the best. */
enum tier side_tier(const struct side *side);
/* NOTIFY (RFC 5465), unless the server has taken it back on this connection. */
bool side_can_notify(const struct side *side);
/* For how many seconds its answers are waited for. */
unsigned side_patience(const struct side *side);
/* Largest message that it takes there (APPENDLIMIT, RFC 7889), UINT64_MAX if it does not say. */
uint64_t side_append_limit(const struct side *side, struct mailbox *mailbox);
/* Flags that it cannot store: said once for each mailbox. */
void side_warn_dropped(const struct side *side, struct mailbox *mailbox, const struct flags *flags);

/* Name on that side's wire; NULL when it cannot be expressed there.  Owned by the caller. */
char *side_wire_name(const struct side *side, const char *name, size_t len);

/* The other way; false for a name that is none of ours, or none at all (mailbox_from_wire()). */
bool side_read_name(const struct side *side, struct slice wire, struct mailbox_name *ret);

/* Makes sure that the mailbox is selected by the commands that follow. */
void side_select(
	struct side *side, struct barrier *barrier, struct view *view, const char *wire_name);
/*
 * Leaves the mailbox selected before, if any, in a command of its own: UNSELECT, or without that an
 * EXAMINE that is refused.  The answer to it tells where the next mailbox begins, on servers that
 * send no [CLOSED].  And if the SELECT that follows is refused, the commands pipelined behind it
 * find no mailbox at all, whatever the server thinks that a refused SELECT means.
 */
void side_unselect(struct side *side, struct barrier *barrier);

/* How much has passed on the connection, for a person who ran the program once. */
void side_say_traffic(const struct side *side);

/* The view is no longer used. */
void side_forget_view(struct side *side, struct view *view);

/* For a person: side and mailbox. */
#define SIDE_CONTEXT(side_, mailbox_) \
	(&(const struct log_context){.side = (side_)->name, .mailbox = (mailbox_)})

#endif
