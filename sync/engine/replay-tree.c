/* SPDX-License-Identifier: MIT */
/*
 * CREATE, DELETE, RENAME, SUBSCRIBE and UNSUBSCRIBE.  What the database says follows in the
 * transaction that takes the deed out of it; when a line is lost in between, the next attempt asks
 * what is there.
 *
 * A mailbox is only deleted with messages that were once here: whoever deleted it here cannot have
 * meant others.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <utlist.h>

#include "sync/base/xalloc.h"
#include "sync/config/account.h"
#include "sync/engine/advice.h"
#include "sync/engine/engine-private.h"
#include "sync/engine/journal.h"
#include "sync/engine/replay-private.h"
#include "sync/engine/subtree.h"
#include "sync/state/actions.h"
#include "sync/state/mapping.h"

enum phase { BEGIN, ASKED, SEARCHED, SENT };

/* The ordinary sync does what there is to do. */
static enum step leave(struct replay *replay)
{
	return replay_over(replay, REPLAY_DONE);
}

static char *wire_name(const struct replay *replay, const struct mailbox_name *name)
{
	return name->data != NULL ? side_wire_name(replay->side, name->data, name->len) : NULL;
}

static bool on_answer(struct request *request)
{
	struct replay *replay = replay_of(&request->command);

	replay->tree.code = request->command.code;
	return false;
}

/* "VERB from [to]" to the other side; the last command of the deed. */
static enum step send(struct replay *replay, const char *verb)
{
	_cleanup_free_ char *from = wire_name(replay, &replay->deed->from);
	_cleanup_free_ char *to = wire_name(replay, &replay->deed->to);
	struct replay_request *request;

	if (from == NULL || (to == NULL && replay->deed->to.data != NULL))
		return replay_refuse(replay,
			"the name cannot be expressed on this server: %s it "
			"there by hand",
			verb);
	if (replay_database_failed(replay, replay_begin(replay)))
		return STEP_DONE;
	/* It must not be selected by ourselves. */
	side_unselect(replay->side, &replay->barrier);
	request = replay_request(replay, replay->side, on_answer);
	command_printf(&request->request.command, "%s ", verb);
	command_mailbox(&request->request.command, from);
	if (to != NULL) {
		command_puts(&request->request.command, " ");
		command_mailbox(&request->request.command, to);
	}
	request_submit(&request->request);
	return replay_next(replay, SENT);
}

/* The last write of a deed takes it out of the database. */
static int drop(struct replay *replay)
{
	return actions_drop(replay->engine->db, replay->deed->id);
}

static struct mailbox *known(const struct replay *replay)
{
	const struct mailbox_name *name = &replay->deed->from;

	return name->data != NULL ? engine_find_mailbox(replay->engine, name->data, name->len)
				  : NULL;
}

/* --- CREATE --- */

static int write_created(struct replay *replay)
{
	const struct mailbox_name *name = &replay->deed->from;

	int r = engine_add_mailbox(replay->engine, name->data, name->len, false);

	return r == 0 ? drop(replay) : r;
}

static enum step create_step(struct replay *replay)
{
	int r;

	if (replay->phase == BEGIN) {
		if (replay->deed->from.data == NULL || known(replay) != NULL ||
			!engine_is_in_scope(replay->engine, &replay->deed->from))
			return leave(replay);
		return send(replay, "CREATE");
	}
	if (replay->barrier.refused && replay->tree.code != CODE_ALREADYEXISTS)
		return leave(replay); /* the next look at the lists tries it, and says why not */
	r = replay_transact(replay, write_created);
	if (r == -EEXIST)
		return leave(replay);
	(void)replay_database_failed(replay, r);
	return STEP_DONE;
}

/* --- SUBSCRIBE and UNSUBSCRIBE --- */

static int write_subscribed(struct replay *replay)
{
	struct mailbox *mailbox = known(replay);
	int r = 0;

	if (mailbox != NULL) {
		mailbox->subscribed = replay->deed->kind == ACTION_SUBSCRIBE;
		r = mailboxes_set_subscribed(replay->engine->db, mailbox->idx, mailbox->subscribed);
	}
	return r == 0 ? drop(replay) : r;
}

static enum step subscribe_step(struct replay *replay)
{
	if (replay->phase == BEGIN)
		return send(replay,
			replay->deed->kind == ACTION_SUBSCRIBE ? "SUBSCRIBE" : "UNSUBSCRIBE");
	if (replay->barrier.refused)
		return leave(replay);
	(void)replay_database_failed(replay, replay_transact(replay, write_subscribed));
	return STEP_DONE;
}

