/* SPDX-License-Identifier: MIT */
/*
 * A task with one phase for each thing to wait for.  Through a proxy that gets addresses, the
 * target is looked up first; then the proxy itself is dialled, anew for each address of the target,
 * since a SOCKS connection is of no use after a refusal.
 */
#include "sync/net/dial.h"

#include <assert.h>
#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "sync/base/child.h"
#include "sync/base/limits.h"
#include "sync/base/loop.h"
#include "sync/base/xalloc.h"
#include "sync/net/connector.h"
#include "sync/net/reason.h"
#include "sync/net/resolve.h"
#include "sync/net/socks5.h"
#include "sync/net/tunnel.h"

enum phase {
	DIAL_START,
	DIAL_LOOK_UP_TARGET,
	DIAL_LOOK_UP_PROXY,
	DIAL_CONNECT,
	DIAL_ASK_PROXY,
	DIAL_OVER,
};

struct dial {
	struct loop *loop;
	struct worker *worker;
	struct dial_handler *handler;
	struct task task;
	struct ev_timer timeout;
	unsigned timeout_seconds; /* for each step */
	unsigned step_seconds; /* for what it waits for now */
	bool timed_out;
	enum phase phase;

	char *host, *port_name, *unix_path, *proxy_url, *command;
	char **argv, **environment;
	bool null_stderr;
	unsigned port;

	struct socks5_proxy proxy; /* host is NULL without one */
	struct resolve *target, *proxy_addresses;
	const struct addrinfo **target_order; /* of what the proxy is asked for */
	size_t target_count, target_at;
	struct connector *connector;
	struct socks5 *socks5;
};

static void stop(struct dial *dial)
{
	ev_timer_stop(dial->loop->ev, &dial->timeout);
	dial->socks5 = socks5_free(dial->socks5);
	dial->connector = connector_free(dial->connector);
	free(take(dial->target_order));
	dial->target = resolve_free(dial->target);
	dial->proxy_addresses = resolve_free(dial->proxy_addresses);
}

/* Reports; the dial may be gone afterwards, so this is the last thing of a step. */
static enum step finish(struct dial *dial, int fd, const char *reason)
{
	dial->phase = DIAL_OVER;
	stop(dial);
	dial->handler->dialled(dial->handler, fd, reason);
	return STEP_WAIT;
}

static enum step fail(struct dial *dial, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));
static enum step fail(struct dial *dial, const char *fmt, ...)
{
	_cleanup_free_ char *reason = NULL;
	va_list ap;

	va_start(ap, fmt);
	reason = xvasprintf(fmt, ap);
	va_end(ap);
	return finish(dial, -1, reason);
}

/* Whom the connection under way goes to, in words; the caller frees it. */
static char *peer(const struct dial *dial)
{
	if (dial->proxy.host != NULL)
		return xasprintf("the proxy %s port %u", dial->proxy.host, dial->proxy.port);
	return xasprintf("%s port %s", dial->host, dial->port_name);
}

static enum step fail_connect(struct dial *dial, const char *why)
{
	_cleanup_free_ char *whom = peer(dial);

	return fail(dial, "cannot connect to %s: %s", whom, why);
}

static enum step fail_timeout(struct dial *dial)
{
	_cleanup_free_ char *why = xasprintf("no answer within %u second%s", dial->step_seconds,
		dial->step_seconds == 1 ? "" : "s");

	switch (dial->phase) {
	case DIAL_LOOK_UP_TARGET:
		return fail(dial, "cannot look up %s: %s", dial->host, why);
	case DIAL_LOOK_UP_PROXY:
		return fail(dial, "cannot look up %s: %s", dial->proxy.host, why);
	case DIAL_START:
	case DIAL_CONNECT:
	case DIAL_ASK_PROXY:
	case DIAL_OVER:
		break;
	}
	return fail_connect(dial, why);
}

/* A full backlog says EAGAIN here, and nothing tells when there is room again. */
static enum step dial_unix(struct dial *dial)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	_cleanup_free_ char *why = NULL;
	int fd, r = 0;

	if (strlen(dial->unix_path) >= sizeof(address.sun_path))
		return fail(dial, "cannot connect to %s: the path is too long", dial->unix_path);
	memcpy(address.sun_path, dial->unix_path, strlen(dial->unix_path));
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (fd < 0 || connect(fd, (const struct sockaddr *)&address, sizeof(address)) < 0)
		r = -errno;
	if (r == 0)
		return finish(dial, fd, NULL);
	if (fd >= 0)
		(void)close(fd);
	why = r == -EAGAIN ? xstrdup("too many connections are waiting") : reason_errno(r);
	return fail(dial, "cannot connect to %s: %s", dial->unix_path, why);
}

