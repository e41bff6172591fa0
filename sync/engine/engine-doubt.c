/* SPDX-License-Identifier: MIT */
/*
 * Mailboxes that were listed without a STATUS are asked for once more.
 *
 * A server may leave it out for a while (RFC 5819 section 2).  But Dovecot 2.3 with a list index
 * also goes on listing, as if it could be selected, a Maildir mailbox that was deleted while it has
 * children; to create that on the other side would undo the deletion.
 */
#include <stdlib.h>

#include "sync/base/xalloc.h"
#include "sync/engine/engine-private.h"

struct doubt_request {
	struct request request;
	struct listed *entry;
};

static bool on_status(struct command *command, struct response *response)
{
	struct side *side = container_of(command, struct request, command)->side;

	if (response->type != RESPONSE_STATUS)
		return false;
	listing_take(side_listing(side), response, side->delimiter, side->reference);
	return true;
}

static bool answered(struct request *request)
{
	struct listed *entry = container_of(request, struct doubt_request, request)->entry;

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
		char *wire;
		struct doubt_request *doubt;

		if (entry->status.uidvalidity != 0 || !listed_is_selectable(entry))
			continue;
		wire = side_wire_name(side, entry->name, entry->len);
		if (wire == NULL)
			continue;
		doubt = request_new(&side->engine->barrier, side, sizeof(*doubt), answered);
		doubt->entry = entry;
		doubt->request.command.untagged = on_status;
		command_puts(&doubt->request.command, "STATUS ");
		command_mailbox(&doubt->request.command, wire);
		command_puts(&doubt->request.command, " (UIDVALIDITY UIDNEXT HIGHESTMODSEQ)");
		request_submit(&doubt->request);
		free(wire);
		any = true;
	}
	return any;
}

bool engine_doubt(struct engine *engine)
{
	bool local = ask(&engine->local), remote = ask(&engine->remote);

	return local || remote;
}
