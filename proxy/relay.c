/* SPDX-License-Identifier: MIT */
/*
 * Two pumps, `up` to the store and `down` to the client, and how each side ends:
 *
 *   the client ends    the store sees the end after the client's last byte, answers what it was
 *                      asked, and ends; only then is it over.  If the client cannot be written to
 *                      any more, the answers are read and dropped.
 *   the store ends     the client gets what came before, a BYE if there was none, and the end. Then
 *                      we read on for a moment: closing with unread input would reset the
 *                      connection, and the client might never see the last bytes.
 *   neither            they cannot be followed any more: as if the store had ended.
 */
#include "proxy/relay.h"

#include <errno.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "proxy/capabilities.h"
#include "proxy/observer.h"
#include "sync/base/buf.h"
#include "sync/base/limits.h"
#include "sync/base/loop.h"
#include "sync/base/xalloc.h"
#include "sync/net/stream.h"

#define NUDGE_PAUSE_SECONDS 0.05

struct pump {
	struct stream *from, *to;
	struct buf pending; /* read and looked at, not yet taken by `to` */
	bool ended; /* nothing more will be read */
	bool shut; /* … and `to` knows */
};

struct relay {
	struct loop *loop;
	struct task task; /* wakes when it is over */
	struct relay_handler *handler;
	struct stream_handler client_events, store_events;
	struct stream *client, *store;
	struct observer *observer;
	struct pump up, down;
	struct buf unread; /* of the client: the store has to speak first */
	struct buf held; /* head of a client's command that may have to be refused */
	struct buf head; /* of a line from the store that may be the answer to a nudge */
	bool nudging, idle_ended; /* a nudge is under way; its first answer has come */
	bool nudge_again;
	struct ev_timer nudge_pause; /* many changes in a row are told together */
	bool overrun; /* the client goes on asking without reading what it is told */
	struct buf answers; /* ours, to go between two of the store's responses */
	struct capability_filter filter;
	struct ev_timer timer; /* patience with the side that is left */
	bool client_lost, store_gone;
	char *reason;
};

/* What is read is looked at and written before the next read: one place is enough for all. */
static char scratch[LIMIT_RELAY];

static void finish(struct relay *relay)
{
	task_wake(&relay->task);
}

static void be_patient(struct relay *relay, double seconds)
{
	ev_timer_stop(relay->loop->ev, &relay->timer);
	ev_timer_set(&relay->timer, seconds, 0);
	ev_timer_start(relay->loop->ev, &relay->timer);
}

static void on_timer(struct ev_loop *ev, struct ev_timer *timer, int revents)
{
	finish(container_of(timer, struct relay, timer));
}

/* Nobody is left to write to: what waits is forgotten. */
static bool is_deaf(const struct relay *relay, const struct pump *pump)
{
	return pump == &relay->down ? relay->client_lost : relay->store_gone;
}

/* Nothing is read from the client for now. */
static bool is_paused(const struct relay *relay)
{
	return relay->nudging || buf_len(&relay->unread) > 0;
}

static void pump_wait(struct relay *relay, struct pump *pump)
{
	bool waiting = buf_len(&pump->pending) > 0;

	stream_want_write(pump->to, waiting);
	if (!pump->ended)
		stream_want_read(pump->from, !waiting && !(pump == &relay->up && is_paused(relay)));
	if (waiting)
		return;
	buf_done(&pump->pending); /* most connections are idle most of the time */
	if (pump->ended && !pump->shut) {
		pump->shut = true;
		stream_shutdown(pump->to);
	}
}

/* Writes what is pending, as far as it goes. */
static void pump_flush(struct relay *relay, struct pump *pump)
{
	ssize_t sent = 1;

	if (is_deaf(relay, pump)) {
		buf_done(&pump->pending);
		return;
	}
	while (sent > 0 && buf_len(&pump->pending) > 0) {
		sent = stream_send(pump->to, buf_data(&pump->pending), buf_len(&pump->pending));
		if (sent > 0)
			buf_consume(&pump->pending, (size_t)sent);
	}
	stream_flush(pump->to);
	pump_wait(relay, pump);
}

