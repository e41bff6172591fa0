/* SPDX-License-Identifier: MIT */
/*
 * The engines of the program: one an account, each with a database of its own.  What one of them
 * meets with does not concern the others.
 */
#ifndef INTERIMAP_PROXY_ACCOUNTS_H
#define INTERIMAP_PROXY_ACCOUNTS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct accounts;
struct action_receiver;
struct arguments;
struct client_counter;
struct configuration;
struct hint_receiver;
struct loop;
struct news_receiver;
struct worker;

struct accounts_owner {
	/* Once, from the loop: the last of them has ended.  complete: nothing is left undone.  The
	 * owner frees the accounts later. */
	void (*finished)(struct accounts_owner *owner, bool complete);
};

/* All is borrowed, and must outlive the accounts. */
struct accounts_options {
	struct loop *loop;
	struct worker *worker;
	const struct arguments *arguments;
	struct news_receiver *news; /* or NULL */
	struct client_counter *clients; /* or NULL; see command/control.h */
	struct accounts_owner *owner;
};

/* For that many accounts, none of which is there yet. */
struct accounts *accounts_new(const struct accounts_options *options, size_t count);
struct accounts *accounts_free(struct accounts *accounts);

/*
 * Does for each account of the configuration, which has as many, all that can fail; those that run
 * go on.  One that cannot begin is said to the log and left out, if there are others and it did not
 * run before.  False, with a sentence in *ret_reason: nothing has changed.
 */
bool accounts_prepare(
	struct accounts *accounts, const struct configuration *configuration, char **ret_reason);
/* Begins what was prepared, in place of what runs. */
void accounts_start(struct accounts *accounts);
/* What was prepared is not wanted after all. */
void accounts_drop(struct accounts *accounts);

/* Where mail clients tell what they do. */
struct hint_receiver *accounts_hints(struct accounts *accounts);
struct action_receiver *accounts_actions(struct accounts *accounts);

/* How they are getting on, in one short sentence, the caller's; see engine/summary.h. */
uint64_t accounts_summary_stamp(const struct accounts *accounts);
char *accounts_summary(const struct accounts *accounts);

#endif
