/* SPDX-License-Identifier: MIT */
/* The command line. */
#ifndef INTERIMAP_PROXY_ARGUMENTS_H
#define INTERIMAP_PROXY_ARGUMENTS_H

#include <stdbool.h>
#include <stddef.h>

#include "sync/core/job.h"

enum { ARGUMENTS_CONFIGS = 64 }; /* more accounts than anybody has */

struct arguments {
	const char
		*configs[ARGUMENTS_CONFIGS]; /* --config; the first is NULL if it was not given */
	unsigned config_count; /* how often it was */
	bool proxy;
	bool watch;
	unsigned interval; /* of --watch, 0 if not given */
	bool notify;
	struct job job; /* --target: all if none was given */
	unsigned jobs; /* how many different ones were given */
	bool json; /* of --status */
	bool quiet;
	unsigned debug; /* how many times */
	bool help, version;
};

/* False when they are wrong: the reason was printed to standard error. */
bool arguments_parse(struct arguments *arguments, int argc, char *argv[]);
void arguments_print_help(void);
/* For whoever runs the program without a configuration, most likely for the first time. */
void arguments_say_first_steps(void);

/* What a shell needs to know of an option to complete it. */
struct argument_option {
	const char *name; /* without "--" */
	char letter; /* or '\0' */
	enum argument_value {
		ARGUMENT_VALUE_NONE,
		ARGUMENT_VALUE_OPTIONAL, /* --name or --name=VALUE */
		ARGUMENT_VALUE_REQUIRED,
	} value;
	const char *words; /* what the value may be, separated by spaces; NULL: anything */
	bool is_list; /* several of the words, with commas between them */
	bool is_file; /* a configuration file */
	bool repeats; /* it means more when it is given again */
	const char *help; /* one line */
};

/* The option at that place of the table, from 0 on; false: there are no more. */
bool arguments_option(size_t index, struct argument_option *ret);

#endif