/* Queues bytes; those of a whole read that are the first in line are written without a copy. */
static void pump_add(struct relay *relay, struct pump *pump, const char *data, size_t n, bool whole)
{
	ssize_t sent = 0;

	if (is_deaf(relay, pump))
		return;
	if (whole && buf_len(&pump->pending) == 0)
		sent = stream_send(pump->to, data, n);
	if (sent < 0)
		sent = 0; /* full; or lost, which comes as an event */
	(void)buf_append(&pump->pending, data + sent, n - (size_t)sent);
}

static void insert_answers(struct relay *relay)
{
	if (buf_len(&relay->answers) == 0 || !observer_between(relay->observer) ||
		buf_len(&relay->down.pending) > LIMIT_RELAY)
		return;
	pump_add(relay, &relay->down, buf_data(&relay->answers), buf_len(&relay->answers), false);
	buf_done(&relay->answers);
}

/* All was written, or as much as the client had the time to take. */
static void finish_when_written(struct relay *relay)
{
	if (buf_len(&relay->down.pending) == 0 && stream_is_drained(relay->client))
		finish(relay);
	else
		be_patient(relay, LIMIT_LINGER_SECONDS);
}

/* The client will send no more. */
static void client_ended(struct relay *relay)
{
	struct pump *up = &relay->up;

	stream_want_read(relay->client, false);
	if (!up->ended) {
		up->ended = true;
		/* A store might take the beginning of a line for all of it. */
		buf_done(&relay->held);
		buf_done(&relay->unread);
		pump_flush(relay, up);
	}
	if (relay->store_gone)
		finish_when_written(relay);
}

/* The client will not take anything any more, either. */
static void client_lost(struct relay *relay)
{
	relay->client_lost = true;
	buf_done(&relay->down.pending);
	if (relay->store_gone) {
		finish(relay);
		return;
	}
	stream_want_read(relay->store, true);
	client_ended(relay);
	be_patient(relay, LIMIT_STORE_END_SECONDS);
}

static bool refuse(struct relay *relay)
{
	return buf_printf(&relay->answers, "%s %s\r\n", observer_refused_tag(relay->observer),
		observer_refusal(relay->observer));
}

/* What the observer lets pass of it now; returns how much has been used. */
static size_t feed_up(struct relay *relay, const char *data, size_t n)
{
	size_t at = 0;

	while (at < n && !relay->overrun) {
		enum observer_verdict verdict;
		size_t used = observer_client(relay->observer, data + at, n - at, &verdict);

		if (verdict == OBSERVER_WAIT)
			break;
		if (verdict == OBSERVER_HOLD) {
			(void)buf_append(&relay->held, data + at, used);
		} else if (verdict == OBSERVER_PASS) {
			pump_add(relay, &relay->up, buf_data(&relay->held), buf_len(&relay->held),
				false);
			buf_clear(&relay->held);
			pump_add(relay, &relay->up, data + at, used, used == n);
		} else {
			buf_clear(&relay->held);
		}
		if (verdict == OBSERVER_REFUSE)
			relay->overrun = !refuse(relay);
		at += used;
	}
	return at;
}

static void flush_up(struct relay *relay)
{
	if (relay->overrun) {
		client_lost(relay);
		return;
	}
	if (buf_len(&relay->answers) > 0) {
		insert_answers(relay);
		pump_flush(relay, &relay->down);
	}
	pump_flush(relay, &relay->up);
}

static void pass_up(struct relay *relay, const char *data, size_t n)
{
	size_t used = feed_up(relay, data, n);

	(void)buf_append(
		&relay->unread, data + used, n - used); /* it was empty: nothing was read */
	flush_up(relay);
}

/* The store has spoken: what had to wait for that may pass now. */
static void resume_up(struct relay *relay)
{
	size_t used;

	if (buf_len(&relay->unread) == 0 || !observer_is_ready(relay->observer))
		return;
	used = feed_up(relay, buf_data(&relay->unread), buf_len(&relay->unread));
	buf_consume(&relay->unread, used);
	if (buf_len(&relay->unread) == 0)
		buf_done(&relay->unread);
	flush_up(relay);
}

