/* SPDX-License-Identifier: MIT */
/*
 * One connection for the life of the process.  The order in which it is opened matters: with
 * locking_mode=EXCLUSIVE set before the first access, SQLite keeps the index of its write-ahead
 * log in memory, so there is no -shm file and the lock is never given back.  The file stays in WAL
 * mode after db_close(): the Perl program opens it as it is.
 */
#include "sync/state/db.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "sync/base/folder.h"
#include "sync/base/xalloc.h"
#include "sync/state/db-private.h"

enum {
	CHECKPOINT_PAGES = 1000, /* length of the write-ahead log that is written back */
	BUSY_MILLISECONDS = 250,
};

static int to_errno(int result)
{
	switch (result & 0xff) {
	case SQLITE_BUSY:
	case SQLITE_LOCKED:
		return -EBUSY;
	case SQLITE_FULL:
		return -ENOSPC;
	case SQLITE_READONLY:
		return -EROFS;
	case SQLITE_PERM:
	case SQLITE_CANTOPEN:
		return -EACCES;
	case SQLITE_CONSTRAINT:
		if (result == SQLITE_CONSTRAINT_UNIQUE || result == SQLITE_CONSTRAINT_PRIMARYKEY)
			return -EEXIST;
		return -EINVAL;
	default:
		return -EIO;
	}
}

int db_fail(struct db *db, int result)
{
	int r = to_errno(result);

	if (r == -EBUSY)
		return db_refuse(db, r, "database is locked by another process");
	return db_refuse(db, r, "%s", sqlite3_errmsg(db->sqlite));
}

int db_refuse(struct db *db, int r, const char *fmt, ...)
{
	va_list ap;
	char *error;

	va_start(ap, fmt);
	error = xvasprintf(fmt, ap);
	va_end(ap);
	free(db->error);
	db->error = error;
	return r;
}

bool db_is_outage(int r)
{
	return r == -EIO || r == -ENOSPC || r == -EROFS || r == -EACCES || r == -EBUSY;
}

const char *db_error(const struct db *db)
{
	return db->error != NULL ? db->error : "no error";
}

sqlite3_stmt *db_statement(struct db *db, const char *sql)
{
	sqlite3_stmt *statement;
	int result;

	for (size_t i = 0; i < db->statement_count; i++) {
		if (db->statements[i].sql == sql) {
			statement = db->statements[i].statement;
			(void)sqlite3_reset(statement);
			(void)sqlite3_clear_bindings(statement);
			return statement;
		}
	}
	if (db->statement_count == DB_STATEMENTS) {
		(void)db_refuse(db, -EIO, "more statements than there is room for");
		return NULL;
	}
	result = sqlite3_prepare_v3(
		db->sqlite, sql, -1, SQLITE_PREPARE_PERSISTENT, &statement, NULL);
	if (result != SQLITE_OK) {
		(void)db_fail(db, result);
		return NULL;
	}
	db->statements[db->statement_count].sql = sql;
	db->statements[db->statement_count++].statement = statement;
	return statement;
}

int db_step(struct db *db, sqlite3_stmt *statement)
{
	int result, r = 0;

	if (statement == NULL)
		return -EIO; /* its preparation failed and said why */
	result = sqlite3_step(statement);
	if (result == SQLITE_ROW)
		return 1;
	if (result != SQLITE_DONE)
		r = db_fail(db, result);
	(void)sqlite3_reset(statement);
	return r;
}

int db_run(struct db *db, sqlite3_stmt *statement)
{
	int r = db_step(db, statement);

	if (r > 0) {
		(void)sqlite3_reset(statement);
		r = 0;
	}
	return r;
}

int db_run_with(struct db *db, const char *sql, struct numbers numbers)
{
	sqlite3_stmt *statement = db_statement(db, sql);

	for (size_t i = 0; i < numbers.count && statement != NULL; i++)
		(void)sqlite3_bind_int64(statement, (int)i + 1, numbers.list[i]);
	return db_run(db, statement);
}

int db_execute(struct db *db, const char *sql)
{
	int result = sqlite3_exec(db->sqlite, sql, NULL, NULL, NULL);

	return result == SQLITE_OK ? 0 : db_fail(db, result);
}

