/* SPDX-License-Identifier: MIT */
#include "sync/carry/moves-match.h"

#include <stdint.h>
#include <stdlib.h>
#include <utlist.h>

#include "sync/base/xalloc.h"
#include "sync/core/core.h"
#include "sync/plan/moves.h"

/* The messages that are gone and new on one side, in all mailboxes. */
struct candidates {
	struct plan_traveller *gone, *arrived;
	const struct gone_message **messages; /* of those gone */
	struct run **runs; /* likewise: that miss them */
	size_t gone_count, arrived_count;
};

static bool takes_part(const struct run *run)
{
	return run->moves.state == MOVE_ASKED;
}

static struct plan_traveller traveller(
	const struct run *run, const struct identity *identity, const struct email_id *email_id)
{
	return (struct plan_traveller){
		.mailbox = run->mailbox->idx,
		.digest = identity->digest,
		.named = identity_is_named(identity),
		.size = identity->size,
		.date = identity->date,
		.email_id = email_id->id[0] != '\0' ? email_id->id : NULL,
	};
}

static void list_gone(struct candidates *candidates, struct run *run, const struct gone_list *gone)
{
	for (size_t i = 0; i < gone->count; i++) {
		const struct gone_message *message = &gone->list[i];

		if (!message->identified)
			continue;
		candidates->gone[candidates->gone_count] =
			traveller(run, &message->identity, &message->email_id);
		candidates->gone[candidates->gone_count].flags = message->flags;
		candidates->messages[candidates->gone_count] = message;
		candidates->runs[candidates->gone_count++] = run;
	}
}

static void list_all(struct candidates *candidates, struct core *core, bool remote)
{
	size_t gone = 1, arrived = 1;
	struct run *run;

	DL_FOREACH (core->runs->list, run) {
		gone += takes_part(run) ? run_side(run, remote)->moves.gone_list.count : 0;
		arrived += takes_part(run) ? run_side(run, remote)->arrivals.items.count : 0;
	}
	candidates->gone = xcalloc(gone, sizeof(*candidates->gone));
	candidates->messages = xcalloc(gone, sizeof(*candidates->messages));
	candidates->runs = xcalloc(gone, sizeof(*candidates->runs));
	candidates->arrived = xcalloc(arrived, sizeof(*candidates->arrived));
	DL_FOREACH (core->runs->list, run) {
		const struct items *items = &run_side(run, remote)->arrivals.items;

		if (!takes_part(run))
			continue;
		list_gone(candidates, run, &run_side(run, remote)->moves.gone_list);
		for (size_t i = 0; i < items->count; i++)
			candidates->arrived[candidates->arrived_count++] =
				traveller(run, &items->list[i].identity, &items->list[i].email_id);
	}
}

/* By the run that it is taken from, whose place in memory tells it apart as well as anything. */
static int by_run(const void *one, const void *other)
{
	const struct taken_message *a = one, *b = other;

	if (a->from != b->from)
		return (uintptr_t)a->from < (uintptr_t)b->from ? -1 : 1;
	return (a->gone.other_uid > b->gone.other_uid) - (a->gone.other_uid < b->gone.other_uid);
}

/* Each run that is taken from waits for those that take. */
static void note_takers(struct taken_list *taken)
{
	if (taken->count > 1)
		qsort(taken->list, taken->count, sizeof(*taken->list), by_run);
	for (size_t i = 0; i < taken->count; i++)
		if (i == 0 || taken->list[i - 1].from != taken->list[i].from)
			taken->list[i].from->moves.takers++;
}

static void give(struct run_side *side, const struct candidates *candidates, const size_t *origins)
{
	struct taken_list *taken = &side->moves.taken_list;

	taken->list = xcalloc(side->arrivals.items.count + 1, sizeof(*taken->list));
	for (size_t i = 0; i < side->arrivals.items.count; i++)
		if (origins[i] != PLAN_NOT_MOVED)
			taken->list[taken->count++] = (struct taken_message){
				.from = candidates->runs[origins[i]],
				.gone = *candidates->messages[origins[i]],
				.item = side->arrivals.items.list[i],
			};
	note_takers(taken);
}

static void match_side(struct core *core, bool remote)
{
	struct candidates candidates = {0};
	_cleanup_free_ size_t *origins = NULL;
	size_t next = 0;
	struct run *run;

	list_all(&candidates, core, remote);
	origins = xcalloc(candidates.arrived_count + 1, sizeof(*origins));
	plan_moves(candidates.gone, candidates.gone_count, candidates.arrived,
		candidates.arrived_count, origins);
	DL_FOREACH (core->runs->list, run) {
		if (!takes_part(run))
			continue;
		give(run_side(run, remote), &candidates, origins + next);
		next += run_side(run, remote)->arrivals.items.count;
	}
	free(candidates.gone);
	free(candidates.messages);
	free(candidates.runs);
	free(candidates.arrived);
}

void moves_match(struct core *core)
{
	match_side(core, false);
	match_side(core, true);
}
