/* SPDX-License-Identifier: MIT */
/* Between the files of pass/: what each phase of a run (pass.c) does, file by file. */
#ifndef INTERIMAP_PASS_PASS_PRIVATE_H
#define INTERIMAP_PASS_PASS_PRIVATE_H

#include "sync/run/helpers.h"

/* open.c */
void run_open(struct run *run);
/* Evaluates what OPEN brought; false: failed. */
bool run_opened(struct run *run);

/* The UIDVALIDITY of a side is another one: nothing was evaluated. */
bool run_is_renewed(struct run *run);
/* Which a person must resolve. */
void run_fail_renewed(struct run_side *side);

/* renew.c */
/* Pairs anew what was listed by run_adopt_list(): the run begins again.  Or it is over, with a deed
 * noted (RUN_AFTER_CLIENTS), or failed: false. */
bool run_renew_pair(struct run *run);

/* settle.c */
/* Looks for messages in doubt; false if there are none. */
bool run_settle_look(struct run *run);
/* Evaluates a look; true when another one is due after a pause (settling.pause is started then). */
bool run_settle_looked(struct run *run);

/* dangling.c */
/* Up to where the flags of pairs are known, from the database. */
void run_in_step_load(struct run *run);
/* … and after this pass, which leaves the sides in these states. */
struct in_step run_in_step_reached(const struct run *run, const struct mailbox_state *local,
	const struct mailbox_state *remote);
/* The UIDNEXT up to which pairs are in step: that of the database, or a later one. */
uint32_t run_in_step_uidnext(struct run_side *side);
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
/* Lists both sides, whole or only what may be new (run_adopt_refine() goes on). */
void run_adopt_list(struct run *run, bool whole);
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

/* twins.c */
/* Pairs new messages that are on both sides, before they are copied. */
void run_pair_twins(struct run *run);

/* unmatched.c */
/*
 * Names the messages that a side reports as changed and that should be in the database, and are
 * not.  Right after OPEN: what other runs move away from here is out of the database later on.
 */
void run_unmatched_say(struct run *run);

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
