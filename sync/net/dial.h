/* SPDX-License-Identifier: MIT */
/*
 * Gets a connected descriptor: name lookup in the worker, then staggered connects over all
 * addresses (RFC 8305), optionally through a SOCKS5 proxy (RFC 1928, RFC 1929); or a child process
 * over a socket pair (tunnel).
 */
#ifndef INTERIMAP_NET_DIAL_H
#define INTERIMAP_NET_DIAL_H

#include <stdbool.h>

struct dial;
struct loop;
struct worker;

struct dial_options {
	const char *host; /* name or IP literal, the latter possibly in square brackets (never
			     looked up then) */
	const char *port; /* number or service name */
	const char *unix_path; /* connect to this UNIX socket instead, or NULL */
	const char *proxy; /* "socks5[h]://[USER:PASSWORD@]HOST[:PORT]", or NULL */
	const char *command; /* tunnel: this command instead of a network connection, or NULL */
	const char *const *argv; /* tunnel: this argument vector instead of `command`, or NULL */
	const char *const *environment; /* tunnel: added to the child's environment, or NULL */
	bool null_stderr; /* tunnel */
	unsigned timeout_seconds; /* for each step, to connect at most LIMIT_CONNECT_SECONDS; 0:
				     LIMIT_GREETING_SECONDS */
};

struct dial_handler {
	/* Once, from the loop: fd >= 0 is the caller's, or fd < 0 and `reason` is a sentence
	 * (borrowed). */
	void (*dialled)(struct dial_handler *handler, int fd, const char *reason);
};

/*
 * Copies what it needs of the options.  A tunnel command goes to "/bin/sh -c" if it holds a shell
 * metacharacter
 * ($&*(){}[]'";\|?<>~` or newline) or begins with VAR= or "exec "; else it is split at white space.
 */
struct dial *dial_start(struct loop *loop, struct worker *worker,
	const struct dial_options *options, struct dial_handler *handler);
/* It will report, at the latest when its time is over. */
bool dial_is_under_way(const struct dial *dial);
/* Abandons it if it is still under way; no callback follows.  Accepts NULL.  Also to be called
 * after `dialled`. */
struct dial *dial_free(struct dial *dial);

#endif
