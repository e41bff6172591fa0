/* SPDX-License-Identifier: MIT */
/*
 * Staying up to date.  At rest no mailbox is selected, and each server tells of changes with NOTIFY
 * (RFC 5465); one that cannot is watched by IDLE in INBOX.  Everything is looked at again at
 * intervals in any case.
 *
 * Whatever is told only queues mailboxes or asks for a new look at the lists; what to do is always
 * found out from the mailboxes themselves.
 */
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <utlist.h>

#include "sync/base/xalloc.h"
#include "sync/core/ask.h"
#include "sync/core/quarantine.h"
#include "sync/core/subtree.h"
#include "sync/engine/engine-private.h"
#include "sync/engine/unresolved.h"
#include "sync/imap/mailbox.h"
#include "sync/imap/utf7.h"
#include "sync/pass/pass.h"

enum {
	INTERVAL_PUSHED = 15 * 60, /* seconds between two looks when both servers tell of changes */
	INTERVAL_POLLED = 60,
};

static const double SOON_SECONDS = 0.1; /* changes of the mailbox lists come in flocks */

/* Dovecot tells nothing of a mailbox that is created and renamed within its half second, and may
 * tell too little of others then: some time after it told anything new, everything is looked at. */
static const double VERIFY_SECONDS = 8;

/* RFC 5465 section 5: with STATUS, the server first tells where all mailboxes stand, so that
 * nothing falls between LIST and this. */
static const char notify_command[] =
	"NOTIFY SET STATUS (personal (MessageNew MessageExpunge FlagChange "
	"MailboxName SubscriptionChange))";

static struct side *sides(struct engine *engine, int i)
{
	return i == 0 ? &engine->core.local : &engine->core.remote;
}

static bool is_ascii(struct slice text)
{
	for (size_t i = 0; i < text.len; i++)
		if ((unsigned char)text.data[i] >= 0x80)
			return false;
	return true;
}

/* Dovecot 2.3 writes the names in what it tells by NOTIFY in UTF-8, as if it had been enabled. */
static bool read_told_name(struct side *side, struct slice wire, struct mailbox_name *ret)
{
	_cleanup_free_ char *utf7 = is_ascii(wire) ? NULL : utf7_from_utf8(wire);

	if (utf7 != NULL)
		wire = (struct slice){.data = utf7, .len = strlen(utf7)};
	return side_read_name(side, wire, ret);
}

static struct mailbox *find_wire(struct side *side, struct slice wire)
{
	struct mailbox_name name;
	struct mailbox *mailbox;

	if (!read_told_name(side, wire, &name))
		return NULL;
	mailbox = core_find_mailbox(side->core, name.data, name.len);
	free(name.data);
	return mailbox;
}

static void relist_soon(struct engine *engine)
{
	watch_look_in(engine, SOON_SECONDS);
}

/*
 * Of a mailbox that is created above others, Dovecot tells where it stands, and not that it is new.
 * One that the last list had is unknown for another reason, which a new list does not change.
 */
static void note_unknown(struct side *side, struct slice wire)
{
	struct mailbox_name name;
	struct listed *listed;

	if (!read_told_name(side, wire, &name))
		return;
	listed = listing_find(side_listing(side), name.data, name.len);
	if ((listed == NULL || !listed_is_selectable(listed)) &&
		tree_is_in_scope(side->core->tree, &name))
		relist_soon(engine_of(side->core));
	free(name.data);
}

/* False if it is as it was. */
static bool note_state(
	struct side *side, struct mailbox *mailbox, const struct response_status *status)
{
	const struct mailbox_state *seen = &mailbox_side(mailbox, side->remote)->seen;
	const struct mailbox_state before = *seen;

	mailbox_note_status(mailbox, side->remote, status);
	return memcmp(&before, seen, sizeof(before)) != 0;
}

/* A mailbox whose last run failed is tried again when something changes there, and at the next look
 * at everything.  False if it is as it was. */
static bool note_status(struct side *side, const struct response_status *status)
{
	struct mailbox *mailbox = find_wire(side, status->name);
	bool changed;

	if (mailbox == NULL) {
		note_unknown(side, status->name);
		return false;
	}
	changed = note_state(side, mailbox, status);
	if (mailbox_is_clean(mailbox))
		mailbox_note_in_step(mailbox);
	if (!mailbox_is_clean(mailbox) && (changed || !mailbox->result.failed))
		core_queue_mailbox(side->core, mailbox);
	return changed;
}