/* --- what is there --- */

static void on_status(
	struct replay *replay, struct side *side, const struct response_status *status)
{
	if (side == replay->side) {
		replay->tree.uidvalidity = status->uidvalidity;
		replay->tree.uidnext = status->uidnext;
	} else {
		replay->tree.origin_uidvalidity = status->uidvalidity;
	}
}

static bool on_origin_status(struct request *request)
{
	struct status_request *status = container_of(request, struct status_request, request);
	struct replay *replay = container_of(status, struct replay_status, status)->replay;

	replay->tree.origin_denies = command_names_nothing(&request->command);
	return true;
}

/* A level that is no mailbox counts as the old name, since its children are renamed with it; but it
 * is in nobody's way as the new one. */
static void note_listed(struct replay *replay, struct side *side, const struct response_list *list)
{
	const struct deed *deed = replay->deed;
	struct mailbox_name name;
	bool is_there = (list->attributes & (LIST_NONEXISTENT | LIST_NOSELECT)) == 0;
	bool is_old, is_new;

	if (!side_read_name(side, list->name, &name))
		return;
	is_old = deed->kind == ACTION_RENAME
			 ? subtree_has(&deed->from, name.data, name.len)
			 : is_there && mailbox_name_equal(deed->from.data, deed->from.len,
					       name.data, name.len);
	is_new = is_there && deed->to.data != NULL &&
		 mailbox_name_equal(deed->to.data, deed->to.len, name.data, name.len);
	if (side == replay->side) {
		replay->tree.has_old |= is_old && (is_there || name.len > deed->from.len);
		replay->tree.has_new |= is_new;
	} else {
		replay->tree.origin_has_old |= is_old && is_there;
		replay->tree.origin_has_new |= is_new;
	}
	free(name.data);
}

/* Also of a mailbox that is not there any more (RFC 5258 section 3.1). */
struct subscribed_request {
	struct list_request list;
	struct replay *replay;
};

static bool on_subscribed(struct list_request *list, struct response *response)
{
	struct replay *replay = container_of(list, struct subscribed_request, list)->replay;
	const struct mailbox_name *wanted = &replay->deed->from;
	struct mailbox_name name;
	bool is_it;

	if (response->type != RESPONSE_LIST || !(response->list.attributes & LIST_SUBSCRIBED) ||
		!side_read_name(replay->origin, response->list.name, &name))
		return false;
	/* A '%' or '*' in the name asks for others, too. */
	is_it = mailbox_name_equal(wanted->data, wanted->len, name.data, name.len);
	replay->tree.origin_subscribed |= is_it;
	free(name.data);
	return is_it;
}

static void ask_subscribed(struct replay *replay)
{
	const struct mailbox_name *name = &replay->deed->from;
	_cleanup_free_ char *wire = side_wire_name(replay->origin, name->data, name->len);
	struct list_request *list;

	if (wire == NULL)
		return;
	list = list_request_new(&replay->barrier, replay->origin, sizeof(struct subscribed_request),
		on_subscribed, NULL);
	container_of(list, struct subscribed_request, list)->replay = replay;
	command_puts(&list->request.command, "LIST (SUBSCRIBED) \"\" ");
	command_astring(&list->request.command, wire, strlen(wire));
	request_submit(&list->request);
}

static enum step not_listed(struct replay *replay)
{
	return replay_refuse(replay, "%s; it is tried again later", replay->barrier.reason);
}

/* --- DELETE --- */

static int write_deleted(struct replay *replay)
{
	int r = replay_count_deletion(replay, known(replay));

	if (r == 0)
		r = mailboxes_delete(replay->engine->db, known(replay)->idx);
	return r == 0 ? drop(replay) : r;
}

static enum step forget_deleted(struct replay *replay, const char *what)
{
	struct mailbox *mailbox = known(replay);

	if (replay_database_failed(replay, replay_transact(replay, write_deleted)))
		return STEP_DONE;
	log_info(SIDE_CONTEXT(replay->side, mailbox->display), "%s", what);
	engine_forget_mailbox(replay->engine, mailbox);
	return STEP_DONE;
}

/* What of the mailbox is known to be on the other side. */
static const struct mailbox_state *base_of(
	const struct replay *replay, const struct mailbox *mailbox)
{
	return replay->side->remote ? &mailbox->remote.base : &mailbox->local.base;
}

