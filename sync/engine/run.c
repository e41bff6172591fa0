/* SPDX-License-Identifier: MIT */
#include "sync/engine/run.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "sync/base/limits.h"
#include "sync/base/xalloc.h"
#include "sync/engine/engine-private.h"
#include "sync/imap/flags.h"

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
	RUN_MEET, /* what was moved from one mailbox to another */
	RUN_ASKED,
	RUN_SOUGHT, /* what was copied within the account */
	RUN_MOVED,
	RUN_PLAN,
	RUN_COPY,
};

enum step run_fail(struct run *run, const char *fmt, ...)
{
	va_list ap;

	free(run->failure);
	va_start(ap, fmt);
	run->failure = xvasprintf(fmt, ap);
	va_end(ap);
	return STEP_FAILED;
}

void run_note_problem(struct run *run, const char *fmt, ...)
{
	va_list ap;

	if (run->problem != NULL)
		return;
	va_start(ap, fmt);
	run->problem = xvasprintf(fmt, ap);
	va_end(ap);
}

bool run_barrier_ok(struct run *run)
{
	if (run->barrier.lost)
		return false;
	if (run->barrier.refused)
		(void)run_fail(run, "%s", run->barrier.reason);
	return !run->barrier.refused;
}

bool run_database_failed(struct run *run, int r)
{
	if (r >= 0)
		return false;
	(void)run_fail(run, "%s", db_error(run->engine->db));
	run->database_failed |= db_is_outage(r);
	return true;
}

const char *run_metadata(const struct run_side *side)
{
	return side->side->remote && side_has(side->side, "OBJECTID") ? FETCH_METADATA " EMAILID"
								      : FETCH_METADATA;
}

void run_select(struct run_side *side)
{
	side_select(side->side, &side->run->barrier, &side->view, side->wire_name);
}

struct run_fetch {
	struct run_request run;
	struct seqset asked; /* UIDs that this command named, and that were not answered for */
	bool (*untagged)(struct command *, struct response *);
};

static struct run_fetch *run_fetch_of(struct request *request)
{
	return container_of(
		container_of(request, struct run_request, request), struct run_fetch, run);
}

/* Nobody takes a UID that was not asked for in this very command, nor one twice: a server may send
 * as much of that as it likes. */
static bool on_fetched(struct command *command, struct response *response)
{
	struct run_fetch *fetch = run_fetch_of(container_of(command, struct request, command));
	uint32_t uid = response->fetch.uid;

	if (response->type != RESPONSE_FETCH || !(response->fetch.items & FETCH_UID) ||
		!seqset_contains(&fetch->asked, uid) || !fetch->untagged(command, response))
		return false;
	seqset_remove_range(&fetch->asked, uid, uid);
	return true;
}

static void release_fetch(struct request *request)
{
	seqset_done(&run_fetch_of(request)->asked);
}

static void fetch(struct run_side *side, struct barrier *barrier, const struct seqset *set,
	const char *items, bool (*untagged)(struct command *, struct response *),
	bool (*completed)(struct request *))
{
	size_t index = 0;

	while (index < set->count) {
		struct run_fetch *request =
			request_new(barrier, side->side, sizeof(*request), completed);
		struct command *command = &request->run.request.command;
		size_t first = index;

		request->run.side = side;
		request->run.request.release = release_fetch;
		request->untagged = untagged;
		command->untagged = on_fetched;
		command_puts(command, "UID FETCH ");
		command_set(command, set, &index);
		command_printf(command, " (%s)", items);
		for (size_t i = first; i < index; i++)
			(void)seqset_add_range(
				&request->asked, set->ranges[i].first, set->ranges[i].last);
		request_submit(&request->run.request);
	}
}

void run_fetch(struct run_side *side, struct barrier *barrier, const struct seqset *set,
	const char *items, bool (*untagged)(struct command *, struct response *))
{
	fetch(side, barrier, set, items, untagged, NULL);
}

