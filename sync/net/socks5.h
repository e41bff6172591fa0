/* SPDX-License-Identifier: MIT */
/* The client's side of SOCKS version 5 (RFC 1928) with user and password (RFC 1929). */
#ifndef INTERIMAP_NET_SOCKS5_H
#define INTERIMAP_NET_SOCKS5_H

#include <stdbool.h>

struct loop;
struct sockaddr;
struct socks5;
struct task;

/* What "socks5[h]://[USER:PASSWORD@]HOST[:PORT]" says. */
struct socks5_proxy {
	char *host; /* without brackets */
	unsigned port;
	bool proxy_resolves; /* socks5h: the proxy gets the name, not an address */
	char *user; /* NULL for none */
	char *password;
};

/* NULL and *ret_proxy filled, or a sentence that the caller frees. */
char *socks5_parse(const char *url, struct socks5_proxy *ret_proxy);
void socks5_proxy_done(struct socks5_proxy *proxy);

/* Where the proxy is to connect to: the address if it is not NULL, else the name. */
struct socks5_target {
	const struct sockaddr *address; /* AF_INET or AF_INET6; its port is not looked at */
	const char *name;
	unsigned port;
};

/*
 * Takes a descriptor that is connected to the proxy, and asks it for a connection.  The proxy's
 * settings must stay until socks5_free().  Wakes the waiter once it is done.
 */
struct socks5 *socks5_start(struct loop *loop, int own_fd, const struct socks5_proxy *proxy,
	const struct socks5_target *target, struct task *waiter);
bool socks5_is_done(const struct socks5 *socks5);
/*
 * Hands out the descriptor, from which nothing beyond the proxy's answer was read; or -1, then for
 * this reason, a sentence.
 */
int socks5_take(struct socks5 *socks5);
const char *socks5_reason(const struct socks5 *socks5);
/* Whether it failed for the target rather than for the proxy: another address may do. */
bool socks5_is_target_failure(const struct socks5 *socks5);
/* Accepts NULL. */
struct socks5 *socks5_free(struct socks5 *socks5);

#endif
