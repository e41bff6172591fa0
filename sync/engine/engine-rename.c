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
#include "sync/engine/advice.h"
#include "sync/engine/engine-private.h"
#include "sync/engine/subtree.h"
#include "sync/imap/mailbox.h"

struct rename {
	struct engine *engine;
	const struct engine_change *change;
	struct mailbox_name from, to;
};

static const char *old_name(const struct engine *engine)
{
	return engine->asked.change->names[0];
}

static const char *new_name(const struct engine *engine)
{
	return engine->asked.change->names[1];
}

static bool is_selectable_at(struct side *side, const struct mailbox_name *name)
{
	const struct listed *listed = change_find_listed(side, name);

	return listed != NULL && listed_is_selectable(listed);
}

/* It, or something below it.  Not all servers list a level that is no mailbox. */
static bool is_there(const struct rename *rename, struct side *side)
{
	struct listing *listing =
		side->remote ? &rename->engine->remote_listing : &rename->engine->local_listing;
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
	struct engine *engine = rename->engine;
	struct mailbox *known = engine_find_mailbox(engine, rename->from.data, rename->from.len);
	const struct mailbox_state *base;

	if (listed == NULL || known == NULL || is_there(rename, side) ||
		engine_find_mailbox(engine, rename->to.data, rename->to.len) != NULL)
		return false;
	base = &mailbox_side(known, side->remote)->base;
	return base->uidvalidity != 0 && listed->status.uidvalidity == base->uidvalidity &&
	       listed->status.uidnext >= base->uidnext &&
	       listed->status.highestmodseq >= base->highestmodseq;
}

