/* SPDX-License-Identifier: MIT */
#include "sync/config/endpoint.h"

#include <stdlib.h>

#include "sync/base/limits.h"
#include "sync/base/xalloc.h"
#include "sync/config/embedded.h"
#include "sync/imap/secret.h"
#include "sync/net/tls.h"

struct endpoint {
	struct session_options options;
	struct tls_context *tls;
	struct embedded *embedded;
	struct secret_source source; /* of its password or token, if a command prints it */
};

static bool prepare_embedded(struct endpoint *endpoint, const char *path, char **ret_reason)
{
	struct dial_options *dial = &endpoint->options.dial;

	if (embedded_prepare(path, &endpoint->embedded, ret_reason) < 0)
		return false;
	dial->argv = embedded_argv(endpoint->embedded);
	dial->environment = embedded_environment(endpoint->embedded);
	return true;
}

static bool prepare_network(
	struct endpoint *endpoint, const struct account_side *side, char **ret_reason)
{
	struct session_options *options = &endpoint->options;

	options->dial.host = side->host;
	options->dial.port = side->port;
	options->dial.proxy = side->proxy;
	options->security = SESSION_TLS;
	if (side->type == ACCOUNT_IMAP)
		options->security = side->starttls ? SESSION_STARTTLS : SESSION_CLEARTEXT;
	if (options->security == SESSION_CLEARTEXT)
		return true;
	options->tls_host = side->tls_host;
	options->tls = endpoint->tls = tls_client_new(&side->tls, ret_reason);
	return endpoint->tls != NULL;
}

static void prepare_secret(struct endpoint *endpoint, const struct account_side *side)
{
	bool token = side->token_command != NULL;

	endpoint->source.kind = token ? SECRET_TOKEN : SECRET_PASSWORD;
	endpoint->source.command = token ? side->token_command : side->password_command;
	if (endpoint->source.command != NULL)
		endpoint->options.source = &endpoint->source;
}

struct endpoint *endpoint_new(const struct account_side *side, char **ret_reason)
{
	struct endpoint *endpoint = xcalloc(1, sizeof(*endpoint));
	bool good = true;

	endpoint->options = (struct session_options){
		.name = side->name,
		.username = side->username,
		.password = side->password,
		.mechanisms = side->auth,
		.keepalive = true,
		.dial.timeout_seconds = LIMIT_GREETING_SECONDS,
		.dial.null_stderr = side->null_stderr,
	};
	prepare_secret(endpoint, side);
	if (side->type == ACCOUNT_MAILDIR)
		good = prepare_embedded(endpoint, side->path, ret_reason);
	else if (side->type == ACCOUNT_TUNNEL)
		endpoint->options.dial.command = side->command;
	else
		good = prepare_network(endpoint, side, ret_reason);
	return good ? endpoint : endpoint_free(endpoint);
}

struct endpoint *endpoint_free(struct endpoint *endpoint)
{
	if (endpoint == NULL)
		return NULL;
	tls_free(endpoint->tls);
	embedded_free(endpoint->embedded);
	free(endpoint);
	return NULL;
}

const struct session_options *endpoint_session_options(const struct endpoint *endpoint)
{
	return &endpoint->options;
}

const char *const *endpoint_folders(const struct endpoint *endpoint)
{
	return endpoint->embedded != NULL ? embedded_folders(endpoint->embedded) : NULL;
}

void endpoint_trim_log(const struct endpoint *endpoint)
{
	if (endpoint->embedded != NULL)
		embedded_trim_log(endpoint->embedded);
}
