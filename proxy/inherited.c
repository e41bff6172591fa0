/* SPDX-License-Identifier: MIT */
#include "proxy/inherited.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "sync/base/limits.h"
#include "sync/base/xalloc.h"

static size_t parse_count(const char *pid, const char *fds)
{
	char *end;
	long count;

	if (pid == NULL || fds == NULL || strtol(pid, NULL, 10) != (long)getpid())
		return 0;
	errno = 0;
	count = strtol(fds, &end, 10);
	return errno == 0 && *fds != '\0' && *end == '\0' && count > 0 && count <= LIMIT_INHERITED
		       ? (size_t)count
		       : 0;
}

void inherited_take(struct inherited *ret)
{
	static const char *const variables[] = {
		"LISTEN_PID", "LISTEN_PIDFDID", "LISTEN_FDS", "LISTEN_FDNAMES"};
	const char *names = getenv("LISTEN_FDNAMES");
	_cleanup_free_ char *copy = xstrdup(names != NULL ? names : "");
	char *rest = copy;

	*ret = (struct inherited){.count = parse_count(getenv("LISTEN_PID"), getenv("LISTEN_FDS"))};
	ret->names = xcalloc(ret->count + 1, sizeof(*ret->names));
	for (size_t i = 0; i < ret->count; i++) {
		const char *name = strsep(&rest, ":");

		ret->names[i] = xstrdup(name != NULL ? name : "");
		(void)fcntl(INHERITED_FIRST + (int)i, F_SETFD, FD_CLOEXEC);
	}
	for (size_t i = 0; i < ARRAY_LEN(variables); i++)
		(void)unsetenv(variables[i]);
}

void inherited_done(struct inherited *inherited)
{
	for (size_t i = 0; i < inherited->count; i++)
		free(inherited->names[i]);
	free(take(inherited->names));
	inherited->count = 0;
}
