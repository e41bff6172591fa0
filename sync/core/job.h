/* SPDX-License-Identifier: MIT */
/*
 * What a person asks for: on the command line, of the service over its control socket, and of the
 * engine.  An option of a new kind is a row in proxy/arguments.c, a kind here, its word in
 * command/control-request.c, and whoever does it.
 */
#ifndef INTERIMAP_CORE_JOB_H
#define INTERIMAP_CORE_JOB_H

#include <stdbool.h>

enum job_kind {
	JOB_SYNC,
	JOB_REPAIR, /* everything is compared with the database, and what differs is mended */
	JOB_DELETE,
	JOB_RENAME,
	JOB_VERIFY, /* a look at both sides, which changes nothing */
	JOB_STATUS, /* asked of a service only */
};

struct job {
	enum job_kind kind;
	/* As on the command line, with the local delimiter, NULL-terminated, borrowed; JOB_RENAME:
	 * from, to.  NULL: those that are configured. */
	const char *const *mailboxes;
	bool allow_deletions; /* JOB_SYNC and JOB_REPAIR: the brake is off for `mailboxes` */
	bool local, remote, database; /* JOB_DELETE and JOB_RENAME: where */
};

/* It is about the mailboxes themselves, or a look at them; nothing is synchronised. */
static inline bool job_is_edit(const struct job *job)
{
	return job->kind == JOB_DELETE || job->kind == JOB_RENAME || job->kind == JOB_VERIFY;
}

#endif
