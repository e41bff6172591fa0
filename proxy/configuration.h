/* SPDX-License-Identifier: MIT */
/*
 * The configuration files of the command line, each an account, read together and checked against
 * each other: several share the local store, in which each has a list-reference of its own, and the
 * proxy, which the first one describes.
 */
#ifndef INTERIMAP_PROXY_CONFIGURATION_H
#define INTERIMAP_PROXY_CONFIGURATION_H

#include <stdbool.h>
#include <stddef.h>

struct account;
struct arguments;

struct configuration {
	struct account **accounts; /* named, if there are several: see account_set_name() */
	size_t count;
};

/* False, and a sentence in *ret_reason that the caller frees: what is wrong, with file and line. */
bool configuration_load(
	const struct arguments *arguments, struct configuration *ret, char **ret_reason);
void configuration_done(struct configuration *configuration);

/*
 * The log as the first file has it; the accounts must outlive that.  False, with a sentence, if the
 * log file cannot be written: nothing has changed.
 */
bool configuration_set_log(const struct configuration *configuration, char **ret_reason);
/* What is to be said about the files. */
void configuration_say_warnings(const struct configuration *configuration);

#endif
