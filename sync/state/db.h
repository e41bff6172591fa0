/* SPDX-License-Identifier: MIT */
/*
 * The database (SQLite): who is who on both sides.  Its tables `mailboxes`, `local`, `remote` and
 * `mapping` are those of the Perl interimap, so that either program can go on from the other's
 * file; tables of our own refer to mailboxes(idx) ON DELETE CASCADE.
 *
 * Every function that can fail returns 0 or -errno; -EIO stands for an error of SQLite, described
 * by db_error().  Writes outside db_begin() … db_commit() are transactions of their own.  All
 * commits are durable when the call returns (WAL, synchronous=FULL).
 */
#ifndef INTERIMAP_STATE_DB_H
#define INTERIMAP_STATE_DB_H

#include <stdbool.h>
#include <stdint.h>

struct db;

/*
 * Opens and locks the file for the life of the process (locking_mode=EXCLUSIVE, an immediate
 * transaction right away), before any table is read or made.  -EBUSY when another process has it,
 * -ENOENT when it is missing and `create` is not set.  Created with mode 0600 (and its directory
 * with 0700); an existing file keeps its mode.  On failure *ret_reason is a sentence the caller
 * frees. path may be ":memory:" for tests.
 */
int db_open(const char *path, bool create, struct db **ret, char **ret_reason);
struct db *db_close(struct db *db);
/* The last error, one sentence; valid until the next call. */
const char *db_error(const struct db *db);
/* Whether a result means that the file cannot be read or written (a full disk, say), whatever is
 * asked for; else the error is about what was to be written. */
bool db_is_outage(int r);

/*
 * Makes the schema in an empty file; migrates version 0 (names with the delimiter itself) to 1,
 * which is refused with -EINVAL when the two delimiters differ and any name has one, or when
 * references are broken; refuses versions it does not know (-ENOTSUP). Our own tables are made on
 * demand.  1 if it migrated, else 0.  Call it when both LISTs have been seen.  Delimiter '\0': a
 * flat side.
 */
int db_prepare_schema(struct db *db, char local_delimiter, char remote_delimiter);

/*
 * One transaction of what write() does.  What that returns is returned; if it is negative, nothing
 * is written.  -errno too if the transaction cannot be begun or committed.
 */
int db_transact(struct db *db, int (*write)(void *context), void *context);
/* For those that can say only at the end whether to keep it: */
int db_begin(struct db *db);
/* On failure the transaction is rolled back. */
int db_commit(struct db *db);
void db_rollback(struct db *db);

/*
 * Fault point for tests: with INTERIMAP_CRASH_AT_COMMIT=n in the environment the process kills
 * itself (SIGKILL) right before its n-th commit, with INTERIMAP_CRASH_AFTER_COMMIT=n right after
 * it.
 */

#endif
