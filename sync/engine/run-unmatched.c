/* SPDX-License-Identifier: MIT */
/*
 * A message that the database should know and does not: its row was lost.  What changes of it
 * concerns nobody then, so a person must hear of it; --repair finds its twin again.
 */
#include <inttypes.h>
#include <stdlib.h>

#include "sync/engine/advice.h"
#include "sync/engine/engine-private.h"
#include "sync/engine/run.h"

enum { NAMED = 10 }; /* of a mailbox, in one run */

static bool is_unmatched(struct run_side *side, uint32_t uid, const struct seqset *paired)
{
	return uid < run_base(side)->uidnext && !seqset_contains(paired, uid) &&
	       !seqset_contains(&side->fresh, uid);
}

static void say(struct run_side *side, const struct seqset *paired)
{
	struct run *run = side->run;
	_cleanup_free_ char *command = NULL;
	size_t count = 0;

	for (size_t i = 0; i < side->changes.count; i++) {
		uint32_t uid = side->changes.list[i].uid;

		if (!is_unmatched(side, uid, paired) || ++count > NAMED)
			continue;
		if (command == NULL)
			command = advice(run->engine, "--repair", run->mailbox->display, NULL);
		log_warning(SIDE_CONTEXT(side->side, run->mailbox->display),
			"UID %" PRIu32 " was modified, and the database does not know which "
			"message that is on the other side: run `%s`",
			uid, command);
	}
	if (count > NAMED)
		log_warning(SIDE_CONTEXT(side->side, run->mailbox->display),
			"likewise %zu other messages", count - NAMED);
}

void run_unmatched_say(struct run_side *side, const struct plan_pair *pairs, size_t count)
{
	struct seqset paired;

	/* The first pass sees what was changed by others; --repair has its own words. */
	if (!side->run->first || side->run->repair || side->changes.count == 0)
		return;
	seqset_init(&paired);
	for (size_t i = 0; i < count; i++)
		(void)seqset_add(&paired, side->side->remote ? pairs[i].remote : pairs[i].local);
	say(side, &paired);
	seqset_done(&paired);
}
