/* SPDX-License-Identifier: MIT */
#include "sync/pass/pass.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <utlist.h>

#include "sync/base/limits.h"
#include "sync/base/xalloc.h"
#include "sync/core/core.h"
#include "sync/core/news.h"
#include "sync/core/quarantine.h"
#include "sync/deeds/journal.h"
#include "sync/deeds/suspects.h"
#include "sync/imap/flags.h"
#include "sync/carry/moves.h"
#include "sync/carry/moves-wait.h"
#include "sync/carry/copy.h"
#include "sync/pass/pass-private.h"

enum phase {
	RUN_OPEN,
	RUN_OPENED,
	RUN_RENEW,
	RUN_SETTLE,
	RUN_LOOKED,
	RUN_AUDIT,
	RUN_AUDITED,
	RUN_GAPS,
	RUN_ADOPT,
	RUN_REFINE,
	RUN_DANGLING,
	RUN_DANGLED,
	RUN_SEARCH,
	RUN_ASK, /* metadata of new messages, and CONFIRM, in one flight */
	RUN_UNTOLD, /* what should be new, and of which nothing was told: is it there? */
	RUN_ALONE, /* what is, by itself */
	RUN_MOVES, /* what was moved from one mailbox to another */
	RUN_MOVES_ASKED,
	RUN_COPIES_ASKED, /* … or copied */
	RUN_MOVES_SENT,
	RUN_PLAN,
	RUN_COPY,
};

static const char *const phase_names[] = {
	[RUN_OPEN] = "open",
	[RUN_OPENED] = "opened",
	[RUN_RENEW] = "renew",
	[RUN_SETTLE] = "settle",
	[RUN_LOOKED] = "looked",
	[RUN_AUDIT] = "audit",
	[RUN_AUDITED] = "audited",
	[RUN_GAPS] = "gaps",
	[RUN_ADOPT] = "adopt",
	[RUN_REFINE] = "refine",
	[RUN_DANGLING] = "dangling",
	[RUN_DANGLED] = "dangled",
	[RUN_SEARCH] = "search",
	[RUN_ASK] = "ask",
	[RUN_UNTOLD] = "untold",
	[RUN_ALONE] = "alone",
	[RUN_MOVES] = "moves",
	[RUN_MOVES_ASKED] = "moves asked",
	[RUN_COPIES_ASKED] = "copies asked",
	[RUN_MOVES_SENT] = "moves sent",
	[RUN_PLAN] = "plan",
	[RUN_COPY] = "copy",
};

const char *run_phase_name(const struct run *run)
{
	return phase_names[run->phase];
}

/* Copies to it wait, because of an earlier run. */
static bool is_refusing(struct run_side *target)
{
	const struct mailbox_side *side = mailbox_side(target->run->mailbox, target->side->remote);

	return side->refusals > 0 && !target->run->retries && !target->run->repair &&
	       !quarantine_is_due(side->refused_until, time(NULL));
}

static void begin_copies(struct run_side *source)
{
	copier_begin(&source->copier, source);
	if (source->arrivals.items.count == 0 || !is_refusing(source->other))
		return;
	source->copier.stopped = true;
	if (source->other->side->room.full != NULL)
		run_note_problem(source->run,
			"messages to the %s server wait: there was no room left in the folder %s",
			source->other->side->name, source->other->side->room.full);
	else
		run_note_problem(source->run,
			"the %s server refused messages a while ago: they wait for the next try",
			source->other->side->name);
}

