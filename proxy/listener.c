/* SPDX-License-Identifier: MIT */
#include "proxy/listener.h"

#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <netinet/in.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "proxy/inherited.h"
#include "proxy/session.h"
#include "sync/base/limits.h"
#include "sync/base/log.h"
#include "sync/base/loop.h"
#include "sync/base/xalloc.h"
#include "sync/net/socket-file.h"

enum { BACKLOG = 128, ACCEPTS_PER_TURN = 16, NAME_SIZE = 80 };

struct listening {
	struct listener *listener;
	struct ev_io io;
	char *address; /* as configured; NULL: from systemd */
	bool imaps; /* the port or the name says so: TLS at once, if there is TLS */
	bool stays; /* while the addresses change */
	struct socket_file file; /* of a UNIX socket */
};

struct listener {
	struct loop *loop;
	struct listener_handler *handler;
	bool tls;
	struct listening **sockets;
	size_t count;
	struct ev_timer pause; /* no descriptors are left: try again then */
};

static const struct log_context *context = &(const struct log_context){.side = "proxy"};

union address {
	struct sockaddr any;
	struct sockaddr_in v4;
	struct sockaddr_in6 v6;
	struct sockaddr_un local;
	struct sockaddr_storage storage;
};

static bool is_loopback(const union address *address)
{
	const uint8_t *v6 = address->v6.sin6_addr.s6_addr;

	switch (address->any.sa_family) {
	case AF_UNIX:
		return true;
	case AF_INET:
		return ntohl(address->v4.sin_addr.s_addr) >> 24 == 127;
	case AF_INET6:
		return IN6_IS_ADDR_LOOPBACK(&address->v6.sin6_addr) ||
		       (IN6_IS_ADDR_V4MAPPED(&address->v6.sin6_addr) && v6[12] == 127);
	default:
		return false;
	}
}

/* For a person. */
static void name_address(const union address *address, socklen_t len, char ret[NAME_SIZE])
{
	char host[NI_MAXHOST], port[NI_MAXSERV];

	if (address->any.sa_family == AF_UNIX ||
		getnameinfo(&address->any, len, host, sizeof(host), port, sizeof(port),
			NI_NUMERICHOST | NI_NUMERICSERV) != 0)
		(void)snprintf(ret, NAME_SIZE, "on the UNIX socket");
	else
		(void)snprintf(ret, NAME_SIZE,
			address->any.sa_family == AF_INET6 ? "[%.50s]:%.10s" : "%.50s:%.10s", host,
			port);
}

/* --- Accepting --- */

static void pause_all(struct listener *listener)
{
	if (ev_is_active(&listener->pause))
		return;
	for (size_t i = 0; i < listener->count; i++)
		ev_io_stop(listener->loop->ev, &listener->sockets[i]->io);
	ev_timer_set(&listener->pause, 1, 0);
	ev_timer_start(listener->loop->ev, &listener->pause);
}

void listener_resume(struct listener *listener)
{
	if (!ev_is_active(&listener->pause))
		return;
	ev_timer_stop(listener->loop->ev, &listener->pause);
	for (size_t i = 0; i < listener->count; i++)
		ev_io_start(listener->loop->ev, &listener->sockets[i]->io);
}

static void on_pause_over(struct ev_loop *ev, struct ev_timer *timer, int revents)
{
	struct listener *listener = container_of(timer, struct listener, pause);

	for (size_t i = 0; i < listener->count; i++)
		ev_io_start(ev, &listener->sockets[i]->io);
}

/* False when there is none, or none may be had now. */
static bool accept_one(struct listening *socket)
{
	struct listener *listener = socket->listener;
	union address address = {.any.sa_family = AF_UNSPEC};
	socklen_t len = sizeof(address);
	char name[NAME_SIZE];
	struct proxy_client client = {.name = name, .implicit_tls = listener->tls && socket->imaps};

	client.own_fd = accept4(socket->io.fd, &address.any, &len, SOCK_NONBLOCK | SOCK_CLOEXEC);
	if (client.own_fd >= 0) {
		name_address(&address, len, name);
		client.is_local = is_loopback(&address);
		listener->handler->accepted(listener->handler, &client);
		return true;
	}
	if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM) {
		/* The connection stays in the queue, and the socket readable. */
		log_warning(context, "cannot accept a connection for now: %s", strerror(errno));
		pause_all(listener);
		return false;
	}
	/* Others concern that one connection (accept(2)). */
	return errno != EAGAIN && errno != EBADF && errno != EINVAL && errno != ENOTSOCK;
}

static void on_readable(struct ev_loop *ev, struct ev_io *watcher, int revents)
{
	struct listening *socket = container_of(watcher, struct listening, io);

	for (int i = 0; i < ACCEPTS_PER_TURN && accept_one(socket); i++)
		;
}

/* --- Opening --- */

static struct listening *add(struct listener *listener, int own_fd, char *own_address, bool imaps)
{
	struct listening *socket = xcalloc(1, sizeof(*socket));