static bool on_search(struct command *command, struct response *response)
{
	struct replay *replay = replay_of(command);
	struct mailbox *mailbox = known(replay);
	struct seqset_iter iter = {0};
	uint32_t uid;

	if (response->type != RESPONSE_SEARCH && response->type != RESPONSE_ESEARCH)
		return false;
	while (mailbox != NULL && !replay->tree.strangers &&
		seqset_next(&response->set, &iter, &uid)) {
		_cleanup_free_ struct uid_pair *pairs = NULL;
		size_t count = 0;

		if (uid >= base_of(replay, mailbox)->uidnext &&
			mapping_in_range(replay->engine->db, mailbox->idx, replay->side->remote,
				uid, uid, &pairs, &count) == 0)
			replay->tree.strangers |= count == 0;
	}
	return true;
}

/* Messages from there on may never have been where it was deleted. */
static enum step search(struct replay *replay, const struct mailbox *mailbox)
{
	_cleanup_free_ char *wire = wire_name(replay, &replay->deed->from);
	struct replay_request *request;
	uint32_t from = base_of(replay, mailbox)->uidnext;

	side_select(replay->side, &replay->barrier, &replay->view, wire);
	request = replay_request(replay, replay->side, NULL);
	request->request.command.untagged = on_search;
	command_printf(
		&request->request.command, "UID SEARCH UID %" PRIu32 ":*", from > 0 ? from : 1);
	request_submit(&request->request);
	return replay_next(replay, SEARCHED);
}

/* It is known that another mailbox has its name now (run-renew.c), and that is still so. */
static bool is_remade(const struct replay *replay, uint32_t base)
{
	uint32_t now = replay->tree.origin_uidvalidity, was = replay->deed->uidvalidity;

	return was != 0 && was == base && now != 0 && now != was;
}

/* Where it was deleted, there may be another one of that name by now.  A deletion that was only
 * seen is not believed if the server, asked again, says anything but that there is no such mailbox.
 */
static bool is_still_there(const struct replay *replay, struct mailbox *mailbox)
{
	uint32_t now = replay->tree.origin_uidvalidity;
	uint32_t base = mailbox_side(mailbox, replay->origin->remote)->base.uidvalidity;

	if (replay->deed->certain)
		return now != 0 && now == base;
	if (replay->tree.origin_denies)
		return false;
	return !is_remade(replay, base);
}

/* To delete it by its name alone would also delete what was made under that name since. */
static enum step refuse_deletion(struct replay *replay, const char *why)
{
	const char *name = known(replay)->display;
	_cleanup_free_ char *give_up = advice(replay->engine,
		replay->side->remote ? "--target=remote,database --delete"
				     : "--target=local,database --delete",
		name, NULL);
	_cleanup_free_ char *restore =
		advice(replay->engine, "--target=database --delete", name, NULL);

	if (replay->tree.origin_uidvalidity != 0)
		return replay_refuse(replay,
			"it was deleted on the %s side, where there is another mailbox of that "
			"name "
			"now, but %s: run `%s` to delete the old one here as well",
			replay->origin->name, why, give_up);
	return replay_refuse(replay,
		"it was deleted on the %s side, but %s: run `%s` to get it back there, or `%s` to "
		"delete it here as well",
		replay->origin->name, why, restore, give_up);
}

/* The brake holds: a person is told once, and the mailbox counts as missing. */
static enum step hold_deletion(struct replay *replay, struct mailbox *mailbox, uint64_t messages)
{
	_cleanup_free_ char *why = xasprintf(
		"here that would delete %" PRIu64 " messages at once (max-deletions)", messages);

	mailbox->held = mailbox->missing_said = true;
	mailbox_note_problem(mailbox, why);
	return refuse_deletion(replay, why);
}

/* A client tells of its UNSUBSCRIBE by itself; what was only seen is known from here. */
static enum step send_deletion(struct replay *replay)
{
	_cleanup_free_ char *wire = wire_name(replay, &replay->deed->from);
	struct replay_request *request;

	if (!replay->deed->certain && known(replay)->subscribed &&
		!replay->tree.origin_subscribed && wire != NULL) {
		request = replay_request(replay, replay->side, request_ignore_refusal);
		command_puts(&request->request.command, "UNSUBSCRIBE ");
		command_mailbox(&request->request.command, wire);
		request_submit(&request->request);
	}
	return send(replay, "DELETE");
}