static void pass_capabilities(
	struct relay *relay, enum observer_verdict verdict, const char *data, size_t n)
{
	struct buf kept;

	buf_init(&kept, LIMIT_RELAY + sizeof(relay->filter.word) + 1);
	if (verdict == OBSERVER_CAPABILITIES)
		capability_filter_feed(&relay->filter, data, n, &kept);
	else
		capability_filter_end(&relay->filter, &kept);
	pump_add(relay, &relay->down, buf_data(&kept), buf_len(&kept), false);
	buf_done(&kept);
}

static void pass_response(struct relay *relay, const char *data, size_t n, bool whole)
{
	pump_add(relay, &relay->down, buf_data(&relay->head), buf_len(&relay->head), false);
	buf_clear(&relay->head);
	pump_add(relay, &relay->down, data, n, whole);
}

/*
 * While a nudge is under way nothing is read from the client, so that its DONE cannot cross ours.
 * That takes two answers of a store which has nothing else to do.
 */
void relay_nudge(struct relay *relay, const char *mailbox)
{
	static const char done[] = "DONE\r\n";

	if (relay->nudging || ev_is_active(&relay->nudge_pause)) {
		relay->nudge_again = true; /* the change may have come too late for this one */
		return;
	}
	if (observer_idle_tag(relay->observer, mailbox) == NULL || relay->up.ended ||
		relay->store_gone || buf_len(&relay->up.pending) > 0 ||
		buf_len(&relay->down.pending) > 0)
		return;
	relay->nudging = true;
	observer_await(relay->observer, OBSERVER_IDLE_ENDED);
	pump_add(relay, &relay->up, done, sizeof(done) - 1, true);
	pump_flush(relay, &relay->up);
}

static void begin_idle_again(struct relay *relay, const char *tag)
{
	char line[LIMIT_OBSERVED_TAG + 10];
	int n = snprintf(line, sizeof(line), "%s IDLE\r\n", tag);

	observer_await(relay->observer, OBSERVER_IDLE_BEGUN);
	pump_add(relay, &relay->up, line, (size_t)n, true);
	pump_flush(relay, &relay->up);
}

/* One of the two answers has come.  Without a tag, the store has ended the IDLE for good. */
static void advance_nudge(struct relay *relay)
{
	const char *tag = observer_idle_tag(relay->observer, NULL);

	if (tag != NULL && !relay->idle_ended && !relay->up.ended) {
		relay->idle_ended = true;
		begin_idle_again(relay, tag);
		return;
	}
	relay->nudging = relay->idle_ended = false;
	pump_flush(relay, &relay->up); /* reads again */
	ev_timer_set(&relay->nudge_pause, NUDGE_PAUSE_SECONDS, 0);
	ev_timer_start(relay->loop->ev, &relay->nudge_pause);
}

static void on_nudge_pause_over(struct ev_loop *ev, struct ev_timer *timer, int revents)
{
	struct relay *relay = container_of(timer, struct relay, nudge_pause);

	if (!relay->nudge_again)
		return;
	relay->nudge_again = false;
	relay_nudge(relay, NULL);
}

static void pass_down(struct relay *relay, const char *data, size_t n)
{
	size_t whole = n;

	while (n > 0) {
		enum observer_verdict verdict;
		bool stop = buf_len(&relay->answers) > 0 || buf_len(&relay->unread) > 0;
		size_t used = observer_server(relay->observer, data, n, stop, &verdict);

		pass_capabilities(relay, verdict, data, used);
		if (verdict == OBSERVER_HOLD)
			(void)buf_append(&relay->head, data, used);
		else if (verdict == OBSERVER_PASS)
			pass_response(relay, data, used, used == whole);
		else
			buf_clear(&relay->head);
		if (relay->nudging && observer_awaits(relay->observer) == OBSERVER_NOTHING)
			advance_nudge(relay);
		insert_answers(relay);
		resume_up(relay);
		data += used;
		n -= used;
	}
	pump_flush(relay, &relay->down);
}

