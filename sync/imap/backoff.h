/* SPDX-License-Identifier: MIT */
/*
 * What servers say of themselves rather than of what they were asked: come back later, how much
 * later, and that the time of a session is over.  Few of them have a response code for it (RFC 5530),
 * so their words are read.
 */
#ifndef INTERIMAP_IMAP_BACKOFF_H
#define INTERIMAP_IMAP_BACKOFF_H

#include <stdbool.h>

#include "sync/imap/response.h"

/*
 * Seconds, as a server's words tell them: "Suggested Backoff Time: 30000 milliseconds" (Exchange),
 * "try again in 5 minutes", "retry after 30 seconds".  At most BACKOFF_TOLD_MAX, 0 for none.
 */
double backoff_told(const char *words);

/* Whether a refusal says "later" rather than "never", and so nothing against who asks.  The words
 * may be NULL. */
bool backoff_is_meant(enum response_code code, const char *words);

/* Whether a connection was ended since the time of its login was over. */
bool backoff_ends_session(const char *words);

enum {
	BACKOFF_TOLD_MAX = 15 * 60, /* a server may not keep us away for longer */
};

#endif
