/* SPDX-License-Identifier: MIT */
/*
 * From commands and their answers to actions (sync/deeds/action.h).  An action is told only if all
 * of it is certain: what is not told is found by the ordinary sync, but what is told wrong would be
 * done to the wrong mailbox.  So a command that is not written as the grammar has it, or that the
 * server may never answer, is left out.
 */
#include <assert.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <utlist.h>

#include "proxy/observer-private.h"
#include "sync/base/xalloc.h"
#include "sync/deeds/action.h"

static const struct kind {
	enum effect effect;
	enum action_kind kind;
	bool from_selected; /* its `mailbox` is the selected one */
	bool mailbox, target; /* must be known */
} kinds[] = {
	{EFFECT_MOVE, ACTION_MOVE, true, true, true},
	{EFFECT_COPY, ACTION_COPY, true, true, true},
	{EFFECT_APPEND, ACTION_APPEND, false, false, true},
	{EFFECT_CREATE, ACTION_CREATE, false, true, false},
	{EFFECT_DELETE, ACTION_DELETE, false, true, false},
	{EFFECT_RENAME, ACTION_RENAME, false, true, true},
	{EFFECT_SUBSCRIBE, ACTION_SUBSCRIBE, false, true, false},
	{EFFECT_UNSUBSCRIBE, ACTION_UNSUBSCRIBE, false, true, false},
};

static uint64_t last_ticket; /* of all connections */

static const struct kind *find_kind(enum effect effect)
{
	for (size_t i = 0; i < ARRAY_LEN(kinds); i++)
		if (kinds[i].effect == effect)
			return &kinds[i];
	return NULL;
}

static struct client_action describe(const struct observed *command)
{
	const struct kind *kind = find_kind(command->effect);

	assert(kind != NULL);
	return (struct client_action){
		.kind = kind->kind,
		.mailbox = command->mailbox,
		.target = command->target,
	};
}

bool observer_changes_selection(enum effect effect)
{
	switch (effect) {
	case EFFECT_UNKNOWN:
	case EFFECT_SELECT:
	case EFFECT_EXAMINE:
	case EFFECT_UNSELECT:
	case EFFECT_CLOSE:
	/* of the selected mailbox, perhaps */
	case EFFECT_DELETE:
	case EFFECT_RENAME:
		return true;
	default:
		return false;
	}
}

/* A server runs pipelined commands in order (RFC 3501 section 5.5), but it may refuse a SELECT. */
static bool selection_is_certain(const struct observer *observer)
{
	const struct observed *command;

	DL_FOREACH (observer->in_flight, command)
		if (observer_changes_selection(command->effect))
			return false;
	return observer->selected != NULL;
}

/* Two commands with one tag: whose the answer is cannot be told (RFC 3501 section 2.2.1). */
static bool repeats_tag(struct observer *observer, const struct observed *command)
{
	struct observed *other;
	bool repeats = false;

	DL_FOREACH (observer->in_flight, other) {
		if (other == command || strcmp(other->tag, command->tag) != 0)
			continue;
		observer_action_ended(observer, other, ACTION_UNKNOWN, NULL);
		repeats = true;
	}
	return repeats;
}

void observer_action_sent(struct observer *observer, struct observed *command)
{
	const struct kind *kind = find_kind(command->effect);
	struct client_action action;

	if (observer->actions == NULL || repeats_tag(observer, command) || kind == NULL ||
		observer->client.odd)
		return;
	if (kind->from_selected && selection_is_certain(observer))
		command->mailbox = xstrdup(observer->selected);
	action = describe(command);
	if ((kind->mailbox && action.mailbox == NULL) || (kind->target && action.target == NULL))
		return;
	/* It moves messages, and leaves the INBOX there (RFC 3501 section 6.3.5). */
	if (action.kind == ACTION_RENAME && strcmp(action.mailbox, "INBOX") == 0)
		return;
	command->ticket = ++last_ticket;
	observer->actions->announce(observer->actions, command->ticket, &action);
}

void observer_action_ended(struct observer *observer, struct observed *command,
	enum action_result result, char *copyuid)
{
	uint64_t ticket = command->ticket;
	struct client_action action;
	struct copied_uids copied;
	bool known;

	if (ticket == 0)
		return;
	command->ticket = 0;
	known = copyuid != NULL && observer_code_parse(copyuid, &copied);
	action = describe(command);
	observer->actions->outcome(
		observer->actions, ticket, &action, result, known ? &copied : NULL);
}

void observer_action_answered(
	struct observer *observer, struct observed *command, const char *status)
{
	const struct kind *kind = find_kind(command->effect);
	enum action_result result = ACTION_UNKNOWN;
	_cleanup_free_ char *copyuid = NULL;

	if (strcasecmp(status, "OK") == 0)
		result = ACTION_DONE;
	else if (strcasecmp(status, "NO") == 0 || strcasecmp(status, "BAD") == 0)
		result = ACTION_REFUSED;
	if (observer->server.copyuid) {
		if (command->copyuids == 0)
			command->copyuid = observer_code_take(observer);
		command->copyuids = command->copyuids == 0 ? 1 : 2;
	}
	/* Only COPY and MOVE have one; and of a refused MOVE it is not known whether what was
	 * copied is gone here. */
	if (kind != NULL && kind->from_selected && result == ACTION_DONE && command->copyuids == 1)
		copyuid = take(command->copyuid);
	observer_action_ended(observer, command, result, copyuid);
}

/* MOVE tells it before it expunges (RFC 6851 section 4.3); which MOVE, is clear only of one. */
void observer_action_copied(struct observer *observer)
{
	struct observed *command, *move = NULL;
	unsigned candidates = 0;

	DL_FOREACH (observer->in_flight, command) {
		candidates += command->effect == EFFECT_MOVE || command->effect == EFFECT_UNKNOWN;
		if (command->effect == EFFECT_MOVE)
			move = command;
	}
	if (move != NULL && candidates == 1 && move->copyuids == 0) {
		move->copyuids = 1;
		move->copyuid = observer_code_take(observer);
		return;
	}
	/* Whosever it is, the next one may be of another. */
	DL_FOREACH (observer->in_flight, command)
		if (command->effect == EFFECT_MOVE)
			command->copyuids = 2;
}

void observer_removal(struct observer *observer, const struct observed *command)
{
	struct client_removal removal = {
		.kind = command->marking == MARKING_ADDS ? REMOVAL_MARK : REMOVAL_UNMARK,
		.mailbox = observer->selected,
		.set = command->set,
		.by_uid = command->by_uid,
	};

	if (command->effect != EFFECT_STORE)
		removal.kind = REMOVAL_EXPUNGE;
	else if (command->marking == MARKING_NONE || command->set == NULL)
		return;
	/* UID EXPUNGE of what is not known expunges something else than EXPUNGE. */
	if (command->effect == EFFECT_EXPUNGE && command->by_uid && command->set == NULL)
		return;
	if (observer->actions == NULL || observer->selected == NULL || observer->read_only)
		return;
	observer->actions->removal(observer->actions, &removal);
}
