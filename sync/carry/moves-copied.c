/* SPDX-License-Identifier: MIT */
/*
 * What was copied at the remote server is copied in the local store.  Nothing has gone anywhere, so
 * only a server that names messages (EMAILID, RFC 8474) tells that a new one is the same as one
 * that is in another mailbox, or in this one; email-ids.h knows which, and where its pair is.
 *
 * The pair may have other things done to it meanwhile, even be expunged: then the COPY does not
 * name it, and the message is copied from the remote server like any other.  One mailbox is copied
 * from in a pass, since that is what people do.
 */
#include <stdlib.h>
#include <string.h>

#include "sync/base/xalloc.h"
#include "sync/core/core.h"
#include "sync/deeds/journal.h"
#include "sync/imap/flags.h"
#include "sync/carry/moves.h"
#include "sync/run/helpers.h"

struct mailbox *run_copies_source(const struct run_side *side)
{
	struct mailbox *mailbox, *next;

	HASH_ITER (hh, side->run->core->mailboxes, mailbox, next)
		if (mailbox->idx == side->moves.copied_idx && mailbox->presence.listed)
			return mailbox;
	return NULL;
}

static int by_other_uid(const void *one, const void *other)
{
	const struct taken_message *a = one, *b = other;

	return (a->gone.other_uid > b->gone.other_uid) - (a->gone.other_uid < b->gone.other_uid);
}

static bool find_copies(struct run_side *side)
{
	struct taken_list *taken = &side->moves.taken_list;
	size_t kept = 0;

	side->moves.copied_idx = 0;
	for (size_t i = 0; i < side->arrivals.items.count; i++) {
		const struct item *item = &side->arrivals.items.list[i];
		struct uid_pair pair;
		int64_t idx;
		int r = email_ids_locate(side->run->core->db, &item->email_id, &idx, &pair);

		if (run_database_failed(side->run, r))
			return false;
		if (r == 0 || (side->moves.copied_idx != 0 && side->moves.copied_idx != idx))
			continue;
		side->moves.copied_idx = idx;
		if (taken->list == NULL)
			taken->list = xcalloc(side->arrivals.items.count, sizeof(*taken->list));
		taken->list[taken->count++] = (struct taken_message){
			.copy = true,
			.item = *item,
			.gone = {.uid = pair.remote, .other_uid = pair.local},
		};
	}
	if (taken->count > 1)
		qsort(taken->list, taken->count, sizeof(*taken->list), by_other_uid);
	/* One command cannot copy a message twice. */
	for (size_t i = 0; i < taken->count; i++)
		if (i == 0 || taken->list[i - 1].gone.other_uid != taken->list[i].gone.other_uid)
			taken->list[kept++] = taken->list[i];
	taken->count = kept;
	return taken->count > 0;
}

/* The response is about the other side, where the pair is. */
static bool on_pair(struct command *command, struct response *response)
{
	struct run_side *side = run_side_of(command)->other;
	const struct taken_message key = {.gone.other_uid = response->fetch.uid};
	struct taken_list *taken = &side->moves.taken_list;
	struct identity identity;
	struct taken_message *message;

	if (!identity_from_fetch(response, &identity) || !(response->fetch.items & FETCH_FLAGS))
		return false;
	message = taken->count > 0
			  ? bsearch(&key, taken->list, taken->count, sizeof(key), by_other_uid)
			  : NULL;
	if (message != NULL)
		run_moves_identify(side, &message->gone, &identity, response);
	return true;
}

bool run_copies_ask(struct run *run)
{
	struct run_side *side = &run->remote;
	struct mailbox *mailbox;
	_cleanup_free_ char *wire = NULL;
	struct seqset set;

	if (run->pass.copies_sought || (run->repair && run->pass.first) ||
		!side_has(side->side, "OBJECTID"))
		return false;
	run->pass.copies_sought = true;
	if (!find_copies(side))
		return false;
	mailbox = run_copies_source(side);
	if (mailbox != NULL)
		wire = side_wire_name(side->other->side, mailbox->name, mailbox->len);
	if (wire == NULL || journal_holds(run->core->journal, mailbox)) {
		run_moves_clear(side);
		return false;
	}
	seqset_init(&set);
	for (size_t i = 0; i < side->moves.taken_list.count; i++)
		(void)seqset_add(&set, side->moves.taken_list.list[i].gone.other_uid);
	run_moves_select(side, wire);
	run_read_if_granted(side->other, &run->barrier, &set, FETCH_METADATA, on_pair);
	seqset_done(&set);
	return true;
}

/* The pair has the name and the date that the new message has; its size may be counted in another
 * way. */
static bool is_usable(const struct taken_message *message)
{
	return message->gone.identified &&
	       message->gone.identity.date == message->item.identity.date &&
	       memcmp(message->gone.identity.digest, message->item.identity.digest,
		       sizeof(message->item.identity.digest)) == 0;
}

void run_copies_asked(struct run *run)
{
	struct run_side *side = &run->remote;
	struct taken_list *taken = &side->moves.taken_list;
	const struct mailbox *mailbox = run_copies_source(side);
	size_t kept = 0;

	/* The UIDs are those of a certain UIDVALIDITY. */
	bool known = mailbox != NULL &&
		     mailbox->local.base.uidvalidity == side->moves.source_view.uidvalidity;

	for (size_t i = 0; i < taken->count; i++)
		if (known && is_usable(&taken->list[i]))
			taken->list[kept++] = taken->list[i];
	taken->count = kept;
}
