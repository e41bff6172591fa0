/* SPDX-License-Identifier: MIT */
#include "sync/engine/status.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>
#include <utlist.h>

#include "sync/base/limits.h"
#include "sync/base/xalloc.h"
#include "sync/core/advice.h"
#include "sync/engine/engine-private.h"
#include "sync/engine/order.h"
#include "sync/engine/unresolved.h"
#include "sync/engine/waits.h"
#include "sync/imap/mailbox.h"

const char *status_push_name(enum status_push push)
{
	static const char *const names[] = {"notify", "idle", "poll"};

	static_assert(ARRAY_LEN(names) == PUSH_POLL + 1, "one name each");
	return names[push];
}

const char *status_state_name(enum status_state state)
{
	static const char *const names[] = {
		"clean", "queued", "running", "held", "failed", "missing"};

	static_assert(ARRAY_LEN(names) == MAILBOX_MISSING + 1, "one name each");
	return names[state];
}

/* --- Connections --- */

void engine_outage_note(struct engine *engine, const struct side *side, const char *reason)
{
	struct engine_outage *outage = &engine->outage;

	if (outage->since == 0)
		outage->since = time(NULL);
	outage->side = side;
	free(outage->reason);
	outage->reason = xstrdup(reason);
}

void engine_outage_clear(struct engine *engine)
{
	free(take(engine->outage.reason));
	engine->outage = (struct engine_outage){0};
}

static enum status_push push_of(const struct engine *engine, const struct side *side)
{
	if (!engine->core.options->push)
		return PUSH_POLL;
	if (side_can_notify(side))
		return PUSH_NOTIFY;
	return side_has(side, "IDLE") ? PUSH_IDLE : PUSH_POLL;
}

static void take_side(const struct engine *engine, const struct side *side, struct status_side *ret)
{
	const struct engine_outage *outage = &engine->outage;

	*ret = (struct status_side){.state = SIDE_DISCONNECTED};
	if (side->ready) {
		ret->state = SIDE_CONNECTED;
		ret->push = push_of(engine, side);
		return;
	}
	if (side->session != NULL)
		ret->state = SIDE_CONNECTING;
	if (outage->reason == NULL)
		return;
	ret->since = outage->since;
	/* Both are given up with either (see on_side_lost()), or for what neither has done. */
	ret->reason = outage->side == side || outage->side == NULL
			      ? xstrdup(outage->reason)
			      : xasprintf("both are made anew when the %s side is back",
					outage->side->name);
}

/* --- Mailboxes --- */

/* What a client did there is refused by the other side: it is in no list then. */
static bool is_refused(const struct engine *engine, const struct mailbox *mailbox)
{
	return engine->journal.deeds_count > 0 &&
	       journal_hold(&engine->journal, mailbox) == HOLD_REFUSED;
}

static enum status_state state_of(const struct engine *engine, const struct mailbox *mailbox)
{
	if (mailbox->runs.turn == TURN_RUNNING)
		return MAILBOX_RUNNING;
	if (is_refused(engine, mailbox))
		return MAILBOX_FAILED;
	if (mailbox->presence.missing != NULL)
		return mailbox->result.held ? MAILBOX_HELD : MAILBOX_MISSING;
	if (mailbox->runs.turn == TURN_QUEUED)
		return MAILBOX_QUEUED;
	if (mailbox->result.failed && mailbox->result.problem != NULL)
		return mailbox->result.held ? MAILBOX_HELD : MAILBOX_FAILED;
	return mailbox_is_clean(mailbox) ? MAILBOX_CLEAN : MAILBOX_QUEUED;
}

static int64_t messages_beyond(const struct mailbox_side *side)
{
	uint32_t done = side->base.uidnext > 0 ? side->base.uidnext : 1;

	if (side->seen.uidvalidity == 0 ||
		(side->base.uidvalidity != 0 && side->base.uidvalidity != side->seen.uidvalidity))
		return -1;
	return side->seen.uidnext > done ? (int64_t)side->seen.uidnext - done : 0;
}

static char *command_for(
	const struct engine *engine, const struct mailbox *mailbox, enum status_state state)
{
	const char *options = NULL;

	if (state == MAILBOX_HELD && mailbox->presence.missing == NULL)
		options = "--allow-deletions";
	else if ((state == MAILBOX_FAILED || mailbox->presence.missing != NULL) &&
		 is_unresolved(engine, mailbox))
		options = "--target=database --delete"; /* loses nothing */
	return options != NULL ? advice(&engine->core, options, mailbox->display, NULL) : NULL;
}

static char *missing_reason(const struct engine *engine, const struct mailbox *mailbox)
{
	_cleanup_free_ char *what_to_do =
		is_unresolved(engine, mailbox) ? missing_advice(&engine->core, mailbox) : NULL;

	return xasprintf("the %s server does not list it any more%s%s",
		mailbox->presence.missing->remote ? "remote" : "local",
		what_to_do != NULL ? ". " : "", what_to_do != NULL ? what_to_do : "");
}

