/* SPDX-License-Identifier: MIT */
#include "sync/carry/meeting.h"

#include <stdlib.h>
#include <utlist.h>

#include "sync/base/limits.h"
#include "sync/base/xalloc.h"
#include "sync/core/core.h"
#include "sync/plan/moves.h"
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

static struct run_side *side_of(struct run *run, bool remote)
{
	return remote ? &run->remote : &run->local;
}

/* It has moved something, and looks again at once: the mover may still be at work.  Dovecot moves a
 * thousand messages at a time. */
static bool comes_again(const struct run *run)
{
	return (run->attendance.state == ATTENDANCE_OVER && run->attendance.moved) ||
	       (run->attendance.state == ATTENDANCE_AWAY && run->attendance.moved_before);
}

/* Whether it may yet come and bring new messages, as far as is known. */
static bool may_gain(struct run *run, bool remote)
{
	const struct mailbox_side *mailbox = mailbox_side(run->mailbox, remote);

	if (run->attendance.state == ATTENDANCE_EXPECTED)
		return side_of(run, remote)->told.gains;
	if (comes_again(run))
		return true;
	return run->attendance.state == ATTENDANCE_AWAY && run->pass.first && !run->repair &&
	       mailbox->seen.uidnext > mailbox->base.uidnext;
}

/* … or miss messages. */
static bool may_lose(struct run *run, bool remote)
{
	const struct mailbox_side *mailbox = mailbox_side(run->mailbox, remote);

	if (run->attendance.state == ATTENDANCE_EXPECTED)
		return side_of(run, remote)->told.loses;
	if (comes_again(run))
		return true;
	return run->attendance.state == ATTENDANCE_AWAY && run->pass.first && !run->repair &&
	       mailbox->base.uidnext > 0 &&
	       mailbox->seen.highestmodseq > mailbox->base.highestmodseq;
}

/* What a look at all runs found, on one side. */
struct census {
	unsigned may_gain, may_lose; /* on their way */
	unsigned gain, lose; /* there */
};

static void count(struct census *census, struct run *run, bool remote)
{
	const struct run_side *side = side_of(run, remote);
	bool waits = run->attendance.state == ATTENDANCE_WAITING;

	census->may_gain += may_gain(run, remote);
	census->may_lose += may_lose(run, remote);
	census->gain += waits && side->told.gains;
	census->lose += waits && side->told.loses;
}

/* census[0] is that of the local side. */
static void take_census(const struct core *core, struct census census[2])
{
	struct run *run;

	census[0] = census[1] = (struct census){0};
	DL_FOREACH (core->runs->list, run) {
		count(&census[0], run, false);
		count(&census[1], run, true);
	}
}

static bool is_within(const struct run *run, double seconds)
{
	return ev_now(run->core->loop->ev) < run->attendance.since + seconds;
}

/* Of those that wait: another one brings what it misses, or the other way round. */
static bool has_partner_on(struct run *run, const struct census *census, bool remote)
{
	const struct run_side *side = side_of(run, remote);

	return (side->told.loses && census[remote].gain > side->told.gains) ||
	       (side->told.gains && census[remote].lose > side->told.loses);
}

static bool has_partner(struct run *run, const struct census *census)
{
	return has_partner_on(run, census, false) || has_partner_on(run, census, true);
}

/* Whether a mailbox that is not known of yet may have what this one misses, or miss what this one
 * has got. */
static bool awaits_news(struct run *run, bool remote)
{
	struct run_side *side = side_of(run, remote);

	if (!run->core->options->stay || !side->side->notified || !remote)
		return false;
	if (side->told.loses && is_within(run, GRACE_SECONDS))
		return true;
	return side->told.gains && side->arrivals.items.count >= MANY_ARRIVALS && run->pass.first &&
	       run_base(side)->uidnext > 0 && is_within(run, PATIENCE_SECONDS);
}

