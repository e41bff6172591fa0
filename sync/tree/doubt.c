/* SPDX-License-Identifier: MIT */
/*
 * Mailboxes that were listed without a STATUS, or told to be gone while they were listed, are asked
 * for once more.
 *
 * A server may leave it out for a while (RFC 5819 section 2).  But Dovecot 2.3 with a list index
 * also goes on listing, as if it could be selected, a Maildir mailbox that was deleted while it has
 * children; to create that on the other side would undo the deletion.
 */
#include <stdlib.h>

#include "sync/base/xalloc.h"
#include "sync/core/ask.h"
#include "sync/tree/tree-private.h"

struct doubt_request {
	struct status_request status;
	struct listed *entry;
};

static void on_status(struct status_request *status, const struct response_status *answer)
{
	listed_take_status(container_of(status, struct doubt_request, status)->entry, answer);
}

static bool answered(struct request *request)
{
	struct listed *entry = container_of(request, struct doubt_request, status.request)->entry;

	if (request->command.outcome == OUTCOME_LOST ||
		request->command.outcome == OUTCOME_CANCELLED)
		return false;
	/* Any other refusal is met again, and said, when the mailbox is opened. */
	if (command_names_nothing(&request->command))
		entry->attributes |= LIST_NONEXISTENT;
	return true;
}

static bool ask(struct side *side)
{
	struct listed *entry, *next;
	bool any = false;

	if (side_listing(side)->doubted || side_listing(side)->overflow)
		return false;
	side_listing(side)->doubted = true;
	HASH_ITER (hh, side_listing(side)->entries, entry, next) {
		const struct mailbox_name name = {.data = entry->name, .len = entry->len};
		struct status_request *status;

		if (entry->status.uidvalidity != 0 || !listed_is_selectable(entry))
			continue;
		status = status_request_new(side->core->tree->barrier, side, &name, STATUS_STATE,
			sizeof(struct doubt_request), on_status, answered);
		if (status == NULL)
			continue;
		container_of(status, struct doubt_request, status)->entry = entry;
		request_submit(&status->request);
		any = true;
	}
	return any;
}

bool tree_doubt(struct tree *tree)
{
	bool local = ask(&tree->core->local), remote = ask(&tree->core->remote);

	return local || remote;
}
