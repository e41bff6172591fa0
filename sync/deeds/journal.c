/* SPDX-License-Identifier: MIT */
#include "sync/deeds/journal.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <utlist.h>

#include "sync/base/limits.h"
#include "sync/base/xalloc.h"
#include "sync/config/account.h"
#include "sync/core/core.h"
#include "sync/core/subtree.h"
#include "sync/state/actions.h"

/* A command that takes longer no longer keeps the engine away: the ordinary sync then finds what
 * there is. */
static const double PATIENCE_SECONDS = 30;

/* A command of a client that the store has not answered. */
struct announced {
	struct announced *prev, *next;
	uint64_t ticket;
	enum action_kind kind;
	struct mailbox_name from, to; /* data NULL where there is none, or it is outside of ours */
	ev_tstamp until; /* it keeps the engine away */
};

static const char *const verbs[] = {
	[ACTION_MOVE] = "MOVE",
	[ACTION_COPY] = "COPY",
	[ACTION_APPEND] = "APPEND",
	[ACTION_CREATE] = "CREATE",
	[ACTION_DELETE] = "DELETE",
	[ACTION_RENAME] = "RENAME",
	[ACTION_SUBSCRIBE] = "SUBSCRIBE",
	[ACTION_UNSUBSCRIBE] = "UNSUBSCRIBE",
};

static struct journal *journal_of(struct action_receiver *receiver)
{
	return container_of(receiver, struct journal, receiver);
}

/* Before the first connection the delimiter is unknown, but then nothing runs, either. */
static struct mailbox_name read_name(const struct journal *journal, const char *wire)
{
	struct mailbox_name name;

	if (wire == NULL || !side_read_name(&journal->core->local,
				    (struct slice){.data = wire, .len = strlen(wire)}, &name))
		return (struct mailbox_name){0};
	return name;
}

/* Whether what happens to `from` and `to` in this way happens to that mailbox. */
static bool concerns(enum action_kind kind, const struct mailbox_name *from,
	const struct mailbox_name *to, const char *name, size_t len)
{
	bool is_from = from->data != NULL && mailbox_name_equal(from->data, from->len, name, len);
	bool is_to = to->data != NULL && mailbox_name_equal(to->data, to->len, name, len);

	if (kind == ACTION_RENAME)
		return (from->data != NULL && subtree_has(from, name, len)) ||
		       (to->data != NULL && subtree_has(to, name, len));
	if (kind == ACTION_SUBSCRIBE || kind == ACTION_UNSUBSCRIBE)
		return false;
	return is_from || is_to;
}

bool journal_deed_concerns(const struct deed *deed, const char *name, size_t len)
{
	return concerns(deed->kind, &deed->from, &deed->to, name, len);
}

static void disturb_one(struct journal *journal, const struct mailbox_name *name)
{
	struct mailbox *mailbox =
		name->data != NULL ? core_find_mailbox(journal->core, name->data, name->len) : NULL;

	if (mailbox != NULL)
		mailbox->runs.disturbed++;
}

/* A pass that is under way there must not go on as if nothing had happened. */
static void disturb(struct journal *journal, enum action_kind kind, const struct mailbox_name *from,
	const struct mailbox_name *to)
{
	struct mailbox *mailbox, *next;

	/* Most commands name what they concern, and clients wait for us here. */
	if (kind == ACTION_SUBSCRIBE || kind == ACTION_UNSUBSCRIBE)
		return;
	if (kind != ACTION_RENAME) {
		disturb_one(journal, from);
		disturb_one(journal, to);
		return;
	}
	HASH_ITER (hh, journal->core->mailboxes, mailbox, next)
		if (concerns(kind, from, to, mailbox->name, mailbox->len))
			mailbox->runs.disturbed++;
}

static bool is_patient(const struct journal *journal, const struct announced *announced)
{
	return announced->until > ev_now(journal->core->loop->ev);
}

static bool changes_tree(enum action_kind kind)
{
	return kind == ACTION_CREATE || kind == ACTION_DELETE || kind == ACTION_RENAME;
}

bool journal_holds_tree(const struct journal *journal)
{
	const struct announced *announced;

	DL_FOREACH (journal->announced, announced)
		if (changes_tree(announced->kind) && is_patient(journal, announced))
			return true;
	return false;
}

/* It is not done for now, and what it names is left as it is on both sides. */
static bool is_held(const struct deed *deed)
{
	return deed->refused || deed->apart;
}

