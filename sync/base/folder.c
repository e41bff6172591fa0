/* SPDX-License-Identifier: MIT */
#include "sync/base/folder.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <pwd.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "sync/base/xalloc.h"

enum { LINKS_MAX = 40, LINK_SIZE = 4096 };

struct walk {
	enum folder_kind kind;
	int fd; /* of the level that has been reached */
	char *rest; /* what is still to be walked */
	const char *path; /* the whole, to be named */
	uid_t root; /* who root is: in a user namespace not always uid 0 */
	unsigned links;
	char **ret_reason;
};

static int refuse(struct walk *walk, const char *name, const char *problem, const char *way_out)
{
	*walk->ret_reason = xasprintf("%s%s%s%s %s: %s", walk->path,
		*name != '\0' ? " is refused, since \"" : "", name, *name != '\0' ? "\"" : "",
		problem, way_out);
	return -EPERM;
}

static int fail(struct walk *walk, int error)
{
	*walk->ret_reason = xasprintf("%s: %s", walk->path, strerror(-error));
	return error;
}

static bool is_trusted(const struct walk *walk, uid_t owner)
{
	return owner == geteuid() || owner == 0 || owner == walk->root ||
	       (walk->kind == FOLDER_OF_SERVICE && geteuid() == 0);
}

/* One that is named like the user, his first, and has no other members: with a umask of 002, which
 * such groups are for, everything is writable to it. */
static bool is_private_group(gid_t gid)
{
	const struct passwd *user = getpwuid(geteuid());
	_cleanup_free_ char *name = user != NULL ? xstrdup(user->pw_name) : NULL;
	const struct group *group = user != NULL && user->pw_gid == gid ? getgrgid(gid) : NULL;

	if (group == NULL || strcmp(group->gr_name, name) != 0)
		return false;
	for (char **member = group->gr_mem; *member != NULL; member++)
		if (strcmp(*member, name) != 0)
			return false;
	return true;
}

static bool others_may_write(const struct stat *st)
{
	return (st->st_mode & S_IWOTH) != 0 ||
	       ((st->st_mode & S_IWGRP) != 0 && !is_private_group(st->st_gid));
}

static const char writable[] = "can be written to by others", foreign[] = "belongs to another user";

/* The level above `name`, which is about to be looked up in it. */
static int check_level(struct walk *walk, const char *name)
{
	struct stat st;

	if (fstat(walk->fd, &st) < 0)
		return fail(walk, -errno);
	if (!is_trusted(walk, st.st_uid))
		return refuse(walk, name, "is in a folder that belongs to another user",
			"choose another place");
	if (others_may_write(&st) && (st.st_mode & S_ISVTX) == 0)
		return refuse(walk, name, "is in a folder that can be written to by others",
			"choose another place, or take that right away with chmod go-w");
	return 0;
}

/* Enters a directory; or puts what a link says before the rest. */
static int enter(struct walk *walk, const char *name, const struct stat *st)
{
	char target[LINK_SIZE];
	ssize_t n;
	char *rest;
	int fd;

	if (S_ISLNK(st->st_mode)) {
		if (walk->kind == FOLDER_OURS && walk->rest[strspn(walk->rest, "/")] == '\0')
			return refuse(walk, "", "is a symbolic link", "remove it");
		if (!is_trusted(walk, st->st_uid))
			return refuse(walk, name, foreign, "remove it, or choose another place");
		n = readlinkat(walk->fd, name, target, sizeof(target) - 1);
		if (n < 0 || ++walk->links > LINKS_MAX)
			return fail(walk, n < 0 ? -errno : -ELOOP);
		target[n] = '\0';
		rest = xasprintf("%s/%s", target, walk->rest);
		free(walk->rest);
		walk->rest = rest;
		name = target[0] == '/' ? "/" : ".";
	}
	fd = openat(walk->fd, name, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0)
		return fail(walk, -errno);
	(void)close(walk->fd);
	walk->fd = fd;
	return 0;
}

