/* SPDX-License-Identifier: MIT */
#include "sync/engine/waits.h"

#include <utlist.h>

#include "sync/base/xalloc.h"
#include "sync/engine/engine-private.h"
#include "sync/engine/order.h"
#include "sync/replay/replay.h"
#include "sync/pass/pass.h"

/* A timer that is due this soon may be overdue: what hangs on it has changed already. */
static const double MOMENT_SECONDS = 0.01;

/* Who looks, and who is told. */
struct look {
	struct engine *engine;
	void (*visit)(const struct wait *wait, void *context);
	void *context;
};

static void tell(struct look *look, enum waiter waiter, const char *name, enum wait_reason reason,
	time_t since)
{
	const struct wait wait = {.waiter = waiter, .name = name, .reason = reason, .since = since};

	look->visit(&wait, look->context);
}

/* The barrier's commands are all in the queue of a connection, where each will complete. */
static enum wait_reason of_barrier(const struct barrier *barrier)
{
	return barrier->waiting > 0 && barrier->found == barrier->waiting ? WAIT_ANSWER
									  : WAIT_FOR_NOTHING;
}

/* --- Connections --- */

/* What it sends comes from the other server, and goes on coming. */
static bool is_arriving(struct side *other, const struct spool *body)
{
	return other->session != NULL && client_receives(side_client(other), body);
}

static enum wait_reason of_server(struct side *side, struct side *other)
{
	if (!session_is_attended(side->session))
		return WAIT_FOR_NOTHING;
	switch (client_waits_for(side_client(side))) {
	case CLIENT_STUCK:
		return WAIT_FOR_NOTHING;
	case CLIENT_WOKEN:
		return WAIT_WOKEN;
	case CLIENT_RESTS:
		return WAIT_AT_REST;
	case CLIENT_CONNECTS:
		return WAIT_CONNECTION;
	case CLIENT_BODY:
		return is_arriving(other, client_awaited_body(side_client(side)))
			       ? WAIT_ANSWER
			       : WAIT_FOR_NOTHING;
	case CLIENT_ANSWER:
	case CLIENT_ROOM:
		break;
	}
	return WAIT_ANSWER;
}

static void visit_servers(struct look *look)
{
	struct side *local = &look->engine->core.local, *remote = &look->engine->core.remote;

	if (local->session != NULL)
		tell(look, WAITER_SERVER, NULL, of_server(local, remote), 0);
	if (remote->session != NULL)
		tell(look, WAITER_SERVER, NULL, of_server(remote, local), 0);
}

/* --- Runs --- */

/* At work, and not waiting for another run. */
static bool is_at_work(const struct run *run)
{
	return run->task.queued || of_barrier(&run->barrier) == WAIT_ANSWER ||
	       ev_is_active(&run->settling.pause);
}

static bool takes_from(const struct taken_list *taken, const struct run *run)
{
	for (size_t i = 0; i < taken->count; i++)
		if (taken->list[i].from == run)
			return true;
	return false;
}

/* Another run, for which this one waits, is at work. */
static bool is_waited_for(const struct run *run, const struct run *other)
{
	if (other == run || !is_at_work(other))
		return false;
	if (run->moves.state == MOVE_MOVED)
		return takes_from(&other->local.moves.taken_list, run) ||
		       takes_from(&other->remote.moves.taken_list, run);
	return other->moves.state == MOVE_ASKING;
}

static enum wait_reason of_moves(const struct run *run)
{
	const struct moves_wait *wait = &engine_of(run->core)->runs.moves_wait;
	const struct run *other;

	/* Until the pairs are asked for, each look is followed by another one. */
	if (run->moves.state == MOVE_WAITING && ev_is_active(&wait->patience))
		return WAIT_MOVES;
	DL_FOREACH (engine_of(run->core)->runs.list, other)
		if (is_waited_for(run, other))
			return WAIT_MOVES;
	return WAIT_FOR_NOTHING;
}