	socket->listener = listener;
	socket->address = own_address;
	socket->imaps = imaps;
	socket->stays = true;
	ev_io_init(&socket->io, on_readable, own_fd, EV_READ);
	listener->sockets =
		xreallocarray(listener->sockets, listener->count + 1, sizeof(*listener->sockets));
	listener->sockets[listener->count++] = socket;
	ev_io_start(listener->loop->ev, &socket->io);
	return socket;
}

static bool refuse(char **ret_reason, char *own_reason)
{
	*ret_reason = own_reason;
	return false;
}

static bool check_exposure(const struct listener *listener, const union address *address,
	const char *name, char **ret_reason)
{
	if (listener->tls || is_loopback(address))
		return true;
	return refuse(ret_reason,
		xasprintf("listening on %s would send passwords and mail over the network in clear "
			  "text: set SSL_cert and SSL_key in [proxy], or listen on a loopback "
			  "address",
			name));
}

/* The configured address, to recognise it by. */
static char *describe(const struct listen_address *wanted)
{
	if (wanted->unix_path != NULL)
		return xasprintf("unix:%s", wanted->unix_path);
	return xasprintf("%s port %s", wanted->host, wanted->port);
}

static bool open_address(struct listener *listener, const struct addrinfo *info,
	const struct listen_address *wanted, char **ret_reason)
{
	const union address *address = (const union address *)info->ai_addr;
	bool imaps = strcasecmp(wanted->port, "imaps") == 0 || strcmp(wanted->port, "993") == 0;
	char name[NAME_SIZE];
	int on = 1, fd;

	name_address(address, info->ai_addrlen, name);
	if (!check_exposure(listener, address, name, ret_reason))
		return false;
	fd = socket(info->ai_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (fd >= 0) {
		(void)setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
		if (info->ai_family == AF_INET6)
			(void)setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof(on));
	}
	if (fd >= 0 && bind(fd, info->ai_addr, info->ai_addrlen) == 0 && listen(fd, BACKLOG) == 0) {
		log_info(context, "listening on %s", name);
		(void)add(listener, fd, describe(wanted), imaps);
		return true;
	}
	if (info->ai_family == AF_INET6 && is_loopback(address) &&
		(errno == EADDRNOTAVAIL || errno == EAFNOSUPPORT)) {
		log_info(context, "not listening on %s: this system has no IPv6", name);
	} else {
		*ret_reason = xasprintf("cannot listen on %s: %s", name, strerror(errno));
	}
	if (fd >= 0)
		(void)close(fd);
	return *ret_reason == NULL;
}

static bool open_host(
	struct listener *listener, const struct listen_address *wanted, char **ret_reason)
{
	struct addrinfo *list = NULL, hints = {.ai_socktype = SOCK_STREAM,
					      .ai_flags = AI_PASSIVE | AI_ADDRCONFIG};
	bool any = strcmp(wanted->host, "*") == 0, good = true;
	int r;

	if (strchr(wanted->host, ':') != NULL)
		hints.ai_flags = AI_PASSIVE; /* "::1" with no other IPv6 address around */
	r = getaddrinfo(any ? NULL : wanted->host, wanted->port, &hints, &list);
	if (r != 0)
		return refuse(ret_reason, xasprintf("cannot listen on %s port %s: %s", wanted->host,
						  wanted->port, gai_strerror(r)));
	for (const struct addrinfo *info = list; info != NULL && good; info = info->ai_next)
		good = open_address(listener, info, wanted, ret_reason);
	freeaddrinfo(list);
	return good;
}

static bool open_unix(
	struct listener *listener, const struct listen_address *wanted, char **ret_reason)
{
	struct socket_file file;
	int fd = socket_file_listen(wanted->unix_path, BACKLOG, &file, ret_reason);

	if (fd < 0)
		return false;
	add(listener, fd, describe(wanted), false)->file = file;
	log_info(context, "listening on %s", wanted->unix_path);
	return true;
}

/* --- Sockets from systemd --- */

static bool is_imaps_port(const union address *address)
{
	in_port_t port = address->any.sa_family == AF_INET    ? address->v4.sin_port
			 : address->any.sa_family == AF_INET6 ? address->v6.sin6_port
							      : 0;

	return ntohs(port) == 993;
}

static bool take_inherited(struct listener *listener, int fd, const char *name, char **ret_reason)
{
	union address address = {.any.sa_family = AF_UNSPEC};
	socklen_t len = sizeof(address);
	char shown[NAME_SIZE];
	int listens = 0;
	socklen_t size = sizeof(listens);

	if (getsockname(fd, &address.any, &len) < 0 ||
		getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &listens, &size) < 0 || !listens)
		return refuse(ret_reason,
			xasprintf("descriptor %d from systemd is no listening socket", fd));
	name_address(&address, len, shown);
	if (!check_exposure(listener, &address, shown, ret_reason))
		return false;
	(void)fcntl(fd, F_SETFL, O_NONBLOCK);
	log_info(context, "listening on %s, from systemd", shown);
	(void)add(listener, fd, NULL, strcmp(name, "imaps") == 0 || is_imaps_port(&address));
	return true;
}

