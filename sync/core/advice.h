/* SPDX-License-Identifier: MIT */
/*
 * What a person is advised to run.  Every command that the program suggests is made here, so that
 * it works when it is pasted, and does what it says: with the --config that this account was given,
 * and with names quoted for a shell.
 */
#ifndef INTERIMAP_CORE_ADVICE_H
#define INTERIMAP_CORE_ADVICE_H

#include <stddef.h>

struct core;
struct mailbox;

/*
 * "interimap OPTIONS NAME [OTHER]"; names as a person writes them (mailbox.display), or NULL.  The
 * caller's.
 */
char *advice(const struct core *core, const char *options, const char *name, const char *other);
/* Likewise for as many of the names as a command line should hold (LIMIT_ADVICE), at least one:
 * *ret_named. */
char *advice_for_all(const struct core *core, const char *options, const char *const *names,
	size_t count, size_t *ret_named);

/* What to do about one that a side has lost, as sentences, the caller's: what loses nothing first.
 */
char *missing_advice(const struct core *core, const struct mailbox *mailbox);

#endif
