/* SPDX-License-Identifier: MIT */
/* Between control.c, which listens, and control-peer.c, which talks to one caller. */
#ifndef INTERIMAP_COMMAND_CONTROL_PRIVATE_H
#define INTERIMAP_COMMAND_CONTROL_PRIVATE_H

#include <ev.h>

#include "sync/base/loop.h"
#include "sync/command/control.h"
#include "sync/net/socket-file.h"

struct control_order;
struct control_peer;

struct control {
	struct loop *loop;
	struct engine *engine; /* NULL: it is gone */
	const struct account *account;
	struct client_counter *counter; /* or NULL */
	struct socket_file file;
	struct ev_io io;
	struct ev_timer pause; /* no descriptors are left: try again then */
	struct control_peer *peers; /* utlist */
	struct control_order *orders; /* utlist; their callers may be gone */
	unsigned peer_count, order_count;
};

/* control-peer.c */
struct control_peer *control_peer_new(struct control *control, int own_fd);
struct control_peer *control_peer_next(const struct control_peer *peer);
/* What it was told so far reaches it if that can be done at once. */
void control_peer_free(struct control_peer *peer);
/* The control ends: so does every conversation. */
void control_peer_say_goodbye(struct control_peer *peer);
/* To say one thing, and hear nothing. */
void control_peer_refuse(struct control_peer *peer, const char *reason);
/* The engine is gone. */
void control_orders_free(struct control *control);

#endif
