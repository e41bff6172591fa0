/* SPDX-License-Identifier: MIT */
/*
 * From commands and their answers to hints.  Commands are kept from their last byte to their tagged
 * response; those that change nothing, for their tag alone.  The mailbox that is selected is known
 * from the answers alone: a server runs pipelined commands in order where it matters (RFC 3501
 * section 5.5), so at the answer to a STORE the last answered SELECT is the one it ran under.
 */
#include "proxy/observer.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <utlist.h>

#include "proxy/observer-private.h"
#include "sync/base/xalloc.h"
#include "sync/engine/hint.h"

struct observer *observer_new(struct hint_receiver *receiver, struct action_receiver *actions)
{
	struct observer *observer = xcalloc(1, sizeof(*observer));

	observer->receiver = receiver;
	observer->actions = actions;
	buf_init(&observer->server.uids, LIMIT_OBSERVED_CODE);
	buf_init(&observer->client.set, LIMIT_OBSERVED_SET);
	return observer;
}

static void hint(struct observer *observer, enum hint_kind kind, const char *mailbox)
{
	if (observer->receiver != NULL)
		observer->receiver->hint(observer->receiver, kind, mailbox);
}

static void hint_mailbox(struct observer *observer, enum hint_kind kind, const char *name)
{
	if (name == NULL)
		hint(observer, HINT_UNKNOWN, NULL);
	else
		hint(observer, kind, name);
}

static struct observed *forget(struct observer *observer, struct observed *command)
{
	DL_DELETE(observer->in_flight, command);
	observer->in_flight_count--;
	free(command->mailbox);
	free(command->target);
	free(command->copyuid);
	free(command->set);
	free(command);
	return NULL;
}

static void select_mailbox(struct observer *observer, char *own_name, bool read_only)
{
	free(observer->selected);
	observer->selected = own_name;
	observer->read_only = read_only;
	observer->selected_unknown = own_name == NULL;
}

static void select_none(struct observer *observer)
{
	select_mailbox(observer, NULL, false);
	observer->selected_unknown = false;
}

/* SELECT that fails leaves no mailbox selected (RFC 3501 section 6.3.1). */
static void note_select(struct observer *observer, struct observed *command, bool ok)
{
	if (!ok) {
		select_none(observer);
		return;
	}
	select_mailbox(observer, take(command->mailbox), command->effect == EFFECT_EXAMINE);
	if (observer->selected != NULL)
		hint(observer, HINT_SELECTED, observer->selected);
}

/*
 * What is selected after its mailbox, or one above it, was renamed or deleted?  Servers differ.
 * (The delimiter is not known here, so that "ab" is taken to be below "a".)
 */
static void forget_selected(struct observer *observer, const char *gone)
{
	if (observer->selected != NULL &&
		(gone == NULL || strncasecmp(observer->selected, gone, strlen(gone)) == 0))
		select_mailbox(observer, NULL, false);
}

static void note_tree(struct observer *observer, const struct observed *command, bool ok)
{
	bool leaves = command->effect == EFFECT_DELETE || command->effect == EFFECT_RENAME;
	bool inbox = command->mailbox != NULL && strcmp(command->mailbox, "INBOX") == 0;

	/* To rename the INBOX is to move all of its messages (RFC 3501 section 6.3.5). */
	if (command->effect == EFFECT_RENAME && inbox)
		hint(observer, HINT_UNKNOWN, NULL);
	else
		hint(observer, HINT_TREE, NULL);
	if (ok && leaves)
		forget_selected(observer, command->mailbox);
}

void observer_doubt(struct observer *observer)
{
	hint(observer, HINT_UNKNOWN, NULL);
	select_mailbox(observer, NULL, false);
}

/* The command has run, in whole (ok) or perhaps in part. */
static void note_effect(struct observer *observer, struct observed *command, bool ok)
{
	switch (command->effect) {
	case EFFECT_SELECT:
	case EFFECT_EXAMINE:
		note_select(observer, command, ok);
		break;
	case EFFECT_UNSELECT:
		select_none(observer);
		break;
	case EFFECT_CLOSE:
		if (ok)
			observer_removal(observer, command);
		if (!observer->read_only)
			hint_mailbox(observer, HINT_EXPUNGED, observer->selected);
		select_none(observer);
		break;
	case EFFECT_SEEN:
		if (!observer->read_only)
			hint_mailbox(observer, HINT_MAILBOX, observer->selected);
		break;
	case EFFECT_STORE:
		if (ok)
			observer_removal(observer, command);
		hint_mailbox(observer, HINT_MAILBOX, observer->selected);
		break;
	case EFFECT_EXPUNGE:
		if (ok)
			observer_removal(observer, command);
		hint_mailbox(observer, HINT_EXPUNGED, observer->selected);
		break;
	case EFFECT_MOVE:
	case EFFECT_REPLACE: /* RFC 8508: removes here, appends there */
		hint_mailbox(observer, HINT_EXPUNGED, observer->selected);
		hint_mailbox(observer, HINT_MAILBOX, command->target);
		break;
	case EFFECT_APPEND:
	case EFFECT_COPY:
		hint_mailbox(observer, HINT_MAILBOX, command->target);
		break;
	case EFFECT_CREATE:
	case EFFECT_DELETE:
	case EFFECT_RENAME:
	case EFFECT_SUBSCRIBE:
	case EFFECT_UNSUBSCRIBE:
		note_tree(observer, command, ok);
		break;
	case EFFECT_NONE:
	case EFFECT_IDLE:
		break;
	default:
		observer_doubt(observer);
		break;
	}
}