static char *reason_for(
	const struct engine *engine, const struct mailbox *mailbox, enum status_state state)
{
	if (state == MAILBOX_FAILED && is_refused(engine, mailbox))
		return xstrdup(journal_refusal(&engine->journal, mailbox));
	if (state == MAILBOX_MISSING)
		return missing_reason(engine, mailbox);
	if (state == MAILBOX_HELD || state == MAILBOX_FAILED)
		return xstrdup(mailbox->result.problem);
	return NULL;
}

static void take_mailbox(
	const struct engine *engine, const struct mailbox *mailbox, struct status_mailbox *ret)
{
	enum status_state state = state_of(engine, mailbox);

	*ret = (struct status_mailbox){
		.name = xstrdup(mailbox->display),
		.state = state,
		.in_step = mailbox->result.in_step,
		.to_local = messages_beyond(&mailbox->remote),
		.to_remote = messages_beyond(&mailbox->local),
		.reason = reason_for(engine, mailbox, state),
		.resolve = command_for(engine, mailbox, state),
	};
}

static int by_name(const void *one, const void *other)
{
	const struct status_mailbox *a = one, *b = other;

	return strcmp(a->name, b->name);
}

/* What is neither listed nor missing was ignored, or is gone from both sides. */
static void take_mailboxes(const struct engine *engine, struct engine_status *ret)
{
	struct mailbox *mailbox, *next;

	ret->mailboxes = xcalloc(HASH_COUNT(engine->core.mailboxes) + 1, sizeof(*ret->mailboxes));
	HASH_ITER (hh, engine->core.mailboxes, mailbox, next)
		if (mailbox->presence.listed || mailbox->presence.missing != NULL ||
			is_refused(engine, mailbox))
			take_mailbox(engine, mailbox, &ret->mailboxes[ret->mailbox_count++]);
	qsort(ret->mailboxes, ret->mailbox_count, sizeof(*ret->mailboxes), by_name);
}

/* --- Waits --- */

static void take_wait(const struct wait *wait, void *context)
{
	struct engine_status *ret = context;
	const char *reason = wait_reason_text(wait->reason);

	if (reason == NULL || ret->wait_count >= LIMIT_STATUS_WAITS)
		return;
	ret->waits[ret->wait_count++] = (struct status_wait){
		.what = waiter_text(wait->waiter),
		.name = wait->name != NULL ? xstrdup(wait->name) : NULL,
		.reason = reason,
		.since = wait->since,
	};
}

/* A database that cannot be read is told of otherwise. */
static void take_left_out(const struct engine *engine, struct engine_status *ret)
{
	if (!engine->tree.schema_ready ||
		quarantine_load(engine->core.db, 0, &ret->rows, &ret->left_out_count) < 0)
		return;
	ret->left_out = xcalloc(ret->left_out_count + 1, sizeof(*ret->left_out));
	for (size_t i = 0; i < ret->left_out_count; i++) {
		struct quarantine *row = &ret->rows[i];

		ret->left_out[i].row = row;
		if (row->mailbox_name != NULL)
			ret->left_out[i].mailbox = mailbox_for_person(
				row->mailbox_name, row->mailbox_len, engine->core.local.delimiter);
	}
}

void engine_status_take(struct engine *engine, struct engine_status *ret)
{
	struct engine_order *order;

	*ret = (struct engine_status){
		.interval = watch_interval(engine),
		.ordered = engine->orders.current != NULL,
		.actions_waiting = engine_actions_waiting(engine),
		.copied = engine->core.copied,
		.next_try = network_next_try(engine),
	};
	take_side(engine, &engine->core.local, &ret->local);
	take_side(engine, &engine->core.remote, &ret->remote);
	DL_FOREACH (engine->orders.waiting, order)
		ret->orders_waiting++;
	ret->resolve = unresolved_advice(engine);
	take_mailboxes(engine, ret);
	ret->waits = xcalloc(LIMIT_STATUS_WAITS, sizeof(*ret->waits));
	engine_waits_visit(engine, take_wait, ret);
	take_left_out(engine, ret);
}

void engine_status_done(struct engine_status *status)
{
	for (size_t i = 0; i < status->mailbox_count; i++) {
		free(status->mailboxes[i].name);
		free(status->mailboxes[i].reason);
		free(status->mailboxes[i].resolve);
	}
	free(take(status->mailboxes));
	free(take(status->resolve));
	status->mailbox_count = 0;
	for (size_t i = 0; i < status->wait_count; i++)
		free(status->waits[i].name);
	free(take(status->waits));
	status->wait_count = 0;
	for (size_t i = 0; i < status->left_out_count; i++)
		free(status->left_out[i].mailbox);
	free(take(status->left_out));
	quarantine_free(take(status->rows), status->left_out_count);
	status->left_out_count = 0;
	free(take(status->local.reason));
	free(take(status->remote.reason));
}
