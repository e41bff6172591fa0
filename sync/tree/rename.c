/* SPDX-License-Identifier: MIT */
/*
 * --rename: with all its children, on each chosen target where it exists; subscriptions follow,
 * since servers leave them with the old names (RFC 3501 section 6.3.6).
 *
 * Nothing is renamed anywhere if the new name is taken on any of the targets, unless it is taken by
 * the mailbox itself: renamed there by somebody, or by us before we were cut off.  The database
 * comes last, so that until then it tells which mailbox that is, and the same command goes on.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "sync/base/xalloc.h"
#include "sync/core/advice.h"
#include "sync/core/subtree.h"
#include "sync/imap/mailbox.h"
#include "sync/tree/tree-private.h"

struct rename {
	struct tree *tree;
	const struct job *job;
	struct mailbox_name from, to;
};

static const char *old_name(const struct tree *tree)
{
	return tree->core->asked.mailboxes[0];
}

static const char *new_name(const struct tree *tree)
{
	return tree->core->asked.mailboxes[1];
}

static bool is_selectable_at(struct side *side, const struct mailbox_name *name)
{
	const struct listed *listed = change_find_listed(side, name);

	return listed != NULL && listed_is_selectable(listed);
}

/* It, or something below it.  Not all servers list a level that is no mailbox. */
static bool is_there(const struct rename *rename, struct side *side)
{
	struct listing *listing = side->remote ? &rename->tree->remote : &rename->tree->local;
	struct listed *entry, *next;

	HASH_ITER (hh, listing->entries, entry, next)
		if (subtree_has(&rename->from, entry->name, entry->len))
			return true;
	return false;
}

/* A target as the check sees it. */
struct place {
	const char *name;
	bool chosen, has_old, has_new;
	bool renamed; /* what has the new name is the mailbox itself */
};

/* Only what the database knows by its old name, is gone under that, and has not lost anything. */
static bool is_renamed_at(const struct rename *rename, struct side *side)
{
	const struct listed *listed = change_find_listed(side, &rename->to);
	struct tree *tree = rename->tree;
	struct mailbox *known = core_find_mailbox(tree->core, rename->from.data, rename->from.len);
	const struct mailbox_state *base;

	if (listed == NULL || known == NULL || is_there(rename, side) ||
		core_find_mailbox(tree->core, rename->to.data, rename->to.len) != NULL)
		return false;
	base = &mailbox_side(known, side->remote)->base;
	return base->uidvalidity != 0 && listed->status.uidvalidity == base->uidvalidity &&
	       listed->status.uidnext >= base->uidnext &&
	       listed->status.highestmodseq >= base->highestmodseq;
}

static void look(const struct rename *rename, struct place places[3])
{
	struct tree *tree = rename->tree;

	places[0] = (struct place){
		.name = "local",
		.chosen = rename->job->local,
		.has_old = is_there(rename, &tree->core->local),
		.has_new = is_selectable_at(&tree->core->local, &rename->to),
		.renamed = is_renamed_at(rename, &tree->core->local),
	};
	places[1] = (struct place){
		.name = "remote",
		.chosen = rename->job->remote,
		.has_old = is_there(rename, &tree->core->remote),
		.has_new = is_selectable_at(&tree->core->remote, &rename->to),
		.renamed = is_renamed_at(rename, &tree->core->remote),
	};
	places[2] = (struct place){
		.name = "database",
		.chosen = rename->job->database,
		.has_old = subtree_is_known(rename->tree->core, &rename->from),
		.has_new = core_find_mailbox(tree->core, rename->to.data, rename->to.len) != NULL,
	};
}

/* "local,database": where the old name is and the new one is not; NULL for nowhere. */
static char *places_to_rename(const struct place places[3])
{
	char *list = NULL;

	for (size_t i = 0; i < 3; i++) {
		char *longer;

		if (!places[i].chosen || !places[i].has_old || places[i].has_new)
			continue;
		longer = xasprintf("%s%s%s", list != NULL ? list : "", list != NULL ? "," : "",
			places[i].name);
		free(list);
		list = longer;
	}
	return list;
}

/* With --target. */
static char *advise(const struct tree *tree, const char *targets, const char *verb,
	const char *name, const char *other)
{
	_cleanup_free_ char *options = xasprintf("--target=%s %s", targets, verb);

	return advice(tree->core, options, name, other);
}

