/* SPDX-License-Identifier: MIT */
/*
 * A run of one mailbox: all that it holds while it brings both sides to the same state.  pass/ has
 * its phases, carry/ what takes messages to the other side.
 */
#ifndef INTERIMAP_RUN_RUN_H
#define INTERIMAP_RUN_RUN_H

#include "sync/base/loop.h"
#include "sync/base/xalloc.h"
#include "sync/core/mailbox.h"
#include "sync/core/refusals.h"
#include "sync/core/request.h"
#include "sync/core/side.h"
#include "sync/core/transfer.h"
#include "sync/run/changes.h"
#include "sync/run/copier.h"
#include "sync/run/evidence.h"
#include "sync/run/moves.h"
#include "sync/state/echoes.h"
#include "sync/state/intents.h"
#include "sync/state/quarantine.h"
#include "sync/state/in-step.h"

struct audit;
struct core;
struct run;

enum {
	RUN_PASSES_MAX =
		20, /* without a full batch of copies: the mailbox keeps changing, go on later */
	RUN_FETCH_AT_ONCE = 1000, /* new UIDs whose metadata is asked together with the SELECT */
	RUN_FETCH_AT_ONCE_TAKEN =
		2 * RUN_FETCH_AT_ONCE, /* … and so many answers; more may have come meanwhile */
	RUN_SEARCH_BEYOND =
		8000, /* so many possible UIDs are searched for before metadata is asked */
	RUN_SPLITS_MAX = 100, /* commands of a side that find out what it refuses */
};

/* UIDs of a side that rows of the quarantine are about, of these kinds. */
struct refused_before {
	struct seqset stores, expunges;
	struct seqset due; /* of them, those that this run tries again */
	struct seqset tried; /* … and this pass */
};

/* Sets of messages that a command was about. */
struct expunges {
	struct seqset *list;
	size_t count;
	bool general; /* a refusal was about more than messages */
	char *words;
};

/* What OPEN said of a side, and what the server told since. */
struct told {
	bool reading; /* the SELECT of OPEN is being answered: collect changes */
	bool overflow; /* a limit was exceeded while collecting */
	bool went_back; /* it is an older state than the database's: see pass/repair.c */
	struct mailbox_state snapshot; /* what OPEN's SELECT said … */
	uint32_t uidnext; /* … likewise, where a pass lowers the snapshot's */
	uint32_t exists;
	const struct flags *permanent;
	struct changes changes; /* flags */
	struct seqset vanished; /* as reported */
	struct seqset expunged; /* told of since OPEN, our own expunges among them */
	bool gains, loses; /* new messages, mapped ones that are gone: as far as is known */
};

/* Flags of a side, besides those that it told. */
struct flagging {
	struct changes known; /* of messages that did not change, to plan with them */
	struct seqset asked_known; /* those that were asked for, for that */
	struct changes expected; /* our own, whose echoes are no changes */
	struct changes carried; /* for the next pass: of what was moved here, or copied plain */
	struct seqset stored; /* set in this pass */
	struct seqset queried; /* the other side refused them, and they are asked for here */
	struct seqset asked; /* of pairs left by an interrupted run (pass/dangling.c) */
};

/* What is gone from a side, and what is to go. */
struct vanishings {
	struct seqset absent; /* mapped, and no answer: of pairs that nobody could report yet */
	struct seqset gone; /* mapped, of both, and confirmed not to be there */
	struct seqset alive; /* answers of CONFIRM */
	struct seqset sought; /* pairs of what we expunged: looked for once more … */
	struct seqset there; /* … and found */
	struct seqset late; /* new here, but copies of what was copied anew: to be expunged */
	struct seqset due[EVIDENCE_COUNT]; /* to be expunged here */
	struct seqset remembered; /* gone before; the other side refused to expunge their pairs */
	struct seqset overlooked; /* not expunged by the pass before, although it said OK */
	struct expunges refused; /* commands of the flight that is over */
	uint64_t counted; /* messages that vanished here, as the brake counts */
	uint64_t returned; /* messages that are copied again because of that */
	uint64_t moved_away; /* copied elsewhere, so that to expunge them deletes nothing */
};

/* What a side refuses, and which of its messages are left alone. */
struct leavings {
	struct refusals refusals; /* what it refused to do in this pass */
	struct refused_before before; /* … and in earlier runs */
	unsigned splits; /* commands to find out which message or flag it refuses */
	bool refuses; /* it took no messages in this run, for a reason of its own */
	struct seqset refused; /* UIDs of here that the other side did not take, and that no row
				  remembers: not tried again in this run */
	struct seqset quarantined; /* UIDs of here that rows of the quarantine are about … */
	struct seqset alone; /* … of them, those that this run leaves alone … */
	struct seqset retried; /* … and those that it looks for, since they are due */
	uint32_t lowest_withheld; /* the lowest UID of what may cost the connection, or 0 */
};

