/* SPDX-License-Identifier: MIT */
/* What follows from both mailbox lists: creating, subscribing, and which mailboxes have something
 * to do. */
#include <stdlib.h>
#include <string.h>

#include "sync/base/xalloc.h"
#include "sync/core/advice.h"
#include "sync/core/quarantine.h"
#include "sync/imap/mailbox.h"
#include "sync/plan/mailboxes.h"
#include "sync/tree/tree-private.h"

/* When a service looks again at what was not settled: 5, 20 and 80 seconds later. */
#define UNSETTLED_LOOKS 3
#define UNSETTLED_SECONDS 5

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

static struct plan_known *known_input(struct tree *tree, size_t *ret_count)
{
	struct plan_known *input = xcalloc(HASH_COUNT(tree->core->mailboxes), sizeof(*input));
	struct mailbox *mailbox, *next;
	size_t count = 0;

	HASH_ITER (hh, tree->core->mailboxes, mailbox, next) {
		if (journal_reserves(tree->core->journal, mailbox->name, mailbox->len))
			continue;
		input[count++] = (struct plan_known){.name = mailbox->name,
			.len = mailbox->len,
			.subscribed = mailbox->subscribed};
	}
	*ret_count = count;
	return input;
}

static void make_plan(struct tree *tree)
{
	size_t local_count, remote_count, known_count;
	const struct journal *journal = tree->core->journal;
	_cleanup_free_ struct plan_listed *local = plan_input(journal, &tree->local, &local_count);
	_cleanup_free_ struct plan_listed *remote =
		plan_input(journal, &tree->remote, &remote_count);
	_cleanup_free_ struct plan_known *known = known_input(tree, &known_count);

	free(take(tree->plan));
	plan_mailboxes(local, local_count, remote, remote_count, known, known_count, &tree->plan,
		&tree->plan_count);
}

static bool is_create(const struct plan_mailbox *operation)
{
	return operation->action == MAILBOX_CREATE_LOCAL ||
	       operation->action == MAILBOX_CREATE_REMOTE;
}

/* A command of the tree: `operation` points into tree->plan. */
struct tree_request {
	struct request request;
	struct tree *tree;
	const struct plan_mailbox *operation;
};

static char *display_name(struct tree *tree, const struct plan_mailbox *operation)
{
	return mailbox_for_person(operation->name, operation->len, tree->core->local.delimiter);
}

static bool on_tree(struct request *request)
{
	struct tree_request *asked = container_of(request, struct tree_request, request);
	struct tree *tree = asked->tree;
	struct command *command = &request->command;
	_cleanup_free_ char *name = display_name(tree, asked->operation);
	_cleanup_free_ char *reason = command_reason(command);
	_cleanup_free_ char *text = command_describe(command);

	text[strcspn(text, " ")] = '\0';
	if (command->outcome == OUTCOME_OK) {
		log_info(SIDE_CONTEXT(request->side, name), "%s",
			is_create(asked->operation) ? "Created" : text);
		/* It may have a subscription from an earlier life, which no list showed. */
		if (is_create(asked->operation))
			tree->created = true;
		return true;
	}
	if (command->outcome == OUTCOME_LOST || command->outcome == OUTCOME_CANCELLED)
		return false;
	if (is_create(asked->operation) && command->code == CODE_ALREADYEXISTS)
		return true;
	log_error(SIDE_CONTEXT(request->side, name),
		"the server refused %s (%s): it is tried again next time", text, reason);
	tree->core->incomplete = true;
	tree->failed[asked->operation - tree->plan] = true;
	tree->unsettled = true;
	return true;
}

static void submit_tree(struct tree *tree, struct side *side, const struct plan_mailbox *operation,
	const char *verb)
{
	_cleanup_free_ char *wire = side_wire_name(side, operation->name, operation->len);
	struct tree_request *asked;

	if (wire == NULL) {
		_cleanup_free_ char *name = display_name(tree, operation);

		log_error(SIDE_CONTEXT(side, name),
			"the name cannot be expressed on this server: rename the "
			"mailbox on the other side");
		tree->core->incomplete = true;
		tree->failed[operation - tree->plan] = true;
		return;
	}
	asked = request_new(tree->barrier, side, sizeof(*asked), on_tree);
	asked->tree = tree;
	asked->operation = operation;
	command_about(&asked->request.command, verb, wire, NULL);
	request_submit(&asked->request);
}

/* Every account has an INBOX (RFC 3501 section 5.1): a list without it, when the other side has it,
 * comes from a server whose storage is not there. */
