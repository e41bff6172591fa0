/* SPDX-License-Identifier: MIT */
/*
 * A program that is run for what it prints, a secret most likely: in the background, for a limited
 * time, with a limit on what it may print, and killed with all that it started when it is not waited
 * for any more.
 */
#ifndef INTERIMAP_BASE_HELPER_H
#define INTERIMAP_BASE_HELPER_H

#include <stdbool.h>
#include <stddef.h>

struct child_options;
struct helper;
struct loop;

enum helper_end {
	HELPER_EXITED, /* by itself */
	HELPER_KILLED, /* by a signal that was not ours */
	HELPER_LATE, /* it had to be killed: its time was over */
	HELPER_VERBOSE, /* likewise: it printed more than it may */
	HELPER_NOT_RUN, /* it cannot be executed */
};

/* Borrowed by whoever is told, and wiped behind. */
struct helper_result {
	enum helper_end end;
	int number; /* the exit status, the signal, or the errno value for which it was not run */
	const char *printed; /* to standard output; a NUL is behind it */
	size_t len; /* of it, at most LIMIT_HELPER_OUTPUT */
	const char *said; /* last line on standard error that is not empty, at most
			     LIMIT_HELPER_LINE bytes as they came; NULL: none */
};

struct helper_handler {
	/* Once, from the loop.  The helper may be freed from here. */
	void (*ended)(struct helper_handler *handler, const struct helper_result *result);
};

/* Starts it at once; see child.h for what it gets.  Never calls back before it returns. */
struct helper *helper_new(struct loop *loop, const struct child_options *options, unsigned seconds,
	struct helper_handler *handler);
/* Kills it if it still runs.  Accepts NULL. */
struct helper *helper_free(struct helper *helper);

/* Something makes it go on: its end, or that of its time. */
bool helper_is_attended(const struct helper *helper);

#endif
