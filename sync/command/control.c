/* SPDX-License-Identifier: MIT */
#include "sync/command/control.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>
#include <utlist.h>

#include "sync/base/limits.h"
#include "sync/base/log.h"
#include "sync/base/xalloc.h"
#include "sync/command/control-path.h"
#include "sync/command/control-private.h"
#include "sync/config/account.h"

enum { BACKLOG = 128, ACCEPTS_PER_TURN = 16 };

static void take_peer(struct control *control, int own_fd)
{
	struct control_peer *peer;

	if (!socket_peer_is_trusted(own_fd)) {
		(void)close(own_fd);
		return;
	}
	peer = control_peer_new(control, own_fd);
	if (control->peer_count > LIMIT_CONTROL_PEERS) {
		control_peer_refuse(peer, "too many commands are asking this service at once");
		control_peer_free(peer);
	}
}

/* False when there is none, or none may be had now. */
static bool accept_one(struct control *control)
{
	int fd = accept4(control->io.fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);

	if (fd >= 0) {
		take_peer(control, fd);
		return true;
	}
	if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM) {
		/* The connection stays in the queue, and the socket readable. */
		ev_io_stop(control->loop->ev, &control->io);
		ev_timer_set(&control->pause, 1, 0);
		ev_timer_start(control->loop->ev, &control->pause);
	}
	return false;
}

static void on_pause_over(struct ev_loop *ev, struct ev_timer *timer, int revents)
{
	ev_io_start(ev, &container_of(timer, struct control, pause)->io);
}

static void on_readable(struct ev_loop *ev, struct ev_io *watcher, int revents)
{
	struct control *control = container_of(watcher, struct control, io);

	for (int i = 0; i < ACCEPTS_PER_TURN && accept_one(control); i++)
		;
}

struct control *control_new(struct loop *loop, struct engine *engine, const struct account *account,
	struct client_counter *counter, char **ret_reason)
{
	_cleanup_free_ char *path = control_path_prepare(account->database, ret_reason);
	struct control *control;
	struct socket_file file;
	int fd = path != NULL ? socket_file_listen(path, BACKLOG, &file, ret_reason) : -ENOENT;

	if (fd < 0)
		return NULL;
	control = xcalloc(1, sizeof(*control));
	control->loop = loop;
	control->engine = engine;
	control->account = account;
	control->counter = counter;
	control->file = file;
	ev_timer_init(&control->pause, on_pause_over, 0, 0);
	ev_io_init(&control->io, on_readable, fd, EV_READ);
	ev_io_start(loop->ev, &control->io);
	log_debug(NULL, "commands are taken at %s", path);
	return control;
}

struct control *control_free(struct control *control)
{
	struct control_peer *peer, *next;

	if (control == NULL)
		return NULL;
	ev_timer_stop(control->loop->ev, &control->pause);
	ev_io_stop(control->loop->ev, &control->io);
	socket_file_remove(&control->file);
	(void)close(control->io.fd);
	control->engine = NULL;
	for (peer = control->peers; peer != NULL; peer = next) {
		next = control_peer_next(peer);
		control_peer_say_goodbye(peer);
		control_peer_free(peer);
	}
	control_orders_free(control);
	free(control);
	return NULL;
}
