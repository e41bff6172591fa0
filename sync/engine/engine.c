/* SPDX-License-Identifier: MIT */
#include "sync/engine/engine.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <utlist.h>

#include "sync/base/xalloc.h"
#include "sync/carry/moves-wait.h"
#include "sync/core/quarantine.h"
#include "sync/engine/engine-private.h"
#include "sync/engine/unresolved.h"
#include "sync/engine/waits.h"
#include "sync/imap/flags.h"
#include "sync/replay/replay.h"

void engine_over(struct engine *engine, bool complete)
{
	if (engine->phase == ENGINE_OVER)
		return;
	engine->phase = ENGINE_OVER;
	engine->complete = complete;
	task_wake(&engine->task);
}

/* Before it is freed, whoever frees it: other runs find it, and are woken, through the list. */
static void detach_run(struct run *run)
{
	moves_wait_leave(run);
	DL_DELETE(run->core->runs->list, run);
	run->core->runs->count--;
}

static void note_done(struct mailbox *mailbox)
{
	mailbox->runs.replayed = false;
	mailbox->renaming.attempts = 0;
	mailbox->result.failed = false;
	mailbox->result.held_since = 0;
	mailbox_note_reached(mailbox);
	mailbox_note_in_step(mailbox);
}

/* What became of the mailbox; true if it may be run again at once, should something have changed. */
static bool note_end(struct engine *engine, const struct run *run, enum run_end end)
{
	struct mailbox *mailbox = run->mailbox;

	switch (end) {
	case RUN_DONE:
		note_done(mailbox);
		return true;
	case RUN_AFTER_LISTS:
		mailbox->runs.again = false; /* the lists will tell that it is not up to date */
		return false;
	case RUN_AFTER_CLIENTS:
	case RUN_PROBED:
		mailbox->wishes.repair |= run->repair;
		mailbox->runs.again = true;
		return true;
	case RUN_BROKEN:
		engine_note_failed(engine, mailbox);
		engine_database_failed(engine);
		return false;
	case RUN_FAILED:
	case RUN_LOST:
		engine_note_failed(engine, mailbox);
		return false;
	}
	abort();
}

static bool begins_anew(enum run_end end)
{
	return end == RUN_AFTER_CLIENTS || end == RUN_PROBED;
}

static void run_finished(struct run *run, enum run_end end, const char *reason)
{
	struct engine *engine = engine_of(run->core);
	struct mailbox *mailbox = run->mailbox;
	bool may_go_on;

	detach_run(run);
	mailbox->runs.turn = TURN_NONE;
	mailbox->runs.check = end != RUN_AFTER_LISTS;
	mailbox->runs.preferred &= begins_anew(end);
	mailbox_note_problem(mailbox, end == RUN_FAILED || end == RUN_BROKEN ? reason : NULL);
	if (run->quarantine_changed && quarantine_refresh(&engine->core) < 0)
		engine_database_failed(engine);
	may_go_on = note_end(engine, run, end);
	if (end == RUN_FAILED && reason != NULL)
		log_error(RUN_CONTEXT(run), "%s", reason);
	if (!run->barrier.lost)
		suspects_note_run(&engine->core, mailbox,
			end == RUN_DONE || end == RUN_AFTER_LISTS || end == RUN_PROBED);
	if (mailbox->runs.again && may_go_on && engine->phase == ENGINE_WORK)
		core_queue_mailbox(&engine->core, mailbox);
	mailbox->runs.again = false;
	task_wake(&engine->task);
}

/* Until the deed goes through, which makes the lists be looked at again, or a person acts: it is
 * not waited for, since all else goes on. */
static void leave_refused(struct engine *engine, struct mailbox *mailbox)
{
	mailbox_note_problem(mailbox, journal_refusal(&engine->journal, mailbox));
	mailbox->runs.again = false;
	engine_note_failed(engine, mailbox);
}

/* What may cost the connection waits until all else is done, and then has it for itself; or it is
 * given up for a while, unless a person asks for it. */
