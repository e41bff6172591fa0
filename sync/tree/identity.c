/* SPDX-License-Identifier: MIT */
/*
 * A mailbox that has another name now is followed by its UIDVALIDITY (plan_renames()), be it that
 * nobody was connected, or that names changed hands: A to C, B to A, C to B ends as two mailboxes
 * that have been there all along, and of that NOTIFY tells nothing that could be used.
 *
 * One renaming is noted at a look, and the lists are looked at again after it: so each is decided
 * from what is there, and nothing has to be remembered if the program ends in between.  In a ring,
 * one mailbox gives way first, to a name of its own.
 */
#include <stdlib.h>
#include <string.h>

#include "sync/base/xalloc.h"
#include "sync/core/subtree.h"
#include "sync/plan/renames.h"
#include "sync/tree/tree-private.h"

enum {
	/* Before a run of it succeeds: a server may refuse, or others may rename it back. */
	ATTEMPTS_MAX = 4,
	RING_MAX = 16, /* mailboxes that have each other's names */
};

/* What gives way in a ring is called so until its name is free. */
static const char makeshift[] = "-interimap-renaming";

bool is_makeshift(const struct mailbox_name *name)
{
	size_t len = sizeof(makeshift) - 1;

	return name->len > len && memcmp(name->data + name->len - len, makeshift, len) == 0;
}

struct look {
	struct tree *tree;
	struct side *side, *other; /* where it was renamed, and where it is to be */
	struct plan_place *known, *listed;
	size_t known_count, listed_count;
	struct plan_rename *renames;
	size_t count;
};

static struct plan_place place(const char *name, size_t len, const struct mailbox_state *state)
{
	return (struct plan_place){.name = name,
		.len = len,
		.uidvalidity = state->uidvalidity,
		.uidnext = state->uidnext,
		.highestmodseq = state->highestmodseq};
}

static void fill(struct look *look)
{
	struct tree *tree = look->tree;
	struct listing *listing = side_listing(look->side);
	struct mailbox *mailbox, *next;
	struct listed *entry, *after;

	look->known = xcalloc(HASH_COUNT(tree->core->mailboxes), sizeof(*look->known));
	look->listed = xcalloc(HASH_COUNT(listing->entries), sizeof(*look->listed));
	HASH_ITER (hh, tree->core->mailboxes, mailbox, next)
		look->known[look->known_count++] = place(mailbox->name, mailbox->len,
			&mailbox_side(mailbox, look->side->remote)->base);
	HASH_ITER (hh, listing->entries, entry, after)
		if (listed_is_selectable(entry))
			look->listed[look->listed_count++] =
				place(entry->name, entry->len, &entry->status);
}

/* The other side has it under the old name, and nobody is busy with either. */
static bool may_rename(const struct look *look, const struct plan_rename *rename)
{
	struct tree *tree = look->tree;
	struct mailbox *mailbox =
		core_find_mailbox(tree->core, rename->from->name, rename->from->len);
	struct mailbox *target = core_find_mailbox(tree->core, rename->to->name, rename->to->len);
	const struct listed *there =
		listing_find(side_listing(look->other), rename->from->name, rename->from->len);
	const struct mailbox_name from = {
		.data = (char *)rename->from->name, .len = rename->from->len};

	/* Dovecot does not rename INBOX, and nobody has another mailbox of that name. */
	if (mailbox_name_equal(from.data, from.len, "INBOX", 5) ||
		mailbox_name_equal(rename->to->name, rename->to->len, "INBOX", 5))
		return false;
	return mailbox->renaming.attempts < ATTEMPTS_MAX && there != NULL &&
	       listed_is_selectable(there) &&
	       there->status.uidvalidity ==
		       mailbox_side(mailbox, look->other->remote)->base.uidvalidity &&
	       !subtree_has(&from, rename->to->name, rename->to->len) &&
	       !journal_holds(tree->core->journal, mailbox) &&
	       (target == NULL || !journal_holds(tree->core->journal, target));
}

static bool is_free(const struct look *look, const struct mailbox_name *name)
{
	const struct listed *there = listing_find(side_listing(look->other), name->data, name->len);

	return core_find_mailbox(look->tree->core, name->data, name->len) == NULL &&
	       (there == NULL || !listed_is_selectable(there));
}

