/* SPDX-License-Identifier: MIT */
/* The tables, and how older files become newer ones (db_prepare_schema() of db.h). */
#ifndef INTERIMAP_STATE_SCHEMA_H
#define INTERIMAP_STATE_SCHEMA_H

#include <sqlite3.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct db;

/* Parameters of a statement, from the first one on. */
struct numbers {
	const int64_t *list;
	size_t count;
};

#define NUMBERS(...) \
	((struct numbers){(const int64_t[]){__VA_ARGS__}, \
		sizeof((const int64_t[]){__VA_ARGS__}) / sizeof(int64_t)})

/* Our own tables; `tables` in schema.c has a row for each.  What is made of one knows of it from
 * schema_need() or schema_find() in the same transaction, and from nothing else. */
enum table {
	TABLE_INTENT,
	TABLE_LATE,
	TABLE_ACTION,
	TABLE_EMAIL,
	TABLE_MAILBOX_ID,
	TABLE_ECHO,
	TABLE_LOSS,
	TABLE_HOLD,
	TABLE_REMOVAL,
	TABLE_SETTLED,
	TABLE_QUARANTINE,
	TABLE_SUSPICION,
	TABLE_LISTED,
	TABLE_VERIFIED,
	TABLE_COUNT,
};

/* Whether the table exists. */
int schema_find(struct db *db, enum table table, bool *ret_exists);
/* Makes it unless it exists. */
int schema_need(struct db *db, enum table table);
/* A statement about a table that need not be there: NULL and 0 if it is not, NULL and -errno if the
 * database fails. */
int schema_statement(struct db *db, enum table table, const char *sql, sqlite3_stmt **ret);
/* Runs one that returns no rows, and whose parameters are numbers; nothing where the table is not
 * there. */
int schema_run_with(struct db *db, enum table table, const char *sql, struct numbers numbers);
/* Deletes from all our tables what they hold of a mailbox by its UIDs, within the caller's
 * transaction. */
int schema_drop_uids(struct db *db, int64_t idx);
/* After each rollback, SQLite's own too (db.c): it may have taken tables along. */
void schema_forget(struct db *db);

#endif
