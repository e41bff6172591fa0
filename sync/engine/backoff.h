/* SPDX-License-Identifier: MIT */
/* How long a server asks to be left alone. */
#ifndef INTERIMAP_ENGINE_BACKOFF_H
#define INTERIMAP_ENGINE_BACKOFF_H

/*
 * Seconds, as a server's words tell them: "Suggested Backoff Time: 30000 milliseconds" (Exchange),
 * "try again in 5 minutes", "retry after 30 seconds".  At most BACKOFF_TOLD_MAX, 0 for none.
 */
double backoff_told(const char *words);

enum {
	BACKOFF_TOLD_MAX = 15 * 60, /* a server may not keep us away for longer */
};

#endif
