/* SPDX-License-Identifier: MIT */
/*
 * A run brings one mailbox to the same state on both sides, in passes:
 *
 *     OPEN     SELECT (QRESYNC) on both sides, with the metadata of new mail where it is known to
 * be little SETTLE   on the first pass: what an interrupted run left (intents, pairs beyond
 * UIDNEXT), adoption NEW      which messages are new, and their metadata CONFIRM  ask again for
 * exactly the vanished messages MEET     what was moved between mailboxes PLAN     decide APPLY
 * flags and expunges COPY     new messages, both ways COMMIT   one transaction moves mapping,
 * UIDNEXT and HIGHESTMODSEQ to what OPEN saw
 *
 * A pass that did anything is followed by another, which sees the echoes of our own commands (and
 * knows them by `expected`), and what came meanwhile.  Changes are always taken from a SELECT since
 * the committed HIGHESTMODSEQ: what is pushed in between is not lost, since it comes again there.
 */
#ifndef INTERIMAP_ENGINE_RUN_H
#define INTERIMAP_ENGINE_RUN_H

#include "sync/base/loop.h"
#include "sync/base/xalloc.h"
#include "sync/engine/changes.h"
#include "sync/engine/copy.h"
#include "sync/engine/evidence.h"
#include "sync/engine/mailbox.h"
#include "sync/engine/meeting.h"
#include "sync/engine/refusals.h"
#include "sync/engine/request.h"
#include "sync/engine/side.h"
#include "sync/state/echoes.h"
#include "sync/state/intents.h"
#include "sync/state/quarantine.h"
#include "sync/state/settled.h"

struct audit;
struct engine;
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

struct run_side {
	struct side_view view;
	struct run *run;
	struct side *side;
	struct run_side *other;
	char *wire_name;

	bool reading; /* the SELECT of OPEN is being answered: collect changes */
	bool overflow; /* a limit was exceeded while collecting */
	bool went_back; /* it is an older state than the database's: see run-repair.c */
	struct mailbox_state snapshot; /* what OPEN's SELECT said … */
	uint32_t uidnext; /* … likewise, where a pass lowers the snapshot's */
	uint32_t exists;
	const struct flags *permanent;

	struct seqset vanished; /* as reported */
	struct seqset late; /* new here, but copies of what was copied anew: to be expunged */
	struct seqset expunged; /* told of since OPEN, our own expunges among them */
	struct seqset
		absent; /* mapped, and did not answer: of pairs that nobody could report yet */
	struct seqset gone; /* mapped, of both, and confirmed not to be there */
	struct seqset due[EVIDENCE_COUNT]; /* to be expunged here */
	struct seqset sought,
		there; /* pairs of what we expunged: looked for once more, and found */
	struct refusals refusals; /* what it refused to do in this pass */
	struct refused_before before; /* … and in earlier runs */
	struct seqset queried; /* the other side refused their flags, and they are asked for here */
	struct seqset remembered; /* gone before; the other side refused to expunge their pairs */
	struct seqset stored; /* flags of these were set in this pass */
	struct seqset overlooked; /* not expunged by the pass before, although it said OK */
	unsigned splits; /* commands to find out which message or flag it refuses */
	struct expunges refused_expunges; /* commands of the flight that is over */
	struct seqset asked_known; /* whose flags were asked for, to plan with them */
	uint64_t counted; /* messages that vanished here, as the brake counts */
	uint64_t returned; /* messages that are copied again because of that */
	struct seqset alive; /* answers of CONFIRM */
	struct changes changes, known, expected;
	struct seqset asked; /* pairs left by an interrupted run, during SETTLE */
	uint32_t refined; /* the UID up to which adoption has asked for headers */
	struct seqset fresh; /* possible new UIDs, to be copied to the other side */
	struct items items; /* the batch of them that this pass copies */
	bool items_complete; /* items was filled by OPEN */
	bool gains, loses; /* new messages, mapped ones that are gone: as far as is known */
	struct offers offers; /* what is gone here, for those where it is new */
	struct takes takes; /* what is new here, and was moved from elsewhere */
	int64_t copied_idx; /* the mailbox that copies are taken from */
	bool move_refused; /* such a command was refused: no more of them in this run */
	struct side_view source_view; /* of the mailbox that messages are moved from */
	uint32_t lowest_withheld; /* the lowest UID of what may cost the connection, or 0 */
	uint32_t lowest_moved; /* the lowest UID of which it is in doubt whether it was moved, or 0
				*/
	uint64_t moved_away; /* copied elsewhere, so that to expunge them deletes nothing */
	struct changes carried; /* for the next pass: of what was moved here, or copied plain */
	struct copier copier;
	struct seqset refused; /* UIDs of here that the other side did not take, and that no row
				  remembers: not tried again in this run */
	struct seqset quarantined; /* UIDs of here that rows of the quarantine are about … */
	struct seqset left; /* … of them, those that this run leaves alone … */
	struct seqset retried; /* … and those that it looks for, since they are due */
	struct seqset untold; /* new, and nothing has been told of them */
	struct seqset present; /* of them, those that the server knows */
	bool refuses; /* it took no messages in this run, for a reason of its own */
	struct seqset doubted; /* those that the other side took, and that nobody has recognised */
	uint32_t counted_uidnext; /* up to here, what arrived is in run->copies_allowed */
	uint64_t appended; /* copies that were taken here since */
	struct seqset missed; /* asked for, and their bodies did not come: next time each alone */
};

