/* SPDX-License-Identifier: MIT */
#include "sync/carry/moves-wait.h"

#include <stdlib.h>
#include <utlist.h>

#include "sync/base/limits.h"
#include "sync/base/xalloc.h"
#include "sync/carry/moves-match.h"
#include "sync/core/core.h"
#include "sync/run/helpers.h"

/* For runs that are known to be on their way.  New mail is not kept back for longer. */
static const double PATIENCE_SECONDS = 2;

/* For runs that come again after they have moved something, from and to each other: the mover was
 * still at work, and what is missed now will most likely be found there. */
static const double MOVER_SECONDS = 30;

/* For what is not known of yet: NOTIFY may tell of the mailbox that lost messages first, or of a
 * new one that has to be created.  What local clients delete is not kept back. */
static const double GRACE_SECONDS = 0.3;

/* So many new messages at once were moved, more likely than delivered; and to fetch them all costs
 * more than to keep them back for PATIENCE_SECONDS, in case the mailbox that lost them is told of
 * later.  (Dovecot tells of the one that gains first, a busy one up to a second before.) */
static const size_t MANY_ARRIVALS = 50;

/* It has moved something, and looks again at once: the mover may still be at work.  Dovecot moves a
 * thousand messages at a time. */
static bool comes_again(const struct run *run)
{
	return (run->moves.state == MOVE_OVER && run->moves.any) ||
	       (run->moves.state == MOVE_UNKNOWN && run->moves.any_before);
}

/* It does not wait yet, and may have new messages, as far as is known. */
static bool may_gain(struct run *run, bool remote)
{
	const struct mailbox_side *mailbox = mailbox_side(run->mailbox, remote);

	if (run->moves.state == MOVE_OPENED)
		return run_side(run, remote)->told.gains;
	if (comes_again(run))
		return true;
	return run->moves.state == MOVE_UNKNOWN && run->pass.first && !run->repair &&
	       mailbox->seen.uidnext > mailbox->base.uidnext;
}

/* … or may miss messages. */
static bool may_lose(struct run *run, bool remote)
{
	const struct mailbox_side *mailbox = mailbox_side(run->mailbox, remote);

	if (run->moves.state == MOVE_OPENED)
		return run_side(run, remote)->told.loses;
	if (comes_again(run))
		return true;
	return run->moves.state == MOVE_UNKNOWN && run->pass.first && !run->repair &&
	       mailbox->base.uidnext > 0 &&
	       mailbox->seen.highestmodseq > mailbox->base.highestmodseq;
}

/* The runs that have new messages on one side, or miss some. */
struct counts {
	unsigned may_gain, may_lose; /* messages, once they are opened */
	unsigned gain, lose; /* messages; they wait */
};

static void count(struct counts *counts, struct run *run, bool remote)
{
	const struct run_side *side = run_side(run, remote);
	bool waits = run->moves.state == MOVE_WAITING;

	counts->may_gain += may_gain(run, remote);
	counts->may_lose += may_lose(run, remote);
	counts->gain += waits && side->told.gains;
	counts->lose += waits && side->told.loses;
}

/* counts[0] is of the local side. */
static void count_runs(const struct core *core, struct counts counts[2])
{
	struct run *run;

	counts[0] = counts[1] = (struct counts){0};
	DL_FOREACH (core->runs->list, run) {
		count(&counts[0], run, false);
		count(&counts[1], run, true);
	}
}

static bool is_within(const struct run *run, double seconds)
{
	return ev_now(run->core->loop->ev) < run->moves.since + seconds;
}

/* Among those that wait, another run has what this one may miss, or the other way round. */
static bool has_partner_on(struct run *run, const struct counts *counts, bool remote)
{
	const struct run_side *side = run_side(run, remote);

	return (side->told.loses && counts[remote].gain > side->told.gains) ||
	       (side->told.gains && counts[remote].lose > side->told.loses);
}

static bool has_partner(struct run *run, const struct counts *counts)
{
	return has_partner_on(run, counts, false) || has_partner_on(run, counts, true);
}

