/* SPDX-License-Identifier: MIT */
#include "sync/base/xalloc.h"
#include "sync/engine/engine-private.h"
#include "sync/engine/subtree.h"
#include "sync/plan/mailboxes.h"

/* Dovecot collects what it reports with NOTIFY for half a second. */
static const double ABSENCE_SECONDS = 1;

static bool is_absence(const struct plan_mailbox *operation)
{
	return operation->action == MAILBOX_MISSING_LOCAL ||
	       operation->action == MAILBOX_MISSING_REMOTE;
}

static struct side *side_of_absence(struct engine *engine, const struct plan_mailbox *operation)
{
	return operation->action == MAILBOX_MISSING_REMOTE ? &engine->remote : &engine->local;
}

/* Nothing is waited for where nothing would be followed, or where a person waits. */
static bool will_tell(const struct engine *engine, const struct side *side)
{
	return engine->options->follow && engine->order == NULL && side->notified &&
	       watch_can_notify(side);
}

static bool is_recent(struct engine *engine, struct mailbox *mailbox)
{
	ev_tstamp now = ev_now(engine->loop->ev);

	if (mailbox->absent_since == 0 && mailbox->listed)
		mailbox->absent_since = now;
	return mailbox->absent_since != 0 && now - mailbox->absent_since < ABSENCE_SECONDS;
}

static bool has_child(struct engine *engine, struct side *side, const struct mailbox_name *name)
{
	struct mailbox *other, *next;

	HASH_ITER (hh, engine->mailboxes, other, next) {
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
static void note_level(struct engine *engine, struct side *side, struct mailbox *mailbox)
{
	const struct listed *entry = listing_find(side_listing(side), mailbox->name, mailbox->len);
	const struct mailbox_name name = {.data = mailbox->name, .len = mailbox->len};

	if (entry == NULL || listed_is_selectable(entry) || !mailbox->listed || mailbox->noted ||
		!will_tell(engine, side) || journal_holds(&engine->journal, mailbox) ||
		!has_child(engine, side, &name))
		return;
	mailbox->noted = true;
	journal_note(&engine->journal, ACTION_DELETE, side->remote, &name, NULL);
}

/* What is deleted while it has children remains as their parent (RFC 3501 section 6.3.4), and of
 * that Dovecot 2.3 tells nothing by NOTIFY. */
void absence_note_levels(struct engine *engine)
{
	struct mailbox *mailbox, *next;

	HASH_ITER (hh, engine->mailboxes, mailbox, next) {
		note_level(engine, &engine->local, mailbox);
		note_level(engine, &engine->remote, mailbox);
	}
}

/* What was renamed has its new name on that side only. */
static bool is_new(struct engine *engine, struct side *side, const struct plan_mailbox *operation)
{
	struct side *other = side->remote ? &engine->local : &engine->remote;

	return engine_find_mailbox(engine, operation->name, operation->len) == NULL &&
	       listing_find(side_listing(side), operation->name, operation->len) != NULL &&
	       listing_find(side_listing(other), operation->name, operation->len) == NULL;
}

/* The side whose list may be about to be explained; NULL if this is nothing to wait for. */
static struct side *unsure_side(struct engine *engine, const struct plan_mailbox *operation)
{
	struct side *side = side_of_absence(engine, operation);
	struct mailbox *mailbox = NULL;

	if (is_absence(operation) && will_tell(engine, side))
		mailbox = engine_find_mailbox(engine, operation->name, operation->len);
	return mailbox != NULL && is_recent(engine, mailbox) ? side : NULL;
}

void absence_wait(struct engine *engine)
{
	struct side *local = NULL, *remote = NULL;
	size_t kept = 0;

	for (size_t i = 0; i < engine->tree_count; i++) {
		struct side *side = unsure_side(engine, &engine->tree[i]);

		if (side != NULL)
			*(side->remote ? &remote : &local) = side;
	}
	for (size_t i = 0; i < engine->tree_count; i++) {
		const struct plan_mailbox operation = engine->tree[i];

		if (unsure_side(engine, &operation) == NULL &&
			!(local != NULL && is_new(engine, local, &operation)) &&
			!(remote != NULL && is_new(engine, remote, &operation)))
			engine->tree[kept++] = operation;
	}
	engine->tree_count = kept;
	if (local != NULL || remote != NULL)
		watch_look_in(engine, ABSENCE_SECONDS);
}

/* A mailbox that this connection listed before, and that nobody deleted. */
static bool is_unexplained(struct engine *engine, const struct plan_mailbox *operation)
{
	const struct mailbox *mailbox;

	if (!is_absence(operation) || !side_of_absence(engine, operation)->believed)
		return false;
	mailbox = engine_find_mailbox(engine, operation->name, operation->len);
	return mailbox != NULL && mailbox->listed && !mailbox->missing_said;
}

bool absence_is_doubtful(struct engine *engine)
{
	unsigned count = 0;

	if (!engine->options->reconnect || engine->order != NULL)
		return false;
	for (size_t i = 0; i < engine->tree_count; i++)
		count += is_unexplained(engine, &engine->tree[i]);
	return count > 1;
}
