/* SPDX-License-Identifier: MIT */
/*
 * What was moved on one side, from one mailbox to another, is moved likewise on the other side (see
 * meeting.h).  `side` is here where the message is gone or new; `side->other` is where its pair is,
 * and where it is moved.
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
#include "sync/core/copyuid.h"
#include "sync/core/core.h"
#include "sync/core/news.h"
#include "sync/deeds/journal.h"
#include "sync/imap/flags.h"
#include "sync/imap/seqset.h"
#include "sync/run/run-private.h"

/* Messages of one command: their UIDs fit into a line whatever they are. */
enum { CHUNK = 500 };

/* RFC 6851.  Without it the messages are copied, and the run of the other mailbox expunges them
 * there. */
static bool moves(const struct run_side *side)
{
	return side_has(side->other->side, "MOVE");
}

static struct run_side *same_side(struct run *run, const struct run_side *side)
{
	return side->side->remote ? &run->remote : &run->local;
}

void run_moved_clear(struct run_side *side)
{
	free(side->offers.list);
	side->offers = (struct offers){0};
	free(side->takes.list);
	side->takes = (struct takes){0};
}

/* What is gone */

static int by_other_uid(const void *one, const void *other)
{
	const struct offer *a = one, *b = other;

	return (a->other_uid > b->other_uid) - (a->other_uid < b->other_uid);
}

static void add_offer(struct run_side *side, const struct uid_pair *pair)
{
	struct offers *offers = &side->offers;
	struct offer offer = {.uid = pair->local, .other_uid = pair->remote};

	if (side->side->remote)
		offer = (struct offer){.uid = pair->remote, .other_uid = pair->local};
	/* Gone on both sides: nothing is left to be moved. */
	if (seqset_contains(&side->other->gone, offer.other_uid) || offers->count >= LIMIT_MOVED)
		return;
	if ((offers->count & (offers->count + 1)) == 0) /* grows when it is 0, 1, 3, 7 … */
		offers->list =
			xreallocarray(offers->list, 2 * offers->count + 1, sizeof(*offers->list));
	offers->list[offers->count++] = offer;
}

static bool find_offers(struct run_side *side)
{
	struct offers *offers = &side->offers;

	for (size_t i = 0; i < side->gone.count; i++) {
		_cleanup_free_ struct uid_pair *pairs = NULL;
		size_t count = 0;

		if (run_database_failed(side->run,
			    mapping_in_range(side->run->core->db, side->run->mailbox->idx,
				    side->side->remote, side->gone.ranges[i].first,
				    side->gone.ranges[i].last, &pairs, &count)))
			return false;
		for (size_t j = 0; j < count; j++)
			add_offer(side, &pairs[j]);
	}
	for (size_t i = 0; i < offers->count && side->side->remote; i++)
		if (run_database_failed(
			    side->run, emails_find(side->run->core->db, side->run->mailbox->idx,
					       offers->list[i].uid, &offers->list[i].email)))
			return false;
	if (offers->count > 1)
		qsort(offers->list, offers->count, sizeof(*offers->list), by_other_uid);
	return true;
}

void run_moved_identify(struct run_side *side, struct offer *offer, const struct identity *identity,
	const struct response *response)
{
	offer->identity = *identity;
	offer->flags = flags_intern(side->run->core->flags, response->atoms, response->atoms_count);
	offer->identified = offer->flags != NULL;
}

/* The response is about the other side, where the pair is. */
static bool on_offered(struct command *command, struct response *response)
{
	struct run_side *side = run_side_of(command)->other;
	struct offer key = {.other_uid = response->fetch.uid}, *offer;
	struct identity identity;

	if (!identity_from_fetch(response, &identity) || !(response->fetch.items & FETCH_FLAGS))
		return false;
	offer = side->offers.count > 0 ? bsearch(&key, side->offers.list, side->offers.count,
						 sizeof(key), by_other_uid)
				       : NULL;
	if (offer != NULL)
		run_moved_identify(side, offer, &identity, response);
	return true;
}

static void ask_side(struct run_side *side)
{
	struct seqset set;

	if (!side->loses || !find_offers(side) || side->offers.count == 0)
		return;
	seqset_init(&set);
	for (size_t i = 0; i < side->offers.count; i++)
		(void)seqset_add(&set, side->offers.list[i].other_uid);
	run_select(side->other);
	run_read_if_granted(side->other, &side->run->barrier, &set, FETCH_METADATA, on_offered);
	seqset_done(&set);
}

