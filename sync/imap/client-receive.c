/* SPDX-License-Identifier: MIT */
/* What comes in: responses are cut from the stream, parsed, and given to whom they concern. */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <utlist.h>

#include "sync/base/fault.h"
#include "sync/base/limits.h"
#include "sync/base/log.h"
#include "sync/base/spool.h"
#include "sync/base/xalloc.h"
#include "sync/imap/client-private.h"
#include "sync/imap/view.h"

enum { LOGGED_BYTES = 1000 };

/* The SELECT that is being answered, if the oldest command in flight is one. */
static struct command *selecting(const struct client *client)
{
	struct command *command = client->queue;

	if (command == NULL || command == client->sending || command->kind != COMMAND_SELECT)
		return NULL;
	return command;
}

/* The view that the bytes being read belong to; NULL for none. */
static struct view *current_view(const struct client *client)
{
	const struct command *command = selecting(client);

	/* RFC 7162 section 3.2.11: up to [CLOSED] the data belongs to the mailbox selected before.
	 */
	if (command != NULL && !client->selected.any)
		return command->view;
	return client->selected.view;
}

static void keep_result(struct command *command, const struct response *response)
{
	command->code = response->code;
	command->text = slice_dup(response->text);
	command->uidvalidity = response->uidvalidity;
	if (response->code == CODE_APPENDUID || response->code == CODE_COPYUID) {
		command->uids = slice_dup(response->uids);
		command->source_uids = slice_dup(response->source_uids);
	}
	if (response->code == CODE_MODIFIED)
		seqset_copy(&command->modified, &response->set);
}

/* A SELECT has its answer: from here on data belongs to the new mailbox, or to none. */
static bool enter_mailbox(
	struct client *client, const struct command *command, struct response *response)
{
	if (response->condition == CONDITION_OK && client->selected.any &&
		!client->selected.closed_seen) {
		client_fail(client,
			"the server does not send [CLOSED] between two mailboxes (RFC 7162)");
		return false;
	}
	/* After BAD the mailbox selected before may be selected still: a command meant for the new
	 * one must not hit the old. */
	if (response->condition == CONDITION_BAD && client->selected.any) {
		client_fail(client, "the server rejected a SELECT as malformed: %.*s",
			(int)response->text.len, response->text.data);
		return false;
	}
	client->selected.any = response->condition == CONDITION_OK;
	client->selected.view = client->selected.any ? command->view : NULL;
	client->selected.closed_seen = false;
	if (client->selected.view != NULL)
		view_begin(client->selected.view, response);
	return true;
}

static void leave_mailbox(struct client *client)
{
	client->selected.any = false;
	client->selected.view = NULL;
}

/* A mailbox was left by asking for one that is not there. */
static bool leave_by_refusal(struct client *client, const struct response *response)
{
	if (response->condition == CONDITION_OK)
		client_fail(client,
			"the server has a mailbox " COMMAND_NO_MAILBOX
			", which is asked for to leave others, since it offers no UNSELECT: "
			"rename or delete it");
	else if (response->condition == CONDITION_BAD)
		client_fail(client, "the server rejected an EXAMINE as malformed: %.*s",
			(int)response->text.len, response->text.data);
	else
		leave_mailbox(client);
	return response->condition == CONDITION_NO;
}

static struct command *find_command(const struct client *client, struct slice tag)
{
	uint32_t number = 0;

	for (size_t i = 0; i < tag.len; i++) {
		if (tag.data[i] < '0' || tag.data[i] > '9' || number > UINT32_MAX / 10 - 1)
			return NULL;
		number = number * 10 + (uint32_t)(tag.data[i] - '0');
	}
	for (struct command *c = client->queue; c != NULL; c = c->next)
		if (c->tag == number)
			return c;
	return NULL;
}

