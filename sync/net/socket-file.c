/* SPDX-License-Identifier: MIT */
#include "sync/net/socket-file.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "sync/base/xalloc.h"

static int refuse(int error, char **ret_reason, char *own_reason)
{
	*ret_reason = own_reason;
	return error;
}

static bool set_address(struct sockaddr_un *address, const char *path)
{
	*address = (struct sockaddr_un){.sun_family = AF_UNIX};
	if (strlen(path) >= sizeof(address->sun_path))
		return false;
	(void)stpcpy(address->sun_path, path);
	return true;
}

static int new_socket(void)
{
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

	return fd < 0 ? -errno : fd;
}

int socket_file_connect(const char *path)
{
	struct sockaddr_un address;
	int fd, r;

	if (!set_address(&address, path))
		return -ENAMETOOLONG;
	fd = new_socket();
	if (fd < 0 || connect(fd, (struct sockaddr *)&address, sizeof(address)) == 0)
		return fd;
	r = -errno;
	(void)close(fd);
	return r;
}

static int remove_stale(const char *path, char **ret_reason)
{
	struct stat st;
	int fd;

	if (lstat(path, &st) < 0)
		return 0;
	if (!S_ISSOCK(st.st_mode))
		return refuse(
			-EEXIST, ret_reason, xasprintf("%s is there, and is no socket", path));
	fd = socket_file_connect(path);
	if (fd >= 0)
		(void)close(fd);
	if (fd != -ECONNREFUSED)
		return refuse(-EADDRINUSE, ret_reason,
			xasprintf("another program listens on the socket %s", path));
	if (unlink(path) < 0)
		return refuse(-errno, ret_reason,
			xasprintf("cannot remove the old socket %s: %s", path, strerror(errno)));
	return 0;
}

/* Nobody but the user may connect, not even for the moment between bind() and chmod(). */
static int bind_privately(int fd, const struct sockaddr_un *address)
{
	mode_t mask = umask(0177);
	int r = bind(fd, (const struct sockaddr *)address, sizeof(*address)) < 0 ? -errno : 0;

	(void)umask(mask);
	if (r == 0 && chmod(address->sun_path, 0600) < 0)
		r = -errno;
	return r;
}

int socket_file_listen(
	const char *path, int backlog, struct socket_file *ret_file, char **ret_reason)
{
	struct sockaddr_un address;
	struct stat st;
	int fd, r;

	if (!set_address(&address, path))
		return refuse(-ENAMETOOLONG, ret_reason,
			xasprintf("the path %s is too long for a socket (%zu bytes at most)", path,
				sizeof(address.sun_path) - 1));
	r = remove_stale(path, ret_reason);
	if (r < 0)
		return r;
	fd = new_socket();
	r = fd < 0 ? fd : bind_privately(fd, &address);
	if (r == 0 && (listen(fd, backlog) < 0 || lstat(path, &st) < 0))
		r = -errno;
	if (r < 0) {
		if (fd >= 0)
			(void)close(fd);
		return refuse(r, ret_reason,
			xasprintf("cannot listen on the socket %s: %s", path, strerror(-r)));
	}
	*ret_file = (struct socket_file){
		.path = xstrdup(path), .device = st.st_dev, .inode = st.st_ino};
	return fd;
}

void socket_file_remove(struct socket_file *file)
{
	struct stat st;

	if (file->path != NULL && lstat(file->path, &st) == 0 && st.st_dev == file->device &&
		st.st_ino == file->inode)
		(void)unlink(file->path);
	free(take(file->path));
}

bool socket_peer_is_trusted(int fd)
{
	struct ucred peer;
	socklen_t len = sizeof(peer);

	return getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &len) == 0 &&
	       (peer.uid == geteuid() || peer.uid == 0);
}