void run_moved_ask(struct run *run)
{
	ask_side(&run->local);
	ask_side(&run->remote);
}

void run_moved_asked(struct run *run)
{
	meeting_asked(run);
}

/* What is new */

static struct take *first_take(struct takes *takes)
{
	return &takes->list[takes->next];
}

/* The command that is under way, or next. */
static bool is_move(struct run_side *side)
{
	return moves(side) && !first_take(&side->takes)->copy;
}

static struct uid_pair pair_of(const struct run_side *side, uint32_t uid, uint32_t other_uid)
{
	if (side->side->remote)
		return (struct uid_pair){.local = other_uid, .remote = uid};
	return (struct uid_pair){.local = uid, .remote = other_uid};
}

static struct intent intent_of(const struct run_side *side, const struct take *take)
{
	return (struct intent){
		.id = take->intent,
		.mailbox = side->run->mailbox->idx,
		.to_remote = side->other->side->remote,
		.source_uid = take->item.uid,
		.target_uidvalidity = side->other->snapshot.uidvalidity,
		.target_uidnext = side->other->snapshot.uidnext,
		.identity = take->offer.identity,
	};
}

static bool is_possible(const struct run_side *side, const struct take *take)
{
	const struct mailbox *source;

	if (!take->copy)
		return take->from != NULL && !run_is_disturbed(take->from);
	source = run_copied_from(side);
	return source != NULL && !journal_holds(side->run->core->journal, source);
}

/* The takes of the next command: from one mailbox.  Those that cannot be done any more are passed
 * over: a client has done something there, or its run has ended. */
static bool take_chunk(struct run_side *side)
{
	struct takes *takes = &side->takes;

	takes->next = takes->end;
	while (takes->next < takes->count) {
		if (is_possible(side, first_take(takes)) && !run_is_disturbed(side->run))
			break;
		first_take(takes)->over = true;
		takes->next++;
	}
	takes->end = takes->next;
	while (takes->end < takes->count && takes->end - takes->next < CHUNK &&
		takes->list[takes->end].from == first_take(takes)->from)
		takes->end++;
	return takes->end > takes->next;
}

static int intend(void *context)
{
	struct run_side *side = context;
	struct takes *takes = &side->takes;
	struct db *db = side->run->core->db;
	int r = 0;

	for (size_t i = takes->next; i < takes->end && r >= 0; i++) {
		struct take *take = &takes->list[i];
		struct intent intent = intent_of(side, take);

		r = intents_insert(db, &intent);
		take->intent = intent.id;
		take->over = r == -EEXIST; /* in doubt already: that is for a run to settle */
		if (take->over)
			r = 0;
	}
	return r;
}

/* The new UIDs, by COPYUID (RFC 4315 section 3). */
static void read_copyuid(
	struct run_side *side, uint32_t uidvalidity, struct slice from, struct slice to)
{
	const struct mailbox_state *snapshot = &side->other->snapshot;
	struct takes *takes = &side->takes;
	size_t at = takes->next;
	struct copyuid copyuid;

	if (uidvalidity != snapshot->uidvalidity ||
		!copyuid_read(&copyuid, from, to, snapshot->uidnext, CHUNK))
		return;
	/* Mostly in our order; else each is looked for from the beginning. */
	for (size_t i = 0; i < copyuid.count; i++) {
		while (at < takes->end && takes->list[at].offer.other_uid != copyuid.source[i])
			at++;
		if (at == takes->end)
			for (at = takes->next; at < takes->end; at++)
				if (takes->list[at].offer.other_uid == copyuid.source[i])
					break;
		if (at < takes->end)
			takes->list[at].new_uid = copyuid.target[i];
	}
	copyuid_done(&copyuid);
}

/* MOVE tells it ahead of its answer (RFC 6851 section 4.3). */
static bool on_untagged(struct command *command, struct response *response)
{
	if (response->type != RESPONSE_CONDITION || response->code != CODE_COPYUID)
		return false;
	read_copyuid(run_side_of(command)->other, response->uidvalidity, response->source_uids,
		response->uids);
	return true;
}

static struct slice slice_of(const char *text)
{
	return (struct slice){.data = text, .len = text != NULL ? strlen(text) : 0};
}

/* A refusal is no end: what was not moved is copied. */
static bool on_sent(struct request *request)
{
	struct command *command = &request->command;
	struct run_side *side = run_side_of(command)->other;

	if (command->outcome == OUTCOME_OK && command->code == CODE_COPYUID)
		read_copyuid(side, command->uidvalidity, slice_of(command->source_uids),
			slice_of(command->uids));
	if (command->outcome != OUTCOME_NO && command->outcome != OUTCOME_BAD)
		return true;
	side->move_refused = true;
	log_debug(SIDE_CONTEXT(side->other->side, side->run->mailbox->display),
		"the server refused to take messages from another mailbox");
	return true;
}

