/* SPDX-License-Identifier: MIT */
/* Between the files of tree/. */
#ifndef INTERIMAP_TREE_TREE_PRIVATE_H
#define INTERIMAP_TREE_TREE_PRIVATE_H

#include "sync/core/request.h"
#include "sync/deeds/journal.h"
#include "sync/plan/mailboxes.h"
#include "sync/tree/tree.h"

/* absence.c */
bool is_absence(const struct plan_mailbox *operation);
/* Whose list lacks it. */
struct side *absence_side(struct tree *tree, const struct plan_mailbox *operation);
/*
 * A known mailbox that a list does not have any more was perhaps renamed or deleted a moment ago,
 * and the server is about to say so.  Takes out of the plan for a second what would come of it if
 * not: the absence, and what is new on that side.
 */
void absence_wait(struct tree *tree);
/*
 * Several known mailboxes are absent from what a server lists, and it told nothing of them.  Its
 * process may be at its wits' end: Dovecot's lists little more than INBOX for as long as it lives,
 * when many have renamed mailboxes at once and its index of them broke.  Another connection has
 * another process.
 */
bool absence_is_doubtful(struct tree *tree);

/* missing.c: asks for what a list lacks, once a list; true if there is anything to wait for, after which
 * the plan is to be made anew. */
bool missing_ask(struct tree *tree);

/* objectid.c: which identifiers the known mailboxes have; within a transaction. */
int objectid_remember(struct tree *tree);

/* The stages of --delete and --rename; each waits for the answers to the one before. */
enum change_stage {
	CHANGE_CHECK,
	CHANGE_COUNT, /* of a deletion: what goes with it */
	CHANGE_LOCAL,
	CHANGE_REMOTE,
	CHANGE_SUBSCRIPTIONS,
	CHANGE_DATABASE, /* last: until then it knows the old name */
	CHANGE_KNOWN, /* what is in memory follows */
	CHANGE_OVER,
};

/* edit.c: a command of the change; `index` is the mailbox's among the names given. */
struct change_request {
	struct request request;
	size_t index;
};
/* The name at an index, from the command line to the database's form; false if it is none. */
bool change_name(struct tree *tree, size_t index, struct mailbox_name *ret);
struct listed *change_find_listed(struct side *side, const struct mailbox_name *name);
/* Nothing (more) is done to that name. */
void change_refuse(struct tree *tree, size_t index);
/* "VERB wire" or "VERB wire to_wire". */
void change_submit(struct side *side, size_t index, const char *verb, const char *wire,
	const char *to_wire, bool (*completed)(struct request *));

/* loss.c: asks what the mailbox holds; and says what was lost with it, if anything. */
void loss_ask(struct side *side, size_t index, const char *wire);
void loss_say(struct side *side, size_t index);

/* rename.c: one stage; 0 (or more), or -errno of the database. */
int rename_at(struct tree *tree, enum change_stage stage);

/* verify.c: the same three as edit's, of --verify, which is a change that changes nothing. */
void verify_begin(struct tree *tree);
bool verify_on(struct tree *tree);
void verify_done(struct tree *tree);

#endif
