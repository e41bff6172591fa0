/* SPDX-License-Identifier: MIT */
/* UNIX sockets in the file system, for the user alone. */
#ifndef INTERIMAP_NET_SOCKET_FILE_H
#define INTERIMAP_NET_SOCKET_FILE_H

#include <stdbool.h>
#include <sys/types.h>

/* One that we listen on: it is ours to remove as long as it still is this one. */
struct socket_file {
	char *path;
	dev_t device;
	ino_t inode;
};

/*
 * A listening descriptor that does not block; the file has mode 0600.  A socket that was left
 * behind is replaced, one that answers is not.  -errno on failure, with a sentence in *ret_reason
 * that the caller frees.
 */
int socket_file_listen(
	const char *path, int backlog, struct socket_file *ret_file, char **ret_reason);
/* Removes the file, if there is one; the descriptor is the caller's. */
void socket_file_remove(struct socket_file *file);

/* A connected descriptor that does not block, or -errno: -ENOENT or -ECONNREFUSED if nobody
 * listens there. */
int socket_file_connect(const char *path);

/* Whether the process at the other end may tell us what to do, or be believed: it is the same
 * user's, or root's. */
bool socket_peer_is_trusted(int fd);

#endif
