/* SPDX-License-Identifier: MIT */
/*
 * The brake (max-deletions) on whole mailboxes.  That a server says it has deleted them does not
 * mean that somebody wanted it: its storage may be going away under it.
 */
#include <utlist.h>

#include "sync/base/xalloc.h"
#include "sync/core/core.h"
#include "sync/deeds/journal.h"
#include "sync/replay/replay-private.h"
#include "sync/state/losses.h"
#include "sync/state/mapping.h"

/* Seen on the same side, and not weighed yet; the deed itself is one of them. */
static bool is_like(const struct deed *deed, const struct deed *other)
{
	return other->kind == ACTION_DELETE && !other->certain && !other->weighed &&
	       other->to_local == deed->to_local;
}

static int count(struct replay *replay, const struct mailbox *mailbox, uint64_t *sum)
{
	uint64_t messages = 0;
	int r = 0;

	if (mailbox != NULL)
		r = mapping_count(replay->core->db, mailbox->idx, &messages);
	*sum += messages;
	return r;
}

/* All that were deleted at about the same time, and how many messages would go with them. */
static int weigh(struct replay *replay, uint64_t *ret)
{
	struct deed *deed;
	int r = 0;

	DL_FOREACH (replay->core->journal->deeds, deed) {
		struct mailbox *mailbox;

		if (!is_like(replay->deed, deed) || deed->from.data == NULL)
			continue;
		mailbox = core_find_mailbox(replay->core, deed->from.data, deed->from.len);
		if (mailbox != NULL && r >= 0 &&
			!mailbox_is_disposable(mailbox, replay->origin->remote))
			r = count(replay, mailbox, ret);
	}
	return r;
}

static void note_weight(struct replay *replay, uint64_t messages)
{
	struct deed *deed;

	DL_FOREACH (replay->core->journal->deeds, deed)
		if (is_like(replay->deed, deed)) {
			deed->weighed = true;
			deed->too_heavy = messages;
		}
}

int replay_weigh_deletion(struct replay *replay, const struct mailbox *mailbox, uint64_t *ret_held)
{
	const struct plan_brake *brake = &replay->core->brake;
	bool remote = replay->origin->remote;
	struct plan_losses own = {0}, all = {0};
	struct losses losses;
	uint64_t together = 0;
	int r;

	*ret_held = 0;
	if (replay->deed->certain || mailbox_is_disposable(mailbox, remote) || brake->off)
		return 0;
	r = count(replay, mailbox, &own.now);
	own.left = all.now = own.now;
	if (r >= 0 && !replay->deed->weighed)
		r = weigh(replay, &together);
	if (r >= 0)
		r = losses_of_side(replay->core->db, remote, mailbox->idx, &losses);
	if (r >= 0)
		r = mapping_count_all(replay->core->db, &all.left);
	if (r < 0)
		return r;
	all.recent = losses.recent;
	all.held = losses.held + (together > own.now ? together - own.now : 0);
	if (replay->deed->too_heavy > 0)
		*ret_held = replay->deed->too_heavy;
	else if (plan_brake(brake, &own, &all, false) != PLAN_PASS)
		*ret_held = together > own.now ? together : own.now;
	if (!replay->deed->weighed)
		note_weight(replay, *ret_held > own.now ? *ret_held : 0);
	return 0;
}

int replay_count_deletion(struct replay *replay, const struct mailbox *mailbox)
{
	uint64_t messages = 0;
	int r;

	if (replay->deed->certain || mailbox_is_disposable(mailbox, replay->origin->remote))
		return 0;
	r = count(replay, mailbox, &messages);
	if (r < 0 || messages == 0)
		return r;
	return losses_add(replay->core->db, mailbox->idx, replay->origin->remote, messages);
}
