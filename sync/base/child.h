/* SPDX-License-Identifier: MIT */
/* Child processes: with one end of a socket pair as their standard input and output, or with pipes
 * for what they print. */
#ifndef INTERIMAP_BASE_CHILD_H
#define INTERIMAP_BASE_CHILD_H

#include <stdbool.h>
#include <sys/types.h>

struct loop;

struct child_options {
	const char *const *argv; /* NULL-terminated; argv[0] is searched in PATH /usr/bin:/bin */
	const char *const
		*environment; /* NULL-terminated "NAME=value" to add or replace, or NULL */
	bool null_stderr; /* standard error to /dev/null, else inherited */
};

/*
 * Starts a child whose standard input and output are one end of a new socket pair; the other end
 * comes back in *ret_fd (non-blocking, close-on-exec, the caller's).  The child inherits no other
 * descriptor, has default signal dispositions with SIGINT blocked (a Ctrl-C is for us to handle),
 * PATH=/usr/bin:/bin, and no IFS, CDPATH, ENV or BASH_ENV. It is reaped by the loop whenever it
 * exits.  Returns the process id, or -errno (also when the program cannot be executed).
 */
pid_t child_spawn(struct loop *loop, const struct child_options *options, int *ret_fd);

/*
 * Likewise a child that is run for what it prints.  It has nothing to read, and leads a process group
 * of its own, so that all of it can be killed.  Its standard output and error come from *ret_out and
 * *ret_err (non-blocking, close-on-exec, the caller's; null_stderr does not count).  The caller sees
 * to it that it is reaped.
 */
pid_t child_spawn_printing(const struct child_options *options, int *ret_out, int *ret_err);

/* Has the loop reap it whenever it exits, for nobody. */
void child_reap(struct loop *loop, pid_t pid);

#endif
