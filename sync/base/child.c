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

void child_reap(struct loop *loop, pid_t pid)
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
static int set_signals(posix_spawnattr_t *attributes, bool own_group)
{
	short flags = POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETSIGMASK;
	sigset_t all, blocked;
	int r;

	(void)sigfillset(&all);
	(void)sigemptyset(&blocked);
	(void)sigaddset(&blocked, SIGINT);
	r = posix_spawnattr_setsigdefault(attributes, &all);
	if (r == 0)
		r = posix_spawnattr_setsigmask(attributes, &blocked);
	if (r == 0 && own_group)
		r = posix_spawnattr_setpgroup(attributes, 0);
	if (r == 0)
		r = posix_spawnattr_setflags(
			attributes, own_group ? (short)(flags | POSIX_SPAWN_SETPGROUP) : flags);
	return r;
}

/* What becomes of one of the child's standard descriptors, if it is not given one. */
enum { INHERITED = -1, FROM_NULL = -2 };

static int set_descriptors(posix_spawn_file_actions_t *actions, const int fds[3])
{
	int r = 0;

	for (int i = 0; i < 3 && r == 0; i++) {
		if (fds[i] == FROM_NULL)
			r = posix_spawn_file_actions_addopen(
				actions, i, "/dev/null", i == 0 ? O_RDONLY : O_WRONLY, 0);
		else if (fds[i] != INHERITED)
			r = posix_spawn_file_actions_adddup2(actions, fds[i], i);
	}
	if (r == 0)
		r = posix_spawn_file_actions_addclosefrom_np(actions, STDERR_FILENO + 1);
	return r;
}

/* 0 or -errno. */
static int spawn(
	const struct child_options *options, const int fds[3], bool own_group, pid_t *ret_pid)
{
	_cleanup_free_ char *path = NULL;
	_cleanup_free_ char **environment = make_environment(options->environment);
	posix_spawn_file_actions_t actions;
	posix_spawnattr_t attributes;
	int r;

	if (options->argv == NULL || options->argv[0] == NULL)
		return -EINVAL;
	path = find_program(options->argv[0]);
	if (path == NULL)
		return -ENOENT;
	r = posix_spawn_file_actions_init(&actions);
	if (r != 0)
		return -r;
	r = posix_spawnattr_init(&attributes);
	if (r == 0) {
		r = set_signals(&attributes, own_group);
		if (r == 0)
			r = set_descriptors(&actions, fds);
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
	_cleanup_close_ int theirs = -1, ours = -1;
	int pair[2], r;
	pid_t pid = -1;

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) < 0)
		return -errno;
	ours = pair[0];
	theirs = pair[1]; /* blocking, as programs expect of their standard input */
	if (fcntl(ours, F_SETFL, O_NONBLOCK) < 0)
		return -errno;
	r = spawn(options,
		(const int[]){theirs, theirs, options->null_stderr ? FROM_NULL : INHERITED}, false,
		&pid);
	if (r < 0)
		return r;
	child_reap(loop, pid);
	*ret_fd = ours;
	ours = -1;
	return pid;
}

/* A pipe whose reading end does not block. */
static int make_pipe(int ret[2])
{
	if (pipe2(ret, O_CLOEXEC) < 0)
		return -errno;
	return fcntl(ret[0], F_SETFL, O_NONBLOCK) < 0 ? -errno : 0;
}

pid_t child_spawn_printing(const struct child_options *options, int *ret_out, int *ret_err)
{
	int out[2] = {-1, -1}, err[2] = {-1, -1};
	int r = make_pipe(out);
	pid_t pid = -1;

	if (r == 0)
		r = make_pipe(err);
	if (r == 0)
		r = spawn(options, (const int[]){FROM_NULL, out[1], err[1]}, true, &pid);
	closep(&out[1]);
	closep(&err[1]);
	if (r < 0) {
		closep(&out[0]);
		closep(&err[0]);
		return r;
	}
	*ret_out = out[0];
	*ret_err = err[0];
	return pid;
}
