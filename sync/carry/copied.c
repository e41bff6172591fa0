/* SPDX-License-Identifier: MIT */
/*
 * What was copied at the remote server is copied in the local store.  Nothing has gone anywhere, so
 * only a server that names messages (EMAILID, RFC 8474) tells that a new one is the same as one
 * that is in another mailbox, or in this one; emails.h knows which, and where its pair is.
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
#include "sync/carry/moved.h"
#include "sync/run/helpers.h"

struct mailbox *run_copied_from(const struct run_side *side)
{
	struct mailbox *mailbox, *next;

	HASH_ITER (hh, side->run->core->mailboxes, mailbox, next)
		if (mailbox->idx == side->moves.copied_idx && mailbox->presence.listed)
			return mailbox;
	return NULL;
}

static int by_other_uid(const void *one, const void *other)
{
	const struct take *a = one, *b = other;

	return (a->offer.other_uid > b->offer.other_uid) -
	       (a->offer.other_uid < b->offer.other_uid);
}

static bool find_takes(struct run_side *side)
{
	struct takes *takes = &side->moves.takes;
	size_t kept = 0;

	side->moves.copied_idx = 0;
	for (size_t i = 0; i < side->arrivals.items.count; i++) {
		const struct item *item = &side->arrivals.items.list[i];
		struct uid_pair pair;
		int64_t idx;
		int r = emails_locate(side->run->core->db, &item->email, &idx, &pair);

		if (run_database_failed(side->run, r))
			return false;
		if (r == 0 || (side->moves.copied_idx != 0 && side->moves.copied_idx != idx))
			continue;
		side->moves.copied_idx = idx;
		if (takes->list == NULL)
			takes->list = xcalloc(side->arrivals.items.count, sizeof(*takes->list));
		takes->list[takes->count++] = (struct take){
			.copy = true,
			.item = *item,
			.offer = {.uid = pair.remote, .other_uid = pair.local},
		};
	}
	if (takes->count > 1)
		qsort(takes->list, takes->count, sizeof(*takes->list), by_other_uid);
	/* One command cannot copy a message twice. */
	for (size_t i = 0; i < takes->count; i++)
		if (i == 0 || takes->list[i - 1].offer.other_uid != takes->list[i].offer.other_uid)
			takes->list[kept++] = takes->list[i];
	takes->count = kept;
	return takes->count > 0;
}

/* The response is about the other side, where the pair is. */
static bool on_pair(struct command *command, struct response *response)
{
	struct run_side *side = run_side_of(command)->other;
	const struct take key = {.offer.other_uid = response->fetch.uid};
	struct takes *takes = &side->moves.takes;
	struct identity identity;
	struct take *take;

	if (!identity_from_fetch(response, &identity) || !(response->fetch.items & FETCH_FLAGS))
		return false;
	take = takes->count > 0
		       ? bsearch(&key, takes->list, takes->count, sizeof(key), by_other_uid)
		       : NULL;
	if (take != NULL)
		run_moved_identify(side, &take->offer, &identity, response);
	return true;
}

bool run_copied_ask(struct run *run)
{
	struct run_side *side = &run->remote;
	struct mailbox *mailbox;
	_cleanup_free_ char *wire = NULL;
	struct seqset set;

	if (run->pass.sought || (run->repair && run->pass.first) ||
		!side_has(side->side, "OBJECTID"))
		return false;
	run->pass.sought = true;
	if (!find_takes(side))
		return false;
	mailbox = run_copied_from(side);
	if (mailbox != NULL)
		wire = side_wire_name(side->other->side, mailbox->name, mailbox->len);
	if (wire == NULL || journal_holds(run->core->journal, mailbox)) {
		run_moved_clear(side);
		return false;
	}
	seqset_init(&set);
	for (size_t i = 0; i < side->moves.takes.count; i++)
		(void)seqset_add(&set, side->moves.takes.list[i].offer.other_uid);
	run_moved_select(side, wire);
	run_read_if_granted(side->other, &run->barrier, &set, FETCH_METADATA, on_pair);
	seqset_done(&set);
	return true;
}

/* The pair has the name and the date that the new message has; its size may be counted in another
 * way. */
static bool is_usable(const struct take *take)
{
	return take->offer.identified && take->offer.identity.date == take->item.identity.date &&
	       memcmp(take->offer.identity.digest, take->item.identity.digest,
		       sizeof(take->item.identity.digest)) == 0;
}

void run_copied_asked(struct run *run)
{
	struct run_side *side = &run->remote;
	struct takes *takes = &side->moves.takes;
	const struct mailbox *mailbox = run_copied_from(side);
	size_t kept = 0;

	/* The UIDs are those of a certain UIDVALIDITY. */
	bool known = mailbox != NULL &&
		     mailbox->local.base.uidvalidity == side->moves.source_view.uidvalidity;

	for (size_t i = 0; i < takes->count; i++)
		if (known && is_usable(&takes->list[i]))
			takes->list[kept++] = takes->list[i];
	takes->count = kept;
}
