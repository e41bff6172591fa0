/* SPDX-License-Identifier: MIT */
#include "sync/command/control-path.h"

#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "sync/base/folder.h"
#include "sync/base/xalloc.h"
#include "sync/config/paths.h"
#include "sync/net/socket-file.h"

enum { NAME_LEN = 32 };

static int refuse(int error, char **ret_reason, char *own_reason)
{
	*ret_reason = own_reason;
	return error;
}

/* By its absolute path, so that two databases of the same name have two sockets; and bounded, since
 * the path of a socket is (unix(7)). */
static char *name_for(const char *database)
{
	_cleanup_free_ char *path = realpath(database, NULL);
	const char *base;

	if (path == NULL)
		return NULL;
	base = strrchr(path, '/') + 1;
	return xasprintf("%.*s-%016" PRIx64 ".sock", NAME_LEN, base, path_hash(path));
}

char *control_path_prepare(const char *database, char **ret_reason)
{
	_cleanup_free_ char *directory = path_runtime_directory();
	_cleanup_free_ char *name = name_for(database);
	int fd;

	if (directory == NULL || name == NULL) {
		*ret_reason = xasprintf("there is no place for it");
		return NULL;
	}
	fd = folder_open(directory, FOLDER_OURS, ret_reason);
	if (fd < 0)
		return NULL;
	(void)close(fd);
	return xasprintf("%s/%s", directory, name);
}

static int connect_in(const char *directory, const char *name, char **ret_reason)
{
	_cleanup_free_ char *path = xasprintf("%s/%s", directory, name);
	struct stat st;
	int fd;

	/* The directory matters only if the socket is there. */
	if (lstat(path, &st) < 0)
		return -ENOENT;
	fd = folder_open(directory, FOLDER_OF_SERVICE, ret_reason);
	if (fd < 0)
		return fd;
	(void)close(fd);
	fd = socket_file_connect(path);
	if (fd == -ECONNREFUSED || fd == -ENOENT || fd == -ENAMETOOLONG)
		return -ENOENT; /* its service was killed */
	if (fd < 0)
		return refuse(fd, ret_reason,
			xasprintf("cannot reach the service at %s: %s", path,
				fd == -EAGAIN ? "it is too busy" : strerror(-fd)));
	if (geteuid() == 0 || socket_peer_is_trusted(fd))
		return fd;
	(void)close(fd);
	return refuse(
		-EPERM, ret_reason, xasprintf("the service at %s runs as another user", path));
}

/* A command need not have the service's environment: one that is run by cron(8) has not. */
int control_path_connect(const char *database, char **ret_reason)
{
	_cleanup_free_ char *name = name_for(database);
	_cleanup_free_ char *first = path_runtime_directory();
	_cleanup_free_ char *second = xasprintf("/run/user/%u/interimap", (unsigned)geteuid());
	_cleanup_free_ char *third = path_in_data("store");
	const char *const directories[] = {first, second, third};
	int r = -ENOENT;

	if (name == NULL)
		return -ENOENT; /* no database, no service */
	for (size_t i = 0; i < ARRAY_LEN(directories) && r == -ENOENT; i++)
		if (directories[i] != NULL)
			r = connect_in(directories[i], name, ret_reason);
	return r;
}
