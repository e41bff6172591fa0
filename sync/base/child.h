/* SPDX-License-Identifier: MIT */
/* Child processes with one end of a socket pair as their standard input and output. */
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

#endif
