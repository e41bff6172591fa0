/* SPDX-License-Identifier: MIT */
/*
 * The password or the access token that a command prints: password-command and token-command of
 * interimap.conf(5).  It is asked for at each login, in the background, and kept no longer than that
 * takes.
 */
#ifndef INTERIMAP_IMAP_SECRET_H
#define INTERIMAP_IMAP_SECRET_H

#include <stdbool.h>

struct loop;
struct secret;

enum secret_kind { SECRET_PASSWORD, SECRET_TOKEN };

/* Where the secret for one server comes from.  All connections to it share this. */
struct secret_source {
	enum secret_kind kind;
	const char *command; /* borrowed */
	/* What became of what it gave last.  Of that it was refused the command is told once, in its
	 * environment (INTERIMAP_REJECTED=1), so that it may look for another one. */
	enum {
		SECRET_UNTRIED,
		SECRET_REJECTED, /* it is to be told */
		SECRET_RENEWED, /* it was told: a refusal of what it gave then is final */
	} state;
};

struct secret_handler {
	/*
	 * Once, from the loop.  The secret, valid until the request is freed; or NULL and a sentence
	 * that says why there is none and what to do.  `hopeless`: and a person must act.  The request
	 * may be freed from here.
	 */
	void (*fetched)(struct secret_handler *handler, const char *secret, const char *reason,
		bool hopeless);
};

/* Runs the command.  Never calls back before it returns. */
struct secret *secret_fetch(
	struct loop *loop, struct secret_source *source, struct secret_handler *handler);
/* Calls it off, and wipes what came.  Accepts NULL. */
struct secret *secret_free(struct secret *secret);
bool secret_is_attended(const struct secret *secret);

/* "password" or "token". */
const char *secret_noun(const struct secret_source *source);

/* A copy of a secret is overwritten before it is freed.  Accepts NULL. */
void secret_wipe(char *own_secret);

#endif
