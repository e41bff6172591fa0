/* SPDX-License-Identifier: MIT */
/* One mail client, from its connection to its end: the dialogue before login, then the relay. */
#ifndef INTERIMAP_PROXY_SESSION_H
#define INTERIMAP_PROXY_SESSION_H

#include <stdbool.h>

struct action_receiver;
struct auth;
struct endpoint;
struct hint_receiver;
struct loop;
struct proxy_session;
struct tls_context;
struct worker;

/* What all clients share; borrowed, and must outlive them. */
struct proxy_context {
	struct loop *loop;
	struct worker *worker;
	struct auth *auth;
	struct endpoint *store;
	const struct tls_context *tls; /* NULL: no TLS is offered */
	struct hint_receiver *receiver; /* this and the next may be NULL */
	struct action_receiver *actions;
};

struct proxy_client {
	int own_fd; /* non-blocking */
	const char *name; /* its address, for the log; copied */
	bool implicit_tls;
	bool is_local; /* loopback or a UNIX socket: clear text is no secret from anybody */
};

struct proxy_session_handler {
	/* Once, from the loop; frees the session. */
	void (*ended)(struct proxy_session_handler *handler, struct proxy_session *session);
};

/* It has not logged in, nor given a password that is being looked at. */
bool proxy_session_is_guest(const struct proxy_session *session);
/* It is over, and its handler will hear of that. */
bool proxy_session_has_ended(const struct proxy_session *session);
/* Another client needs its place: it is told so, as far as that goes at once, and ends. */
void proxy_session_give_way(struct proxy_session *session);

/* Never calls back before it returns.  `client` is only read during the call. */
struct proxy_session *proxy_session_new(const struct proxy_context *context,
	const struct proxy_client *client, struct proxy_session_handler *handler);
/* It waits for the client, the store, the password check or a timer. */
bool proxy_session_is_attended(const struct proxy_session *session);
/* For a developer, to stderr. */
void proxy_session_say_state(const struct proxy_session *session);
/* See relay_nudge(). */
void proxy_session_nudge(struct proxy_session *session, const char *mailbox);
/* Closes at once, with a BYE if it can be said now.  Accepts NULL. */
struct proxy_session *proxy_session_free(struct proxy_session *session);

#endif
