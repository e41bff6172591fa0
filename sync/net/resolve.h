/* SPDX-License-Identifier: MIT */
/* Turns a host name and a port into addresses, without blocking. */
#ifndef INTERIMAP_NET_RESOLVE_H
#define INTERIMAP_NET_RESOLVE_H

#include <netdb.h>
#include <stdbool.h>

struct resolve;
struct task;
struct worker;

/*
 * Wakes the waiter once it is done.  IP literals, bracketed or not, and "localhost" (RFC 6761
 * section 6.3) are done at once: they must not depend on a name service that hangs.
 */
struct resolve *resolve_start(
	struct worker *worker, const char *host, unsigned port, struct task *waiter);
bool resolve_is_done(const struct resolve *resolve);
/* The addresses, until resolve_free(); NULL when there are none, then for this reason. */
const struct addrinfo *resolve_list(const struct resolve *resolve);
const char *resolve_reason(const struct resolve *resolve);
/* Does not wake any more.  Accepts NULL. */
struct resolve *resolve_free(struct resolve *resolve);

/* Whether it is an IP address, or in brackets and so can be nothing else. */
bool resolve_is_literal(const char *host);

/* A port from its number or its service name; 0 if it is neither. */
unsigned resolve_port(const char *port);

/*
 * The addresses in the order to try them: families interleaved (RFC 8305 section 4), at most
 * LIMIT_ADDRESSES.  The caller frees the array; the entries belong to the list.
 */
const struct addrinfo **resolve_order(const struct addrinfo *list, size_t *ret_count);

#endif