void watch_look_in(struct engine *engine, double seconds)
{
	struct ev_loop *ev = engine->core.loop->ev;

	if (ev_is_active(&engine->watch.soon) &&
		ev_timer_remaining(ev, &engine->watch.soon) <= seconds)
		return;
	ev_timer_stop(ev, &engine->watch.soon);
	ev_timer_set(&engine->watch.soon, seconds, 0.);
	ev_timer_start(ev, &engine->watch.soon);
}

bool watch_looks_soon(const struct engine *engine)
{
	return engine->relist || ev_is_active(&engine->watch.soon);
}

static void note_renamed(struct side *side, const struct response_list *list)
{
	struct mailbox_name from = {0}, to = {0};

	/* What became another account's is gone from here; on the other side that name is nobody's. */
	if (read_told_name(side, list->old_name, &from) && read_told_name(side, list->name, &to) &&
		subtree_is_known(side->core, &from) && !tree_is_foreign(side->core->tree, &to))
		journal_note(side->core->journal, ACTION_RENAME, side->remote, &from, &to);
	free(from.data);
	free(to.data);
}

static void note_deleted(struct side *side, const struct response_list *list)
{
	struct mailbox_name name = {0};
	struct mailbox *mailbox = NULL;

	if (read_told_name(side, list->name, &name))
		mailbox = core_find_mailbox(side->core, name.data, name.len);
	if (mailbox != NULL && mailbox->presence.listed && !mailbox->presence.noted) {
		mailbox->presence.noted = true;
		journal_note(side->core->journal, ACTION_DELETE, side->remote, &name, NULL);
	}
	free(name.data);
}

void watch_told(struct side *side, const struct response_list *list)
{
	if (!engine_of(side->core)->core.options->follow)
		return;
	if (list->old_name.data != NULL)
		note_renamed(side, list);
	else if ((list->attributes & LIST_NONEXISTENT) && !(list->attributes & LIST_SUBSCRIBED))
		note_deleted(side, list);
}

/*
 * A mailbox was created, deleted, renamed or subscribed to (RFC 5465 sections 5.4 and 5.5).  Only
 * what is seen to be deleted is deleted on the other side: one that is merely not listed any more
 * may be on a disk that is not there.
 */
static void note_list(struct side *side, const struct response_list *list)
{
	watch_told(side, list);
	relist_soon(engine_of(side->core));
}

void watch_verify_later(struct engine *engine)
{
	if (ev_is_active(&engine->watch.verify) || !engine->core.options->stay)
		return;
	ev_timer_set(&engine->watch.verify, VERIFY_SECONDS, 0.);
	ev_timer_start(engine->core.loop->ev, &engine->watch.verify);
}

void watch_notified(struct engine *engine, struct side *side, struct response *response)
{
	bool new = false;

	if (response->type == RESPONSE_STATUS) {
		new = note_status(side, &response->status);
	} else if (response->type == RESPONSE_LIST) {
		note_list(side, &response->list);
		new = true;
	} else if (response->type == RESPONSE_CONDITION &&
		   response->code == CODE_NOTIFICATIONOVERFLOW) {
		log_warning(SIDE_CONTEXT(side, NULL),
			"the server tells no more of changes (too many): looking "
			"at intervals from now on");
		side->overflowed = true;
		relist_soon(engine);
	}
	if (new && side->notified)
		watch_verify_later(engine);
}

/* IDLE */

static struct side *idling_side(struct view *view)
{
	return container_of(view, struct side, idle_view);
}

static void inbox_changed(struct view *view)
{
	struct side *side = idling_side(view);
	struct mailbox *inbox = core_find_mailbox(side->core, "INBOX", 5);

	if (side->idling && inbox != NULL)
		core_queue_mailbox(side->core, inbox);
}

static void inbox_fetched(struct view *view, struct response *response)
{
	inbox_changed(view);
}

/* What is gone may have been moved: this server tells of no other mailbox, so all are looked at. */
static void inbox_vanished(struct view *view, const struct seqset *uids, bool earlier)
{
	struct side *side = idling_side(view);

	if (side->idling)
		relist_soon(engine_of(side->core));
}

static void on_idling(struct command *command, struct slice text)
{
	container_of(command, struct request, command)->side->idling = true;
}

static bool on_idle_over(struct request *request)
{
	request->side->idling = false;
	return true;
}

/* What has changed since the last look is told by nobody but the SELECT.  Refused: the looks at
 * intervals remain. */
