/* SPDX-License-Identifier: MIT */
/*
 * The brake (max-deletions) on whole mailboxes.  That a server says it has deleted them does not
 * mean that somebody wanted it: its storage may be going away under it.
 */
#include <utlist.h>

#include "sync/base/xalloc.h"
#include "sync/engine/engine-private.h"
#include "sync/engine/journal.h"
#include "sync/engine/replay-private.h"
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
		r = mapping_count(replay->engine->db, mailbox->idx, &messages);
	*sum += messages;
	return r;
}

static int count_all(struct replay *replay, uint64_t *ret)
{
	struct mailbox *mailbox, *next;
	int r = 0;

	HASH_ITER (hh, replay->engine->mailboxes, mailbox, next)
		if (r >= 0)
			r = count(replay, mailbox, ret);
	return r;
}

/* All that were deleted at about the same time, and how many messages would go with them. */
static int weigh(struct replay *replay, uint64_t *ret)
{
	struct deed *deed;
	int r = 0;

	DL_FOREACH (replay->engine->journal.deeds, deed) {
		struct mailbox *mailbox;

		if (!is_like(replay->deed, deed) || deed->from.data == NULL)
			continue;
		mailbox = engine_find_mailbox(replay->engine, deed->from.data, deed->from.len);
		if (mailbox != NULL && !mailbox->no_brake && r >= 0)
			r = count(replay, mailbox, ret);
	}
	return r;
}

static void note_weight(struct replay *replay, uint64_t messages)
{
	struct deed *deed;

	DL_FOREACH (replay->engine->journal.deeds, deed)
		if (is_like(replay->deed, deed)) {
			deed->weighed = true;
			deed->too_heavy = messages;
		}
}

int replay_weigh_deletion(struct replay *replay, const struct mailbox *mailbox, uint64_t *ret_held)
{
	const struct plan_brake *brake = &replay->engine->brake;
	uint64_t own = 0, together = 0, all = 0;
	int r = 0;

	*ret_held = 0;
	if (replay->deed->certain || mailbox->no_brake || brake->off)
		return 0;
	if (!replay->deed->weighed) {
		r = weigh(replay, &together);
		if (r >= 0)
			r = count_all(replay, &all);
		if (r < 0)
			return r;
		note_weight(replay, plan_brake_holds(brake, together, all) ? together : 0);
	}
	*ret_held = replay->deed->too_heavy;
	r = count(replay, mailbox, &own);
	if (*ret_held == 0 && plan_brake_holds(brake, own, own))
		*ret_held = own;
	return r;
}
