/* SPDX-License-Identifier: MIT */
/* What follows from both mailbox lists: creating, subscribing, and which mailboxes have something
 * to do. */
#include <stdlib.h>
#include <string.h>

#include "sync/base/xalloc.h"
#include "sync/engine/engine-private.h"
#include "sync/engine/quarantine.h"
#include "sync/engine/unresolved.h"
#include "sync/imap/mailbox.h"
#include "sync/plan/mailboxes.h"

/* The plan's input; what a refused deed of a client holds is left out. */
static struct plan_listed *plan_input(
	const struct journal *journal, struct listing *listing, size_t *ret_count)
{
	struct plan_listed *input = xcalloc(HASH_COUNT(listing->entries), sizeof(*input));
	struct listed *entry, *next;
	size_t count = 0;

	HASH_ITER (hh, listing->entries, entry, next) {
		if (journal_reserves(journal, entry->name, entry->len))
			continue;
		input[count++] = (struct plan_listed){
			.name = entry->name,
			.len = entry->len,
			.selectable = listed_is_selectable(entry),
			.subscribed = (entry->attributes & LIST_SUBSCRIBED) != 0,
		};
	}
	*ret_count = count;
	return input;
}

static struct plan_known *known_input(struct engine *engine, size_t *ret_count)
{
	struct plan_known *input = xcalloc(HASH_COUNT(engine->mailboxes), sizeof(*input));
	struct mailbox *mailbox, *next;
	size_t count = 0;

	HASH_ITER (hh, engine->mailboxes, mailbox, next) {
		if (journal_reserves(&engine->journal, mailbox->name, mailbox->len))
			continue;
		input[count++] = (struct plan_known){.name = mailbox->name,
			.len = mailbox->len,
			.subscribed = mailbox->subscribed};
	}
	*ret_count = count;
	return input;
}

static void make_plan(struct engine *engine)
{
	size_t local_count, remote_count, known_count;
	const struct journal *journal = &engine->journal;
	_cleanup_free_ struct plan_listed *local =
		plan_input(journal, &engine->local_listing, &local_count);
	_cleanup_free_ struct plan_listed *remote =
		plan_input(journal, &engine->remote_listing, &remote_count);
	_cleanup_free_ struct plan_known *known = known_input(engine, &known_count);

	free(take(engine->tree));
	plan_mailboxes(local, local_count, remote, remote_count, known, known_count, &engine->tree,
		&engine->tree_count);
}

static bool is_create(const struct plan_mailbox *operation)
{
	return operation->action == MAILBOX_CREATE_LOCAL ||
	       operation->action == MAILBOX_CREATE_REMOTE;
}

/* A command of the tree: `operation` points into engine->tree. */
struct tree_request {
	struct request request;
	struct engine *engine;
	const struct plan_mailbox *operation;
};

static char *display_name(struct engine *engine, const struct plan_mailbox *operation)
{
	return mailbox_for_person(operation->name, operation->len, engine->local.delimiter);
}

static bool on_tree(struct request *request)
{
	struct tree_request *tree = container_of(request, struct tree_request, request);
	struct engine *engine = tree->engine;
	struct command *command = &request->command;
	_cleanup_free_ char *name = display_name(engine, tree->operation);
	_cleanup_free_ char *reason = command_reason(command);
	_cleanup_free_ char *text = command_describe(command);

	text[strcspn(text, " ")] = '\0';
	if (command->outcome == OUTCOME_OK) {
		log_info(SIDE_CONTEXT(request->side, name), "%s",
			is_create(tree->operation) ? "Created" : text);
		/* It may have a subscription from an earlier life, which no list showed. */
		if (is_create(tree->operation))
			watch_verify_later(engine);
		return true;
	}
	if (command->outcome == OUTCOME_LOST || command->outcome == OUTCOME_CANCELLED)
		return false;
	if (is_create(tree->operation) && command->code == CODE_ALREADYEXISTS)
		return true;
	log_error(SIDE_CONTEXT(request->side, name),
		"the server refused %s (%s): it is tried again next time", text, reason);
	engine->incomplete = true;
	engine->tree_failed[tree->operation - engine->tree] = true;
	return true;
}

static void submit_tree(struct engine *engine, struct side *side,
	const struct plan_mailbox *operation, const char *verb)
{
	_cleanup_free_ char *wire = side_wire_name(side, operation->name, operation->len);
	struct tree_request *tree;

	if (wire == NULL) {
		_cleanup_free_ char *name = display_name(engine, operation);

		log_error(SIDE_CONTEXT(side, name),
			"the name cannot be expressed on this server: rename the "
			"mailbox on the other side");
		engine->incomplete = true;
		engine->tree_failed[operation - engine->tree] = true;
		return;
	}
	tree = request_new(&engine->barrier, side, sizeof(*tree), on_tree);
	tree->engine = engine;
	tree->operation = operation;
	command_printf(&tree->request.command, "%s ", verb);
	command_mailbox(&tree->request.command, wire);
	request_submit(&tree->request);
}