static bool holds_credit(const struct run *run, bool remote)
{
	const struct copier *copier = remote ? &run->remote.copier : &run->local.copier;

	return is_at_work(run) && (copier->fetches > 0 || copier->appends > 0);
}

/* Other runs hold it, and will give it back. */
static bool waits_for_credit(const struct run *run, bool remote)
{
	const struct copier *copier = remote ? &run->remote.copier : &run->local.copier;
	const struct run *other;

	if (!copier->waits_for_credit || copier->arrived != NULL)
		return false;
	DL_FOREACH (engine_of(run->core)->runs.list, other)
		if (other != run && holds_credit(other, remote))
			return true;
	return false;
}

static enum wait_reason of_run(const struct run *run)
{
	if (run->task.queued)
		return WAIT_WOKEN;
	if (run->barrier.waiting > 0)
		return of_barrier(&run->barrier);
	if (ev_is_active(&run->settling.pause))
		return WAIT_TIMER;
	if (run->moves.waits_for_counts &&
		ev_is_active(&engine_of(run->core)->runs.moves_wait.patience))
		return WAIT_MOVES;
	switch (run->moves.state) {
	case MOVE_WAITING:
	case MOVE_ASKED:
	case MOVE_MOVED:
		return of_moves(run);
	default:
		break;
	}
	if (waits_for_credit(run, false) || waits_for_credit(run, true))
		return WAIT_CREDIT;
	return WAIT_FOR_NOTHING;
}

static void visit_runs(struct look *look)
{
	struct run *run;

	DL_FOREACH (look->engine->runs.list, run)
		tell(look, WAITER_RUN, run->mailbox->display, of_run(run), run->waits_since);
}

/* --- What mail clients did, and do --- */

/* A client is at it, or the timer that ends our patience with it is due at any moment. */
static bool is_disturbed(const struct engine *engine, bool announced)
{
	ev_timer *patience = (ev_timer *)&engine->journal.patience;

	return ev_is_active(patience) &&
	       (announced || ev_timer_remaining(engine->core.loop->ev, patience) <= MOMENT_SECONDS);
}

static bool is_disturbed_tree(const struct engine *engine)
{
	return is_disturbed(engine, journal_holds_tree(&engine->journal));
}

/* A look at the lists is due; in the rest, where nothing else leads to one, a timer is set for it
 * or a client is waited for. */
static bool lists_are_due(const struct engine *engine)
{
	return engine->phase != ENGINE_REST || ev_is_active(&engine->watch.soon) ||
	       (engine->relist && is_disturbed_tree(engine));
}

static enum wait_reason of_replay(struct replay *replay)
{
	return replay_is_woken(replay) ? WAIT_WOKEN : of_barrier(replay_barrier(replay));
}

/* Those before it that are not refused. */
static bool is_first(const struct engine *engine, const struct deed *deed)
{
	const struct deed *before;

	DL_FOREACH (engine->journal.deeds, before)
		if (before == deed || !journal_is_held_up(&engine->journal, before))
			break;
	return before == deed;
}

static enum wait_reason of_deed(const struct engine *engine, const struct deed *deed)
{
	if (journal_is_held_up(&engine->journal, deed))
		return WAIT_PERSON;
	if (engine->replay != NULL && replay_deed(engine->replay) == deed)
		return of_replay(engine->replay);
	if (engine->phase == ENGINE_DOWN || engine->phase == ENGINE_OVER)
		return WAIT_CONNECTION;
	if (!is_first(engine, deed))
		return WAIT_TURN;
	if (engine->task.queued)
		return WAIT_WOKEN;
	if (!deed->certain)
		return lists_are_due(engine) ? WAIT_LISTS : WAIT_FOR_NOTHING;
	switch (engine->phase) {
	case ENGINE_REPLAY:
	case ENGINE_WORK:
		return engine_deed_is_in_use(engine, deed) ? WAIT_RUNS : WAIT_FOR_NOTHING;
	case ENGINE_REST:
		return WAIT_FOR_NOTHING;
	default:
		return WAIT_LISTS;
	}
}

