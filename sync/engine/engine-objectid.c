/* SPDX-License-Identifier: MIT */
/*
 * MAILBOXID (RFC 8474 section 4), where the remote server offers it: a mailbox that is not known
 * and has the identifier of one that is known, and is not listed any more, is that one.  So a
 * renaming is followed, too, that happened while nobody listened.
 */
#include <stdlib.h>

#include "sync/base/xalloc.h"
#include "sync/engine/ask.h"
#include "sync/engine/engine-private.h"
#include "sync/state/mailbox-ids.h"

struct id_request {
	struct status_request status;
	struct listed *entry;
};

static void on_status(struct status_request *status, const struct response_status *answer)
{
	struct listed *entry = container_of(status, struct id_request, status)->entry;

	if (!(answer->items & STATUS_MAILBOXID))
		return; /* told by NOTIFY */
	free(entry->mailbox_id);
	entry->mailbox_id = answer->mailbox_id.len <= MAILBOX_ID_LEN
				    ? xmemdup0(answer->mailbox_id.data, answer->mailbox_id.len)
				    : NULL;
}

/* Not together with the list: there Cyrus 3.6 writes what it has freed. */
static void ask(struct engine *engine, struct listed *entry)
{
	const struct mailbox_name name = {.data = entry->name, .len = entry->len};
	struct status_request *status = status_request_new(&engine->barrier, &engine->remote, &name,
		"MAILBOXID", sizeof(struct id_request), on_status, request_ignore_refusal);

	if (status == NULL)
		return;
	container_of(status, struct id_request, status)->entry = entry;
	request_submit(&status->request);
}

int objectid_ask(struct engine *engine)
{
	struct listing *listing = &engine->remote_listing;
	struct listed *entry, *next;
	int r = 0;

	if (!engine->options->follow || listing->identified ||
		!side_has(&engine->remote, "OBJECTID"))
		return 0;
	listing->identified = true;
	HASH_ITER (hh, listing->entries, entry, next) {
		const struct mailbox *mailbox =
			engine_find_mailbox(engine, entry->name, entry->len);

		if (r < 0 || !listed_is_selectable(entry))
			continue;
		r = mailbox != NULL ? mailbox_ids_has(engine->db, mailbox->idx) : 0;
		if (r == 0)
			ask(engine, entry);
	}
	return r < 0 ? r : engine->barrier.waiting > 0;
}

static struct mailbox *find_by_idx(struct engine *engine, int64_t idx)
{
	struct mailbox *mailbox, *next;

	HASH_ITER (hh, engine->mailboxes, mailbox, next)
		if (mailbox->idx == idx)
			return mailbox;
	return NULL;
}

static bool is_there(struct engine *engine, const struct mailbox *mailbox)
{
	const struct listed *entry =
		listing_find(&engine->remote_listing, mailbox->name, mailbox->len);

	return entry != NULL && listed_is_selectable(entry);
}

static int note_if_renamed(struct engine *engine, const struct listed *entry)
{
	const struct mailbox_name to = {.data = entry->name, .len = entry->len};
	struct mailbox *mailbox;
	int64_t idx;
	int r = mailbox_ids_find(engine->db, entry->mailbox_id, &idx);

	mailbox = r > 0 ? find_by_idx(engine, idx) : NULL;
	if (mailbox != NULL && !mailbox->noted && !is_there(engine, mailbox) &&
		!journal_holds(&engine->journal, mailbox)) {
		const struct mailbox_name from = {.data = mailbox->name, .len = mailbox->len};

		mailbox->noted = true;
		journal_note(&engine->journal, ACTION_RENAME, true, &from, &to);
	}
	return r;
}

int objectid_note_renamed(struct engine *engine)
{
	struct listed *entry, *next;
	int r = 0;

	/* A list of named mailboxes says nothing of others. */
	if (!engine->options->follow || engine->asked.mailboxes != NULL)
		return 0;
	HASH_ITER (hh, engine->remote_listing.entries, entry, next)
		if (r >= 0 && entry->mailbox_id != NULL && listed_is_selectable(entry) &&
			engine_find_mailbox(engine, entry->name, entry->len) == NULL)
			r = note_if_renamed(engine, entry);
	return r < 0 ? r : 0;
}

int objectid_remember(struct engine *engine)
{
	struct listed *entry, *next;
	int r = 0;

	HASH_ITER (hh, engine->remote_listing.entries, entry, next) {
		const struct mailbox *mailbox =
			entry->mailbox_id != NULL
				? engine_find_mailbox(engine, entry->name, entry->len)
				: NULL;

		if (mailbox != NULL && r == 0)
			r = mailbox_ids_set(engine->db, mailbox->idx, entry->mailbox_id);
	}
	return r;
}
