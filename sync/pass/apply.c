/* SPDX-License-Identifier: MIT */
/* CONFIRM, PLAN, APPLY and COMMIT: what changed on one side is carried out on the other. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "sync/base/limits.h"
#include "sync/base/xalloc.h"
#include "sync/core/advice.h"
#include "sync/core/core.h"
#include "sync/imap/flags.h"
#include "sync/pass/pass-private.h"

static bool on_alive(struct command *command, struct response *response)
{
	struct run_side *side = run_side_of(command);

	if (response->type != RESPONSE_FETCH || !(response->fetch.items & FETCH_UID) ||
		!seqset_contains(&side->losses.gone, response->fetch.uid))
		return false;
	(void)seqset_add(&side->losses.alive, response->fetch.uid);
	return true;
}

static void confirm_side(struct run_side *side)
{
	if (seqset_is_empty(&side->losses.gone))
		return;
	run_select(side);
	run_fetch(side, &side->run->barrier, &side->losses.gone, "UID", on_alive);
}

void run_confirm(struct run *run)
{
	confirm_side(&run->local);
	confirm_side(&run->remote);
}

static void confirmed_side(struct run_side *side)
{
	items_sort(&side->arrivals.items);
	if (seqset_is_empty(&side->losses.alive))
		return;
	log_warning(SIDE_CONTEXT(side->side, side->run->mailbox->display),
		"the server reported %" PRIu64
		" message(s) as gone that are there: nothing is deleted for them",
		seqset_count(&side->losses.alive));
	seqset_remove_set(&side->losses.gone, &side->losses.alive);
}

void run_confirmed(struct run *run)
{
	confirmed_side(&run->local);
	confirmed_side(&run->remote);
	if (run->local.told.overflow || run->remote.told.overflow)
		(void)run_fail(run, "a server reports more than can be taken");
	run_refused_asked(run);
	run_echoes_judge(run);
	run_late_find(run);
}

struct pair_list {
	struct uid_pair *list;
	size_t count;
};

static bool add_pairs(struct run_side *side, uint32_t first, uint32_t last, struct pair_list *pairs)
{
	return !run_database_failed(
		side->run, mapping_in_range(side->run->core->db, side->run->mailbox->idx,
				   side->side->remote, first, last, &pairs->list, &pairs->count));
}

/* Pairs of all UIDs that the side has something to say about. */
static bool pairs_of_side(struct run_side *side, struct pair_list *pairs)
{
	const struct plan_change *changes = side->told.changes.list;

	if (!run_pairs_of(side, &side->losses.gone, &pairs->list, &pairs->count))
		return false;
	for (size_t i = 0; i < side->told.changes.count;) {
		size_t end = i + 1;

		while (end < side->told.changes.count &&
			changes[end].uid == changes[end - 1].uid + 1)
			end++;
		if (!add_pairs(side, changes[i].uid, changes[end - 1].uid, pairs))
			return false;
		i = end;
	}
	return true;
}

static int by_local(const void *one, const void *other)
{
	const struct uid_pair *a = one, *b = other;

	return a->local < b->local ? -1 : a->local > b->local;
}

static void sort_pairs(struct pair_list *pairs)
{
	size_t kept = 0;

	if (pairs->count > 0)
		qsort(pairs->list, pairs->count, sizeof(*pairs->list), by_local);
	for (size_t i = 0; i < pairs->count; i++)
		if (kept == 0 || pairs->list[kept - 1].local != pairs->list[i].local)
			pairs->list[kept++] = pairs->list[i];
	pairs->count = kept;
}

static struct plan_side plan_side(const struct run_side *side)
{
	return (struct plan_side){
		.vanished = &side->losses.gone,
		.changes = side->told.changes.list,
		.changes_count = side->told.changes.count,
		.known = side->flags.known.list,
		.known_count = side->flags.known.count,
		.permanent = side->told.permanent,
	};
}

static bool on_known(struct command *command, struct response *response)
{
	struct run_side *side = run_side_of(command);

	return run_take_flags(side, &side->flags.known, response);
}