static void clear_pass(struct run_side *side)
{
	seqset_clear(&side->told.vanished);
	seqset_clear(&side->losses.late);
	seqset_clear(&side->losses.absent);
	seqset_clear(&side->losses.gone);
	for (size_t i = 0; i < ARRAY_LEN(side->losses.due); i++)
		seqset_clear(&side->losses.due[i]);
	seqset_clear(&side->losses.sought);
	seqset_clear(&side->losses.there);
	seqset_clear(&side->told.expunged);
	seqset_clear(&side->flags.asked_known);
	run_refused_clear(side);
	run_expunge_clear(side);
	seqset_clear(&side->losses.alive);
	seqset_clear(&side->arrivals.fresh);
	seqset_clear(&side->arrivals.untold);
	changes_clear(&side->told.changes);
	changes_clear(&side->flags.known);
	items_clear(&side->arrivals.items);
	side->arrivals.complete = false;
	side->moves.lowest = 0;
	side->losses.moved_away = 0;
	run_moves_clear(side);
}

static bool is_disturbed(struct run *run)
{
	if (!run_is_disturbed(run))
		return false;
	run->end.how = RUN_AFTER_CLIENTS;
	return true;
}

static enum step begin_pass(struct run *run)
{
	run->pass.disturbed = run->mailbox->runs.disturbed;
	if (is_disturbed(run))
		return STEP_DONE;
	if (run->pass.number++ >= RUN_PASSES_MAX)
		return run_fail(run, "it keeps changing; the rest is left for the next run");
	run->pass.again = run->pass.reread = run->pass.decided = false;
	run->pass.moves_begun = run->pass.copies_sought = false;
	moves_wait_reset(run);
	clear_pass(&run->local);
	clear_pass(&run->remote);
	run->local.moves.refused |= suspects_hold(run->core, run->mailbox, SUSPECT_MOVE);
	run->remote.moves.refused |= run->local.moves.refused;
	barrier_reset(&run->barrier);
	if (run->pass.first && !run_quarantine_load(run))
		return STEP_FAILED;
	run_open(run);
	run->phase = RUN_OPENED;
	return STEP_WAIT;
}

/* WAIT if the phase before submitted anything, else go straight on. */
static enum step next(struct run *run, enum phase phase)
{
	run->phase = (int)phase;
	return run->barrier.waiting > 0 ? STEP_WAIT : STEP_AGAIN;
}

static enum step opened(struct run *run)
{
	if (!run_opened(run))
		return STEP_FAILED;
	if (!run_is_renewed(run)) {
		run_unmatched_say(run);
		return next(run, RUN_SETTLE);
	}
	if (run->pass.renewed)
		return run_fail(run, "its UIDVALIDITY changes again and again");
	run->pass.renewed = true;
	run_adopt_list(run, true);
	return next(run, RUN_RENEW);
}

/* What the run remembers from pass to pass by UIDs that mean other messages now. */
static void forget_uids(struct run_side *side)
{
	changes_clear(&side->flags.expected);
	changes_clear(&side->flags.carried);
	seqset_clear(&side->left_out.refused);
	seqset_clear(&side->losses.overlooked);
}

/* The pairs are void: begun again with others, or not at all. */
static enum step renew(struct run *run)
{
	if (run_adopt_refine(run))
		return STEP_WAIT;
	if (is_disturbed(run))
		return STEP_DONE;
	if (run->end.failure != NULL || !run_renew_pair(run))
		return STEP_FAILED;
	forget_uids(&run->local);
	forget_uids(&run->remote);
	run->pass.first = true;
	run->phase = RUN_OPEN;
	return run->end.how != RUN_DONE ? STEP_DONE : STEP_AGAIN;
}

/* No mod-sequence is known since which a side would tell what changed: the first run has got a part
 * of its pairs, and could not yet carry out what it wanted of them. */
static bool is_untold(struct run *run)
{
	return run_base(&run->local)->highestmodseq == 0 ||
	       run_base(&run->remote)->highestmodseq == 0;
}

static enum step settle(struct run *run)
{
	if ((run->pass.first || run->pass.doubt) && run_settle_look(run))
		return next(run, RUN_LOOKED);
	run->pass.doubt = false;
	return next(run, run->pass.first || is_untold(run) ? RUN_AUDIT : RUN_SEARCH);
}