static bool lacks_inbox(struct side *side)
{
	struct side *other = core_side(side->core, !side->remote);

	return listing_find(side_listing(side), "INBOX", 5) == NULL &&
	       listing_find(side_listing(other), "INBOX", 5) != NULL;
}

static void say_gone(struct tree *tree, struct side *side, const struct mailbox *mailbox)
{
	_cleanup_free_ char *what_to_do = missing_advice(tree->core, mailbox);

	log_error(SIDE_CONTEXT(side, mailbox->display),
		"the mailbox disappeared from the %s server; the %s server still has it, and "
		"nothing is deleted. %s",
		side->name, side->remote ? "local" : "remote", what_to_do);
}

static void say_missing(struct tree *tree, const struct plan_mailbox *operation, struct side *side)
{
	struct mailbox *mailbox = core_find_mailbox(tree->core, operation->name, operation->len);
	bool is_inbox = mailbox_name_equal(operation->name, operation->len, "INBOX", 5);

	tree->core->incomplete = true;
	if (mailbox != NULL) {
		mailbox->presence.listed = false;
		mailbox->presence.absent_since = 0;
		mailbox->presence.missing = side;
	}
	if (mailbox == NULL || (!is_inbox && lacks_inbox(side)) ||
		(mailbox->presence.missing_said && !tree->core->ordered))
		return;
	mailbox->presence.missing_said = true;
	if (is_inbox) {
		log_error(SIDE_CONTEXT(side, mailbox->display),
			"the server does not list it: is its storage there? Nothing is deleted for "
			"what it does not list");
		return;
	}
	say_gone(tree, side, mailbox);
}

static void begin_operation(struct tree *tree, const struct plan_mailbox *operation)
{
	switch (operation->action) {
	case MAILBOX_CREATE_LOCAL:
		submit_tree(tree, &tree->core->local, operation, "CREATE");
		break;
	case MAILBOX_CREATE_REMOTE:
		submit_tree(tree, &tree->core->remote, operation, "CREATE");
		break;
	case MAILBOX_SUBSCRIBE_LOCAL:
		submit_tree(tree, &tree->core->local, operation, "SUBSCRIBE");
		break;
	case MAILBOX_SUBSCRIBE_REMOTE:
		submit_tree(tree, &tree->core->remote, operation, "SUBSCRIBE");
		break;
	case MAILBOX_UNSUBSCRIBE_LOCAL:
		submit_tree(tree, &tree->core->local, operation, "UNSUBSCRIBE");
		break;
	case MAILBOX_UNSUBSCRIBE_REMOTE:
		submit_tree(tree, &tree->core->remote, operation, "UNSUBSCRIBE");
		break;
	case MAILBOX_MISSING_LOCAL:
		say_missing(tree, operation, &tree->core->local);
		break;
	case MAILBOX_MISSING_REMOTE:
		say_missing(tree, operation, &tree->core->remote);
		break;
	case MAILBOX_REMEMBER:
	case MAILBOX_SET_SUBSCRIBED:
	case MAILBOX_SYNC:
		break; /* after the servers have answered */
	}
}

/* They are found anew; a list of named mailboxes says nothing of the others. */
static void forget_missing(struct tree *tree)
{
	struct mailbox *mailbox, *next;

	HASH_ITER (hh, tree->core->mailboxes, mailbox, next)
		if (tree->core->asked.mailboxes == NULL)
			mailbox->presence.missing = NULL;
}

enum tree_begun tree_begin(struct tree *tree)
{
	make_plan(tree);
	if (missing_ask(tree))
		return TREE_ASKS;
	absence_wait(tree);
	if (absence_is_doubtful(tree))
		return TREE_DOUBTS;
	tree->created = false;
	tree->core->local.believed = tree->core->remote.believed = true;
	forget_missing(tree);
	free(tree->failed);
	tree->failed = xcalloc(tree->plan_count, sizeof(*tree->failed));
	for (size_t i = 0; i < tree->plan_count; i++)
		begin_operation(tree, &tree->plan[i]);
	return TREE_BEGUN;
}

static int set_subscribed(struct tree *tree, const struct plan_mailbox *operation)
{
	struct mailbox *mailbox = core_find_mailbox(tree->core, operation->name, operation->len);

	if (mailbox == NULL)
		return 0;
	mailbox->subscribed = operation->subscribed;
	return mailboxes_set_subscribed(tree->core->db, mailbox->idx, operation->subscribed);
}

/* What the listing knows of a mailbox; one that was just created has no STATUS yet, and is looked
 * at. */
