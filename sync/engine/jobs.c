/* SPDX-License-Identifier: MIT */
/*
 * Orders.  One that begins takes the place of the engine's own options in `engine->core.asked`, so
 * that the lists and the mailboxes are looked at as the command of the same name would.  Its end
 * puts the options back, and looks at the lists once more with them.
 *
 * Only the rest begins an order: no run is under way then, and nothing is being asked.
 */
#include "sync/engine/order.h"

#include <stdlib.h>
#include <string.h>
#include <utlist.h>

#include "sync/base/xalloc.h"
#include "sync/engine/engine-private.h"

enum { PATIENCE = 10 }; /* seconds that orders wait for a connection */

static void ask_as_configured(struct engine *engine)
{
	engine->core.asked = engine->core.options->job;
}

/* --- What is said meanwhile --- */

static struct mailbox *find_display(struct engine *engine, const char *display)
{
	struct mailbox *mailbox, *next;

	HASH_ITER (hh, engine->core.mailboxes, mailbox, next)
		if (strcmp(mailbox->display, display) == 0)
			return mailbox;
	return NULL;
}

/* The program may have other accounts, with other engines, and the proxy. */
static bool is_ours(const struct engine *engine, const struct log_context *context)
{
	const char *const names[] = {engine->core.name, engine->core.database_name,
		engine->core.local.name, engine->core.remote.name};
	const char *side = context != NULL ? context->side : NULL;

	if (side == NULL)
		return engine->core.name == NULL;
	for (size_t i = 0; i < ARRAY_LEN(names); i++)
		if (names[i] != NULL && strcmp(names[i], side) == 0)
			return true;
	return false;
}

/* Mail clients, and mailboxes that were not named, are no matter of the order. */
static void on_line(struct log_tap *tap, enum log_level level, const struct log_context *context,
	const char *line)
{
	struct engine *engine = container_of(tap, struct engine, orders.tap);
	const struct mailbox *mailbox = NULL;

	if (!is_ours(engine, context))
		return;
	if (engine->core.asked.mailboxes != NULL && context != NULL && context->mailbox != NULL)
		mailbox = find_display(engine, context->mailbox);
	if (mailbox == NULL || mailbox->wishes.ordered || mailbox->presence.missing != NULL)
		engine->orders.current->line(engine->orders.current, level, line);
}

/* --- Begin and end --- */

static bool is_connected(const struct engine *engine)
{
	return engine->phase != ENGINE_DOWN && engine->phase != ENGINE_OVER &&
	       engine->core.local.ready && engine->core.remote.ready;
}

/* The one under way, or NULL; the rooms below are told whether there is one. */
static void set_order(struct engine *engine, struct engine_order *order)
{
	engine->orders.current = order;
	engine->core.ordered = order != NULL;
}

static void begin(struct engine *engine, struct engine_order *order)
{
	struct mailbox *mailbox, *next;

	set_order(engine, order);
	engine->core.asked = order->job;
	engine->orders.incomplete_before = engine->core.incomplete;
	engine->core.incomplete = false;
	HASH_ITER (hh, engine->core.mailboxes, mailbox, next) {
		mailbox->dropped_said[0] = mailbox->dropped_said[1] = false;
		mailbox->wishes.ordered = false;
	}
	engine->orders.tap = (struct log_tap){.level = order->level, .line = on_line};
	log_add_tap(&engine->orders.tap);
	order->begun(order);
}

static void end(struct engine *engine, bool complete)
{
	struct engine_order *order = engine->orders.current;
	struct mailbox *mailbox, *next;

	set_order(engine, NULL);
	log_remove_tap(&engine->orders.tap);
	engine->core.incomplete |= engine->orders.incomplete_before;
	HASH_ITER (hh, engine->core.mailboxes, mailbox, next)
		mailbox->wishes = (struct mailbox_wishes){0};
	ask_as_configured(engine);
	order->done(order, complete);
}

bool engine_order_next(struct engine *engine)
{
	struct engine_order *order = engine->orders.waiting;

	if (order == NULL)
		return false;
	DL_DELETE(engine->orders.waiting, order);
	begin(engine, order);
	return true;
}

