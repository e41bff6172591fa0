/* SPDX-License-Identifier: MIT */
/*
 * What a service tells the one that manages it (sd_notify(3)): datagrams of lines NAME=VALUE to the
 * socket in $NOTIFY_SOCKET, and a sign of life as often as $WATCHDOG_USEC asks for.
 */
#ifndef INTERIMAP_BASE_NOTIFY_H
#define INTERIMAP_BASE_NOTIFY_H

#include <stdbool.h>

struct loop;
struct notify;

/*
 * Never fails: if nobody asked to be told, nobody is.  The variables are taken out of the
 * environment, since they are not meant for our children.
 */
struct notify *notify_new(struct loop *loop);
struct notify *notify_free(struct notify *notify);

/* Somebody is told: what costs something to find out is worth it. */
bool notify_is_heard(const struct notify *notify);

/* The service has started, or has read its configuration again. */
void notify_ready(struct notify *notify);
/* One short sentence on how things are; what was said last is not said again. */
void notify_status(struct notify *notify, const char *sentence);
/* The configuration is being read; notify_ready() follows. */
void notify_reloading(struct notify *notify);
void notify_stopping(struct notify *notify);

#endif