bool journal_is_held_up(const struct journal *journal, const struct deed *deed)
{
	return is_held(deed) ||
	       (!deed_is_about_messages(deed) && journal_is_blocked(journal, deed));
}

enum journal_hold journal_hold(const struct journal *journal, const struct mailbox *mailbox)
{
	enum journal_hold hold = HOLD_NONE;
	const struct announced *announced;
	const struct deed *deed;

	DL_FOREACH (journal->announced, announced)
		if (is_patient(journal, announced) &&
			concerns(announced->kind, &announced->from, &announced->to, mailbox->name,
				mailbox->len))
			return HOLD_ANNOUNCED;
	DL_FOREACH (journal->deeds, deed) {
		if (!journal_deed_concerns(deed, mailbox->name, mailbox->len))
			continue;
		if (!journal_is_held_up(journal, deed))
			return HOLD_DEED;
		hold = HOLD_REFUSED;
	}
	return hold;
}

bool journal_holds(const struct journal *journal, const struct mailbox *mailbox)
{
	return journal_hold(journal, mailbox) != HOLD_NONE;
}

const char *journal_refusal(const struct journal *journal, const struct mailbox *mailbox)
{
	const struct deed *deed;

	DL_FOREACH (journal->deeds, deed)
		if (is_held(deed) && deed->refusal != NULL &&
			journal_deed_concerns(deed, mailbox->name, mailbox->len))
			return deed->refusal;
	return "what a client did with it waits for something else that is refused (see above)";
}

bool journal_reserves(const struct journal *journal, const char *name, size_t len)
{
	const struct deed *deed;

	DL_FOREACH (journal->deeds, deed)
		if (is_held(deed) && journal_deed_concerns(deed, name, len))
			return true;
	return false;
}

/* The next that runs out of patience, if any. */
static void arm(struct journal *journal)
{
	struct ev_loop *ev = journal->core->loop->ev;
	const struct announced *announced;
	ev_tstamp next = 0;

	ev_timer_stop(ev, &journal->patience);
	DL_FOREACH (journal->announced, announced)
		if (is_patient(journal, announced) && (next == 0 || announced->until < next))
			next = announced->until;
	if (next == 0)
		return;
	ev_timer_set(&journal->patience, next - ev_now(ev) + 0.001, 0.);
	ev_timer_start(ev, &journal->patience);
}

static void on_patience_over(struct ev_loop *ev, ev_timer *timer, int revents)
{
	struct journal *journal = container_of(timer, struct journal, patience);

	arm(journal);
	task_wake(journal->core->task);
}

static void forget_names(struct mailbox_name *from, struct mailbox_name *to)
{
	free(take(from->data));
	free(take(to->data));
}

static void announce(
	struct action_receiver *receiver, uint64_t ticket, const struct client_action *action)
{
	struct journal *journal = journal_of(receiver);
	struct announced *announced = xcalloc(1, sizeof(*announced));

	announced->ticket = ticket;
	announced->kind = action->kind;
	announced->from = read_name(journal, action->mailbox);
	announced->to = read_name(journal, action->target);
	announced->until = ev_now(journal->core->loop->ev) + PATIENCE_SECONDS;
	DL_APPEND(journal->announced, announced);
	disturb(journal, announced->kind, &announced->from, &announced->to);
	arm(journal);
}

static void add_deed(struct journal *journal, const struct action *action, enum action_kind kind)
{
	struct deed *deed = xcalloc(1, sizeof(*deed));

	deed->id = action->id;
	deed->kind = kind;
	deed->to_local = action->to_local;
	deed->certain = action->certain;
	deed->begun = action->begun;
	deed->uidvalidity = action->uidvalidity;
	deed->since = time(NULL);
	deed->from = read_name(journal, action->mailbox);
	deed->to = read_name(journal, action->target);
	DL_APPEND(journal->deeds, deed);
	journal->deeds_count++;
}

char *journal_describe(const struct journal *journal, const struct deed *deed)
{
	const struct mailbox_name *name = deed->from.data != NULL ? &deed->from : &deed->to;
	_cleanup_free_ char *display =
		mailbox_for_person(name->data, name->len, journal->core->local.delimiter);

	return xasprintf("%s %s", verbs[deed->kind], display);
}

