/* SPDX-License-Identifier: MIT */
/* What the files that do a run's work (pass/, carry/) have in common. */
#ifndef INTERIMAP_RUN_HELPERS_H
#define INTERIMAP_RUN_HELPERS_H

#include "sync/run/run.h"

struct run_request {
	struct request request;
	struct run_side *side;
};

/* The side of a command that is a run_request. */
static inline struct run_side *run_side_of(struct command *command)
{
	return container_of(command, struct run_request, request.command)->side;
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

/* The pairs of those of the set that have one are put behind those in the array, as in
 * mapping_in_range(); false: failed. */
bool run_pairs_of(
	struct run_side *side, const struct seqset *uids, struct uid_pair **pairs, size_t *count);

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
 * to arrivals.untold. */
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

#endif