static void visit_deeds(struct look *look)
{
	struct engine *engine = look->engine;
	const struct deed *deed;

	DL_FOREACH (engine->journal.deeds, deed) {
		_cleanup_free_ char *name = journal_describe(&engine->journal, deed);

		tell(look, WAITER_DEED, name, of_deed(engine, deed), deed->since);
	}
}

/* --- The engine as a whole --- */

static bool is_ready(const struct engine *engine)
{
	return engine->core.local.ready && engine->core.remote.ready;
}

/* All that is to be run waits for mail clients. */
static bool is_for_clients(const struct engine *engine)
{
	const struct mailbox *mailbox;

	DL_FOREACH (engine->core.queue, mailbox)
		if (!is_disturbed(
			    engine, journal_hold(&engine->journal, mailbox) == HOLD_ANNOUNCED))
			return false;
	return true;
}

static enum wait_reason of_work(struct engine *engine)
{
	if (engine->runs.list != NULL || engine->replay != NULL)
		return WAIT_WORK;
	if (engine->phase == ENGINE_REPLAY)
		return is_disturbed_tree(engine) ? WAIT_CLIENT : WAIT_FOR_NOTHING;
	if (engine->replayed || journal_next(&engine->journal, true) != NULL ||
		engine->core.queue == NULL)
		return WAIT_FOR_NOTHING;
	return is_for_clients(engine) ? WAIT_CLIENT : WAIT_FOR_NOTHING;
}

/* It rests if there is nothing to do, and something will tell of more. */
static enum wait_reason of_rest(struct engine *engine)
{
	if (engine->core.queue != NULL || journal_next(&engine->journal, false) != NULL ||
		!ev_is_active(&engine->watch.sweep))
		return WAIT_FOR_NOTHING;
	if (engine->relist || engine->orders.waiting != NULL)
		return is_disturbed_tree(engine) ? WAIT_CLIENT : WAIT_FOR_NOTHING;
	return WAIT_AT_REST;
}

static enum wait_reason of_engine(struct engine *engine)
{
	if (engine->task.queued || engine->fall.queued)
		return WAIT_WOKEN;
	switch (engine->phase) {
	case ENGINE_CONNECT:
		if (!is_ready(engine))
			return engine->core.local.session != NULL &&
					       engine->core.remote.session != NULL
				       ? WAIT_CONNECTION
				       : WAIT_FOR_NOTHING;
		return of_barrier(&engine->barrier);
	case ENGINE_TREE:
	case ENGINE_CHECK:
		return of_barrier(&engine->barrier);
	case ENGINE_REPLAY:
	case ENGINE_WORK:
		return of_work(engine);
	case ENGINE_REST:
		return of_rest(engine);
	case ENGINE_LOGOUT:
		return ev_is_active(&engine->logout.poll) ? WAIT_TIMER : WAIT_FOR_NOTHING;
	case ENGINE_DOWN:
		return ev_is_active(&engine->network.backoff) ? WAIT_CONNECTION : WAIT_FOR_NOTHING;
	case ENGINE_OVER:
		return engine->task.over ? WAIT_AT_REST : WAIT_FOR_NOTHING;
	}
	return WAIT_FOR_NOTHING;
}

/* --- Mailboxes and orders --- */

static enum wait_reason of_queued(const struct engine *engine, const struct mailbox *mailbox)
{
	enum journal_hold hold = journal_hold(&engine->journal, mailbox);

	if (engine->phase != ENGINE_WORK)
		return WAIT_LISTS; /* … or it is looked at again; see of_rest() */
	if (is_disturbed(engine, hold == HOLD_ANNOUNCED))
		return WAIT_CLIENT;
	if (hold == HOLD_DEED)
		return WAIT_DEED;
	if (engine->task.queued)
		return WAIT_WOKEN;
	return engine->runs.count >= ENGINE_RUNS_MAX ? WAIT_TURN : WAIT_FOR_NOTHING;
}

