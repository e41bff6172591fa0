/* SPDX-License-Identifier: MIT */
/*
 * One connection to a server from the dial to the authenticated state: greeting, STARTTLS,
 * CAPABILITY, authentication, ENABLE; then a client to submit commands to.
 */
#ifndef INTERIMAP_IMAP_SESSION_H
#define INTERIMAP_IMAP_SESSION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "sync/net/dial.h"

struct buf;
struct client;
struct loop;
struct response;
struct secret_source;
struct session;
struct stream;
struct tls_context;
struct worker;

enum session_security {
	SESSION_CLEARTEXT, /* type=imap with STARTTLS = NO; a tunnel */
	SESSION_STARTTLS, /* required: a server without it, or a PREAUTH greeting, is refused */
	SESSION_TLS, /* from the first byte */
};

/* Borrowed; must outlive the session. */
struct session_options {
	const char *name; /* "local" or "remote", for messages */
	struct dial_options dial;
	enum session_security security;
	const struct tls_context *tls;
	const char *tls_host; /* what the certificate must be for */
	const char *username, *password; /* may be NULL */
	struct secret_source *source; /* of the password or token, in the place of `password`; or
					 NULL.  It is changed by all sessions that have it */
	const char *const *mechanisms; /* by preference, NULL-terminated; "LOGIN" falls back to the
					  LOGIN command */
	bool enable_qresync; /* ENABLE QRESYNC; its absence is a failure that names the missing
				extensions */
	bool keepalive;
};

enum session_failure {
	SESSION_FAILURE_NETWORK, /* may pass by itself: try again later.  A wrong certificate too:
				    the portal of a hotel shows one */
	SESSION_FAILURE_SILENT, /* likewise; it was there, and did not answer a command in time */
	SESSION_FAILURE_UNREACHABLE, /* likewise; there was no connection at all, so that to try
					costs the server nothing */
	SESSION_FAILURE_EXPIRED, /* the server ended it since what it was logged in with has come
				    to its end; or refused a secret that is asked for once more on
				    the next connection: that may be made at once */
	SESSION_FAILURE_REFUSED, /* missing extension, no credentials: a person must act */
	SESSION_FAILURE_LOGIN, /* likewise, and servers lock accounts for it: wrong credentials */
};

struct session_handler {
	/* Once, from the loop: authenticated; session_client() may be used.  The session may be
	 * freed from here. */
	void (*ready)(struct session_handler *handler);
	/* Once, from the loop; a sentence without a full stop.  All commands have completed LOST
	 * before.  Free the session from here or later. */
	void (*lost)(
		struct session_handler *handler, enum session_failure failure, const char *reason);
	/* Untagged responses that no command and no view took (LIST, STATUS of NOTIFY; BYE text is
	 * kept for `lost`).  May be NULL. */
	void (*untagged)(struct session_handler *handler, struct response *response);
};

/* What a server offers for seeing what has changed, the best first. */
enum tier {
	TIER_QRESYNC, /* flags and expunges since a mod-sequence (RFC 7162) */
	TIER_CONDSTORE, /* flags only */
	TIER_PLAIN, /* neither */
};

/* Starts at once; never calls back before it returns. */
struct session *session_new(struct loop *loop, struct worker *worker,
	const struct session_options *options, struct session_handler *handler);
/* Drops the connection without ceremony.  Accepts NULL. */
struct session *session_free(struct session *session);

/* Something makes it go on: the connection attempt, a deadline, an answer that is due; or it is at
 * rest. */
bool session_is_attended(const struct session *session);

struct client *session_client(struct session *session);
/* Whether the server advertises it now, e.g. "MULTIAPPEND", "STATUS=SIZE"; in any case. */
bool session_has(const struct session *session, const char *capability);
/* As far as it is known: a server may turn out not to do what it offers. */
enum tier session_tier(const struct session *session);
/* All capabilities, space-separated, as last advertised; valid until the next change. */
const char *session_capabilities(const struct session *session);
/* The largest message that it takes, in bytes; 0: it does not say. */
uint64_t session_append_limit(const struct session *session);

/* COMPRESS=DEFLATE if offered and not active; commands submitted afterwards wait for it.  A refusal
 * is only logged. */
void session_compress(struct session *session);

/* Sends LOGOUT and does not wait for its answer beyond what is in flight: to be followed by
 * session_free() when client_is_idle(). */
void session_logout(struct session *session);

/* Relay use (see client_release_stream()). The session can only be freed afterwards. */
struct stream *session_release_stream(struct session *session, struct buf *ret_leftover);

#endif