static void take_tagged(struct client *client, struct response *response)
{
	static const enum outcome outcomes[] = {
		[CONDITION_OK] = OUTCOME_OK,
		[CONDITION_NO] = OUTCOME_NO,
		[CONDITION_BAD] = OUTCOME_BAD,
	};
	struct command *command = find_command(client, response->tag);
	bool begun = command != NULL && command->answered == OUTCOME_PENDING &&
		     (command != client->sending || command->piece > 0 || command->announced);

	if (!begun || response->condition > CONDITION_BAD) {
		client_fail(client, "the server answered a command that was not given");
		return;
	}
	patience_proven(&client->progress.patience);
	keep_result(command, response);
	if (command->kind == COMMAND_SELECT && !enter_mailbox(client, command, response))
		return;
	if (command->kind == COMMAND_LEAVE && !leave_by_refusal(client, response))
		return;
	if (command->kind == COMMAND_UNSELECT && response->condition == CONDITION_OK)
		leave_mailbox(client);
	/*
	 * Refused before it was sent whole.  A literal that waits for its "+" is simply not sent;
	 * of one that is on its way the rest is owed, since the server skips as many bytes as were
	 * announced (RFC 7888 section 4).
	 */
	if (command == client->sending && !client->awaiting) {
		command->answered = outcomes[response->condition];
		return;
	}
	if (command == client->sending)
		client->awaiting = false;
	client_complete(client, command, outcomes[response->condition]);
	if (fault_due(FAULT_ANSWER))
		client_fail(client, "the connection is cut by a fault point");
}

static void take_continuation(struct client *client, const struct response *response)
{
	struct command *command = client->queue;

	if (client->awaiting) {
		client_literal_accepted(client);
		return;
	}
	while (command != NULL && command != client->sending && command->proceed == NULL &&
		command->kind != COMMAND_IDLE)
		command = command->next;
	if (command == NULL || command == client->sending ||
		(command->kind == COMMAND_IDLE && client->idle != IDLE_SENT &&
			client->idle != IDLE_SHORT)) {
		client_fail(client, "the server asked for more where nothing was to come");
		return;
	}
	if (command->kind == COMMAND_IDLE) {
		bool over = client->idle == IDLE_SHORT || client->sending != NULL;

		client->idle = IDLE_CONFIRMED;
		if (over)
			client_end_idle(client);
	}
	if (command->proceed != NULL)
		command->proceed(command, response->text);
}

/*
 * What is told is offered to the commands in flight, oldest first: the one behind this one (NULL:
 * the oldest), or NULL.  Not only to the oldest: Dovecot holds back the tagged OK of a STORE or
 * EXPUNGE and answers the FETCH behind it meanwhile.  But no server goes past a SELECT before that
 * is done.
 */
static struct command *next_in_flight(const struct client *client, const struct command *command)
{
	struct command *next = command != NULL ? command->next : client->queue;
	bool stops = command != NULL &&
		     (command->kind == COMMAND_SELECT || command->kind == COMMAND_UNSELECT ||
			     command->kind == COMMAND_LEAVE);

	return stops || next == client->sending ? NULL : next;
}

static bool offer(struct client *client, struct response *response)
{
	struct command *c = NULL;

	while ((c = next_in_flight(client, c)) != NULL)
		if (c->untagged != NULL && c->untagged(c, response))
			return true;
	return false;
}

/* Where nothing is selected, no body was asked for. */
static struct spool *offer_body(
	struct client *client, const char *head, size_t head_len, uint64_t size)
{
	struct command *c = NULL;
	struct spool *spool = NULL;
	uint32_t uid;

	if (current_view(client) == NULL || !response_parse_head(head, head_len, &uid))
		return NULL;
	while (spool == NULL && (c = next_in_flight(client, c)) != NULL)
		spool = c->body != NULL ? c->body(c, uid, size) : NULL;
	return spool;
}

static bool body_begin(struct input_sink *sink, const char *head, size_t head_len, uint64_t size)
{
	struct client *client = container_of(sink, struct client, sink);

	client->spool = offer_body(client, head, head_len, size);
	if (client->spool == NULL && size > LIMIT_BODY_SKIPPED)
		client_fail(client,
			"the server sends a message of %" PRIu64 " bytes that was not asked for",
			size);
	return client->spool != NULL;
}

static bool body_data(struct input_sink *sink, const char *data, size_t n)
{
	struct client *client = container_of(sink, struct client, sink);

	if (spool_write(client->spool, data, n) == 0)
		return true;
	spool_abort(client->spool);
	return false;
}

