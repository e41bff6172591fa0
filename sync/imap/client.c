/* SPDX-License-Identifier: MIT */
#include "sync/imap/client.h"

#include <assert.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <utlist.h>

#include "sync/base/limits.h"
#include "sync/base/log.h"
#include "sync/base/spool.h"
#include "sync/base/xalloc.h"
#include "sync/imap/client-private.h"
#include "sync/imap/view.h"

/* What it takes of LIMIT_IN_FLIGHT. */
static size_t weight(const struct command *command)
{
	enum { TAG_AND_END = 13 };

	return buf_len(&command->bytes) + TAG_AND_END;
}

/*
 * Whether the server can take it in while the commands before it are not done.
 *
 * Dovecot lets a command wait for those before it (SELECT, say, for a FETCH whose answer we have
 * not read yet).  If what comes behind fills its input buffer meanwhile (64 KiB), it takes that for
 * arguments that are too long, refuses the command, and goes on with the next line as a command,
 * even if that is a message's text; or it panics (seen with 2.3.19.1).  So what is in flight fits
 * into half of that buffer, and a message has nothing but messages before it.
 */
static bool can_follow(const struct client *client, const struct command *command)
{
	if (command->has_spool)
		return client->in_flight.commands == client->in_flight.spools;
	return client->in_flight.weight + weight(command) <= LIMIT_IN_FLIGHT;
}

void client_sent(struct client *client, struct command *command)
{
	client->in_flight.commands++;
	client->in_flight.spools += command->has_spool;
	client->in_flight.weight += weight(command);
}

static void forget_sent(struct client *client, const struct command *command)
{
	client->in_flight.commands--;
	client->in_flight.spools -= command->has_spool;
	client->in_flight.weight -= weight(command);
}

/* The reasons not to begin with another command. */
bool client_may_send(const struct client *client)
{
	const struct command *last;

	if (client->stream == NULL || client->loss.reason != NULL || client->sending == NULL)
		return false;
	if (client->awaiting)
		return false;
	if (client->sending->piece > 0 || client->sending->announced ||
		client->sending->piece_offset > 0)
		return true; /* it has begun: the rest must follow whatever the reasons below */
	if (client->idle != IDLE_NONE && client->idle != IDLE_ENDING)
		return false;
	if (client->in_flight.commands == 0)
		return true;
	last = client->sending->prev;
	if (last->kind == COMMAND_ALONE)
		return false;
	if (client->sending->kind == COMMAND_ALONE)
		return false;
	return can_follow(client, client->sending);
}

/* What is in flight when the line goes may or may not have been carried out; what never began
 * surely was not. */
static enum outcome outcome_of_loss(const struct client *client, const struct command *command)
{
	for (const struct command *c = client->sending; c != NULL; c = c->next)
		if (c == command)
			return command->piece == 0 && command->piece_offset == 0 ? OUTCOME_CANCELLED
										 : OUTCOME_LOST;
	return OUTCOME_LOST;
}

/* If any command is why the line went, it is this one. */
static void mark_oldest(struct client *client)
{
	struct command *command = client->queue;

	while (command != NULL && command->kind == COMMAND_IDLE)
		command = command->next;
	if (command != NULL && outcome_of_loss(client, command) == OUTCOME_LOST)
		command->was_oldest = true;
}

static void complete_all(struct client *client)
{
	while (client->queue != NULL) {
		struct command *command = client->queue;

		client_complete(client, command, outcome_of_loss(client, command));
	}
}

static void lose(struct client *client)
{
	_cleanup_free_ char *reason = take(client->loss.reason);

	client->loss.over = true;
	ev_timer_stop(client->loop->ev, &client->progress.silence);
	client->stream = stream_free(client->stream);
	client->spool = NULL;
	client->selected.view = client->selected.last_view = NULL;
	mark_oldest(client);
	complete_all(client);
	if (client->owner->lost != NULL)
		client->owner->lost(client->owner, reason);
}

static enum step pump(struct task *task)
{
	struct client *client = container_of(task, struct client, pump);

	if (client->loss.over) {
		complete_all(client); /* submitted after the loss */
		return STEP_WAIT;
	}
	if (client->loss.reason != NULL) {
		lose(client); /* the owner may have freed the client */
		return STEP_WAIT;
	}
	if (client->stream != NULL)
		client_send_more(client);
	return STEP_WAIT;
}

/* What has left this machine since it was looked at last: a message may take long to send. */
static void earn_delivered(struct client *client)
{
	uint64_t delivered = stream_bytes_delivered(client->stream);

	if (delivered > client->progress.delivered)
		patience_sent(&client->progress.patience, ev_now(client->loop->ev),
			delivered - client->progress.delivered);
	client->progress.delivered = delivered;
}

static void give_up(struct client *client)
{
	_cleanup_free_ char *what = command_verb(client->queue);
	_cleanup_free_ char *reason =
		patience_reason(&client->progress.patience, ev_now(client->loop->ev), what);

	client->loss.silent = true;
	client_fail(client, "%s", reason);
}

