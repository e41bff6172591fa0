/* SPDX-License-Identifier: MIT */
/*
 * --delete and --rename: one change to the mailboxes on each chosen target where they exist,
 * instead of synchronising.
 *
 * The local server comes first, then the remote one, then the database, and what one refuses is not
 * done on those behind it: a mailbox that is still in the database is never created again by the
 * next sync, but reported as having disappeared.
 */
#include <stdlib.h>
#include <string.h>

#include "sync/base/xalloc.h"
#include "sync/imap/mailbox.h"
#include "sync/tree/tree-private.h"

bool change_name(struct tree *tree, size_t index, struct mailbox_name *ret)
{
	const char *name = tree->core->asked.mailboxes[index];

	return mailbox_from_wire((struct slice){.data = name, .len = strlen(name)},
		tree->core->local.delimiter, "", ret);
}

struct listed *change_find_listed(struct side *side, const struct mailbox_name *name)
{
	return listing_find(side_listing(side), name->data, name->len);
}

void change_refuse(struct tree *tree, size_t index)
{
	tree->core->incomplete = true;
	tree->edit.failed[index] = true;
}

void change_submit(struct side *side, size_t index, const char *verb, const char *wire,
	const char *to_wire, bool (*completed)(struct request *))
{
	struct change_request *change =
		request_new(side->core->tree->barrier, side, sizeof(*change), completed);

	change->index = index;
	command_about(&change->request.command, verb, wire, to_wire);
	request_submit(&change->request);
}

static bool on_deleted(struct request *request)
{
	size_t index = container_of(request, struct change_request, request)->index;
	struct tree *tree = request->side->core->tree;
	const char *name = tree->core->asked.mailboxes[index];
	_cleanup_free_ char *reason = NULL;

	if (request->command.outcome == OUTCOME_LOST ||
		request->command.outcome == OUTCOME_CANCELLED)
		return false;
	if (request->command.outcome == OUTCOME_OK) {
		tree->edit.done[index] = true;
		log_notice(SIDE_CONTEXT(request->side, NULL), "Deleted mailbox %s", name);
		loss_say(request->side, index);
		return true;
	}
	if (command_names_nothing(&request->command)) {
		/* Gone since it was listed: by somebody else, or by the same command over a
		 * connection that was lost before the answer. */
		tree->edit.done[index] = true;
		log_notice(SIDE_CONTEXT(request->side, NULL), "Mailbox %s is gone already", name);
		return true;
	}
	reason = command_reason(&request->command);
	log_error(
		SIDE_CONTEXT(request->side, NULL), "Couldn't delete mailbox %s: %s", name, reason);
	change_refuse(tree, index);
	return true;
}

/* Not recursive (RFC 3501 section 6.3.4); what cannot be selected is only a place for its children.
 */
static void delete_on(
	struct side *side, size_t index, const struct mailbox_name *name, enum change_stage stage)
{
	const struct listed *listed = change_find_listed(side, name);
	_cleanup_free_ char *wire = side_wire_name(side, name->data, name->len);

	if (listed == NULL || wire == NULL || !listed_is_selectable(listed))
		return;
	if (stage == CHANGE_COUNT)
		loss_ask(side, index, wire);
	else
		change_submit(side, index, "DELETE", wire, NULL, on_deleted);
}

static int delete_known(struct tree *tree, size_t index, const struct mailbox_name *name)
{
	struct mailbox *mailbox = core_find_mailbox(tree->core, name->data, name->len);
	int r;

	r = journal_drop(tree->core->journal, name);
	if (mailbox == NULL || r < 0)
		return r;
	r = mailboxes_delete(tree->core->db, mailbox->idx);
	if (r < 0)
		return r;
	core_forget_mailbox(tree->core, mailbox);
	tree->edit.done[index] = true;
	log_notice(DATABASE_CONTEXT(tree->core), "Removed mailbox %s",
		tree->core->asked.mailboxes[index]);
	return 0;
}

