/* SPDX-License-Identifier: MIT */
#include "sync/net/tunnel.h"

#include <stdlib.h>
#include <string.h>

#include "sync/base/xalloc.h"

#define BLANKS " \t\r\n"

char **tunnel_free_strings(char **list)
{
	for (char **s = list; s != NULL && *s != NULL; s++)
		free(*s);
	free(list);
	return NULL;
}

static void add(char ***list, size_t *count, char *own_string)
{
	*list = xreallocarray(*list, *count + 2, sizeof(**list));
	(*list)[(*count)++] = own_string;
	(*list)[*count] = NULL;
}

char **tunnel_copy_strings(const char *const *list)
{
	char **copy = NULL;
	size_t n = 0;

	for (; list != NULL && *list != NULL; list++)
		add(&copy, &n, xstrdup(*list));
	return copy;
}

/* The rules of interimap(1), which are those of execvp-like functions in Perl. */
static bool needs_shell(const char *command)
{
	size_t name = strspn(command, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
				      "0123456789_");

	return command[strcspn(command, "$&*(){}[]'\";\\|?<>~`\n")] != '\0' ||
	       (name > 0 && command[name] == '=') || strncmp(command, "exec ", 5) == 0;
}

char **tunnel_parse(const char *command)
{
	char **list = NULL;
	size_t n = 0;

	command += strspn(command, BLANKS);
	if (command[0] != '\0' && needs_shell(command)) {
		add(&list, &n, xstrdup("/bin/sh"));
		add(&list, &n, xstrdup("-c"));
		add(&list, &n, xstrdup(command));
		return list;
	}
	while (command[0] != '\0') {
		size_t word = strcspn(command, BLANKS);

		add(&list, &n, xstrndup(command, word));
		command += word;
		command += strspn(command, BLANKS);
	}
	return list;
}