/* The client hears it, if it can be said now, and nothing after it. */
static void end_down(struct relay *relay, const char *bye)
{
	struct pump *down = &relay->down;

	stream_want_read(relay->store, false);
	stream_want_write(relay->store, false);
	relay->store_gone = true;
	if (!observer_saw_bye(relay->observer) && observer_between(relay->observer)) {
		buf_clear(&relay->answers);
		pump_add(relay, down, bye, strlen(bye), false);
	}
	down->ended = true;
	pump_flush(relay, down);
	if (relay->client_lost) {
		finish(relay);
	} else if (relay->up.ended) {
		finish_when_written(relay);
	} else {
		stream_want_read(relay->client, true);
		be_patient(relay, LIMIT_LINGER_SECONDS);
	}
}

/* The store will send no more. */
static void store_gone(struct relay *relay, const char *reason)
{
	bool expected = relay->up.ended || observer_saw_bye(relay->observer);

	if (relay->store_gone)
		return;
	if (!expected)
		relay->reason = xasprintf("the local store: %s", reason);
	end_down(relay, "* BYE The mail store has closed the connection\r\n");
}

/* What cannot be followed must not go on: it might be anything. */
static void check(struct relay *relay)
{
	const char *failure = observer_failure(relay->observer);

	if (failure == NULL || relay->store_gone)
		return;
	relay->reason = xasprintf("its connection is ended, since %s", failure);
	buf_done(&relay->up.pending);
	buf_done(&relay->unread);
	end_down(relay, "* BYE What was sent cannot be followed here\r\n");
}

static void read_client(struct relay *relay)
{
	ssize_t n = stream_recv(relay->client, scratch, sizeof(scratch));

	if (n == 0)
		client_ended(relay);
	else if (n > 0 && !relay->store_gone)
		pass_up(relay, scratch, (size_t)n);
	check(relay);
}

static void read_store(struct relay *relay)
{
	ssize_t n = stream_recv(relay->store, scratch, sizeof(scratch));

	if (n == 0)
		store_gone(relay, "the mail store has closed the connection");
	else if (n > 0)
		pass_down(relay, scratch, (size_t)n);
	check(relay);
}

static void write_client(struct relay *relay)
{
	pump_flush(relay, &relay->down);
	insert_answers(relay);
	if (buf_len(&relay->down.pending) > 0)
		stream_want_write(relay->client, true);
	else if (relay->store_gone && relay->up.ended)
		finish_when_written(relay);
}

static void on_client(struct stream_handler *handler, enum stream_event event)
{
	struct relay *relay = container_of(handler, struct relay, client_events);

	switch (event) {
	case STREAM_UP:
		break;
	case STREAM_READABLE:
		read_client(relay);
		break;
	case STREAM_WRITABLE:
		write_client(relay);
		break;
	case STREAM_LOST:
		client_lost(relay);
		break;
	}
}

static void on_store(struct stream_handler *handler, enum stream_event event)
{
	struct relay *relay = container_of(handler, struct relay, store_events);

	switch (event) {
	case STREAM_UP:
		break;
	case STREAM_READABLE:
		read_store(relay);
		break;
	case STREAM_WRITABLE:
		pump_flush(relay, &relay->up);
		break;
	case STREAM_LOST:
		store_gone(relay, stream_error(relay->store));
		break;
	}
}

static enum step step(struct task *task)
{
	return STEP_DONE;
}

static void finished(struct task *task, enum step result)
{
	struct relay *relay = container_of(task, struct relay, task);

	relay->handler->ended(relay->handler, relay->reason);
}

static void pump_init(struct pump *pump, struct stream *from, struct stream *to)
{
	*pump = (struct pump){.from = from, .to = to};
	/* One read, and what was there or is put in. */
	buf_init(&pump->pending, 4 * LIMIT_RELAY);
}

struct relay *relay_new(struct loop *loop, const struct relay_start *start,
	struct hint_receiver *receiver, struct action_receiver *actions,
	struct relay_handler *handler)
{
	struct relay *relay = xcalloc(1, sizeof(*relay));

