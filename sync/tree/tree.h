/* SPDX-License-Identifier: MIT */
/*
 * The mailbox lists of both servers, and what follows from them: which mailboxes were renamed or
 * deleted while nobody looked, which are to be created and subscribed to, and which have something
 * to do.  An order may be to change the mailboxes themselves instead (edit.c).
 */
#ifndef INTERIMAP_TREE_TREE_H
#define INTERIMAP_TREE_TREE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "sync/core/core.h"
#include "sync/tree/listing.h"

struct barrier;
struct mailbox_name;
struct verification;

/* The messages of a mailbox that is deleted, and those that the other side does not have. */
struct edit_loss {
	uint64_t messages, alone;
};

/* How far --delete or --rename has come. */
struct edit {
	unsigned stage;
	bool *failed; /* by the index of the name */
	bool *done; /* likewise: anywhere */
	struct edit_loss *losses; /* likewise, local and remote */
	struct view views[2]; /* local, remote: of what is counted */
	bool local_renamed, remote_renamed;
	bool local_was_renamed, remote_was_renamed; /* before */
};

struct tree {
	struct core *core;
	struct barrier *barrier; /* the engine's: it counts all that is asked here */
	struct listing local, remote;
	struct plan_mailbox *plan; /* what is being done */
	size_t plan_count;
	bool *failed; /* by its index */
	bool created; /* something was, which may have a subscription from an earlier life */
	bool unsettled; /* a server refused something, or its list is not to be relied on */
	unsigned unsettled_looks; /* so many in a row */
	bool schema_ready;
	struct edit edit;
	struct verification *verification; /* --verify, under way; or NULL */
};

/* What that side's list says. */
static inline struct listing *side_listing(struct side *side)
{
	return side->remote ? &side->core->tree->remote : &side->core->tree->local;
}

void tree_init(struct tree *tree, struct core *core, struct barrier *barrier);
void tree_done(struct tree *tree);

/* list.c: asks one side. */
void tree_list(struct tree *tree, struct side *side);
/* When all that was asked is answered: true if there is more to ask, now that both delimiters are
 * known. */
bool tree_list_on(struct tree *tree);
/* doubt.c: asks once more for what was listed without a STATUS; false if there is (now) nothing to
 * ask. */
bool tree_doubt(struct tree *tree);
/* list.c: the lists are there, and so is the schema.  False: it cannot go on, which the engine has
 * been told (core_owner.failed). */
bool tree_prepare(struct tree *tree);
/* Whether a new mailbox of that name is among those that are synchronised, without asking.  False
 * if it is for the server's LIST to say. */
bool tree_is_in_scope(const struct tree *tree, const struct mailbox_name *name);
/* Whether such a name belongs to another account of the same local store. */
bool tree_is_foreign(const struct tree *tree, const struct mailbox_name *name);

/* absence.c: a known mailbox is now only a level of the hierarchy: notes its deletion. */
void absence_note_levels(struct tree *tree);
/* objectid.c: 0 (or 1), or -errno of the database. */
/* Asks for the identifiers that are needed and not known; 1 if it has asked. */
int objectid_ask(struct tree *tree);
/* Notes what was renamed at the remote, as far as its identifiers tell; both lists are there. */
int objectid_note_renamed(struct tree *tree);
/* identity.c: notes a renaming that the lists show by UIDVALIDITY, if any. */
void identity_note_renamed(struct tree *tree);
/* It gave way to another one, and is to be renamed again. */
bool is_makeshift(const struct mailbox_name *name);

enum tree_begun {
	TREE_BEGUN,
	TREE_ASKS, /* what a list lacks, by name: call it again when the barrier is free */
	TREE_DOUBTS, /* one of the lists: both connections are to be made anew */
};

/* reconcile.c: both lists are there, and prepared: decides, and submits what is to be created and
 * subscribed. */
enum tree_begun tree_begin(struct tree *tree);
/* It is done: mailboxes become known, and those that are not up to date are queued; false: the
 * database failed. */
bool tree_end(struct tree *tree);

/* edit.c: what an order is to do with the mailboxes themselves. */
void edit_begin(struct tree *tree);
/* All that was submitted is answered: goes on.  False when it is over, however it went (see
 * core.incomplete). */
bool edit_on(struct tree *tree);
/* Frees what it held, before the next one. */
void edit_done(struct tree *tree);

/* Whether the order is --verify: nothing is written then. */
static inline bool core_verifies(const struct core *core)
{
	return core->asked.kind == JOB_VERIFY;
}

#endif
