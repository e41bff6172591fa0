/* SPDX-License-Identifier: MIT */
/*
 * From commands and their answers to hints.  Commands are kept from their last byte to their tagged
 * response, and only those that change something.  The mailbox that is selected is known from the
 * answers alone: a server runs pipelined commands in order where it matters (RFC 3501 section 5.5),
 * so at the answer to a STORE the last answered SELECT is the one it ran under.
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
	return observer;
}

static void hint(struct observer *observer, enum hint_kind kind, const char *mailbox)
{
	if (observer->receiver != NULL)
		observer->receiver->hint(observer->receiver, kind, mailbox);
}

/* A name is passed on only if it surely means on the engine's connection what it means here. */
static bool name_is_certain(const struct observer *observer, const char *name)
{
	for (const char *at = name; *at != '\0'; at++)
		if ((unsigned char)*at >= 0x80 || (observer->utf8 && *at == '&'))
			return false;
	return *name != '\0';
}

static void hint_mailbox(struct observer *observer, enum hint_kind kind, const char *name)
{
	if (name == NULL || !name_is_certain(observer, name))
		hint(observer, HINT_UNKNOWN, NULL);
	else if (strcasecmp(name, "INBOX") == 0)
		hint(observer, kind, "INBOX");
	else
		hint(observer, kind, name);
}

static struct observed *forget(struct observer *observer, struct observed *command)
{
	DL_DELETE(observer->in_flight, command);
	observer->in_flight_count--;
	free(command->mailbox);
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
static void settle_select(struct observer *observer, struct observed *command, bool ok)
{
	if (ok)
		select_mailbox(observer, take(command->mailbox), command->effect == EFFECT_EXAMINE);
	else
		select_none(observer);
}

/* The command has run, in whole (ok) or perhaps in part. */
static void settle(struct observer *observer, struct observed *command, bool ok)
{
	switch (command->effect) {
	case EFFECT_SELECT:
	case EFFECT_EXAMINE:
		settle_select(observer, command, ok);
		break;
	case EFFECT_UNSELECT:
		select_none(observer);
		break;
	case EFFECT_CLOSE:
		if (!observer->read_only)
			hint_mailbox(observer, HINT_EXPUNGED, observer->selected);
		select_none(observer);
		break;
	case EFFECT_SEEN:
		if (!observer->read_only)
			hint_mailbox(observer, HINT_MAILBOX, observer->selected);
		break;
	case EFFECT_STORE:
		hint_mailbox(observer, HINT_MAILBOX, observer->selected);
		break;
	case EFFECT_EXPUNGE:
		hint_mailbox(observer, HINT_EXPUNGED, observer->selected);
		break;
	case EFFECT_MOVE:
		hint_mailbox(observer, HINT_EXPUNGED, observer->selected);
		hint_mailbox(observer, HINT_MAILBOX, command->mailbox);
		break;
	case EFFECT_APPEND:
	case EFFECT_COPY:
		hint_mailbox(observer, HINT_MAILBOX, command->mailbox);
		break;
	case EFFECT_TREE:
		hint(observer, HINT_TREE, NULL);
		break;
	default:
		hint(observer, HINT_UNKNOWN, NULL);
		select_mailbox(observer, NULL, false);
		break;
	}
}

struct observer *observer_free(struct observer *observer)
{
	struct observed *command, *next;
	bool lost = false;

	if (observer == NULL)
		return NULL;
	DL_FOREACH_SAFE (observer->in_flight, command, next) {
		lost |= command->effect != EFFECT_SELECT && command->effect != EFFECT_EXAMINE &&
			command->effect != EFFECT_UNSELECT;
		(void)forget(observer, command);
	}
	if (lost)
		hint(observer, HINT_UNKNOWN, NULL);
	free(observer->selected);
	free(observer->client.mailbox);
	free(observer);
	return NULL;
}

void observer_command_sent(struct observer *observer)
{
	struct client_scan *client = &observer->client;
	struct observed *command;

	observer->sent++;
	observer_idle_ended(observer);
	if (client->effect == EFFECT_IDLE) {
		if (!client->long_tag && !client->answered)
			memcpy(observer->idle_tag, client->tag, client->tag_len + 1);
		return;
	}
	if (client->answered) {
		/* Refused before its literal came, or a server that answers what it has not read.
		 */
		hint(observer, HINT_UNKNOWN, NULL);
		if (client->effect < EFFECT_FETCH && client->effect != EFFECT_NONE)
			select_mailbox(observer, NULL, false);
		return;
	}
	if (client->effect == EFFECT_NONE)
		return;
	if (client->long_tag || observer->in_flight_count >= LIMIT_OBSERVED_COMMANDS) {
		observer->untracked_until = observer->sent;
		return;
	}
	command = xcalloc(1, sizeof(*command));
	command->effect = client->effect;
	command->mailbox = take(client->mailbox);
	memcpy(command->tag, client->tag, client->tag_len + 1);
	DL_APPEND(observer->in_flight, command);
	observer->in_flight_count++;
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

	observer->answered++;
	if (strcmp(observer->idle_tag, tag) == 0)
		observer_idle_ended(observer);
	if (command != NULL) {
		/* BAD says that nothing was done. */
		if (ok || strcasecmp(status, "NO") == 0)
			settle(observer, command, ok);
		(void)forget(observer, command);
	} else if (client->state >= CLIENT_ARGUMENTS && client->state <= CLIENT_WAITING &&
		   strcmp(client->tag, tag) == 0) {
		client_scan_answered(observer);
	} else if (observer->answered <= observer->untracked_until) {
		/* It may have selected another mailbox, too. */
		hint(observer, HINT_UNKNOWN, NULL);
		select_mailbox(observer, NULL, false);
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
	bool at_rest = client->state == CLIENT_TAG && client->head == 0 &&
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
	return observer->client.tag;
}