static enum step looked(struct run *run)
{
	if (!run_barrier_ok(run))
		return STEP_FAILED;
	if (run_settle_looked(run)) {
		run->phase = RUN_SETTLE;
		return STEP_WAIT; /* for the pause */
	}
	return next(run, RUN_AUDIT);
}

/* A repair looks up all pairs, then pairs what has none, and looks up the pairs that this made. */
static enum step audit(struct run *run)
{
	if (!run->repair)
		return next(run, RUN_ADOPT);
	if (run_audit_ask(run))
		return next(run, RUN_AUDITED);
	if (run->end.failure != NULL || !run_audit_write(run))
		return STEP_FAILED;
	return next(run, run->pass.adopted ? RUN_SEARCH : RUN_GAPS);
}

static enum step adopt(struct run *run)
{
	if (!run_adopt_wanted(run))
		return next(run, RUN_DANGLING);
	run_adopt_list(run, !run->repair);
	return next(run, RUN_REFINE);
}

/* Some of the messages that are suspected were read, and others not yet: what is known now is that
 * those do not cost the connection.  (Without the others nothing may be paired or copied.) */
static bool is_probe(struct run *run)
{
	const struct core *core = run->core;

	if (run->repair || (!suspects_withhold_any(core, run->mailbox, SUSPECT_FETCH, false) &&
				   !suspects_withhold_any(core, run->mailbox, SUSPECT_FETCH, true)))
		return false;
	run->end.how = RUN_PROBED;
	return true;
}

static enum step refine(struct run *run)
{
	if (!run_barrier_ok(run))
		return STEP_FAILED;
	if (run_adopt_refine(run))
		return STEP_WAIT;
	if (is_probe(run))
		return STEP_DONE;
	if (!run_adopt_pair(run))
		return STEP_FAILED;
	if (run->repair && run->pass.adopted && run_audit_adopted(run))
		return next(run, RUN_AUDIT);
	return next(run, RUN_DANGLING);
}

static enum step dangling(struct run *run)
{
	if ((run->repair && run->pass.first) || !run_dangling_ask(run))
		return next(run, RUN_SEARCH);
	return next(run, RUN_DANGLED);
}

static enum step ask(struct run *run)
{
	if (run->repair && run->pass.first && !run_audit_lower(run))
		return STEP_FAILED;
	if (!run_new_cut(run))
		return STEP_WAIT;
	run_new_metadata(run);
	run_confirm(run);
	run_refused_ask(run);
	return next(run, RUN_UNTOLD);
}

/*
 * Messages are missed, and the lists of mailboxes are about to be looked at again: the messages may
 * be in a mailbox that is not known yet.  Both are run then; once, whatever else changes.
 */
static bool is_put_off(struct run *run)
{
	struct mailbox *mailbox = run->mailbox;

	mailbox->runs.put_off = run->remote.told.loses && !run->moves.any &&
				!mailbox->runs.put_off && core_looks_soon(run->core);
	if (mailbox->runs.put_off)
		run->end.how = RUN_AFTER_LISTS;
	return mailbox->runs.put_off;
}

/* What is gone or new: was it moved, from or to another mailbox? */
static enum step find_moves(struct run *run)
{
	if (!run->pass.moves_begun) {
		run_confirmed(run);
		run_pair_twins(run);
		run->pass.moves_begun = true;
		moves_wait_begin(run);
	}
	switch (run->moves.state) {
	case MOVE_ASKING:
		run_moves_ask(run);
		return next(run, RUN_MOVES_ASKED);
	case MOVE_MOVING:
		if (run_moves_send(run))
			return next(run, RUN_MOVES_SENT);
		run_moves_done(run);
		return STEP_AGAIN;
	case MOVE_OVER:
		if (is_put_off(run))
			return STEP_DONE;
		if (run_copies_ask(run))
			return next(run, RUN_COPIES_ASKED);
		run_moves_over(run);
		return next(run, RUN_PLAN);
	default:
		return STEP_WAIT;
	}
}