static bool must_wait_on(struct run *run, const struct census *census, bool remote)
{
	const struct run_side *side = side_of(run, remote);

	if (is_within(run, run->attendance.moved_before ? MOVER_SECONDS : PATIENCE_SECONDS) &&
		((side->told.loses && census[remote].may_gain > 0) ||
			(side->told.gains && census[remote].may_lose > 0)))
		return true;
	return awaits_news(run, remote) && !has_partner(run, census);
}

static bool must_wait(struct run *run, const struct census *census)
{
	return must_wait_on(run, census, false) || must_wait_on(run, census, true);
}

static void enter(struct run *run, enum attendance_state state)
{
	run->attendance.state = state;
	task_wake(&run->task);
}

/* It may decide; unless others still take from it. */
static void release(struct run *run)
{
	enter(run, run->attendance.takers > 0 ? ATTENDANCE_MOVED : ATTENDANCE_OVER);
}

static bool is_waiting(const struct run *run)
{
	return run->attendance.state == ATTENDANCE_WAITING;
}

static void arm(struct meeting *meeting)
{
	struct ev_loop *ev = meeting->core->loop->ev;

	/* Nothing hangs on it: it is looked again, and armed again while anybody waits. */
	ev_timer_stop(ev, &meeting->patience);
	ev_timer_set(&meeting->patience, 0.05, 0.);
	ev_timer_start(ev, &meeting->patience);
}

static void hold(struct meeting *meeting)
{
	struct run *run;

	DL_FOREACH (meeting->core->runs->list, run)
		if (is_waiting(run)) {
			enter(run, ATTENDANCE_ASKING);
			meeting->held = true;
		}
}

void meeting_look(struct meeting *meeting)
{
	struct census census[2];
	struct run *run;
	bool wait = false, any = false, overdue = false;

	take_census(meeting->core, census);
	DL_FOREACH (meeting->core->runs->list, run) {
		if (run->attendance.wants_losses)
			task_wake(&run->task);
		if (!is_waiting(run))
			continue;
		any = true;
		if (must_wait(run, census))
			wait = true;
		else if (!has_partner(run, census))
			release(run);
		else if (!is_within(run, PATIENCE_SECONDS))
			overdue = true;
	}
	if (!any)
		return;
	/* One at a time: it takes no longer than the local side's answer, or the remote side's. */
	if ((!wait || overdue) && !meeting->held)
		hold(meeting);
	else
		arm(meeting);
}

static void on_patience(struct ev_loop *ev, ev_timer *timer, int revents)
{
	meeting_look(container_of(timer, struct meeting, patience));
}

void meeting_init(struct meeting *meeting, struct core *core)
{
	*meeting = (struct meeting){.core = core};
	ev_init(&meeting->patience, on_patience);
}

void meeting_done(struct meeting *meeting)
{
	ev_timer_stop(meeting->core->loop->ev, &meeting->patience);
}

void meeting_begin_pass(struct run *run)
{
	run->attendance = (struct attendance){
		.state = ATTENDANCE_AWAY, .moved_before = run->attendance.moved};
}

static void expect_side(struct run_side *side)
{
	const struct mailbox_state *base = run_base(side);

	side->told.gains = side->told.exists > 0 && side->told.snapshot.uidnext > base->uidnext;
	side->told.loses = !seqset_is_empty(&side->losses.gone);
}

void meeting_expect(struct run *run)
{
	run->attendance.since = ev_now(run->core->loop->ev);
	/* A repair trusts nothing, and has its own ways. */
	if (run->repair && run->pass.first) {
		run->attendance.state = ATTENDANCE_OVER;
	} else {
		run->attendance.state = ATTENDANCE_EXPECTED;
		expect_side(&run->local);
		expect_side(&run->remote);
	}
	meeting_look(&run->core->runs->meeting);
}

