/* SPDX-License-Identifier: MIT */
/* How to connect to one server of an account: session options, with all that they refer to. */
#ifndef INTERIMAP_CONFIG_SERVER_H
#define INTERIMAP_CONFIG_SERVER_H

#include "sync/config/account.h"
#include "sync/imap/session.h"

struct server;

/*
 * The account must outlive the server.  NULL on failure, with a
 * sentence in *ret_reason that the caller frees: a certificate file that cannot be read, no Dovecot
 * for the embedded store …
 */
struct server *server_new(const struct account_side *side, char **ret_reason);
struct server *server_free(struct server *server);

/* Options for a mail client's connection: just logged in.  Set enable_qresync for the engine's.
 * Valid as long as the server. */
const struct session_options *server_session_options(const struct server *server);

/* The folders that the embedded store writes to, NULL-terminated; NULL for other servers.  Valid as
 * long as the server. */
const char *const *server_folders(const struct server *server);

/* Empties what the embedded store had to say when it has grown large; for each new connection. */
void server_trim_log(const struct server *server);

#endif
