/* SPDX-License-Identifier: MIT */
/*
 * What was done on one side and is not yet done on the other, in order.  A row about a mail
 * client's command is committed before the client learns that it succeeded.
 *
 * Names are as on the local wire, since a client may act before the first connection has told the
 * hierarchy delimiter.
 */
#ifndef INTERIMAP_STATE_ACTIONS_H
#define INTERIMAP_STATE_ACTIONS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct db;

enum { ACTION_VERB_LEN = 15 };

struct action {
	int64_t id; /* set by actions_insert(); ascending */
	char verb[ACTION_VERB_LEN + 1]; /* "MOVE", "RENAME", … */
	bool to_local; /* it was done on the remote side */
	bool certain; /* the server said OK; else perhaps it has done it */
	bool begun; /* commands of it may have reached the other side */
	char *mailbox, *target; /* owned; the second may be NULL */
	uint32_t uidvalidity; /* of the target, where it was done; 0 for none */
	char *source_uids, *target_uids; /* owned, or NULL: sets, in the order of the pairs */
};

/* The strings stay the caller's. */
int actions_insert(struct db *db, struct action *action);
/* Without the UIDs, in order; the caller releases them with actions_free(). */
int actions_load(struct db *db, struct action **ret_actions, size_t *ret_count);
void actions_free(struct action *actions, size_t count);
/* Both sets of one; the caller's.  -ENOENT when there is no such action. */
int actions_load_uids(struct db *db, int64_t id, char **ret_source, char **ret_target);
int actions_set_begun(struct db *db, int64_t id);
/* It is done, or is not to be done any more. */
int actions_drop(struct db *db, int64_t id);

#endif
