/* SPDX-License-Identifier: MIT */
/*
 * What a --delete takes along that is nowhere else.  A person who deletes a mailbox gets it
 * deleted; but what it held that the other side does not have is told, since that is what nobody
 * gets back.
 */
#include <inttypes.h>
#include <stdlib.h>

#include "sync/base/xalloc.h"
#include "sync/core/pairless.h"
#include "sync/imap/mailbox.h"
#include "sync/tree/tree-private.h"

static struct edit_loss *loss_of(struct side *side, size_t index)
{
	return &side->core->tree->edit.losses[2 * index + side->remote];
}

/* Of the answer to UID SEARCH ALL. */
static void note(struct side *side, size_t index, const struct seqset *uids)
{
	struct tree *tree = side->core->tree;
	struct edit_loss *loss = loss_of(side, index);
	struct mailbox_name name;
	struct mailbox *mailbox;
	uint64_t alone = 0;

	if (!change_name(tree, index, &name))
		return;
	mailbox = core_find_mailbox(tree->core, name.data, name.len);
	loss->messages += seqset_count(uids);
	if (change_find_listed(side->remote ? &tree->core->local : &tree->core->remote, &name) ==
		NULL)
		loss->alone = loss->messages;
	else if (mailbox != NULL &&
		 pairless_count(tree->core->db, mailbox->idx, side->remote, uids, &alone) >= 0)
		loss->alone += alone;
	free(name.data);
}

static bool on_search(struct command *command, struct response *response)
{
	struct change_request *change =
		container_of(command, struct change_request, request.command);

	if (response->type != RESPONSE_SEARCH && response->type != RESPONSE_ESEARCH)
		return false;
	note(change->request.side, change->index, &response->set);
	return true;
}

void loss_ask(struct side *side, size_t index, const char *wire)
{
	struct tree *tree = side->core->tree;
	struct change_request *search;
	struct request *open;

	side_unselect(side, tree->barrier);
	open = request_new(tree->barrier, side, sizeof(*open), request_ignore_refusal);
	command_select(&open->command, "EXAMINE", wire, &tree->edit.views[side->remote]);
	request_submit(open);
	search = request_new(tree->barrier, side, sizeof(*search), request_ignore_refusal);
	search->index = index;
	search->request.command.untagged = on_search;
	command_puts(&search->request.command, "UID SEARCH ALL");
	request_submit(&search->request);
	/* It is about to be deleted. */
	side_unselect(side, tree->barrier);
}

void loss_say(struct side *side, size_t index)
{
	const struct edit_loss *loss = loss_of(side, index);

	if (loss->alone > 0)
		log_warning(SIDE_CONTEXT(side, NULL),
			"%" PRIu64 " of the %" PRIu64 " message(s) in %s were on that side only",
			loss->alone, loss->messages, side->core->asked.mailboxes[index]);
}