/* What is to become of the mailbox whose name is wanted. */
static const struct plan_rename *next_of(const struct look *look, const struct plan_rename *rename)
{
	const struct mailbox *mailbox =
		core_find_mailbox(look->tree->core, rename->to->name, rename->to->len);

	return mailbox != NULL && mailbox->renaming.found != 0
		       ? &look->renames[mailbox->renaming.found - 1]
		       : NULL;
}

/* Each waits for the next to give way, and the last for the first. */
static bool is_ring(const struct look *look, const struct plan_rename *first)
{
	const struct plan_rename *rename = first;

	for (size_t i = 0; i < RING_MAX && rename != NULL; i++) {
		if (!may_rename(look, rename))
			return false;
		rename = next_of(look, rename);
		if (rename == first)
			return true;
	}
	return false;
}

/* By mailbox, for next_of(). */
static void index_renames(const struct look *look)
{
	struct mailbox *mailbox, *next;

	HASH_ITER (hh, look->tree->core->mailboxes, mailbox, next)
		mailbox->renaming.found = 0;
	for (size_t i = 0; i < look->count; i++) {
		const struct plan_place *from = look->renames[i].from;

		core_find_mailbox(look->tree->core, from->name, from->len)->renaming.found = i + 1;
	}
}

static void note(
	const struct look *look, const struct plan_rename *rename, const struct mailbox_name *to)
{
	const struct mailbox_name from = {
		.data = (char *)rename->from->name, .len = rename->from->len};
	struct mailbox *mailbox =
		core_find_mailbox(look->tree->core, rename->from->name, rename->from->len);

	mailbox->renaming.attempts++;
	journal_note_of(look->tree->core->journal, ACTION_RENAME, look->side->remote, &from, to,
		rename->from->uidvalidity);
}

/* The highest first: what is below goes with it. */
static const struct plan_rename *first_free(const struct look *look)
{
	const struct plan_rename *found = NULL;

	for (size_t i = 0; i < look->count; i++) {
		const struct plan_rename *rename = &look->renames[i];
		const struct mailbox_name to = {
			.data = (char *)rename->to->name, .len = rename->to->len};

		if ((found == NULL || rename->from->len < found->from->len) &&
			may_rename(look, rename) && is_free(look, &to))
			found = rename;
	}
	return found;
}

static bool note_first_free(const struct look *look)
{
	const struct plan_rename *rename = first_free(look);

	if (rename == NULL)
		return false;
	note(look, rename,
		&(const struct mailbox_name){
			.data = (char *)rename->to->name, .len = rename->to->len});
	return true;
}

static void break_ring(const struct look *look)
{
	index_renames(look);
	for (size_t i = 0; i < look->count; i++) {
		const struct plan_place *from = look->renames[i].from;
		_cleanup_free_ char *bytes = NULL;
		struct mailbox_name name;

		if (!is_ring(look, &look->renames[i]))
			continue;
		bytes = xmalloc(from->len + sizeof(makeshift));
		memcpy(bytes, from->name, from->len);
		memcpy(bytes + from->len, makeshift, sizeof(makeshift));
		name = (struct mailbox_name){
			.data = bytes, .len = from->len + sizeof(makeshift) - 1};
		if (!is_free(look, &name))
			continue;
		note(look, &look->renames[i], &name);
		return;
	}
}

static void look_at(struct tree *tree, struct side *side, struct side *other)
{
	struct look look = {.tree = tree, .side = side, .other = other};

	fill(&look);
	plan_renames(look.known, look.known_count, look.listed, look.listed_count, &look.renames,
		&look.count);
	if (look.count > 0 && !note_first_free(&look))
		break_ring(&look);
	free(look.renames);
	free(look.known);
	free(look.listed);
}

/* A ring was broken, and the program ended, or was refused something, before it was closed. */
static bool is_begun(const struct tree *tree)
{
	const struct mailbox *mailbox;

	for (mailbox = tree->core->mailboxes; mailbox != NULL; mailbox = mailbox->hh.next)
		if (is_makeshift(&(const struct mailbox_name){
			    .data = mailbox->name, .len = mailbox->len}))
			return true;
	return false;
}

void identity_note_renamed(struct tree *tree)
{
	/* A list of named mailboxes says nothing of others. */
	if (tree->core->asked.mailboxes != NULL || job_is_edit(&tree->core->asked))
		return;
	if (!tree->core->options->follow && !is_begun(tree))
		return;
	look_at(tree, &tree->core->remote, &tree->core->local);
	look_at(tree, &tree->core->local, &tree->core->remote);
}
