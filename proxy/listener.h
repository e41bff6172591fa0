/* SPDX-License-Identifier: MIT */
/*
 * The sockets that mail clients connect to: those of the configuration, or those that systemd has
 * handed over (sd_listen_fds(3)), which then replace them.
 */
#ifndef INTERIMAP_PROXY_LISTENER_H
#define INTERIMAP_PROXY_LISTENER_H

#include <stdbool.h>
#include <stddef.h>

#include "sync/config/values.h"

struct inherited;
struct listener;
struct loop;
struct proxy_client;

struct listener_handler {
	/* From the loop.  Takes the descriptor; the rest is only valid during the call. */
	void (*accepted)(struct listener_handler *handler, const struct proxy_client *client);
};

struct listener_options {
	const struct listen_address *addresses;
	size_t count;
	const struct inherited *inherited; /* or NULL; if it holds any, they replace the addresses
					    */
	bool tls; /* a certificate is configured: an address off loopback is allowed, and port
		     "imaps" or 993 (or a socket of that name from systemd) speaks TLS at once */
};

/*
 * Listens on all of them, or on none.  NULL on failure, with a sentence in *ret_reason that the
 * caller frees.  Host names are looked up here, which may block: nobody is served yet.
 */
struct listener *listener_new(struct loop *loop, const struct listener_options *options,
	struct listener_handler *handler, char **ret_reason);
/*
 * Listens on these instead: an address that stays does so without a gap, and sockets from systemd
 * stay in any case.  On failure (false, and a sentence in *ret_reason) nothing has changed.
 */
bool listener_change(
	struct listener *listener, const struct listener_options *options, char **ret_reason);
/* Removes its UNIX sockets.  Accepts NULL. */
struct listener *listener_free(struct listener *listener);

/* A descriptor was closed: if there were none left, there is one now. */
void listener_resume(struct listener *listener);

#endif