static bool is_left_out(struct engine *engine, struct mailbox *mailbox)
{
	bool asked = mailbox->wishes.repair || engine->core.asked.mailboxes != NULL;
	_cleanup_free_ char *words = NULL;

	if (suspects_hold(&engine->core, mailbox, SUSPECT_MAILBOX)) {
		mailbox->runs.again = false;
		return true;
	}
	if (asked || suspects_find_given_up(&engine->core, mailbox, &words) <= 0)
		return false;
	mailbox_note_problem(mailbox, words);
	mailbox->runs.again = false;
	engine_note_failed(engine, mailbox);
	return true;
}

static void start_runs(struct engine *engine)
{
	struct mailbox *mailbox, *next;

	DL_FOREACH_SAFE (engine->core.queue, mailbox, next) {
		enum journal_hold hold;
		struct run *run;

		/* Those that may start in spite of that are at the head. */
		if (engine->runs.count >= ENGINE_RUNS_MAX && !mailbox->runs.preferred)
			break;
		hold = journal_hold(&engine->journal, mailbox);
		if (hold == HOLD_ANNOUNCED || hold == HOLD_DEED)
			continue;
		DL_DELETE(engine->core.queue, mailbox);
		mailbox->runs.turn = TURN_NONE;
		if (hold == HOLD_REFUSED) {
			leave_refused(engine, mailbox);
			continue;
		}
		if (is_left_out(engine, mailbox))
			continue;
		mailbox->runs.turn = TURN_RUNNING;
		mailbox->result.held = false;
		run = run_new(&engine->core, mailbox, run_finished);
		DL_APPEND(engine->runs.list, run);
		engine->runs.count++;
	}
}

static void compress(struct engine *engine)
{
	if (engine->core.local.compress)
		session_compress(engine->core.local.session);
	if (engine->core.remote.compress)
		session_compress(engine->core.remote.session);
}

/* Cannot go on: at all, or for now. */
static enum step give_up(struct engine *engine)
{
	engine->core.incomplete = true;
	if (engine->core.options->reconnect) {
		engine_reset(engine);
		return STEP_WAIT;
	}
	engine_over(engine, false);
	return STEP_AGAIN;
}

static void queue_named(struct engine *engine, const struct mailbox_name *name)
{
	struct mailbox *mailbox = core_find_mailbox(&engine->core, name->data, name->len);

	if (mailbox != NULL)
		core_queue_mailbox(&engine->core, mailbox);
}

static void replay_finished(struct core *core, struct deed *deed, enum replay_end end)
{
	struct engine *engine = engine_of(core);

	engine->replay = NULL;
	task_wake(&engine->task);
	if (end != REPLAY_LOST)
		suspects_note_replay(&engine->core, deed);
	switch (end) {
	case REPLAY_DONE:
		/* Of the lists that are about to be compared; or of their names. */
		engine->replayed |= engine->phase == ENGINE_REPLAY || !deed_is_about_messages(deed);
		if (deed_is_about_messages(deed) && deed->from.data != NULL &&
			deed->to.data != NULL) {
			queue_named(engine, &deed->from);
			queue_named(engine, &deed->to);
		}
		journal_forget(&engine->journal, deed);
		break;
	case REPLAY_REFUSED:
		engine->core.incomplete = deed->refused = true;
		break;
	case REPLAY_LOST:
		break;
	case REPLAY_BROKEN:
		engine_database_failed(engine);
		break;
	}
}

/* A run that is in the middle of its mailboxes is waited for; it goes no further than its pass. */
bool engine_deed_is_in_use(const struct engine *engine, const struct deed *deed)
{
	const struct run *run;

	DL_FOREACH (engine->runs.list, run)
		if (journal_deed_concerns(deed, run->mailbox->name, run->mailbox->len))
			return true;
	return false;
}

/* True while something is, or is about to be, replayed. */
static bool replay(struct engine *engine)
{
	struct deed *deed;

	if (engine->replay != NULL)
		return true;
	deed = journal_next(&engine->journal, engine->phase == ENGINE_REPLAY);
	if (deed != NULL && !engine_deed_is_in_use(engine, deed))
		engine->replay = replay_new(&engine->core, deed, replay_finished);
	return deed != NULL;
}

