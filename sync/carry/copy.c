/* SPDX-License-Identifier: MIT */
/* The source's half of a copy: asking for bodies, and taking them in. copy-append.c is the other
 * half. */
#include "sync/carry/copy.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <utlist.h>

#include "sync/base/limits.h"
#include "sync/base/spool.h"
#include "sync/base/xalloc.h"
#include "sync/core/core.h"
#include "sync/core/quarantine.h"
#include "sync/carry/copy-private.h"
#include "sync/run/helpers.h"

struct fetch_request {
	struct run_request run;
	struct copier *copier;
	size_t first, last; /* items, inclusive */
};

void copier_leave(struct copier *copier, uint32_t uid)
{
	/* What the quarantine has is found again wherever UIDNEXT is. */
	if (seqset_contains(&copier->source->left_out.quarantined, uid))
		return;
	if (copier->lowest_left == 0 || uid < copier->lowest_left)
		copier->lowest_left = uid;
}

static void release_credit(struct copier *copier, struct item *item)
{
	struct side *side = copier->source->side;

	if (!charge_is_due(&item->charge))
		return;
	credit_release(&side->credit, &item->charge);
	runs_credit_released(side->core->runs);
}

static struct copy_message *message_new(struct copier *copier, struct item *item, uint64_t size)
{
	struct copy_message *message = xcalloc(1, sizeof(*message));

	message->copier = copier;
	message->item = item;
	message->spool = spool_new(size);
	return message;
}

struct copy_message *copy_message_free(struct copy_message *message)
{
	if (message == NULL)
		return NULL;
	if (message->item != NULL)
		release_credit(message->copier, message->item);
	spool_free(message->spool);
	free(message);
	return NULL;
}

/* The message being received is given up: its APPEND, if one began, cannot be completed. */
static void drop_arriving(struct copier *copier)
{
	struct copy_message *message = take(copier->arriving);

	if (message == NULL)
		return;
	message->body_over = true;
	if (message->append_over || !message->appending)
		copy_message_free(message);
	else if (!spool_complete(message->spool))
		spool_abort(message->spool);
}

/* The message is not taken, and not waited for any more. */
static void pass_over(struct copier *copier, struct item *item)
{
	item->arrived = true;
	release_credit(copier, item);
}

/* It stays for the next pass, unless it was expunged meanwhile. */
static void put_off(struct copier *copier, struct item *item)
{
	pass_over(copier, item);
	copier_leave(copier, item->uid);
	copier->source->run->pass.again = true;
}

/* The server does not give it: left alone, by name. */
static void leave_unread(struct copier *copier, struct item *item, const char *words)
{
	struct run_side *source = copier->source;

	pass_over(copier, item);
	if (!run_quarantine(source, QUARANTINE_FETCH, item->uid, item, words))
		run_note_problem(source->run,
			"the %s server does not give the message with UID %" PRIu32 " (%s)",
			source->side->name, item->uid, words);
}

/* There is no room here for it while it is on its way: other messages are smaller. */
static void leave_without_room(struct copier *copier, struct item *item, int error)
{
	struct run_side *source = copier->source;

	pass_over(copier, item);
	(void)seqset_add(&source->left_out.refused, item->uid);
	log_error(SIDE_CONTEXT(source->side, source->run->mailbox->display),
		"there is no room in the folder for temporary files (TMPDIR) for the message with "
		"UID %" PRIu32 ", %" PRIu64 " bytes%s%s (%s): it is left out for now",
		item->uid, item->identity.size, item->message_id[0] != '\0' ? ", Message-ID " : "",
		item->message_id, strerror(-error));
	run_note_problem(source->run,
		"messages are left out for want of room for temporary files (%s)",
		strerror(-error));
}

static void refuse_body(struct copier *copier, struct item *item, uint64_t size)
{
	struct run_side *source = copier->source;
	_cleanup_free_ char *words =
		xasprintf("it sends %" PRIu64 " bytes, and says that it has %" PRIu64, size,
			item->identity.size);

	leave_unread(copier, item, words);
	if (size > LIMIT_BODY_SKIPPED)
		client_fail(side_client(source->side),
			"the server sends %" PRIu64 " bytes for the message with UID %" PRIu32
			" in %s, which has %" PRIu64 " as it says itself",
			size, item->uid, source->run->mailbox->display, item->identity.size);
}