struct run {
	struct task task;
	struct barrier barrier;
	struct engine *engine;
	struct mailbox *mailbox;
	struct run_side local, remote;
	int phase;
	unsigned passes;
	bool repair; /* --repair: everything is compared with the database */
	uint64_t copies_allowed, copies_made;
	bool retries; /* a person asks for what is left out */
	bool quarantine_changed;
	struct audit *audit; /* … and how far that came (run-repair.c) */
	bool first; /* the first pass: settle what an interrupted run left */
	bool again; /* another pass is due */
	bool sought; /* it has looked for copies in this pass */
	bool met; /* it has come to the meeting in this pass */
	struct attendance attendance;
	bool doubt; /* messages were appended without our learning their UIDs: SETTLE again */
	bool renewed; /* … since a UIDVALIDITY changed */
	bool adopted; /* pairs were made by content: their flags may differ, quietly */
	unsigned disturbed; /* mailbox->disturbed when the pass began */
	bool put_off; /* it is run again after the next look at the lists */
	bool straddled; /* a client did something that it must not decide without: over for now */
	bool probed; /* … since it was only to find out which messages cost the connection */
	bool decided; /* what is to be expunged in this pass is written down */
	struct seqset removed; /* local messages that clients expunged, before OPEN … */
	uint64_t removed_others; /* … others, of which only the number is known */
	int64_t last_removal; /* … up to that row */
	struct settled pairs_settled; /* as it is in the database */
	bool ending; /* failed, while commands are still under way */
	bool reread; /* changes were not carried out in full: HIGHESTMODSEQ stays, so that they come
			again */
	char *failure; /* why it ends at once */
	char *problem; /* something is left undone; the rest of the mailbox is done all the same */
	struct plan plan;
	bool has_plan;
	bool database_failed; /* not with what was to be written, but as a whole */

	struct {
		struct echo *list;
		size_t count;
	} echoes; /* what we have expunged */
	struct intent *intents; /* in doubt, during SETTLE */
	size_t intents_count;
	struct intent *late; /* messages in doubt that did arrive, after they were given up */
	size_t late_count;
	unsigned looks; /* at the targets, for messages in doubt */
	uint64_t settled; /* of the intents, in the last look */
	ev_timer pause;
	time_t waits_since; /* it was stepped last */
	struct run *prev, *next; /* the engine's list (utlist) */
	void (*finished)(struct run *run, bool ok, const char *reason);
};

#define RUN_CONTEXT(run_) \
	(&(const struct log_context){ \
		.side = (run_)->engine->name, .mailbox = (run_)->mailbox->display})

/* finished() is called once, from the loop; the run is freed after it. reason is NULL when the
 * connection was lost. */
struct run *run_new(struct engine *engine, struct mailbox *mailbox,
	void (*finished)(struct run *run, bool ok, const char *reason));

/* For the log of developers. */
const char *run_phase_name(const struct run *run);
/* The connections are gone: it ends, soon, as lost. */
void run_connection_lost(struct run *run);
/* Ends it without finished(); all its commands have completed. */
void run_abandon(struct run *run);