size_t meeting_batch(struct run *run, bool remote)
{
	struct run *other;
	uint64_t batch = COPY_BATCH;

	run->attendance.wants_losses = false;
	if (run->attendance.state != ATTENDANCE_EXPECTED)
		return COPY_BATCH;
	DL_FOREACH (run->core->runs->list, other) {
		enum attendance_state state = other->attendance.state;

		if (other == run)
			continue;
		if (state == ATTENDANCE_EXPECTED || state == ATTENDANCE_WAITING)
			batch += seqset_count(&side_of(other, remote)->losses.gone);
		else if (may_lose(other, remote) && is_within(run, PATIENCE_SECONDS))
			run->attendance.wants_losses = true;
	}
	if (run->attendance.wants_losses) {
		arm(&run->core->runs->meeting);
		return 0;
	}
	return batch < LIMIT_MOVED ? (size_t)batch : LIMIT_MOVED;
}

/* Now it is known for certain. */
static bool has_business(struct run_side *side)
{
	side->told.gains = side->arrivals.items.count > 0 && !side->moves.refused;
	side->told.loses = !seqset_is_empty(&side->losses.gone);
	return side->told.gains || side->told.loses;
}

void meeting_attend(struct run *run)
{
	bool interested;

	if (run->attendance.state == ATTENDANCE_OVER)
		return;
	interested = has_business(&run->local);
	interested |= has_business(&run->remote);
	run->attendance.state = interested ? ATTENDANCE_WAITING : ATTENDANCE_OVER;
	run->attendance.since = ev_now(run->core->loop->ev);
	meeting_look(&run->core->runs->meeting);
}

/* The matching */

struct lists {
	struct plan_traveller *gone, *arrived;
	const struct offer **offers; /* of those gone */
	struct run **losers; /* likewise */
	size_t gone_count, arrived_count;
};

static bool takes_part(const struct run *run)
{
	return run->attendance.state == ATTENDANCE_ASKED;
}

static struct plan_traveller traveller(
	const struct run *run, const struct identity *identity, const struct email *email)
{
	return (struct plan_traveller){
		.mailbox = run->mailbox->idx,
		.digest = identity->digest,
		.named = identity_is_named(identity),
		.size = identity->size,
		.date = identity->date,
		.email_id = email->id[0] != '\0' ? email->id : NULL,
	};
}

static void list_offers(struct lists *lists, struct run *run, const struct offers *offers)
{
	for (size_t i = 0; i < offers->count; i++) {
		const struct offer *offer = &offers->list[i];

		if (!offer->identified)
			continue;
		lists->gone[lists->gone_count] = traveller(run, &offer->identity, &offer->email);
		lists->gone[lists->gone_count].flags = offer->flags;
		lists->offers[lists->gone_count] = offer;
		lists->losers[lists->gone_count++] = run;
	}
}

static void list_all(struct lists *lists, struct core *core, bool remote)
{
	size_t gone = 1, arrived = 1;
	struct run *run;

	DL_FOREACH (core->runs->list, run) {
		gone += takes_part(run) ? side_of(run, remote)->moves.offers.count : 0;
		arrived += takes_part(run) ? side_of(run, remote)->arrivals.items.count : 0;
	}
	lists->gone = xcalloc(gone, sizeof(*lists->gone));
	lists->offers = xcalloc(gone, sizeof(*lists->offers));
	lists->losers = xcalloc(gone, sizeof(*lists->losers));
	lists->arrived = xcalloc(arrived, sizeof(*lists->arrived));
	DL_FOREACH (core->runs->list, run) {
		const struct items *items = &side_of(run, remote)->arrivals.items;

		if (!takes_part(run))
			continue;
		list_offers(lists, run, &side_of(run, remote)->moves.offers);
		for (size_t i = 0; i < items->count; i++)
			lists->arrived[lists->arrived_count++] =
				traveller(run, &items->list[i].identity, &items->list[i].email);
	}
}

