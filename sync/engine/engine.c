/* SPDX-License-Identifier: MIT */
#include "sync/engine/engine.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <utlist.h>

#include "sync/base/xalloc.h"
#include "sync/config/account.h"
#include "sync/engine/engine-private.h"
#include "sync/engine/engine-waits.h"
#include "sync/engine/quarantine.h"
#include "sync/engine/replay.h"
#include "sync/engine/run.h"
#include "sync/engine/unresolved.h"
#include "sync/imap/flags.h"

struct mailbox *engine_find_mailbox(struct engine *engine, const char *name, size_t len)
{
	struct mailbox *mailbox;

	HASH_FIND(hh, engine->mailboxes, name, len, mailbox);
	return mailbox;
}

void engine_queue_mailbox(struct engine *engine, struct mailbox *mailbox)
{
	if (mailbox->running)
		mailbox->again = true;
	if (mailbox->running || mailbox->queued || !mailbox->listed)
		return;
	mailbox->queued = true;
	mailbox->queued_since = time(NULL);
	if (mailbox->preferred)
		DL_PREPEND(engine->queue, mailbox);
	else
		DL_APPEND(engine->queue, mailbox);
	task_wake(&engine->task);
}

void engine_prefer_mailbox(struct engine *engine, struct mailbox *mailbox)
{
	mailbox->preferred = mailbox->queued || mailbox->running;
	if (mailbox->queued) {
		DL_DELETE(engine->queue, mailbox);
		DL_PREPEND(engine->queue, mailbox);
		task_wake(&engine->task);
	}
}

void engine_forget_mailbox(struct engine *engine, struct mailbox *mailbox)
{
	if (mailbox->queued)
		DL_DELETE(engine->queue, mailbox);
	HASH_DEL(engine->mailboxes, mailbox);
	mailbox_free(mailbox);
}

void engine_credit_released(struct engine *engine)
{
	struct run *run;

	DL_FOREACH (engine->runs, run)
		if (run->local.copier.waits_for_credit || run->remote.copier.waits_for_credit)
			task_wake(&run->task);
}

uint64_t engine_append_limit(const struct side *side)
{
	const char *limit = side->session != NULL
				    ? strstr(session_capabilities(side->session), "APPENDLIMIT=")
				    : NULL;
	uint64_t bytes = limit != NULL ? strtoull(limit + strlen("APPENDLIMIT="), NULL, 10) : 0;

	return bytes > 0 ? bytes : UINT64_MAX;
}

void engine_warn_dropped(
	struct engine *engine, bool remote, struct mailbox *mailbox, const struct flags *flags)
{
	struct side *side = remote ? &engine->remote : &engine->local;

	if (mailbox->dropped_said[remote])
		return;
	mailbox->dropped_said[remote] = true;
	log_warning(SIDE_CONTEXT(side, mailbox->display), "the server cannot store these flags: %s",
		flags_text(flags));
}

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
	meeting_leave(run);
	DL_DELETE(run->engine->runs, run);
	run->engine->runs_count--;
}

static void run_finished(struct run *run, bool ok, const char *reason)
{
	struct engine *engine = run->engine;
	struct mailbox *mailbox = run->mailbox;

	detach_run(run);
	mailbox->running = false;
	mailbox->check = !run->put_off;
	mailbox->preferred &= run->straddled;
	mailbox_note_problem(mailbox, ok || run->straddled ? NULL : reason);
	if (run->quarantine_changed && quarantine_refresh(engine) < 0)
		engine_database_failed(engine);
	if (run->put_off) {
		mailbox->again = false; /* the lists will tell that it is not up to date */
	} else if (run->straddled) {
		mailbox->repair |= run->repair;
		mailbox->again = ok = true; /* begun again, when the clients are done */
	} else if (ok) {
		mailbox->replayed = false;
		mailbox->rename_attempts = 0;
		mailbox->failed = false;
		mailbox->held_since = 0;
		mailbox_note_reached(mailbox);
		mailbox_note_in_step(mailbox);
	} else if (run->database_failed) {
		engine_note_failed(engine, mailbox);
		engine_database_failed(engine);
	} else {
		engine_note_failed(engine, mailbox);
		if (reason != NULL)
			log_error(RUN_CONTEXT(run), "%s", reason);
	}
	if (!run->barrier.lost)
		suspects_note_run(engine, mailbox, run->probed || (ok && !run->straddled));
	if (mailbox->again && ok && engine->phase == ENGINE_WORK)
		engine_queue_mailbox(engine, mailbox);
	mailbox->again = false;
	task_wake(&engine->task);
}

