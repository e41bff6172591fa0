/* SPDX-License-Identifier: MIT */
/*
 * CREATE, RENAME, SUBSCRIBE and UNSUBSCRIBE; for DELETE see delete.c.  What the database
 * says follows in the transaction that takes the deed out of it; when a line is lost in between,
 * the next attempt asks what is there.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <utlist.h>

#include "sync/base/xalloc.h"
#include "sync/config/account.h"
#include "sync/core/advice.h"
#include "sync/core/core.h"
#include "sync/core/subtree.h"
#include "sync/deeds/journal.h"
#include "sync/replay/replay-private.h"
#include "sync/state/actions.h"
#include "sync/tree/tree.h"

/* The ordinary sync does what there is to do. */
enum step replay_leave(struct replay *replay)
{
	return replay_over(replay, REPLAY_DONE);
}

char *replay_wire_name(const struct replay *replay, const struct mailbox_name *name)
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
enum step replay_send(struct replay *replay, const char *verb)
{
	_cleanup_free_ char *from = replay_wire_name(replay, &replay->deed->from);
	_cleanup_free_ char *to = replay_wire_name(replay, &replay->deed->to);
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
	command_about(&request->request.command, verb, from, to);
	request_submit(&request->request);
	return replay_next(replay, REPLAY_SENT);
}

/* The last write of a deed takes it out of the database. */
int replay_drop(struct replay *replay)
{
	return actions_drop(replay->core->db, replay->deed->id);
}

struct mailbox *replay_known(const struct replay *replay)
{
	const struct mailbox_name *name = &replay->deed->from;

	return name->data != NULL ? core_find_mailbox(replay->core, name->data, name->len) : NULL;
}

/* --- CREATE --- */

static int write_created(void *context)
{
	struct replay *replay = context;
	const struct mailbox_name *name = &replay->deed->from;

	int r = core_add_mailbox(replay->core, name->data, name->len, false);

	return r == 0 ? replay_drop(replay) : r;
}

static enum step create_step(struct replay *replay)
{
	int r;

	if (replay->phase == REPLAY_BEGIN) {
		if (replay->deed->from.data == NULL || replay_known(replay) != NULL ||
			!tree_is_in_scope(replay->core->tree, &replay->deed->from))
			return replay_leave(replay);
		return replay_send(replay, "CREATE");
	}
	if (replay->barrier.refused && replay->tree.code != CODE_ALREADYEXISTS)
		return replay_leave(
			replay); /* the next look at the lists tries it, and says why not */
	r = replay_transact(replay, write_created);
	if (r == -EEXIST)
		return replay_leave(replay);
	(void)replay_database_failed(replay, r);
	return STEP_DONE;
}

/* --- SUBSCRIBE and UNSUBSCRIBE --- */

static int write_subscribed(void *context)
{
	struct replay *replay = context;
	struct mailbox *mailbox = replay_known(replay);
	int r = 0;

	if (mailbox != NULL) {
		mailbox->subscribed = replay->deed->kind == ACTION_SUBSCRIBE;
		r = mailboxes_set_subscribed(replay->core->db, mailbox->idx, mailbox->subscribed);
	}
	return r == 0 ? replay_drop(replay) : r;
}

static enum step subscribe_step(struct replay *replay)
{
	if (replay->phase == REPLAY_BEGIN)
		return replay_send(replay,
			replay->deed->kind == ACTION_SUBSCRIBE ? "SUBSCRIBE" : "UNSUBSCRIBE");
	if (replay->barrier.refused)
		return replay_leave(replay);
	(void)replay_database_failed(replay, replay_transact(replay, write_subscribed));
	return STEP_DONE;
}

/* --- what is there --- */

/* A level that is no mailbox counts as the old name, since its children are renamed with it; but it
 * is in nobody's way as the new one. */
void replay_note_listed(struct replay *replay, struct side *side, const struct response_list *list)
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

enum step replay_not_listed(struct replay *replay)
{
	return replay_refuse(replay, "%s; it is tried again later", replay->barrier.reason);
}

/* --- RENAME --- */

/* Most servers leave a subscription with the old name.  So a side that has one under the new name
 * has it for a reason, and the other side follows. */
static int write_unsubscribed(struct replay *replay)
{
	struct mailbox *mailbox, *next;
	int r = 0;

	HASH_ITER (hh, replay->core->mailboxes, mailbox, next)
		if (r >= 0 && subtree_has(&replay->deed->from, mailbox->name, mailbox->len))
			r = mailboxes_set_subscribed(replay->core->db, mailbox->idx, false);
	return r;
}

