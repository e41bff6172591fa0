/* SPDX-License-Identifier: MIT */
/*
 * What was moved on one side, from one mailbox to another, is moved likewise on the other side (see
 * moves-wait.h).  `side` is here where the message is gone or new; `side->other` is where its pair
 * is, and where it is moved.
 *
 * Before the command is sent, an intent (intents.h) is committed for each message, as if it were
 * about to be appended: so SETTLE finds out what became of a command that was never answered.  The
 * answer's COPYUID replaces the pair of the one mailbox by one of the other, in one transaction.
 * What it does not name was not there any more, and is copied like any new message.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "sync/base/limits.h"
#include "sync/base/xalloc.h"
#include "sync/core/core.h"
#include "sync/core/news.h"
#include "sync/core/transfer.h"
#include "sync/deeds/journal.h"
#include "sync/imap/flags.h"
#include "sync/imap/seqset.h"
#include "sync/carry/moves.h"
#include "sync/carry/moves-wait.h"
#include "sync/run/helpers.h"

/* RFC 6851.  Without it the messages are copied, and the run of the other mailbox expunges them
 * there. */
static bool moves(const struct run_side *side)
{
	return side_has(side->other->side, "MOVE");
}

void run_moves_clear(struct run_side *side)
{
	free(side->moves.gone_list.list);
	side->moves.gone_list = (struct gone_list){0};
	free(side->moves.taken_list.list);
	side->moves.taken_list = (struct taken_list){0};
	transfer_clear(&side->moves.transfer);
}

/* What is gone */

static int by_other_uid(const void *one, const void *other)
{
	const struct gone_message *a = one, *b = other;

	return (a->other_uid > b->other_uid) - (a->other_uid < b->other_uid);
}

static void add_gone(struct run_side *side, const struct uid_pair *pair)
{
	struct gone_list *gone = &side->moves.gone_list;
	struct gone_message message = {.uid = pair->local, .other_uid = pair->remote};

	if (side->side->remote)
		message = (struct gone_message){.uid = pair->remote, .other_uid = pair->local};
	/* Gone on both sides: nothing is left to be moved. */
	if (seqset_contains(&side->other->losses.gone, message.other_uid) ||
		gone->count >= LIMIT_MOVED)
		return;
	gone->list = xgrow(gone->list, gone->count, sizeof(*gone->list));
	gone->list[gone->count++] = message;
}

static bool find_gone(struct run_side *side)
{
	struct gone_list *gone = &side->moves.gone_list;
	_cleanup_free_ struct uid_pair *pairs = NULL;
	size_t count = 0;

	if (!run_pairs_of(side, &side->losses.gone, &pairs, &count))
		return false;
	for (size_t i = 0; i < count; i++)
		add_gone(side, &pairs[i]);
	for (size_t i = 0; i < gone->count && side->side->remote; i++)
		if (run_database_failed(
			    side->run, email_ids_find(side->run->core->db, side->run->mailbox->idx,
					       gone->list[i].uid, &gone->list[i].email_id)))
			return false;
	if (gone->count > 1)
		qsort(gone->list, gone->count, sizeof(*gone->list), by_other_uid);
	return true;
}

void run_moves_identify(struct run_side *side, struct gone_message *gone,
	const struct identity *identity, const struct response *response)
{
	gone->identity = *identity;
	gone->flags = flags_intern(side->run->core->flags, response->atoms, response->atoms_count);
	gone->identified = gone->flags != NULL;
}

/* The response is about the other side, where the pair is. */
static bool on_pair(struct command *command, struct response *response)
{
	struct run_side *side = run_side_of(command)->other;
	struct gone_message key = {.other_uid = response->fetch.uid}, *gone;
	struct identity identity;

	if (!identity_from_fetch(response, &identity) || !(response->fetch.items & FETCH_FLAGS))
		return false;
	gone = side->moves.gone_list.count > 0
		       ? bsearch(&key, side->moves.gone_list.list, side->moves.gone_list.count,
				 sizeof(key), by_other_uid)
		       : NULL;
	if (gone != NULL)
		run_moves_identify(side, gone, &identity, response);
	return true;
}

