/* SPDX-License-Identifier: MIT */
#ifndef INTERIMAP_ENGINE_CHANGE_H
#define INTERIMAP_ENGINE_CHANGE_H

#include <stdbool.h>

/* A change to the mailboxes themselves, instead of synchronising. */
struct engine_change {
	enum { CHANGE_DELETE, CHANGE_RENAME } kind;
	const char *const
		*names; /* with the local delimiter, NULL-terminated; CHANGE_RENAME: from, to */
	bool local, remote, database; /* where */
};

#endif