static void note_listed(struct mailbox_side *side, struct mailbox *mailbox, struct listing *listing)
{
	const struct listed *entry = listing_find(listing, mailbox->name, mailbox->len);

	side->seen = (struct mailbox_state){0};
	side->append_limit = 0;
	side->disposable = false;
	if (entry == NULL)
		return;
	side->seen = entry->status;
	side->append_limit = entry->append_limit;
	side->disposable = (entry->attributes & (LIST_TRASH | LIST_JUNK)) != 0;
}

/* It is to be run, be there something to do or not. */
static bool is_wanted(const struct core *core, struct mailbox *mailbox)
{
	const struct job *asked = &core->asked;

	mailbox->wishes.ordered = core->ordered;
	mailbox->wishes.deletions |= asked->allow_deletions;
	mailbox->wishes.repair |= asked->kind == JOB_REPAIR;
	/* A command that names mailboxes also tries what is left out of them. */
	return asked->allow_deletions || asked->kind == JOB_REPAIR ||
	       (asked->mailboxes != NULL &&
		       (core->ordered || (!core->first_done && mailbox->left_out.rows > 0)));
}

static void sync_mailbox(struct tree *tree, const struct plan_mailbox *operation)
{
	struct mailbox *mailbox = core_find_mailbox(tree->core, operation->name, operation->len);

	if (mailbox == NULL)
		return; /* it could not be created */
	if (mailbox->presence.missing != NULL || mailbox->presence.missing_said) { /* it is back */
		mailbox->result.held = false;
		mailbox->result.held_since = 0;
	}
	mailbox->presence = (struct mailbox_presence){.listed = true};
	note_listed(&mailbox->local, mailbox, &tree->local);
	note_listed(&mailbox->remote, mailbox, &tree->remote);
	if (mailbox_is_clean(mailbox))
		mailbox_note_in_step(mailbox);
	if (is_wanted(tree->core, mailbox) || !mailbox_is_clean(mailbox) ||
		quarantine_calls(mailbox))
		core_queue_mailbox(tree->core, mailbox);
}

static int remember(struct tree *tree, const struct plan_mailbox *operation)
{
	_cleanup_free_ char *name = display_name(tree, operation);
	int r = core_add_mailbox(
		tree->core, operation->name, operation->len, operation->subscribed);

	if (r == 0)
		log_info(DATABASE_CONTEXT(tree->core), "Created mailbox %s", name);
	return r;
}

static int end_operation(struct tree *tree, const struct plan_mailbox *operation)
{
	switch (operation->action) {
	case MAILBOX_REMEMBER:
		return remember(tree, operation);
	case MAILBOX_SET_SUBSCRIBED:
		return set_subscribed(tree, operation);
	case MAILBOX_SYNC:
		sync_mailbox(tree, operation);
		return 0;
	default:
		return 0;
	}
}

static bool same_mailbox(const struct plan_mailbox *one, const struct plan_mailbox *other)
{
	return mailbox_name_equal(one->name, one->len, other->name, other->len);
}

static int write_plan(void *context)
{
	struct tree *tree = context;
	bool create_failed = false, subscribe_failed = false;
	int r = 0;

	for (size_t i = 0; i < tree->plan_count && r >= 0; i++) {
		const struct plan_mailbox *operation = &tree->plan[i];

		if (i == 0 || !same_mailbox(&tree->plan[i - 1], operation))
			create_failed = subscribe_failed = false;
		if (tree->failed[i] && is_create(operation))
			create_failed = true;
		else if (tree->failed[i])
			subscribe_failed = true;
		/* A refused subscription does not keep the messages from being synchronised. */
		if (!create_failed &&
			!(subscribe_failed && operation->action == MAILBOX_SET_SUBSCRIBED))
			r = end_operation(tree, operation);
	}
	return r < 0 ? r : objectid_remember(tree);
}

/* What a server refuses may be a matter of the moment: Dovecot 2.4 finds no folder for a new mailbox
 * while another of its processes makes the one above it. */
static void look_again(struct tree *tree)
{
	tree->unsettled |= tree->local.ambiguous || tree->remote.ambiguous;
	if (!tree->unsettled)
		tree->unsettled_looks = 0;
	else if (tree->core->options->stay && tree->unsettled_looks < UNSETTLED_LOOKS)
		core_look_in(tree->core, UNSETTLED_SECONDS << 2 * tree->unsettled_looks++);
	tree->unsettled = false;
}

bool tree_end(struct tree *tree)
{
	struct mailbox *mailbox, *next;

	look_again(tree);
	/* Of the others, a list of named mailboxes says nothing. */
	HASH_ITER (hh, tree->core->mailboxes, mailbox, next)
		mailbox->presence.listed &=
			tree->core->asked.mailboxes != NULL || mailbox->presence.absent_since != 0;
	return db_transact(tree->core->db, write_plan, tree) >= 0;
}
