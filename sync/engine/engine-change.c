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
#include "sync/engine/engine-private.h"
#include "sync/imap/mailbox.h"

bool change_name(struct engine *engine, size_t index, struct mailbox_name *ret)
{
	const char *name = engine->asked.change->names[index];

	return mailbox_from_wire((struct slice){.data = name, .len = strlen(name)},
		engine->local.delimiter, "", ret);
}

struct listed *change_find_listed(struct side *side, const struct mailbox_name *name)
{
	return listing_find(side_listing(side), name->data, name->len);
}

void change_refuse(struct engine *engine, size_t index)
{
	engine->incomplete = true;
	engine->change.failed[index] = true;
}

void change_submit(struct side *side, size_t index, const char *verb, const char *wire,
	const char *to_wire, bool (*completed)(struct request *))
{
	struct change_request *change =
		request_new(&side->engine->barrier, side, sizeof(*change), completed);

	change->index = index;
	command_printf(&change->request.command, "%s ", verb);
	command_mailbox(&change->request.command, wire);
	if (to_wire != NULL) {
		command_puts(&change->request.command, " ");
		command_mailbox(&change->request.command, to_wire);
	}
	request_submit(&change->request);
}

static bool on_deleted(struct request *request)
{
	size_t index = container_of(request, struct change_request, request)->index;
	struct engine *engine = request->side->engine;
	const char *name = engine->asked.change->names[index];
	_cleanup_free_ char *reason = NULL;

	if (request->command.outcome == OUTCOME_LOST ||
		request->command.outcome == OUTCOME_CANCELLED)
		return false;
	if (request->command.outcome == OUTCOME_OK) {
		engine->change.done[index] = true;
		log_notice(SIDE_CONTEXT(request->side, NULL), "Deleted mailbox %s", name);
		loss_say(request->side, index);
		return true;
	}
	if (command_names_nothing(&request->command)) {
		/* Gone since it was listed: by somebody else, or by the same command over a
		 * connection that was lost before the answer. */
		engine->change.done[index] = true;
		log_notice(SIDE_CONTEXT(request->side, NULL), "Mailbox %s is gone already", name);
		return true;
	}
	reason = command_reason(&request->command);
	log_error(
		SIDE_CONTEXT(request->side, NULL), "Couldn't delete mailbox %s: %s", name, reason);
	change_refuse(engine, index);
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

static int delete_known(struct engine *engine, size_t index, const struct mailbox_name *name)
{
	struct mailbox *mailbox = engine_find_mailbox(engine, name->data, name->len);
	int r;

	r = journal_drop(&engine->journal, name);
	if (mailbox == NULL || r < 0)
		return r;
	r = mailboxes_delete(engine->db, mailbox->idx);
	if (r < 0)
		return r;
	engine_forget_mailbox(engine, mailbox);
	engine->change.done[index] = true;
	log_notice(
		DATABASE_CONTEXT(engine), "Removed mailbox %s", engine->asked.change->names[index]);
	return 0;
}

/* Before anything is deleted. */
static void check_deletions(struct engine *engine)
{
	const char *const *names = engine->asked.change->names;

	for (size_t i = 0; names[i] != NULL; i++) {
		struct mailbox_name name = {0};

		if (!change_name(engine, i, &name)) {
			log_error(ENGINE_CONTEXT(engine), "Invalid mailbox name \"%s\"", names[i]);
			change_refuse(engine, i);
		} else if (mailbox_name_equal(name.data, name.len, "INBOX", 5) &&
			   (engine->asked.change->local || engine->asked.change->remote)) {
			log_error(ENGINE_CONTEXT(engine), "%s can't be deleted", names[i]);
			change_refuse(engine, i);
		}
		free(name.data);
	}
}

static int delete_at(struct engine *engine, enum change_stage stage)
{
	const struct engine_change *change = engine->asked.change;
	int r = 0;

	for (size_t i = 0; change->names[i] != NULL && r >= 0; i++) {
		struct mailbox_name name;

		if (engine->change.failed[i] || !change_name(engine, i, &name))
			continue;
		if ((stage == CHANGE_COUNT || stage == CHANGE_LOCAL) && change->local)
			delete_on(&engine->local, i, &name, stage);
		if ((stage == CHANGE_COUNT || stage == CHANGE_REMOTE) && change->remote)
			delete_on(&engine->remote, i, &name, stage);
		if (stage == CHANGE_DATABASE && change->database)
			r = delete_known(engine, i, &name);
		free(name.data);
	}
	return r;
}

static void say_not_found(struct engine *engine)
{
	const struct engine_change *change = engine->asked.change;

	for (size_t i = 0; change->names[i] != NULL; i++) {
		if (!engine->change.done[i] && !engine->change.failed[i])
			log_notice(ENGINE_CONTEXT(engine),
				"There is no mailbox %s on any target: nothing to %s",
				change->names[i],
				change->kind == CHANGE_DELETE ? "delete" : "rename");
		if (change->kind == CHANGE_RENAME)
			return;
	}
}

static int change_at(struct engine *engine, enum change_stage stage)
{
	if (engine->asked.change->kind == CHANGE_RENAME)
		return engine_rename_at(engine, stage);
	if (stage == CHANGE_CHECK)
		check_deletions(engine);
	return delete_at(engine, stage);
}

static int change_database(struct engine *engine)
{
	int r = db_begin(engine->db);

	if (r >= 0)
		r = change_at(engine, CHANGE_DATABASE);
	if (r >= 0)
		r = db_commit(engine->db);
	if (r < 0)
		db_rollback(engine->db);
	journal_dropped(&engine->journal, r >= 0);
	return r;
}

void engine_change_begin(struct engine *engine)
{
	size_t count = 0;

	engine_change_done(engine);
	if (engine_verifies(engine)) {
		engine_verify_begin(engine);
		return;
	}
	while (engine->asked.change->names[count] != NULL)
		count++;
	engine->change = (struct change_progress){
		.stage = CHANGE_CHECK,
		.failed = xcalloc(count, sizeof(*engine->change.failed)),
		.done = xcalloc(count, sizeof(*engine->change.done)),
		.losses = xcalloc(2 * count, sizeof(*engine->change.losses)),
	};
}

bool engine_change_on(struct engine *engine)
{
	if (engine_verifies(engine))
		return engine_verify_on(engine);
	while (engine->change.stage < CHANGE_OVER && engine->barrier.waiting == 0) {
		enum change_stage stage = engine->change.stage++;
		int r = stage == CHANGE_DATABASE ? change_database(engine)
						 : change_at(engine, stage);

		if (r < 0) {
			log_error(DATABASE_CONTEXT(engine), "%s", db_error(engine->db));
			engine->incomplete = true;
			return false;
		}
	}
	if (engine->barrier.waiting > 0)
		return true;
	say_not_found(engine);
	return false;
}

void engine_change_done(struct engine *engine)
{
	free(take(engine->change.failed));
	free(take(engine->change.done));
	free(take(engine->change.losses));
	for (size_t i = 0; i < ARRAY_LEN(engine->change.views); i++) {
		side_forget_view(
			i == 0 ? &engine->local : &engine->remote, &engine->change.views[i]);
		view_done(&engine->change.views[i].view);
	}
	engine_verify_done(engine);
}
