/* SPDX-License-Identifier: MIT */
#include "proxy/proxy.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>
#include <utlist.h>

#include "proxy/listener.h"
#include "proxy/session.h"
#include "proxy/terms.h"
#include "sync/base/limits.h"
#include "sync/base/log.h"
#include "sync/base/loop.h"
#include "sync/base/xalloc.h"
#include "sync/config/account.h"
#include "sync/engine/hint.h"

/* A session and its place among the others. */
struct client {
	struct client *prev, *next;
	struct proxy *proxy;
	struct terms *terms; /* that it came on */
	struct proxy_session *session;
	struct proxy_session_handler handler;
};

struct proxy {
	struct proxy_context shared; /* without what the terms add */
	struct terms *terms; /* for those that come now */
	const struct inherited *inherited;
	struct listener *listener;
	struct listener_handler handler;
	struct hint_receiver receiver; /* between the clients and the engine's */
	struct hint_receiver *engine;
	struct client *clients;
	unsigned client_count;
	struct loop_check waits;
};

static const struct log_context *context = &(const struct log_context){.side = "proxy"};

static void free_client(struct client *client)
{
	proxy_session_free(client->session);
	terms_free(client->terms);
	free(client);
}

static void on_ended(struct proxy_session_handler *handler, struct proxy_session *session)
{
	struct client *client = container_of(handler, struct client, handler);
	struct proxy *proxy = client->proxy;

	/* Its end may give a hint, which goes to the others only. */
	DL_DELETE(proxy->clients, client);
	proxy->client_count--;
	free_client(client);
	listener_resume(proxy->listener);
}

/* Each client's session has something to wait for; see engine/waits.h. */
static void check(struct loop_check *check)
{
	struct proxy *proxy = container_of(check, struct proxy, waits);
	const struct client *client;

	DL_FOREACH (proxy->clients, client) {
		if (proxy_session_is_attended(client->session))
			continue;
		(void)fprintf(
			stderr, "interimap: about to sleep, and a client waits for nothing:\n");
		proxy_session_say_state(client->session);
		abort();
	}
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

/* Whoever connects and does not log in must not keep out who does.  False if nobody is like that.
 */
static bool make_room(struct proxy *proxy)
{
	struct client *client, *oldest = NULL;
	unsigned guests = 0, clients = 0;

	DL_FOREACH (proxy->clients, client) {
		if (proxy_session_is_guest(client->session)) {
			oldest = oldest != NULL ? oldest : client;
			guests++;
		}
		clients += !proxy_session_has_ended(client->session);
	}
	if (clients < terms_account(proxy->terms)->proxy.max_clients && guests < LIMIT_GUESTS)
		return true;
	if (oldest != NULL)
		proxy_session_give_way(oldest->session);
	return oldest != NULL;
}

static void on_accepted(struct listener_handler *handler, const struct proxy_client *accepted)
{
	struct proxy *proxy = container_of(handler, struct proxy, handler);
	struct client *client;

	if (!make_room(proxy)) {
		turn_away(accepted);
		return;
	}
	client = xcalloc(1, sizeof(*client));
	client->proxy = proxy;
	client->terms = terms_ref(proxy->terms);
	client->handler.ended = on_ended;
	DL_APPEND(proxy->clients, client);
	proxy->client_count++;
	client->session =
		proxy_session_new(terms_context(client->terms), accepted, &client->handler);
}

static bool listen_on(struct proxy *proxy, const struct account *account, char **ret_reason)
{
	const struct listener_options options = {
		.addresses = account->proxy.listen,
		.count = account->proxy.listen_count,
		.inherited = proxy->inherited,
		.tls = account->proxy.cert != NULL,
	};

	if (proxy->listener != NULL)
		return listener_change(proxy->listener, &options, ret_reason);
	proxy->listener = listener_new(proxy->shared.loop, &options, &proxy->handler, ret_reason);
	return proxy->listener != NULL;
}

static void end_clients(struct proxy *proxy)
{
	struct client *client, *next;

	DL_FOREACH_SAFE (proxy->clients, client, next) {
		DL_DELETE(proxy->clients, client);
		proxy->client_count--;
		free_client(client);
	}
}

bool proxy_change(struct proxy *proxy, struct account *account, char **ret_reason)
{
	struct terms *terms = terms_new(&proxy->shared, account, ret_reason);

	if (terms == NULL)
		return false;
	if (!listen_on(proxy, account, ret_reason)) {
		terms_free(terms);
		return false;
	}
	/* What is done in another store must not be taken for what is done in this one. */
	if (proxy->terms != NULL && account_other_store(terms_account(proxy->terms), account))
		end_clients(proxy);
	terms_free(proxy->terms);
	proxy->terms = terms;
	return true;
}

struct proxy *proxy_new(
	const struct proxy_options *options, struct account *account, char **ret_reason)
{
	struct proxy *proxy = xcalloc(1, sizeof(*proxy));

	proxy->shared.loop = options->loop;
	proxy->shared.worker = options->worker;
	proxy->inherited = options->inherited;
	proxy->engine = options->receiver;
	proxy->receiver.hint = on_hint;
	proxy->shared.receiver = &proxy->receiver;
	proxy->shared.actions = options->actions;
	proxy->handler.accepted = on_accepted;
	proxy->waits.check = check;
	loop_add_check(options->loop, &proxy->waits);
	return proxy_change(proxy, account, ret_reason) ? proxy : proxy_free(proxy);
}

struct proxy *proxy_free(struct proxy *proxy)
{
	if (proxy == NULL)
		return NULL;
	loop_remove_check(proxy->shared.loop, &proxy->waits);
	end_clients(proxy);
	listener_free(proxy->listener);
	terms_free(proxy->terms);
	free(proxy);
	return NULL;
}

unsigned proxy_client_count(const struct proxy *proxy)
{
	return proxy->client_count;
}

const char *proxy_new_password(const struct proxy *proxy)
{
	return terms_new_password(proxy->terms);
}

const char *proxy_password_file(const struct proxy *proxy)
{
	return terms_password_file(proxy->terms);
}
