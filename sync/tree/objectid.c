/* SPDX-License-Identifier: MIT */
/*
 * MAILBOXID (RFC 8474 section 4), where the remote server offers it: a mailbox that is not known
 * and has the identifier of one that is known, and is not listed any more, is that one.  So a
 * renaming is followed, too, that happened while nobody listened.
 */
#include <stdlib.h>

#include "sync/base/xalloc.h"
#include "sync/core/ask.h"
#include "sync/state/mailbox-ids.h"
#include "sync/tree/tree-private.h"

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
static void ask(struct tree *tree, struct listed *entry)
{
	const struct mailbox_name name = {.data = entry->name, .len = entry->len};
	struct status_request *status = status_request_new(tree->barrier, &tree->core->remote,
		&name, "MAILBOXID", sizeof(struct id_request), on_status, request_ignore_refusal);

	if (status == NULL)
		return;
	container_of(status, struct id_request, status)->entry = entry;
	request_submit(&status->request);
}

int objectid_ask(struct tree *tree)
{
	struct listing *listing = &tree->remote;
	struct listed *entry, *next;
	int r = 0;

	if (!tree->core->options->follow || listing->identified ||
		!side_has(&tree->core->remote, "OBJECTID"))
		return 0;
	listing->identified = true;
	HASH_ITER (hh, listing->entries, entry, next) {
		const struct mailbox *mailbox =
			core_find_mailbox(tree->core, entry->name, entry->len);

		if (r < 0 || !listed_is_selectable(entry))
			continue;
		r = mailbox != NULL ? mailbox_ids_has(tree->core->db, mailbox->idx) : 0;
		if (r == 0)
			ask(tree, entry);
	}
	return r < 0 ? r : tree->barrier->waiting > 0;
}

static struct mailbox *find_by_idx(struct tree *tree, int64_t idx)
{
	struct mailbox *mailbox, *next;

	HASH_ITER (hh, tree->core->mailboxes, mailbox, next)
		if (mailbox->idx == idx)
			return mailbox;
	return NULL;
}

static bool is_there(struct tree *tree, const struct mailbox *mailbox)
{
	const struct listed *entry = listing_find(&tree->remote, mailbox->name, mailbox->len);

	return entry != NULL && listed_is_selectable(entry);
}

static int note_if_renamed(struct tree *tree, const struct listed *entry)
{
	const struct mailbox_name to = {.data = entry->name, .len = entry->len};
	struct mailbox *mailbox;
	int64_t idx;
	int r = mailbox_ids_find(tree->core->db, entry->mailbox_id, &idx);

	mailbox = r > 0 ? find_by_idx(tree, idx) : NULL;
	if (mailbox != NULL && !mailbox->presence.noted && !is_there(tree, mailbox) &&
		!journal_holds(tree->core->journal, mailbox)) {
		const struct mailbox_name from = {.data = mailbox->name, .len = mailbox->len};

		mailbox->presence.noted = true;
		journal_note(tree->core->journal, ACTION_RENAME, true, &from, &to);
	}
	return r;
}

int objectid_note_renamed(struct tree *tree)
{
	struct listed *entry, *next;
	int r = 0;

	/* A list of named mailboxes says nothing of others. */
	if (!tree->core->options->follow || tree->core->asked.mailboxes != NULL)
		return 0;
	HASH_ITER (hh, tree->remote.entries, entry, next)
		if (r >= 0 && entry->mailbox_id != NULL && listed_is_selectable(entry) &&
			core_find_mailbox(tree->core, entry->name, entry->len) == NULL)
			r = note_if_renamed(tree, entry);
	return r < 0 ? r : 0;
}

int objectid_remember(struct tree *tree)
{
	struct listed *entry, *next;
	int r = 0;

	HASH_ITER (hh, tree->remote.entries, entry, next) {
		const struct mailbox *mailbox =
			entry->mailbox_id != NULL
				? core_find_mailbox(tree->core, entry->name, entry->len)
				: NULL;

		if (mailbox != NULL && r == 0)
			r = mailbox_ids_set(tree->core->db, mailbox->idx, entry->mailbox_id);
	}
	return r;
}