static bool on_inbox_selected(struct request *request)
{
	struct side *side = request->side;
	struct mailbox *inbox = core_find_mailbox(side->core, "INBOX", 5);
	const struct view *view = &side->idle_view;
	const struct response_status status = {
		.items = (view->uidvalidity != 0 ? STATUS_UIDVALIDITY : 0) |
			 (view->uidnext != 0 ? STATUS_UIDNEXT : 0) |
			 (view->highestmodseq != 0 ? STATUS_HIGHESTMODSEQ : 0),
		.uidvalidity = view->uidvalidity,
		.uidnext = view->uidnext,
		.highestmodseq = view->highestmodseq,
	};

	if (request->command.outcome != OUTCOME_OK)
		return request_ignore_refusal(request);
	if (inbox != NULL && note_state(side, inbox, &status) && !mailbox_is_clean(inbox))
		core_queue_mailbox(side->core, inbox);
	return true;
}

static void begin_idle(struct side *side)
{
	_cleanup_free_ char *wire = side_wire_name(side, "INBOX", 5);
	struct request *request;

	if (wire == NULL || !side_has(side, "IDLE") ||
		core_find_mailbox(side->core, "INBOX", 5) == NULL)
		return;
	side->idle_view.fetched = inbox_fetched;
	side->idle_view.vanished = inbox_vanished;
	side->idle_view.changed = inbox_changed;
	side_unselect(side, &engine_of(side->core)->barrier);
	request = request_new(
		&engine_of(side->core)->barrier, side, sizeof(*request), on_inbox_selected);
	command_select(&request->command, "SELECT", wire, &side->idle_view);
	request_submit(request);
	request =
		request_new(&engine_of(side->core)->barrier, side, sizeof(*request), on_idle_over);
	request->command.kind = COMMAND_IDLE;
	request->command.proceed = on_idling;
	command_puts(&request->command, "IDLE");
	request_submit(request);
}

unsigned watch_interval(struct engine *engine)
{
	bool pushed = engine->core.options->push && side_can_notify(&engine->core.local) &&
		      side_can_notify(&engine->core.remote);

	if (engine->core.options->interval > 0)
		return engine->core.options->interval;
	return pushed ? INTERVAL_PUSHED : INTERVAL_POLLED;
}

/* The timer runs on through what happens meanwhile, unless the interval is another one now. */
static void arm_sweep(struct engine *engine)
{
	ev_tstamp repeat = watch_interval(engine);

	if (ev_is_active(&engine->watch.sweep) && engine->watch.sweep.repeat == repeat)
		return;
	engine->watch.sweep.repeat = repeat;
	ev_timer_again(engine->core.loop->ev, &engine->watch.sweep);
}

/* Of what was asked for (--notify), less is done: once, not with each connection. */
static void say_fallback(struct side *side)
{
	if (side->fallback_said)
		return;
	side->fallback_said = true;
	log_info(SIDE_CONTEXT(side, NULL),
		"the server does not tell of changes (NOTIFY): %s every %u seconds",
		side_has(side, "IDLE") ? "the INBOX is watched by IDLE, and all is looked at"
				       : "all is looked at",
		watch_interval(engine_of(side->core)));
}

static bool on_notify(struct request *request)
{
	struct side *side = request->side;

	if (request->command.outcome != OUTCOME_NO && request->command.outcome != OUTCOME_BAD)
		return true;
	log_debug(SIDE_CONTEXT(side, NULL), "the server refused NOTIFY");
	side->overflowed = true;
	if (engine_of(side->core)->phase == ENGINE_REST) { /* else the next rest begins with it */
		say_fallback(side);
		begin_idle(side);
		arm_sweep(engine_of(side->core));
	}
	return true;
}

static void begin_push(struct side *side)
{
	struct request *request;

	if (!side_can_notify(side)) {
		say_fallback(side);
		begin_idle(side);
		return;
	}
	if (side->notified)
		return;
	side->notified = true;
	request = request_new(&engine_of(side->core)->barrier, side, sizeof(*request), on_notify);
	command_puts(&request->command, notify_command);
	request_submit(request);
}

/* Work is over */

static void on_status(struct status_request *status, const struct response_status *answer)
{
	(void)note_status(status->request.side, answer);
}

