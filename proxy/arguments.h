/* SPDX-License-Identifier: MIT */
/* The command line. */
#ifndef INTERIMAP_PROXY_ARGUMENTS_H
#define INTERIMAP_PROXY_ARGUMENTS_H

#include <stdbool.h>

enum { ARGUMENTS_CONFIGS = 64 }; /* more accounts than anybody has */

struct arguments {
	const char
		*configs[ARGUMENTS_CONFIGS]; /* --config; the first is NULL if it was not given */
	unsigned config_count; /* how often it was */
	bool proxy;
	bool watch;
	unsigned interval; /* of --watch, 0 if not given */
	bool notify;
	bool allow_deletions;
	bool repair, delete, rename, verify;
	bool status;
	bool json; /* of --status */
	bool local, remote, database; /* --target; all if none was given */
	bool quiet;
	unsigned debug; /* how many times */
	bool help, version;
	const char *const *mailboxes; /* NULL-terminated, borrowed from argv; NULL for none */
};

/* False when they are wrong: the reason was printed to standard error. */
bool arguments_parse(struct arguments *arguments, int argc, char *argv[]);
void arguments_print_help(void);

#endif
