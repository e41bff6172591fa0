/* SPDX-License-Identifier: MIT */
/* A mailbox and what is below it, renamed together (RFC 3501 section 6.3.5). */
#ifndef INTERIMAP_CORE_SUBTREE_H
#define INTERIMAP_CORE_SUBTREE_H

#include <stdbool.h>
#include <stddef.h>

#include "sync/base/buf.h"
#include "sync/imap/mailbox.h"

struct core;

/* INBOX leaves its children where they are. */
bool subtree_has(const struct mailbox_name *root, const char *name, size_t len);
/* The new name of what is in `from` when that becomes `to`; initialises *ret.  False, and *ret
 * untouched, for what is elsewhere. */
bool subtree_renamed(const struct mailbox_name *from, const struct mailbox_name *to,
	const char *name, size_t len, struct buf *ret);

/* Whether the engine knows a mailbox there or below. */
bool subtree_is_known(const struct core *core, const struct mailbox_name *root);

/*
 * Renames the rows of the database, within the caller's transaction; what the engine has in memory
 * stays as it is.  How many rows that were, or -errno; -EEXIST with the name that is taken in
 * *ret_taken, which the caller releases with buf_done().
 */
int subtree_rename_rows(struct core *core, const struct mailbox_name *from,
	const struct mailbox_name *to, struct buf *ret_taken);
/* The same for what is in memory, once that is committed. */
void subtree_rename_known(
	struct core *core, const struct mailbox_name *from, const struct mailbox_name *to);

#endif