/* Whether a mailbox that is not known of yet may have what this one misses, or miss what this one
 * has got. */
static bool awaits_news(struct run *run, bool remote)
{
	struct run_side *side = run_side(run, remote);

	if (!run->core->options->stay || !side->side->notified || !remote)
		return false;
	if (side->told.loses && is_within(run, GRACE_SECONDS))
		return true;
	return side->told.gains && side->arrivals.items.count >= MANY_ARRIVALS && run->pass.first &&
	       run_base(side)->uidnext > 0 && is_within(run, PATIENCE_SECONDS);
}

static bool must_wait_on(struct run *run, const struct counts *counts, bool remote)
{
	const struct run_side *side = run_side(run, remote);

	if (is_within(run, run->moves.any_before ? MOVER_SECONDS : PATIENCE_SECONDS) &&
		((side->told.loses && counts[remote].may_gain > 0) ||
			(side->told.gains && counts[remote].may_lose > 0)))
		return true;
	return awaits_news(run, remote) && !has_partner(run, counts);
}

static bool must_wait(struct run *run, const struct counts *counts)
{
	return must_wait_on(run, counts, false) || must_wait_on(run, counts, true);
}

static void enter(struct run *run, enum move_state state)
{
	run->moves.state = state;
	task_wake(&run->task);
}

/* It may decide; unless others still take from it. */
static void release(struct run *run)
{
	enter(run, run->moves.takers > 0 ? MOVE_MOVED : MOVE_OVER);
}

static bool is_waiting(const struct run *run)
{
	return run->moves.state == MOVE_WAITING;
}

static void arm(struct moves_wait *wait)
{
	struct ev_loop *ev = wait->core->loop->ev;

	/* Nothing hangs on it: it is looked again, and armed again while anybody waits. */
	ev_timer_stop(ev, &wait->patience);
	ev_timer_set(&wait->patience, 0.05, 0.);
	ev_timer_start(ev, &wait->patience);
}

/* They have waited for all that matter. */
static void ask_all(struct moves_wait *wait)
{
	struct run *run;

	DL_FOREACH (wait->core->runs->list, run)
		if (is_waiting(run)) {
			enter(run, MOVE_ASKING);
			wait->asking = true;
		}
}

/* Something has changed that runs may wait for. */
static void look(struct moves_wait *wait)
{
	struct counts counts[2];
	struct run *run;
	bool too_early = false, any = false, overdue = false;

	count_runs(wait->core, counts);
	DL_FOREACH (wait->core->runs->list, run) {
		if (run->moves.waits_for_counts)
			task_wake(&run->task);
		if (!is_waiting(run))
			continue;
		any = true;
		if (must_wait(run, counts))
			too_early = true;
		else if (!has_partner(run, counts))
			release(run);
		else if (!is_within(run, PATIENCE_SECONDS))
			overdue = true;
	}
	if (!any)
		return;
	/* One at a time: it takes no longer than the local side's answer, or the remote side's. */
	if ((!too_early || overdue) && !wait->asking)
		ask_all(wait);
	else
		arm(wait);
}

static void on_patience(struct ev_loop *ev, ev_timer *timer, int revents)
{
	look(container_of(timer, struct moves_wait, patience));
}

void moves_wait_init(struct moves_wait *wait, struct core *core)
{
	*wait = (struct moves_wait){.core = core};
	ev_init(&wait->patience, on_patience);
}

void moves_wait_done(struct moves_wait *wait)
{
	ev_timer_stop(wait->core->loop->ev, &wait->patience);
}

void moves_wait_reset(struct run *run)
{
	run->moves = (struct run_moves){.state = MOVE_UNKNOWN, .any_before = run->moves.any};
}

static void expect_side(struct run_side *side)
{
	const struct mailbox_state *base = run_base(side);

	side->told.gains = side->told.exists > 0 && side->told.snapshot.uidnext > base->uidnext;
	side->told.loses = !seqset_is_empty(&side->losses.gone);
}