void run_fetch_all(struct run_side *side, const char *items,
	bool (*untagged)(struct command *, struct response *))
{
	struct run_request *request =
		request_new(&side->run->barrier, side->side, sizeof(*request), NULL);

	request->side = side;
	request->request.command.untagged = untagged;
	command_printf(&request->request.command, "UID FETCH 1:* (%s)", items);
	request_submit(&request->request);
}

void run_fetch_if_granted(struct run_side *side, struct barrier *barrier, const struct seqset *set,
	const char *items, bool (*untagged)(struct command *, struct response *))
{
	fetch(side, barrier, set, items, untagged, request_ignore_refusal);
}

static void clear_pass(struct run_side *side)
{
	seqset_clear(&side->vanished);
	seqset_clear(&side->late);
	seqset_clear(&side->absent);
	seqset_clear(&side->gone);
	for (size_t i = 0; i < ARRAY_LEN(side->due); i++)
		seqset_clear(&side->due[i]);
	seqset_clear(&side->sought);
	seqset_clear(&side->there);
	seqset_clear(&side->expunged);
	seqset_clear(&side->alive);
	seqset_clear(&side->fresh);
	changes_clear(&side->changes);
	changes_clear(&side->known);
	items_clear(&side->items);
	side->items_complete = false;
	side->lowest_moved = 0;
	side->moved_away = 0;
	run_moved_clear(side);
}

bool run_is_disturbed(const struct run *run)
{
	return run->disturbed != run->mailbox->disturbed ||
	       journal_holds(&run->engine->journal, run->mailbox);
}

static bool is_disturbed(struct run *run)
{
	run->straddled = run_is_disturbed(run);
	return run->straddled;
}

static enum step begin_pass(struct run *run)
{
	run->disturbed = run->mailbox->disturbed;
	if (is_disturbed(run))
		return STEP_DONE;
	if (run->passes++ >= RUN_PASSES_MAX)
		return run_fail(run, "it keeps changing; the rest is left for the next run");
	run->again = run->reread = run->decided = false;
	run->met = run->sought = false;
	meeting_begin_pass(run);
	clear_pass(&run->local);
	clear_pass(&run->remote);
	barrier_reset(&run->barrier);
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
	if (run->renewed)
		return run_fail(run, "its UIDVALIDITY changes again and again");
	run->renewed = true;
	run_renew_list(run);
	return next(run, RUN_RENEW);
}

/* The pairs are void: begun again with others, or not at all. */
static enum step renew(struct run *run)
{
	if (run_adopt_refine(run))
		return STEP_WAIT;
	if (is_disturbed(run))
		return STEP_DONE;
	if (run->failure != NULL || !run_renew_pair(run))
		return STEP_FAILED;
	run->first = true;
	run->phase = RUN_OPEN;
	return run->straddled ? STEP_DONE : STEP_AGAIN;
}

static enum step settle(struct run *run)
{
	if ((run->first || run->doubt) && run_settle_look(run))
		return next(run, RUN_LOOKED);
	run->doubt = false;
	return next(run, run->first ? RUN_AUDIT : RUN_SEARCH);
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
	if (run->failure != NULL || !run_audit_write(run))
		return STEP_FAILED;
	return next(run, run->adopted ? RUN_SEARCH : RUN_GAPS);
}

static enum step adopt(struct run *run)
{
	if (!run_adopt_wanted(run))
		return next(run, RUN_DANGLING);
	run_adopt_list(run);
	return next(run, RUN_REFINE);
}

static enum step refine(struct run *run)
{
	if (!run_barrier_ok(run))
		return STEP_FAILED;
	if (run_adopt_refine(run))
		return STEP_WAIT;
	if (!run_adopt_pair(run))
		return STEP_FAILED;
	if (run->repair && run->adopted && run_audit_adopted(run))
		return next(run, RUN_AUDIT);
	return next(run, RUN_DANGLING);
}

static enum step dangling(struct run *run)
{
	if (run->repair || !run_dangling_ask(run))
		return next(run, RUN_SEARCH);
	return next(run, RUN_DANGLED);
}

