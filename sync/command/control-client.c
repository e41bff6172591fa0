/* SPDX-License-Identifier: MIT */
#include "sync/command/control-client.h"

#include <errno.h>
#include <ev.h>
#include <stdlib.h>

#include "sync/base/buf.h"
#include "sync/base/limits.h"
#include "sync/base/log.h"
#include "sync/base/loop.h"
#include "sync/base/xalloc.h"
#include "sync/command/control-request.h"
#include "sync/command/control-status.h"
#include "sync/command/control-wire.h"
#include "sync/net/stream.h"

enum { SILENCE = 30 }; /* seconds until a service that says nothing at all is given up */

struct control_client {
	struct loop *loop;
	struct control_client_owner *owner;
	struct stream *stream;
	struct stream_handler handler;
	struct control_input input;
	struct buf output;
	struct ev_timer silence; /* before the first answer */
	bool as_json;
	bool over;
};

static void finish(struct control_client *client, bool complete)
{
	if (client->over)
		return;
	client->over = true;
	ev_timer_stop(client->loop->ev, &client->silence);
	stream_want_read(client->stream, false);
	stream_want_write(client->stream, false);
	client->owner->finished(client->owner, complete);
}

static void fail(struct control_client *client, const char *reason)
{
	log_error(NULL, "%s", reason);
	finish(client, false);
}

/* --- What the service says --- */

static void pass_on(const json_t *object)
{
	_cleanup_free_ char *line = control_text_value(json_object_get(object, "line"));
	json_int_t level = json_integer_value(json_object_get(object, "level"));

	if (line != NULL && level >= LOG_LEVEL_ERROR && level <= LOG_LEVEL_DEBUG)
		log_pass_on((enum log_level)level, line);
}

/* What it does not know, a newer service may say. */
static void take_answer(struct control_client *client, const json_t *object)
{
	const json_t *done = json_object_get(object, "done");
	const json_t *status = json_object_get(object, "status");
	_cleanup_free_ char *error = control_text_value(json_object_get(object, "error"));
	_cleanup_free_ char *waiting = control_text_value(json_object_get(object, "waiting"));

	if (json_is_boolean(done)) {
		finish(client, json_is_true(done));
	} else if (json_is_object(status)) {
		control_status_print(status, client->as_json);
		finish(client, true);
	} else if (error != NULL) {
		fail(client, error);
	} else if (waiting != NULL) {
		log_info(NULL, "the service has not begun with this yet: %s", waiting);
	} else {
		pass_on(object);
	}
}

static void take_answers(struct control_client *client)
{
	_cleanup_free_ char *reason = NULL;
	json_t *object = NULL;
	int r = 0;

	while (!client->over && (r = control_input_next(&client->input, &object, &reason)) > 0) {
		take_answer(client, object);
		json_decref(object);
	}
	if (r < 0)
		fail(client, "the service answers in a way that this program does not know: is it "
			     "of another version?");
}

/* --- The connection --- */

static void receive(struct control_client *client)
{
	static char data[LIMIT_READ];
	ssize_t n = stream_recv(client->stream, data, sizeof(data));

	if (n == 0) {
		fail(client, "the service has ended before it was done");
	} else if (n > 0) {
		ev_timer_stop(client->loop->ev, &client->silence);
		if (control_input_feed(&client->input, data, (size_t)n))
			take_answers(client);
		else
			fail(client, "the service answers with a line that has no end");
	}
}

static void send_request(struct control_client *client)
{
	struct buf *output = &client->output;

	while (buf_len(output) > 0) {
		ssize_t sent = stream_send(client->stream, buf_data(output), buf_len(output));

		if (sent <= 0)
			return; /* until there is room; or STREAM_LOST follows */
		buf_consume(output, (size_t)sent);
	}
	stream_want_write(client->stream, false);
}

static void on_event(struct stream_handler *handler, enum stream_event event)
{
	struct control_client *client = container_of(handler, struct control_client, handler);

	if (client->over)
		return;
	if (event == STREAM_LOST)
		fail(client, "the connection to the service was lost before it was done");
	else if (event == STREAM_READABLE)
		receive(client);
	else if (event == STREAM_WRITABLE)
		send_request(client);
}

static void on_silence(struct ev_loop *ev, struct ev_timer *timer, int revents)
{
	fail(container_of(timer, struct control_client, silence),
		"a service has the database, and does not answer");
}

struct control_client *control_client_new(struct loop *loop, int own_fd,
	const struct control_request *request, bool as_json, struct control_client_owner *owner)
{
	struct control_client *client = xcalloc(1, sizeof(*client));

	client->loop = loop;
	client->owner = owner;
	client->as_json = as_json;
	client->handler.event = on_event;
	client->stream = stream_new(loop, own_fd, &client->handler);
	control_input_init(&client->input, LIMIT_CONTROL_OUTPUT + LIMIT_READ);
	/* The command line is long enough for the system to have taken it: the service judges. */
	buf_init(&client->output, LIMIT_CONTROL_OUTPUT);
	(void)control_put(&client->output, control_request_object(request));
	stream_want_write(client->stream, true);
	ev_timer_init(&client->silence, on_silence, SILENCE, 0);
	ev_timer_start(loop->ev, &client->silence);
	return client;
}

struct control_client *control_client_free(struct control_client *client)
{
	if (client == NULL)
		return NULL;
	ev_timer_stop(client->loop->ev, &client->silence);
	stream_free(client->stream);
	control_input_done(&client->input);
	buf_done(&client->output);
	free(client);
	return NULL;
}