/* See allow_copies() of open.c. */
static bool copies_too_much(struct run *run)
{
	uint64_t copies = run->copies_made + run->local.arrivals.items.count +
			  run->remote.arrivals.items.count;

	if (copies <= run->copies_allowed)
		return false;
	(void)run_fail(run,
		"%llu messages would have been copied, and both sides have no more than %llu: a "
		"server changes what it is sent, so that it is not recognised there; the run ends",
		(unsigned long long)copies, (unsigned long long)run->copies_allowed);
	return true;
}

static enum step decide(struct run *run)
{
	if (!run_plan(run))
		return STEP_FAILED;
	if (run->barrier.waiting > 0)
		return STEP_WAIT; /* flags had to be asked for: decide again with them */
	if (is_disturbed(run))
		return STEP_DONE;
	if (copies_too_much(run) || !run_expunge_decide(run))
		return STEP_FAILED;
	run_apply(run);
	if (run->audit != NULL)
		run_audit_announce(run);
	begin_copies(&run->local);
	begin_copies(&run->remote);
	run->barrier.each = true;
	run->phase = RUN_COPY;
	return STEP_AGAIN;
}

/* Mail clients that idle in the local mailbox hear of what changed there. */
static void tell_clients(struct run *run)
{
	struct news_receiver *news = run->core->options->news;
	const struct run_side *local = &run->local;
	bool removed = false;

	for (size_t i = 0; i < ARRAY_LEN(local->losses.due); i++)
		removed |= !seqset_is_empty(&local->losses.due[i]);
	if (news != NULL &&
		(run->remote.copier.copied > 0 || run->pass.plan.local.stores_count > 0 || removed))
		news->changed(news, run->local.wire_name);
}

static enum step finish_pass(struct run *run)
{
	uint64_t copied = run->local.copier.copied + run->remote.copier.copied;

	if (run->barrier.refused)
		run_note_problem(run, "%s", run->barrier.reason);
	tell_clients(run);
	if (!run_commit(run))
		return STEP_FAILED;
	if (copied >= COPY_BATCH / 2)
		run->pass.number = 0;
	if (copied > 0)
		run->pass.again = true; /* to see the echoes */
	else if (run->barrier.refused)
		run->pass.again = false; /* it would be refused again */
	run->pass.first = false;
	plan_done(&run->pass.plan);
	run->pass.has_plan = false;
	if (run->pass.again) {
		run->phase = RUN_OPEN;
		return STEP_AGAIN;
	}
	return run->end.problem != NULL ? STEP_FAILED : STEP_DONE;
}

static enum step copy(struct run *run)
{
	bool local_done, remote_done;

	if (run->barrier.lost)
		return STEP_FAILED;
	local_done = copier_advance(&run->local.copier);
	remote_done = copier_advance(&run->remote.copier);
	if (!local_done || !remote_done || run->barrier.waiting > 0)
		return STEP_WAIT;
	if (run_expunge_again(&run->local) || run_expunge_again(&run->remote))
		return STEP_WAIT;
	return finish_pass(run);
}