/* Every account has an INBOX (RFC 3501 section 5.1): a list without it, when the other side has it,
 * comes from a server whose storage is not there. */
static bool lacks_inbox(struct side *side)
{
	struct side *other = side->remote ? &side->engine->local : &side->engine->remote;

	return listing_find(side_listing(side), "INBOX", 5) == NULL &&
	       listing_find(side_listing(other), "INBOX", 5) != NULL;
}

static void say_gone(struct engine *engine, struct side *side, const struct mailbox *mailbox)
{
	_cleanup_free_ char *what_to_do = missing_advice(engine, mailbox);

	log_error(SIDE_CONTEXT(side, mailbox->display),
		"the mailbox disappeared from the %s server; the %s server still has it, and "
		"nothing is deleted. %s",
		side->name, side->remote ? "local" : "remote", what_to_do);
}

static void say_missing(
	struct engine *engine, const struct plan_mailbox *operation, struct side *side)
{
	struct mailbox *mailbox = engine_find_mailbox(engine, operation->name, operation->len);
	bool is_inbox = mailbox_name_equal(operation->name, operation->len, "INBOX", 5);

	engine->incomplete = true;
	if (mailbox != NULL) {
		mailbox->listed = false;
		mailbox->absent_since = 0;
		mailbox->missing = side;
	}
	if (mailbox == NULL || (!is_inbox && lacks_inbox(side)) ||
		(mailbox->missing_said && engine->order == NULL))
		return;
	mailbox->missing_said = true;
	if (is_inbox) {
		log_error(SIDE_CONTEXT(side, mailbox->display),
			"the server does not list it: is its storage there? Nothing is deleted for "
			"what it does not list");
		return;
	}
	say_gone(engine, side, mailbox);
}

static void begin_operation(struct engine *engine, const struct plan_mailbox *operation)
{
	switch (operation->action) {
	case MAILBOX_CREATE_LOCAL:
		submit_tree(engine, &engine->local, operation, "CREATE");
		break;
	case MAILBOX_CREATE_REMOTE:
		submit_tree(engine, &engine->remote, operation, "CREATE");
		break;
	case MAILBOX_SUBSCRIBE_LOCAL:
		submit_tree(engine, &engine->local, operation, "SUBSCRIBE");
		break;
	case MAILBOX_SUBSCRIBE_REMOTE:
		submit_tree(engine, &engine->remote, operation, "SUBSCRIBE");
		break;
	case MAILBOX_UNSUBSCRIBE_LOCAL:
		submit_tree(engine, &engine->local, operation, "UNSUBSCRIBE");
		break;
	case MAILBOX_UNSUBSCRIBE_REMOTE:
		submit_tree(engine, &engine->remote, operation, "UNSUBSCRIBE");
		break;
	case MAILBOX_MISSING_LOCAL:
		say_missing(engine, operation, &engine->local);
		break;
	case MAILBOX_MISSING_REMOTE:
		say_missing(engine, operation, &engine->remote);
		break;
	case MAILBOX_REMEMBER:
	case MAILBOX_SET_SUBSCRIBED:
	case MAILBOX_SYNC:
		break; /* after the servers have answered */
	}
}

/* They are found anew; a list of named mailboxes says nothing of the others. */
static void forget_missing(struct engine *engine)
{
	struct mailbox *mailbox, *next;

	HASH_ITER (hh, engine->mailboxes, mailbox, next)
		if (engine->asked.mailboxes == NULL)
			mailbox->missing = NULL;
}

bool engine_tree_begin(struct engine *engine)
{
	make_plan(engine);
	absence_wait(engine);
	if (absence_is_doubtful(engine)) {
		network_connect_anew(engine, "several mailboxes are not listed any more");
		return false;
	}
	engine->local.believed = engine->remote.believed = true;
	forget_missing(engine);
	free(engine->tree_failed);
	engine->tree_failed = xcalloc(engine->tree_count, sizeof(*engine->tree_failed));
	for (size_t i = 0; i < engine->tree_count; i++)
		begin_operation(engine, &engine->tree[i]);
	return true;
}

