/* SPDX-License-Identifier: MIT */
/* Between session.c, the dialogue as a whole, and session-login.c, its credentials. */
#ifndef INTERIMAP_IMAP_SESSION_PRIVATE_H
#define INTERIMAP_IMAP_SESSION_PRIVATE_H

#include <ev.h>

#include "sync/base/loop.h"
#include "sync/imap/alerts.h"
#include "sync/imap/client.h"
#include "sync/imap/command.h"
#include "sync/imap/sasl.h"
#include "sync/imap/secret.h"
#include "sync/imap/session.h"

enum state {
	STATE_DIALLING,
	STATE_GREETING, /* connected: the server speaks first */
	STATE_CAPABILITY, /* asked, before authentication */
	STATE_STARTTLS, /* asked for it */
	STATE_SECRET, /* a command is to print the password or token */
	STATE_AUTHENTICATE, /* credentials are on their way */
	STATE_CAPABILITY_NOW, /* asked again, since authentication may change them */
	STATE_READY, /* ENABLE may still be unanswered */
	STATE_LOST,
};

struct session {
	struct loop *loop;
	const struct session_options *options;
	struct session_handler *handler;
	struct client_owner owner;
	struct dial_handler dial_handler;
	struct dial *dial;
	struct client *client;
	enum state state;
	struct task ready; /* enters STATE_READY */
	ev_timer deadline;
	bool tls; /* the handshake was begun */
	bool authenticated; /* by PREAUTH */
	struct command command; /* the one of the current state */
	struct command enable, compress, logout;
	bool command_used, enable_used, compress_used, logout_used;
	bool compressed;
	struct sasl *sasl;
	struct secret *request; /* for the password or token, under way */
	struct secret_handler secret_handler;
	char *secret; /* that came of it, until it was accepted */
	char *refusal; /* a sentence: what a command printed was refused, and it is run once more */
	bool enabled; /* the server says that QRESYNC is (RFC 5161 section 3.2) */
	struct alerts alerts;
	char *capabilities; /* " A B C ", upper case, or NULL while unknown */
	uint64_t append_limit; /* what they say of it */
	enum session_failure failure;
};

/* session.c */
void session_enter(struct session *session, enum state state);
/* Gives the connection up, for a reason in a sentence. */
void session_fail(struct session *session, enum session_failure failure, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));
/* What a refusal of the command means: for now, if its code or words say so. */
enum session_failure session_refusal(const struct command *command);
/* A fresh command of the dialogue; the previous one has completed. */
struct command *session_command(struct session *session, void (*complete)(struct command *));

/* session-login.c */
/* The server is ready for a login: has the secret fetched first, if a command prints it. */
void session_begin_login(struct session *session);
/* For session_enter(): STATE_SECRET, and STATE_AUTHENTICATE. */
void session_fetch_secret(struct session *session);
void session_authenticate(struct session *session);
/* Nothing of the credentials is needed any more. */
void session_forget_secret(struct session *session);

#endif
