/* SPDX-License-Identifier: MIT */
/* A mailbox that is kept the same on both sides: what the database and the servers say of it, and
 * how it stands. */
#ifndef INTERIMAP_CORE_MAILBOX_H
#define INTERIMAP_CORE_MAILBOX_H

#include <ev.h>
#include <stdbool.h>
#include <stdint.h>
#include <time.h>
#include "sync/base/hash.h"

#include "sync/imap/response.h"
#include "sync/state/mailboxes.h"
#include "sync/state/quarantine.h"

struct db;
struct side;

/* Of a side without QRESYNC, for which mod-sequences do not tell that nothing has changed. */
struct mailbox_counts {
	bool told;
	uint32_t messages, unseen;
};

/* How one side has it. */
struct mailbox_side {
	struct mailbox_state base; /* the database's: what is propagated */
	struct mailbox_state seen; /* the server's last STATUS; uidvalidity 0: none */
	struct mailbox_counts counts; /* likewise */
	uint64_t append_limit; /* its last list's: the largest message in bytes; 0: not told */
	bool disposable; /* its last list says \Trash or \Junk */
	unsigned refusals; /* runs in a row in which it took no messages, for a reason of its own …
			    */
	int64_t refused_until; /* … and when one tries again, in seconds since 1970 */
};

/* What the lists say of it. */
struct mailbox_presence {
	bool listed; /* on both sides, and to be synchronised */
	bool noted; /* as deleted or renamed, from what the lists say: once */
	ev_tstamp absent_since; /* listed until then; 0: it is, or that is dealt with */
	const struct side *missing; /* that does not list it any more, or NULL */
	bool missing_said; /* that it disappeared */
};

/* Its renaming, as tree/identity.c follows it. */
struct mailbox_renaming {
	unsigned attempts; /* since a run succeeded */
	size_t found; /* during a look: the place of the renaming in that, from 1 on; 0: none */
};

/* What a person asks for. */
struct mailbox_wishes {
	bool ordered; /* the order under way is about it */
	bool deletions; /* --allow-deletions */
	bool repair; /* its next run is one */
};

enum mailbox_turn {
	TURN_NONE,
	TURN_QUEUED, /* a run waits to start */
	TURN_RUNNING,
};

/* Its runs: the one that is due or under way, and what is known for the next. */
struct mailbox_runs {
	enum mailbox_turn turn;
	time_t queued_since;
	bool preferred; /* a client has opened it: it comes before others */
	bool again; /* changed while it was running */
	bool put_off; /* the last one was, until the lists are looked at again */
	bool replayed; /* a client's messages were paired here since the last one */
	bool check; /* it was run: look whether something came meanwhile */
	unsigned disturbed; /* counts what clients did that a pass must not straddle:
				deeds/journal.h */
};

/* What became of its last run. */
struct mailbox_result {
	bool failed;
	char *problem; /* why; NULL if the connection was lost */
	bool held; /* … because of the brake, see mailbox_note_held() */
	time_t held_since; /* 0: it was not */
	time_t in_step; /* when both sides were last known to be the same; 0: never */
};

struct mailbox {
	int64_t idx;
	char *name; /* NUL for the delimiter */
	size_t len;
	char *display; /* for a person */
	struct mailbox_side local, remote;
	bool subscribed;
	uint32_t remade; /* the UIDVALIDITY of what was made in its place, once that was noted */
	struct mailbox_presence presence;
	struct mailbox_renaming renaming;
	struct mailbox_wishes wishes;
	struct mailbox_runs runs;
	struct mailbox_result result;
	struct quarantine_sum left_out; /* of it, as the database has it */
	int64_t left_out_after; /* seconds since 1970: no run begins for that before */
	bool dropped_said[2]; /* that the local, remote side cannot store some flags */
	struct mailbox *prev, *next; /* the engine's queue (utlist) */
	UT_hash_handle hh;
};

struct mailbox *mailbox_new(const struct mailbox_row *row, char delimiter);
struct mailbox *mailbox_free(struct mailbox *mailbox);
/* It was renamed. */
void mailbox_set_name(struct mailbox *mailbox, const char *name, size_t len, char delimiter);

static inline struct mailbox_side *mailbox_side(struct mailbox *mailbox, bool remote)
{
	return remote ? &mailbox->remote : &mailbox->local;
}

/* Its UIDVALIDITY on that side is in the database before any message is paired under it; nothing is
 * written if there is one. */
int mailbox_remember_uidvalidity(
	struct mailbox *mailbox, struct db *db, bool remote, uint32_t uidvalidity);
/* What a STATUS of that side said. */
void mailbox_note_status(
	struct mailbox *mailbox, bool remote, const struct response_status *status);
/* \Trash or \Junk, where mass deletions are ordinary: as the other side than that says, and never
 * the INBOX. */
bool mailbox_is_disposable(const struct mailbox *mailbox, bool remote);
/* Both sides are the same now. */
void mailbox_note_in_step(struct mailbox *mailbox);
/* By the brake: until a person acts, or the messages are back. */
void mailbox_note_held(struct mailbox *mailbox);
/* Why its run failed; NULL: it did not, or the connection was lost. */
void mailbox_note_problem(struct mailbox *mailbox, const char *problem);
/* A run has brought it to the state in `base`: an older STATUS does not count any more. */
void mailbox_note_reached(struct mailbox *mailbox);
/* Whether the last STATUS of both sides says that there is nothing to do. */
bool mailbox_is_clean(const struct mailbox *mailbox);

#endif