/* Before anything is deleted. */
static void check_deletions(struct tree *tree)
{
	const char *const *names = tree->core->asked.mailboxes;

	for (size_t i = 0; names[i] != NULL; i++) {
		struct mailbox_name name = {0};

		if (!change_name(tree, i, &name)) {
			log_error(
				CORE_CONTEXT(tree->core), "Invalid mailbox name \"%s\"", names[i]);
			change_refuse(tree, i);
		} else if (mailbox_name_equal(name.data, name.len, "INBOX", 5) &&
			   (tree->core->asked.local || tree->core->asked.remote)) {
			log_error(CORE_CONTEXT(tree->core), "%s can't be deleted", names[i]);
			change_refuse(tree, i);
		}
		free(name.data);
	}
}

static int delete_at(struct tree *tree, enum change_stage stage)
{
	const struct job *job = &tree->core->asked;
	int r = 0;

	for (size_t i = 0; job->mailboxes[i] != NULL && r >= 0; i++) {
		struct mailbox_name name;

		if (tree->edit.failed[i] || !change_name(tree, i, &name))
			continue;
		if ((stage == CHANGE_COUNT || stage == CHANGE_LOCAL) && job->local)
			delete_on(&tree->core->local, i, &name, stage);
		if ((stage == CHANGE_COUNT || stage == CHANGE_REMOTE) && job->remote)
			delete_on(&tree->core->remote, i, &name, stage);
		if (stage == CHANGE_DATABASE && job->database)
			r = delete_known(tree, i, &name);
		free(name.data);
	}
	return r;
}

static void say_not_found(struct tree *tree)
{
	const struct job *job = &tree->core->asked;

	for (size_t i = 0; job->mailboxes[i] != NULL; i++) {
		if (!tree->edit.done[i] && !tree->edit.failed[i])
			log_notice(CORE_CONTEXT(tree->core),
				"There is no mailbox %s on any target: nothing to %s",
				job->mailboxes[i], job->kind == JOB_DELETE ? "delete" : "rename");
		if (job->kind == JOB_RENAME)
			return;
	}
}

static int change_at(struct tree *tree, enum change_stage stage)
{
	if (tree->core->asked.kind == JOB_RENAME)
		return rename_at(tree, stage);
	if (stage == CHANGE_CHECK)
		check_deletions(tree);
	return delete_at(tree, stage);
}

static int write_change(void *context)
{
	return change_at(context, CHANGE_DATABASE);
}

static int change_database(struct tree *tree)
{
	int r = db_transact(tree->core->db, write_change, tree);

	journal_dropped(tree->core->journal, r >= 0);
	return r;
}

void edit_begin(struct tree *tree)
{
	size_t count = 0;

	edit_done(tree);
	if (core_verifies(tree->core)) {
		verify_begin(tree);
		return;
	}
	while (tree->core->asked.mailboxes[count] != NULL)
		count++;
	tree->edit = (struct edit){
		.stage = CHANGE_CHECK,
		.failed = xcalloc(count, sizeof(*tree->edit.failed)),
		.done = xcalloc(count, sizeof(*tree->edit.done)),
		.losses = xcalloc(2 * count, sizeof(*tree->edit.losses)),
	};
}

bool edit_on(struct tree *tree)
{
	if (core_verifies(tree->core))
		return verify_on(tree);
	while (tree->edit.stage < CHANGE_OVER && tree->barrier->waiting == 0) {
		enum change_stage stage = tree->edit.stage++;
		int r = stage == CHANGE_DATABASE ? change_database(tree) : change_at(tree, stage);

		if (r < 0) {
			log_error(DATABASE_CONTEXT(tree->core), "%s", db_error(tree->core->db));
			tree->core->incomplete = true;
			return false;
		}
	}
	if (tree->barrier->waiting > 0)
		return true;
	say_not_found(tree);
	return false;
}

void edit_done(struct tree *tree)
{
	free(take(tree->edit.failed));
	free(take(tree->edit.done));
	free(take(tree->edit.losses));
	for (size_t i = 0; i < ARRAY_LEN(tree->edit.views); i++) {
		side_forget_view(
			i == 0 ? &tree->core->local : &tree->core->remote, &tree->edit.views[i]);
		view_done(&tree->edit.views[i]);
	}
	verify_done(tree);
}