static enum step begin_tree(struct engine *engine)
{
	enum tree_begun begun = TREE_BEGUN;

	if (job_is_edit(&engine->core.asked))
		edit_begin(&engine->tree);
	else
		begun = tree_begin(&engine->tree);
	if (begun == TREE_DOUBTS)
		network_connect_anew(engine, "several mailboxes are not listed any more");
	if (begun == TREE_ASKS)
		engine->phase = ENGINE_CONNECT; /* as for the lists themselves */
	if (begun != TREE_BEGUN)
		return STEP_WAIT;
	engine->phase = ENGINE_TREE;
	return engine->barrier.waiting > 0 ? STEP_WAIT : STEP_AGAIN;
}

static enum step relist(struct engine *engine)
{
	watch_pause(engine);
	engine->relist = engine->replayed = false;
	engine->phase = ENGINE_CONNECT;
	barrier_reset(&engine->barrier);
	tree_list(&engine->tree, &engine->core.local);
	tree_list(&engine->tree, &engine->core.remote);
	return STEP_WAIT;
}

/* What mail clients did comes first: the lists show its results on one side only. */
static enum step replaying(struct engine *engine)
{
	if (!job_is_edit(&engine->core.asked) &&
		(replay(engine) || journal_holds_tree(&engine->journal)))
		return STEP_WAIT;
	return engine->replayed ? relist(engine) : begin_tree(engine);
}

/* Both lists are there: what is to be known before anything follows from them.  1: not yet. */
static int prepare(struct engine *engine)
{
	int r;

	if (!engine->tree.remote.prepared) {
		if (!tree_prepare(&engine->tree))
			return -EIO;
		r = journal_load(&engine->journal);
		if (r >= 0)
			r = suspects_judge(&engine->core);
		if (r < 0) {
			engine_database_failed(engine);
			return r;
		}
	}
	engine->tree.remote.prepared = true;
	if (core_verifies(&engine->core))
		return 0;
	r = objectid_ask(&engine->tree);
	if (r > 0)
		return r;
	if (r == 0)
		r = objectid_note_renamed(&engine->tree);
	if (r < 0)
		engine_database_failed(engine);
	if (r == 0) {
		absence_note_levels(&engine->tree);
		identity_note_renamed(&engine->tree);
	}
	return r;
}

static enum step connected(struct engine *engine)
{
	int r;

	if (!engine->core.local.ready || !engine->core.remote.ready || engine->barrier.waiting > 0)
		return STEP_WAIT;
	if (engine->barrier.refused) {
		log_error(CORE_CONTEXT(&engine->core), "%s", engine->barrier.reason);
		engine->core.incomplete = true;
		/* Of a new look at the lists nothing hangs: the next one comes with the interval.
		 */
		return engine->core.first_done ? watch_check(engine) : give_up(engine);
	}
	if (tree_list_on(&engine->tree) || tree_doubt(&engine->tree))
		return STEP_WAIT;
	r = prepare(engine);
	if (r > 0)
		return STEP_WAIT;
	if (r < 0) {
		/* Who has failed has said why, and what follows: nothing else would wake us. */
		assert(engine->phase == ENGINE_DOWN || engine->phase == ENGINE_OVER);
		return STEP_WAIT;
	}
	engine->phase = ENGINE_REPLAY;
	return STEP_AGAIN;
}

static enum step log_out(struct engine *engine)
{
	session_logout(engine->core.local.session);
	session_logout(engine->core.remote.session);
	engine->phase = ENGINE_LOGOUT;
	ev_timer_again(engine->core.loop->ev, &engine->logout.poll);
	return STEP_AGAIN;
}

static enum step change_done(struct engine *engine)
{
	if (edit_on(&engine->tree))
		return STEP_WAIT;
	return engine->orders.current != NULL ? engine_order_changed(engine) : log_out(engine);
}