static int write_renamed(void *context)
{
	struct replay *replay = context;
	struct buf taken;
	int r = subtree_rename_rows(replay->core, &replay->deed->from, &replay->deed->to, &taken);

	if (r == -EEXIST) {
		struct mailbox_name name = {
			.data = (char *)buf_data(&taken), .len = buf_len(&taken)};

		replay->tree.taken = replay_display(replay, &name);
		buf_done(&taken);
	}
	if (r >= 0)
		r = write_unsubscribed(replay);
	return r >= 0 ? replay_drop(replay) : r;
}

static enum step renamed(struct replay *replay)
{
	struct deed *deed = replay->deed;
	_cleanup_free_ char *from = replay_display(replay, &deed->from);
	_cleanup_free_ char *to = replay_display(replay, &deed->to);

	int r = replay_transact(replay, write_renamed);

	if (r == -EEXIST) {
		_cleanup_free_ char *command = advice(
			replay->core, "--target=database --delete", replay->tree.taken, NULL);

		return replay_refuse(replay,
			"it is %s now, but the database knows another mailbox %s: run `%s`", to,
			replay->tree.taken, command);
	}
	if (replay_database_failed(replay, r))
		return STEP_DONE;
	subtree_rename_known(replay->core, &deed->from, &deed->to);
	log_info(SIDE_CONTEXT(replay->side, from), "Renamed to %s", to);
	return STEP_DONE;
}

/* What loses nothing comes first. */
static enum step refuse_taken(struct replay *replay, const char *to)
{
	const char *side = replay->side->name;
	_cleanup_free_ char *other = xasprintf("%s-old", to);
	_cleanup_free_ char *rename = xasprintf("--target=%s --rename", side);
	_cleanup_free_ char *delete = xasprintf("--target=%s --delete", side);
	_cleanup_free_ char *aside = advice(replay->core, rename, to, other);
	_cleanup_free_ char *give_up = advice(replay->core, delete, to, NULL);

	return replay_refuse(replay,
		"it was renamed to %s on the %s side, but here there is another mailbox of that "
		"name. To keep that one as %s, run `%s`; only if it is meant to be gone, run `%s`, "
		"which deletes it with all messages in it",
		to, replay->origin->name, other, aside, give_up);
}

/* Of a renaming that was only seen: that it was done, and that nobody has taken it back. */
static bool is_still_so(const struct replay *replay)
{
	const struct deed *deed = replay->deed;
	const struct listed *now;

	if (deed->uidvalidity == 0)
		return replay->tree.origin_has_new && !replay->tree.origin_has_old;
	now = listing_find(side_listing(replay->origin), deed->to.data, deed->to.len);
	return is_makeshift(&deed->to) ||
	       (now != NULL && now->status.uidvalidity == deed->uidvalidity);
}

static enum step rename_asked(struct replay *replay)
{
	const struct replay_tree *tree = &replay->tree;
	_cleanup_free_ char *to = replay_display(replay, &replay->deed->to);

	if (replay->barrier.refused)
		return replay_not_listed(replay);
	if (!replay->deed->certain && !is_still_so(replay))
		return replay_leave(replay);
	if (tree->has_old && tree->has_new)
		return refuse_taken(replay, to);
	if (!tree->has_old)
		return tree->has_new ? renamed(replay) : replay_leave(replay);
	return replay_send(replay, "RENAME");
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

	if (replay->phase == REPLAY_BEGIN && !deed->certain && deed->from.data != NULL &&
		deed->to.data != NULL)
		go_up(replay);
	if (deed->from.data == NULL || deed->to.data == NULL ||
		!subtree_is_known(replay->core, &deed->from))
		return replay_leave(replay);
	switch ((enum replay_tree_phase)replay->phase) {
	case REPLAY_BEGIN:
		replay_ask_list(replay, replay->side, &deed->from, replay_note_listed);
		replay_ask_list(replay, replay->side, &deed->to, replay_note_listed);
		if (!deed->certain) {
			replay_ask_list(replay, replay->origin, &deed->from, replay_note_listed);
			replay_ask_list(replay, replay->origin, &deed->to, replay_note_listed);
		}
		return replay_next(replay, REPLAY_ASKED);
	case REPLAY_ASKED:
		return rename_asked(replay);
	case REPLAY_SEARCHED:
	case REPLAY_SENT:
		break;
	}
	if (!replay->barrier.refused)
		return renamed(replay);
	from = replay_display(replay, &deed->from);
	to = replay_display(replay, &deed->to);
	command = advice(replay->core,
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
		return replay_delete_step(replay);
	case ACTION_RENAME:
		return rename_step(replay);
	case ACTION_MOVE:
	case ACTION_COPY:
	case ACTION_APPEND:
		break;
	}
	return replay_leave(replay);
}

void replay_tree_done(struct replay *replay)
{
	free(replay->tree.taken);
}
