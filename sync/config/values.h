/* SPDX-License-Identifier: MIT */
/* Values with a syntax of their own: each has a check, and a parser for what was checked. */
#ifndef INTERIMAP_CONFIG_VALUES_H
#define INTERIMAP_CONFIG_VALUES_H

#include <stdbool.h>
#include <stddef.h>

#include "sync/plan/brake.h"

/* Each returns NULL, or what is wrong with the value: a sentence that the caller frees. */
char *value_check_patterns(const char *value);
char *value_check_regex(const char *value);
char *value_check_log_prefix(const char *value);
char *value_check_max_deletions(const char *value);
char *value_check_host(const char *value);
char *value_check_port(const char *value);
char *value_check_socks(const char *value);
char *value_check_fingerprints(const char *value);
char *value_check_listen(const char *value);
char *value_check_hash(const char *value);
char *value_check_command(const char *value);

/* A pattern of list-mailbox; '\0' within stands for the hierarchy delimiter. */
struct list_pattern {
	char *bytes; /* len of them and a final NUL */
	size_t len;
};

/*
 * Splits at white space; in "double quotes" anything may stand, with the escapes of C and \xHH.
 * NULL on success, else what is wrong.
 */
char *value_parse_patterns(const char *value, struct list_pattern **ret, size_t *ret_count);
void list_patterns_free(struct list_pattern *patterns, size_t count);

/* Where the proxy listens: either a UNIX socket, or host and port. */
struct listen_address {
	char *unix_path;
	char *host; /* without square brackets */
	char *port;
};

char *value_parse_listen(const char *value, struct listen_address **ret, size_t *ret_count);
void listen_addresses_free(struct listen_address *addresses, size_t count);

/* NULL: the default, more than 100 messages and more than half of the mailbox. */
struct plan_brake value_parse_max_deletions(const char *value);

/* Words separated by white space; NULL-terminated, to be freed with value_words_free(). */
char **value_words(const char *value);
void value_words_free(char **words);

#endif