static enum step ask(struct run *run)
{
	if (run->repair && run->first && !run_audit_lower(run))
		return STEP_FAILED;
	if (!run_new_cut(run))
		return STEP_WAIT;
	run_new_metadata(run);
	run_confirm(run);
	return next(run, RUN_MEET);
}

/*
 * Messages are missed, and the lists of mailboxes are about to be looked at again: the messages may
 * be in a mailbox that is not known yet.  Both are run then; once, whatever else changes.
 */
static bool is_put_off(struct run *run)
{
	struct mailbox *mailbox = run->mailbox;

	run->put_off = run->remote.loses && !run->attendance.moved && !mailbox->put_off &&
		       watch_looks_soon(run->engine);
	mailbox->put_off = run->put_off;
	return run->put_off;
}

/* What is gone or new: was it moved, from or to another mailbox? */
static enum step meet(struct run *run)
{
	if (!run->met) {
		run_confirmed(run);
		run_pair_twins(run);
		run->met = true;
		meeting_attend(run);
	}
	switch (run->attendance.state) {
	case ATTENDANCE_ASKING:
		run_moved_ask(run);
		return next(run, RUN_ASKED);
	case ATTENDANCE_MOVING:
		if (run_moved_send(run))
			return next(run, RUN_MOVED);
		run_moved_done(run);
		return STEP_AGAIN;
	case ATTENDANCE_OVER:
		if (is_put_off(run))
			return STEP_DONE;
		if (run_copied_ask(run))
			return next(run, RUN_SOUGHT);
		run_moved_over(run);
		return next(run, RUN_PLAN);
	default:
		return STEP_WAIT;
	}
}

static enum step decide(struct run *run)
{
	if (!run_plan(run))
		return STEP_FAILED;
	if (run->barrier.waiting > 0)
		return STEP_WAIT; /* flags had to be asked for: decide again with them */
	if (is_disturbed(run))
		return STEP_DONE;
	if (!run_expunge_decide(run))
		return STEP_FAILED;
	run_apply(run);
	if (run->audit != NULL)
		run_audit_announce(run);
	copier_begin(&run->local.copier, &run->local);
	copier_begin(&run->remote.copier, &run->remote);
	run->barrier.each = true;
	run->phase = RUN_COPY;
	return STEP_AGAIN;
}

/* Mail clients that idle in the local mailbox hear of what changed there. */
static void tell_clients(struct run *run)
{
	struct news_receiver *news = run->engine->options->news;
	const struct run_side *local = &run->local;
	bool removed = false;

	for (size_t i = 0; i < ARRAY_LEN(local->due); i++)
		removed |= !seqset_is_empty(&local->due[i]);
	if (news != NULL &&
		(run->remote.copier.copied > 0 || run->plan.local.stores_count > 0 || removed))
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
		run->passes = 0;
	if (copied > 0)
		run->again = true; /* to see the echoes */
	else if (run->barrier.refused)
		run->again = false; /* it would be refused again */
	run->first = false;
	plan_done(&run->plan);
	run->has_plan = false;
	if (run->again) {
		run->phase = RUN_OPEN;
		return STEP_AGAIN;
	}
	return run->problem != NULL ? STEP_FAILED : STEP_DONE;
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
	case RUN_MEET:
		return meet(run);
	case RUN_ASKED:
		run_moved_asked(run);
		return next(run, RUN_MEET);
	case RUN_SOUGHT:
		run_copied_asked(run);
		run->attendance.state = ATTENDANCE_MOVING;
		return next(run, RUN_MEET);
	case RUN_MOVED:
		run_moved_sent(run);
		return next(run, RUN_MEET);
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
	enum step result = run->ending || run->failure != NULL ? STEP_FAILED : advance(run);

	if (result == STEP_AGAIN && run->failure != NULL)
		result = STEP_FAILED;
	/* Commands under way point to the run: it ends with the last of them. */
	if (result == STEP_FAILED && run->barrier.waiting > 0) {
		run->ending = true;
		return STEP_WAIT;
	}
	return result;
}