int db_number(struct db *db, const char *sql, int64_t *ret_number)
{
	sqlite3_stmt *statement;
	int r, result;

	result = sqlite3_prepare_v2(db->sqlite, sql, -1, &statement, NULL);
	if (result != SQLITE_OK)
		return db_fail(db, result);
	r = db_step(db, statement);
	if (r > 0) {
		*ret_number = sqlite3_column_int64(statement, 0);
		r = 0;
	} else if (r == 0) {
		r = db_refuse(db, -EIO, "no answer to: %s", sql);
	}
	(void)sqlite3_finalize(statement);
	return r;
}

int db_column_u32(struct db *db, sqlite3_stmt *statement, int column, uint32_t *ret_value)
{
	int64_t value = sqlite3_column_int64(statement, column);

	if (value < 0 || value > UINT32_MAX)
		return db_refuse(db, -ERANGE, "%s is %lld, out of range",
			sqlite3_column_name(statement, column), (long long)value);
	*ret_value = (uint32_t)value;
	return 0;
}

int db_begin(struct db *db)
{
	static const char sql[] = "BEGIN IMMEDIATE";

	return db_run(db, db_statement(db, sql));
}

int db_commit(struct db *db)
{
	static const char sql[] = "COMMIT";
	int r = db_run(db, db_statement(db, sql));

	if (r < 0)
		db_rollback(db); /* nobody goes on with a transaction that could not be committed */
	return r;
}

int db_transact(struct db *db, int (*write)(void *context), void *context)
{
	int r = db_begin(db), committed;

	if (r < 0)
		return r;
	r = write(context);
	if (r < 0) {
		db_rollback(db);
		return r;
	}
	committed = db_commit(db);
	return committed < 0 ? committed : r;
}

void db_rollback(struct db *db)
{
	static const char sql[] = "ROLLBACK";
	char *error;

	if (sqlite3_get_autocommit(db->sqlite))
		return; /* SQLite did so itself, as on a full disk */
	error = take(db->error);
	(void)db_run(db, db_statement(db, sql));
	if (error != NULL) { /* the reason for rolling back is of more interest */
		free(db->error);
		db->error = error;
	}
}

int db_enter(struct db *db, bool *ret_own)
{
	bool own = sqlite3_get_autocommit(db->sqlite) != 0;
	int r = own ? db_begin(db) : 0;

	if (r == 0)
		*ret_own = own;
	return r;
}

int db_leave(struct db *db, bool own, int r)
{
	if (own && r == 0)
		r = db_commit(db);
	if (own && r != 0)
		db_rollback(db);
	return r;
}

static bool crash_due(unsigned long *count, unsigned long at)
{
	return at > 0 && ++*count == at;
}

/* Called by SQLite before each commit, also when only a temporary table was written. */
static int before_commit(void *context)
{
	struct db *db = context;

	if (sqlite3_txn_state(db->sqlite, "main") == SQLITE_TXN_WRITE &&
		crash_due(&db->commits_before, db->crash_at))
		(void)raise(SIGKILL);
	return 0;
}

/* Called by SQLite after each commit to the write-ahead log; takes the place of its automatic
 * checkpoint. */
static int after_commit(void *context, sqlite3 *sqlite, const char *name, int pages)
{
	struct db *db = context;

	if (crash_due(&db->commits_after, db->crash_after))
		(void)raise(SIGKILL);
	if (pages >= CHECKPOINT_PAGES) /* a failure is no loss: the next commit tries again */
		(void)sqlite3_wal_checkpoint_v2(
			sqlite, name, SQLITE_CHECKPOINT_PASSIVE, NULL, NULL);
	return SQLITE_OK;
}

/* Called by SQLite at each rollback, also when it makes one by itself, as on a full disk. */
static void on_rollback(void *context)
{
	schema_forget(context);
}

static unsigned long number_from_environment(const char *name)
{
	const char *value = getenv(name);

	return value != NULL ? strtoul(value, NULL, 10) : 0;
}

static void install_hooks(struct db *db)
{
	db->crash_at = number_from_environment("INTERIMAP_CRASH_AT_COMMIT");
	db->crash_after = number_from_environment("INTERIMAP_CRASH_AFTER_COMMIT");
	(void)sqlite3_commit_hook(db->sqlite, before_commit, db);
	(void)sqlite3_rollback_hook(db->sqlite, on_rollback, db);
	(void)sqlite3_wal_hook(db->sqlite, after_commit, db);
}