/* Writes it, with its UIDs if it has any; the action's strings are borrowed. */
static void record(struct journal *journal, struct action *action, enum action_kind kind,
	const struct copied_uids *copied)
{
	if (journal->deeds_count >= LIMIT_DEEDS)
		return;
	if (copied != NULL) {
		action->source_uids = (char *)copied->source;
		action->target_uids = (char *)copied->target;
		action->uidvalidity = copied->uidvalidity;
	}
	(void)snprintf(action->verb, sizeof(action->verb), "%s", verbs[kind]);
	if (actions_insert(journal->core->db, action) < 0)
		log_error(DATABASE_CONTEXT(journal->core),
			"%s: a %s is replicated as its result only", db_error(journal->core->db),
			action->verb);
	else if (journal->loaded)
		add_deed(journal, action, kind);
}

/* In the database before the client hears of it. */
static void record_client(struct journal *journal, const struct client_action *done, bool certain,
	const struct copied_uids *copied)
{
	struct action action = {
		.certain = certain,
		.mailbox = (char *)done->mailbox,
		.target = (char *)done->target,
	};

	record(journal, &action, done->kind, copied);
}

void journal_note(struct journal *journal, enum action_kind kind, bool to_local,
	const struct mailbox_name *from, const struct mailbox_name *to)
{
	journal_note_of(journal, kind, to_local, from, to, 0);
}

void journal_note_of(struct journal *journal, enum action_kind kind, bool to_local,
	const struct mailbox_name *from, const struct mailbox_name *to, uint32_t uidvalidity)
{
	const struct side *local = &journal->core->local;
	_cleanup_free_ char *from_wire = side_wire_name(local, from->data, from->len);
	_cleanup_free_ char *to_wire = to != NULL ? side_wire_name(local, to->data, to->len) : NULL;
	struct action action = {
		.to_local = to_local,
		.mailbox = from_wire,
		.target = to_wire,
		.uidvalidity = uidvalidity,
	};

	if (from_wire == NULL || (to != NULL && to_wire == NULL))
		return;
	record(journal, &action, kind, NULL);
	disturb(journal, kind, from, to != NULL ? to : &(const struct mailbox_name){0});
	task_wake(journal->core->task);
}

/* Whether it is worth remembering what was done. */
static bool is_deed(const struct client_action *action, enum action_result result,
	const struct copied_uids *copied)
{
	switch (action->kind) {
	case ACTION_MOVE:
	case ACTION_COPY:
		return result == ACTION_DONE && copied != NULL;
	case ACTION_APPEND:
		return false;
	case ACTION_CREATE:
	case ACTION_SUBSCRIBE:
	case ACTION_UNSUBSCRIBE:
		return result == ACTION_DONE;
	case ACTION_DELETE:
	case ACTION_RENAME:
		return result != ACTION_REFUSED;
	}
	return false;
}

/* Without it, what they removed may be held (pass/brake.c). */
static void note_removal(struct journal *journal, int r)
{
	if (r < 0)
		log_error(DATABASE_CONTEXT(journal->core), "%s", db_error(journal->core->db));
}

static void outcome(struct action_receiver *receiver, uint64_t ticket,
	const struct client_action *action, enum action_result result,
	const struct copied_uids *copied)
{
	struct journal *journal = journal_of(receiver);
	struct announced *announced;

	DL_FOREACH (journal->announced, announced)
		if (announced->ticket == ticket)
			break;
	if (announced == NULL)
		return;
	if (action->kind == ACTION_MOVE && result == ACTION_DONE && copied != NULL)
		note_removal(
			journal, removals_note_moved(journal->core->db, action->mailbox, copied));
	if (is_deed(action, result, copied))
		record_client(journal, action, result == ACTION_DONE, copied);
	disturb(journal, announced->kind, &announced->from, &announced->to);
	DL_DELETE(journal->announced, announced);
	forget_names(&announced->from, &announced->to);
	free(announced);
	arm(journal);
	task_wake(journal->core->task);
}

static void removal(struct action_receiver *receiver, const struct client_removal *removed)
{
	struct journal *journal = journal_of(receiver);

	note_removal(journal, removals_note(&journal->removals, journal->core->db, removed));
}

void journal_init(struct journal *journal, struct core *core)
{
	*journal = (struct journal){.core = core,
		.receiver = {.announce = announce, .outcome = outcome, .removal = removal}};
	core->journal = journal;
	ev_init(&journal->patience, on_patience_over);
}

static void free_deed(struct journal *journal, struct deed *deed)
{
	DL_DELETE(journal->deeds, deed);
	journal->deeds_count--;
	forget_names(&deed->from, &deed->to);
	free(deed->refusal);
	free(deed);
}