static void on_silence(struct ev_loop *ev, ev_timer *timer, int revents)
{
	struct client *client = container_of(timer, struct client, progress.silence);
	ev_tstamp left;

	earn_delivered(client);
	left = client->progress.patience.until - ev_now(ev);
	if (left <= 0 && !client_is_idle(client)) {
		give_up(client);
		return;
	}
	/* Re-armed lazily: what happens only moves the end. */
	timer->repeat = left > 0 ? left : client->progress.patience.most;
	ev_timer_again(ev, timer);
}

static void on_stream(struct stream_handler *handler, enum stream_event event)
{
	struct client *client = container_of(handler, struct client, stream_handler);

	switch (event) {
	case STREAM_UP:
		log_debug((&(struct log_context){.side = client->name}), "%s",
			stream_tls_description(client->stream));
		task_wake(&client->pump);
		break;
	case STREAM_READABLE:
		client_receive(client);
		break;
	case STREAM_WRITABLE:
		task_wake(&client->pump);
		break;
	case STREAM_LOST:
		client_line_lost(client, stream_error(client->stream));
		break;
	}
}

struct client *client_new(struct loop *loop, const char *name, struct client_owner *owner)
{
	struct client *client = xcalloc(1, sizeof(*client));

	client->loop = loop;
	client->name = name;
	client->owner = owner;
	client->stream_handler.event = on_stream;
	client->input = client_input_new(client);
	response_init(&client->response);
	buf_init(&client->received, LIMIT_READ);
	buf_init(&client->out, LIMIT_OUTPUT);
	task_init(&client->pump, loop, pump, NULL);
	ev_init(&client->progress.silence, on_silence);
	ev_set_priority(&client->progress.silence, EV_MINPRI); /* what has come is read before */
	client->progress.patience.most = LIMIT_SILENCE_SECONDS;
	return client;
}

struct client *client_free(struct client *client)
{
	if (client == NULL)
		return NULL;
	client->loss.over = true;
	complete_all(client);
	task_cancel(&client->pump);
	ev_timer_stop(client->loop->ev, &client->progress.silence);
	stream_free(client->stream);
	input_free(client->input);
	response_done(&client->response);
	buf_done(&client->received);
	buf_wipe(&client->out);
	free(client->loss.bye);
	free(client->loss.reason);
	free(client);
	return NULL;
}

void client_attach(struct client *client, int own_fd)
{
	assert(client->stream == NULL && !client->loss.over);
	client->stream = stream_new(client->loop, own_fd, &client->stream_handler);
	client_be_patient(client);
	client->progress.silence.repeat = client->progress.patience.most;
	ev_timer_again(client->loop->ev, &client->progress.silence);
	task_wake(&client->pump);
}

void client_be_patient(struct client *client)
{
	if (client->stream == NULL)
		return;
	client->progress.delivered = stream_bytes_delivered(client->stream);
	patience_begin(&client->progress.patience, ev_now(client->loop->ev));
}

void client_set_patience(struct client *client, unsigned seconds)
{
	client->progress.patience.most = seconds;
}

bool client_was_silent(const struct client *client)
{
	return client->loss.silent;
}

bool client_was_ended(const struct client *client)
{
	return client->loss.ended || client->loss.bye != NULL;
}

struct stream *client_stream(struct client *client)
{
	return client->stream;
}

void client_start_tls(struct client *client, const struct tls_context *context, const char *host)
{
	/* RFC 9051 section 6.2.1: nothing may be carried over from the clear text. */
	if (buf_len(&client->received) > 0) {
		client_fail(client,
			"the server sent data before the TLS handshake that does not belong there");
		return;
	}
	stream_start_tls_client(client->stream, context, host);
}

void client_start_deflate(struct client *client)
{
	int r = stream_start_deflate(
		client->stream, buf_data(&client->received), buf_len(&client->received));

	buf_clear(&client->received);
	if (r < 0)
		client_fail(client, "cannot start compression: %s", strerror(-r));
}

void client_set_literal_mode(struct client *client, enum literal_mode mode)
{
	client->literals = mode;
}

void client_submit(struct client *client, struct command *command)
{
	if (client_is_idle(client))
		client_be_patient(client);
	command->outcome = OUTCOME_PENDING;
	command->tag = ++client->last_tag;
	DL_APPEND(client->queue, command);
	if (client->sending == NULL)
		client->sending = command;
	if (command->kind == COMMAND_SELECT) {
		client->selected.last_view = command->view;
		client->selected.last_any = true;
		view_reset(command->view);
	} else if (command->kind == COMMAND_UNSELECT || command->kind == COMMAND_LEAVE) {
		client->selected.last_view = NULL;
		client->selected.last_any = false;
	}
	/* After a loss the pump completes it, so that the caller hears of it from the loop, as
	 * always. */
	task_wake(&client->pump);
	if (client->loss.over && client->loss.reason == NULL)
		client->loss.reason = xstrdup("the connection was lost");
}

