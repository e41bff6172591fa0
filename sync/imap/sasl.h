/* SPDX-License-Identifier: MIT */
/*
 * Client side of SASL (RFC 4422) for AUTHENTICATE: libgsasl's mechanisms (PLAIN, LOGIN, EXTERNAL,
 * CRAM-MD5, SCRAM-SHA-1, SCRAM-SHA-256 and their -PLUS forms), and OAUTHBEARER and XOAUTH2 of our own
 * (bearer.h).
 */
#ifndef INTERIMAP_IMAP_SASL_H
#define INTERIMAP_IMAP_SASL_H

#include <stdbool.h>
#include <stddef.h>

struct sasl;

struct sasl_options {
	const char *username;
	const char *password; /* NULL: there is none, and only mechanisms that need none */
	const char *token; /* for OAUTHBEARER and XOAUTH2, and for nothing else; or NULL */
	const char *host; /* for mechanisms that name the service */
	unsigned port; /* likewise; 0: not told */
	const char
		*binding_type; /* "tls-exporter", "tls-unique", or NULL without channel binding */
	const void *binding_data;
	size_t binding_size;
};

/*
 * NULL when the mechanism is not supported here, is a -PLUS form without usable channel binding, or
 * wants a token where there is none, or a password where there is a token.  Copies the options.
 */
struct sasl *sasl_new(const char *mechanism, const struct sasl_options *options);
struct sasl *sasl_free(struct sasl *sasl);

/*
 * True when the client speaks first, so that its first message may go with the command (SASL-IR,
 * RFC 4959).
 */
bool sasl_client_first(const struct sasl *sasl);

/*
 * Next message.  `challenge` is the server's base64 text, or NULL for an initial response.  On
 * success *ret_response is base64, "" for a message of no bytes (which SASL-IR writes as "="), and
 * owned by the caller, who wipes it.
 *
 * 0; -EACCES when the server's proof or nonce is wrong; -EINVAL for a malformed challenge, or one
 * that comes after the end; -ERANGE when the server asks for more than LIMIT_SCRAM_ITERATIONS;
 * -ENOKEY when a credential is missing; -EILSEQ when user name or password cannot be prepared (RFC
 * 4013).
 */
int sasl_step(struct sasl *sasl, const char *challenge, char **ret_response);

/* What the server had against the token, for a sentence, or NULL.  Borrowed. */
const char *sasl_server_error(const struct sasl *sasl);

/* Whether the mechanism makes the server prove that it knows the password. */
bool sasl_proves_server(const struct sasl *sasl);
/*
 * The mechanism has seen all it needs, the server's proof included: only then may an OK be
 * believed.
 */
bool sasl_is_complete(const struct sasl *sasl);

#endif
