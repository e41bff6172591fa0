/* SPDX-License-Identifier: MIT */
/*
 * What may be the cause of lost connections (plan/suspicion.h), so that a program that runs once
 * and is started again and again finds it out, too.
 *
 * Rows of a mailbox go with it, and with its UIDVALIDITY (schema_drop_uids()).
 */
#ifndef INTERIMAP_STATE_SUSPICIONS_H
#define INTERIMAP_STATE_SUSPICIONS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct db;

struct suspicion_row {
	int64_t id; /* 0: not in the database yet */
	unsigned kind; /* enum suspect_kind, as a number */
	int64_t mailbox; /* mailboxes.idx, or 0 */
	int64_t deed; /* the number of an action, or 0 */
	bool remote;
	char *uids; /* owned: a set, perhaps "" */
	unsigned losses;
	bool halves;
};

/* Writes it, under its id or under a new one, which it gets. */
int suspicions_put(struct db *db, struct suspicion_row *row);
/* No error when it is gone already. */
int suspicions_delete(struct db *db, int64_t id);
/* Those of the last week; the caller releases them. */
int suspicions_load(struct db *db, struct suspicion_row **ret_rows, size_t *ret_count);
void suspicions_free(struct suspicion_row *rows, size_t count);

#endif