/* Its connection ended before it was answered: it may have changed something. */
static bool may_have_changed(const struct observed *command)
{
	return command->effect != EFFECT_NONE && command->effect != EFFECT_IDLE &&
	       command->effect != EFFECT_SELECT && command->effect != EFFECT_EXAMINE &&
	       command->effect != EFFECT_UNSELECT;
}

struct observer *observer_free(struct observer *observer)
{
	struct observed *command, *next;
	bool lost = false;

	if (observer == NULL)
		return NULL;
	DL_FOREACH_SAFE (observer->in_flight, command, next) {
		lost |= may_have_changed(command);
		if (command->effect == EFFECT_EXPUNGE || command->effect == EFFECT_CLOSE)
			observer_removal(observer, command);
		observer_action_ended(observer, command, ACTION_UNKNOWN, NULL);
		(void)forget(observer, command);
	}
	if (lost)
		hint(observer, HINT_UNKNOWN, NULL);
	free(observer->selected);
	free(observer->client.mailbox);
	free(observer->client.target);
	buf_done(&observer->server.uids);
	buf_done(&observer->client.set);
	free(observer);
	return NULL;
}

void observer_command_sent(struct observer *observer)
{
	struct client_scan *client = &observer->client;
	struct observed *command;

	if (client->answered) {
		/* Refused before its last byte came, or a server that answers what it has not read.
		 */
		hint(observer, HINT_UNKNOWN, NULL);
		if (observer_changes_selection(client->effect))
			select_mailbox(observer, NULL, false);
		return;
	}
	command = xcalloc(1, sizeof(*command));
	command->effect = client->effect;
	command->mailbox = take(client->mailbox);
	command->target = take(client->target);
	observer_take_set(client, command);
	memcpy(command->tag, client->tag, client->tag_len + 1);
	if (command->effect == EFFECT_IDLE)
		memcpy(observer->idle_tag, client->tag, client->tag_len + 1);
	DL_APPEND(observer->in_flight, command);
	observer->in_flight_count++;
	observer_action_sent(observer, command);
}

/*
 * While IDLE goes on, and while a command runs that is not known or not clear, nothing else is
 * sent: a "+" of the store, or what it skips, would have two meanings.
 */
bool observer_is_blocked(const struct observer *observer)
{
	enum effect last;

	if (observer->idle_tag[0] != '\0')
		return false; /* DONE is due */
	if (observer->in_flight == NULL)
		return false;
	last = observer->in_flight->prev->effect;
	return last == EFFECT_IDLE || last == EFFECT_UNKNOWN ||
	       observer->in_flight_count >= LIMIT_OBSERVED_COMMANDS;
}

void observer_fail(struct observer *observer, const char *reason)
{
	if (observer->failure == NULL)
		observer->failure = reason;
}

static struct observed *find(struct observer *observer, const char *tag)
{
	struct observed *command;

	DL_FOREACH (observer->in_flight, command)
		if (strcmp(command->tag, tag) == 0)
			return command;
	return NULL;
}

void observer_command_answered(struct observer *observer, const char *tag, const char *status)
{
	const struct client_scan *client = &observer->client;
	struct observed *command = find(observer, tag);
	bool ok = strcasecmp(status, "OK") == 0;

	if (strcmp(observer->idle_tag, tag) == 0)
		observer_idle_ended(observer);
	if (command != NULL) {
		observer_action_answered(observer, command, status);
		/* BAD says that nothing was done. */
		if (ok || strcasecmp(status, "NO") == 0)
			note_effect(observer, command, ok);
		(void)forget(observer, command);
	} else if (client->state != CLIENT_HEAD && !client->dropped &&
		   strcmp(client->tag, tag) == 0) {
		client_scan_answered(observer, ok);
	}
}

void observer_idle_ended(struct observer *observer)
{
	observer->idling = false;
	observer->idle_tag[0] = '\0';
	observer->server.awaited = OBSERVER_NOTHING;
}

static bool is_selected(const struct observer *observer, const char *mailbox)
{
	if (mailbox == NULL || observer->selected_unknown)
		return true;
	if (observer->selected == NULL)
		return false;
	return strcmp(observer->selected, mailbox) == 0 ||
	       (strcasecmp(observer->selected, "INBOX") == 0 && strcasecmp(mailbox, "INBOX") == 0);
}

const char *observer_idle_tag(const struct observer *observer, const char *mailbox)
{
	const struct client_scan *client = &observer->client;
	bool at_rest = client->state == CLIENT_HEAD && client->word.len == 0 &&
		       observer->server.awaited == OBSERVER_NOTHING && observer_between(observer);

	return observer->idling && at_rest && is_selected(observer, mailbox) ? observer->idle_tag
									     : NULL;
}

bool observer_saw_bye(const struct observer *observer)
{
	return observer->server.bye;
}

const char *observer_refused_tag(const struct observer *observer)
{
	return observer->refused_tag[0] != '\0' ? observer->refused_tag : "*";
}

const char *observer_refusal(const struct observer *observer)
{
	return observer->refusal;
}

const char *observer_failure(const struct observer *observer)
{
	return observer->failure;
}