static enum step dial_tunnel(struct dial *dial)
{
	struct child_options options = {.null_stderr = dial->null_stderr};
	_cleanup_free_ char *why = NULL;
	pid_t pid;
	int fd;

	if (dial->argv == NULL)
		dial->argv = tunnel_parse(dial->command != NULL ? dial->command : "");
	if (dial->argv == NULL)
		return fail(dial, "the tunnel command is empty");
	options.argv = (const char *const *)dial->argv;
	options.environment = (const char *const *)dial->environment;
	pid = child_spawn(dial->loop, &options, &fd);
	if (pid >= 0)
		return finish(dial, fd, NULL);
	why = reason_errno(pid);
	return fail(dial, "cannot run %s: %s", dial->argv[0], why);
}

static struct resolve *look_up(struct dial *dial, const char *host, unsigned port)
{
	return resolve_start(dial->worker, host, port, &dial->task);
}

static enum step start_network(struct dial *dial)
{
	char *reason = NULL;

	if (dial->host == NULL || dial->port_name == NULL)
		return fail(dial, "there is no host to connect to");
	dial->port = resolve_port(dial->port_name);
	if (dial->port == 0)
		return fail(dial, "unknown port \"%s\"", dial->port_name);
	if (dial->proxy_url != NULL)
		reason = socks5_parse(dial->proxy_url, &dial->proxy);
	if (reason != NULL) {
		(void)fail(dial, "%s", reason);
		free(reason);
		return STEP_WAIT;
	}
	/* A literal goes to the proxy as an address either way. */
	if (dial->proxy.proxy_resolves && !resolve_is_literal(dial->host)) {
		dial->proxy_addresses = look_up(dial, dial->proxy.host, dial->proxy.port);
		dial->phase = DIAL_LOOK_UP_PROXY;
	} else {
		dial->target = look_up(dial, dial->host, dial->port);
		dial->phase = DIAL_LOOK_UP_TARGET;
	}
	return STEP_AGAIN;
}

static enum step start(struct dial *dial)
{
	if (dial->unix_path != NULL)
		return dial_unix(dial);
	if (dial->argv != NULL || dial->command != NULL)
		return dial_tunnel(dial);
	return start_network(dial);
}

static void wait_for(struct dial *dial, unsigned seconds)
{
	if (seconds > dial->timeout_seconds)
		seconds = dial->timeout_seconds;
	dial->step_seconds = seconds;
	ev_timer_stop(dial->loop->ev, &dial->timeout);
	ev_now_update(dial->loop->ev); /* long work before may have left the loop's clock behind */
	ev_timer_set(&dial->timeout, seconds, 0.);
	ev_timer_start(dial->loop->ev, &dial->timeout);
}

static enum step start_connect(struct dial *dial)
{
	const struct resolve *to =
		dial->proxy_addresses != NULL ? dial->proxy_addresses : dial->target;

	dial->connector = connector_free(dial->connector);
	dial->connector = connector_start(dial->loop, resolve_list(to), &dial->task);
	dial->phase = DIAL_CONNECT;
	wait_for(dial, LIMIT_CONNECT_SECONDS);
	return STEP_AGAIN;
}

static enum step look_up_target(struct dial *dial)
{
	if (!resolve_is_done(dial->target))
		return STEP_WAIT;
	if (resolve_list(dial->target) == NULL)
		return fail(
			dial, "cannot look up %s: %s", dial->host, resolve_reason(dial->target));
	if (dial->proxy.host == NULL)
		return start_connect(dial);
	dial->target_order = resolve_order(resolve_list(dial->target), &dial->target_count);
	dial->proxy_addresses = look_up(dial, dial->proxy.host, dial->proxy.port);
	dial->phase = DIAL_LOOK_UP_PROXY;
	return STEP_AGAIN;
}

static enum step look_up_proxy(struct dial *dial)
{
	if (!resolve_is_done(dial->proxy_addresses))
		return STEP_WAIT;
	if (resolve_list(dial->proxy_addresses) == NULL)
		return fail(dial, "cannot look up %s: %s", dial->proxy.host,
			resolve_reason(dial->proxy_addresses));
	return start_connect(dial);
}

