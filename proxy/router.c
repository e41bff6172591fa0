/* SPDX-License-Identifier: MIT */
#include "proxy/router.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include "sync/base/hash.h"

#include "sync/base/xalloc.h"
#include "sync/deeds/action.h"
#include "sync/engine/hint.h"

struct route {
	char *reference; /* NULL: it owns nothing */
	struct hint_receiver *hints;
	struct action_receiver *actions;
};

/* Announced, and its outcome is due.  There are no more than clients have commands in flight. */
struct announced {
	uint64_t ticket;
	size_t index;
	enum action_kind kind;
	char *mailbox, *target;
	UT_hash_handle hh;
};

struct router {
	struct hint_receiver hints;
	struct action_receiver actions;
	struct announced *announced; /* uthash by ticket */
	size_t count;
	struct route routes[];
};

/* The account that the mailbox belongs to, or -1. */
static int find_owner(const struct router *router, const char *wire_name)
{
	size_t longest = 0;
	int owner = -1;

	for (size_t i = 0; i < router->count; i++) {
		const char *reference = router->routes[i].reference;
		size_t len = reference != NULL ? strlen(reference) : 0;

		if (reference != NULL && strncmp(wire_name, reference, len) == 0 &&
			(owner < 0 || len > longest)) {
			owner = (int)i;
			longest = len;
		}
	}
	return owner;
}

static void on_hint(struct hint_receiver *receiver, enum hint_kind kind, const char *mailbox)
{
	struct router *router = container_of(receiver, struct router, hints);
	int owner = -1;

	/* What was renamed may have been another's. */
	if (mailbox != NULL && kind != HINT_TREE && kind != HINT_UNKNOWN) {
		owner = find_owner(router, mailbox);
		if (owner < 0)
			return;
	}
	for (size_t i = 0; i < router->count; i++) {
		struct hint_receiver *hints = router->routes[i].hints;

		if (hints != NULL && (owner < 0 || (size_t)owner == i))
			hints->hint(hints, kind, mailbox);
	}
}

/* -1 for one that concerns several accounts, or none. */
static int owner_of(const struct router *router, const struct client_action *action)
{
	int owner = -1, target = -1;

	if (action->mailbox != NULL)
		owner = find_owner(router, action->mailbox);
	if (action->target != NULL)
		target = find_owner(router, action->target);
	if (action->mailbox == NULL)
		return target;
	return action->target == NULL || owner == target ? owner : -1;
}

static char *copy(const char *name)
{
	return name != NULL ? xstrdup(name) : NULL;
}

static void on_announce(
	struct action_receiver *receiver, uint64_t ticket, const struct client_action *action)
{
	struct router *router = container_of(receiver, struct router, actions);
	int owner = owner_of(router, action);
	struct action_receiver *actions = owner >= 0 ? router->routes[owner].actions : NULL;
	struct announced *announced;

	if (actions == NULL)
		return;
	announced = xcalloc(1, sizeof(*announced));
	announced->ticket = ticket;
	announced->index = (size_t)owner;
	announced->kind = action->kind;
	announced->mailbox = copy(action->mailbox);
	announced->target = copy(action->target);
	HASH_ADD(hh, router->announced, ticket, sizeof(announced->ticket), announced);
	actions->announce(actions, ticket, action);
}

static void forget(struct router *router, struct announced *announced)
{
	HASH_DEL(router->announced, announced); /* NOLINT(clang-analyzer-unix.Malloc) */
	free(announced->mailbox);
	free(announced->target);
	free(announced);
}

static void on_outcome(struct action_receiver *receiver, uint64_t ticket,
	const struct client_action *action, enum action_result result,
	const struct copied_uids *copied)
{
	struct router *router = container_of(receiver, struct router, actions);
	struct action_receiver *actions;
	struct announced *announced;

	HASH_FIND(hh, router->announced, &ticket, sizeof(ticket), announced);
	if (announced == NULL)
		return;
	actions = router->routes[announced->index].actions;
	forget(router, announced);
	if (actions != NULL)
		actions->outcome(actions, ticket, action, result, copied);
}

static void on_removal(struct action_receiver *receiver, const struct client_removal *removal)
{
	struct router *router = container_of(receiver, struct router, actions);
	int owner = find_owner(router, removal->mailbox);
	struct action_receiver *actions = owner >= 0 ? router->routes[owner].actions : NULL;

	if (actions != NULL)
		actions->removal(actions, removal);
}

/* To the new receiver, if there is one, what is still the account's; the rest is nobody's. */
static void announce_again(struct router *router, size_t index)
{
	struct action_receiver *actions = router->routes[index].actions;
	struct announced *announced, *next;

	HASH_ITER (hh, router->announced, announced, next) {
		const struct client_action action = {
			.kind = announced->kind,
			.mailbox = announced->mailbox,
			.target = announced->target,
		};

		if (announced->index != index)
			continue;
		if (owner_of(router, &action) != (int)index)
			forget(router, announced);
		else if (actions != NULL)
			actions->announce(actions, announced->ticket, &action);
	}
}

void router_connect(struct router *router, size_t index, const char *reference,
	struct hint_receiver *hints, struct action_receiver *actions)
{
	struct route *route = &router->routes[index];

	free(route->reference);
	*route =
		(struct route){.reference = xstrdup(reference), .hints = hints, .actions = actions};
	announce_again(router, index);
}

struct router *router_new(size_t count)
{
	struct router *router = xcalloc(1, sizeof(*router) + count * sizeof(*router->routes));

	router->hints.hint = on_hint;
	router->actions.announce = on_announce;
	router->actions.outcome = on_outcome;
	router->actions.removal = on_removal;
	router->count = count;
	return router;
}

struct router *router_free(struct router *router)
{
	struct announced *announced, *next;

	if (router == NULL)
		return NULL;
	HASH_ITER (hh, router->announced, announced, next)
		forget(router, announced);
	for (size_t i = 0; i < router->count; i++)
		free(router->routes[i].reference);
	free(router);
	return NULL;
}

struct hint_receiver *router_hints(struct router *router)
{
	return &router->hints;
}

struct action_receiver *router_actions(struct router *router)
{
	return &router->actions;
}
