/* SPDX-License-Identifier: MIT */
#include "sync/config/server.h"

#include <stdlib.h>

#include "sync/base/limits.h"
#include "sync/base/xalloc.h"
#include "sync/config/embedded.h"
#include "sync/net/tls.h"

struct server {
	struct session_options options;
	struct tls_context *tls;
	struct embedded *embedded;
};

static bool prepare_embedded(struct server *server, const char *path, char **ret_reason)
{
	struct dial_options *dial = &server->options.dial;

	if (embedded_prepare(path, &server->embedded, ret_reason) < 0)
		return false;
	dial->argv = embedded_argv(server->embedded);
	dial->environment = embedded_environment(server->embedded);
	return true;
}

static bool prepare_network(
	struct server *server, const struct account_side *side, char **ret_reason)
{
	struct session_options *options = &server->options;

	options->dial.host = side->host;
	options->dial.port = side->port;
	options->dial.proxy = side->proxy;
	options->security = SESSION_TLS;
	if (side->type == ACCOUNT_IMAP)
		options->security = side->starttls ? SESSION_STARTTLS : SESSION_CLEARTEXT;
	if (options->security == SESSION_CLEARTEXT)
		return true;
	options->tls_host = side->tls_host;
	options->tls = server->tls = tls_client_new(&side->tls, ret_reason);
	return server->tls != NULL;
}

struct server *server_new(const struct account_side *side, char **ret_reason)
{
	struct server *server = xcalloc(1, sizeof(*server));
	bool good = true;

	server->options = (struct session_options){
		.name = side->name,
		.username = side->username,
		.password = side->password,
		.mechanisms = side->auth,
		.keepalive = true,
		.dial.timeout_seconds = LIMIT_GREETING_SECONDS,
		.dial.null_stderr = side->null_stderr,
	};
	if (side->type == ACCOUNT_MAILDIR)
		good = prepare_embedded(server, side->path, ret_reason);
	else if (side->type == ACCOUNT_TUNNEL)
		server->options.dial.command = side->command;
	else
		good = prepare_network(server, side, ret_reason);
	return good ? server : server_free(server);
}

struct server *server_free(struct server *server)
{
	if (server == NULL)
		return NULL;
	tls_free(server->tls);
	embedded_free(server->embedded);
	free(server);
	return NULL;
}

const struct session_options *server_session_options(const struct server *server)
{
	return &server->options;
}

const char *const *server_folders(const struct server *server)
{
	return server->embedded != NULL ? embedded_folders(server->embedded) : NULL;
}

void server_trim_log(const struct server *server)
{
	if (server->embedded != NULL)
		embedded_trim_log(server->embedded);
}
