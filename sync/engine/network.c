/* SPDX-License-Identifier: MIT */
/*
 * Connections that go, and come again: back-off, and what the machine says that makes waiting
 * pointless.  After a suspend the servers have most likely forgotten us, and the network would tell
 * us only after minutes.  When addresses or routes change, a connection may be dead without a word,
 * and one that could not be made may be possible now.
 */
#include <stdlib.h>
#include <time.h>

#include "sync/base/limits.h"
#include "sync/base/xalloc.h"
#include "sync/imap/backoff.h"
#include "sync/engine/engine-private.h"

enum {
	BACKOFF_MAX = 60,
	BACKOFF_REFUSED = 60, /* a person must act before it can work again */
	BACKOFF_LOGIN_MAX = 60 * 60, /* … and servers lock accounts for wrong credentials */
	/* While no connection can be made, and for so long; then as for all else. */
	BACKOFF_UNREACHABLE = 5,
	BACKOFF_SHARE = 4, /* of the time that there is no connection: the wait is no longer */
	UNREACHABLE_LONG = 10 * 60,
	CLOCK_CHECK = 5,
	SESSION_SECONDS = 60, /* that lasted so long, and ends, was of use … */
	SESSION_PAUSE = 2, /* … as was one that ends so long after the one before, synced */
	PROBE_SECONDS = 4, /* to hear from both servers after addresses changed */
};

/* A server that is being started ends connections too, and is soon back; one that is away for long
 * is not asked more often for that. */
static double backoff_max(const struct engine *engine)
{
	double lasted = (double)(time(NULL) - engine->network.failing_since);
	double most = lasted / BACKOFF_SHARE;

	if (engine->loss.how == SESSION_FAILURE_UNREACHABLE && lasted < UNREACHABLE_LONG)
		return BACKOFF_UNREACHABLE;
	if (most < BACKOFF_UNREACHABLE)
		return BACKOFF_UNREACHABLE;
	return most < BACKOFF_MAX ? most : BACKOFF_MAX;
}

/* How long at least, if a person must act. */
static double backoff_min(struct engine *engine)
{
	double delay = BACKOFF_REFUSED;

	if (engine->loss.how == SESSION_FAILURE_REFUSED)
		return delay;
	if (engine->loss.how != SESSION_FAILURE_LOGIN)
		return 0;
	for (unsigned i = 0; i < engine->network.refusals && delay < BACKOFF_LOGIN_MAX; i++)
		delay *= 2;
	engine->network.refusals++;
	return delay < BACKOFF_LOGIN_MAX ? delay : BACKOFF_LOGIN_MAX;
}

void network_reconnect_later(struct engine *engine)
{
	double delay = 0.5, least = backoff_min(engine), most;

	if (engine->network.failing_since == 0)
		engine->network.failing_since = time(NULL);
	most = backoff_max(engine);
	engine->phase = ENGINE_DOWN;
	for (unsigned i = 0; i < engine->network.failures && delay < most; i++)
		delay *= 2;
	if (delay > most)
		delay = most;
	if (delay < least)
		delay = least;
	/* Many clients that lost the same server must not all come back at once. */
	delay *= 0.75 + 0.25 * (double)random() / RAND_MAX;
	engine->network.failures++;
	if (engine->outage.reason != NULL && backoff_told(engine->outage.reason) > delay)
		delay = backoff_told(engine->outage.reason);
	ev_timer_set(&engine->network.backoff, delay, 0.);
	ev_timer_start(engine->core.loop->ev, &engine->network.backoff);
}

static void on_backoff(struct ev_loop *ev, ev_timer *timer, int revents)
{
	engine_connect(container_of(timer, struct engine, network.backoff));
}

bool network_connect_now(struct engine *engine)
{
	struct ev_loop *ev = engine->core.loop->ev;

	if (!ev_is_active(&engine->network.backoff))
		return false;
	ev_timer_stop(ev, &engine->network.backoff);
	ev_timer_set(&engine->network.backoff, 0., 0.);
	ev_timer_start(ev, &engine->network.backoff);
	return true;
}

void network_stop_waiting(struct engine *engine)
{
	ev_timer_stop(engine->core.loop->ev, &engine->network.backoff);
	ev_timer_stop(engine->core.loop->ev, &engine->network.probe);
}

bool network_is_in_doubt(const struct engine *engine)
{
	return ev_is_active(&engine->network.probe);
}

time_t network_next_try(const struct engine *engine)
{
	const ev_timer *backoff = &engine->network.backoff;
	double left;

	if (!ev_is_active(backoff))
		return 0;
	left = ev_timer_remaining(engine->core.loop->ev, (ev_timer *)backoff);
	return time(NULL) + (time_t)(left + 0.5);
}

bool network_was_hasty(
	const struct engine *engine, const struct side *side, enum session_failure failure)
{
	return failure == SESSION_FAILURE_SILENT && engine->core.options->reconnect &&
	       side_patience(side) < LIMIT_SILENCE_SECONDS;
}

void network_note_lost(struct side *side, enum session_failure failure)
{
	if (failure == SESSION_FAILURE_SILENT)
		side->silences++;
}

bool network_is_end_of_session(
	const struct engine *engine, const struct side *side, enum session_failure failure)
{
	ev_tstamp now = ev_now(engine->core.loop->ev);

	if (failure != SESSION_FAILURE_EXPIRED)
		return false;
	/* A login that is to be made with another token is no session yet. */
	if (side->ready_since == 0 || now - side->ready_since >= SESSION_SECONDS)
		return true;
	/* It must not become a loop, whatever the server means by it. */
	return engine->network.synced && now - engine->network.over >= SESSION_PAUSE;
}