/* A spool may outlive the command, and go on growing. */
static void leave_spools(struct command *command)
{
	for (size_t i = 0; i < command->pieces_count; i++)
		if (command->pieces[i].type == PIECE_SPOOL)
			spool_on_growth(command->pieces[i].spool, NULL, NULL);
}

void client_complete(struct client *client, struct command *command, enum outcome outcome)
{
	if (client->queue == command)
		client_be_patient(client);
	if (client->sending == command)
		client->sending = command->next;
	else if (outcome != OUTCOME_CANCELLED && client->in_flight.commands > 0)
		forget_sent(client, command);
	DL_DELETE(client->queue, command);
	if (command->kind == COMMAND_IDLE)
		client->idle = IDLE_NONE;
	leave_spools(command);
	command->outcome = outcome;
	command->complete(command);
	if (!client->loss.over)
		task_wake(&client->pump);
}

bool client_is_idle(const struct client *client)
{
	for (const struct command *c = client->queue; c != NULL; c = c->next)
		if (c->kind != COMMAND_IDLE || client->idle == IDLE_SHORT ||
			client->idle == IDLE_ENDING)
			return false;
	return true;
}

bool client_is_flushed(const struct client *client)
{
	return client->stream == NULL || (client->sending == NULL && buf_len(&client->out) == 0 &&
						 stream_is_drained(client->stream));
}

const struct spool *client_awaited_body(const struct client *client)
{
	const struct command *command = client->sending;

	if (command == NULL || !command->announced || client->awaiting ||
		command->pieces[command->piece].type != PIECE_SPOOL)
		return NULL;
	return command->pieces[command->piece].spool;
}

bool client_receives(const struct client *client, const struct spool *body)
{
	return body != NULL && client->spool == body;
}

/* It is connected, and nothing of what it does is due at once. */
enum client_wait client_waits_for(const struct client *client)
{
	if (client->pump.queued)
		return CLIENT_WOKEN;
	if (client->loss.over)
		return client->queue == NULL ? CLIENT_RESTS : CLIENT_STUCK;
	if (client->stream == NULL)
		return client->loss.reason == NULL ? CLIENT_CONNECTS : CLIENT_STUCK;
	if (client->loss.reason != NULL || !stream_is_listening(client->stream) ||
		!ev_is_active(&client->progress.silence))
		return CLIENT_STUCK;
	/* What is sent behind STARTTLS waits for the end of the handshake. */
	if (buf_len(&client->out) > 0)
		return stream_is_handshaking(client->stream) || stream_awaits_room(client->stream)
			       ? CLIENT_ROOM
			       : CLIENT_STUCK;
	if (client_may_send(client))
		return client_awaited_body(client) != NULL ? CLIENT_BODY : CLIENT_STUCK;
	return client_is_idle(client) ? CLIENT_RESTS : CLIENT_ANSWER;
}

void client_each_command(const struct client *client,
	void (*visit)(const struct command *command, bool sent, void *context), void *context)
{
	bool sent = true;

	for (const struct command *c = client->queue; c != NULL; c = c->next) {
		sent &= c != client->sending;
		visit(c, sent, context);
	}
}

/* The server's last words say more than how the line went. */
void client_line_lost(struct client *client, const char *reason)
{
	if (client->loss.bye != NULL)
		client_fail(client, "the server ended the connection: %s", client->loss.bye);
	else
		client_fail(client, "%s", reason);
}

void client_fail(struct client *client, const char *fmt, ...)
{
	_cleanup_free_ char *reason = NULL;
	va_list ap;

	if (client->loss.reason != NULL || client->loss.over)
		return;
	va_start(ap, fmt);
	reason = xvasprintf(fmt, ap);
	va_end(ap);
	client->loss.reason =
		client->loss.bye != NULL
			? xasprintf("the server ended the connection: %s", client->loss.bye)
			: take(reason);
	if (client->stream != NULL) {
		stream_want_read(client->stream, false);
		stream_want_write(client->stream, false);
	}
	task_wake(&client->pump);
}

struct view *client_last_view(const struct client *client)
{
	return client->selected.last_view;
}

bool client_selects(const struct client *client)
{
	return client->selected.last_any;
}

void client_forget_view(struct client *client, struct view *view)
{
	if (client->selected.view == view)
		client->selected.view = NULL;
	if (client->selected.last_view == view)
		client->selected.last_view = NULL;
	for (struct command *c = client->queue; c != NULL; c = c->next)
		if (c->view == view)
			c->view = NULL;
}

struct stream *client_release_stream(struct client *client, struct buf *ret_leftover)
{
	size_t partial_len;
	const char *partial = input_partial(client->input, &partial_len);

	assert(client->stream != NULL && buf_len(&client->out) == 0);
	buf_init(ret_leftover, LIMIT_READ + partial_len);
	(void)buf_append(ret_leftover, partial, partial_len);
	(void)buf_append(ret_leftover, buf_data(&client->received), buf_len(&client->received));
	buf_clear(&client->received);
	ev_timer_stop(client->loop->ev, &client->progress.silence);
	client->loss.over = true;
	return take(client->stream);
}
