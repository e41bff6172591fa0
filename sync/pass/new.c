/* SPDX-License-Identifier: MIT */
/* NEW: which messages are new on a side, and what they are. */
#include <inttypes.h>

#include "sync/base/xalloc.h"
#include "sync/core/core.h"
#include "sync/carry/moves-wait.h"
#include "sync/pass/pass-private.h"

struct gap_finder {
	struct run_side *side;
	uint32_t from; /* the next UID not yet accounted for */
	bool ok;
};

static bool visit_pair(void *context, struct uid_pair pair)
{
	struct gap_finder *finder = context;
	uint32_t uid = finder->side->side->remote ? pair.remote : pair.local;

	if (uid > finder->from)
		finder->ok = seqset_add_range(&finder->side->arrivals.fresh, finder->from, uid - 1);
	finder->from = uid + 1;
	return finder->ok;
}

/* What may cost the connection comes last, and until then is not done with. */
static void withhold(struct run_side *side)
{
	struct seqset withheld;

	side->left_out.lowest_withheld = 0;
	if (!run_withholds(side))
		return;
	seqset_init(&withheld);
	seqset_copy(&withheld, &side->arrivals.fresh);
	run_withhold(side, &side->arrivals.fresh);
	seqset_remove_set(&withheld, &side->arrivals.fresh);
	if (!seqset_is_empty(&withheld))
		side->left_out.lowest_withheld = withheld.ranges[0].first;
	seqset_done(&withheld);
}

/* UIDs from UIDNEXT on that are not mapped may be new messages. */
static bool find_fresh(struct run_side *side)
{
	/* A repair looks at all messages, not only beyond what was once replicated. */
	bool all = side->run->repair && side->run->pass.first;
	struct gap_finder finder = {
		.side = side, .from = all ? 1 : run_base(side)->uidnext, .ok = true};
	uint32_t last = side->told.snapshot.uidnext - 1;

	seqset_clear(&side->arrivals.fresh);
	if (finder.from == 0)
		finder.from = 1;
	if (finder.from > last)
		return run_quarantine_add_due(side);
	if (run_database_failed(
		    side->run, mapping_visit(side->run->core->db, side->run->mailbox->idx,
				       side->side->remote, finder.from, last, visit_pair, &finder)))
		return false;
	if (finder.ok && finder.from <= last)
		finder.ok = seqset_add_range(&side->arrivals.fresh, finder.from, last);
	if (!finder.ok) {
		(void)run_fail(side->run,
			"the %s server has more scattered new messages than can be taken",
			side->side->name);
		return false;
	}
	seqset_remove_set(&side->arrivals.fresh, &side->left_out.refused);
	if (side->told.exists == 0) /* nothing to ask for, however far UIDNEXT went */
		seqset_clear(&side->arrivals.fresh);
	return run_quarantine_add_due(side);
}

static bool on_search(struct command *command, struct response *response)
{
	struct run_side *side = run_side_of(command);

	if (response->type != RESPONSE_SEARCH && response->type != RESPONSE_ESEARCH)
		return false;
	if (!seqset_add_set(&side->losses.alive, &response->set))
		side->told.overflow = true;
	return true;
}

static bool searched(struct request *request)
{
	struct run_side *side = container_of(request, struct run_request, request)->side;

	if (request->command.outcome != OUTCOME_OK)
		return false;
	seqset_intersect(&side->arrivals.fresh, &side->losses.alive);
	seqset_clear(&side->losses.alive);
	return false;
}

static void search_side(struct run_side *side)
{
	/* A repair must know exactly what is there. */
	uint64_t beyond = side->run->repair && side->run->pass.first ? 0 : RUN_SEARCH_BEYOND;
	struct run_request *request;

	if (side->arrivals.complete || seqset_count(&side->arrivals.fresh) <= beyond)
		return;
	run_select(side);
	request = request_new(&side->run->barrier, side->side, sizeof(*request), searched);
	request->side = side;
	request->request.command.untagged = on_search;
	/* RFC 4731: the compact form where it is offered. */
	command_printf(&request->request.command, "UID SEARCH %sUID %u:%u",
		side_has(side->side, "ESEARCH") ? "RETURN (ALL) " : "",
		side->arrivals.fresh.ranges[0].first,
		side->arrivals.fresh.ranges[side->arrivals.fresh.count - 1].last);
	request_submit(&request->request);
}