static enum step tree_answered(struct engine *engine)
{
	if (engine->barrier.waiting > 0)
		return STEP_WAIT;
	if (job_is_edit(&engine->core.asked))
		return change_done(engine);
	if (!tree_end(&engine->tree)) {
		engine_database_failed(engine);
		return STEP_WAIT;
	}
	if (engine->tree.created)
		watch_verify_later(engine);
	if (!engine->database_failed) /* a run may yet find it so again */
		engine_failure_over(engine);
	engine->phase = ENGINE_WORK;
	if (engine->core.queue != NULL)
		compress(engine);
	return STEP_AGAIN;
}

/* Lists of flags are only referred to by runs. */
static void renew_flags(struct engine *engine)
{
	if (!flag_pool_is_large(engine->core.flags))
		return;
	flag_pool_free(engine->core.flags);
	engine->core.flags = flag_pool_new();
}

/* A list that meets a client's DELETE makes Dovecot 2.3 fail half-way: it says that the mailbox was
 * deleted under it, and goes on listing it. */
static bool may_list(const struct engine *engine)
{
	return !journal_holds_tree(&engine->journal);
}

/* A new look at the lists is due. */
static bool may_relist(const struct engine *engine)
{
	return engine->relist && may_list(engine);
}

static enum step work(struct engine *engine)
{
	bool replays = replay(engine);

	start_runs(engine);
	if (engine->runs.list != NULL || replays)
		return STEP_WAIT;
	if (engine->replayed || may_relist(engine) || journal_next(&engine->journal, true) != NULL)
		return relist(engine);
	if (engine->core.queue != NULL)
		return STEP_WAIT; /* for the clients */
	if (suspects_try(&engine->core))
		return STEP_AGAIN;
	renew_flags(engine);
	if (engine->core.options->stay)
		return watch_check(engine);
	quarantine_sum_up(&engine->core);
	unresolved_say(engine);
	return log_out(engine);
}

static enum step rest(struct engine *engine)
{
	if (may_list(engine) && engine_order_next(engine))
		return relist(engine);
	if (may_relist(engine))
		return relist(engine);
	if (engine->core.queue == NULL && journal_next(&engine->journal, false) == NULL)
		return STEP_WAIT;
	watch_pause(engine);
	engine->phase = ENGINE_WORK;
	return STEP_AGAIN;
}

/* LOGOUT is sent and not waited for. */
static enum step logging_out(struct engine *engine)
{
	if (!client_is_flushed(side_client(&engine->core.local)) ||
		!client_is_flushed(side_client(&engine->core.remote)))
		return STEP_WAIT;
	side_say_traffic(&engine->core.local);
	side_say_traffic(&engine->core.remote);
	engine_over(engine, !engine->core.incomplete);
	return STEP_AGAIN;
}

static enum step engine_step(struct task *task)
{
	struct engine *engine = container_of(task, struct engine, task);

	switch (engine->phase) {
	case ENGINE_CONNECT:
		return connected(engine);
	case ENGINE_REPLAY:
		return replaying(engine);
	case ENGINE_TREE:
		return tree_answered(engine);
	case ENGINE_WORK:
		return work(engine);
	case ENGINE_CHECK:
		return watch_checked(engine);
	case ENGINE_REST:
		return rest(engine);
	case ENGINE_LOGOUT:
		return logging_out(engine);
	case ENGINE_DOWN:
		return STEP_WAIT;
	case ENGINE_OVER:
		return STEP_DONE;
	}
	abort();
}

static void engine_finished(struct task *task, enum step result)
{
	struct engine *engine = container_of(task, struct engine, task);

	engine_orders_fail(engine);
	engine->owner->finished(engine->owner, engine->complete);
}

static void on_poll_logout(struct ev_loop *ev, ev_timer *timer, int revents)
{
	struct engine *engine = container_of(timer, struct engine, logout.poll);

	/* A peer that does not take the LOGOUT does not hold us up. */
	if (++engine->logout.polls > 100)
		engine_over(engine, !engine->core.incomplete);
	task_wake(&engine->task);
}

