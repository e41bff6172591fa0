/* SPDX-License-Identifier: MIT */
/*
 * What a configuration says about serving mail clients: the password, the certificate, and the
 * store.  A client keeps those that held when it came, whatever the configuration becomes.
 */
#ifndef INTERIMAP_PROXY_TERMS_H
#define INTERIMAP_PROXY_TERMS_H

#include "proxy/session.h"

struct account;
struct terms;

/*
 * Loop, worker and receivers are taken from `shared`; the account is kept as long as it is needed.
 * NULL on failure, with a sentence in *ret_reason that the caller frees.
 */
struct terms *terms_new(
	const struct proxy_context *shared, struct account *account, char **ret_reason);
struct terms *terms_ref(struct terms *terms);
/* Drops a reference.  Accepts NULL. */
struct terms *terms_free(struct terms *terms);

const struct proxy_context *terms_context(const struct terms *terms);
const struct account *terms_account(const struct terms *terms);

/* As in proxy.h. */
const char *terms_new_password(const struct terms *terms);
const char *terms_password_file(const struct terms *terms);

#endif