static void ask_side(struct run_side *side)
{
	struct seqset set;

	if (!side->told.loses || !find_gone(side) || side->moves.gone_list.count == 0)
		return;
	seqset_init(&set);
	for (size_t i = 0; i < side->moves.gone_list.count; i++)
		(void)seqset_add(&set, side->moves.gone_list.list[i].other_uid);
	run_select(side->other);
	run_read_if_granted(side->other, &side->run->barrier, &set, FETCH_METADATA, on_pair);
	seqset_done(&set);
}

void run_moves_ask(struct run *run)
{
	ask_side(&run->local);
	ask_side(&run->remote);
}

/* What is new */

static struct taken_message *first_taken(struct taken_list *taken)
{
	return &taken->list[taken->next];
}

static bool is_possible(const struct run_side *side, const struct taken_message *message)
{
	const struct mailbox *source;

	if (!message->copy)
		return message->from != NULL && !run_is_disturbed(message->from);
	source = run_copies_source(side);
	return source != NULL && !journal_holds(side->run->core->journal, source);
}

/* What the next command takes, from one mailbox.  Those that cannot be done any more are passed
 * over: a client has done something there, or its run has ended. */
static bool take_chunk(struct run_side *side)
{
	struct taken_list *taken = &side->moves.taken_list;

	taken->next = taken->end;
	while (taken->next < taken->count) {
		if (is_possible(side, first_taken(taken)) && !run_is_disturbed(side->run))
			break;
		taken->next++;
	}
	taken->end = taken->next;
	while (taken->end < taken->count && taken->end - taken->next < TRANSFER_MAX &&
		taken->list[taken->end].from == first_taken(taken)->from)
		taken->end++;
	return taken->end > taken->next;
}

/* What the next command takes, as a transfer: the n-th of the one is the n-th of the other. */
static void fill_transfer(struct run_side *side)
{
	const struct taken_list *taken = &side->moves.taken_list;
	const struct taken_message *first = &taken->list[taken->next];
	struct transfer *transfer = &side->moves.transfer;

	transfer_clear(transfer);
	transfer->core = side->run->core;
	transfer->side = side->other->side;
	transfer->is_move = !first->copy;
	transfer->source = first->copy ? side->moves.copied_idx : first->from->mailbox->idx;
	transfer->target = side->run->mailbox->idx;
	transfer->uidvalidity = side->other->told.snapshot.uidvalidity;
	transfer->uidnext = side->other->told.snapshot.uidnext;
	for (size_t i = taken->next; i < taken->end; i++)
		transfer_add(transfer, &(const struct transferred){
					       .origin_source = taken->list[i].gone.uid,
					       .origin_target = taken->list[i].item.uid,
					       .uid = taken->list[i].gone.other_uid,
					       .identity = taken->list[i].gone.identity,
					       .email_id = taken->list[i].item.email_id,
				       });
}

static int intend(void *context)
{
	return transfer_intend(context);
}

static bool on_untagged(struct command *command, struct response *response)
{
	return transfer_take_untagged(&run_side_of(command)->other->moves.transfer, response);
}

/* A refusal is no end: what was not moved is copied. */
static bool on_sent(struct request *request)
{
	struct command *command = &request->command;
	struct run_side *side = run_side_of(command)->other;

	transfer_take_answer(&side->moves.transfer, command);
	if (command->outcome != OUTCOME_NO && command->outcome != OUTCOME_BAD)
		return true;
	side->moves.refused = true;
	log_debug(SIDE_CONTEXT(side->other->side, side->run->mailbox->display),
		"the server refused to take messages from another mailbox");
	return true;
}

