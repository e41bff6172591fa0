/* SPDX-License-Identifier: MIT */
/* The tables, and how older files become newer ones (db_prepare_schema() of db.h). */
#ifndef INTERIMAP_STATE_SCHEMA_H
#define INTERIMAP_STATE_SCHEMA_H

#include <sqlite3.h>
#include <stdbool.h>

struct db;

/* Whether the table `intent` exists. */
int schema_find_intents(struct db *db, bool *ret_exists);
/* Makes the table `intent` unless it exists. */
int schema_need_intents(struct db *db);
/* The same for the table `late`. */
int schema_find_late(struct db *db, bool *ret_exists);
int schema_need_late(struct db *db);
/* And for the table `action`. */
int schema_find_actions(struct db *db, bool *ret_exists);
int schema_need_actions(struct db *db);
/* And for the table `email`; that it does not exist is remembered, too. */
int schema_find_emails(struct db *db, bool *ret_exists);
int schema_need_emails(struct db *db);
/* And for the table `mailbox_id`. */
int schema_find_mailbox_ids(struct db *db, bool *ret_exists);
int schema_need_mailbox_ids(struct db *db);
/* A statement about a table that need not be there: NULL and 0 if it is not, NULL and -errno if the
 * database fails. */
int schema_statement(struct db *db, int (*find)(struct db *db, bool *ret_exists), const char *sql,
	sqlite3_stmt **ret);
/* Makes the temporary table of adopt.h unless it exists. */
int schema_need_adoption(struct db *db);

#endif