static void look(const struct rename *rename, struct place places[3])
{
	struct engine *engine = rename->engine;

	places[0] = (struct place){
		.name = "local",
		.chosen = rename->change->local,
		.has_old = is_there(rename, &engine->local),
		.has_new = is_selectable_at(&engine->local, &rename->to),
		.renamed = is_renamed_at(rename, &engine->local),
	};
	places[1] = (struct place){
		.name = "remote",
		.chosen = rename->change->remote,
		.has_old = is_there(rename, &engine->remote),
		.has_new = is_selectable_at(&engine->remote, &rename->to),
		.renamed = is_renamed_at(rename, &engine->remote),
	};
	places[2] = (struct place){
		.name = "database",
		.chosen = rename->change->database,
		.has_old = subtree_is_known(rename->engine, &rename->from),
		.has_new = engine_find_mailbox(engine, rename->to.data, rename->to.len) != NULL,
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
static char *advise(const struct engine *engine, const char *targets, const char *verb,
	const char *name, const char *other)
{
	_cleanup_free_ char *options = xasprintf("--target=%s %s", targets, verb);

	return advice(engine, options, name, other);
}

static void say_taken(struct engine *engine, const struct place *place, const char *others)
{
	_cleanup_free_ char *hint = NULL, *command = advise(engine, place->name, "--delete",
						  new_name(engine), NULL);

	/* To delete it would delete what was renamed by hand, or by us before we were cut off. */
	if (!place->has_old && others != NULL) {
		_cleanup_free_ char *rename =
			advise(engine, others, "--rename", old_name(engine), new_name(engine));

		hint = xasprintf(" If it is %s under its new name, run `%s` instead.",
			old_name(engine), rename);
	}
	log_error((&(struct log_context){.side = place->name}),
		"Mailbox %s exists. Run `%s` to delete.%s", new_name(engine), command,
		hint != NULL ? hint : "");
	change_refuse(engine, 0);
}

static void check_taken(const struct rename *rename)
{
	struct place places[3];
	_cleanup_free_ char *others = NULL;

	look(rename, places);
	others = places_to_rename(places);
	for (size_t i = 0; i < ARRAY_LEN(places); i++)
		if (places[i].chosen && places[i].has_new && !places[i].renamed)
			say_taken(rename->engine, &places[i], others);
	rename->engine->change.local_was_renamed = places[0].chosen && places[0].renamed;
	rename->engine->change.remote_was_renamed = places[1].chosen && places[1].renamed;
}

static void check_name_of(struct side *side, const struct mailbox_name *name, const char *text)
{
	_cleanup_free_ char *wire = side_wire_name(side, name->data, name->len);

	if (wire != NULL)
		return;
	log_error(SIDE_CONTEXT(side, NULL), "the name %s cannot be expressed on this server", text);
	change_refuse(side->engine, 0);
}

/* Returns how many rows were renamed, or -errno. */
static int rename_rows(const struct rename *rename)
{
	struct buf name;
	int r = subtree_rename_rows(rename->engine, &rename->from, &rename->to, &name);

	if (r == -EEXIST) {
		_cleanup_free_ char *text = mailbox_for_person(
			buf_data(&name), buf_len(&name), rename->engine->local.delimiter);

		_cleanup_free_ char *command =
			advise(rename->engine, "database", "--delete", text, NULL);

		log_error(DATABASE_CONTEXT(rename->engine),
			"Mailbox %s exists. Run `%s` to delete.", text, command);
		change_refuse(rename->engine, 0);
		buf_done(&name);
	}
	return r;
}

/* Whether the database will take the new names: it is tried, and taken back. */
static int check_rows(const struct rename *rename)
{
	int r = db_begin(rename->engine->db);

	if (r < 0)
		return r;
	r = rename_rows(rename);
	db_rollback(rename->engine->db);
	return r == -EEXIST || r > 0 ? 0 : r;
}

static int check(const struct rename *rename)
{
	struct engine *engine = rename->engine;

	if (rename->change->remote) {
		check_name_of(&engine->remote, &rename->from, old_name(engine));
		check_name_of(&engine->remote, &rename->to, new_name(engine));
	}
	check_taken(rename);
	if (engine->change.failed[0] || !rename->change->database)
		return 0;
	return check_rows(rename);
}

static void say_half_done(struct engine *engine)
{
	_cleanup_free_ char *on = NULL, *undo = NULL;

	if (!engine->change.local_renamed)
		return;
	on = advise(engine, engine->asked.change->database ? "remote,database" : "remote",
		"--rename", old_name(engine), new_name(engine));
	undo = advise(engine, "local", "--rename", new_name(engine), old_name(engine));
	log_error(SIDE_CONTEXT(&engine->local, NULL),
		"Mailbox %s is renamed already. Run `%s` to go on, or `%s` to undo it",
		old_name(engine), on, undo);
}

static bool on_renamed(struct request *request)
{
	struct engine *engine = request->side->engine;
	_cleanup_free_ char *reason = NULL;

	if (request->command.outcome == OUTCOME_LOST ||
		request->command.outcome == OUTCOME_CANCELLED)
		return false;
	if (request->command.outcome == OUTCOME_OK) {
		engine->change.done[0] = true;
		if (request->side->remote)
			engine->change.remote_renamed = true;
		else
			engine->change.local_renamed = true;
		log_notice(SIDE_CONTEXT(request->side, NULL), "Renamed mailbox %s to %s",
			old_name(engine), new_name(engine));
		return true;
	}
	reason = command_reason(&request->command);
	log_error(SIDE_CONTEXT(request->side, NULL), "Couldn't rename mailbox %s: %s",
		old_name(engine), reason);
	if (request->side->remote)
		say_half_done(engine);
	change_refuse(engine, 0);
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
		rename->engine->change.done[0] = true;
	if (r > 0)
		log_notice(DATABASE_CONTEXT(rename->engine), "Renamed mailbox %s to %s",
			old_name(rename->engine), new_name(rename->engine));
	return r;
}

static bool on_subscribed(struct request *request)
{
	struct engine *engine = request->side->engine;
	_cleanup_free_ char *reason = NULL, *text = NULL;

	if (request->command.outcome != OUTCOME_NO && request->command.outcome != OUTCOME_BAD)
		return request->command.outcome == OUTCOME_OK;
	reason = command_reason(&request->command);
	text = command_describe(&request->command);
	log_error(SIDE_CONTEXT(request->side, NULL), "the server refused %s (%s)", text, reason);
	engine->incomplete = true;
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
	struct listing *listing =
		side->remote ? &rename->engine->remote_listing : &rename->engine->local_listing;
	struct listed *entry, *next;

	HASH_ITER (hh, listing->entries, entry, next)
		if (entry->attributes & LIST_SUBSCRIBED)
			move_subscription(rename, side, entry->name, entry->len);
}

/* The list has the old names no more, subscribed or not. */
static void move_known_subscriptions(const struct rename *rename, struct side *side)
{
	struct mailbox *mailbox, *next;

	HASH_ITER (hh, rename->engine->mailboxes, mailbox, next)
		if (mailbox->subscribed)
			move_subscription(rename, side, mailbox->name, mailbox->len);
}

static int rename_at(const struct rename *rename, enum change_stage stage)
{
	struct engine *engine = rename->engine;

	switch (stage) {
	case CHANGE_CHECK:
		return check(rename);
	case CHANGE_LOCAL:
		if (rename->change->local)
			rename_on(rename, &engine->local);
		return 0;
	case CHANGE_REMOTE:
		if (rename->change->remote)
			rename_on(rename, &engine->remote);
		return 0;
	case CHANGE_DATABASE:
		return rename->change->database ? rename_known(rename) : 0;
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
	if (rename->engine->change.local_renamed)
		move_subscriptions(rename, &rename->engine->local);
	if (rename->engine->change.remote_renamed)
		move_subscriptions(rename, &rename->engine->remote);
	if (rename->engine->change.local_was_renamed)
		move_known_subscriptions(rename, &rename->engine->local);
	if (rename->engine->change.remote_was_renamed)
		move_known_subscriptions(rename, &rename->engine->remote);
}

int engine_rename_at(struct engine *engine, enum change_stage stage)
{
	struct rename rename = {.engine = engine, .change = engine->asked.change};
	int r = 0;

	if (!change_name(engine, 0, &rename.from) || !change_name(engine, 1, &rename.to)) {
		if (stage == CHANGE_CHECK)
			log_error(ENGINE_CONTEXT(engine), "Invalid mailbox name \"%s\"",
				rename.from.data == NULL ? old_name(engine) : new_name(engine));
		change_refuse(engine, 0);
	} else if (stage == CHANGE_SUBSCRIPTIONS) {
		follow(&rename);
	} else if (!engine->change.failed[0]) {
		r = rename_at(&rename, stage);
	}
	free(rename.from.data);
	free(rename.to.data);
	return r;
}