/* Until the deed goes through, which makes the lists be looked at again, or a person acts: it is
 * not waited for, since all else goes on. */
static void leave_refused(struct engine *engine, struct mailbox *mailbox)
{
	mailbox_note_problem(mailbox, journal_refusal(&engine->journal, mailbox));
	mailbox->again = false;
	engine_note_failed(engine, mailbox);
}

/* What may cost the connection waits until all else is done, and then has it for itself; or it is
 * given up for a while, unless a person asks for it. */
static bool is_left_out(struct engine *engine, struct mailbox *mailbox)
{
	bool asked = mailbox->repair || engine->asked.mailboxes != NULL;
	_cleanup_free_ char *words = NULL;

	if (suspects_hold(engine, mailbox, SUSPECT_MAILBOX)) {
		mailbox->again = false;
		return true;
	}
	if (asked || suspects_find_given_up(engine, mailbox, &words) <= 0)
		return false;
	mailbox_note_problem(mailbox, words);
	mailbox->again = false;
	engine_note_failed(engine, mailbox);
	return true;
}

static void start_runs(struct engine *engine)
{
	struct mailbox *mailbox, *next;

	DL_FOREACH_SAFE (engine->queue, mailbox, next) {
		enum journal_hold hold;
		struct run *run;

		/* Those that may start in spite of that are at the head. */
		if (engine->runs_count >= ENGINE_RUNS_MAX && !mailbox->preferred)
			break;
		hold = journal_hold(&engine->journal, mailbox);
		if (hold == HOLD_ANNOUNCED || hold == HOLD_DEED)
			continue;
		DL_DELETE(engine->queue, mailbox);
		mailbox->queued = false;
		if (hold == HOLD_REFUSED) {
			leave_refused(engine, mailbox);
			continue;
		}
		if (is_left_out(engine, mailbox))
			continue;
		mailbox->running = true;
		mailbox->held = false;
		run = run_new(engine, mailbox, run_finished);
		DL_APPEND(engine->runs, run);
		engine->runs_count++;
	}
}

static void compress(struct engine *engine)
{
	if (engine->local.compress)
		session_compress(engine->local.session);
	if (engine->remote.compress)
		session_compress(engine->remote.session);
}

/* Cannot go on: at all, or for now. */
static enum step give_up(struct engine *engine)
{
	engine->incomplete = true;
	if (engine->options->reconnect) {
		engine_reset(engine);
		return STEP_WAIT;
	}
	engine_over(engine, false);
	return STEP_AGAIN;
}

static void queue_named(struct engine *engine, const struct mailbox_name *name)
{
	struct mailbox *mailbox = engine_find_mailbox(engine, name->data, name->len);

	if (mailbox != NULL)
		engine_queue_mailbox(engine, mailbox);
}

