/* SPDX-License-Identifier: MIT */
#include "sync/base/xalloc.h"
#include "sync/core/subtree.h"
#include "sync/tree/tree-private.h"

/* Dovecot collects what it reports with NOTIFY for half a second. */
static const double ABSENCE_SECONDS = 1;

bool is_absence(const struct plan_mailbox *operation)
{
	return operation->action == MAILBOX_MISSING_LOCAL ||
	       operation->action == MAILBOX_MISSING_REMOTE;
}

struct side *absence_side(struct tree *tree, const struct plan_mailbox *operation)
{
	return operation->action == MAILBOX_MISSING_REMOTE ? &tree->core->remote
							   : &tree->core->local;
}

/* Nothing is waited for where nothing would be followed, or where a person waits. */
static bool will_tell(const struct tree *tree, const struct side *side)
{
	return tree->core->options->follow && !tree->core->ordered && side->notified &&
	       side_can_notify(side);
}

static bool is_recent(struct tree *tree, struct mailbox *mailbox)
{
	ev_tstamp now = ev_now(tree->core->loop->ev);

	if (mailbox->presence.absent_since == 0 && mailbox->presence.listed)
		mailbox->presence.absent_since = now;
	return mailbox->presence.absent_since != 0 &&
	       now - mailbox->presence.absent_since < ABSENCE_SECONDS;
}

static bool has_child(struct tree *tree, struct side *side, const struct mailbox_name *name)
{
	struct mailbox *other, *next;

	HASH_ITER (hh, tree->core->mailboxes, other, next) {
		struct listed *entry;

		if (other->len == name->len || !subtree_has(name, other->name, other->len))
			continue;
		entry = listing_find(side_listing(side), other->name, other->len);
		if (entry != NULL && listed_is_selectable(entry))
			return true;
	}
	return false;
}

/* It was a mailbox when this connection looked before. */
static void note_level(struct tree *tree, struct side *side, struct mailbox *mailbox)
{
	const struct listed *entry = listing_find(side_listing(side), mailbox->name, mailbox->len);
	const struct mailbox_name name = {.data = mailbox->name, .len = mailbox->len};

	if (entry == NULL || listed_is_selectable(entry) || !mailbox->presence.listed ||
		mailbox->presence.noted || !will_tell(tree, side) ||
		journal_holds(tree->core->journal, mailbox) || !has_child(tree, side, &name))
		return;
	mailbox->presence.noted = true;
	journal_note(tree->core->journal, ACTION_DELETE, side->remote, &name, NULL);
}

/* What is deleted while it has children remains as their parent (RFC 3501 section 6.3.4), and of
 * that Dovecot 2.3 tells nothing by NOTIFY. */
void absence_note_levels(struct tree *tree)
{
	struct mailbox *mailbox, *next;

	HASH_ITER (hh, tree->core->mailboxes, mailbox, next) {
		note_level(tree, &tree->core->local, mailbox);
		note_level(tree, &tree->core->remote, mailbox);
	}
}

/* What was renamed has its new name on that side only. */
static bool is_new(struct tree *tree, struct side *side, const struct plan_mailbox *operation)
{
	struct side *other = side->remote ? &tree->core->local : &tree->core->remote;

	return core_find_mailbox(tree->core, operation->name, operation->len) == NULL &&
	       listing_find(side_listing(side), operation->name, operation->len) != NULL &&
	       listing_find(side_listing(other), operation->name, operation->len) == NULL;
}

/* The side whose list may be about to be explained; NULL if this is nothing to wait for. */
static struct side *unsure_side(struct tree *tree, const struct plan_mailbox *operation)
{
	struct side *side = absence_side(tree, operation);
	struct mailbox *mailbox = NULL;

	if (is_absence(operation) && will_tell(tree, side))
		mailbox = core_find_mailbox(tree->core, operation->name, operation->len);
	return mailbox != NULL && is_recent(tree, mailbox) ? side : NULL;
}

void absence_wait(struct tree *tree)
{
	struct side *local = NULL, *remote = NULL;
	size_t kept = 0;

	for (size_t i = 0; i < tree->plan_count; i++) {
		struct side *side = unsure_side(tree, &tree->plan[i]);

		if (side != NULL)
			*(side->remote ? &remote : &local) = side;
	}
	for (size_t i = 0; i < tree->plan_count; i++) {
		const struct plan_mailbox operation = tree->plan[i];

		if (unsure_side(tree, &operation) == NULL &&
			!(local != NULL && is_new(tree, local, &operation)) &&
			!(remote != NULL && is_new(tree, remote, &operation)))
			tree->plan[kept++] = operation;
	}
	tree->plan_count = kept;
	if (local != NULL || remote != NULL)
		core_look_in(tree->core, ABSENCE_SECONDS);
}

/* A mailbox that this connection listed before, and that nobody deleted. */
static bool is_unexplained(struct tree *tree, const struct plan_mailbox *operation)
{
	const struct mailbox *mailbox;

	if (!is_absence(operation) || !absence_side(tree, operation)->believed)
		return false;
	mailbox = core_find_mailbox(tree->core, operation->name, operation->len);
	return mailbox != NULL && mailbox->presence.listed && !mailbox->presence.missing_said;
}

bool absence_is_doubtful(struct tree *tree)
{
	unsigned count = 0;

	if (!tree->core->options->reconnect || tree->core->ordered)
		return false;
	for (size_t i = 0; i < tree->plan_count; i++)
		count += is_unexplained(tree, &tree->plan[i]);
	return count > 1;
}
