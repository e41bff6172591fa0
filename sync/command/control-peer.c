/* SPDX-License-Identifier: MIT */
/*
 * One caller: a request, then answers until it is done.  An order that has begun outlives its
 * caller, since the engine carries it out to its end; one that has not is taken back.
 *
 * Lines of the log come from wherever something is logged: there they are only put into the
 * buffer.  Everything else happens on the loop.
 */
#include <errno.h>
#include <stdlib.h>
#include <utlist.h>

#include "sync/base/buf.h"
#include "sync/base/limits.h"
#include "sync/base/xalloc.h"
#include "sync/command/control-private.h"
#include "sync/command/control-request.h"
#include "sync/command/control-status.h"
#include "sync/command/control-wire.h"
#include "sync/config/account.h"
#include "sync/engine/order.h"
#include "sync/engine/status.h"
#include "sync/net/stream.h"

enum { PATIENCE = 2 }; /* seconds before a caller is told that it waits, and for what */

struct control_peer {
	struct control_peer *prev, *next;
	struct control *control;
	struct stream *stream;
	struct stream_handler handler;
	struct control_input input;
	struct buf output;
	struct ev_timer idle; /* it does not ask, or does not read the end */
	struct control_order *order; /* or NULL */
	bool answered; /* nothing follows what is in `output` */
	bool too_slow; /* something did not fit into it */
};

struct control_order {
	struct control_order *prev, *next;
	struct control *control;
	struct control_peer *peer; /* NULL: gone */
	struct control_request request;
	struct engine_order order;
	struct ev_timer patience;
	bool begun;
};

/* --- Saying --- */

/* It does not read, so that no event of the stream would come. */
static void drop_soon(struct control_peer *peer)
{
	peer->too_slow = true;
	ev_timer_stop(peer->control->loop->ev, &peer->idle);
	ev_timer_set(&peer->idle, 0, 0);
	ev_timer_start(peer->control->loop->ev, &peer->idle);
}

static void put(struct control_peer *peer, json_t *own_object)
{
	if (peer->too_slow)
		json_decref(own_object);
	else if (!control_put(&peer->output, own_object))
		drop_soon(peer);
	else
		stream_want_write(peer->stream, true);
}

static void put_line(struct control_peer *peer, enum log_level level, const char *line)
{
	if (buf_len(&peer->output) > LIMIT_CONTROL_LINES)
		drop_soon(peer);
	else
		put(peer, json_pack("{s:i, s:o}", "level", level, "line", control_text(line)));
}

/* The last line. */
static void put_end(struct control_peer *peer, json_t *own_object)
{
	put(peer, own_object);
	peer->answered = true;
	if (!peer->too_slow)
		ev_timer_again(peer->control->loop->ev, &peer->idle);
}

void control_peer_refuse(struct control_peer *peer, const char *reason)
{
	put_end(peer, json_pack("{s:o}", "error", control_text(reason)));
}

void control_peer_say_goodbye(struct control_peer *peer)
{
	if (!peer->answered)
		control_peer_refuse(peer, "the service has ended before it was done");
}

/* False: the connection is gone, or all is said. */
static bool send_output(struct control_peer *peer)
{
	struct buf *output = &peer->output;

	while (buf_len(output) > 0) {
		ssize_t sent = stream_send(peer->stream, buf_data(output), buf_len(output));

		if (sent == -EAGAIN)
			return true;
		if (sent < 0)
			return false;
		buf_consume(output, (size_t)sent);
		if (ev_is_active(&peer->idle))
			ev_timer_again(peer->control->loop->ev, &peer->idle);
	}
	stream_want_write(peer->stream, false);
	return !peer->answered;
}

/* --- Orders --- */

static void free_order(struct control_order *order)
{
	ev_timer_stop(order->control->loop->ev, &order->patience);
	if (order->peer != NULL)
		order->peer->order = NULL;
	DL_DELETE(order->control->orders, order);
	order->control->order_count--;
	control_request_done(&order->request);
	free(order);
}

void control_orders_free(struct control *control)
{
	struct control_order *order, *next;

	DL_FOREACH_SAFE (control->orders, order, next)
		free_order(order);
}

static void on_line(struct engine_order *order_, enum log_level level, const char *line)
{
	struct control_order *order = container_of(order_, struct control_order, order);

	if (order->peer != NULL)
		put_line(order->peer, level, line);
}

static void on_begun(struct engine_order *order_)
{
	struct control_order *order = container_of(order_, struct control_order, order);

	order->begun = true;
	ev_timer_stop(order->control->loop->ev, &order->patience);
	if (order->peer != NULL)
		put(order->peer, json_pack("{s:b}", "begun", 1));
}

static void on_done(struct engine_order *order_, bool complete)
{
	struct control_order *order = container_of(order_, struct control_order, order);

	if (order->peer != NULL)
		put_end(order->peer, json_pack("{s:b}", "done", complete));
	free_order(order);
}

