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
	return uid < run_base(side)->uidnext && !seqset_contains(paired, uid);
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

/* Those of what changed that the database has. */
static bool find_paired(struct run_side *side, struct seqset *ret)
{
	const struct plan_change *changes = side->changes.list;
	bool remote = side->side->remote;

	for (size_t i = 0, end; i < side->changes.count; i = end) {
		_cleanup_free_ struct uid_pair *pairs = NULL;
		size_t count = 0;

		for (end = i + 1; end < side->changes.count; end++)
			if (changes[end].uid != changes[end - 1].uid + 1)
				break;
		if (run_database_failed(side->run,
			    mapping_in_range(side->run->engine->db, side->run->mailbox->idx, remote,
				    changes[i].uid, changes[end - 1].uid, &pairs, &count)))
			return false;
		for (size_t k = 0; k < count; k++)
			(void)seqset_add(ret, remote ? pairs[k].remote : pairs[k].local);
	}
	return true;
}

static void say_of_side(struct run_side *side)
{
	struct seqset paired;

	if (side->changes.count == 0)
		return;
	seqset_init(&paired);
	if (find_paired(side, &paired))
		say(side, &paired);
	seqset_done(&paired);
}

void run_unmatched_say(struct run *run)
{
	/* The first pass sees what was changed by others; --repair has its own words. */
	if (!run->first || run->repair)
		return;
	say_of_side(&run->local);
	say_of_side(&run->remote);
}
