/* SPDX-License-Identifier: MIT */
/*
 * DELETE.  A mailbox is only deleted with messages that have a pair: whoever deleted it on one side
 * cannot have meant others, and on the other they may be nowhere else.
 */
#include <inttypes.h>
#include <stdlib.h>

#include "sync/base/xalloc.h"
#include "sync/core/advice.h"
#include "sync/core/core.h"
#include "sync/core/pairless.h"
#include "sync/deeds/journal.h"
#include "sync/replay/replay-private.h"
#include "sync/state/mapping.h"

static void on_status(
	struct replay *replay, struct side *side, const struct response_status *status)
{
	if (side == replay->side) {
		replay->tree.messages = status->messages;
		replay->tree.state = (struct mailbox_state){.uidvalidity = status->uidvalidity,
			.uidnext = status->uidnext,
			.highestmodseq = status->highestmodseq};
	} else {
		replay->tree.origin_uidvalidity = status->uidvalidity;
	}
}

static bool on_origin_status(struct request *request)
{
	struct replay *replay = container_of(request, struct replay_status, status.request)->replay;

	replay->tree.origin_denies = command_names_nothing(&request->command);
	return true;
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

static int write_deleted(void *context)
{
	struct replay *replay = context;
	int r = replay_count_deletion(replay, replay_known(replay));

	if (r == 0)
		r = mailboxes_delete(replay->core->db, replay_known(replay)->idx);
	return r == 0 ? replay_drop(replay) : r;
}

static enum step forget_deleted(struct replay *replay, const char *what)
{
	struct mailbox *mailbox = replay_known(replay);

	if (replay_database_failed(replay, replay_transact(replay, write_deleted)))
		return STEP_DONE;
	log_info(SIDE_CONTEXT(replay->side, mailbox->display), "%s", what);
	core_forget_mailbox(replay->core, mailbox);
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
	struct mailbox *mailbox = replay_known(replay);
	uint64_t count = 0;

	if (response->type != RESPONSE_SEARCH && response->type != RESPONSE_ESEARCH)
		return false;
	if (mailbox == NULL || pairless_count(replay->core->db, mailbox->idx, replay->side->remote,
				       &response->set, &count) < 0)
		count = 1; /* nobody knows: not to be deleted */
	replay->tree.strangers += count;
	return true;
}

/* Messages without a pair may never have been where it was deleted. */
static enum step search(struct replay *replay)
{
	_cleanup_free_ char *wire = replay_wire_name(replay, &replay->deed->from);
	struct replay_request *request;

	side_select(replay->side, &replay->barrier, &replay->view, wire);
	request = replay_request(replay, replay->side, NULL);
	request->request.command.untagged = on_search;
	command_puts(&request->request.command, "UID SEARCH ALL");
	request_submit(&request->request);
	return replay_next(replay, REPLAY_SEARCHED);
}

/* Nothing has happened there since the last run was complete, and each message had a pair then: 0.
 * 1: a search has to tell. */
static int may_hold_strangers(struct replay *replay, const struct mailbox *mailbox)
{
	const struct mailbox_state *base = base_of(replay, mailbox), *now = &replay->tree.state;
	uint64_t pairs;
	int r = mapping_count(replay->core->db, mailbox->idx, &pairs);

	if (r < 0)
		return r;
	return now->uidnext != base->uidnext || now->highestmodseq != base->highestmodseq ||
	       replay->tree.messages != pairs;
}

/* It is known that another mailbox has its name now (pass/renew.c), and that is still so. */
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

/* What a deletion would take along, for the sentence that advises it. */
static char *describe_loss(const struct replay *replay)
{
	const struct replay_tree *tree = &replay->tree;

	if (tree->state.uidvalidity == 0)
		return xstrdup("with all messages in it");
	if (tree->strangers == 0)
		return xasprintf("with all %" PRIu32 " message(s) in it", tree->messages);
	return xasprintf("with all %" PRIu32 " message(s) in it, of which %" PRIu64
			 " never were on the %s server",
		tree->messages, tree->strangers, replay->origin->name);
}

/*
 * What loses nothing comes first.  Where it was deleted there may be another mailbox of its name by
 * now: to forget it puts both together, and to delete it by its name alone would delete that one,
 * too.
 */
static enum step refuse_deletion(struct replay *replay, const char *why)
{
	struct core *core = replay->core;
	const char *name = replay_known(replay)->display, *side = replay->side->name;
	_cleanup_free_ char *options = xasprintf("--target=%s,database --delete", side);
	_cleanup_free_ char *give_up = advice(core, options, name, NULL);
	_cleanup_free_ char *restore = advice(core, "--target=database --delete", name, NULL);
	_cleanup_free_ char *loss = describe_loss(replay);

	if (replay->tree.origin_uidvalidity != 0)
		return replay_refuse(replay,
			"it was deleted on the %s side, where there is another mailbox of that "
			"name now, but %s: nothing is deleted. To put the messages of both "
			"together, run `%s`. Only if the old one is meant to be gone, run `%s`, "
			"which deletes it on the %s server as well, %s",
			replay->origin->name, why, restore, give_up, side, loss);
	return replay_refuse(replay,
		"it was deleted on the %s side, but %s: nothing is deleted. To get it back there, "
		"run `%s`. Only if it is meant to be gone, run `%s`, which deletes it on the %s "
		"server as well, %s",
		replay->origin->name, why, restore, give_up, side, loss);
}

/* The brake holds: a person is told once, and the mailbox counts as missing. */
static enum step hold_deletion(struct replay *replay, struct mailbox *mailbox, uint64_t messages)
{
	_cleanup_free_ char *why = xasprintf(
		"here that would delete %" PRIu64 " messages at once (max-deletions)", messages);

	mailbox_note_held(mailbox);
	mailbox->presence.missing_said = true;
	mailbox_note_problem(mailbox, why);
	return refuse_deletion(replay, why);
}

/* A client tells of its UNSUBSCRIBE by itself; what was only seen is known from here. */
static enum step send_deletion(struct replay *replay)
{
	_cleanup_free_ char *wire = replay_wire_name(replay, &replay->deed->from);
	struct replay_request *request;

	if (!replay->deed->certain && replay_known(replay)->subscribed &&
		!replay->tree.origin_subscribed && wire != NULL) {
		request = replay_request(replay, replay->side, request_ignore_refusal);
		command_about(&request->request.command, "UNSUBSCRIBE", wire, NULL);
		request_submit(&request->request);
	}
	return replay_send(replay, "DELETE");
}

/* It is known whether it holds what was never where it was deleted. */
static enum step delete_searched(struct replay *replay)
{
	struct mailbox *mailbox = replay_known(replay);
	uint64_t held;

	if (replay->barrier.refused)
		return replay_not_listed(replay);
	if (replay_database_failed(replay, replay_weigh_deletion(replay, mailbox, &held)))
		return STEP_DONE;
	if (held > 0)
		return hold_deletion(replay, mailbox, held);
	if (replay->tree.state.uidvalidity == 0)
		return refuse_deletion(replay, "here its state cannot be learnt");
	if (replay->tree.strangers > 0)
		return refuse_deletion(replay, "here it holds messages that were never there");
	return send_deletion(replay);
}

static enum step delete_asked(struct replay *replay)
{
	const struct replay_tree *tree = &replay->tree;
	struct mailbox *mailbox = replay_known(replay);
	uint32_t base = base_of(replay, mailbox)->uidvalidity;
	int doubt;

	if (replay->barrier.refused)
		return replay_not_listed(replay);
	if (is_still_there(replay, mailbox))
		return replay_leave(replay);
	if (!tree->has_old)
		return forget_deleted(replay, "Deleted");
	/* Two are gone, and what is left is new. */
	if (tree->state.uidvalidity != 0 && base != 0 && base != tree->state.uidvalidity)
		return forget_deleted(replay,
			"deleted on the other side; what has its name here is "
			"another mailbox, and is kept");
	if (tree->state.uidvalidity == 0)
		return delete_searched(replay);
	doubt = may_hold_strangers(replay, mailbox);
	if (replay_database_failed(replay, doubt))
		return STEP_DONE;
	return doubt > 0 ? search(replay) : delete_searched(replay);
}

enum step replay_delete_step(struct replay *replay)
{
	struct mailbox *mailbox = replay_known(replay);

	if (mailbox == NULL)
		return replay_leave(replay);
	switch ((enum replay_tree_phase)replay->phase) {
	case REPLAY_BEGIN:
		/* Of a mailbox that is selected, Dovecot tells a STATUS though it is deleted. */
		side_unselect(replay->origin, &replay->barrier);
		replay_ask_status(
			replay, replay->origin, &replay->deed->from, on_status, on_origin_status);
		replay_ask_status(replay, replay->side, &replay->deed->from, on_status,
			request_ignore_refusal);
		replay_ask_list(replay, replay->side, &replay->deed->from, replay_note_listed);
		if (!replay->deed->certain && mailbox->subscribed)
			ask_subscribed(replay);
		return replay_next(replay, REPLAY_ASKED);
	case REPLAY_ASKED:
		return delete_asked(replay);
	case REPLAY_SEARCHED:
		return delete_searched(replay);
	case REPLAY_SENT:
		break;
	}
	if (replay->barrier.refused)
		return refuse_deletion(replay, replay->barrier.reason);
	return forget_deleted(replay, "Deleted");
}