static enum step delete_asked(struct replay *replay)
{
	const struct tree *tree = &replay->tree;
	struct mailbox *mailbox = known(replay);
	const struct mailbox_state *base = base_of(replay, mailbox);
	uint64_t held;

	if (replay->barrier.refused)
		return not_listed(replay);
	if (is_still_there(replay, mailbox))
		return leave(replay);
	if (!tree->has_old)
		return forget_deleted(replay, "Deleted");
	/* Two are gone, and what is left is new. */
	if (tree->uidvalidity != 0 && base->uidvalidity != 0 &&
		base->uidvalidity != tree->uidvalidity)
		return forget_deleted(replay,
			"deleted on the other side; what has its name here is "
			"another mailbox, and is kept");
	if (replay_database_failed(replay, replay_weigh_deletion(replay, mailbox, &held)))
		return STEP_DONE;
	if (held > 0)
		return hold_deletion(replay, mailbox, held);
	if (tree->uidvalidity == 0)
		return refuse_deletion(replay, "here its state cannot be learnt");
	if (tree->uidnext > base->uidnext)
		return search(replay, mailbox);
	return send_deletion(replay);
}

static enum step delete_searched(struct replay *replay)
{
	if (replay->barrier.refused)
		return not_listed(replay);
	if (!replay->tree.strangers)
		return send_deletion(replay);
	return refuse_deletion(replay, "here it holds messages that were never there");
}

static enum step delete_step(struct replay *replay)
{
	struct mailbox *mailbox = known(replay);

	if (mailbox == NULL)
		return leave(replay);
	switch ((enum phase)replay->phase) {
	case BEGIN:
		/* Of a mailbox that is selected, Dovecot tells a STATUS though it is deleted. */
		side_unselect(replay->origin, &replay->barrier);
		replay_ask_status(
			replay, replay->origin, &replay->deed->from, on_status, on_origin_status);
		replay_ask_status(replay, replay->side, &replay->deed->from, on_status,
			request_ignore_refusal);
		replay_ask_list(replay, replay->side, &replay->deed->from, note_listed);
		if (!replay->deed->certain && mailbox->subscribed)
			ask_subscribed(replay);
		return replay_next(replay, ASKED);
	case ASKED:
		return delete_asked(replay);
	case SEARCHED:
		return delete_searched(replay);
	case SENT:
		break;
	}
	if (replay->barrier.refused)
		return refuse_deletion(replay, replay->barrier.reason);
	return forget_deleted(replay, "Deleted");
}

/* --- RENAME --- */

/* Most servers leave a subscription with the old name.  So a side that has one under the new name
 * has it for a reason, and the other side follows. */
static int write_unsubscribed(struct replay *replay)
{
	struct mailbox *mailbox, *next;
	int r = 0;

	HASH_ITER (hh, replay->engine->mailboxes, mailbox, next)
		if (r >= 0 && subtree_has(&replay->deed->from, mailbox->name, mailbox->len))
			r = mailboxes_set_subscribed(replay->engine->db, mailbox->idx, false);
	return r;
}

static int write_renamed(struct replay *replay)
{
	struct buf taken;
	int r = subtree_rename_rows(replay->engine, &replay->deed->from, &replay->deed->to, &taken);

	if (r == -EEXIST) {
		struct mailbox_name name = {
			.data = (char *)buf_data(&taken), .len = buf_len(&taken)};

		replay->tree.taken = replay_display(replay, &name);
		buf_done(&taken);
	}
	if (r >= 0)
		r = write_unsubscribed(replay);
	return r >= 0 ? drop(replay) : r;
}

static enum step renamed(struct replay *replay)
{
	struct deed *deed = replay->deed;
	_cleanup_free_ char *from = replay_display(replay, &deed->from);
	_cleanup_free_ char *to = replay_display(replay, &deed->to);

	int r = replay_transact(replay, write_renamed);

	if (r == -EEXIST) {
		_cleanup_free_ char *command = advice(
			replay->engine, "--target=database --delete", replay->tree.taken, NULL);

		return replay_refuse(replay,
			"it is %s now, but the database knows another mailbox %s: run `%s`", to,
			replay->tree.taken, command);
	}
	if (replay_database_failed(replay, r))
		return STEP_DONE;
	subtree_rename_known(replay->engine, &deed->from, &deed->to);
	log_info(SIDE_CONTEXT(replay->side, from), "Renamed to %s", to);
	return STEP_DONE;
}