static void done_side(struct run_side *side)
{
	side_forget_view(side->side, &side->view);
	view_done(&side->view.view);
	copier_done(&side->copier);
	free(side->wire_name);
	seqset_done(&side->vanished);
	seqset_done(&side->late);
	seqset_done(&side->absent);
	seqset_done(&side->gone);
	for (size_t i = 0; i < ARRAY_LEN(side->due); i++)
		seqset_done(&side->due[i]);
	seqset_done(&side->sought);
	seqset_done(&side->there);
	seqset_done(&side->expunged);
	seqset_done(&side->alive);
	seqset_done(&side->fresh);
	seqset_done(&side->asked);
	seqset_done(&side->refused);
	changes_done(&side->changes);
	changes_done(&side->known);
	changes_done(&side->expected);
	items_done(&side->items);
	changes_done(&side->carried);
	run_moved_clear(side);
	side_forget_view(side->other->side, &side->source_view);
	view_done(&side->source_view.view);
}

static void run_free(struct run *run)
{
	ev_timer_stop(run->engine->loop->ev, &run->pause);
	task_cancel(&run->task);
	done_side(&run->local);
	done_side(&run->remote);
	run_audit_done(run);
	if (run->has_plan)
		plan_done(&run->plan);
	barrier_done(&run->barrier);
	free(run->intents);
	free(run->late);
	free(run->echoes.list);
	seqset_done(&run->removed);
	free(run->failure);
	free(run->problem);
	free(run);
}

void run_abandon(struct run *run)
{
	run_free(run);
}

void run_connection_lost(struct run *run)
{
	run->barrier.lost = run->ending = true;
	task_wake(&run->task);
}

static void run_finished(struct task *task, enum step result)
{
	struct run *run = container_of(task, struct run, task);

	run->finished(run, result == STEP_DONE,
		run->barrier.lost      ? NULL
		: run->failure != NULL ? run->failure
				       : run->problem);
	run_free(run);
}

static void on_pause(struct ev_loop *ev, ev_timer *timer, int revents)
{
	struct run *run = container_of(timer, struct run, pause);

	task_wake(&run->task);
}

static void init_side(
	struct run *run, struct run_side *side, struct side *server, struct run_side *other)
{
	side->run = run;
	side->side = server;
	side->other = other;
	side->wire_name = side_wire_name(server, run->mailbox->name, run->mailbox->len);
	seqset_init(&side->vanished);
	seqset_init(&side->late);
	seqset_init(&side->absent);
	seqset_init(&side->gone);
	for (size_t i = 0; i < ARRAY_LEN(side->due); i++)
		seqset_init(&side->due[i]);
	seqset_init(&side->sought);
	seqset_init(&side->there);
	seqset_init(&side->expunged);
	seqset_init(&side->alive);
	seqset_init(&side->fresh);
	seqset_init(&side->asked);
	seqset_init(&side->refused);
}

/* Once: what comes up while it is under way is for an ordinary run. */
static bool take_repair(struct mailbox *mailbox)
{
	bool repair = mailbox->repair;

	mailbox->repair = false;
	return repair;
}

struct run *run_new(struct engine *engine, struct mailbox *mailbox,
	void (*finished)(struct run *run, bool ok, const char *reason))
{
	struct run *run = xcalloc(1, sizeof(*run));

	run->engine = engine;
	run->mailbox = mailbox;
	run->finished = finished;
	run->first = true;
	run->repair = take_repair(mailbox);
	task_init(&run->task, engine->loop, run_step, run_finished);
	barrier_init(&run->barrier, &run->task);
	ev_timer_init(&run->pause, on_pause, 0, 0);
	seqset_init(&run->removed);
	init_side(run, &run->local, &engine->local, &run->remote);
	init_side(run, &run->remote, &engine->remote, &run->local);
	task_wake(&run->task);
	return run;
}