void journal_unload(struct journal *journal)
{
	struct deed *deed, *next;

	DL_FOREACH_SAFE (journal->deeds, deed, next)
		free_deed(journal, deed);
	journal->loaded = false;
}

void journal_done(struct journal *journal)
{
	struct announced *announced, *after;

	ev_timer_stop(journal->core->loop->ev, &journal->patience);
	removals_done(&journal->removals);
	DL_FOREACH_SAFE (journal->announced, announced, after) {
		DL_DELETE(journal->announced, announced);
		forget_names(&announced->from, &announced->to);
		free(announced);
	}
	journal_unload(journal);
}

static bool find_kind(const char *verb, enum action_kind *ret_kind)
{
	for (size_t i = 0; i < ARRAY_LEN(verbs); i++)
		if (strcmp(verbs[i], verb) == 0) {
			*ret_kind = (enum action_kind)i;
			return true;
		}
	return false;
}

int journal_load(struct journal *journal)
{
	struct action *actions = NULL;
	size_t count = 0;
	int r = journal->loaded ? 0 : actions_load(journal->core->db, &actions, &count);

	if (journal->loaded || r < 0)
		return r;
	for (size_t i = 0; i < count; i++) {
		enum action_kind kind;

		if (find_kind(actions[i].verb, &kind))
			add_deed(journal, &actions[i], kind);
	}
	if (count > 0)
		log_info(CORE_CONTEXT(journal->core),
			"%zu action(s) wait to be done on the other side", count);
	actions_free(actions, count);
	journal->loaded = true;
	return 0;
}

/* In order: what is behind a refused deed may need it only if it is about the same mailboxes. */
static bool waits_for(const struct deed *deed, const struct deed *refused)
{
	return (deed->from.data != NULL &&
		       journal_deed_concerns(refused, deed->from.data, deed->from.len)) ||
	       (deed->to.data != NULL &&
		       journal_deed_concerns(refused, deed->to.data, deed->to.len));
}

bool journal_is_blocked(const struct journal *journal, const struct deed *deed)
{
	const struct deed *before;

	DL_FOREACH (journal->deeds, before) {
		if (before == deed)
			return false;
		if (is_held(before) && waits_for(deed, before))
			return true;
	}
	return false;
}

struct deed *journal_next(struct journal *journal, bool lists_are_new)
{
	struct deed *deed;

	DL_FOREACH (journal->deeds, deed)
		if (!journal_is_held_up(journal, deed))
			return deed->certain || lists_are_new ? deed : NULL;
	return NULL;
}

void journal_retry(struct journal *journal)
{
	struct deed *deed;

	DL_FOREACH (journal->deeds, deed)
		deed->refused = false;
}

void journal_forget(struct journal *journal, struct deed *deed)
{
	disturb(journal, deed->kind, &deed->from, &deed->to);
	free_deed(journal, deed);
}

int journal_drop(struct journal *journal, const struct mailbox_name *name)
{
	struct deed *deed;
	int r = 0;

	DL_FOREACH (journal->deeds, deed) {
		if (!journal_deed_concerns(deed, name->data, name->len))
			continue;
		r = actions_drop(journal->core->db, deed->id);
		if (r < 0)
			return r;
		deed->dropped = true;
	}
	return r;
}

void journal_dropped(struct journal *journal, bool committed)
{
	struct deed *deed, *next;

	DL_FOREACH_SAFE (journal->deeds, deed, next) {
		if (deed->dropped && committed)
			journal_forget(journal, deed);
		else
			deed->dropped = false;
	}
}

struct mailbox_name journal_present_name(const struct deed *deed, const struct mailbox_name *name)
{
	struct mailbox_name present = {.data = xmemdup0(name->data, name->len), .len = name->len};

	for (deed = deed->next; deed != NULL && present.data != NULL; deed = deed->next) {
		struct buf renamed;

		if (deed->from.data == NULL || deed->to_local)
			continue;
		if (deed->kind == ACTION_DELETE &&
			mailbox_name_equal(
				deed->from.data, deed->from.len, present.data, present.len)) {
			free(take(present.data));
		} else if (deed->kind == ACTION_RENAME && deed->to.data != NULL &&
			   subtree_renamed(
				   &deed->from, &deed->to, present.data, present.len, &renamed)) {
			free(present.data);
			present.len = buf_len(&renamed);
			present.data = xmemdup0(buf_data(&renamed), present.len);
			buf_done(&renamed);
		}
	}
	return present;
}