static enum step advance(struct run *run)
{
	/* Other runs may wake it at any time. */
	if (run->phase != RUN_COPY && run->barrier.waiting > 0)
		return STEP_WAIT;
	/* What the phase before reported; COPY looks at its own, and OPENED and LOOKED say it with
	 * more words. */
	if (run->phase != RUN_COPY && run->phase != RUN_OPEN && !run_barrier_ok(run))
		return STEP_FAILED;
	switch ((enum phase)run->phase) {
	case RUN_OPEN:
		return begin_pass(run);
	case RUN_OPENED:
		return opened(run);
	case RUN_RENEW:
		return renew(run);
	case RUN_SETTLE:
		return settle(run);
	case RUN_LOOKED:
		return looked(run);
	case RUN_AUDIT:
		return audit(run);
	case RUN_AUDITED:
		return run_audited(run) ? next(run, RUN_AUDIT) : STEP_FAILED;
	case RUN_GAPS:
		run_new_search(run);
		return next(run, RUN_ADOPT);
	case RUN_ADOPT:
		return adopt(run);
	case RUN_REFINE:
		return refine(run);
	case RUN_DANGLING:
		return dangling(run);
	case RUN_DANGLED:
		run_dangling_asked(run);
		return next(run, RUN_SEARCH);
	case RUN_SEARCH:
		run_new_search(run);
		return next(run, RUN_ASK);
	case RUN_ASK:
		return ask(run);
	case RUN_UNTOLD:
		run_untold_ask(run);
		return next(run, RUN_ALONE);
	case RUN_ALONE:
		return run_untold_asked(run) ? next(run, RUN_MOVES) : STEP_FAILED;
	case RUN_MOVES:
		return find_moves(run);
	case RUN_MOVES_ASKED:
		moves_wait_asked(run);
		return next(run, RUN_MOVES);
	case RUN_COPIES_ASKED:
		run_copies_asked(run);
		run->moves.state = MOVE_MOVING;
		return next(run, RUN_MOVES);
	case RUN_MOVES_SENT:
		run_moves_sent(run);
		return next(run, RUN_MOVES);
	case RUN_PLAN:
		return decide(run);
	case RUN_COPY:
		return copy(run);
	}
	abort();
}

static enum step run_step(struct task *task)
{
	struct run *run = container_of(task, struct run, task);
	enum step result = run->end.begun || run->end.failure != NULL ? STEP_FAILED : advance(run);

	run->waits_since = time(NULL);
	if (result == STEP_AGAIN && run->end.failure != NULL)
		result = STEP_FAILED;
	/* Commands under way point to the run: it ends with the last of them. */
	if (result == STEP_FAILED && run->barrier.waiting > 0) {
		run->end.begun = true;
		return STEP_WAIT;
	}
	return result;
}

static void done_side(struct run_side *side)
{
	side_forget_view(side->side, &side->view);
	view_done(&side->view);
	copier_done(&side->copier);
	free(side->wire_name);
	seqset_done(&side->told.vanished);
	seqset_done(&side->losses.late);
	seqset_done(&side->losses.absent);
	seqset_done(&side->losses.gone);
	for (size_t i = 0; i < ARRAY_LEN(side->losses.due); i++)
		seqset_done(&side->losses.due[i]);
	seqset_done(&side->losses.sought);
	seqset_done(&side->losses.there);
	seqset_done(&side->told.expunged);
	seqset_done(&side->flags.asked_known);
	run_refused_done(side);
	run_expunge_clear(side);
	seqset_done(&side->losses.alive);
	seqset_done(&side->arrivals.fresh);
	seqset_done(&side->flags.asked);
	seqset_done(&side->left_out.refused);
	seqset_done(&side->left_out.quarantined);
	seqset_done(&side->left_out.alone);
	seqset_done(&side->left_out.retried);
	seqset_done(&side->arrivals.untold);
	seqset_done(&side->arrivals.present);
	seqset_done(&side->arrivals.missed);
	seqset_done(&side->arrivals.doubted);
	changes_done(&side->told.changes);
	changes_done(&side->flags.known);
	changes_done(&side->flags.expected);
	items_done(&side->arrivals.items);
	changes_done(&side->flags.carried);
	run_moves_clear(side);
	side_forget_view(side->other->side, &side->moves.source_view);
	view_done(&side->moves.source_view);
}

