/* SPDX-License-Identifier: MIT */
#include "sync/core/mailbox.h"

#include <stdlib.h>

#include "sync/base/xalloc.h"
#include "sync/imap/mailbox.h"

void mailbox_set_name(struct mailbox *mailbox, const char *name, size_t len, char delimiter)
{
	free(mailbox->name);
	free(mailbox->display);
	mailbox->name = xmemdup0(name, len);
	mailbox->len = len;
	mailbox->display = mailbox_for_person(name, len, delimiter);
}

struct mailbox *mailbox_new(const struct mailbox_row *row, char delimiter)
{
	struct mailbox *mailbox = xcalloc(1, sizeof(*mailbox));

	mailbox->idx = row->idx;
	mailbox_set_name(mailbox, row->name, row->len, delimiter);
	mailbox->local.base = row->local;
	mailbox->remote.base = row->remote;
	return mailbox;
}

int mailbox_remember_uidvalidity(
	struct mailbox *mailbox, struct db *db, bool remote, uint32_t uidvalidity)
{
	struct mailbox_state *base = &mailbox_side(mailbox, remote)->base;
	struct mailbox_state first = {.uidvalidity = uidvalidity};
	int r;

	if (base->uidvalidity != 0)
		return 0;
	r = mailboxes_set_state(db, mailbox->idx, remote, &first);
	if (r == 0)
		*base = first;
	return r;
}

struct mailbox *mailbox_free(struct mailbox *mailbox)
{
	if (mailbox == NULL)
		return NULL;
	free(mailbox->name);
	free(mailbox->display);
	free(mailbox->result.problem);
	free(mailbox);
	return NULL;
}

void mailbox_note_status(struct mailbox *mailbox, bool remote, const struct response_status *status)
{
	struct mailbox_state *seen = &mailbox_side(mailbox, remote)->seen;

	if (status->items & STATUS_UIDVALIDITY)
		seen->uidvalidity = status->uidvalidity;
	if (status->items & STATUS_UIDNEXT)
		seen->uidnext = status->uidnext;
	if (status->items & STATUS_HIGHESTMODSEQ)
		seen->highestmodseq = status->highestmodseq;
}

static bool side_is_clean(const struct mailbox_side *side)
{
	return side->seen.uidvalidity != 0 && side->seen.uidvalidity == side->base.uidvalidity &&
	       side->seen.uidnext == side->base.uidnext &&
	       side->seen.highestmodseq == side->base.highestmodseq;
}

bool mailbox_is_clean(const struct mailbox *mailbox)
{
	return side_is_clean(&mailbox->local) && side_is_clean(&mailbox->remote);
}

bool mailbox_is_disposable(const struct mailbox *mailbox, bool remote)
{
	const struct mailbox_side *other = remote ? &mailbox->local : &mailbox->remote;

	return other->disposable && !mailbox_name_equal(mailbox->name, mailbox->len, "INBOX", 5);
}

void mailbox_note_in_step(struct mailbox *mailbox)
{
	mailbox->result.in_step = time(NULL);
}

void mailbox_note_held(struct mailbox *mailbox)
{
	mailbox->result.held = true;
	if (mailbox->result.held_since == 0)
		mailbox->result.held_since = time(NULL);
}

void mailbox_note_problem(struct mailbox *mailbox, const char *problem)
{
	free(mailbox->result.problem);
	mailbox->result.problem = problem != NULL ? xstrdup(problem) : NULL;
}

static void note_reached(struct mailbox_side *side)
{
	if (side->seen.uidvalidity == 0 ||
		(side->seen.uidnext <= side->base.uidnext &&
			side->seen.highestmodseq <= side->base.highestmodseq))
		side->seen = side->base;
}

void mailbox_note_reached(struct mailbox *mailbox)
{
	note_reached(&mailbox->local);
	note_reached(&mailbox->remote);
}