static void say_taken(struct tree *tree, const struct place *place, const char *others)
{
	_cleanup_free_ char *hint = NULL,
			    *command = advise(tree, place->name, "--delete", new_name(tree), NULL);

	/* To delete it would delete what was renamed by hand, or by us before we were cut off. */
	if (!place->has_old && others != NULL) {
		_cleanup_free_ char *rename =
			advise(tree, others, "--rename", old_name(tree), new_name(tree));

		hint = xasprintf(" If it is %s under its new name, run `%s` instead.",
			old_name(tree), rename);
	}
	log_error((&(struct log_context){.side = place->name}),
		"Mailbox %s exists. Run `%s` to delete.%s", new_name(tree), command,
		hint != NULL ? hint : "");
	change_refuse(tree, 0);
}

static void check_taken(const struct rename *rename)
{
	struct place places[3];
	_cleanup_free_ char *others = NULL;

	look(rename, places);
	others = places_to_rename(places);
	for (size_t i = 0; i < ARRAY_LEN(places); i++)
		if (places[i].chosen && places[i].has_new && !places[i].renamed)
			say_taken(rename->tree, &places[i], others);
	rename->tree->edit.local_was_renamed = places[0].chosen && places[0].renamed;
	rename->tree->edit.remote_was_renamed = places[1].chosen && places[1].renamed;
}

static void check_name_of(struct side *side, const struct mailbox_name *name, const char *text)
{
	_cleanup_free_ char *wire = side_wire_name(side, name->data, name->len);

	if (wire != NULL)
		return;
	log_error(SIDE_CONTEXT(side, NULL), "the name %s cannot be expressed on this server", text);
	change_refuse(side->core->tree, 0);
}

/* Returns how many rows were renamed, or -errno. */
static int rename_rows(const struct rename *rename)
{
	struct buf name;
	int r = subtree_rename_rows(rename->tree->core, &rename->from, &rename->to, &name);

	if (r == -EEXIST) {
		_cleanup_free_ char *text = mailbox_for_person(
			buf_data(&name), buf_len(&name), rename->tree->core->local.delimiter);

		_cleanup_free_ char *command =
			advise(rename->tree, "database", "--delete", text, NULL);

		log_error(DATABASE_CONTEXT(rename->tree->core),
			"Mailbox %s exists. Run `%s` to delete.", text, command);
		change_refuse(rename->tree, 0);
		buf_done(&name);
	}
	return r;
}

/* Whether the database will take the new names: it is tried, and taken back. */
static int check_rows(const struct rename *rename)
{
	int r = db_begin(rename->tree->core->db);

	if (r < 0)
		return r;
	r = rename_rows(rename);
	db_rollback(rename->tree->core->db);
	return r == -EEXIST || r > 0 ? 0 : r;
}

static int check(const struct rename *rename)
{
	struct tree *tree = rename->tree;

	if (rename->job->remote) {
		check_name_of(&tree->core->remote, &rename->from, old_name(tree));
		check_name_of(&tree->core->remote, &rename->to, new_name(tree));
	}
	check_taken(rename);
	if (tree->edit.failed[0] || !rename->job->database)
		return 0;
	return check_rows(rename);
}

static void say_half_done(struct tree *tree)
{
	_cleanup_free_ char *on = NULL, *undo = NULL;

	if (!tree->edit.local_renamed)
		return;
	on = advise(tree, tree->core->asked.database ? "remote,database" : "remote", "--rename",
		old_name(tree), new_name(tree));
	undo = advise(tree, "local", "--rename", new_name(tree), old_name(tree));
	log_error(SIDE_CONTEXT(&tree->core->local, NULL),
		"Mailbox %s is renamed already. Run `%s` to go on, or `%s` to undo it",
		old_name(tree), on, undo);
}

static bool on_renamed(struct request *request)
{
	struct tree *tree = request->side->core->tree;
	_cleanup_free_ char *reason = NULL;

	if (request->command.outcome == OUTCOME_LOST ||
		request->command.outcome == OUTCOME_CANCELLED)
		return false;
	if (request->command.outcome == OUTCOME_OK) {
		tree->edit.done[0] = true;
		if (request->side->remote)
			tree->edit.remote_renamed = true;
		else
			tree->edit.local_renamed = true;
		log_notice(SIDE_CONTEXT(request->side, NULL), "Renamed mailbox %s to %s",
			old_name(tree), new_name(tree));
		return true;
	}
	reason = command_reason(&request->command);
	log_error(SIDE_CONTEXT(request->side, NULL), "Couldn't rename mailbox %s: %s",
		old_name(tree), reason);
	if (request->side->remote)
		say_half_done(tree);
	change_refuse(tree, 0);
	return true;
}

static void rename_on(const struct rename *rename, struct side *side)
{
	_cleanup_free_ char *from = side_wire_name(side, rename->from.data, rename->from.len);
	_cleanup_free_ char *to = side_wire_name(side, rename->to.data, rename->to.len);

	if (from != NULL && to != NULL && is_there(rename, side))
		change_submit(side, 0, "RENAME", from, to, on_renamed);
}