void run_moves_select(struct run_side *side, const char *wire_name)
{
	/* A view of our own, since theirs may go before ours; and a new one for each mailbox. */
	side_forget_view(side->other->side, &side->moves.source_view);
	side_select(side->other->side, &side->run->barrier, &side->moves.source_view, wire_name);
}

static char *source_wire(const struct run_side *side, const struct taken_message *message)
{
	const struct mailbox *mailbox =
		message->copy ? run_copies_source(side) : message->from->mailbox;

	return side_wire_name(side->other->side, mailbox->name, mailbox->len);
}

/* It can be copied instead. */
static void name_move(const struct request *request, struct suspect *suspect)
{
	suspect->kind = SUSPECT_MOVE;
}

static void send(struct run_side *side)
{
	_cleanup_free_ char *wire = source_wire(side, first_taken(&side->moves.taken_list));
	struct run_side *target = side->other;
	struct run_request *request;

	run_moves_select(side, wire);
	request = request_new(&side->run->barrier, target->side, sizeof(*request), on_sent);
	request->side = target;
	request->request.command.untagged = on_untagged;
	request->request.name = name_move;
	transfer_put(&side->moves.transfer, &request->request.command, target->wire_name);
	request_submit(&request->request);
}

static bool send_side(struct run_side *side)
{
	while (take_chunk(side)) {
		fill_transfer(side);
		if (!run_transact(side->run, intend, &side->moves.transfer))
			return false;
		if (!transfer_any(&side->moves.transfer))
			continue;
		send(side);
		return true;
	}
	return false;
}

bool run_moves_send(struct run *run)
{
	return run->end.failure == NULL && (send_side(&run->local) || send_side(&run->remote));
}

static int write_chunk(void *context)
{
	struct run_side *side = context;

	return transfer_settle(&side->moves.transfer, side->moves.refused);
}

/*
 * The flags that it has where it was moved go to its pair: they are a change of that side, for the
 * next pass.  What the pair had is known, unless it was changed there before: then the next pass
 * sees both changes.
 */
static void carry_flags(
	struct run_side *side, const struct taken_message *taken, const struct transferred *message)
{
	struct run_side *from = taken->copy ? NULL : run_side(taken->from, side->side->remote);

	if (taken->item.flags != taken->gone.flags &&
		!changes_add(&side->flags.carried, taken->item.uid, taken->item.flags))
		side->told.overflow = true;
	if (from == NULL || changes_find(&from->other->told.changes, taken->gone.other_uid) == NULL)
		(void)changes_add(
			&side->other->flags.expected, message->new_uid, taken->gone.flags);
}

static void tell_clients(struct run_side *side, const struct run_side *from)
{
	struct news_receiver *news = side->run->core->options->news;

	if (news == NULL || side->other->side->remote)
		return;
	news->changed(news, side->other->wire_name);
	if (from != NULL)
		news->changed(news, from->other->wire_name);
}

/* The other run must know that something was taken from it. */
static void note_taken(struct run_side *side, struct run_side *from, uint64_t count)
{
	from->run->moves.any = side->run->moves.any = true;
	if (!transfer_moves(&side->moves.transfer))
		from->losses.moved_away += count;
}

static void note_moved(struct run_side *side)
{
	struct taken_list *taken = &side->moves.taken_list;
	const struct taken_message *first = first_taken(taken);
	struct run_side *from = first->copy ? NULL : run_side(first->from, side->side->remote);
	const struct mailbox *source = first->copy ? run_copies_source(side) : from->run->mailbox;
	uint64_t count = transfer_count_done(&side->moves.transfer);

	for (size_t i = 0; i < side->moves.transfer.count; i++)
		if (side->moves.transfer.list[i].state == TRANSFER_DONE)
			carry_flags(
				side, &taken->list[taken->next + i], &side->moves.transfer.list[i]);
	if (count == 0)
		return;
	if (from != NULL)
		note_taken(side, from, count);
	log_info(SIDE_CONTEXT(side->other->side, source != NULL ? source->display : NULL),
		"%s %" PRIu64 " message(s) to %s, as on the %s side",
		transfer_moves(&side->moves.transfer) ? "Moved" : "Copied", count,
		side->run->mailbox->display, side->side->name);
	tell_clients(side, from);
}

