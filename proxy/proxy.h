/* SPDX-License-Identifier: MIT */
/*
 * The service that mail clients connect to: listens, checks their password, and gives each its own
 * connection to the local store.
 */
#ifndef INTERIMAP_PROXY_PROXY_H
#define INTERIMAP_PROXY_PROXY_H

#include <stdbool.h>

struct account;
struct action_receiver;
struct hint_receiver;
struct inherited;
struct loop;
struct proxy;
struct worker;

/* All is borrowed, and must outlive the proxy. */
struct proxy_options {
	struct loop *loop;
	struct worker *worker;
	const struct inherited *inherited; /* or NULL */
	struct hint_receiver *receiver; /* this and the next may be NULL */
	struct action_receiver *actions;
};

/*
 * Listens.  The account is kept as long as it is needed.  NULL on failure, with a sentence in
 * *ret_reason that the caller frees.
 */
struct proxy *proxy_new(
	const struct proxy_options *options, struct account *account, char **ret_reason);
/*
 * From now on as this account says: where it listens, and on which terms.  Clients that are there
 * stay, on those they came with; unless the store is another one.  On failure nothing has changed.
 */
bool proxy_change(struct proxy *proxy, struct account *account, char **ret_reason);
/* Says goodbye to the clients, as far as that can be done at once.  Accepts NULL. */
struct proxy *proxy_free(struct proxy *proxy);

/*
 * The engine has changed something in the mailbox with this name (as on the store's wire; NULL: in
 * any): clients that idle on it hear of it at once.  What one client does, the others hear anyway.
 */
void proxy_nudge(struct proxy *proxy, const char *mailbox);

/* Clients that are connected now, logged in or not. */
unsigned proxy_client_count(const struct proxy *proxy);

/*
 * The password that clients log in with, if it was generated just now, else NULL: to be shown to
 * the user once.  It is kept in proxy_password_file() (NULL when the password is configured).
 */
const char *proxy_new_password(const struct proxy *proxy);
const char *proxy_password_file(const struct proxy *proxy);

#endif