static void ask_status(struct side *side, struct mailbox *mailbox)
{
	const struct mailbox_name name = {.data = mailbox->name, .len = mailbox->len};
	struct status_request *status = status_request_new(&engine_of(side->core)->barrier, side,
		&name, STATUS_STATE, sizeof(*status), on_status, request_ignore_refusal);

	if (status != NULL)
		request_submit(&status->request);
}

enum step watch_check(struct engine *engine)
{
	struct mailbox *mailbox, *next;

	engine->phase = ENGINE_CHECK;
	barrier_reset(&engine->barrier);
	for (int i = 0; i < 2; i++)
		side_unselect(sides(engine, i), &engine->barrier);
	HASH_ITER (hh, engine->core.mailboxes, mailbox, next) {
		if (!mailbox->runs.check)
			continue;
		mailbox->runs.check = false;
		for (int i = 0; i < 2; i++)
			ask_status(sides(engine, i), mailbox);
	}
	return engine->barrier.waiting > 0 ? STEP_WAIT : STEP_AGAIN;
}

static void say_up_to_date(struct engine *engine)
{
	if (engine->core.first_done)
		return;
	engine->core.first_done = true;
	log_notice(CORE_CONTEXT(&engine->core),
		"up to date with %u mailbox(es), %llu message(s) copied%s",
		HASH_COUNT(engine->core.mailboxes), (unsigned long long)engine->core.copied,
		engine->core.incomplete ? "; something was left undone, see above" : "");
}

enum step watch_checked(struct engine *engine)
{
	if (engine->barrier.waiting > 0)
		return STEP_WAIT;
	if (engine->core.queue != NULL) {
		engine->phase = ENGINE_WORK;
		return STEP_AGAIN;
	}
	quarantine_sum_up(&engine->core);
	say_up_to_date(engine);
	if (engine->orders.current != NULL || !watch_looks_soon(engine))
		unresolved_say(engine);
	engine_failure_over(engine);
	network_succeeded(engine);
	engine->phase = ENGINE_REST;
	engine_order_rested(engine);
	if (engine->core.options->push) {
		begin_push(&engine->core.local);
		begin_push(&engine->core.remote);
	}
	arm_sweep(engine);
	quarantine_wait(&engine->core);
	return STEP_AGAIN;
}

void watch_pause(struct engine *engine)
{
	/* An IDLE ends by itself when the next command is submitted; NOTIFY goes on. */
	engine->core.local.idling = engine->core.remote.idling = false;
}

/* Timers */

static void look_again(struct engine *engine)
{
	engine->relist = true;
	task_wake(&engine->task);
}

static void on_sweep(struct ev_loop *ev, ev_timer *timer, int revents)
{
	struct engine *engine = container_of(timer, struct engine, watch.sweep);

	journal_retry(&engine->journal);
	look_again(engine);
}

static void on_soon(struct ev_loop *ev, ev_timer *timer, int revents)
{
	look_again(container_of(timer, struct engine, watch.soon));
}

static void on_verify(struct ev_loop *ev, ev_timer *timer, int revents)
{
	look_again(container_of(timer, struct engine, watch.verify));
}

static void on_hint(struct hint_receiver *receiver, enum hint_kind kind, const char *wire)
{
	struct engine *engine = container_of(receiver, struct engine, watch.hints);
	struct mailbox *mailbox = NULL;

	if (engine->phase == ENGINE_DOWN || engine->phase == ENGINE_OVER)
		return; /* a new connection looks at everything */
	if (wire != NULL)
		mailbox = find_wire(
			&engine->core.local, (struct slice){.data = wire, .len = strlen(wire)});
	if (kind == HINT_SELECTED) {
		if (mailbox != NULL)
			core_prefer_mailbox(&engine->core, mailbox);
		return;
	}
	if (kind == HINT_TREE || kind == HINT_UNKNOWN || mailbox == NULL) {
		relist_soon(engine);
		return;
	}
	core_queue_mailbox(&engine->core, mailbox);
}

void watch_init(struct engine *engine)
{
	engine->watch.hints.hint = on_hint;
	ev_init(&engine->watch.sweep, on_sweep);
	ev_init(&engine->watch.soon, on_soon);
	ev_init(&engine->watch.verify, on_verify);
}

void watch_stop(struct engine *engine)
{
	ev_timer_stop(engine->core.loop->ev, &engine->watch.sweep);
	ev_timer_stop(engine->core.loop->ev, &engine->watch.verify);
}

void watch_done(struct engine *engine)
{
	watch_stop(engine);
	ev_timer_stop(engine->core.loop->ev, &engine->watch.soon);
}
