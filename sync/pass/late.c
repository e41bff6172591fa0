/* SPDX-License-Identifier: MIT */
/*
 * What arrived late.  SETTLE gives up a message in doubt when it does not appear at the target for
 * a while, and it is copied anew; but a slow server, or a network that held back what the dead
 * connection had sent, may still deliver the first copy.  It would be taken for a new message, and
 * copied back.  Since it is known what was given up (intents_lapse()), such a copy is recognised by
 * its identity and removed: the message itself is on both sides.
 */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "sync/base/xalloc.h"
#include "sync/core/core.h"
#include "sync/pass/pass-private.h"

/*
 * Whether both sides keep the message, paired by now or about to be copied.  Where its pair is gone
 * on either side, somebody moved it away and back, say: the copy may be the only one that is left.
 */
static bool is_copied_anew(struct run *run, const struct intent *intent)
{
	struct run_side *source = intent->to_remote ? &run->local : &run->remote;
	_cleanup_free_ struct uid_pair *pairs = NULL;
	size_t count = 0;

	if (run_database_failed(
		    run, mapping_in_range(run->core->db, run->mailbox->idx, source->side->remote,
				 intent->source_uid, intent->source_uid, &pairs, &count)))
		return false;
	if (count == 0)
		return items_find(&source->arrivals.items, intent->source_uid) != NULL;
	return !seqset_contains(&run->local.losses.gone, pairs[0].local) &&
	       !seqset_contains(&run->remote.losses.gone, pairs[0].remote);
}

static bool is_late(
	const struct run_side *target, const struct intent *intent, const struct item *item)
{
	return intent->to_remote == target->side->remote && item->uid >= intent->target_uidnext &&
	       intent->target_uidvalidity == target->told.snapshot.uidvalidity &&
	       intent->identity.size == item->identity.size &&
	       intent->identity.date == item->identity.date &&
	       memcmp(intent->identity.digest, item->identity.digest,
		       sizeof(item->identity.digest)) == 0;
}

/* Of each one given up at most one copy is removed; those found are moved to the front. */
static bool find(struct run_side *target, size_t count, const struct item *item)
{
	struct run *run = target->run;

	for (size_t i = run->settling.late_count; i < count; i++) {
		struct intent found = run->settling.late[i];

		if (!is_late(target, &found, item) || !is_copied_anew(run, &found))
			continue;
		run->settling.late[i] = run->settling.late[run->settling.late_count];
		run->settling.late[run->settling.late_count++] = found;
		return seqset_add(&target->losses.late, item->uid);
	}
	return false;
}

static void find_side(struct run_side *target, size_t count)
{
	size_t kept = 0;

	for (size_t i = 0; i < target->arrivals.items.count; i++)
		if (!find(target, count, &target->arrivals.items.list[i]))
			target->arrivals.items.list[kept++] = target->arrivals.items.list[i];
	target->arrivals.items.count = kept;
	if (!seqset_is_empty(&target->losses.late))
		log_notice(SIDE_CONTEXT(target->side, target->run->mailbox->display),
			"%" PRIu64 " message(s) of an interrupted copy arrived after they had been "
			"copied again: removed",
			seqset_count(&target->losses.late));
}

void run_late_find(struct run *run)
{
	size_t count = 0;

	free(take(run->settling.late));
	run->settling.late_count = 0;
	/* Where a side went back, nobody knows which message a UID was. */
	if (run->local.told.went_back || run->remote.told.went_back)
		return;
	if ((run->local.arrivals.items.count == 0 && run->remote.arrivals.items.count == 0) ||
		run_database_failed(run,
			late_load(run->core->db, run->mailbox->idx, &run->settling.late, &count)) ||
		count == 0)
		return;
	find_side(&run->local, count);
	find_side(&run->remote, count);
}

int run_late_write(struct run *run)
{
	int r = 0;

	for (size_t i = 0; i < run->settling.late_count && r >= 0; i++)
		r = late_drop(run->core->db, &run->settling.late[i]);
	return r;
}