/* The server says how long the body is, which may not be what it had declared; false: skip it. */
static bool accept_body(struct copier *copier, struct item *item, uint64_t size)
{
	struct credit *credit = &copier->source->side->credit;

	switch (credit_body(credit, &item->charge, item->identity.size, size)) {
	case BODY_TAKE:
		return true;
	case BODY_LATER:
		put_off(copier, item);
		return false;
	case BODY_TOO_LONG:
		refuse_body(copier, item, size);
		return false;
	}
	return false;
}

/* Of a body that the server does not name before it: it must be one of those asked for. */
static bool may_be_asked_for(const struct fetch_request *fetch, uint64_t size)
{
	const struct items *items = &fetch->copier->source->arrivals.items;

	for (size_t i = fetch->first; i <= fetch->last; i++)
		if (!items->list[i].arrived && size <= credit_longest(items->list[i].identity.size))
			return true;
	return false;
}

/* A body that does not fit into memory has its room before any of it arrives.  False: it has none.
 */
static bool reserve(struct copier *copier, struct copy_message *message, uint64_t size)
{
	int r = size > LIMIT_SPOOL_MEMORY ? spool_reserve(message->spool) : 0;

	message->reserved = r == 0;
	if (r >= 0)
		return true;
	copier->spool_error = r;
	if (message->item != NULL) {
		leave_without_room(copier, message->item, r);
		message->item = NULL;
	}
	return false;
}

static struct fetch_request *fetch_of(struct command *command)
{
	return container_of(command, struct fetch_request, run.request.command);
}

/* Only what this very command named. */
static struct item *find_asked(const struct fetch_request *fetch, uint32_t uid)
{
	const struct items *items = &fetch->copier->source->arrivals.items;
	struct item *item = items_find(items, uid);

	if (item == NULL || item < &items->list[fetch->first] || item > &items->list[fetch->last])
		return NULL;
	return item;
}

static struct spool *on_body(struct command *command, uint32_t uid, uint64_t size)
{
	struct fetch_request *fetch = fetch_of(command);
	struct copier *copier = fetch->copier;
	struct item *item = uid > 0 ? find_asked(fetch, uid) : NULL;

	drop_arriving(copier);
	if (uid > 0 && (item == NULL || item->arrived || !charge_is_due(&item->charge)))
		return NULL; /* not asked for, or here already */
	if (item != NULL ? !accept_body(copier, item, size) : !may_be_asked_for(fetch, size))
		return NULL;
	copier->spool_error = 0;
	copier->arriving = message_new(copier, item, size);
	if (!reserve(copier, copier->arriving, size)) {
		copier->arriving = copy_message_free(copier->arriving);
		return NULL;
	}
	if (item != NULL)
		item->arrived = true;
	/* What may yet find no room must not keep the target waiting for the rest of it. */
	if (item != NULL && size > LIMIT_SPOOL_MEMORY && copier->arriving->reserved) {
		copier_append_arrived(copier);
		copier_append_now(copier, copier->arriving);
	}
	return copier->arriving->spool;
}

/* The response has come to its end, so what is not here as a whole could not be stored. */
static void drop_unstored(struct copier *copier)
{
	struct copy_message *message = copier->arriving;

	if (message == NULL || spool_complete(message->spool))
		return;
	copier->spool_error = spool_failure(message->spool);
	log_error(SIDE_CONTEXT(copier->source->side, NULL), "cannot store a message on its way: %s",
		strerror(-copier->spool_error));
	if (message->item != NULL && !message->appending)
		leave_without_room(copier, message->item, copier->spool_error);
	drop_arriving(copier);
}

static void skip_empty(struct copier *copier, struct item *item)
{
	if (item->identity.size > 0) {
		leave_unread(copier, item, "it answers with an empty message");
		return;
	}
	pass_over(copier, item);
	log_warning(SIDE_CONTEXT(copier->source->side, copier->source->run->mailbox->display),
		"the message with UID %" PRIu32 " is empty: not copied", item->uid);
}

static int take_error(struct copier *copier)
{
	int error = copier->spool_error;

	copier->spool_error = 0;
	return error;
}