int engine_add_mailbox(struct engine *engine, const char *name, size_t len, bool subscribed)
{
	struct mailbox_row row = {.name = (char *)name, .len = len, .subscribed = subscribed};
	struct mailbox *mailbox;
	int r = mailboxes_insert(engine->db, name, len, subscribed, &row.idx);

	if (r < 0)
		return r;
	mailbox = mailbox_new(&row, engine->local.delimiter);
	mailbox->subscribed = subscribed;
	HASH_ADD_KEYPTR(hh, engine->mailboxes, mailbox->name, mailbox->len, mailbox);
	return 0;
}

static int set_subscribed(struct engine *engine, const struct plan_mailbox *operation)
{
	struct mailbox *mailbox = engine_find_mailbox(engine, operation->name, operation->len);

	if (mailbox == NULL)
		return 0;
	mailbox->subscribed = operation->subscribed;
	return mailboxes_set_subscribed(engine->db, mailbox->idx, operation->subscribed);
}

/* What the listing knows of a mailbox; one that was just created has no STATUS yet, and is looked
 * at. */
static void note_listed(struct mailbox_side *side, struct mailbox *mailbox, struct listing *listing)
{
	const struct listed *entry = listing_find(listing, mailbox->name, mailbox->len);

	side->seen = (struct mailbox_state){0};
	side->disposable = false;
	if (entry == NULL)
		return;
	side->seen = entry->status;
	side->disposable = (entry->attributes & (LIST_TRASH | LIST_JUNK)) != 0;
}

static void sync_mailbox(struct engine *engine, const struct plan_mailbox *operation)
{
	struct mailbox *mailbox = engine_find_mailbox(engine, operation->name, operation->len);

	if (mailbox == NULL)
		return; /* it could not be created */
	mailbox->listed = true;
	mailbox->noted = false;
	mailbox->absent_since = 0;
	if (mailbox->missing != NULL) { /* it is back */
		mailbox->held = false;
		mailbox->held_since = 0;
	}
	mailbox->missing = NULL;
	mailbox->missing_said = false;
	note_listed(&mailbox->local, mailbox, &engine->local_listing);
	note_listed(&mailbox->remote, mailbox, &engine->remote_listing);
	if (mailbox_is_clean(mailbox))
		mailbox_note_in_step(mailbox);
	if (engine_order_wants(engine, mailbox) || !mailbox_is_clean(mailbox) ||
		quarantine_calls(mailbox))
		engine_queue_mailbox(engine, mailbox);
}

static int remember(struct engine *engine, const struct plan_mailbox *operation)
{
	_cleanup_free_ char *name = display_name(engine, operation);
	int r = engine_add_mailbox(engine, operation->name, operation->len, operation->subscribed);

	if (r == 0)
		log_info(DATABASE_CONTEXT(engine), "Created mailbox %s", name);
	return r;
}

static int end_operation(struct engine *engine, const struct plan_mailbox *operation)
{
	switch (operation->action) {
	case MAILBOX_REMEMBER:
		return remember(engine, operation);
	case MAILBOX_SET_SUBSCRIBED:
		return set_subscribed(engine, operation);
	case MAILBOX_SYNC:
		sync_mailbox(engine, operation);
		return 0;
	default:
		return 0;
	}
}

static bool same_mailbox(const struct plan_mailbox *one, const struct plan_mailbox *other)
{
	return mailbox_name_equal(one->name, one->len, other->name, other->len);
}

bool engine_tree_end(struct engine *engine)
{
	struct mailbox *mailbox, *next;
	bool create_failed = false, subscribe_failed = false;
	int r = db_begin(engine->db);

	/* Of the others, a list of named mailboxes says nothing. */
	HASH_ITER (hh, engine->mailboxes, mailbox, next)
		mailbox->listed &= engine->asked.mailboxes != NULL || mailbox->absent_since != 0;
	for (size_t i = 0; i < engine->tree_count && r >= 0; i++) {
		const struct plan_mailbox *operation = &engine->tree[i];

		if (i == 0 || !same_mailbox(&engine->tree[i - 1], operation))
			create_failed = subscribe_failed = false;
		if (engine->tree_failed[i] && is_create(operation))
			create_failed = true;
		else if (engine->tree_failed[i])
			subscribe_failed = true;
		/* A refused subscription does not keep the messages from being synchronised. */
		if (!create_failed &&
			!(subscribe_failed && operation->action == MAILBOX_SET_SUBSCRIBED))
			r = end_operation(engine, operation);
	}
	if (r >= 0)
		r = objectid_remember(engine);
	if (r >= 0)
		r = db_commit(engine->db);
	if (r < 0) {
		db_rollback(engine->db);
		return false;
	}
	return true;
}
