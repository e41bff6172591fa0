/* SPDX-License-Identifier: MIT */
/* Between the files of run/: what each phase of a run (run.c) does, file by file. */
#ifndef INTERIMAP_RUN_RUN_PRIVATE_H
#define INTERIMAP_RUN_RUN_PRIVATE_H

#include "sync/run/run.h"

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
/* One transaction of what write() does, which returns 0 or more, or -errno; false: it failed, and
 * the run ends. */
bool run_transact(struct run *run, int (*write)(void *context), void *context);

static inline struct mailbox_state *run_base(struct run_side *side)
{
	return &mailbox_side(side->run->mailbox, side->side->remote)->base;
}

/* fetch.c */
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

/* open.c */
void run_open(struct run *run);
/* Evaluates what OPEN brought; false: failed. */
bool run_opened(struct run *run);

/* The UIDVALIDITY of a side is another one: nothing was evaluated. */
bool run_is_renewed(struct run *run);
/* Which a person must resolve. */
void run_fail_renewed(struct run_side *side);

/* renew.c */
/* Lists both sides (run_adopt_refine() goes on); submits requests or none. */
void run_renew_list(struct run *run);
/* Pairs them anew: the run begins again.  Or it is over, with a deed noted (run->straddled), or
 * failed: false. */
bool run_renew_pair(struct run *run);

/* settle.c */
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

/* repair.c */
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

/* late.c */
/* Takes out of the new messages what is there twice because it arrived late. */
void run_late_find(struct run *run);
/* It is expunged: the database forgets it, within the transaction of COMMIT. */
int run_late_write(struct run *run);

/* expunge.c */
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

/* store.c */
/* Sets the flags of these messages to that list. */
void run_store(struct run_side *side, const struct seqset *uids, const struct flags *flags);

/* refused.c */
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

/* brake.c */
/* What clients have removed, from the database; what OPEN is about to see is not more. */
void run_removals_load(struct run *run);
/* It is carried out; within the transaction of COMMIT. */
int run_removals_forget(struct run *run);
/* So much has vanished that the mailbox is held (or the database failed): the run has failed. */
bool run_brake_holds(struct run *run);

/* echo.c */
/* What this program has expunged, from the database. */
void run_echoes_load(struct run *run);
/* Asks, behind OPEN's SELECT, for the pairs of what was expunged. */
void run_echoes_ask(struct run_side *side);
/* After CONFIRM: what is gone because of ourselves is no reason to expunge its pair. */
void run_echoes_judge(struct run *run);
/* There is something to write; it is written, within the transaction of COMMIT. */
bool run_echoes_any(const struct run *run);
int run_echoes_write(struct run *run);

/* adopt.c */
bool run_adopt_wanted(struct run *run);
void run_adopt_list(struct run *run);
/* Asks for whole headers where the listing is ambiguous; false when there is nothing (more) to ask.
 */
bool run_adopt_refine(struct run *run);
bool run_adopt_pair(struct run *run);

/* new.c */
/* Takes what is told of a new message; what is not enough is asked for once more. */
void run_take_item(struct run_side *side, const struct response *response);
/* Finds the UIDs that may be new; which of very many exist is asked for; submits requests or none.
 */
void run_new_search(struct run *run);
/* Takes the batch of this pass; false if its size depends on other runs, which wake this one. */
bool run_new_cut(struct run *run);
/* Asks for its metadata; submits requests or none. */
void run_new_metadata(struct run *run);

/* quarantine.c */
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

/* twins.c */
/* Pairs new messages that are on both sides, before they are copied. */
void run_pair_twins(struct run *run);

/* unmatched.c */
/*
 * Names the messages that a side reports as changed and that should be in the database, and are
 * not.  Right after OPEN: what other runs move away from here is out of the database later on.
 */
void run_unmatched_say(struct run *run);

/* moved.c */
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

/* copied.c */
/* Finds new messages that are copies of others, and asks for what is to be copied likewise; false
 * if there are none. */
bool run_copied_ask(struct run *run);
/* They are among the takes, for run_moved_send(). */
void run_copied_asked(struct run *run);
/* The mailbox that is copied from; NULL: it is gone. */
struct mailbox *run_copied_from(const struct run_side *side);

/* apply.c */
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