static bool on_answer(struct command *command, struct response *response)
{
	struct fetch_request *fetch = fetch_of(command);
	struct copier *copier = fetch->copier;
	struct copy_message *message;
	struct item *item;

	if (response->type != RESPONSE_FETCH ||
		!(response->fetch.items & (FETCH_BODY | FETCH_BODY_EMPTY)))
		return false;
	drop_unstored(copier);
	if (!(response->fetch.items & FETCH_UID))
		return false;
	item = find_asked(fetch, response->fetch.uid);
	if (item == NULL)
		return false;
	message = copier->arriving;
	if (message == NULL || (message->item != NULL && message->item != item)) {
		if (!item->arrived && response->fetch.items & FETCH_BODY_EMPTY)
			skip_empty(copier, item);
		else if (!item->arrived && message == NULL && copier->spool_error != 0)
			leave_without_room(copier, item, take_error(copier));
		drop_arriving(copier);
		return true;
	}
	if (spool_size(message->spool) == 0) {
		skip_empty(copier, item);
		drop_arriving(copier);
		return true;
	}
	if (message->item == NULL &&
		(item->arrived || !accept_body(copier, item, spool_size(message->spool)))) {
		drop_arriving(copier);
		return true;
	}
	copier->arriving = NULL;
	message->item = item;
	item->arrived = true;
	copier_arrived(copier, message);
	return true;
}

/*
 * A body did not come.  One message that cannot be read may be why others did not come either: each
 * is asked for once more by itself.
 */
static void miss(struct copier *copier, struct item *item, const struct command *command)
{
	struct run_side *source = copier->source;

	if (seqset_contains(&source->told.expunged, item->uid)) {
		pass_over(copier, item);
	} else if (seqset_contains(&source->arrivals.missed, item->uid)) {
		pass_over(copier, item);
		run_refuse_fetch(
			source, item->uid, item, command, "it answers without the message");
	} else {
		(void)seqset_add(&source->arrivals.missed, item->uid);
		put_off(copier, item);
	}
}

/* Whether the answer says something about the messages that were asked for. */
static bool is_about_messages(const struct command *command)
{
	switch (command->outcome) {
	case OUTCOME_OK:
		return true;
	case OUTCOME_NO:
	case OUTCOME_BAD:
		return !refusal_is_general(command);
	default:
		return false;
	}
}

/* The one whose body is arriving, or those that did not. */
static void name_messages(const struct request *request, struct suspect *suspect)
{
	const struct fetch_request *fetch =
		container_of(request, const struct fetch_request, run.request);
	const struct items *items = &fetch->copier->source->arrivals.items;
	const struct copy_message *arriving = fetch->copier->arriving;

	suspect->kind = SUSPECT_FETCH;
	if (arriving != NULL && arriving->item != NULL)
		(void)seqset_add(&suspect->uids, arriving->item->uid);
	if (!seqset_is_empty(&suspect->uids))
		return;
	for (size_t i = fetch->first; i <= fetch->last; i++)
		if (!items->list[i].arrived)
			(void)seqset_add(&suspect->uids, items->list[i].uid);
}

static bool on_fetched(struct request *request)
{
	struct fetch_request *fetch = container_of(request, struct fetch_request, run.request);
	struct copier *copier = fetch->copier;
	struct items *items = &copier->source->arrivals.items;
	bool told = is_about_messages(&request->command);
	bool ending = copier->source->run->end.begun;

	copier->fetches--;
	drop_arriving(copier);
	for (size_t i = fetch->first; i <= fetch->last; i++) {
		struct item *item = &items->list[i];

		if (!item->arrived && told && !ending)
			miss(copier, item, &request->command);
		else if (!item->arrived)
			put_off(copier, item);
	}
	if (request->command.outcome == OUTCOME_OK)
		copier_append_arrived(copier);
	return told;
}

/* What the target will not take for its size is not asked for. */
static bool is_too_large(struct copier *copier, const struct item *item)
{
	struct run_side *source = copier->source, *target = source->other;
	uint64_t limit = side_append_limit(target->side, source->run->mailbox);
	_cleanup_free_ char *words = NULL;

	if (item->identity.size <= limit)
		return false;
	words = xasprintf("it takes at most %" PRIu64 " bytes", limit);
	if (!run_quarantine(source, QUARANTINE_APPEND, item->uid, item, words))
		run_note_problem(source->run,
			"the message with UID %" PRIu32 " on the %s side has %" PRIu64
			" bytes, the %s server takes at most %" PRIu64,
			item->uid, source->side->name, item->identity.size, target->side->name,
			limit);
	return true;
}

