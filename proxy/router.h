/* SPDX-License-Identifier: MIT */
/*
 * What mail clients do, to the account that it concerns: several accounts may keep their mailboxes
 * in one store, each below its list-reference.  A mailbox belongs to the account with the longest
 * list-reference that its name begins with.
 *
 * An action between mailboxes of two accounts is none to either of them: each only learns, by the
 * hints that follow, that something has changed.
 */
#ifndef INTERIMAP_PROXY_ROUTER_H
#define INTERIMAP_PROXY_ROUTER_H

#include <stddef.h>

struct action_receiver;
struct hint_receiver;
struct router;

/* For that many accounts, none of which owns anything yet. */
struct router *router_new(size_t count);
struct router *router_free(struct router *router);

/*
 * Who gets from now on what concerns the account of that index, which owns what is below the
 * list-reference (copied).  Receivers that are NULL: nobody, for now.  What was announced
 * before and has had no outcome yet is announced to these.
 */
void router_connect(struct router *router, size_t index, const char *reference,
	struct hint_receiver *hints, struct action_receiver *actions);

/* Where clients tell. */
struct hint_receiver *router_hints(struct router *router);
struct action_receiver *router_actions(struct router *router);

#endif