static int rename_known(const struct rename *rename)
{
	int r = rename_rows(rename);

	if (r > 0)
		rename->tree->edit.done[0] = true;
	if (r > 0)
		log_notice(DATABASE_CONTEXT(rename->tree->core), "Renamed mailbox %s to %s",
			old_name(rename->tree), new_name(rename->tree));
	return r;
}

static bool on_subscribed(struct request *request)
{
	struct tree *tree = request->side->core->tree;
	_cleanup_free_ char *reason = NULL, *text = NULL;

	if (request->command.outcome != OUTCOME_NO && request->command.outcome != OUTCOME_BAD)
		return request->command.outcome == OUTCOME_OK;
	reason = command_reason(&request->command);
	text = command_describe(&request->command);
	log_error(SIDE_CONTEXT(request->side, NULL), "the server refused %s (%s)", text, reason);
	tree->core->incomplete = true;
	return true;
}

static void move_subscription(
	const struct rename *rename, struct side *side, const char *name, size_t len)
{
	_cleanup_free_ char *from = NULL, *to = NULL;
	struct buf renamed;

	if (!subtree_renamed(&rename->from, &rename->to, name, len, &renamed))
		return;
	from = side_wire_name(side, name, len);
	to = side_wire_name(side, buf_data(&renamed), buf_len(&renamed));
	buf_done(&renamed);
	if (from == NULL || to == NULL)
		return;
	change_submit(side, 0, "SUBSCRIBE", to, NULL, on_subscribed);
	change_submit(side, 0, "UNSUBSCRIBE", from, NULL, on_subscribed);
}

static void move_subscriptions(const struct rename *rename, struct side *side)
{
	struct listing *listing = side->remote ? &rename->tree->remote : &rename->tree->local;
	struct listed *entry, *next;

	HASH_ITER (hh, listing->entries, entry, next)
		if (entry->attributes & LIST_SUBSCRIBED)
			move_subscription(rename, side, entry->name, entry->len);
}

/* The list has the old names no more, subscribed or not. */
static void move_known_subscriptions(const struct rename *rename, struct side *side)
{
	struct mailbox *mailbox, *next;

	HASH_ITER (hh, rename->tree->core->mailboxes, mailbox, next)
		if (mailbox->subscribed)
			move_subscription(rename, side, mailbox->name, mailbox->len);
}

static int take_stage(const struct rename *rename, enum change_stage stage)
{
	struct tree *tree = rename->tree;

	switch (stage) {
	case CHANGE_CHECK:
		return check(rename);
	case CHANGE_LOCAL:
		if (rename->job->local)
			rename_on(rename, &tree->core->local);
		return 0;
	case CHANGE_REMOTE:
		if (rename->job->remote)
			rename_on(rename, &tree->core->remote);
		return 0;
	case CHANGE_DATABASE:
		return rename->job->database ? rename_known(rename) : 0;
	case CHANGE_KNOWN:
		if (rename->job->database)
			subtree_rename_known(tree->core, &rename->from, &rename->to);
		return 0;
	case CHANGE_COUNT:
	case CHANGE_SUBSCRIPTIONS:
	case CHANGE_OVER:
		break;
	}
	return 0;
}

/* Where it was renamed, whatever became of the other side. */
static void follow(const struct rename *rename)
{
	if (rename->tree->edit.local_renamed)
		move_subscriptions(rename, &rename->tree->core->local);
	if (rename->tree->edit.remote_renamed)
		move_subscriptions(rename, &rename->tree->core->remote);
	if (rename->tree->edit.local_was_renamed)
		move_known_subscriptions(rename, &rename->tree->core->local);
	if (rename->tree->edit.remote_was_renamed)
		move_known_subscriptions(rename, &rename->tree->core->remote);
}

int rename_at(struct tree *tree, enum change_stage stage)
{
	struct rename rename = {.tree = tree, .job = &tree->core->asked};
	int r = 0;

	if (!change_name(tree, 0, &rename.from) || !change_name(tree, 1, &rename.to)) {
		if (stage == CHANGE_CHECK)
			log_error(CORE_CONTEXT(tree->core), "Invalid mailbox name \"%s\"",
				rename.from.data == NULL ? old_name(tree) : new_name(tree));
		change_refuse(tree, 0);
	} else if (stage == CHANGE_SUBSCRIPTIONS) {
		follow(&rename);
	} else if (!tree->edit.failed[0]) {
		r = take_stage(&rename, stage);
	}
	free(rename.from.data);
	free(rename.to.data);
	return r;
}
