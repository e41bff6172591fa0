/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <linux/sockios.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "sync/base/fault.h"
#include "sync/base/xalloc.h"
#include "sync/net/filter.h"

struct filter_socket {
	struct filter filter;
	int fd;
	uint64_t received, sent;
};

static ssize_t socket_recv(struct filter *filter, void *data, size_t n)
{
	struct filter_socket *sock = container_of(filter, struct filter_socket, filter);
	ssize_t got;

	do
		got = recv(sock->fd, data, n, 0);
	while (got < 0 && errno == EINTR);
	if (got < 0)
		return -errno;
	sock->received += (uint64_t)got;
	return got;
}

static ssize_t socket_send(struct filter *filter, const void *data, size_t n)
{
	struct filter_socket *sock = container_of(filter, struct filter_socket, filter);
	ssize_t sent;

	if (fault_due(FAULT_SEND))
		return -EPIPE;
	do
		sent = send(sock->fd, data, n, MSG_NOSIGNAL);
	while (sent < 0 && errno == EINTR);
	if (sent < 0)
		return -errno;
	sock->sent += (uint64_t)sent;
	return sent > 0 ? sent : -EAGAIN;
}

static int socket_push(struct filter *filter)
{
	return 0;
}

static void socket_flush(struct filter *filter)
{
}

static void socket_shutdown(struct filter *filter)
{
	const struct filter_socket *sock = container_of(filter, struct filter_socket, filter);

	(void)shutdown(sock->fd, SHUT_WR);
}

static bool socket_has_none(const struct filter *filter)
{
	return false;
}

static void socket_free(struct filter *filter)
{
	struct filter_socket *sock = container_of(filter, struct filter_socket, filter);

	(void)close(sock->fd);
	free(sock);
}

static const struct filter_class socket_class = {
	.recv = socket_recv,
	.send = socket_send,
	.push = socket_push,
	.flush = socket_flush,
	.shutdown = socket_shutdown,
	.has_input = socket_has_none,
	.has_output = socket_has_none,
	.has_room = socket_has_none,
	.free = socket_free,
};

struct filter *filter_socket_new(int own_fd)
{
	struct filter_socket *sock = xcalloc(1, sizeof(*sock));

	sock->filter.class = &socket_class;
	sock->fd = own_fd;
	return &sock->filter;
}

int filter_socket_fd(const struct filter *filter)
{
	return container_of(filter, struct filter_socket, filter)->fd;
}

uint64_t filter_socket_received(const struct filter *filter)
{
	return container_of(filter, struct filter_socket, filter)->received;
}

uint64_t filter_socket_sent(const struct filter *filter)
{
	return container_of(filter, struct filter_socket, filter)->sent;
}

uint64_t filter_socket_delivered(const struct filter *filter)
{
	const struct filter_socket *sock = container_of(filter, struct filter_socket, filter);
	int waiting = 0;

	/* unix(7) and tcp(7): what is not sent, or not acknowledged. */
	if (ioctl(sock->fd, SIOCOUTQ, &waiting) < 0 || waiting < 0)
		waiting = 0;
	return (uint64_t)waiting < sock->sent ? sock->sent - (uint64_t)waiting : 0;
}