static enum step rename_asked(struct replay *replay)
{
	const struct tree *tree = &replay->tree;
	_cleanup_free_ char *to = replay_display(replay, &replay->deed->to);

	if (replay->barrier.refused)
		return not_listed(replay);
	if (!replay->deed->certain && replay->deed->uidvalidity == 0 &&
		(!tree->origin_has_new || tree->origin_has_old))
		return leave(replay); /* it was not done, or is no longer so */
	if (tree->has_old && tree->has_new) {
		_cleanup_free_ char *command = advice(replay->engine,
			replay->side->remote ? "--target=remote --delete"
					     : "--target=local --delete",
			to, NULL);

		return replay_refuse(replay,
			"it was renamed to %s on the %s side, but here there is another mailbox of "
			"that name: run `%s` to delete that one",
			to, replay->origin->name, command);
	}
	if (!tree->has_old)
		return tree->has_new ? renamed(replay) : leave(replay);
	return send(replay, "RENAME");
}

/* Whether the new list of the side where it was done has a mailbox there or below. */
static bool origin_lists(const struct replay *replay, const struct mailbox_name *root)
{
	struct listed *entry, *next;

	HASH_ITER (hh, side_listing(replay->origin)->entries, entry, next)
		if (listed_is_selectable(entry) && subtree_has(root, entry->name, entry->len))
			return true;
	return false;
}

/* The length of the level above; 0 at the top. */
static size_t parent_len(const struct mailbox_name *name)
{
	const char *last = memrchr(name->data, '\0', name->len);

	return last != NULL ? (size_t)(last - name->data) : 0;
}

/*
 * Dovecot tells of each mailbox below the renamed one, in no order.  It was the level above that
 * was renamed, if nothing of it is left.
 */
static void go_up(struct replay *replay)
{
	struct deed *deed = replay->deed;

	for (;;) {
		struct mailbox_name from = {
			.data = deed->from.data, .len = parent_len(&deed->from)};
		struct mailbox_name to = {.data = deed->to.data, .len = parent_len(&deed->to)};

		if (from.len == 0 || to.len == 0 ||
			!mailbox_name_equal(deed->from.data + from.len, deed->from.len - from.len,
				deed->to.data + to.len, deed->to.len - to.len) ||
			origin_lists(replay, &from) || !origin_lists(replay, &to))
			return;
		deed->from.len = from.len;
		deed->to.len = to.len;
		deed->from.data[from.len] = deed->to.data[to.len] = '\0';
	}
}

static enum step rename_step(struct replay *replay)
{
	const struct deed *deed = replay->deed;
	_cleanup_free_ char *from = NULL, *to = NULL, *command = NULL;

	if (replay->phase == BEGIN && !deed->certain && deed->from.data != NULL &&
		deed->to.data != NULL)
		go_up(replay);
	if (deed->from.data == NULL || deed->to.data == NULL ||
		!subtree_is_known(replay->engine, &deed->from))
		return leave(replay);
	switch ((enum phase)replay->phase) {
	case BEGIN:
		replay_ask_list(replay, replay->side, &deed->from, note_listed);
		replay_ask_list(replay, replay->side, &deed->to, note_listed);
		if (!deed->certain) {
			replay_ask_list(replay, replay->origin, &deed->from, note_listed);
			replay_ask_list(replay, replay->origin, &deed->to, note_listed);
		}
		return replay_next(replay, ASKED);
	case ASKED:
		return rename_asked(replay);
	case SEARCHED:
	case SENT:
		break;
	}
	if (!replay->barrier.refused)
		return renamed(replay);
	from = replay_display(replay, &deed->from);
	to = replay_display(replay, &deed->to);
	command = advice(replay->engine,
		replay->side->remote ? "--target=remote,database --rename"
				     : "--target=local,database --rename",
		from, to);
	return replay_refuse(replay, "%s: run `%s` when it can be renamed here",
		replay->barrier.reason, command);
}

enum step replay_tree_step(struct replay *replay)
{
	switch (replay->deed->kind) {
	case ACTION_CREATE:
		return create_step(replay);
	case ACTION_SUBSCRIBE:
	case ACTION_UNSUBSCRIBE:
		return subscribe_step(replay);
	case ACTION_DELETE:
		return delete_step(replay);
	case ACTION_RENAME:
		return rename_step(replay);
	case ACTION_MOVE:
	case ACTION_COPY:
	case ACTION_APPEND:
		break;
	}
	return leave(replay);
}

void replay_tree_done(struct replay *replay)
{
	free(replay->tree.taken);
}