	relay->loop = loop;
	relay->handler = handler;
	relay->client_events.event = on_client;
	relay->store_events.event = on_store;
	relay->client = start->own_client;
	relay->store = start->own_store;
	relay->observer = observer_new(receiver, actions);
	pump_init(&relay->up, relay->client, relay->store);
	pump_init(&relay->down, relay->store, relay->client);
	buf_init(&relay->unread, LIMIT_RELAY);
	buf_init(&relay->held, LIMIT_OBSERVED_HEAD);
	buf_init(&relay->head, LIMIT_OBSERVED_HEAD);
	buf_init(&relay->answers, LIMIT_RELAY_ANSWERS);
	ev_timer_init(&relay->timer, on_timer, 0, 0);
	ev_timer_init(&relay->nudge_pause, on_nudge_pause_over, 0, 0);
	task_init(&relay->task, loop, step, finished);

	stream_set_handler(relay->client, &relay->client_events);
	stream_set_handler(relay->store, &relay->store_events);
	(void)buf_append(
		&relay->down.pending, buf_data(start->to_client), buf_len(start->to_client));
	pass_down(relay, buf_data(start->from_store), buf_len(start->from_store));
	pass_up(relay, buf_data(start->from_client), buf_len(start->from_client));
	check(relay);
	buf_done(start->to_client);
	buf_done(start->from_store);
	buf_done(start->from_client);
	return relay;
}

/* What was read is taken by the other side; else there is more to read, or nothing will come. */
static bool pump_is_attended(const struct relay *relay, const struct pump *pump)
{
	if (buf_len(&pump->pending) > 0)
		return stream_awaits_room(pump->to);
	if (pump->ended)
		return pump->shut;
	if (relay->nudging && pump == &relay->up)
		return stream_is_listening(relay->store);
	if (pump == &relay->up && buf_len(&relay->unread) > 0)
		return !observer_is_ready(relay->observer); /* the other pump brings the answer */
	return stream_is_listening(pump->from);
}

bool relay_is_attended(const struct relay *relay)
{
	if (relay->task.queued || ev_is_active(&relay->timer))
		return true;
	return pump_is_attended(relay, &relay->up) && pump_is_attended(relay, &relay->down);
}

static void say_pump(const char *way, const struct pump *pump)
{
	(void)fprintf(stderr, "    %s: %zu bytes wait%s%s%s%s\n", way, buf_len(&pump->pending),
		stream_is_listening(pump->from) ? ", listening" : "",
		stream_awaits_room(pump->to) ? ", awaits room" : "", pump->ended ? ", ended" : "",
		pump->shut ? ", shut" : "");
}

void relay_say_state(const struct relay *relay)
{
	say_pump("to the store", &relay->up);
	say_pump("to the client", &relay->down);
	(void)fprintf(
		stderr, "    %zu bytes wait for the store to speak\n", buf_len(&relay->unread));
	(void)fprintf(stderr, "    %zu bytes of answers of ours%s%s%s\n", buf_len(&relay->answers),
		relay->nudging ? ", nudging" : "", relay->client_lost ? ", client lost" : "",
		relay->store_gone ? ", store gone" : "");
}

struct relay *relay_free(struct relay *relay)
{
	if (relay == NULL)
		return NULL;
	task_cancel(&relay->task);
	ev_timer_stop(relay->loop->ev, &relay->timer);
	ev_timer_stop(relay->loop->ev, &relay->nudge_pause);
	observer_free(relay->observer);
	stream_free(relay->client);
	stream_free(relay->store);
	buf_done(&relay->up.pending);
	buf_done(&relay->down.pending);
	buf_done(&relay->unread);
	buf_done(&relay->held);
	buf_done(&relay->head);
	buf_done(&relay->answers);
	free(relay->reason);
	free(relay);
	return NULL;
}

void relay_say_bye(struct relay *relay, const char *text)
{
	if (relay->client_lost || relay->down.ended || observer_saw_bye(relay->observer) ||
		!observer_between(relay->observer) || buf_len(&relay->down.pending) > 0)
		return;
	if (buf_printf(&relay->down.pending, "* BYE %s\r\n", text))
		pump_flush(relay, &relay->down);
}
