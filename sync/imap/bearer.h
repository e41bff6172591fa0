/* SPDX-License-Identifier: MIT */
/*
 * Logging in with an access token of OAuth 2.0 (RFC 6750): what the mechanisms OAUTHBEARER (RFC
 * 7628) and XOAUTH2 say, which libgsasl does not know.  XOAUTH2 is Google's, described at
 * https://developers.google.com/gmail/imap/xoauth2-protocol, and the only one that Outlook has.
 */
#ifndef INTERIMAP_IMAP_BEARER_H
#define INTERIMAP_IMAP_BEARER_H

#include <stdbool.h>

struct sasl_options;

enum bearer {
	BEARER_NONE, /* another mechanism */
	BEARER_OAUTHBEARER,
	BEARER_XOAUTH2,
};

/* Whether the name and the token can be said at all: no control characters, and of the token
 * nothing but what RFC 6750 section 2.1 allows. */
bool bearer_is_valid(const struct sasl_options *options);

/* The client's one message, in base64; the caller's, who wipes it. */
char *bearer_message(enum bearer bearer, const struct sasl_options *options);

/* What ends the exchange after the server's error, in base64 (RFC 7628 section 3.2.3). */
const char *bearer_end(enum bearer bearer);

/*
 * The server's error, a challenge in base64, for a sentence: "status invalid_token, scope mail".  It
 * is JSON of a stranger, at most LIMIT_BEARER_ERROR bytes of it.  NULL: it says nothing that can be
 * shown, or repeats the token.  The caller's.
 */
char *bearer_error(const char *challenge, const char *token);

#endif