static void run_free(struct run *run)
{
	ev_timer_stop(run->core->loop->ev, &run->settling.pause);
	task_cancel(&run->task);
	done_side(&run->local);
	done_side(&run->remote);
	run_audit_done(run);
	if (run->pass.has_plan)
		plan_done(&run->pass.plan);
	barrier_done(&run->barrier);
	free(run->settling.intents);
	free(run->settling.late);
	free(run->echoes.list);
	seqset_done(&run->removals.uids);
	free(run->end.failure);
	free(run->end.problem);
	free(run);
}

void run_abandon(struct run *run)
{
	run_free(run);
}

void run_connection_lost(struct run *run)
{
	run->barrier.lost = run->end.begun = true;
	task_wake(&run->task);
}

static enum run_end end_of(const struct run *run, enum step result)
{
	if (result == STEP_DONE)
		return run->end.how;
	if (run->end.database_failed)
		return RUN_BROKEN;
	return run->barrier.lost ? RUN_LOST : RUN_FAILED;
}

static void run_finished(struct task *task, enum step result)
{
	struct run *run = container_of(task, struct run, task);

	run->finished(run, end_of(run, result),
		run->end.failure != NULL ? run->end.failure : run->end.problem);
	run_free(run);
}

static void on_pause(struct ev_loop *ev, ev_timer *timer, int revents)
{
	struct run *run = container_of(timer, struct run, settling.pause);

	task_wake(&run->task);
}

static void init_side(
	struct run *run, struct run_side *side, struct side *server, struct run_side *other)
{
	side->run = run;
	side->side = server;
	side->other = other;
	side->wire_name = side_wire_name(server, run->mailbox->name, run->mailbox->len);
	seqset_init(&side->told.vanished);
	seqset_init(&side->losses.late);
	seqset_init(&side->losses.absent);
	seqset_init(&side->losses.gone);
	for (size_t i = 0; i < ARRAY_LEN(side->losses.due); i++)
		seqset_init(&side->losses.due[i]);
	seqset_init(&side->losses.sought);
	seqset_init(&side->losses.there);
	seqset_init(&side->told.expunged);
	seqset_init(&side->losses.alive);
	seqset_init(&side->arrivals.fresh);
	seqset_init(&side->flags.asked);
	seqset_init(&side->left_out.refused);
	seqset_init(&side->left_out.quarantined);
	seqset_init(&side->left_out.alone);
	seqset_init(&side->left_out.retried);
	seqset_init(&side->arrivals.untold);
	seqset_init(&side->arrivals.present);
	seqset_init(&side->arrivals.missed);
	seqset_init(&side->arrivals.doubted);
}

/* Once: what comes up while it is under way is for an ordinary run. */
static bool take_repair(struct mailbox *mailbox)
{
	bool repair = mailbox->wishes.repair;

	mailbox->wishes.repair = false;
	return repair;
}

void runs_init(struct runs *runs, struct core *core)
{
	*runs = (struct runs){.core = core};
	core->runs = runs;
	moves_wait_init(&runs->moves_wait, core);
}

void runs_done(struct runs *runs)
{
	moves_wait_done(&runs->moves_wait);
}

struct run *run_new(struct core *core, struct mailbox *mailbox,
	void (*finished)(struct run *run, enum run_end end, const char *reason))
{
	struct run *run = xcalloc(1, sizeof(*run));

	run->core = core;
	run->mailbox = mailbox;
	run->finished = finished;
	run->pass.first = true;
	run->repair = take_repair(mailbox);
	run->retries = core->asked.mailboxes != NULL && (core->ordered || !core->first_done);
	task_init(&run->task, core->loop, run_step, run_finished);
	barrier_init(&run->barrier, &run->task);
	run->barrier.about = (struct suspect){.kind = SUSPECT_MAILBOX, .mailbox = mailbox->idx};
	ev_timer_init(&run->settling.pause, on_pause, 0, 0);
	seqset_init(&run->removals.uids);
	init_side(run, &run->local, &core->local, &run->remote);
	init_side(run, &run->remote, &core->remote, &run->local);
	task_wake(&run->task);
	return run;
}
