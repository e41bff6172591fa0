/* SPDX-License-Identifier: MIT */
#include "sync/net/addresses.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "sync/base/loop.h"
#include "sync/base/xalloc.h"

#ifdef __linux__
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#endif

/* An interface that comes up brings its addresses and routes one after the other. */
static const double ADDRESSES_PAUSE = 0.3;

struct addresses {
	struct loop *loop;
	struct addresses_handler *handler;
	int fd;
	ev_io readable;
	ev_timer pause;
};

/* What changed is no matter; that it could not be told for want of room (ENOBUFS) is a change. */
static void drain(int fd)
{
	char skipped[8192];
	ssize_t n;

	do
		n = recv(fd, skipped, sizeof(skipped), MSG_DONTWAIT);
	while (n > 0 || (n < 0 && (errno == ENOBUFS || errno == EINTR)));
}

static void on_readable(struct ev_loop *ev, ev_io *watcher, int revents)
{
	struct addresses *addresses = container_of(watcher, struct addresses, readable);

	drain(addresses->fd);
	if (!ev_is_active(&addresses->pause)) {
		ev_timer_set(&addresses->pause, ADDRESSES_PAUSE, 0.);
		ev_timer_start(ev, &addresses->pause);
	}
}

static void on_pause(struct ev_loop *ev, ev_timer *timer, int revents)
{
	struct addresses *addresses = container_of(timer, struct addresses, pause);

	addresses->handler->changed(addresses->handler);
}

static int subscribe(void)
{
#ifdef __linux__
	const struct sockaddr_nl all = {
		.nl_family = AF_NETLINK,
		.nl_groups = RTMGRP_IPV4_IFADDR | RTMGRP_IPV6_IFADDR | RTMGRP_IPV4_ROUTE |
			     RTMGRP_IPV6_ROUTE,
	};
	int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, NETLINK_ROUTE);

	if (fd < 0)
		return -1;
	if (bind(fd, (const struct sockaddr *)&all, sizeof(all)) == 0)
		return fd;
	(void)close(fd);
#endif
	return -1;
}

struct addresses *addresses_new(struct loop *loop, struct addresses_handler *handler)
{
	struct addresses *addresses;
	int fd = subscribe();

	if (fd < 0)
		return NULL;
	addresses = xcalloc(1, sizeof(*addresses));
	addresses->loop = loop;
	addresses->handler = handler;
	addresses->fd = fd;
	ev_init(&addresses->pause, on_pause);
	ev_io_init(&addresses->readable, on_readable, fd, EV_READ);
	ev_io_start(loop->ev, &addresses->readable);
	return addresses;
}

struct addresses *addresses_free(struct addresses *addresses)
{
	if (addresses == NULL)
		return NULL;
	ev_io_stop(addresses->loop->ev, &addresses->readable);
	ev_timer_stop(addresses->loop->ev, &addresses->pause);
	(void)close(addresses->fd);
	free(addresses);
	return NULL;
}