/* What there is no room for here is not asked for either. */
static bool has_no_room(struct copier *copier, struct item *item)
{
	int r = item->identity.size > LIMIT_SPOOL_MEMORY ? spool_probe(item->identity.size) : 0;

	if (r < 0)
		leave_without_room(copier, item, r);
	return r < 0;
}

/* Items that need no body are passed over. */
static void skip(struct copier *copier)
{
	struct items *items = &copier->source->arrivals.items;

	for (; copier->next < items->count; copier->next++) {
		struct item *item = &items->list[copier->next];

		if (item->identity.size == 0)
			skip_empty(copier, item);
		else if (!is_too_large(copier, item) && !has_no_room(copier, item))
			return;
		item->arrived = true;
	}
}

static bool is_alone(const struct copier *copier, uint32_t uid)
{
	return seqset_contains(&copier->source->arrivals.missed, uid);
}

/* Adds the next item to the set; false when the group is full or the credit used up. */
static bool add_to_group(
	struct copier *copier, struct seqset *set, uint64_t *bytes, unsigned *messages)
{
	struct items *items = &copier->source->arrivals.items;
	struct credit *credit = &copier->source->side->credit;
	struct item *item;

	skip(copier);
	if (copier->next >= items->count || *messages >= COPY_GROUP_MESSAGES)
		return false;
	item = &items->list[copier->next];
	if (*messages > 0 && *bytes + item->identity.size > COPY_GROUP_BYTES)
		return false;
	if (*messages > 0 &&
		(is_alone(copier, item->uid) || is_alone(copier, set->ranges[0].first)))
		return false;
	if (!credit_covers(credit, item->identity.size)) {
		copier->waits_for_credit = *messages == 0;
		return false;
	}
	credit_charge(credit, &item->charge, item->identity.size);
	*bytes += item->identity.size;
	(*messages)++;
	copier->next++;
	return seqset_add(set, item->uid);
}

static bool fetch_group(struct copier *copier)
{
	struct run_side *source = copier->source;
	struct fetch_request *fetch;
	struct seqset set;
	uint64_t bytes = 0;
	unsigned messages = 0;
	size_t first, index = 0;
	struct command *command;

	copier->waits_for_credit = false;
	skip(copier);
	first = copier->next;
	seqset_init(&set);
	while (add_to_group(copier, &set, &bytes, &messages))
		;
	if (messages == 0) {
		seqset_done(&set);
		return false;
	}
	run_select(source);
	fetch = request_new(&source->run->barrier, source->side, sizeof(*fetch), on_fetched);
	fetch->run.side = source;
	fetch->copier = copier;
	fetch->first = first;
	fetch->last = copier->next - 1;
	command = &fetch->run.request.command;
	command->body = on_body;
	command->untagged = on_answer;
	fetch->run.request.name = name_messages;
	command_puts(command, "UID FETCH ");
	command_set(command, &set, &index);
	command_puts(command, " (UID BODY.PEEK[])");
	seqset_done(&set);
	copier->fetches++;
	request_submit(&fetch->run.request);
	return true;
}

void copier_begin(struct copier *copier, struct run_side *source)
{
	*copier = (struct copier){.source = source};
}

void copier_done(struct copier *copier)
{
	struct copy_message *message, *next;

	if (copier->source == NULL)
		return;
	drop_arriving(copier);
	DL_FOREACH_SAFE (copier->arrived, message, next)
		copy_message_free(message);
	copier->arrived = NULL;
}

/* The target takes no more: what was not asked for stays. */
static void give_up(struct copier *copier)
{
	const struct items *items = &copier->source->arrivals.items;

	for (; copier->next < items->count; copier->next++)
		copier_leave(copier, items->list[copier->next].uid);
}

bool copier_advance(struct copier *copier)
{
	if (copier->stopped)
		give_up(copier);
	while (fetch_group(copier))
		;
	/* However the last FETCH was answered: nothing more comes that would wake us. */
	if (copier->fetches == 0)
		copier_append_arrived(copier);
	return copier->next >= copier->source->arrivals.items.count && copier->fetches == 0 &&
	       copier->appends == 0 && copier->arrived == NULL;
}
