/* SPDX-License-Identifier: MIT */
#include "proxy/terms.h"

#include <stdlib.h>
#include <string.h>

#include "proxy/auth.h"
#include "sync/base/log.h"
#include "sync/base/xalloc.h"
#include "sync/config/account.h"
#include "sync/config/endpoint.h"
#include "sync/net/tls.h"

struct terms {
	unsigned references;
	struct account *account;
	struct proxy_context context;
	struct tls_context *tls;
	char *new_password, *password_file;
};

static void wipe(char *own_secret)
{
	if (own_secret != NULL)
		explicit_bzero(own_secret, strlen(own_secret));
	free(own_secret);
}

static bool prepare_password(struct terms *terms, char **ret_reason)
{
	const struct account_proxy *options = &terms->account->proxy;
	char *stored = NULL;
	bool is_new = false;

	if (options->password == NULL && options->password_hash == NULL) {
		terms->password_file = xasprintf("%s.password", terms->account->database);
		if (auth_stored_password(terms->password_file, &stored, &is_new, ret_reason) < 0)
			return false;
		log_info(&(const struct log_context){.side = "proxy"},
			"clients log in as %s with the password in %s", options->username,
			terms->password_file);
	}
	terms->context.auth = auth_new(terms->context.worker, options->username,
		stored != NULL ? stored : options->password, options->password_hash);
	if (is_new)
		terms->new_password = take(stored);
	wipe(stored);
	return true;
}

static bool prepare(struct terms *terms, char **ret_reason)
{
	const struct account_proxy *options = &terms->account->proxy;

	if (options->cert != NULL) {
		terms->tls = tls_server_new(options->cert, options->key, ret_reason);
		if (terms->tls == NULL)
			return false;
	}
	terms->context.tls = terms->tls;
	if (!prepare_password(terms, ret_reason))
		return false;
	terms->context.store = endpoint_new(&terms->account->local, ret_reason);
	return terms->context.store != NULL;
}

struct terms *terms_new(
	const struct proxy_context *shared, struct account *account, char **ret_reason)
{
	struct terms *terms = xcalloc(1, sizeof(*terms));

	terms->references = 1;
	terms->account = account_ref(account);
	terms->context = (struct proxy_context){
		.loop = shared->loop,
		.worker = shared->worker,
		.receiver = shared->receiver,
		.actions = shared->actions,
	};
	return prepare(terms, ret_reason) ? terms : terms_free(terms);
}

struct terms *terms_ref(struct terms *terms)
{
	terms->references++;
	return terms;
}

struct terms *terms_free(struct terms *terms)
{
	if (terms == NULL || --terms->references > 0)
		return NULL;
	auth_free(terms->context.auth);
	endpoint_free(terms->context.store);
	tls_free(terms->tls);
	account_free(terms->account);
	wipe(terms->new_password);
	free(terms->password_file);
	free(terms);
	return NULL;
}

const struct proxy_context *terms_context(const struct terms *terms)
{
	return &terms->context;
}

const struct account *terms_account(const struct terms *terms)
{
	return terms->account;
}

const char *terms_new_password(const struct terms *terms)
{
	return terms->new_password;
}

const char *terms_password_file(const struct terms *terms)
{
	return terms->password_file;
}