void engine_order_rested(struct engine *engine)
{
	if (engine->orders.current == NULL)
		return;
	/* Whatever was named has been looked at, and nothing else: the lists are incomplete. */
	engine->relist |= engine->core.asked.mailboxes != NULL;
	end(engine, !engine->core.incomplete);
}

/* --- After a change to the mailboxes themselves --- */

enum step engine_order_changed(struct engine *engine)
{
	if (suspects_retry_deeds(&engine->core) < 0) {
		engine_database_failed(engine);
		return STEP_WAIT;
	}
	edit_done(&engine->tree);
	end(engine, !engine->core.incomplete);
	/* What was refused may have needed just this. */
	journal_retry(&engine->journal);
	engine->relist = true;
	engine->phase = ENGINE_REST;
	return STEP_AGAIN;
}

/* --- For the runs --- */

void engine_note_failed(struct engine *engine, struct mailbox *mailbox)
{
	mailbox->result.failed = true;
	if (engine->orders.current != NULL && !mailbox->wishes.ordered)
		engine->orders.incomplete_before = true;
	else
		engine->core.incomplete = true;
}

/* --- Without a connection --- */

static void fail(struct engine *engine, struct engine_order *order)
{
	const struct engine_outage *outage = &engine->outage;
	_cleanup_free_ char *line = NULL;

	if (outage->side != NULL)
		line = log_line(
			LOG_LEVEL_ERROR, SIDE_CONTEXT(outage->side, NULL), "%s", outage->reason);
	else
		line = log_line(LOG_LEVEL_ERROR, CORE_CONTEXT(&engine->core), "%s",
			outage->reason != NULL ? outage->reason
			: engine->phase == ENGINE_OVER
				? "the service does not synchronize any more; its log says why"
				: "there is no connection to the servers yet");
	order->line(order, LOG_LEVEL_ERROR, line);
	order->done(order, false);
}

static void fail_waiting(struct engine *engine)
{
	struct engine_order *order, *next, *failed = take(engine->orders.waiting);

	DL_FOREACH_SAFE (failed, order, next) {
		DL_DELETE(failed, order);
		fail(engine, order);
	}
}

void engine_orders_fail(struct engine *engine)
{
	ev_timer_stop(engine->core.loop->ev, &engine->orders.patience);
	if (engine->orders.current != NULL)
		end(engine, false); /* what was lost has been said to it */
	fail_waiting(engine);
}

static void on_impatient(struct ev_loop *ev, ev_timer *timer, int revents)
{
	struct engine *engine = container_of(timer, struct engine, orders.patience);

	if (!is_connected(engine))
		fail_waiting(engine);
}

/* As the command would, it tries to connect. */
static void await_connection(struct engine *engine)
{
	bool over = engine->phase == ENGINE_OVER;

	if (!over)
		(void)network_connect_now(engine);
	if (!ev_is_active(&engine->orders.patience)) {
		ev_timer_set(&engine->orders.patience, over ? 0. : PATIENCE, 0.);
		ev_timer_start(engine->core.loop->ev, &engine->orders.patience);
	}
}

/* --- What others call --- */

void engine_order_submit(struct engine *engine, struct engine_order *order)
{
	order->since = time(NULL);
	DL_APPEND(engine->orders.waiting, order);
	if (is_connected(engine))
		task_wake(&engine->task);
	else
		await_connection(engine);
}

bool engine_order_withdraw(struct engine *engine, struct engine_order *order)
{
	if (engine->orders.current == order)
		return false;
	DL_DELETE(engine->orders.waiting, order);
	return true;
}

const char *engine_order_waits_for(const struct engine *engine)
{
	if (!is_connected(engine))
		return "it is connecting";
	return engine->orders.current != NULL ? "it is carrying out another command"
					      : "it is synchronizing";
}

void engine_orders_init(struct engine *engine)
{
	ask_as_configured(engine);
	ev_init(&engine->orders.patience, on_impatient);
}

void engine_orders_drop(struct engine *engine)
{
	struct engine_order *order, *next;

	ev_timer_stop(engine->core.loop->ev, &engine->orders.patience);
	log_remove_tap(&engine->orders.tap);
	set_order(engine, NULL);
	DL_FOREACH_SAFE (engine->orders.waiting, order, next)
		DL_DELETE(engine->orders.waiting, order);
}
