/* SPDX-License-Identifier: MIT */
/*
 * DANGLING: pairs that an interrupted run left, or that were made where no changes are told.
 * Nobody could tell of what was done to them since, so both sides are asked for their flags.
 */
#include <stdlib.h>

#include "sync/base/xalloc.h"
#include "sync/core/core.h"
#include "sync/pass/pass-private.h"

static bool on_flags(struct command *command, struct response *response)
{
	struct run_side *side = run_side_of(command);

	if (!run_take_flags(side, &side->told.changes, response))
		return false;
	(void)seqset_add(&side->losses.alive, response->fetch.uid);
	return true;
}

/* What OPEN told already need not be asked for: after a client has moved thousands of messages,
 * that is all of them. */
static void ask_flags(struct run_side *side, const struct uid_pair *pairs, size_t count)
{
	seqset_clear(&side->flags.asked);
	for (size_t i = 0; i < count; i++) {
		uint32_t uid = side->side->remote ? pairs[i].remote : pairs[i].local;

		if (changes_find(&side->told.changes, uid) == NULL &&
			!seqset_add(&side->flags.asked, uid))
			side->told.overflow = true;
	}
	if (seqset_is_empty(&side->flags.asked))
		return;
	run_select(side);
	run_fetch(side, &side->run->barrier, &side->flags.asked, "UID FLAGS", on_flags);
}

static int by_remote(const void *one, const void *other)
{
	const struct uid_pair *a = one, *b = other;

	return a->remote < b->remote ? -1 : a->remote > b->remote;
}

void run_in_step_load(struct run *run)
{
	(void)run_database_failed(
		run, in_step_load(run->core->db, run->mailbox->idx, &run->pairs_in_step));
}

static uint32_t highest(uint32_t one, uint32_t other)
{
	return one > other ? one : other;
}

uint32_t run_in_step_uidnext(struct run_side *side)
{
	const struct in_step *in_step = &side->run->pairs_in_step;

	return highest(
		run_base(side)->uidnext, side->side->remote ? in_step->remote : in_step->local);
}

/* Without a HIGHESTMODSEQ no changes are told, so that no flags are known. */
static uint32_t dangling_from(struct run_side *side)
{
	return run_base(side)->highestmodseq > 0 ? run_in_step_uidnext(side) : 0;
}

/* All pairs below what OPEN's SELECT told are in step with it, or will be told of again: those that
 * are made in a pass have a UID beyond that on the side that they were copied to. */
struct in_step run_in_step_reached(const struct run *run, const struct mailbox_state *local,
	const struct mailbox_state *remote)
{
	const struct in_step told = {
		.local = run->local.told.uidnext,
		.remote = run->remote.told.uidnext,
	};

	if (local->highestmodseq == 0 || remote->highestmodseq == 0 ||
		(told.local <= local->uidnext && told.remote <= remote->uidnext))
		return (struct in_step){0};
	return told;
}

bool run_dangling_ask(struct run *run)
{
	_cleanup_free_ struct uid_pair *pairs = NULL;
	size_t count = 0;

	if (run_database_failed(run,
		    mapping_dangling(run->core->db, run->mailbox->idx, dangling_from(&run->local),
			    dangling_from(&run->remote), &pairs, &count)) ||
		count == 0)
		return false;
	if (!run->pass.renewed && !run->mailbox->runs.replayed)
		log_info(CORE_CONTEXT(run->core), "Resuming interrupted sync for %s",
			run->mailbox->display);
	ask_flags(&run->local, pairs, count);
	qsort(pairs, count, sizeof(*pairs), by_remote); /* ascending sets are cheap to build */
	ask_flags(&run->remote, pairs, count);
	return true;
}

static void asked_side(struct run_side *side)
{
	changes_sort(&side->told.changes);
	/* What did not answer is gone; CONFIRM asks once more. */
	seqset_remove_set(&side->flags.asked, &side->losses.alive);
	(void)seqset_add_set(&side->losses.absent, &side->flags.asked);
	(void)seqset_add_set(&side->losses.gone, &side->flags.asked);
	seqset_clear(&side->losses.alive);
}

void run_dangling_asked(struct run *run)
{
	asked_side(&run->local);
	asked_side(&run->remote);
}