/* For the run's own files (run-*.c, copy.c): */

struct run_request {
	struct request request;
	struct run_side *side;
};

/* The side of a command that is a run_request. */
static inline struct run_side *run_side_of(struct command *command)
{
	struct request *request = container_of(command, struct request, command);

	return container_of(request, struct run_request, request)->side;
}

/* Notes the flags that a FETCH tells; false if it tells none. */
bool run_take_flags(
	struct run_side *side, struct changes *changes, const struct response *response);

/* What is asked about new messages; of the remote side with their EMAILIDs, where it has them. */
const char *run_metadata(const struct run_side *side);
/* Makes sure that the mailbox is selected by the commands that follow. */
void run_select(struct run_side *side);
/* Ends the run as failed, with a sentence. */
enum step run_fail(struct run *run, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* The target takes no messages, or more are refused than can be remembered one by one: runs that a
 * service begins leave them where they are for a while. */
void run_note_refusal(struct run_side *target);
/* Something stays undone, said at the end. */
void run_note_problem(struct run *run, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* What a client does there is in one side of what this pass sees, or will be. */
bool run_is_disturbed(const struct run *run);
/* After a barrier: STEP_DONE to go on, or STEP_FAILED (with the reason noted). */
bool run_barrier_ok(struct run *run);
bool run_database_failed(struct run *run, int r);

static inline struct mailbox_state *run_base(struct run_side *side)
{
	return &mailbox_side(side->run->mailbox, side->side->remote)->base;
}

/* run-fetch.c */
/* UID FETCH of the set, split to line limits; of what a server has in its index.  `untagged` takes
 * the responses. */
void run_fetch(struct run_side *side, struct barrier *barrier, const struct seqset *set,
	const char *items, bool (*untagged)(struct command *, struct response *));
/* Of what a server must read the messages for, and fails to do for some: without those that may
 * cost the connection (suspects.h). */
void run_read(struct run_side *side, struct barrier *barrier, const struct seqset *set,
	const char *items, bool (*untagged)(struct command *, struct response *));
/* The same, but a refusal that may be about single messages is none: what was not answered for goes
 * to side->untold. */
void run_read_new(struct run_side *side, const struct seqset *set, const char *items,
	bool (*untagged)(struct command *, struct response *));
/* The same as run_read() where nothing hangs on the answer. */
void run_read_if_granted(struct run_side *side, struct barrier *barrier, const struct seqset *set,
	const char *items, bool (*untagged)(struct command *, struct response *));
/* The same of all from a UID on, in one command as a rule; what is told of which UID is for
 * `untagged` to bound.  uidnext: as far as it is known.  completed: as in request.h, may be NULL;
 * not used when some are left out. */
void run_read_on(struct run_side *side, uint32_t from, uint32_t uidnext, const char *items,
	bool (*untagged)(struct command *, struct response *), bool (*completed)(struct request *));
/* Takes out of the set what may cost the connection to read or to append; whether there is such. */
void run_withhold(const struct run_side *side, struct seqset *uids);
bool run_withholds(const struct run_side *side);

/* run-open.c */
void run_open(struct run *run);
/* Evaluates what OPEN brought; false: failed. */
bool run_opened(struct run *run);

/* The UIDVALIDITY of a side is another one: nothing was evaluated. */
bool run_is_renewed(struct run *run);
/* Which a person must resolve. */
void run_fail_renewed(struct run_side *side);

/* run-renew.c */
/* Lists both sides (run_adopt_refine() goes on); submits requests or none. */
void run_renew_list(struct run *run);
/* Pairs them anew: the run begins again.  Or it is over, with a deed noted (run->straddled), or
 * failed: false. */
bool run_renew_pair(struct run *run);

/* run-settle.c */
/* Looks for messages in doubt; false if there are none. */
bool run_settle_look(struct run *run);
/* Evaluates a look; true when another one is due after a pause (run->pause is started then). */
bool run_settle_looked(struct run *run);
/* Up to where the flags of pairs are known, from the database. */
void run_settled_load(struct run *run);
/* … and after this pass, which leaves the sides in these states. */
struct settled run_settled_reached(const struct run *run, const struct mailbox_state *local,
	const struct mailbox_state *remote);
/* The UIDNEXT up to which pairs are settled: that of the database, or a later one. */
uint32_t run_settled_uidnext(struct run_side *side);
/* Asks both sides for the flags of pairs that an interrupted run left; false if there are none. */
bool run_dangling_ask(struct run *run);
void run_dangling_asked(struct run *run);

/* run-repair.c */
/* A side went back: the pass becomes a repair, whichever it is. */
void run_audit_anew(struct run *run);
/* Asks both sides for the flags of the next pairs; false if there are no more. */
bool run_audit_ask(struct run *run);
/* Compares the answers; false: failed. */
bool run_audited(struct run *run);
/* All pairs were looked up: those whose messages were lost are taken apart.  False: failed. */
bool run_audit_write(struct run *run);
/* Only messages without a twin are left unpaired: the database no longer says that they were
 * replicated.  False: failed. */
bool run_audit_lower(struct run *run);
/* Messages were paired by content: there are pairs to look up again; false the second time. */
bool run_audit_adopted(struct run *run);
/* Names the messages that had no pair, before they are copied. */
void run_audit_announce(struct run *run);
void run_audit_done(struct run *run);

/* run-late.c */
/* Takes out of the new messages what is there twice because it arrived late. */
void run_late_find(struct run *run);
/* It is expunged: the database forgets it, within the transaction of COMMIT. */
int run_late_write(struct run *run);

/* run-expunge.c */
/* Sorts what the plan expunges, and what arrived late, by the evidence for it, and writes it down
 * as echoes.  False: failed, and nothing may be sent. */
bool run_expunge_decide(struct run *run);
/* Sends what was decided; false if that is nothing. */
bool run_expunge(struct run_side *side);
/* Sends what was refused in smaller sets, to find out which messages that is about; false if there
 * is nothing (more) to be found out. */
bool run_expunge_again(struct run_side *side);
void run_expunge_clear(struct run_side *side);
/* It was refused in this pass: its pair stays. */
bool run_expunge_is_left(const struct run_side *side, uint32_t uid);
/* The pass comes again unless the server has reported all of it. */
void run_expunge_check(struct run_side *side);

/* run-store.c */
/* Sets the flags of these messages to that list. */
void run_store(struct run_side *side, const struct seqset *uids, const struct flags *flags);

/* run-refused.c */
/* A row of the quarantine, of kind STORE or EXPUNGE. */
void run_refused_load(struct run_side *side, const struct quarantine *row);
/* After OPEN: finds what is to be tried again. */
void run_refused_try(struct run *run);
/* Asks for the flags of pairs; submits requests or none. */
void run_refused_ask(struct run *run);
void run_refused_asked(struct run *run);
/* Writes down what was refused in this pass, before COMMIT.  False: failed. */
bool run_refused_note(struct run *run);
/* There are rows; what is over, or has no pair any more, goes within the transaction of COMMIT. */
bool run_refused_any(const struct run *run);
int run_refused_release(struct run *run);
/* Clears what is of one pass. */
void run_refused_clear(struct run_side *side);
void run_refused_done(struct run_side *side);

/* run-brake.c */
/* What clients have removed, from the database; what OPEN is about to see is not more. */
void run_removals_load(struct run *run);
/* It is carried out; within the transaction of COMMIT. */
int run_removals_forget(struct run *run);
/* So much has vanished that the mailbox is held (or the database failed): the run has failed. */
bool run_brake_holds(struct run *run);

/* run-echo.c */
/* What this program has expunged, from the database. */
void run_echoes_load(struct run *run);
/* Asks, behind OPEN's SELECT, for the pairs of what was expunged. */
void run_echoes_ask(struct run_side *side);
/* After CONFIRM: what is gone because of ourselves is no reason to expunge its pair. */
void run_echoes_judge(struct run *run);
/* There is something to write; it is written, within the transaction of COMMIT. */
bool run_echoes_any(const struct run *run);
int run_echoes_write(struct run *run);

/* run-adopt.c */
bool run_adopt_wanted(struct run *run);
void run_adopt_list(struct run *run);
/* Asks for whole headers where the listing is ambiguous; false when there is nothing (more) to ask.
 */
bool run_adopt_refine(struct run *run);
bool run_adopt_pair(struct run *run);

/* run-new.c */
/* Takes what is told of a new message; what is not enough is asked for once more. */
void run_take_item(struct run_side *side, const struct response *response);
/* Finds the UIDs that may be new; which of very many exist is asked for; submits requests or none.
 */
void run_new_search(struct run *run);
/* Takes the batch of this pass; false if its size depends on other runs, which wake this one. */
bool run_new_cut(struct run *run);
/* Asks for its metadata; submits requests or none. */
void run_new_metadata(struct run *run);

/* run-quarantine.c */
/* What is left alone, and what is due; before OPEN.  False: failed. */
bool run_quarantine_load(struct run *run);
/* This message of `source` is left alone, for the rest of the run too; its item is NULL where only
 * the UID is known.  False if that could not be written down (or the run has failed): UIDNEXT stays
 * behind it then. */
bool run_quarantine(struct run_side *source, enum quarantine_kind kind, uint32_t uid,
	const struct item *item, const char *words);
/* It was taken there, and its UID is not known yet: written down without a word, so that it is not
 * sent again, whatever happens.  Within the caller's transaction; 0 or -errno. */
int run_quarantine_doubt(struct run_side *source, const struct item *item);
/* It has been looked for in vain: said, and left alone. */
bool run_quarantine_give_up(struct run_side *source, uint32_t uid);
/* It has crossed, or is gone: its rows go.  0 or -errno. */
int run_quarantine_release(struct run_side *source, uint32_t uid);
/* What is due counts as new, and what is left alone does not.  False: failed. */
bool run_quarantine_add_due(struct run_side *side);
/* The server does not give this message, or what is to be known of it: left alone, unless that is
 * about more than the message.  `otherwise` says what is wrong with an OK. */
void run_refuse_fetch(struct run_side *side, uint32_t uid, const struct item *item,
	const struct command *command, const char *otherwise);
/* Of what should be new, and brought no metadata, asks which is there; then for the metadata of
 * each alone.  They submit requests or none; false: failed. */
void run_untold_ask(struct run *run);
bool run_untold_asked(struct run *run);

/* run-twins.c */
/* Pairs new messages that are on both sides, before they are copied. */
void run_pair_twins(struct run *run);

/* run-unmatched.c */
/*
 * Names the messages that a side reports as changed and that should be in the database, and are
 * not.  Right after OPEN: what other runs move away from here is out of the database later on.
 */
void run_unmatched_say(struct run *run);

/* run-moved.c */
/* Asks for what is gone, on the other sides; submits requests or none. */
void run_moved_ask(struct run *run);
void run_moved_asked(struct run *run);
/* Moves the next messages that are to come here; false when there are none. */
bool run_moved_send(struct run *run);
/* Of a pair, what was asked of it. */
void run_moved_identify(struct run_side *side, struct offer *offer, const struct identity *identity,
	const struct response *response);
/* Selects the mailbox to move or copy from, on the other side, in a view of the run's own. */
void run_moved_select(struct run_side *side, const char *wire_name);
/* Writes down what became of them. */
void run_moved_sent(struct run *run);
/* All are moved, as far as that could be done: the rest is copied like any new message. */
void run_moved_done(struct run *run);
/* Others have taken theirs: what is gone beyond that may be on its way, too. */
void run_moved_over(struct run *run);
/* Frees what it holds of a side. */
void run_moved_clear(struct run_side *side);

/* run-copied.c */
/* Finds new messages that are copies of others, and asks for what is to be copied likewise; false
 * if there are none. */
bool run_copied_ask(struct run *run);
/* They are among the takes, for run_moved_send(). */
void run_copied_asked(struct run *run);
/* The mailbox that is copied from; NULL: it is gone. */
struct mailbox *run_copied_from(const struct run_side *side);

/* run-apply.c */
/* Asks again for exactly the vanished messages; submits requests or none. */
void run_confirm(struct run *run);
void run_confirmed(struct run *run);
/* Decides.  False: failed (held).  When it had to ask for flags first, barrier.waiting > 0: call it
 * again then. */
bool run_plan(struct run *run);
void run_apply(struct run *run);
/* "what 3 UID(s) 1:2,7 more", for a person. */
void run_log_set(
	struct run_side *side, const char *what, const struct seqset *uids, const char *more);
/* Moves the database on; false: failed. */
bool run_commit(struct run *run);

#endif
