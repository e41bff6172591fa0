/* SPDX-License-Identifier: MIT */
/*
 * Known mailboxes that a list lacks are asked for by name before they count as missing.
 *
 * Dovecot 2.3 with a list index lists little more than INBOX for some seconds, in every process, when
 * many clients have renamed mailboxes at once; by name it has them all.  A person who is asked what
 * to do about twenty mailboxes that are gone, and are not, trusts nothing any more.
 */
#include <stdlib.h>

#include "sync/base/xalloc.h"
#include "sync/config/account.h"
#include "sync/core/ask.h"
#include "sync/tree/tree-private.h"

struct missing_request {
	struct status_request status;
	struct mailbox *mailbox;
};

/* It is listed after all, if it is the one that we know.  Its subscription was not told: it is as it
 * was. */
static void on_status(struct status_request *status, const struct response_status *answer)
{
	struct side *side = status->request.side;
	struct mailbox *mailbox = container_of(status, struct missing_request, status)->mailbox;
	const struct mailbox_state *base = &mailbox_side(mailbox, side->remote)->base;
	struct listed *listed;

	if (!(answer->items & STATUS_UIDVALIDITY) || answer->uidvalidity != base->uidvalidity)
		return;
	listed = listing_add(side_listing(side), mailbox->name, mailbox->len,
		mailbox->subscribed ? LIST_SUBSCRIBED : 0);
	if (listed == NULL)
		return;
	listed_take_status(listed, answer);
	side->core->tree->unsettled = true;
}

static bool answered(struct request *request)
{
	return request->command.outcome != OUTCOME_LOST &&
	       request->command.outcome != OUTCOME_CANCELLED;
}

static bool ask(struct tree *tree, const struct plan_mailbox *operation)
{
	struct side *side = absence_side(tree, operation);
	struct mailbox *mailbox = core_find_mailbox(tree->core, operation->name, operation->len);
	struct status_request *status;

	/* Listed as a level above others, it is gone for certain. */
	if (mailbox == NULL || mailbox->presence.missing_said ||
		side_listing(side)->missing_asked ||
		listing_find(side_listing(side), mailbox->name, mailbox->len) != NULL)
		return false;
	status = status_request_new(tree->barrier, side,
		&(struct mailbox_name){.data = mailbox->name, .len = mailbox->len},
		"UIDVALIDITY UIDNEXT HIGHESTMODSEQ", sizeof(struct missing_request), on_status,
		answered);
	if (status == NULL)
		return false;
	container_of(status, struct missing_request, status)->mailbox = mailbox;
	request_submit(&status->request);
	return true;
}

bool missing_ask(struct tree *tree)
{
	bool any = false;

	/* A list of those that are subscribed to says nothing of the others. */
	if (tree->core->options->account->list_select_opts != NULL)
		return false;
	for (size_t i = 0; i < tree->plan_count; i++)
		if (is_absence(&tree->plan[i]))
			any |= ask(tree, &tree->plan[i]);
	tree->local.missing_asked = tree->remote.missing_asked = true;
	return any;
}
