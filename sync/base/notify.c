/* SPDX-License-Identifier: MIT */
#include "sync/base/notify.h"

#include <errno.h>
#include <ev.h>
#include <inttypes.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "sync/base/loop.h"
#include "sync/base/printable.h"
#include "sync/base/xalloc.h"

struct notify {
	struct loop *loop;
	int fd; /* -1: nobody listens */
	struct ev_timer watchdog;
	char *said; /* the last status */
};

/* sd_notify(3): a path, or "@" and a name in the abstract name space (unix(7)), which has no NUL at
 * its end.  Other kinds of sockets are for virtual machines. */
static int connect_to(const char *name)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	size_t len = strlen(name);
	_cleanup_close_ int fd = -1;
	int connected;

	if ((name[0] != '/' && name[0] != '@') || len < 2 || len >= sizeof(address.sun_path))
		return -EINVAL;
	memcpy(address.sun_path, name, len);
	if (name[0] == '@')
		address.sun_path[0] = '\0';
	fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0 || connect(fd, (const struct sockaddr *)&address,
			      (socklen_t)(offsetof(struct sockaddr_un, sun_path) + len)) < 0)
		return -errno;
	connected = fd;
	fd = -1;
	return connected;
}

/* Does not wait: a manager that does not read must not hold up the mail. */
static bool tell(struct notify *notify, const char *lines)
{
	return notify->fd >= 0 && send(notify->fd, lines, strlen(lines), MSG_NOSIGNAL) >= 0;
}

/* sd_watchdog_enabled(3).  0: no. */
static double watchdog_seconds(void)
{
	const char *usec = getenv("WATCHDOG_USEC"), *pid = getenv("WATCHDOG_PID");
	char *end;
	unsigned long long value;

	if (usec == NULL || usec[0] < '0' || usec[0] > '9')
		return 0;
	if (pid != NULL && strtol(pid, NULL, 10) != (long)getpid())
		return 0;
	errno = 0;
	value = strtoull(usec, &end, 10);
	return errno == 0 && *end == '\0' ? (double)value / 1e6 : 0;
}

static void on_watchdog(struct ev_loop *ev, struct ev_timer *timer, int revents)
{
	(void)tell(container_of(timer, struct notify, watchdog), "WATCHDOG=1");
}

struct notify *notify_new(struct loop *loop)
{
	static const char *const variables[] = {"NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID"};
	struct notify *notify = xcalloc(1, sizeof(*notify));
	const char *name = getenv("NOTIFY_SOCKET");
	double half = watchdog_seconds() / 2;

	notify->loop = loop;
	notify->fd = name != NULL ? connect_to(name) : -1;
	ev_timer_init(&notify->watchdog, on_watchdog, half, half);
	if (notify->fd >= 0 && half > 0)
		ev_timer_start(loop->ev, &notify->watchdog);
	for (size_t i = 0; i < ARRAY_LEN(variables); i++)
		(void)unsetenv(variables[i]);
	return notify;
}

struct notify *notify_free(struct notify *notify)
{
	if (notify == NULL)
		return NULL;
	ev_timer_stop(notify->loop->ev, &notify->watchdog);
	if (notify->fd >= 0)
		(void)close(notify->fd);
	free(notify->said);
	free(notify);
	return NULL;
}

bool notify_is_heard(const struct notify *notify)
{
	return notify->fd >= 0;
}

void notify_ready(struct notify *notify)
{
	(void)tell(notify, "READY=1");
}

void notify_status(struct notify *notify, const char *sentence)
{
	_cleanup_free_ char *lines = NULL;

	if (notify->said != NULL && strcmp(notify->said, sentence) == 0)
		return;
	free(notify->said);
	notify->said = xstrdup(sentence);
	/* What a peer says may be in it: a line break would begin another variable. */
	printable_neutralise(notify->said);
	lines = xasprintf("STATUS=%s", notify->said);
	if (!tell(notify, lines))
		free(take(notify->said)); /* the next one is told in any case */
}

/* The time keeps this apart from an earlier one (Type=notify-reload in systemd.service(5)). */
void notify_reloading(struct notify *notify)
{
	_cleanup_free_ char *lines = NULL;
	struct timespec now;

	(void)clock_gettime(CLOCK_MONOTONIC, &now);
	lines = xasprintf("RELOADING=1\nMONOTONIC_USEC=%" PRIu64,
		(uint64_t)now.tv_sec * 1000000 + (uint64_t)now.tv_nsec / 1000);
	(void)tell(notify, lines);
}

void notify_stopping(struct notify *notify)
{
	(void)tell(notify, "STOPPING=1");
}