static void body_end(struct input_sink *sink)
{
	container_of(sink, struct client, sink)->spool = NULL;
}

struct input *client_input_new(struct client *client)
{
	client->sink = (struct input_sink){.begin = body_begin, .data = body_data, .end = body_end};
	return input_new(&client->sink);
}

/* Whether it answers a command in flight, or is about the mailbox that one is about. */
static bool take_answer(struct client *client, struct response *response)
{
	struct view *view;

	if (offer(client, response))
		return true;
	view = current_view(client);
	return view != NULL && view_take(view, response);
}

static void take_untagged(struct client *client, struct response *response)
{

	if (response->type == RESPONSE_CONDITION && response->condition == CONDITION_BYE &&
		client->loss.bye == NULL)
		client->loss.bye = slice_dup(response->text);
	if (response->type == RESPONSE_CONDITION && response->code == CODE_CLOSED) {
		leave_mailbox(client);
		client->selected.closed_seen = true;
		return;
	}
	if (take_answer(client, response)) {
		patience_proven(&client->progress.patience);
		return;
	}
	if (response->type == RESPONSE_CONDITION && response->condition == CONDITION_OK)
		patience_told(&client->progress.patience, ev_now(client->loop->ev));
	if (client->owner->untagged != NULL)
		client->owner->untagged(client->owner, response);
}

static void dispatch(struct client *client)
{
	struct response *response = &client->response;
	size_t len;
	char *text = input_response(client->input, &len);

	log_debug((&(struct log_context){.side = client->name}), "S: %.*s",
		(int)(len < LOGGED_BYTES ? len : LOGGED_BYTES), text);
	if (!response_parse(response, text, len)) {
		client_fail(client, "the server sent something that is not IMAP: %.*s",
			(int)(len < 80 ? len : 80), text);
		return;
	}
	if (response->code == CODE_CAPABILITY || response->type == RESPONSE_CAPABILITY)
		client->owner->capabilities(client->owner, response);
	if (response->code == CODE_ALERT && client->owner->alert != NULL)
		client->owner->alert(client->owner, response->text);
	if (response->type == RESPONSE_CONTINUATION)
		take_continuation(client, response);
	else if (response->tag.len > 0)
		take_tagged(client, response);
	else
		take_untagged(client, response);
}

/* What these bytes say about the answer that is waited for: those of a message that was asked for
 * are of it; what else a response is, its end tells. */
static void note_progress(struct client *client, size_t used)
{
	ev_tstamp now = ev_now(client->loop->ev);
	uint64_t bodies = input_body_bytes(client->input), new = bodies - client->progress.bodies;

	client->progress.bodies = bodies;
	patience_body(&client->progress.patience, now, new);
	patience_reading(&client->progress.patience, now, used > new ? used - new : 0);
}

/* Parses what was read.  A completion may start TLS or DEFLATE, or fail the client: then the rest
 * is not for us. */
static void parse(struct client *client)
{
	while (buf_len(&client->received) > 0 && client->loss.reason == NULL &&
		client->stream != NULL) {
		size_t used = 0;
		enum input_result result = input_feed(client->input, buf_data(&client->received),
			buf_len(&client->received), &used);

		buf_consume(&client->received, used);
		note_progress(client, used);
		if (result == INPUT_ERROR)
			client_fail(client, "%s", input_error(client->input));
		if (result == INPUT_RESPONSE) {
			dispatch(client);
			patience_dropped(&client->progress.patience); /* unless it was proven */
		}
	}
}

void client_receive(struct client *client)
{
	size_t room = buf_room(&client->received);
	ssize_t n = stream_recv(client->stream, buf_reserve(&client->received, room), room);

	if (n == -EAGAIN)
		return;
	if (n == 0) {
		client->loss.ended = true;
		client_line_lost(client, "the server closed the connection");
		return;
	}
	if (n < 0) {
		client_line_lost(client, stream_error(client->stream));
		return;
	}
	buf_commit(&client->received, (size_t)n);
	parse(client);
}