static enum step await_connection(struct dial *dial)
{
	struct socks5_target target = {.name = dial->host, .port = dial->port};
	int fd;

	if (!connector_is_done(dial->connector))
		return STEP_WAIT;
	fd = connector_take(dial->connector);
	if (fd < 0)
		return fail_connect(dial, connector_reason(dial->connector));
	if (dial->proxy.host == NULL)
		return finish(dial, fd, NULL);
	if (dial->target_order != NULL)
		target.address = dial->target_order[dial->target_at]->ai_addr;
	dial->socks5 = socks5_start(dial->loop, fd, &dial->proxy, &target, &dial->task);
	dial->phase = DIAL_ASK_PROXY;
	wait_for(dial, dial->timeout_seconds);
	return STEP_AGAIN;
}

static enum step await_proxy(struct dial *dial)
{
	int fd;

	if (!socks5_is_done(dial->socks5))
		return STEP_WAIT;
	fd = socks5_take(dial->socks5);
	if (fd >= 0)
		return finish(dial, fd, NULL);
	if (socks5_is_target_failure(dial->socks5) && dial->target_at + 1 < dial->target_count) {
		dial->target_at++;
		dial->socks5 = socks5_free(dial->socks5);
		return start_connect(dial);
	}
	return fail(dial, "cannot connect to %s port %s: %s", dial->host, dial->port_name,
		socks5_reason(dial->socks5));
}

static enum step step(struct task *task)
{
	struct dial *dial = container_of(task, struct dial, task);

	if (dial->timed_out && dial->phase != DIAL_OVER)
		return fail_timeout(dial);
	switch (dial->phase) {
	case DIAL_START:
		return start(dial);
	case DIAL_LOOK_UP_TARGET:
		return look_up_target(dial);
	case DIAL_LOOK_UP_PROXY:
		return look_up_proxy(dial);
	case DIAL_CONNECT:
		return await_connection(dial);
	case DIAL_ASK_PROXY:
		return await_proxy(dial);
	case DIAL_OVER:
		break;
	}
	return STEP_WAIT;
}

static void on_timeout(struct ev_loop *ev, struct ev_timer *watcher, int revents)
{
	struct dial *dial = container_of(watcher, struct dial, timeout);

	dial->timed_out = true;
	task_wake(&dial->task);
}

static char *copy(const char *s)
{
	return s != NULL ? xstrdup(s) : NULL;
}

struct dial *dial_start(struct loop *loop, struct worker *worker,
	const struct dial_options *options, struct dial_handler *handler)
{
	struct dial *dial = xcalloc(1, sizeof(*dial));

	dial->loop = loop;
	dial->worker = worker;
	dial->handler = handler;
	dial->host = copy(options->host);
	dial->port_name = copy(options->port);
	dial->unix_path = copy(options->unix_path);
	dial->proxy_url = copy(options->proxy);
	dial->command = copy(options->command);
	dial->argv = tunnel_copy_strings(options->argv);
	dial->environment = tunnel_copy_strings(options->environment);
	dial->null_stderr = options->null_stderr;
	dial->timeout_seconds = options->timeout_seconds > 0 ? options->timeout_seconds
							     : (unsigned)LIMIT_GREETING_SECONDS;
	task_init(&dial->task, loop, step, NULL);
	ev_init(&dial->timeout, on_timeout);
	wait_for(dial, dial->timeout_seconds);
	task_wake(&dial->task);
	return dial;
}

bool dial_is_under_way(const struct dial *dial)
{
	return dial->task.queued || ev_is_active(&dial->timeout);
}

struct dial *dial_free(struct dial *dial)
{
	if (dial == NULL)
		return NULL;
	stop(dial);
	task_cancel(&dial->task);
	socks5_proxy_done(&dial->proxy);
	if (dial->proxy_url != NULL)
		explicit_bzero(dial->proxy_url, strlen(dial->proxy_url)); /* may hold a password */
	free(dial->proxy_url);
	free(dial->host);
	free(dial->port_name);
	free(dial->unix_path);
	free(dial->command);
	tunnel_free_strings(dial->argv);
	tunnel_free_strings(dial->environment);
	free(dial);
	return NULL;
}