/* Once: one that does not answer has gone meanwhile, as the next pass will be told. */
static void ask_known(struct run_side *side, const struct seqset *uids)
{
	struct seqset set;

	seqset_init(&set);
	seqset_copy(&set, uids);
	seqset_remove_set(&set, &side->flags.asked_known);
	(void)seqset_add_set(&side->flags.asked_known, &set);
	if (!seqset_is_empty(&set)) {
		run_select(side);
		run_fetch(side, &side->run->barrier, &set, "UID FLAGS", on_known);
	} else if (!seqset_is_empty(uids)) {
		side->run->pass.again = true;
	}
	seqset_done(&set);
}

static void report(struct run *run)
{
	const struct plan_operations *sides[] = {&run->pass.plan.local, &run->pass.plan.remote};

	for (size_t i = 0;
		i < run->pass.plan.conflicts_count && (!run->pass.adopted || run->repair); i++) {
		const struct plan_conflict *conflict = &run->pass.plan.conflicts[i];

		log_warning(CORE_CONTEXT(run->core),
			"Conflicting flag update in %s for local UID %" PRIu32
			" (%s) and remote UID %" PRIu32 " (%s). Setting both to the union (%s)",
			run->mailbox->display, conflict->pair.local, flags_text(conflict->local),
			conflict->pair.remote, flags_text(conflict->remote),
			flags_text(conflict->both));
	}
	for (size_t i = 0; i < ARRAY_LEN(sides); i++)
		if (sides[i]->dropped != NULL && !flags_are_empty(sides[i]->dropped))
			side_warn_dropped(
				core_side(run->core, i == 1), run->mailbox, sides[i]->dropped);
}

bool run_plan(struct run *run)
{
	struct plan_side local, remote;
	struct pair_list pairs = {0};

	if (run->end.failure != NULL)
		return false;
	if (run->pass.has_plan)
		plan_done(&run->pass.plan);
	changes_sort(&run->local.flags.known);
	changes_sort(&run->remote.flags.known);
	run->pass.has_plan = false;
	if (!pairs_of_side(&run->local, &pairs) || !pairs_of_side(&run->remote, &pairs)) {
		free(pairs.list);
		return false;
	}
	sort_pairs(&pairs);
	local = plan_side(&run->local);
	remote = plan_side(&run->remote);
	plan_messages(run->core->flags, &local, &remote, pairs.list, pairs.count, &run->pass.plan);
	free(pairs.list);
	run->pass.has_plan = true;
	if (run_brake_holds(run))
		return false;
	ask_known(&run->local, &run->pass.plan.local.need_flags);
	ask_known(&run->remote, &run->pass.plan.remote.need_flags);
	if (run->barrier.waiting == 0)
		report(run);
	if (run->pass.plan.skipped > 0) {
		run->pass.reread = true;
		run_note_problem(run, "%llu message(s) have more flags than can be taken over",
			(unsigned long long)run->pass.plan.skipped);
	}
	return true;
}

void run_log_set(
	struct run_side *side, const char *what, const struct seqset *uids, const char *more)
{
	size_t index = 0;
	struct buf text;

	buf_init(&text, 1024);
	seqset_format(uids, &index, 500, &text);
	log_info(SIDE_CONTEXT(side->side, side->run->mailbox->display),
		"%s %" PRIu64 " UID(s) %.*s%s%s", what, seqset_count(uids), (int)buf_len(&text),
		buf_data(&text), index < uids->count ? ",…" : "", more);
	buf_done(&text);
}

/* Expunges go first: Dovecot 2.3 overlooks \Deleted in a UID EXPUNGE that is pipelined behind a
 * STORE with a new keyword. */
static void apply_side(struct run_side *side, const struct plan_operations *operations)
{
	bool expunges = run_expunge(side);

	side->run->pass.again |= expunges || operations->stores_count > 0;
	for (size_t i = 0; i < operations->stores_count; i++) {
		const struct plan_store *store = &operations->stores[i];
		_cleanup_free_ char *more = xasprintf(": (%s)", flags_text(store->flags));

		run_log_set(side, "Updated flags of", &store->uids, more);
		run_store(side, &store->uids, store->flags);
	}
}

void run_apply(struct run *run)
{
	apply_side(&run->local, &run->pass.plan.local);
	apply_side(&run->remote, &run->pass.plan.remote);
}