/* The run of the mailbox that it left has ended: nobody would know of what was taken from there. */
static void forget_source(struct transfer *transfer)
{
	for (size_t i = 0; i < transfer->count; i++)
		transfer->list[i].new_uid = 0;
}

static void sent_side(struct run_side *side)
{
	struct taken_list *taken = &side->moves.taken_list;
	struct transfer *transfer = &side->moves.transfer;
	bool abandoned;

	if (taken->end == taken->next || !transfer_any(transfer))
		return;
	abandoned = !first_taken(taken)->copy && first_taken(taken)->from == NULL;
	if (abandoned)
		forget_source(transfer);
	if (!run_transact(side->run, write_chunk, side))
		return;
	for (size_t i = 0; i < transfer->count; i++) {
		taken->list[taken->next + i].moved = transfer->list[i].state == TRANSFER_DONE;
		taken->list[taken->next + i].in_doubt =
			transfer->list[i].state == TRANSFER_IN_DOUBT;
	}
	if (!abandoned)
		note_moved(side);
}

void run_moves_sent(struct run *run)
{
	sent_side(&run->local);
	sent_side(&run->remote);
}

/* What is in doubt is neither copied, nor counted as replicated. */
static void leave(struct run_side *side, const struct taken_message *message)
{
	if (side->moves.lowest == 0 || message->item.uid < side->moves.lowest)
		side->moves.lowest = message->item.uid;
	side->run->pass.doubt = true;
}

/* What OPEN told of them is carried to the next pass, if it is anything new: what their pairs are
 * stored since is not known in this one. */
static void drop_changes(struct run_side *side)
{
	struct changes *changes = &side->told.changes;
	size_t kept = 0;

	for (size_t i = 0; i < changes->count; i++) {
		const struct item *item = items_find(&side->arrivals.items, changes->list[i].uid);

		if (item == NULL || !item->arrived)
			changes->list[kept++] = changes->list[i];
	}
	changes->count = kept;
}

static void done_side(struct run_side *side)
{
	struct items *items = &side->arrivals.items;
	struct taken_list *taken = &side->moves.taken_list;
	size_t kept = 0;

	for (size_t i = 0; i < taken->count; i++) {
		const struct taken_message *message = &taken->list[i];

		if (!message->moved && !message->in_doubt)
			continue;
		items_find(items, message->item.uid)->arrived = true;
		side->run->pass.again = true;
		if (message->in_doubt)
			leave(side, message);
	}
	drop_changes(side);
	for (size_t i = 0; i < items->count; i++)
		if (!items->list[i].arrived)
			items->list[kept++] = items->list[i];
	items->count = kept;
	changes_sort(&side->flags.carried);
}

void run_moves_done(struct run *run)
{
	done_side(&run->local);
	done_side(&run->remote);
	moves_wait_moved(run);
}

static bool any_mapped(struct run_side *side)
{
	_cleanup_free_ struct uid_pair *pairs = NULL;
	size_t count = 0;

	return run_pairs_of(side, &side->losses.gone, &pairs, &count) && count > 0;
}

static void put_off(struct run_side *side)
{
	/* Without MOVE, what was copied elsewhere must be expunged by this pass, which knows of it.
	 */
	if (!moves(side) || !any_mapped(side))
		return;
	seqset_clear(&side->losses.gone);
	side->run->pass.reread = true;
}

/*
 * Where something was moved, another pass follows.  Whoever moved it may still be at it, and the
 * two mailboxes were not looked at in the same moment: so what is missed beyond that is left to the
 * next pass.  That decides about it, unless again some of it is found to have been moved.
 */
void run_moves_over(struct run *run)
{
	if (!run->moves.any)
		return;
	run->pass.again = true;
	put_off(&run->local);
	put_off(&run->remote);
}
