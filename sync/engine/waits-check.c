/* SPDX-License-Identifier: MIT */
/* What aborts a build for tests that is about to sleep in vain, and what it says then: of the wire
 * as much as the debug log has, without secrets. */
#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <utlist.h>

#include "sync/base/xalloc.h"
#include "sync/engine/engine-private.h"
#include "sync/engine/order.h"
#include "sync/engine/waits.h"
#include "sync/pass/pass.h"

static const char *const phases[] = {
	[ENGINE_CONNECT] = "connect",
	[ENGINE_REPLAY] = "replay",
	[ENGINE_TREE] = "tree",
	[ENGINE_WORK] = "work",
	[ENGINE_CHECK] = "check",
	[ENGINE_REST] = "rest",
	[ENGINE_LOGOUT] = "logout",
	[ENGINE_DOWN] = "down",
	[ENGINE_OVER] = "over",
};

static const char *const reasons[] = {
	[WAIT_FOR_NOTHING] = "NOTHING",
	[WAIT_WOKEN] = "woken",
	[WAIT_ANSWER] = "an answer",
	[WAIT_TIMER] = "a timer",
	[WAIT_AT_REST] = "at rest",
	[WAIT_WORK] = "runs or deeds",
	[WAIT_CONNECTION] = "a connection",
	[WAIT_CLIENT] = "a client",
	[WAIT_MOVES] = "moves",
	[WAIT_CREDIT] = "credit",
	[WAIT_RUNS] = "runs",
	[WAIT_TURN] = "its turn",
	[WAIT_DEED] = "a deed",
	[WAIT_LISTS] = "the lists",
	[WAIT_REST] = "the rest",
	[WAIT_PERSON] = "a person",
};
static_assert(ARRAY_LEN(reasons) == WAIT_PERSON + 1, "one word each");

static const char *const waiters[] = {
	[WAITER_SERVER] = "server",
	[WAITER_RUN] = "run",
	[WAITER_DEED] = "deed",
	[WAITER_ENGINE] = "engine",
	[WAITER_MAILBOX] = "mailbox",
	[WAITER_ORDER] = "order",
};
static_assert(ARRAY_LEN(waiters) == WAITER_ORDER + 1, "one word each");

static void say_wait(const struct wait *wait, void *context)
{
	(void)fprintf(stderr, "  %s%s%s waits for %s\n", waiters[wait->waiter],
		wait->name != NULL ? " " : "", wait->name != NULL ? wait->name : "",
		reasons[wait->reason]);
}

static void say_command(const struct command *command, bool sent, void *context)
{
	_cleanup_free_ char *text = command_describe(command);

	(void)fprintf(stderr, "    %s %u %.200s\n", sent ? "sent  " : "queued", command->tag, text);
}

static void say_side(const struct side *side)
{
	(void)fprintf(stderr, "  %s: %s%s%s\n", side->remote ? "remote" : "local",
		side->session == NULL ? "no connection"
		: side->ready	      ? "ready"
				      : "connecting",
		side->idling ? ", idling" : "", side->notified ? ", notifying" : "");
	if (side->session != NULL)
		client_each_command(session_client(side->session), say_command, NULL);
}

static void say_copier(const char *way, const struct copier *copier)
{
	if (copier->source == NULL)
		return;
	(void)fprintf(stderr,
		"    %s: %zu of %zu asked for, %zu arrived, %u fetches, %u appends%s\n", way,
		copier->next, copier->source->arrivals.items.count, copier->arrived_count,
		copier->fetches, copier->appends,
		copier->waits_for_credit ? ", waits for credit" : "");
}

static void say_run(const struct run *run)
{
	(void)fprintf(stderr,
		"  run %s: phase %s, pass %u, barrier %u (%u found%s%s%s), moves %d with %u "
		"takers%s%s\n",
		run->mailbox->display, run_phase_name(run), run->pass.number, run->barrier.waiting,
		run->barrier.found, run->barrier.each ? ", each" : "",
		run->barrier.lost ? ", lost" : "", run->barrier.refused ? ", refused" : "",
		(int)run->moves.state, run->moves.takers, run->end.begun ? ", ending" : "",
		run->end.how != RUN_DONE ? ", over" : "");
	say_copier("from local", &run->local.copier);
	say_copier("from remote", &run->remote.copier);
}

static void say_deed(const struct journal *journal, const struct deed *deed)
{
	_cleanup_free_ char *text = journal_describe(journal, deed);

	(void)fprintf(stderr, "  deed %s%s%s%s\n", text, deed->certain ? "" : ", seen only",
		deed->begun ? ", begun" : "", deed->refused ? ", refused" : "");
}

static void say_state(struct engine *engine)
{
	const struct engine_order *order;
	const struct mailbox *mailbox;
	const struct deed *deed;
	const struct run *run;

	(void)fprintf(stderr, "  engine: phase %s, barrier %u (%u found), %u runs%s%s%s%s\n",
		phases[engine->phase], engine->barrier.waiting, engine->barrier.found,
		engine->runs.count, engine->relist ? ", relist" : "",
		engine->replay != NULL ? ", a deed under way" : "",
		engine->orders.current != NULL ? ", an order under way" : "",
		engine->runs.moves_wait.asking ? ", asking for what is gone" : "");
	DL_FOREACH (engine->runs.list, run)
		say_run(run);
	DL_FOREACH (engine->journal.deeds, deed)
		say_deed(&engine->journal, deed);
	DL_FOREACH (engine->core.queue, mailbox)
		(void)fprintf(stderr, "  queued %s, hold %d\n", mailbox->display,
			(int)journal_hold(&engine->journal, mailbox));
	DL_FOREACH (engine->orders.waiting, order)
		(void)fprintf(stderr, "  an order waits\n");
	say_side(&engine->core.local);
	say_side(&engine->core.remote);
}

static void judge(const struct wait *wait, void *context)
{
	*(bool *)context |= wait->reason == WAIT_FOR_NOTHING;
}

static void check(struct loop_check *check)
{
	struct engine *engine = container_of(check, struct engine, waits);
	bool in_vain = false;

	engine_waits_visit(engine, judge, &in_vain);
	if (!in_vain)
		return;
	(void)fprintf(stderr, "interimap: about to sleep, and somebody waits for nothing:\n");
	engine_waits_visit(engine, say_wait, NULL);
	say_state(engine);
	abort();
}

void engine_waits_watch(struct engine *engine)
{
	engine->waits.check = check;
	loop_add_check(engine->core.loop, &engine->waits);
}

void engine_waits_unwatch(struct engine *engine)
{
	loop_remove_check(engine->core.loop, &engine->waits);
}