static void visit_mailboxes(struct look *look)
{
	struct mailbox *mailbox, *next;

	DL_FOREACH (look->engine->core.queue, mailbox)
		tell(look, WAITER_MAILBOX, mailbox->display, of_queued(look->engine, mailbox),
			mailbox->runs.queued_since);
	HASH_ITER (hh, look->engine->core.mailboxes, mailbox, next)
		if (mailbox->result.held && mailbox->result.failed &&
			mailbox->runs.turn == TURN_NONE)
			tell(look, WAITER_MAILBOX, mailbox->display, WAIT_PERSON,
				mailbox->result.held_since);
}

static enum wait_reason of_order(struct engine *engine)
{
	if (engine->task.queued || engine->fall.queued)
		return WAIT_WOKEN;
	if (!is_ready(engine) || engine->phase == ENGINE_DOWN || engine->phase == ENGINE_OVER)
		return ev_is_active(&engine->orders.patience) ? WAIT_CONNECTION : WAIT_FOR_NOTHING;
	if (engine->phase == ENGINE_REST)
		return is_disturbed_tree(engine) ? WAIT_CLIENT : WAIT_FOR_NOTHING;
	return engine->orders.current != NULL ? WAIT_TURN : WAIT_REST;
}

static void visit_orders(struct look *look)
{
	struct engine *engine = look->engine;
	const struct engine_order *order;

	/* The one under way is what the engine does, and it ends with the next rest. */
	if (engine->orders.current != NULL)
		tell(look, WAITER_ORDER, NULL,
			engine->phase == ENGINE_REST && !engine->task.queued ? WAIT_FOR_NOTHING
									     : WAIT_WORK,
			0);
	DL_FOREACH (engine->orders.waiting, order)
		tell(look, WAITER_ORDER, NULL, of_order(engine), order->since);
}

/* --- All of it --- */

void engine_waits_visit(
	struct engine *engine, void (*visit)(const struct wait *wait, void *context), void *context)
{
	struct look look = {.engine = engine, .visit = visit, .context = context};
	struct run *run;

	engine->barrier.found = 0;
	if (engine->replay != NULL)
		replay_barrier(engine->replay)->found = 0;
	DL_FOREACH (engine->runs.list, run)
		run->barrier.found = 0;
	requests_tally(&engine->core.local);
	requests_tally(&engine->core.remote);
	visit_servers(&look);
	visit_runs(&look);
	visit_deeds(&look);
	tell(&look, WAITER_ENGINE, NULL, of_engine(engine), 0);
	visit_mailboxes(&look);
	visit_orders(&look);
}

const char *waiter_text(enum waiter waiter)
{
	static const char *const texts[] = {
		[WAITER_SERVER] = "account",
		[WAITER_RUN] = "mailbox",
		[WAITER_DEED] = "action",
		[WAITER_ENGINE] = "account",
		[WAITER_MAILBOX] = "mailbox",
		[WAITER_ORDER] = "command",
	};

	return texts[waiter];
}

const char *wait_reason_text(enum wait_reason reason)
{
	static const char *const texts[WAIT_PERSON + 1] = {
		[WAIT_CLIENT] = "the end of what a mail client is doing there",
		[WAIT_MOVES] = "other mailboxes, from or to which messages may have been moved",
		[WAIT_CREDIT] = "messages of other mailboxes that are being copied",
		[WAIT_RUNS] = "its mailboxes, which are being synchronized",
		[WAIT_TURN] = "others that come first",
		[WAIT_DEED] = "what a mail client did there, which is done first",
		[WAIT_LISTS] = "the lists of mailboxes",
		[WAIT_REST] = "the end of what is being synchronized",
		[WAIT_PERSON] = "somebody to see to it",
	};

	return texts[reason];
}
