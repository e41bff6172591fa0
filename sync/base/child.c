/* SPDX-License-Identifier: MIT */
/*
 * posix_spawn() rather than fork(): it reports a failed execve() as its own return value, and does
 * not copy the page tables of a large process.
 */
#include "sync/base/child.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "sync/base/loop.h"
#include "sync/base/xalloc.h"

#define SEARCH_PATH "/usr/bin:/bin"

extern char **environ;

/* Waits for the exit of one child, since a child that nobody waits for stays as a zombie. */
static void reap(struct ev_loop *ev, struct ev_child *watcher, int revents)
{
	ev_ref(ev);
	ev_child_stop(ev, watcher);
	free(watcher);
}

static void reap_later(struct loop *loop, pid_t pid)
{
	struct ev_child *watcher = xcalloc(1, sizeof(*watcher));

	ev_child_init(watcher, reap, pid, 0);
	ev_child_start(loop->ev, watcher);
	ev_unref(loop->ev); /* a running child does not keep the loop running */
}

/* Path of the program to execute, the caller's; NULL if it is nowhere. */
static char *find_program(const char *name)
{
	static const char *const folders[] = {"/usr/bin", "/bin"};

	if (strchr(name, '/') != NULL)
		return xstrdup(name);
	for (size_t i = 0; i < ARRAY_LEN(folders) && name[0] != '\0'; i++) {
		_cleanup_free_ char *path = xasprintf("%s/%s", folders[i], name);

		if (access(path, X_OK) == 0)
			return take(path);
	}
	return NULL;
}

static bool same_name(const char *a, const char *b)
{
	size_t n = strcspn(a, "=");

	return n == strcspn(b, "=") && strncmp(a, b, n) == 0;
}

static bool is_named_in(const char *entry, const char *const *list)
{
	for (; list != NULL && *list != NULL; list++)
		if (same_name(entry, *list))
			return true;
	return false;
}

static size_t count(const char *const *list)
{
	size_t n = 0;

	while (list != NULL && list[n] != NULL)
		n++;
	return n;
}

/* The child's environment: an array of borrowed strings that the caller frees. */
static char **make_environment(const char *const *added)
{
	/* The last four change what a shell does before it comes to the command. */
	static const char *const withheld[] = {"PATH", "IFS", "CDPATH", "ENV", "BASH_ENV", NULL};
	const char *const *inherited = (const char *const *)environ;
	char **list = xcalloc(count(inherited) + count(added) + 2, sizeof(*list));
	size_t n = 0;

	for (; inherited != NULL && *inherited != NULL; inherited++)
		if (!is_named_in(*inherited, withheld) && !is_named_in(*inherited, added))
			list[n++] = (char *)*inherited;
	if (!is_named_in("PATH", added))
		list[n++] = (char *)"PATH=" SEARCH_PATH;
	for (; added != NULL && *added != NULL; added++)
		list[n++] = (char *)*added;
	return list;
}

/* Default dispositions, and nothing blocked but SIGINT. */
static int set_signals(posix_spawnattr_t *attributes)
{
	sigset_t all, blocked;
	int r;

	(void)sigfillset(&all);
	(void)sigemptyset(&blocked);
	(void)sigaddset(&blocked, SIGINT);
	r = posix_spawnattr_setsigdefault(attributes, &all);
	if (r == 0)
		r = posix_spawnattr_setsigmask(attributes, &blocked);
	if (r == 0)
		r = posix_spawnattr_setflags(
			attributes, POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETSIGMASK);
	return r;
}

static int set_descriptors(posix_spawn_file_actions_t *actions, int fd, bool null_stderr)
{
	int r = posix_spawn_file_actions_adddup2(actions, fd, STDIN_FILENO);

	if (r == 0)
		r = posix_spawn_file_actions_adddup2(actions, fd, STDOUT_FILENO);
	if (r == 0 && null_stderr)
		r = posix_spawn_file_actions_addopen(
			actions, STDERR_FILENO, "/dev/null", O_WRONLY, 0);
	if (r == 0)
		r = posix_spawn_file_actions_addclosefrom_np(actions, STDERR_FILENO + 1);
	return r;
}

/* 0 or -errno. */
static int spawn(const struct child_options *options, const char *path, int fd, pid_t *ret_pid)
{
	_cleanup_free_ char **environment = make_environment(options->environment);
	posix_spawn_file_actions_t actions;
	posix_spawnattr_t attributes;
	int r;

	r = posix_spawn_file_actions_init(&actions);
	if (r != 0)
		return -r;
	r = posix_spawnattr_init(&attributes);
	if (r == 0) {
		r = set_signals(&attributes);
		if (r == 0)
			r = set_descriptors(&actions, fd, options->null_stderr);
		if (r == 0)
			r = posix_spawn(ret_pid, path, &actions, &attributes,
				(char *const *)options->argv, environment);
		(void)posix_spawnattr_destroy(&attributes);
	}
	(void)posix_spawn_file_actions_destroy(&actions);
	return -r;
}

pid_t child_spawn(struct loop *loop, const struct child_options *options, int *ret_fd)
{
	_cleanup_free_ char *path = NULL;
	_cleanup_close_ int theirs = -1, ours = -1;
	int pair[2], r;
	pid_t pid = -1;

	if (options->argv == NULL || options->argv[0] == NULL)
		return -EINVAL;
	path = find_program(options->argv[0]);
	if (path == NULL)
		return -ENOENT;
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) < 0)
		return -errno;
	ours = pair[0];
	theirs = pair[1]; /* blocking, as programs expect of their standard input */
	if (fcntl(ours, F_SETFL, O_NONBLOCK) < 0)
		return -errno;
	r = spawn(options, path, theirs, &pid);
	if (r < 0)
		return r;
	reap_later(loop, pid);
	*ret_fd = ours;
	ours = -1;
	return pid;
}