/* Of those that no row of the quarantine would bring back; 0: none. */
static uint32_t lowest_refused(const struct run_side *side)
{
	struct seqset_iter iter = {0};
	uint32_t uid;

	while (seqset_next(&side->left_out.refused, &iter, &uid))
		if (!seqset_contains(&side->left_out.quarantined, uid))
			return uid;
	return 0;
}

/* What the database may say of the side now. */
static struct mailbox_state state_of(const struct run_side *side)
{
	struct mailbox_state state = side->told.snapshot;
	uint32_t left = side->copier.lowest_left;
	uint32_t refused = lowest_refused(side);

	if (side->run->pass.reread)
		state.highestmodseq =
			mailbox_side(side->run->mailbox, side->side->remote)->base.highestmodseq;
	/* What could not be expunged must be found again as new. */
	if (side->run->pass.reread && !seqset_is_empty(&side->losses.late) &&
		side->losses.late.ranges[0].first < state.uidnext)
		state.uidnext = side->losses.late.ranges[0].first;
	if (left != 0 && left < state.uidnext)
		state.uidnext = left;
	if (refused != 0 && refused < state.uidnext)
		state.uidnext = refused;
	if (side->left_out.lowest_withheld != 0 && side->left_out.lowest_withheld < state.uidnext)
		state.uidnext = side->left_out.lowest_withheld;
	if (side->moves.lowest != 0 && side->moves.lowest < state.uidnext)
		state.uidnext = side->moves.lowest;
	return state;
}

static int set_state(struct run_side *side, const struct mailbox_state *state)
{
	if (memcmp(run_base(side), state, sizeof(*state)) == 0)
		return 0;
	return mailboxes_set_state(
		side->run->core->db, side->run->mailbox->idx, side->side->remote, state);
}

static bool is_in_step_as(const struct run *run, const struct in_step *in_step)
{
	return run->pairs_in_step.local == in_step->local &&
	       run->pairs_in_step.remote == in_step->remote;
}

/* What a pass has reached. */
struct reached {
	struct run *run;
	struct mailbox_state local, remote;
	struct in_step in_step;
};

static int write_pass(void *context)
{
	const struct reached *reached = context;
	struct run *run = reached->run;
	struct db *db = run->core->db;
	int r = 0;

	for (size_t i = 0; i < run->pass.plan.unmap_count && r >= 0 && !run->pass.reread; i++) {
		const struct uid_pair *pair = &run->pass.plan.unmap[i];

		if (run_expunge_is_left(&run->local, pair->local) ||
			run_expunge_is_left(&run->remote, pair->remote))
			continue;
		r = mapping_delete(db, run->mailbox->idx, *pair);
	}
	if (r >= 0 && !run->pass.reread)
		r = run_late_write(run);
	if (r >= 0)
		r = run_refused_release(run);
	if (r >= 0)
		r = run_echoes_write(run);
	if (r >= 0 && !run->pass.reread)
		r = run_removals_forget(run);
	if (r >= 0)
		r = set_state(&run->local, &reached->local);
	if (r >= 0)
		r = set_state(&run->remote, &reached->remote);
	if (r >= 0 && !is_in_step_as(run, &reached->in_step))
		r = in_step_set(db, run->mailbox->idx, &reached->in_step);
	return r;
}

static bool is_as_before(const struct reached *reached)
{
	struct run *run = reached->run;

	return run->pass.plan.unmap_count == 0 && run->settling.late_count == 0 &&
	       !run_echoes_any(run) && !run_refused_any(run) && run->removals.last == 0 &&
	       is_in_step_as(run, &reached->in_step) &&
	       memcmp(run_base(&run->local), &reached->local, sizeof(reached->local)) == 0 &&
	       memcmp(run_base(&run->remote), &reached->remote, sizeof(reached->remote)) == 0;
}

bool run_commit(struct run *run)
{
	struct reached reached = {.run = run};

	run_expunge_check(&run->local);
	run_expunge_check(&run->remote);
	if (!run_refused_note(run))
		return false;
	reached.local = state_of(&run->local);
	reached.remote = state_of(&run->remote);
	reached.in_step = run_in_step_reached(run, &reached.local, &reached.remote);
	if (is_as_before(&reached))
		return true;
	if (!run_transact(run, write_pass, &reached))
		return false;
	*run_base(&run->local) = reached.local;
	*run_base(&run->remote) = reached.remote;
	run->pairs_in_step = reached.in_step;
	return true;
}
