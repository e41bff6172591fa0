/* SPDX-License-Identifier: MIT */
/*
 * Fault points of the database's files (base/fault.h): a write that finds the disk full, and an
 * fsync() that fails.  The methods of both files, the database and its write-ahead log, are
 * replaced by copies with another xWrite and xSync; without INTERIMAP_FAULT nothing is.
 */
#include <stdlib.h>

#include "sync/base/fault.h"
#include "sync/state/db-private.h"

/* SQLite has one table of methods for each way of locking, with the same xWrite and xSync. */
static const sqlite3_io_methods *real;
static sqlite3_io_methods of_database, of_log;

static int faulty_write(sqlite3_file *file, const void *data, int n, sqlite3_int64 offset)
{
	if (fault_due(FAULT_DATABASE_WRITE))
		return SQLITE_FULL;
	return real->xWrite(file, data, n, offset);
}

static int faulty_sync(sqlite3_file *file, int flags)
{
	if (fault_due(FAULT_DATABASE_SYNC))
		return SQLITE_IOERR_FSYNC;
	return real->xSync(file, flags);
}

static void replace_methods(struct db *db, int which, sqlite3_io_methods *faulty)
{
	sqlite3_file *file = NULL;

	if (sqlite3_file_control(db->sqlite, "main", which, &file) != SQLITE_OK || file == NULL ||
		file->pMethods == NULL)
		return; /* one in memory */
	if (real == NULL)
		real = file->pMethods;
	if (file->pMethods->xWrite != real->xWrite || file->pMethods->xSync != real->xSync)
		return; /* done already, or not what was thought: test_faults_happen would tell */
	*faulty = *file->pMethods;
	faulty->xWrite = faulty_write;
	faulty->xSync = faulty_sync;
	file->pMethods = faulty;
}

void db_install_faults(struct db *db)
{
	if (getenv("INTERIMAP_FAULT") == NULL)
		return;
	replace_methods(db, SQLITE_FCNTL_FILE_POINTER, &of_database);
	replace_methods(db, SQLITE_FCNTL_JOURNAL_POINTER, &of_log);
}
