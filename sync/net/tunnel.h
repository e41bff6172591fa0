/* SPDX-License-Identifier: MIT */
#ifndef INTERIMAP_NET_TUNNEL_H
#define INTERIMAP_NET_TUNNEL_H

#include <stdbool.h>
#include <stddef.h>

/*
 * The argument vector for a command line: through "/bin/sh -c" if that is needed, else its words.
 * NULL if there is no word in it.  The caller frees it with tunnel_free_strings().
 */
char **tunnel_parse(const char *command);

/* Copies a NULL-terminated list; NULL stays NULL. */
char **tunnel_copy_strings(const char *const *list);
char **tunnel_free_strings(char **list);

#endif
