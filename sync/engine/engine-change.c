/* SPDX-License-Identifier: MIT */
/* --delete and --rename: one change to the mailboxes on each chosen target where they exist,
 * instead of synchronising. */
#include <stdlib.h>
#include <string.h>

#include "sync/base/xalloc.h"
#include "sync/engine/engine-private.h"
#include "sync/imap/mailbox.h"

/* A command of the change; `index` is the mailbox's among the names given. */
struct change_request {
	struct request request;
	struct engine *engine;
	size_t index;
};

static bool name_at(struct engine *engine, size_t index, struct mailbox_name *ret)
{
	const char *name = engine->options->change->names[index];

	return mailbox_from_wire((struct slice){.data = name, .len = strlen(name)},
		engine->local.delimiter, "", ret);
}

static struct listed *find_listed(struct side *side, const struct mailbox_name *name)
{
	struct engine *engine = side->engine;

	return listing_find(side->remote ? &engine->remote_listing : &engine->local_listing,
		name->data, name->len);
}

static void refuse(struct engine *engine, size_t index)
{
	engine->incomplete = true;
	engine->change_failed[index] = true;
}

static bool on_changed(struct request *request)
{
	struct change_request *change = container_of(request, struct change_request, request);
	struct engine *engine = change->engine;
	const char *const *names = engine->options->change->names;
	bool rename = engine->options->change->kind == CHANGE_RENAME;
	_cleanup_free_ char *reason = command_reason(&request->command);

	if (request->command.outcome == OUTCOME_LOST ||
		request->command.outcome == OUTCOME_CANCELLED)
		return false;
	if (request->command.outcome == OUTCOME_OK && rename)
		log_notice(SIDE_CONTEXT(request->side, NULL), "Renamed mailbox %s to %s", names[0],
			names[1]);
	else if (request->command.outcome == OUTCOME_OK)
		log_notice(SIDE_CONTEXT(request->side, NULL), "Deleted mailbox %s",
			names[change->index]);
	else {
		log_error(SIDE_CONTEXT(request->side, NULL), "Couldn't %s mailbox %s (%s)",
			rename ? "rename" : "delete", names[change->index], reason);
		refuse(engine, change->index);
	}
	return true;
}

static struct change_request *new_request(struct engine *engine, struct side *side, size_t index)
{
	struct change_request *change =
		request_new(&engine->barrier, side, sizeof(*change), on_changed);

	change->engine = engine;
	change->index = index;
	return change;
}

/* Not recursive (RFC 3501 section 6.3.4); what cannot be selected is only a place for its children.
 */
static void delete_on(struct side *side, size_t index, const struct mailbox_name *name)
{
	const struct listed *listed = find_listed(side, name);
	_cleanup_free_ char *wire = side_wire_name(side, name->data, name->len);
	struct change_request *change;

	if (listed == NULL || wire == NULL || !listed_is_selectable(listed))
		return;
	change = new_request(side->engine, side, index);
	command_puts(&change->request.command, "DELETE ");
	command_mailbox(&change->request.command, wire);
	request_submit(&change->request);
}

static void begin_delete(struct engine *engine)
{
	const struct engine_change *change = engine->options->change;

	for (size_t i = 0; change->names[i] != NULL; i++) {
		struct mailbox_name name = {0};

		if (!name_at(engine, i, &name) ||
			mailbox_name_equal(name.data, name.len, "INBOX", 5)) {
			log_error(NULL, "%s can't be deleted", change->names[i]);
			refuse(engine, i);
			free(name.data);
			continue;
		}
		if (change->local)
			delete_on(&engine->local, i, &name);
		if (change->remote)
			delete_on(&engine->remote, i, &name);
		free(name.data);
	}
}

static int end_delete(struct engine *engine)
{
	const struct engine_change *change = engine->options->change;

	for (size_t i = 0; change->database && change->names[i] != NULL; i++) {
		struct mailbox_name name;
		struct mailbox *mailbox;
		int r;

		if (engine->change_failed[i] || !name_at(engine, i, &name))
			continue;
		mailbox = engine_find_mailbox(engine, name.data, name.len);
		free(name.data);
		if (mailbox == NULL)
			continue;
		r = mailboxes_delete(engine->db, mailbox->idx);
		if (r < 0)
			return r;
		log_notice((&(struct log_context){.side = "database"}), "Removed mailbox %s",
			change->names[i]);
	}
	return 0;
}

static bool refuse_destination(struct engine *engine, const char *target, bool exists)
{
	const char *name = engine->options->change->names[1];

	if (!exists)
		return false;
	log_error((&(struct log_context){.side = target}),
		"Mailbox %s exists. Run `interimap --target=%s --delete %s` to delete.", name,
		target, name);
	refuse(engine, 0);
	return true;
}

static bool is_there(struct side *side, const struct mailbox_name *name)
{
	const struct listed *listed = find_listed(side, name);

	return listed != NULL && !(listed->attributes & LIST_NONEXISTENT);
}