static void on_impatient(struct ev_loop *ev, struct ev_timer *timer, int revents)
{
	struct control_order *order = container_of(timer, struct control_order, patience);

	if (order->peer != NULL)
		put(order->peer, json_pack("{s:s}", "waiting",
					 engine_order_waits_for(order->control->engine)));
}

static void submit(struct control_peer *peer, const struct control_request *own_request)
{
	struct control *control = peer->control;
	struct control_order *order = xcalloc(1, sizeof(*order));

	order->control = control;
	order->peer = peer;
	order->request = *own_request;
	order->order = (struct engine_order){
		.job = own_request->job,
		.level = own_request->level,
		.line = on_line,
		.begun = on_begun,
		.done = on_done,
	};
	peer->order = order;
	DL_APPEND(control->orders, order);
	control->order_count++;
	ev_timer_init(&order->patience, on_impatient, PATIENCE, 0);
	ev_timer_start(control->loop->ev, &order->patience);
	engine_order_submit(control->engine, &order->order);
}

static void leave_order(struct control_order *order)
{
	order->peer = NULL;
	if (!order->begun && order->control->engine != NULL &&
		engine_order_withdraw(order->control->engine, &order->order))
		free_order(order);
}

/* --- Hearing --- */

static void answer_status(struct control_peer *peer)
{
	struct control *control = peer->control;
	struct client_counter *counter = control->counter;
	struct engine_status status;
	json_t *object;

	engine_status_take(control->engine, &status);
	object = control_status_object(&status, control->account->database,
		counter != NULL ? (long)counter->count(counter) : -1);
	engine_status_done(&status);
	put_end(peer, json_pack("{s:o}", "status", object));
}

static void take_request(struct control_peer *peer, json_t *own_object)
{
	_cleanup_free_ char *reason = NULL;
	struct control_request request;
	int r = control_request_parse(own_object, &request, &reason);

	json_decref(own_object);
	ev_timer_stop(peer->control->loop->ev, &peer->idle);
	if (r < 0) {
		control_peer_refuse(peer, reason);
	} else if (request.job.kind == JOB_STATUS) {
		control_request_done(&request);
		answer_status(peer);
	} else if (peer->control->order_count >= LIMIT_CONTROL_PEERS) {
		control_request_done(&request);
		control_peer_refuse(peer, "too many commands wait for this service");
	} else {
		submit(peer, &request);
	}
}

/* There is one request a connection: what follows it is not looked at. */
static void hear(struct control_peer *peer, const char *data, size_t n)
{
	_cleanup_free_ char *reason = NULL;
	json_t *object = NULL;
	int r;

	if (peer->answered || peer->order != NULL)
		return;
	if (!control_input_feed(&peer->input, data, n)) {
		control_peer_refuse(peer, "the request is too long");
		return;
	}
	r = control_input_next(&peer->input, &object, &reason);
	if (r > 0)
		take_request(peer, object);
	else if (r < 0)
		control_peer_refuse(peer, reason);
}

/* False: it has gone, as one that is interrupted does, and wants no answer any more. */
static bool receive(struct control_peer *peer)
{
	char data[4096];
	ssize_t n = stream_recv(peer->stream, data, sizeof(data));

	if (n > 0)
		hear(peer, data, (size_t)n);
	return n > 0 || n == -EAGAIN || (n == 0 && peer->answered);
}

static void on_event(struct stream_handler *handler, enum stream_event event)
{
	struct control_peer *peer = container_of(handler, struct control_peer, handler);
	bool good = !peer->too_slow && event != STREAM_LOST;

	if (good && event == STREAM_READABLE)
		good = receive(peer);
	else if (good && event == STREAM_WRITABLE)
		good = send_output(peer);
	if (!good)
		control_peer_free(peer);
}

static void on_idle(struct ev_loop *ev, struct ev_timer *timer, int revents)
{
	control_peer_free(container_of(timer, struct control_peer, idle));
}

struct control_peer *control_peer_new(struct control *control, int own_fd)
{
	struct control_peer *peer = xcalloc(1, sizeof(*peer));

	peer->control = control;
	peer->handler.event = on_event;
	peer->stream = stream_new(control->loop, own_fd, &peer->handler);
	control_input_init(&peer->input, LIMIT_CONTROL_REQUEST);
	buf_init(&peer->output, LIMIT_CONTROL_OUTPUT);
	ev_timer_init(&peer->idle, on_idle, LIMIT_CONTROL_SECONDS, LIMIT_CONTROL_SECONDS);
	ev_timer_start(control->loop->ev, &peer->idle);
	DL_APPEND(control->peers, peer);
	control->peer_count++;
	return peer;
}

struct control_peer *control_peer_next(const struct control_peer *peer)
{
	return peer->next;
}

void control_peer_free(struct control_peer *peer)
{
	struct control *control = peer->control;

	(void)send_output(peer);
	if (peer->order != NULL)
		leave_order(peer->order);
	ev_timer_stop(control->loop->ev, &peer->idle);
	DL_DELETE(control->peers, peer);
	control->peer_count--;
	stream_free(peer->stream);
	control_input_done(&peer->input);
	buf_done(&peer->output);
	free(peer);
}