void engine_connect(struct engine *engine)
{
	engine->phase = ENGINE_CONNECT;
	engine->loss.how = SESSION_FAILURE_NETWORK; /* unless it is said to be something else */
	engine->relist = engine->replayed = engine->network.synced = false;
	journal_retry(&engine->journal);
	suspects_connect(&engine->core);
	barrier_reset(&engine->barrier);
	side_connect(&engine->core.local);
	side_connect(&engine->core.remote);
}

static void on_side_ready(struct core *core, struct side *side)
{
	struct engine *engine = engine_of(core);

	tree_list(&engine->tree, side);
	task_wake(&engine->task);
}

/* After the loss that is being dealt with. */
static bool reconnects(const struct engine *engine)
{
	return engine->core.options->reconnect || engine->loss.retries;
}

/* The same reason again and again is said once. */
static void say_lost(struct engine *engine, struct side *side, const char *reason)
{
	const char *before = engine->outage.reason;

	if (before != NULL && strcmp(before, reason) == 0) {
		log_debug(SIDE_CONTEXT(side, NULL), "%s", reason);
		return;
	}
	log_error(SIDE_CONTEXT(side, NULL), "%s%s", reason,
		reconnects(engine) ? " (trying again)" : "");
}

/* Both connections are given up with either: the lists are compared anew on the next ones, and
 * local connections are cheap. */
static void on_side_lost(
	struct core *core, struct side *side, enum session_failure failure, const char *reason)
{
	struct engine *engine = engine_of(core);

	/* The other one can be lost before fall() has had its turn. */
	if (engine->phase == ENGINE_DOWN || engine->phase == ENGINE_OVER)
		return;
	if (engine->phase == ENGINE_LOGOUT) {
		engine_over(engine, !engine->core.incomplete);
		return;
	}
	if (network_is_end_of_session(engine, side, failure)) {
		network_session_over(engine, side, reason);
		return;
	}
	if (engine->phase == ENGINE_CONNECT || network_is_in_doubt(engine) ||
		network_was_hasty(engine, side, failure))
		suspects_excuse(&engine->core); /* nothing could be reached after the loss, say */
	suspects_note_loss(&engine->core, reason);
	engine->loss.retries =
		!engine->core.options->reconnect && suspects_are_worth_a_retry(&engine->core);
	say_lost(engine, side, reason);
	engine_outage_note(engine, side, reason);
	engine->core.incomplete |= !engine->loss.retries;
	engine->loss.incomplete = engine->core.incomplete;
	engine->loss.how = failure;
	network_note_lost(side, failure);
	engine_reset(engine);
}

void engine_reset(struct engine *engine)
{
	network_stop_waiting(engine);
	watch_stop(engine);
	quarantine_stop(&engine->core);
	engine->phase = ENGINE_DOWN;
	task_wake(&engine->fall);
}

/* In a task of its own: a session is not freed from within its own event. */
static enum step fall(struct task *task)
{
	struct engine *engine = container_of(task, struct engine, fall);
	struct mailbox *mailbox, *next;
	struct run *run;

	side_disconnect(&engine->core.local);
	side_disconnect(&engine->core.remote);
	DL_FOREACH (engine->runs.list, run)
		run_connection_lost(run);
	if (engine->replay != NULL)
		replay_connection_lost(engine->replay);
	if (engine->runs.list != NULL || engine->replay != NULL)
		return STEP_AGAIN; /* until they have ended */
	DL_FOREACH_SAFE (engine->core.queue, mailbox, next) {
		DL_DELETE(engine->core.queue, mailbox);
		mailbox->runs.turn = TURN_NONE;
	}
	engine_forget_unwritten(engine);
	engine_orders_fail(engine);
	if (!reconnects(engine)) {
		engine_over(engine, false);
		return STEP_WAIT;
	}
	/* What was cut off is looked at once more. */
	if (!engine->core.options->reconnect)
		engine->core.incomplete = engine->loss.incomplete;
	engine->loss.retries = false;
	network_reconnect_later(engine);
	return STEP_WAIT;
}

