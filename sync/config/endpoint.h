/* SPDX-License-Identifier: MIT */
/* How to connect to one server of an account: session options, with all that they refer to. */
#ifndef INTERIMAP_CONFIG_ENDPOINT_H
#define INTERIMAP_CONFIG_ENDPOINT_H

#include "sync/config/account.h"
#include "sync/imap/session.h"

struct endpoint;

/*
 * The account must outlive it.  NULL on failure, with a sentence in *ret_reason that the caller
 * frees: a certificate file that cannot be read, no Dovecot for the embedded store …
 */
struct endpoint *endpoint_new(const struct account_side *side, char **ret_reason);
struct endpoint *endpoint_free(struct endpoint *endpoint);

/* Options for a mail client's connection: just logged in.  Set enable_qresync for the engine's.
 * Valid as long as the endpoint. */
const struct session_options *endpoint_session_options(const struct endpoint *endpoint);

/* The folders that the embedded store writes to, NULL-terminated; NULL for other servers.  Valid as
 * long as the endpoint. */
const char *const *endpoint_folders(const struct endpoint *endpoint);

/* Empties what the embedded store had to say when it has grown large; for each new connection. */
void endpoint_trim_log(const struct endpoint *endpoint);

#endif
