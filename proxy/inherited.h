/* SPDX-License-Identifier: MIT */
/* Listening sockets that systemd has handed over (sd_listen_fds(3)). */
#ifndef INTERIMAP_PROXY_INHERITED_H
#define INTERIMAP_PROXY_INHERITED_H

#include <stddef.h>

/* Descriptors from INHERITED_FIRST on, and a name each, "" for none. */
struct inherited {
	size_t count;
	char **names;
};

enum { INHERITED_FIRST = 3 };

/*
 * To be called before anything else is opened, and before any child is started: neither the
 * variables nor the descriptors are meant for one.
 */
void inherited_take(struct inherited *ret);
void inherited_done(struct inherited *inherited);

#endif
