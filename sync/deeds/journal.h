/* SPDX-License-Identifier: MIT */
/*
 * What mail clients do (action.h): announced and not yet answered, or done locally and waiting to
 * be done on the remote side.  The latter are called deeds, and are in the database.
 *
 * The journal says which mailboxes are to be left alone meanwhile: a run that saw half of a move
 * would delete and upload what is only to be moved.
 */
#ifndef INTERIMAP_DEEDS_JOURNAL_H
#define INTERIMAP_DEEDS_JOURNAL_H

#include <ev.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <time.h>

#include "sync/deeds/action.h"
#include "sync/deeds/removals.h"
#include "sync/imap/mailbox.h"

struct announced;
struct core;
struct mailbox;

/* Done on one side, in the database, and not yet on the other. */
struct deed {
	struct deed *prev, *next; /* utlist, in order */
	int64_t id;
	enum action_kind kind;
	bool to_local; /* it was done on the remote side */
	bool certain; /* the server said OK */
	bool begun; /* commands of it may have reached the other side */
	bool dropped; /* taken out of the database, in a transaction that is not over */
	bool refused; /* by the other side: its mailboxes are held until it is tried again */
	bool apart; /* it may cost the connection (suspects.h): its mailboxes are held likewise,
		       until it is tried by itself */
	time_t since; /* it was done, or found in the database */
	bool said; /* … which a person has been told */
	char *refusal; /* … and how, owned */
	/* Of a deletion that was only seen (replay/brake.c): */
	bool weighed; /* with all that were seen at the same time … */
	uint64_t too_heavy; /* … which were too many messages; 0: they were not */
	struct mailbox_name from, to; /* data is NULL where there is none */
	/* Where it was done: of the target of messages; or of the mailbox itself
	 * (journal_note_of()). */
	uint32_t uidvalidity;
};

static inline bool deed_is_about_messages(const struct deed *deed)
{
	return deed->kind == ACTION_MOVE || deed->kind == ACTION_COPY;
}

struct journal {
	struct core *core;
	struct action_receiver receiver;
	struct announced *announced; /* utlist */
	struct deed *deeds; /* utlist */
	unsigned deeds_count;
	struct removals removals; /* what clients expunge */
	bool loaded; /* what an earlier life left in the database */
	ev_timer patience; /* with commands that are not answered */
};

void journal_init(struct journal *journal, struct core *core);
void journal_done(struct journal *journal);

/* Reads what waits in the database, once both delimiters are known; or -errno. */
int journal_load(struct journal *journal);
/* Forgets it, to be read anew; what is announced stays. */
void journal_unload(struct journal *journal);
/*
 * Something was seen to have been done on one side: in the database from here on.  Names are in the
 * database's form, the second may be NULL.  It is looked up again before it is replayed.
 */
void journal_note(struct journal *journal, enum action_kind kind, bool to_local,
	const struct mailbox_name *from, const struct mailbox_name *to);
/* The same of a mailbox that had this UIDVALIDITY where it was done, whatever has its name now: not
 * looked up by name. */
void journal_note_of(struct journal *journal, enum action_kind kind, bool to_local,
	const struct mailbox_name *from, const struct mailbox_name *to, uint32_t uidvalidity);
/* The first deed that may be replayed; NULL for none.  One that is not certain waits until both
 * lists are new.  What is about mailboxes waits behind a refused one that names the same; what is
 * about messages does not, see journal_is_blocked(). */
struct deed *journal_next(struct journal *journal, bool lists_are_new);
/* A refused one before it has to do with the same mailboxes: messages are left to the ordinary sync
 * then, so that the refusal holds no more than it names. */
bool journal_is_blocked(const struct journal *journal, const struct deed *deed);
/* It is refused, or waits for one that is, until a person acts or it is tried once more. */
bool journal_is_held_up(const struct journal *journal, const struct deed *deed);
/* Those that were refused are tried once more. */
void journal_retry(struct journal *journal);
/* It is no longer in the database: forgets it. */
void journal_forget(struct journal *journal, struct deed *deed);
/* "RENAME Work": for a person, the caller's. */
char *journal_describe(const struct journal *journal, const struct deed *deed);
/* The mailbox is forgotten: all deeds that concern it go from the database, since the first of them
 * would only make room for the next.  The ordinary sync finds what there is.  Within a transaction,
 * after which journal_dropped() follows. */
int journal_drop(struct journal *journal, const struct mailbox_name *name);
/* It was committed, or not. */
void journal_dropped(struct journal *journal, bool committed);
/* What happened since the deed has made of a local name: the caller's, or data NULL when it was
 * deleted. */
struct mailbox_name journal_present_name(const struct deed *deed, const struct mailbox_name *name);

/* Why no run may begin, or decide, in a mailbox. */
enum journal_hold {
	HOLD_NONE,
	HOLD_ANNOUNCED, /* a client is at it: for a moment */
	HOLD_DEED, /* it comes first */
	HOLD_REFUSED, /* a deed is refused, or comes after one that is: until a person acts */
};
enum journal_hold journal_hold(const struct journal *journal, const struct mailbox *mailbox);
/* For the last of them: what the other side said, borrowed. */
const char *journal_refusal(const struct journal *journal, const struct mailbox *mailbox);
bool journal_holds(const struct journal *journal, const struct mailbox *mailbox);
bool journal_deed_concerns(const struct deed *deed, const char *name, size_t len);
/* A client is changing the tree: a list that is asked for now may be true or not. */
bool journal_holds_tree(const struct journal *journal);
/* A refused deed wants the name to be left as it is on both sides. */
bool journal_reserves(const struct journal *journal, const char *name, size_t len);

#endif