static int step(struct walk *walk)
{
	size_t begin = strspn(walk->rest, "/"), len = strcspn(walk->rest + begin, "/");
	_cleanup_free_ char *name = xstrndup(walk->rest + begin, len);
	struct stat st;
	int r = check_level(walk, name);

	memmove(walk->rest, walk->rest + begin + len, strlen(walk->rest + begin + len) + 1);
	if (r < 0)
		return r;
	if (fstatat(walk->fd, name, &st, AT_SYMLINK_NOFOLLOW) < 0) {
		if (errno != ENOENT || walk->kind == FOLDER_OF_SERVICE)
			return fail(walk, -errno);
		if (mkdirat(walk->fd, name, 0700) < 0 && errno != EEXIST)
			return fail(walk, -errno);
		if (fstatat(walk->fd, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
			return fail(walk, -errno);
	}
	return enter(walk, name, &st);
}

static int check_last(struct walk *walk)
{
	struct stat st;

	if (fstat(walk->fd, &st) < 0)
		return fail(walk, -errno);
	if (st.st_uid != geteuid() && (walk->kind != FOLDER_OF_SERVICE || geteuid() != 0))
		return refuse(walk, "", foreign,
			"remove it, choose another place, or run interimap as that user");
	if (others_may_write(&st))
		return refuse(walk, "", writable,
			"look whether all that is in it is yours, and take that right away with "
			"chmod go-w");
	return 0;
}

static int open_last(struct walk *walk)
{
	struct stat st;
	int fd = openat(walk->fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	if (fd < 0)
		return fail(walk, -errno);
	if (walk->kind == FOLDER_OURS && fstat(fd, &st) == 0 && (st.st_mode & 07777) != 0700 &&
		fchmod(fd, 0700) < 0) {
		int r = fail(walk, -errno);

		(void)close(fd);
		return r;
	}
	return fd;
}

int folder_open(const char *path, enum folder_kind kind, char **ret_reason)
{
	struct walk walk = {.kind = kind, .path = path, .ret_reason = ret_reason};
	struct stat st;
	int r = 0;

	walk.root = stat("/", &st) == 0 ? st.st_uid : 0;
	walk.fd = open(path[0] == '/' ? "/" : ".", O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (walk.fd < 0)
		return fail(&walk, -errno);
	walk.rest = xstrdup(path);
	while (r == 0 && walk.rest[strspn(walk.rest, "/")] != '\0')
		r = step(&walk);
	if (r == 0)
		r = check_last(&walk);
	if (r == 0)
		r = open_last(&walk);
	(void)close(walk.fd);
	free(walk.rest);
	return r;
}

int folder_open_parent(const char *path, enum folder_kind kind, char **ret_reason)
{
	const char *slash = strrchr(path, '/');
	_cleanup_free_ char *folder =
		slash == NULL ? xstrdup(".")
			      : xstrndup(path, slash == path ? 1 : (size_t)(slash - path));

	return folder_open(folder, kind, ret_reason);
}

static int write_all(int fd, const char *data, size_t len)
{
	while (len > 0) {
		ssize_t n = write(fd, data, len);

		if (n < 0 && errno != EINTR)
			return -errno;
		if (n > 0) {
			data += n;
			len -= (size_t)n;
		}
	}
	return fsync(fd) < 0 ? -errno : 0;
}

int folder_write_file(int folder, const char *name, const void *data, size_t len)
{
	_cleanup_free_ char *new_name = xasprintf("%s.%ld.new", name, (long)getpid());
	int fd, r;

	if (unlinkat(folder, new_name, 0) < 0 && errno != ENOENT)
		return -errno;
	fd = openat(folder, new_name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (fd < 0)
		return -errno;
	r = fchmod(fd, 0600) < 0 ? -errno : write_all(fd, data, len);
	if (close(fd) < 0 && r == 0)
		r = -errno;
	if (r == 0 && renameat(folder, new_name, folder, name) < 0)
		r = -errno;
	if (r < 0)
		(void)unlinkat(folder, new_name, 0);
	return r;
}
