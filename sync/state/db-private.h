/* SPDX-License-Identifier: MIT */
/*
 * What the files of this folder share: the connection, its prepared statements, and how results
 * of SQLite become ours.
 */
#ifndef INTERIMAP_STATE_DB_PRIVATE_H
#define INTERIMAP_STATE_DB_PRIVATE_H

#include <sqlite3.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "sync/state/schema.h"

enum {
	DB_STATEMENTS = 128, /* distinct statements of this folder, all of them constants */
};

enum table_presence {
	TABLE_IS_UNKNOWN,
	TABLE_IS_MISSING,
	TABLE_IS_THERE,
};

struct db {
	sqlite3 *sqlite;
	char *error; /* last one, a sentence; NULL: none yet */
	struct {
		const char *sql; /* identity: its address */
		sqlite3_stmt *statement;
	} statements[DB_STATEMENTS];
	size_t statement_count;
	unsigned char presence[TABLE_COUNT]; /* enum table_presence of our own tables */
	unsigned long commits_before, commits_after;
	unsigned long crash_at, crash_after; /* 0: never */
};

/*
 * The prepared statement of a constant, reset and without bindings; NULL on failure (see
 * db_error()).  Its text must live as long as the connection; it is compiled once.
 */
sqlite3_stmt *db_statement(struct db *db, const char *sql);
/* 1: there is a row; 0: done, and the statement is reset; -errno: failed, and it is reset. */
int db_step(struct db *db, sqlite3_stmt *statement);
/* Runs a statement that returns no rows. */
int db_run(struct db *db, sqlite3_stmt *statement);
/* Runs the statement of a constant that returns no rows, and whose parameters are numbers. */
int db_run_with(struct db *db, const char *sql, struct numbers numbers);
/* Runs statements without parameters that are needed once. */
int db_execute(struct db *db, const char *sql);
/* Runs one that returns a single number. */
int db_number(struct db *db, const char *sql, int64_t *ret_number);

/* Lets writes of the open database fail where a test says so. */
void db_install_faults(struct db *db);

/* Records the last error of SQLite and returns its -errno. */
int db_fail(struct db *db, int result);
/* Records a sentence of our own and returns r. */
int db_refuse(struct db *db, int r, const char *fmt, ...) __attribute__((format(printf, 3, 4)));

/* Begins a transaction unless one is open; *ret_own says whether db_leave() has to end it. */
int db_enter(struct db *db, bool *ret_own);
/* Ends it: commits when r is 0, else rolls back.  Returns r or the error of the commit. */
int db_leave(struct db *db, bool own, int r);

/* A column that must be a UID or UIDVALIDITY: -ERANGE and a reason if it is out of range. */
int db_column_u32(struct db *db, sqlite3_stmt *statement, int column, uint32_t *ret_value);

#endif