void run_moved_select(struct run_side *side, const char *wire_name)
{
	/* A view of our own, since theirs may go before ours; and a new one for each mailbox. */
	side_forget_view(side->other->side, &side->source_view);
	side_select(side->other->side, &side->run->barrier, &side->source_view, wire_name);
}

static char *source_wire(const struct run_side *side, const struct take *take)
{
	const struct mailbox *mailbox = take->copy ? run_copied_from(side) : take->from->mailbox;

	return side_wire_name(side->other->side, mailbox->name, mailbox->len);
}

/* It can be copied instead. */
static void name_move(const struct request *request, struct suspect *suspect)
{
	suspect->kind = SUSPECT_MOVE;
}

static void send(struct run_side *side)
{
	struct takes *takes = &side->takes;
	_cleanup_free_ char *wire = source_wire(side, first_take(takes));
	struct run_side *target = side->other;
	struct run_request *request;
	struct seqset set;
	size_t index = 0;

	seqset_init(&set);
	for (size_t i = takes->next; i < takes->end; i++)
		if (!takes->list[i].over)
			(void)seqset_add(&set, takes->list[i].offer.other_uid);
	run_moved_select(side, wire);
	request = request_new(&side->run->barrier, target->side, sizeof(*request), on_sent);
	request->side = target;
	request->request.command.untagged = is_move(side) ? on_untagged : NULL;
	request->request.name = name_move;
	command_printf(&request->request.command, "UID %s ", is_move(side) ? "MOVE" : "COPY");
	command_set(&request->request.command, &set, &index);
	command_puts(&request->request.command, " ");
	command_mailbox(&request->request.command, target->wire_name);
	seqset_done(&set);
	request_submit(&request->request);
}

static bool has_any(const struct takes *takes)
{
	for (size_t i = takes->next; i < takes->end; i++)
		if (!takes->list[i].over)
			return true;
	return false;
}

static bool send_side(struct run_side *side)
{
	while (take_chunk(side)) {
		if (!run_transact(side->run, intend, side))
			return false;
		if (!has_any(&side->takes))
			continue;
		send(side);
		return true;
	}
	return false;
}

bool run_moved_send(struct run *run)
{
	return run->failure == NULL && (send_side(&run->local) || send_side(&run->remote));
}

/* The pair of the mailbox that it left becomes one of this. */
static int settle(struct run_side *side, struct take *take)
{
	const struct intent intent = intent_of(side, take);
	struct db *db = side->run->core->db;
	int r = 0;

	if (is_move(side))
		r = mapping_delete(db, take->from->mailbox->idx,
			pair_of(side, take->offer.uid, take->offer.other_uid));
	if (r == 0)
		r = intents_settle(db, &intent, pair_of(side, take->item.uid, take->new_uid));
	if (r == -EEXIST) /* a server that gives a UID twice: the next pass finds out */
		return intents_drop(db, &intent);
	if (r == 0 && side->side->remote)
		r = emails_insert(db, side->run->mailbox->idx, take->item.uid, &take->item.email);
	take->moved = take->over = true;
	return r;
}

/*
 * A refused MOVE may have moved some, and what the answer does not name may be there all the same:
 * then SETTLE looks for the messages.
 */
static int write_chunk(void *context)
{
	struct run_side *side = context;
	struct takes *takes = &side->takes;
	bool in_doubt = !side->move_refused || is_move(side);
	int r = 0;

	for (size_t i = takes->next; i < takes->end && r >= 0; i++) {
		struct take *take = &takes->list[i];
		const struct intent intent = intent_of(side, take);

		if (take->over)
			continue;
		if (take->new_uid != 0 && (take->copy || take->from != NULL))
			r = settle(side, take);
		else if (in_doubt || take->new_uid != 0)
			take->in_doubt = true;
		else
			r = intents_drop(side->run->core->db, &intent);
		take->over = true;
	}
	return r;
}

/*
 * The flags that it has where it was moved go to its pair: they are a change of that side, for the
 * next pass.  What the pair had is known, unless it was changed there before: then the next pass
 * sees both changes.
 */