static int check_parent(const char *path, char **ret_reason)
{
	_cleanup_free_ char *reason = NULL;
	int fd = folder_open_parent(path, FOLDER_OF_USER, &reason);

	if (fd < 0) {
		*ret_reason = xasprintf("%s: the folder %s", path, reason);
		return fd;
	}
	(void)close(fd);
	return 0;
}

/* Where the file itself is, and its write-ahead log: beyond a link, if it is one. */
static int check_folders(const char *path, char **ret_reason)
{
	_cleanup_free_ char *real = realpath(path, NULL);
	int r = check_parent(path, ret_reason);

	return r < 0 || real == NULL ? r : check_parent(real, ret_reason);
}

/* Mode 0600 whatever the umask is: done here, before SQLite sees the file, since closing a
 * descriptor later would drop its locks. */
static int make_file(const char *path, bool create, char **ret_reason)
{
	_cleanup_close_ int fd = -1;
	bool missing = access(path, F_OK) < 0;
	int r = missing ? -errno : 0;

	if (missing && (r != -ENOENT || !create)) {
		*ret_reason = xasprintf("%s: %s%s", path, strerror(-r),
			r == -ENOENT ? " (run interimap once without --watch and --notify to make "
				       "it)"
				     : "");
		return r;
	}
	r = check_folders(path, ret_reason);
	if (r < 0 || !missing)
		return r;
	fd = open(path, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (fd >= 0 ? fchmod(fd, 0600) == 0 : errno == EEXIST)
		return 0;
	r = -errno;
	*ret_reason = xasprintf("%s: %s", path, strerror(-r));
	return r;
}

/* WAL for durable commits at the cost of one sync; a database in memory has no journal to choose.
 */
static int choose_journal(struct db *db, bool in_memory)
{
	sqlite3_stmt *statement;
	const char *mode;
	int r, result;

	result = sqlite3_prepare_v2(db->sqlite, "PRAGMA journal_mode = WAL", -1, &statement, NULL);
	if (result != SQLITE_OK)
		return db_fail(db, result);
	r = db_step(db, statement);
	if (r > 0) {
		mode = (const char *)sqlite3_column_text(statement, 0);
		r = 0;
		if (!in_memory && (mode == NULL || strcmp(mode, "wal") != 0))
			r = db_refuse(db, -EIO, "write-ahead logging is not possible there");
	}
	(void)sqlite3_finalize(statement);
	return r;
}

static int configure(struct db *db, bool in_memory)
{
	int r;

	(void)sqlite3_extended_result_codes(db->sqlite, 1);
	(void)sqlite3_busy_timeout(db->sqlite, BUSY_MILLISECONDS);
	if (sqlite3_db_readonly(db->sqlite, "main") == 1)
		return db_refuse(db, -EROFS, "the file cannot be written");
	r = db_execute(db, "PRAGMA trusted_schema = OFF;"
			   "PRAGMA locking_mode = EXCLUSIVE;"
			   "PRAGMA temp_store = FILE;"
			   "PRAGMA foreign_keys = ON;"
			   "PRAGMA cache_size = -1024;" /* KiB */
			   "PRAGMA temp.cache_size = -1024;");
	if (r == 0)
		r = choose_journal(db, in_memory);
	if (r == 0)
		r = db_execute(db, "PRAGMA synchronous = FULL; BEGIN IMMEDIATE; COMMIT;");
	return r;
}

int db_open(const char *path, bool create, struct db **ret, char **ret_reason)
{
	bool in_memory = strcmp(path, ":memory:") == 0;
	struct db *db;
	int r, result;

	r = in_memory ? 0 : make_file(path, create, ret_reason);
	if (r < 0)
		return r;
	db = xcalloc(1, sizeof(*db));
	result = sqlite3_open_v2(
		path, &db->sqlite, SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX, NULL);
	if (db->sqlite == NULL)
		abort(); /* only when memory is exhausted */
	r = result == SQLITE_OK ? configure(db, in_memory) : db_fail(db, result);
	if (r < 0) {
		*ret_reason = xasprintf("%s: %s", path, db_error(db));
		(void)db_close(db);
		return r;
	}
	install_hooks(db);
	db_install_faults(db);
	*ret = db;
	return 0;
}

struct db *db_close(struct db *db)
{
	if (db == NULL)
		return NULL;
	db_rollback(db);
	for (size_t i = 0; i < db->statement_count; i++)
		(void)sqlite3_finalize(db->statements[i].statement);
	(void)sqlite3_close(db->sqlite);
	free(db->error);
	free(db);
	return NULL;
}
