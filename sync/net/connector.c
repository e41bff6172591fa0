/* SPDX-License-Identifier: MIT */
/*
 * Attempts start one after the other, a quarter of a second apart, or at once when the one before
 * fails; all go on until one succeeds.  So a dead IPv6 route costs 250 ms rather than a timeout.
 */
#include "sync/net/connector.h"

#include <errno.h>
#include <netdb.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "sync/base/limits.h"
#include "sync/base/loop.h"
#include "sync/base/xalloc.h"
#include "sync/net/reason.h"
#include "sync/net/resolve.h"

#define STAGGER 0.25 /* "Connection Attempt Delay", RFC 8305 section 8 */

struct attempt {
	struct connector *connector;
	struct ev_io io;
	int fd; /* -1 before and after */
	int error; /* negative errno once it has failed */
};

struct connector {
	struct loop *loop;
	struct task *waiter;
	const struct addrinfo **order;
	size_t count, started, failed;
	struct attempt attempts[LIMIT_ADDRESSES];
	struct ev_timer stagger;
	int fd; /* the one that was connected, or -1 */
	char *reason;
};

static void stop(struct attempt *attempt)
{
	if (attempt->fd < 0)
		return;
	ev_io_stop(attempt->connector->loop->ev, &attempt->io);
	(void)close(attempt->fd);
	attempt->fd = -1;
}

static void stop_all(struct connector *connector)
{
	for (size_t i = 0; i < connector->started; i++)
		stop(&connector->attempts[i]);
	ev_timer_stop(connector->loop->ev, &connector->stagger);
}

/* One sentence for all failures: the reason alone if it is always the same. */
static char *combine(const struct connector *connector)
{
	char *text = NULL;
	size_t i = 1;

	while (i < connector->count && connector->attempts[i].error == connector->attempts[0].error)
		i++;
	if (i >= connector->count)
		return reason_errno(connector->attempts[0].error);
	for (i = 0; i < connector->count; i++) {
		const struct addrinfo *address = connector->order[i];
		_cleanup_free_ char *reason = reason_errno(connector->attempts[i].error);
		_cleanup_free_ char *before = text;
		char host[NI_MAXHOST];

		if (getnameinfo(address->ai_addr, address->ai_addrlen, host, sizeof(host), NULL, 0,
			    NI_NUMERICHOST) != 0)
			host[0] = '\0';
		text = xasprintf("%s%s%s: %s", before != NULL ? before : "",
			before != NULL ? ", " : "", host, reason);
	}
	return text;
}

static void on_writable(struct ev_loop *ev, struct ev_io *watcher, int revents);

/* Whether it is under way.  A connect() that is done at once shows as writable. */
static bool start_attempt(struct connector *connector, struct attempt *attempt)
{
	const struct addrinfo *address = connector->order[attempt - connector->attempts];

	attempt->connector = connector;
	attempt->fd = socket(address->ai_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC,
		address->ai_protocol);
	if (attempt->fd < 0) {
		attempt->error = -errno;
		return false;
	}
	if (connect(attempt->fd, address->ai_addr, address->ai_addrlen) < 0 &&
		errno != EINPROGRESS) {
		attempt->error = -errno;
		(void)close(attempt->fd);
		attempt->fd = -1;
		return false;
	}
	ev_io_init(&attempt->io, on_writable, attempt->fd, EV_WRITE);
	ev_io_start(connector->loop->ev, &attempt->io);
	return true;
}

/* Starts the next attempt that does not fail at once; all is over when none is left. */
static void start_next(struct connector *connector)
{
	bool under_way = false;

	while (!under_way && connector->started < connector->count) {
		under_way = start_attempt(connector, &connector->attempts[connector->started]);
		connector->started++;
		if (!under_way)
			connector->failed++;
	}
	if (connector->started < connector->count)
		ev_timer_again(connector->loop->ev, &connector->stagger);
	else
		ev_timer_stop(connector->loop->ev, &connector->stagger);
	if (connector->failed == connector->count) {
		connector->reason = combine(connector);
		task_wake(connector->waiter);
	}
}

static void on_stagger(struct ev_loop *ev, struct ev_timer *watcher, int revents)
{
	start_next(container_of(watcher, struct connector, stagger));
}

static void on_writable(struct ev_loop *ev, struct ev_io *watcher, int revents)
{
	struct attempt *attempt = container_of(watcher, struct attempt, io);
	struct connector *connector = attempt->connector;
	int error = 0;
	socklen_t size = sizeof(error);

	if (getsockopt(attempt->fd, SOL_SOCKET, SO_ERROR, &error, &size) < 0)
		error = errno;
	if (error != 0) {
		attempt->error = -error;
		stop(attempt);
		connector->failed++;
		start_next(connector);
		return;
	}
	ev_io_stop(ev, &attempt->io);
	connector->fd = attempt->fd;
	attempt->fd = -1;
	stop_all(connector);
	task_wake(connector->waiter);
}

struct connector *connector_start(
	struct loop *loop, const struct addrinfo *list, struct task *waiter)
{
	struct connector *connector = xcalloc(1, sizeof(*connector));

	connector->loop = loop;
	connector->waiter = waiter;
	connector->fd = -1;
	connector->order = resolve_order(list, &connector->count);
	for (size_t i = 0; i < LIMIT_ADDRESSES; i++)
		connector->attempts[i].fd = -1;
	ev_timer_init(&connector->stagger, on_stagger, 0, STAGGER);
	start_next(connector);
	return connector;
}

bool connector_is_done(const struct connector *connector)
{
	return connector->fd >= 0 || connector->reason != NULL;
}

int connector_take(struct connector *connector)
{
	int fd = connector->fd;

	connector->fd = -1;
	return fd;
}

const char *connector_reason(const struct connector *connector)
{
	return connector->reason;
}

struct connector *connector_free(struct connector *connector)
{
	if (connector == NULL)
		return NULL;
	stop_all(connector);
	if (connector->fd >= 0)
		(void)close(connector->fd);
	free(connector->order);
	free(connector->reason);
	free(connector);
	return NULL;
}