static void replay_finished(struct engine *engine, struct deed *deed, enum replay_end end)
{
	engine->replay = NULL;
	task_wake(&engine->task);
	if (end != REPLAY_LOST)
		suspects_note_replay(engine, deed);
	switch (end) {
	case REPLAY_DONE:
		/* Of the lists that are about to be compared; or of their names. */
		engine->replayed |= engine->phase == ENGINE_REPLAY || !deed_is_about_messages(deed);
		if (deed_is_about_messages(deed) && deed->from.data != NULL &&
			deed->to.data != NULL) {
			queue_named(engine, &deed->from);
			queue_named(engine, &deed->to);
		}
		journal_settle(&engine->journal, deed);
		break;
	case REPLAY_REFUSED:
		engine->incomplete = deed->refused = true;
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

	DL_FOREACH (engine->runs, run)
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
		engine->replay = replay_new(engine, deed, replay_finished);
	return deed != NULL;
}

static enum step begin_tree(struct engine *engine)
{
	if (engine->asked.change != NULL)
		engine_change_begin(engine);
	else if (!engine_tree_begin(engine))
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
	engine_list(engine, &engine->local);
	engine_list(engine, &engine->remote);
	return STEP_WAIT;
}

/* What mail clients did comes first: the lists show its results on one side only. */
static enum step replaying(struct engine *engine)
{
	if (engine->asked.change == NULL &&
		(replay(engine) || journal_holds_tree(&engine->journal)))
		return STEP_WAIT;
	return engine->replayed ? relist(engine) : begin_tree(engine);
}

/* Both lists are there: what is to be known before anything follows from them.  1: not yet. */
static int prepare(struct engine *engine)
{
	int r;

	if (!engine->remote_listing.prepared) {
		if (!engine_prepare(engine))
			return -EIO;
		r = journal_load(&engine->journal);
		if (r >= 0)
			r = suspects_judge(engine);
		if (r < 0) {
			engine_database_failed(engine);
			return r;
		}
	}
	engine->remote_listing.prepared = true;
	if (engine_verifies(engine))
		return 0;
	r = objectid_ask(engine);
	if (r > 0)
		return r;
	if (r == 0)
		r = objectid_note_renamed(engine);
	if (r < 0)
		engine_database_failed(engine);
	if (r == 0) {
		absence_note_levels(engine);
		identity_note_renamed(engine);
	}
	return r;
}

static enum step connected(struct engine *engine)
{
	int r;

	if (!engine->local.ready || !engine->remote.ready || engine->barrier.waiting > 0)
		return STEP_WAIT;
	if (engine->barrier.refused) {
		log_error(ENGINE_CONTEXT(engine), "%s", engine->barrier.reason);
		engine->incomplete = true;
		/* Of a new look at the lists nothing hangs: the next one comes with the interval.
		 */
		return engine->first_done ? watch_check(engine) : give_up(engine);
	}
	if (engine_list_on(engine) || engine_doubt(engine))
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
	session_logout(engine->local.session);
	session_logout(engine->remote.session);
	engine->phase = ENGINE_LOGOUT;
	ev_timer_again(engine->loop->ev, &engine->poll_logout);
	return STEP_AGAIN;
}

static enum step change_done(struct engine *engine)
{
	if (engine_change_on(engine))
		return STEP_WAIT;
	return engine->order != NULL ? engine_order_changed(engine) : log_out(engine);
}

static enum step tree_done(struct engine *engine)
{
	if (engine->barrier.waiting > 0)
		return STEP_WAIT;
	if (engine->asked.change != NULL)
		return change_done(engine);
	if (!engine_tree_end(engine)) {
		engine_database_failed(engine);
		return STEP_WAIT;
	}
	if (!engine->database_failed) /* a run may yet find it so again */
		engine_failure_over(engine);
	engine->phase = ENGINE_WORK;
	if (engine->queue != NULL)
		compress(engine);
	return STEP_AGAIN;
}

/* Lists of flags are only referred to by runs. */
static void renew_flags(struct engine *engine)
{
	if (!flag_pool_is_large(engine->flags))
		return;
	flag_pool_free(engine->flags);
	engine->flags = flag_pool_new();
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
	if (engine->runs != NULL || replays)
		return STEP_WAIT;
	if (engine->replayed || may_relist(engine) || journal_next(&engine->journal, true) != NULL)
		return relist(engine);
	if (engine->queue != NULL)
		return STEP_WAIT; /* for the clients */
	if (suspects_try(engine))
		return STEP_AGAIN;
	renew_flags(engine);
	if (engine->options->stay)
		return watch_check(engine);
	quarantine_sum_up(engine);
	unresolved_say(engine);
	return log_out(engine);
}

static enum step rest(struct engine *engine)
{
	if (may_list(engine) && engine_order_next(engine))
		return relist(engine);
	if (may_relist(engine))
		return relist(engine);
	if (engine->queue == NULL && journal_next(&engine->journal, false) == NULL)
		return STEP_WAIT;
	watch_pause(engine);
	engine->phase = ENGINE_WORK;
	return STEP_AGAIN;
}

/* LOGOUT is sent and not waited for. */
static enum step logging_out(struct engine *engine)
{
	if (!client_is_flushed(side_client(&engine->local)) ||
		!client_is_flushed(side_client(&engine->remote)))
		return STEP_WAIT;
	side_say_traffic(&engine->local);
	side_say_traffic(&engine->remote);
	engine_over(engine, !engine->incomplete);
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
		return tree_done(engine);
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
	struct engine *engine = container_of(timer, struct engine, poll_logout);

	/* A peer that does not take the LOGOUT does not hold us up. */
	if (++engine->logout_polls > 100)
		engine_over(engine, !engine->incomplete);
	task_wake(&engine->task);
}

void engine_connect(struct engine *engine)
{
	engine->phase = ENGINE_CONNECT;
	engine->lost_as = SESSION_FAILURE_NETWORK; /* unless it is said to be something else */
	engine->relist = engine->replayed = false;
	journal_retry(&engine->journal);
	suspects_connect(engine);
	barrier_reset(&engine->barrier);
	side_connect(&engine->local);
	side_connect(&engine->remote);
}

void engine_side_ready(struct engine *engine, struct side *side)
{
	engine_list(engine, side);
	task_wake(&engine->task);
}

/* After the loss that is being dealt with. */
static bool reconnects(const struct engine *engine)
{
	return engine->options->reconnect || engine->retries;
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
void engine_side_lost(
	struct engine *engine, struct side *side, enum session_failure failure, const char *reason)
{
	/* The other one can be lost before fall() has had its turn. */
	if (engine->phase == ENGINE_DOWN || engine->phase == ENGINE_OVER)
		return;
	if (engine->phase == ENGINE_LOGOUT) {
		engine_over(engine, !engine->incomplete);
		return;
	}
	if (engine->phase == ENGINE_CONNECT || network_is_in_doubt(engine) ||
		network_was_hasty(engine, side, failure))
		suspects_excuse(engine); /* nothing could be reached after the loss, say */
	suspects_note_loss(engine, reason);
	engine->retries = !engine->options->reconnect && suspects_are_worth_a_retry(engine);
	say_lost(engine, side, reason);
	engine_outage_note(engine, side, reason);
	engine->incomplete |= !engine->retries;
	engine->incomplete_at_loss = engine->incomplete;
	engine->lost_as = failure;
	network_note_lost(side, failure);
	engine_reset(engine);
}

void engine_reset(struct engine *engine)
{
	network_stop_waiting(engine);
	watch_stop(engine);
	quarantine_stop(engine);
	engine->phase = ENGINE_DOWN;
	task_wake(&engine->fall);
}

/* In a task of its own: a session is not freed from within its own event. */
static enum step fall(struct task *task)
{
	struct engine *engine = container_of(task, struct engine, fall);
	struct mailbox *mailbox, *next;
	struct run *run;

	side_disconnect(&engine->local);
	side_disconnect(&engine->remote);
	DL_FOREACH (engine->runs, run)
		run_connection_lost(run);
	if (engine->replay != NULL)
		replay_connection_lost(engine->replay);
	if (engine->runs != NULL || engine->replay != NULL)
		return STEP_AGAIN; /* until they have ended */
	DL_FOREACH_SAFE (engine->queue, mailbox, next) {
		DL_DELETE(engine->queue, mailbox);
		mailbox->queued = false;
	}
	engine_forget_unwritten(engine);
	engine_orders_fail(engine);
	if (!reconnects(engine)) {
		engine_over(engine, false);
		return STEP_WAIT;
	}
	/* What was cut off is looked at once more. */
	if (!engine->options->reconnect)
		engine->incomplete = engine->incomplete_at_loss;
	engine->retries = false;
	network_reconnect_later(engine);
	return STEP_WAIT;
}

void engine_side_notified(struct engine *engine, struct side *side, struct response *response)
{
	watch_notified(engine, side, response);
}

struct engine *engine_new(struct loop *loop, struct worker *worker,
	const struct engine_options *options, struct engine_owner *owner)
{
	struct engine *engine = xcalloc(1, sizeof(*engine));
	const struct account *account = options->account;

	engine->loop = loop;
	engine->worker = worker;
	engine->options = options;
	engine->name = account->name;
	engine->database_name = account->database_name;
	engine->owner = owner;
	engine->db = options->db;
	engine->flags = flag_pool_new();
	engine->brake = account->max_deletions;
	engine->adopt = account->adopt;
	task_init(&engine->task, loop, engine_step, engine_finished);
	task_init(&engine->fall, loop, fall, NULL);
	barrier_init(&engine->barrier, &engine->task);
	ev_timer_init(&engine->poll_logout, on_poll_logout, 0.02, 0.02);
	side_init(&engine->local, engine, false, options->local, &account->local,
		options->local_folders);
	side_init(&engine->remote, engine, true, options->remote, &account->remote, NULL);
	watch_init(engine);
	quarantine_init(engine);
	network_init(engine);
	journal_init(&engine->journal, engine);
	suspects_init(&engine->suspects, engine);
	meeting_init(&engine->meeting, engine);
	engine_orders_init(engine);
	engine_waits_watch(engine);
	engine_connect(engine);
	return engine;
}

/* Tasks of runs that are still there end at once: their commands are cancelled by now. */
static void end_runs(struct engine *engine)
{
	struct run *run, *next;

	DL_FOREACH_SAFE (engine->runs, run, next) {
		detach_run(run);
		run_abandon(run);
	}
	engine->replay = replay_abandon(engine->replay);
}

struct engine *engine_free(struct engine *engine)
{
	struct mailbox *mailbox, *next;

	if (engine == NULL)
		return NULL;
	engine->phase = ENGINE_OVER;
	engine_waits_unwatch(engine);
	watch_done(engine);
	quarantine_stop(engine);
	room_stop(&engine->local.room);
	room_stop(&engine->remote.room);
	network_done(engine);
	engine_orders_drop(engine);
	engine_outage_clear(engine);
	ev_timer_stop(engine->loop->ev, &engine->poll_logout);
	side_disconnect(&engine->local);
	side_disconnect(&engine->remote);
	end_runs(engine);
	task_cancel(&engine->task);
	task_cancel(&engine->fall);
	HASH_ITER (hh, engine->mailboxes, mailbox, next) {
		HASH_DEL(engine->mailboxes, mailbox);
		mailbox_free(mailbox);
	}
	journal_done(&engine->journal);
	suspects_done(&engine->suspects);
	meeting_done(&engine->meeting);
	listing_clear(&engine->local_listing);
	listing_clear(&engine->remote_listing);
	barrier_done(&engine->barrier);
	flag_pool_free(engine->flags);
	free(engine->tree);
	free(engine->tree_failed);
	free(engine->unresolved_said);
	engine_change_done(engine);
	free(engine);
	return NULL;
}

struct hint_receiver *engine_hints(struct engine *engine)
{
	return &engine->hints;
}

struct action_receiver *engine_actions(struct engine *engine)
{
	return &engine->journal.receiver;
}

unsigned engine_actions_waiting(const struct engine *engine)
{
	return engine->journal.deeds_count;
}
