/* SPDX-License-Identifier: MIT */
/* A command that is carried out by the service that holds the database. */
#ifndef INTERIMAP_COMMAND_CONTROL_CLIENT_H
#define INTERIMAP_COMMAND_CONTROL_CLIENT_H

#include <stdbool.h>

struct control_client;
struct control_request;
struct loop;

struct control_client_owner {
	/* Once, from the loop; the owner frees the client from here or later. */
	void (*finished)(struct control_client_owner *owner, bool complete);
};

/*
 * Asks on a descriptor from control_path_connect().  What the service says goes to the log, and a
 * status to standard output (as_json: see control-status.h).  The request is copied.
 */
struct control_client *control_client_new(struct loop *loop, int own_fd,
	const struct control_request *request, bool as_json, struct control_client_owner *owner);
/* The service goes on with what it has begun.  Accepts NULL. */
struct control_client *control_client_free(struct control_client *client);

#endif