static bool take_all_inherited(
	struct listener *listener, const struct listener_options *options, char **ret_reason)
{
	const struct inherited *inherited = options->inherited;

	for (size_t i = 0; i < inherited->count; i++)
		if (!take_inherited(
			    listener, INHERITED_FIRST + (int)i, inherited->names[i], ret_reason))
			return false;
	return true;
}

/* --- Changing --- */

/* With a certificate less, what was allowed may not be any more. */
static bool keep(struct listening *socket, char **ret_reason)
{
	union address address = {.any.sa_family = AF_UNSPEC};
	socklen_t len = sizeof(address);
	char shown[NAME_SIZE];

	socket->stays = true;
	if (getsockname(socket->io.fd, &address.any, &len) < 0)
		return true;
	name_address(&address, len, shown);
	return check_exposure(socket->listener, &address, shown, ret_reason);
}

static bool is_same(const char *one, const char *other)
{
	return one == other || (one != NULL && other != NULL && strcmp(one, other) == 0);
}

/* Those of the first `count` that have the address stay; *ret_any tells whether there are any. */
static bool keep_all(struct listener *listener, size_t count, const char *address, bool *ret_any,
	char **ret_reason)
{
	*ret_any = false;
	for (size_t i = 0; i < count; i++) {
		struct listening *socket = listener->sockets[i];

		if (!is_same(socket->address, address))
			continue;
		*ret_any = true;
		if (!keep(socket, ret_reason))
			return false;
	}
	return true;
}

static bool open_configured(struct listener *listener, const struct listener_options *options,
	size_t before, char **ret_reason)
{
	for (size_t i = 0; i < options->count; i++) {
		const struct listen_address *wanted = &options->addresses[i];
		_cleanup_free_ char *address = describe(wanted);
		bool good, is_there;

		good = keep_all(listener, before, address, &is_there, ret_reason);
		if (good && !is_there)
			good = wanted->unix_path != NULL ? open_unix(listener, wanted, ret_reason)
							 : open_host(listener, wanted, ret_reason);
		if (!good)
			return false;
	}
	return true;
}

static void close_socket(struct listening *socket)
{
	ev_io_stop(socket->listener->loop->ev, &socket->io);
	(void)close(socket->io.fd);
	socket_file_remove(&socket->file);
	free(socket->address);
	free(socket);
}

/* Those from `first` on that do not stay. */
static void close_some(struct listener *listener, size_t first)
{
	size_t kept = first;

	for (size_t i = first; i < listener->count; i++) {
		if (listener->sockets[i]->stays)
			listener->sockets[kept++] = listener->sockets[i];
		else
			close_socket(listener->sockets[i]);
	}
	listener->count = kept;
}

static bool open_all(
	struct listener *listener, const struct listener_options *options, char **ret_reason)
{
	size_t before = listener->count, stay = 0;
	bool inherited;

	if (!keep_all(listener, before, NULL, &inherited, ret_reason))
		return false;
	if (inherited)
		return true;
	if (before == 0 && options->inherited != NULL && options->inherited->count > 0)
		return take_all_inherited(listener, options, ret_reason);
	if (!open_configured(listener, options, before, ret_reason))
		return false;
	for (size_t i = 0; i < listener->count; i++)
		stay += listener->sockets[i]->stays;
	return stay > 0 || refuse(ret_reason, xstrdup("there is no address to listen on"));
}

bool listener_change(
	struct listener *listener, const struct listener_options *options, char **ret_reason)
{
	size_t before = listener->count;
	bool tls_before = listener->tls;
	char *reason = NULL;

	listener->tls = options->tls;
	for (size_t i = 0; i < before; i++)
		listener->sockets[i]->stays = false;
	if (open_all(listener, options, &reason)) {
		close_some(listener, 0);
		return true;
	}
	listener->tls = tls_before;
	for (size_t i = before; i < listener->count; i++)
		listener->sockets[i]->stays = false;
	close_some(listener, before);
	*ret_reason = reason;
	return false;
}

struct listener *listener_new(struct loop *loop, const struct listener_options *options,
	struct listener_handler *handler, char **ret_reason)
{
	struct listener *listener = xcalloc(1, sizeof(*listener));

	listener->loop = loop;
	listener->handler = handler;
	ev_timer_init(&listener->pause, on_pause_over, 0, 0);
	return listener_change(listener, options, ret_reason) ? listener : listener_free(listener);
}

struct listener *listener_free(struct listener *listener)
{
	if (listener == NULL)
		return NULL;
	ev_timer_stop(listener->loop->ev, &listener->pause);
	for (size_t i = 0; i < listener->count; i++)
		close_socket(listener->sockets[i]);
	free(listener->sockets);
	free(listener);
	return NULL;
}