void network_session_over(struct engine *engine, const struct side *side, const char *reason)
{
	log_info(SIDE_CONTEXT(side, NULL), "%s (logging in anew)", reason);
	suspects_excuse(&engine->core); /* that it happens now is no fault of what was asked */
	engine->loss.retries = !engine->core.options->reconnect;
	engine->loss.incomplete = engine->core.incomplete;
	engine->network.over = ev_now(engine->core.loop->ev);
	engine_reset(engine);
}

void network_succeeded(struct engine *engine)
{
	struct side *sides[] = {&engine->core.local, &engine->core.remote};

	engine->network.synced = true;
	engine->network.failures = engine->network.refusals = 0;
	engine->network.failing_since = 0;
	for (size_t i = 0; i < ARRAY_LEN(sides); i++) {
		sides[i]->silences = 0;
		client_set_patience(side_client(sides[i]), side_patience(sides[i]));
	}
}

/* How far the clock that counts suspended time is ahead of the one that does not. */
static double suspended_seconds(void)
{
	struct timespec with, without;

	(void)clock_gettime(CLOCK_BOOTTIME, &with);
	(void)clock_gettime(CLOCK_MONOTONIC, &without);
	return (double)(with.tv_sec - without.tv_sec) +
	       (double)(with.tv_nsec - without.tv_nsec) / 1e9;
}

void network_connect_anew(struct engine *engine, const char *why)
{
	log_notice(CORE_CONTEXT(&engine->core), "%s: connecting anew", why);
	engine->network.failures = 0;
	suspects_excuse(&engine->core);
	engine_reset(engine);
}

static void on_clock(struct ev_loop *ev, ev_timer *timer, int revents)
{
	struct engine *engine = container_of(timer, struct engine, network.clock);
	double now = suspended_seconds();

	if (now - engine->network.clock_offset > CLOCK_CHECK)
		network_connect_anew(engine, "the machine was suspended");
	engine->network.clock_offset = now;
}

static uint64_t heard(const struct side *side)
{
	struct stream *stream =
		side->session != NULL ? client_stream(session_client(side->session)) : NULL;

	return stream != NULL ? stream_bytes_received(stream) : 0;
}

/* A server that was asked something since then, and has said nothing at all. */
static bool is_silent(struct side *side, uint64_t heard_before)
{
	return side->ready && !client_is_idle(side_client(side)) && heard(side) == heard_before;
}

static void on_probe(struct ev_loop *ev, ev_timer *timer, int revents)
{
	struct engine *engine = container_of(timer, struct engine, network.probe);

	if (engine->phase == ENGINE_DOWN || engine->phase == ENGINE_OVER)
		return;
	if (is_silent(&engine->core.local, engine->network.local_heard) ||
		is_silent(&engine->core.remote, engine->network.remote_heard))
		network_connect_anew(
			engine, "no answer since the addresses of this machine changed");
}

/* To look at everything asks both servers something, whatever they were doing. */
static void probe(struct engine *engine)
{
	struct engine_network *network = &engine->network;

	network->local_heard = heard(&engine->core.local);
	network->remote_heard = heard(&engine->core.remote);
	ev_timer_stop(engine->core.loop->ev, &network->probe);
	ev_timer_set(&network->probe, PROBE_SECONDS, 0.);
	ev_timer_start(engine->core.loop->ev, &network->probe);
	watch_look_in(engine, 0.);
}

/* What is waited for may be over in another network: not so a refusal, nor what a server asked for.
 */
static bool is_for_the_network(const struct engine *engine)
{
	const char *reason = engine->outage.reason;

	return engine->loss.how != SESSION_FAILURE_REFUSED &&
	       engine->loss.how != SESSION_FAILURE_LOGIN &&
	       (reason == NULL || backoff_told(reason) == 0);
}

static void on_addresses(struct addresses_handler *handler)
{
	struct engine *engine = container_of(handler, struct engine, network.handler);

	suspects_excuse(&engine->core);
	switch (engine->phase) {
	case ENGINE_OVER:
		break;
	case ENGINE_DOWN:
		if (!is_for_the_network(engine))
			break;
		engine->network.failures = 0;
		(void)network_connect_now(engine);
		break;
	default:
		log_debug(CORE_CONTEXT(&engine->core), "the addresses of this machine changed");
		if (engine->core.local.ready && engine->core.remote.ready)
			probe(engine);
		else
			engine_reset(engine); /* an attempt over what was there before */
		break;
	}
}

void network_init(struct engine *engine)
{
	struct engine_network *network = &engine->network;

	ev_init(&network->backoff, on_backoff);
	ev_init(&network->probe, on_probe);
	ev_timer_init(&network->clock, on_clock, CLOCK_CHECK, CLOCK_CHECK);
	network->clock_offset = suspended_seconds();
	network->handler.changed = on_addresses;
	if (!engine->core.options->reconnect)
		return;
	ev_timer_start(engine->core.loop->ev, &network->clock);
	network->addresses = addresses_new(engine->core.loop, &network->handler);
}

void network_done(struct engine *engine)
{
	network_stop_waiting(engine);
	ev_timer_stop(engine->core.loop->ev, &engine->network.clock);
	engine->network.addresses = addresses_free(engine->network.addresses);
}