static void carry_flags(struct run_side *side, const struct take *take)
{
	struct run_side *from = take->copy ? NULL : same_side(take->from, side);

	if (take->item.flags != take->offer.flags &&
		!changes_add(&side->carried, take->item.uid, take->item.flags))
		side->overflow = true;
	if (from == NULL || changes_find(&from->other->changes, take->offer.other_uid) == NULL)
		(void)changes_add(&side->other->expected, take->new_uid, take->offer.flags);
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
	from->run->attendance.moved = side->run->attendance.moved = true;
	if (!moves(side))
		from->moved_away += count;
}

static void note_moved(struct run_side *side)
{
	struct takes *takes = &side->takes;
	const struct take *first = first_take(takes);
	struct run_side *from = first->copy ? NULL : same_side(first->from, side);
	const struct mailbox *source = first->copy ? run_copied_from(side) : from->run->mailbox;
	uint64_t count = 0;

	for (size_t i = takes->next; i < takes->end; i++) {
		if (!takes->list[i].moved)
			continue;
		carry_flags(side, &takes->list[i]);
		count++;
	}
	if (count == 0)
		return;
	if (from != NULL)
		note_taken(side, from, count);
	log_info(SIDE_CONTEXT(side->other->side, source != NULL ? source->display : NULL),
		"%s %" PRIu64 " message(s) to %s, as on the %s side",
		is_move(side) ? "Moved" : "Copied", count, side->run->mailbox->display,
		side->side->name);
	tell_clients(side, from);
}

static void sent_side(struct run_side *side)
{
	struct takes *takes = &side->takes;

	if (takes->end == takes->next || !has_any(takes) ||
		!run_transact(side->run, write_chunk, side))
		return;
	if (first_take(takes)->copy || first_take(takes)->from != NULL)
		note_moved(side);
}

void run_moved_sent(struct run *run)
{
	sent_side(&run->local);
	sent_side(&run->remote);
}

/* What is in doubt is neither copied, nor counted as replicated. */
static void leave(struct run_side *side, const struct take *take)
{
	if (side->lowest_moved == 0 || take->item.uid < side->lowest_moved)
		side->lowest_moved = take->item.uid;
	side->run->doubt = true;
}

/* What OPEN told of them is carried to the next pass, if it is anything new: what their pairs are
 * stored since is not known in this one. */
static void drop_changes(struct run_side *side)
{
	struct changes *changes = &side->changes;
	size_t kept = 0;

	for (size_t i = 0; i < changes->count; i++) {
		const struct item *item = items_find(&side->items, changes->list[i].uid);

		if (item == NULL || !item->arrived)
			changes->list[kept++] = changes->list[i];
	}
	changes->count = kept;
}

static void done_side(struct run_side *side)
{
	struct items *items = &side->items;
	struct takes *takes = &side->takes;
	size_t kept = 0;

	for (size_t i = 0; i < takes->count; i++) {
		const struct take *take = &takes->list[i];

		if (!take->moved && !take->in_doubt)
			continue;
		items_find(items, take->item.uid)->arrived = true;
		side->run->again = true;
		if (take->in_doubt)
			leave(side, take);
	}
	drop_changes(side);
	for (size_t i = 0; i < items->count; i++)
		if (!items->list[i].arrived)
			items->list[kept++] = items->list[i];
	items->count = kept;
	changes_settle(&side->carried);
}

void run_moved_done(struct run *run)
{
	done_side(&run->local);
	done_side(&run->remote);
	meeting_moved(run);
}

static bool any_mapped(struct run_side *side)
{
	bool any = false;

	for (size_t i = 0; i < side->gone.count && !any; i++) {
		_cleanup_free_ struct uid_pair *pairs = NULL;
		size_t count = 0;

		any = !run_database_failed(side->run,
			      mapping_in_range(side->run->core->db, side->run->mailbox->idx,
				      side->side->remote, side->gone.ranges[i].first,
				      side->gone.ranges[i].last, &pairs, &count)) &&
		      count > 0;
	}
	return any;
}

static void put_off(struct run_side *side)
{
	/* Without MOVE, what was copied elsewhere must be expunged by this pass, which knows of it.
	 */
	if (!moves(side) || !any_mapped(side))
		return;
	seqset_clear(&side->gone);
	side->run->reread = true;
}

/*
 * Where something was moved, another pass follows.  Whoever moved it may still be at it, and the
 * two mailboxes were not looked at in the same moment: so what is missed beyond that is left to the
 * next pass.  That decides about it, unless again some of it is found to have been moved.
 */
void run_moved_over(struct run *run)
{
	if (!run->attendance.moved)
		return;
	run->again = true;
	put_off(&run->local);
	put_off(&run->remote);
}
