/* SPDX-License-Identifier: MIT */
/*
 * What a server marks with [ALERT] is shown to the person, whatever else is not (RFC 3501 section
 * 7.1); but each text once a connection, since some servers repeat it with every answer.
 */
#ifndef INTERIMAP_IMAP_ALERTS_H
#define INTERIMAP_IMAP_ALERTS_H

#include <stdbool.h>
#include <stddef.h>

#include "sync/imap/slice.h"

/* Zeroed: none yet. */
struct alerts {
	char **shown;
	size_t count;
};

void alerts_done(struct alerts *alerts);
/* What is to be shown of it, until alerts_done(); NULL: it was, or a hostile server has had its
 * say (LIMIT_ALERTS). */
const char *alerts_take(struct alerts *alerts, struct slice text);

#endif