static void on_side_told(struct core *core, struct side *side, struct response *response)
{
	watch_notified(engine_of(core), side, response);
}

static void on_listed(struct core *core, struct side *side, const struct response_list *line)
{
	watch_told(side, line);
}

/* While all is given up, what is lost proves nothing. */
static void on_accused(struct core *core, const struct suspect *suspect)
{
	struct engine *engine = engine_of(core);

	if (engine->phase != ENGINE_DOWN && engine->phase != ENGINE_OVER)
		suspects_accuse(core, suspect);
}

static void on_failed(struct core *core, const char *reason)
{
	if (reason != NULL)
		engine_fail(engine_of(core), reason);
	else
		engine_database_failed(engine_of(core));
}

static void on_look_in(struct core *core, double seconds)
{
	watch_look_in(engine_of(core), seconds);
}

static bool on_looks_soon(const struct core *core)
{
	return watch_looks_soon(engine_of(core));
}

static void on_has_room(struct core *core)
{
	journal_retry(core->journal);
	watch_look_in(engine_of(core), 0);
}

static const struct core_owner core_owner = {
	.side_ready = on_side_ready,
	.side_lost = on_side_lost,
	.side_told = on_side_told,
	.listed = on_listed,
	.accused = on_accused,
	.failed = on_failed,
	.look_in = on_look_in,
	.looks_soon = on_looks_soon,
	.has_room = on_has_room,
};

struct engine *engine_new(struct loop *loop, struct worker *worker,
	const struct core_options *options, struct engine_owner *owner)
{
	struct engine *engine = xcalloc(1, sizeof(*engine));

	engine->owner = owner;
	task_init(&engine->task, loop, engine_step, engine_finished);
	task_init(&engine->fall, loop, fall, NULL);
	barrier_init(&engine->barrier, &engine->task);
	ev_timer_init(&engine->logout.poll, on_poll_logout, 0.02, 0.02);
	core_init(&engine->core, loop, worker, &engine->task, options, &core_owner);
	journal_init(&engine->journal, &engine->core);
	suspects_init(&engine->suspects, &engine->core);
	tree_init(&engine->tree, &engine->core, &engine->barrier);
	runs_init(&engine->runs, &engine->core);
	watch_init(engine);
	network_init(engine);
	engine_orders_init(engine);
	engine_waits_watch(engine);
	engine_connect(engine);
	return engine;
}

/* Tasks of runs that are still there end at once: their commands are cancelled by now. */
static void end_runs(struct engine *engine)
{
	struct run *run, *next;

	DL_FOREACH_SAFE (engine->runs.list, run, next) {
		detach_run(run);
		run_abandon(run);
	}
	engine->replay = replay_abandon(engine->replay);
}

struct engine *engine_free(struct engine *engine)
{
	if (engine == NULL)
		return NULL;
	engine->phase = ENGINE_OVER;
	engine_waits_unwatch(engine);
	watch_done(engine);
	network_done(engine);
	engine_orders_drop(engine);
	engine_outage_clear(engine);
	ev_timer_stop(engine->core.loop->ev, &engine->logout.poll);
	side_disconnect(&engine->core.local);
	side_disconnect(&engine->core.remote);
	end_runs(engine);
	task_cancel(&engine->task);
	task_cancel(&engine->fall);
	runs_done(&engine->runs);
	tree_done(&engine->tree);
	suspects_done(&engine->suspects);
	journal_done(&engine->journal);
	core_done(&engine->core);
	barrier_done(&engine->barrier);
	free(engine->unresolved_said);
	free(engine);
	return NULL;
}

struct hint_receiver *engine_hints(struct engine *engine)
{
	return &engine->watch.hints;
}

struct action_receiver *engine_actions(struct engine *engine)
{
	return &engine->journal.receiver;
}

unsigned engine_actions_waiting(const struct engine *engine)
{
	return engine->journal.deeds_count;
}
