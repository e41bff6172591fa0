/* SPDX-License-Identifier: MIT */
/* Connects to the first of several addresses that answers (RFC 8305 section 5). */
#ifndef INTERIMAP_NET_CONNECTOR_H
#define INTERIMAP_NET_CONNECTOR_H

#include <stdbool.h>

struct addrinfo;
struct connector;
struct loop;
struct task;

/* The list must stay until connector_free().  Wakes the waiter once it is done. */
struct connector *connector_start(
	struct loop *loop, const struct addrinfo *list, struct task *waiter);
bool connector_is_done(const struct connector *connector);
/* Hands out the connected descriptor (non-blocking, close-on-exec), or -1, then for this reason. */
int connector_take(struct connector *connector);
const char *connector_reason(const struct connector *connector);
/* Closes what was not handed out.  Accepts NULL. */
struct connector *connector_free(struct connector *connector);

#endif