/* What is new on a side, to be copied to the other. */
struct arrivals {
	struct seqset fresh; /* possible new UIDs */
	struct items items; /* the batch of them that this pass copies */
	bool complete; /* items was filled by OPEN */
	uint32_t refined; /* the UID up to which adoption has asked for headers */
	struct seqset untold; /* new, and nothing has been told of them … */
	struct seqset present; /* … of them, those that the server knows */
	struct seqset doubted; /* those that the other side took, and that nobody has recognised */
	struct seqset missed; /* asked for, and their bodies did not come: next time each alone */
	uint32_t counted_uidnext; /* up to here, what arrived is in run->copies_allowed … */
	uint64_t appended; /* … and so many copies were taken here since */
};

/* What was moved to a side, or away from it (carry/moves.c). */
struct side_moves {
	struct gone_list gone_list; /* what is gone here, for the runs where it may be new */
	struct taken_list taken_list; /* what is new here, and was moved from elsewhere … */
	struct transfer transfer; /* … and those of them that are under way */
	int64_t copied_idx; /* the mailbox that copies are taken from */
	struct view source_view; /* of the mailbox that messages are moved from */
	bool refused; /* such a command was refused: no more of them in this run */
	uint32_t lowest; /* the lowest UID of which it is in doubt whether it was moved, or 0 */
};

struct run_side {
	struct view view;
	struct run *run;
	struct side *side;
	struct run_side *other;
	char *wire_name;

	struct told told;
	struct flagging flags;
	struct vanishings losses;
	struct leavings left_out;
	struct arrivals arrivals;
	struct side_moves moves;
	struct copier copier;
};

/* How far a pass is, and what follows from it. */
struct pass {
	unsigned number; /* of passes without a full batch of copies */
	bool first; /* settle what an interrupted run left */
	bool again; /* another pass is due */
	bool copies_sought; /* it has looked for messages that were copied */
	bool moves_begun; /* it waits for other runs, or has, to find what was moved */
	bool doubt; /* messages were appended without our learning their UIDs: SETTLE again */
	bool renewed; /* … since a UIDVALIDITY changed */
	bool adopted; /* pairs were made by content: their flags may differ, quietly */
	unsigned disturbed; /* mailbox->runs.disturbed when it began */
	bool decided; /* what is to be expunged is written down */
	bool reread; /* changes were not carried out in full: HIGHESTMODSEQ stays, so that they come
			again */
	struct plan plan;
	bool has_plan;
};

enum run_end {
	RUN_DONE, /* both sides are the same */
	RUN_FAILED, /* for a reason that is said */
	RUN_LOST, /* a connection went */
	RUN_BROKEN, /* the database cannot be read or written at all */
	RUN_AFTER_LISTS, /* it comes again after the next look at the lists */
	RUN_AFTER_CLIENTS, /* a client did something that it must not decide without: it begins anew */
	RUN_PROBED, /* it was only to find out which messages cost the connection; likewise */
};

struct ending {
	enum run_end how; /* when its last step is done: not FAILED, LOST or BROKEN */
	bool begun; /* failed, while commands are still under way */
	char *failure; /* why it ends at once */
	char *problem; /* something is left undone; the rest of the mailbox is done all the same */
	bool database_failed; /* not with what was to be written, but as a whole */
};

/* Messages in doubt, during SETTLE. */
struct doubts {
	struct intent *intents;
	size_t count;
	struct intent *late; /* those that did arrive, after they were given up */
	size_t late_count;
	unsigned looks; /* at the targets */
	uint64_t found; /* of the intents, in the last look */
	ev_timer pause;
};

/* What clients of the proxy expunged, before OPEN. */
struct removals_seen {
	struct seqset uids; /* local messages … */
	uint64_t others; /* … others, of which only the number is known */
	int64_t last; /* … up to that row */
};

/* What we have expunged. */
struct echoed {
	struct echo *list;
	size_t count;
};

struct run {
	struct task task;
	struct barrier barrier;
	struct core *core;
	struct mailbox *mailbox;
	struct run_side local, remote;
	int phase;
	bool repair; /* --repair: everything is compared with the database … */
	struct audit *audit; /* … and how far that came (pass/repair.c) */
	bool retries; /* a person asks for what is left out */
	bool quarantine_changed;
	uint64_t copies_allowed, copies_made;
	struct run_moves moves;
	struct pass pass;
	struct ending end;
	struct removals_seen removals;
	struct in_step pairs_in_step; /* as it is in the database */
	struct echoed echoes;
	struct doubts settling;
	time_t waits_since; /* it was stepped last */
	struct run *prev, *next; /* the engine's list (utlist) */
	void (*finished)(struct run *run, enum run_end end, const char *reason);
};

static inline struct run_side *run_side(struct run *run, bool remote)
{
	return remote ? &run->remote : &run->local;
}

/* Those under way. */
struct runs {
	struct core *core;
	struct run *list; /* utlist */
	unsigned count;
	struct moves_wait moves_wait; /* of them, for what was moved between their mailboxes */
};

/* Bytes may be asked for again. */
void runs_credit_released(struct runs *runs);

#define RUN_CONTEXT(run_) \
	(&(const struct log_context){ \
		.side = (run_)->core->name, .mailbox = (run_)->mailbox->display})

#endif
