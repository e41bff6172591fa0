/* SPDX-License-Identifier: MIT */
/*
 * What remains for a person when all else is done: mailboxes that one side has lost, that may be
 * other ones now, or that a refused deed holds.  Each was named with its reason, and with what to
 * choose from.  Where there are several, one command resolves them all and loses nothing: what the
 * database has forgotten is found anew, made on the side that lacks it, and put together where both
 * sides have it.
 */
#ifndef INTERIMAP_ENGINE_UNRESOLVED_H
#define INTERIMAP_ENGINE_UNRESOLVED_H

#include <stdbool.h>

struct engine;
struct mailbox;

/* Whether it is one of them. */
bool is_unresolved(const struct engine *engine, const struct mailbox *mailbox);
/* The command, the caller's; NULL if there are fewer than two. */
char *unresolved_advice(const struct engine *engine);
/* Says it, once for the same mailboxes, and again to whoever waits for the end of an order. */
void unresolved_say(struct engine *engine);

#endif