/* By the run that it is taken from: the loser's place in memory tells them apart as well as any. */
static int by_run(const void *one, const void *other)
{
	const struct take *a = one, *b = other;

	if (a->from != b->from)
		return (uintptr_t)a->from < (uintptr_t)b->from ? -1 : 1;
	return (a->offer.other_uid > b->offer.other_uid) -
	       (a->offer.other_uid < b->offer.other_uid);
}

/* Each run that is taken from waits for those that take. */
static void note_takers(struct takes *takes)
{
	if (takes->count > 1)
		qsort(takes->list, takes->count, sizeof(*takes->list), by_run);
	for (size_t i = 0; i < takes->count; i++)
		if (i == 0 || takes->list[i - 1].from != takes->list[i].from)
			takes->list[i].from->attendance.takers++;
}

static void give(struct run_side *side, const struct lists *lists, const size_t *origins)
{
	struct takes *takes = &side->moves.takes;

	takes->list = xcalloc(side->arrivals.items.count + 1, sizeof(*takes->list));
	for (size_t i = 0; i < side->arrivals.items.count; i++)
		if (origins[i] != PLAN_NOT_MOVED)
			takes->list[takes->count++] = (struct take){
				.from = lists->losers[origins[i]],
				.offer = *lists->offers[origins[i]],
				.item = side->arrivals.items.list[i],
			};
	note_takers(takes);
}

static void match_side(struct core *core, bool remote)
{
	struct lists lists = {0};
	_cleanup_free_ size_t *origins = NULL;
	size_t next = 0;
	struct run *run;

	list_all(&lists, core, remote);
	origins = xcalloc(lists.arrived_count + 1, sizeof(*origins));
	plan_moves(lists.gone, lists.gone_count, lists.arrived, lists.arrived_count, origins);
	DL_FOREACH (core->runs->list, run) {
		if (!takes_part(run))
			continue;
		give(side_of(run, remote), &lists, origins + next);
		next += side_of(run, remote)->arrivals.items.count;
	}
	free(lists.gone);
	free(lists.offers);
	free(lists.losers);
	free(lists.arrived);
}

/* When all have heard. */
static void match(struct meeting *meeting)
{
	struct run *run;

	DL_FOREACH (meeting->core->runs->list, run)
		if (run->attendance.state == ATTENDANCE_ASKING)
			return;
	match_side(meeting->core, false);
	match_side(meeting->core, true);
	meeting->held = false;
	DL_FOREACH (meeting->core->runs->list, run)
		if (takes_part(run))
			enter(run, ATTENDANCE_MOVING);
	meeting_look(meeting);
}

void meeting_asked(struct run *run)
{
	run->attendance.state = ATTENDANCE_ASKED;
	match(&run->core->runs->meeting);
}

/* Those that it took from wait for one less. */
static void thank(struct takes *takes)
{
	for (size_t i = 0; i < takes->count; i++) {
		struct run *from = takes->list[i].from;

		if (from == NULL || (i > 0 && takes->list[i - 1].from == from))
			continue;
		from->attendance.takers--;
		if (from->attendance.state == ATTENDANCE_MOVED)
			release(from);
	}
	free(takes->list);
	*takes = (struct takes){0};
}

void meeting_moved(struct run *run)
{
	thank(&run->local.moves.takes);
	thank(&run->remote.moves.takes);
	release(run);
}

static void forget_loser(struct takes *takes, const struct run *from)
{
	for (size_t i = 0; i < takes->count; i++)
		if (takes->list[i].from == from)
			takes->list[i].from = NULL;
}

void meeting_leave(struct run *run)
{
	struct meeting *meeting = &run->core->runs->meeting;
	struct run *other;

	DL_FOREACH (meeting->core->runs->list, other) {
		forget_loser(&other->local.moves.takes, run);
		forget_loser(&other->remote.moves.takes, run);
	}
	thank(&run->local.moves.takes);
	thank(&run->remote.moves.takes);
	run->attendance.state = ATTENDANCE_OVER;
	if (meeting->held)
		match(meeting);
	else
		meeting_look(meeting);
}