void moves_wait_opened(struct run *run)
{
	run->moves.since = ev_now(run->core->loop->ev);
	/* A repair trusts nothing, and has its own ways. */
	if (run->repair && run->pass.first) {
		run->moves.state = MOVE_OVER;
	} else {
		run->moves.state = MOVE_OPENED;
		expect_side(&run->local);
		expect_side(&run->remote);
	}
	look(&run->core->runs->moves_wait);
}

size_t moves_wait_batch(struct run *run, bool remote)
{
	struct run *other;
	uint64_t batch = COPY_BATCH;

	run->moves.waits_for_counts = false;
	if (run->moves.state != MOVE_OPENED)
		return COPY_BATCH;
	DL_FOREACH (run->core->runs->list, other) {
		enum move_state state = other->moves.state;

		if (other == run)
			continue;
		if (state == MOVE_OPENED || state == MOVE_WAITING)
			batch += seqset_count(&run_side(other, remote)->losses.gone);
		else if (may_lose(other, remote) && is_within(run, PATIENCE_SECONDS))
			run->moves.waits_for_counts = true;
	}
	if (run->moves.waits_for_counts) {
		arm(&run->core->runs->moves_wait);
		return 0;
	}
	return batch < LIMIT_MOVED ? (size_t)batch : LIMIT_MOVED;
}

/* Now it is known for certain. */
static bool note_found(struct run_side *side)
{
	side->told.gains = side->arrivals.items.count > 0 && !side->moves.refused;
	side->told.loses = !seqset_is_empty(&side->losses.gone);
	return side->told.gains || side->told.loses;
}

void moves_wait_begin(struct run *run)
{
	bool any;

	if (run->moves.state == MOVE_OVER)
		return;
	any = note_found(&run->local);
	any |= note_found(&run->remote);
	run->moves.state = any ? MOVE_WAITING : MOVE_OVER;
	run->moves.since = ev_now(run->core->loop->ev);
	look(&run->core->runs->moves_wait);
}

/* When all have been answered. */
static void match_all(struct moves_wait *wait)
{
	struct run *run;

	DL_FOREACH (wait->core->runs->list, run)
		if (run->moves.state == MOVE_ASKING)
			return;
	moves_match(wait->core);
	wait->asking = false;
	DL_FOREACH (wait->core->runs->list, run)
		if (run->moves.state == MOVE_ASKED)
			enter(run, MOVE_MOVING);
	look(wait);
}

void moves_wait_asked(struct run *run)
{
	run->moves.state = MOVE_ASKED;
	match_all(&run->core->runs->moves_wait);
}

/* The runs that it took from wait for one less. */
static void let_go(struct taken_list *taken)
{
	for (size_t i = 0; i < taken->count; i++) {
		struct run *from = taken->list[i].from;

		if (from == NULL || (i > 0 && taken->list[i - 1].from == from))
			continue;
		from->moves.takers--;
		if (from->moves.state == MOVE_MOVED)
			release(from);
	}
	free(taken->list);
	*taken = (struct taken_list){0};
}

void moves_wait_moved(struct run *run)
{
	let_go(&run->local.moves.taken_list);
	let_go(&run->remote.moves.taken_list);
	release(run);
}

static void forget_run(struct taken_list *taken, const struct run *from)
{
	for (size_t i = 0; i < taken->count; i++)
		if (taken->list[i].from == from)
			taken->list[i].from = NULL;
}

void moves_wait_leave(struct run *run)
{
	struct moves_wait *wait = &run->core->runs->moves_wait;
	struct run *other;

	DL_FOREACH (wait->core->runs->list, other) {
		forget_run(&other->local.moves.taken_list, run);
		forget_run(&other->remote.moves.taken_list, run);
	}
	let_go(&run->local.moves.taken_list);
	let_go(&run->remote.moves.taken_list);
	run->moves.state = MOVE_OVER;
	if (wait->asking)
		match_all(wait);
	else
		look(wait);
}
