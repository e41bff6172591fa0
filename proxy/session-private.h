/* SPDX-License-Identifier: MIT */
/* The two files of a client's session: its life, and the commands before login. */
#ifndef INTERIMAP_PROXY_SESSION_PRIVATE_H
#define INTERIMAP_PROXY_SESSION_PRIVATE_H

#include <stdbool.h>

#include "proxy/auth.h"
#include "proxy/login.h"
#include "proxy/relay.h"
#include "proxy/session.h"
#include "sync/base/buf.h"
#include "sync/base/loop.h"
#include "sync/imap/session.h"
#include "sync/net/stream.h"

enum session_state {
	STATE_HANDSHAKE, /* TLS from the first byte */
	STATE_COMMAND, /* waits for a command */
	STATE_ANSWER, /* waits for the client's line of AUTHENTICATE */
	STATE_STARTTLS, /* its OK is on its way, then the handshake */
	STATE_CHECKING, /* the worker compares the password */
	STATE_DELAYED, /* it was wrong, and the client does not know yet */
	STATE_CONNECTING, /* to the store */
	STATE_RELAYING,
	STATE_CLOSING, /* the last words are on their way */
	STATE_ENDED,
};

struct proxy_session {
	const struct proxy_context *context;
	struct proxy_session_handler *handler;
	struct task task; /* wakes when it is over */
	enum session_state state;
	char *name;
	bool is_local;

	struct stream *stream; /* NULL once it is the relay's */
	struct stream_handler events;
	struct buf in; /* read, not yet used */
	struct buf out; /* not yet taken by the stream */
	struct login_reader reader;
	struct ev_timer deadline, delay;

	char *tag; /* of the LOGIN or AUTHENTICATE under way */
	unsigned failures, bad_commands;
	bool known; /* what it has said so far was IMAP */
	struct auth_check *check;
	struct auth_handler auth_handler;
	struct session *store; /* the client's own connection, until it is the relay's */
	struct session_handler store_handler;
	struct relay *relay;
	struct relay_handler relay_handler;
};

/* session.c */
void proxy_session_enter(struct proxy_session *session, enum session_state state);

/* session-commands.c: lines to the client, not yet flushed.  The tag is that of the command under
 * way, which is then over. */
void proxy_session_reply(struct proxy_session *session, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));
void proxy_session_reply_tagged(struct proxy_session *session, const char *text);
/* The last line; the connection is closed after it. */
void proxy_session_say_bye(struct proxy_session *session, const char *text);
/* Before login, as things are now. */
const char *proxy_session_capabilities(const struct proxy_session *session);

/* The reader holds a whole command. */
void proxy_session_run_command(struct proxy_session *session);
/* The client's line of AUTHENTICATE PLAIN has come. */
void proxy_session_run_answer(struct proxy_session *session, struct slice message);

#endif