void run_new_search(struct run *run)
{
	if (!find_fresh(&run->local) || !find_fresh(&run->remote))
		return;
	withhold(&run->local);
	withhold(&run->remote);
	search_side(&run->local);
	search_side(&run->remote);
}

static void warn_odd_flags(struct run_side *side, const struct item *item)
{
	if (item->flags_left_out > 0)
		log_warning(SIDE_CONTEXT(side->side, side->run->mailbox->display),
			"the message with UID %" PRIu32
			" has %zu flag(s) that cannot be taken over: it is copied without them",
			item->uid, item->flags_left_out);
}

void run_take_item(struct run_side *side, const struct response *response)
{
	switch (items_add(&side->arrivals.items, side->run->core->flags, response)) {
	case ITEM_TAKEN:
		warn_odd_flags(side, &side->arrivals.items.list[side->arrivals.items.count - 1]);
		break;
	case ITEM_LACKS:
		if (response->fetch.items & FETCH_UID)
			(void)seqset_add(&side->arrivals.untold, response->fetch.uid);
		break;
	case ITEM_TOO_MUCH:
		side->told.overflow = true;
		break;
	}
}

static bool on_metadata(struct command *command, struct response *response)
{
	struct run_side *side = run_side_of(command);

	if (response->type != RESPONSE_FETCH || !(response->fetch.items & FETCH_SIZE))
		return false;
	run_take_item(side, response);
	return true;
}

/* Takes the first UIDs as the batch of this pass; the rest waits for the next one. */
static bool cut_batch(struct run_side *side)
{
	struct seqset_iter iter = {0};
	uint32_t uid = 0;
	size_t batch;

	if (side->arrivals.complete || seqset_count(&side->arrivals.fresh) <= COPY_BATCH)
		return true;
	batch = moves_wait_batch(side->run, side->side->remote);
	if (batch == 0)
		return false;
	if (seqset_count(&side->arrivals.fresh) <= batch)
		return true;
	for (size_t i = 0; i < batch; i++)
		(void)seqset_next(&side->arrivals.fresh, &iter, &uid);
	seqset_remove_range(&side->arrivals.fresh, uid + 1, UINT32_MAX);
	/* COMMIT must not go beyond it, and what comes behind is new again in the next pass. */
	side->told.snapshot.uidnext = uid + 1;
	if (side->told.snapshot.uidnext <
		run_base(side)->uidnext) /* those of the quarantine come first */
		side->told.snapshot.uidnext = run_base(side)->uidnext;
	side->run->pass.again = true;
	return true;
}

bool run_new_cut(struct run *run)
{
	return cut_batch(&run->local) && cut_batch(&run->remote);
}

/* Among what OPEN fetched may be messages that are mapped already, or refused. */
static void drop_known_items(struct run_side *side)
{
	size_t kept = 0;

	for (size_t i = 0; i < side->arrivals.items.count; i++)
		if (seqset_contains(&side->arrivals.fresh, side->arrivals.items.list[i].uid))
			side->arrivals.items.list[kept++] = side->arrivals.items.list[i];
	side->arrivals.items.count = kept;
}

static void metadata_side(struct run_side *side)
{
	if (side->arrivals.complete) {
		drop_known_items(side);
		return;
	}
	if (seqset_is_empty(&side->arrivals.fresh))
		return;
	run_select(side);
	run_read_new(side, &side->arrivals.fresh, run_metadata(side), on_metadata);
}

void run_new_metadata(struct run *run)
{
	metadata_side(&run->local);
	metadata_side(&run->remote);
	if (run->local.told.overflow || run->remote.told.overflow)
		(void)run_fail(run, "a server reports more than can be taken");
}
