/* SPDX-License-Identifier: MIT */
#include "proxy/proxy.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include <utlist.h>

#include "proxy/auth.h"
#include "proxy/listener.h"
#include "proxy/session.h"
#include "sync/base/log.h"
#include "sync/base/xalloc.h"
#include "sync/config/account.h"
#include "sync/config/server.h"
#include "sync/engine/hint.h"
#include "sync/net/tls.h"

/* A session and its place among the others. */
struct client {
	struct client *prev, *next;
	struct proxy *proxy;
	struct proxy_session *session;
	struct proxy_session_handler handler;
};

struct proxy {
	struct proxy_context shared;
	struct auth *auth;
	struct server *store;
	struct tls_context *tls;
	struct listener *listener;
	struct listener_handler handler;
	struct hint_receiver receiver; /* between the clients and the engine's */
	struct hint_receiver *engine;
	struct client *clients;
	unsigned client_count, max_clients;
	char *new_password, *password_file;
};

static const struct log_context *context = &(const struct log_context){.side = "proxy"};

static void on_ended(struct proxy_session_handler *handler, struct proxy_session *session)
{
	struct client *client = container_of(handler, struct client, handler);
	struct proxy *proxy = client->proxy;

	/* Its end may give a hint, which goes to the others only. */
	DL_DELETE(proxy->clients, client);
	proxy->client_count--;
	proxy_session_free(session);
	free(client);
	listener_resume(proxy->listener);
}

void proxy_nudge(struct proxy *proxy, const char *mailbox)
{
	struct client *client;

	DL_FOREACH (proxy->clients, client)
		proxy_session_nudge(client->session, mailbox);
}

static void on_hint(struct hint_receiver *receiver, enum hint_kind kind, const char *mailbox)
{
	struct proxy *proxy = container_of(receiver, struct proxy, receiver);

	if (proxy->engine != NULL)
		proxy->engine->hint(proxy->engine, kind, mailbox);
	/* A mailbox that is opened has not changed. */
	if (kind != HINT_TREE && kind != HINT_SELECTED)
		proxy_nudge(proxy, mailbox);
}

/* Beyond max-clients: it is told why, as far as one write can do that. */
static void turn_away(const struct proxy_client *client)
{
	static const char bye[] = "* BYE Too many clients are connected; try again later.\r\n";

	log_warning(context, "client %s was turned away: max-clients is reached", client->name);
	if (!client->implicit_tls)
		(void)send(client->own_fd, bye, sizeof(bye) - 1, MSG_NOSIGNAL | MSG_DONTWAIT);
	(void)close(client->own_fd);
}

static void on_accepted(struct listener_handler *handler, const struct proxy_client *accepted)
{
	struct proxy *proxy = container_of(handler, struct proxy, handler);
	struct client *client;

	if (proxy->client_count >= proxy->max_clients) {
		turn_away(accepted);
		return;
	}
	client = xcalloc(1, sizeof(*client));
	client->proxy = proxy;
	client->handler.ended = on_ended;
	DL_APPEND(proxy->clients, client);
	proxy->client_count++;
	client->session = proxy_session_new(&proxy->shared, accepted, &client->handler);
}

static void wipe(char *own_secret)
{
	if (own_secret != NULL)
		explicit_bzero(own_secret, strlen(own_secret));
	free(own_secret);
}

static bool prepare_password(struct proxy *proxy, const struct account *account, char **ret_reason)
{
	const struct account_proxy *options = &account->proxy;
	char *stored = NULL;
	bool is_new = false;

	if (options->password == NULL && options->password_hash == NULL) {
		proxy->password_file = xasprintf("%s.password", account->database);
		if (auth_stored_password(proxy->password_file, &stored, &is_new, ret_reason) < 0)
			return false;
		log_info(context, "clients log in as %s with the password in %s", options->username,
			proxy->password_file);
	}
	proxy->auth = auth_new(proxy->shared.worker, options->username,
		stored != NULL ? stored : options->password, options->password_hash);
	if (is_new)
		proxy->new_password = take(stored);
	wipe(stored);
	return true;
}

static bool prepare_tls(struct proxy *proxy, const struct account_proxy *options, char **ret_reason)
{
	if (options->cert == NULL)
		return true;
	proxy->tls = tls_server_new(options->cert, options->key, ret_reason);
	return proxy->tls != NULL;
}

static bool prepare(struct proxy *proxy, const struct account *account, char **ret_reason)
{
	const struct account_proxy *options = &account->proxy;
	struct listener_options listen = {.addresses = options->listen,
		.count = options->listen_count,
		.tls = options->cert != NULL};

	if (!prepare_tls(proxy, options, ret_reason) ||
		!prepare_password(proxy, account, ret_reason))
		return false;
	proxy->store = server_new(&account->local, ret_reason);
	if (proxy->store == NULL)
		return false;
	proxy->listener = listener_new(proxy->shared.loop, &listen, &proxy->handler, ret_reason);
	return proxy->listener != NULL;
}

struct proxy *proxy_new(struct loop *loop, struct worker *worker, const struct account *account,
	struct hint_receiver *receiver, struct action_receiver *actions, char **ret_reason)
{
	struct proxy *proxy = xcalloc(1, sizeof(*proxy));

	proxy->shared.loop = loop;
	proxy->shared.worker = worker;
	proxy->engine = receiver;
	proxy->receiver.hint = on_hint;
	proxy->shared.receiver = &proxy->receiver;
	proxy->shared.actions = actions;
	proxy->handler.accepted = on_accepted;
	proxy->max_clients = account->proxy.max_clients;
	if (!prepare(proxy, account, ret_reason))
		return proxy_free(proxy);
	proxy->shared.auth = proxy->auth;
	proxy->shared.store = proxy->store;
	proxy->shared.tls = proxy->tls;
	return proxy;
}

struct proxy *proxy_free(struct proxy *proxy)
{
	struct client *client, *next;

	if (proxy == NULL)
		return NULL;
	DL_FOREACH_SAFE (proxy->clients, client, next) {
		DL_DELETE(proxy->clients, client);
		proxy_session_free(client->session);
		free(client);
	}
	listener_free(proxy->listener);
	auth_free(proxy->auth);
	server_free(proxy->store);
	tls_free(proxy->tls);
	wipe(proxy->new_password);
	free(proxy->password_file);
	free(proxy);
	return NULL;
}

unsigned proxy_client_count(const struct proxy *proxy)
{
	return proxy->client_count;
}

const char *proxy_new_password(const struct proxy *proxy)
{
	return proxy->new_password;
}

const char *proxy_password_file(const struct proxy *proxy)
{
	return proxy->password_file;
}