/* Nothing is renamed anywhere if the new name is taken on any chosen target. */
static bool check_destination(struct engine *engine, const struct mailbox_name *to)
{
	const struct engine_change *change = engine->options->change;
	bool taken = false;

	taken |= change->local && refuse_destination(engine, "local", is_there(&engine->local, to));
	taken |= change->remote &&
		 refuse_destination(engine, "remote", is_there(&engine->remote, to));
	taken |=
		change->database && refuse_destination(engine, "database",
					    engine_find_mailbox(engine, to->data, to->len) != NULL);
	return !taken;
}

/* The server takes the children along (RFC 3501 section 6.3.5). */
static void rename_on(
	struct side *side, const struct mailbox_name *from, const struct mailbox_name *to)
{
	_cleanup_free_ char *wire_from = side_wire_name(side, from->data, from->len);
	_cleanup_free_ char *wire_to = side_wire_name(side, to->data, to->len);
	struct change_request *change;

	if (find_listed(side, from) == NULL)
		return;
	if (wire_from == NULL || wire_to == NULL) {
		log_error(SIDE_CONTEXT(side, NULL),
			"the name %s cannot be expressed on this server",
			side->engine->options->change->names[1]);
		refuse(side->engine, 0);
		return;
	}
	change = new_request(side->engine, side, 0);
	command_puts(&change->request.command, "RENAME ");
	command_mailbox(&change->request.command, wire_from);
	command_puts(&change->request.command, " ");
	command_mailbox(&change->request.command, wire_to);
	request_submit(&change->request);
}

/* One after the other: what the first server refuses is not done on the second, nor in the
 * database. */
static void step_rename(struct engine *engine, unsigned step)
{
	const struct engine_change *change = engine->options->change;
	struct mailbox_name from = {0}, to = {0};

	if (!name_at(engine, 0, &from) || !name_at(engine, 1, &to)) {
		log_error(NULL, "these are not names of mailboxes");
		refuse(engine, 0);
	} else if (step > 0 || check_destination(engine, &to)) {
		if (step == 0 && change->remote)
			rename_on(&engine->remote, &from, &to);
		if (step == 1 && change->local)
			rename_on(&engine->local, &from, &to);
	}
	free(from.data);
	free(to.data);
}

/* The new name of a known mailbox that is, or is below, the one renamed; false if it is neither. */
static bool renamed(const struct mailbox *mailbox, const struct mailbox_name *from,
	const struct mailbox_name *to, struct buf *ret)
{
	if (mailbox->len < from->len || memcmp(mailbox->name, from->data, from->len) != 0 ||
		(mailbox->len > from->len && mailbox->name[from->len] != '\0'))
		return false;
	buf_init(ret, to->len + mailbox->len);
	(void)buf_append(ret, to->data, to->len);
	(void)buf_append(ret, mailbox->name + from->len, mailbox->len - from->len);
	return true;
}

static int rename_known(
	struct engine *engine, const struct mailbox_name *from, const struct mailbox_name *to)
{
	struct mailbox *mailbox, *next;
	bool any = false;

	HASH_ITER (hh, engine->mailboxes, mailbox, next) {
		struct buf name;
		int r;

		if (!renamed(mailbox, from, to, &name))
			continue;
		r = mailboxes_rename(engine->db, mailbox->idx, buf_data(&name), buf_len(&name));
		buf_done(&name);
		if (r < 0)
			return r;
		any = true;
	}
	if (any)
		log_notice((&(struct log_context){.side = "database"}), "Renamed mailbox %s to %s",
			engine->options->change->names[0], engine->options->change->names[1]);
	return 0;
}

static int end_rename(struct engine *engine)
{
	struct mailbox_name from = {0}, to = {0};
	int r = 0;

	if (engine->change_failed[0] || !engine->options->change->database)
		return 0;
	if (name_at(engine, 0, &from) && name_at(engine, 1, &to))
		r = rename_known(engine, &from, &to);
	free(from.data);
	free(to.data);
	return r;
}

void engine_change_begin(struct engine *engine)
{
	size_t count = 0;

	while (engine->options->change->names[count] != NULL)
		count++;
	engine->change_failed = xcalloc(count, sizeof(*engine->change_failed));
	engine->change_step = 0;
	if (engine->options->change->kind == CHANGE_DELETE)
		begin_delete(engine);
	else
		step_rename(engine, 0);
}

bool engine_change_on(struct engine *engine)
{
	if (engine->options->change->kind != CHANGE_RENAME || engine->change_step > 0 ||
		engine->change_failed[0])
		return false;
	engine->change_step = 1;
	step_rename(engine, 1);
	return true;
}

bool engine_change_end(struct engine *engine)
{
	int r = db_begin(engine->db);

	if (r >= 0)
		r = engine->options->change->kind == CHANGE_DELETE ? end_delete(engine)
								   : end_rename(engine);
	if (r >= 0)
		r = db_commit(engine->db);
	if (r < 0) {
		log_error((&(struct log_context){.side = "database"}), "%s", db_error(engine->db));
		db_rollback(engine->db);
	}
	return r >= 0;
}
