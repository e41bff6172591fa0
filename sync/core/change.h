/* SPDX-License-Identifier: MIT */
#ifndef INTERIMAP_CORE_CHANGE_H
#define INTERIMAP_CORE_CHANGE_H

#include <stdbool.h>

/* A change to the mailboxes themselves, or a look at them, instead of synchronising. */
struct engine_change {
	enum { CHANGE_DELETE, CHANGE_RENAME, CHANGE_VERIFY } kind;
	const char *const *names; /* with the local delimiter, NULL-terminated; CHANGE_RENAME: from,
				     to; CHANGE_VERIFY: may be NULL, for all */
	bool local, remote, database; /* where */
};

#endif
