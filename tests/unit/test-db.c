/* SPDX-License-Identifier: MIT */
/* Opening, locking, schema, migration, transactions and the table of mailboxes. */
#include "state-fixture.h"

#include <errno.h>
#include <signal.h>
#include <sqlite3.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

/* Runs SQL on a file with a plain SQLite, as another program would. */
static void run_sql(const char *path, const char *sql)
{
	sqlite3 *sqlite;
	char *error = NULL;

	assert_int_equal(sqlite3_open(path, &sqlite), SQLITE_OK);
	if (sqlite3_exec(sqlite, sql, NULL, NULL, &error) != SQLITE_OK)
		fail_msg("%s", error);
	assert_int_equal(sqlite3_close(sqlite), SQLITE_OK);
}

static int64_t ask_sql(const char *path, const char *sql)
{
	sqlite3 *sqlite;
	sqlite3_stmt *statement;
	int64_t number;

	assert_int_equal(sqlite3_open(path, &sqlite), SQLITE_OK);
	assert_int_equal(sqlite3_prepare_v2(sqlite, sql, -1, &statement, NULL), SQLITE_OK);
	assert_int_equal(sqlite3_step(statement), SQLITE_ROW);
	number = sqlite3_column_int64(statement, 0);
	assert_int_equal(sqlite3_finalize(statement), SQLITE_OK);
	assert_int_equal(sqlite3_close(sqlite), SQLITE_OK);
	return number;
}

static mode_t mode_of(const char *path)
{
	struct stat status;

	assert_int_equal(stat(path, &status), 0);
	return status.st_mode & 07777;
}

static int open_result(const char *path, bool create)
{
	struct db *db = NULL;
	char *reason = NULL;
	int r = db_open(path, create, &db, &reason);

	if (r != 0) {
		assert_null(db);
		assert_non_null(reason);
		assert_non_null(strstr(reason, path));
	} else {
		assert_null(reason);
	}
	free(reason);
	(void)db_close(db);
	return r;
}

static void test_creates_file(void **state)
{
	struct fixture *fixture = *state;
	_cleanup_free_ char *path = xasprintf("%s/a/b/new.db", fixture->directory);
	_cleanup_free_ char *parent = xasprintf("%s/a/b", fixture->directory);
	_cleanup_free_ char *wal = xasprintf("%s-wal", path);
	_cleanup_free_ char *shm = xasprintf("%s-shm", path);
	mode_t mask = umask(0); /* would leave group and others everything */
	struct db *db;

	assert_int_equal(open_result(path, false), -ENOENT);
	assert_int_equal(access(parent, F_OK), -1);
	(void)umask(0277); /* would take write permission from ourselves */
	assert_int_equal(open_result(fixture->path, true), 0);
	assert_int_equal(mode_of(fixture->path), 0600);
	(void)umask(0);
	db = fixture_open(path);
	assert_int_equal(mode_of(parent), 0700);
	assert_int_equal(mode_of(path), 0600);
	assert_int_equal(mode_of(wal), 0600);
	assert_int_equal(access(shm, F_OK), -1);
	(void)umask(mask);
	assert_null(db_close(db));
	assert_int_equal(access(wal, F_OK), -1);
	assert_int_equal(open_result(path, false), 0);
	assert_null(db_close(NULL));
}

static void test_keeps_mode(void **state)
{
	struct fixture *fixture = *state;

	(void)db_close(fixture_open(fixture->path));
	assert_int_equal(chmod(fixture->path, 0640), 0);
	(void)db_close(fixture_open(fixture->path));
	assert_int_equal(mode_of(fixture->path), 0640);
}

static void test_second_opener(void **state)
{
	struct fixture *fixture = *state;
	struct db *db = NULL;
	char *reason = NULL;
	int status;
	pid_t pid;

	/* Locked by opening alone, before there is any table. */
	assert_int_equal(db_open(fixture->path, true, &db, &reason), 0);
	assert_int_equal(open_result(fixture->path, true), -EBUSY);
	pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		struct db *other;

		alarm(5);
		_exit(db_open(fixture->path, true, &other, &reason) == -EBUSY &&
					strstr(reason, "database is locked") != NULL
				? 0
				: 1);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
	/* Nor after work was done and committed. */
	assert_int_equal(db_prepare_schema(db, '/', '/'), 0);
	(void)fixture_mailbox(db, "INBOX");
	assert_int_equal(open_result(fixture->path, true), -EBUSY);
	(void)db_close(db);
	assert_int_equal(open_result(fixture->path, true), 0);
}

static void test_refuses_other_files(void **state)
{
	struct fixture *fixture = *state;
	struct db *db = NULL;
	char *reason = NULL;
	FILE *file = fopen(fixture->path, "w");

	assert_non_null(file);
	for (int i = 0; i < 100; i++)
		assert_true(fputs("this is a text and not a database\n", file) >= 0);
	assert_int_equal(fclose(file), 0);
	assert_int_equal(open_result(fixture->path, true), -EIO);
	assert_int_equal(unlink(fixture->path), 0);
	assert_int_equal(mkdir(fixture->path, 0700), 0);
	assert_int_equal(open_result(fixture->path, true), -EACCES);
	assert_int_equal(rmdir(fixture->path), 0);

	run_sql(fixture->path, "CREATE TABLE bookmarks (url TEXT)");
	assert_int_equal(db_open(fixture->path, true, &db, &reason), 0);
	assert_int_equal(db_prepare_schema(db, '/', '/'), -EINVAL);
	assert_non_null(strstr(db_error(db), "another program"));
	(void)db_close(db);
	assert_int_equal(ask_sql(fixture->path, "SELECT count(*) FROM sqlite_schema"), 1);

	run_sql(fixture->path, "PRAGMA user_version = 2");
	assert_int_equal(db_open(fixture->path, true, &db, &reason), 0);
	assert_int_equal(db_prepare_schema(db, '/', '/'), -ENOTSUP);
	(void)db_close(db);
}

/* Whoever may write there can put a write-ahead log beside the file. */
static void test_refuses_open_folder(void **state)
{
	struct fixture *fixture = *state;

	assert_int_equal(chmod(fixture->directory, 0707), 0);
	assert_int_equal(open_result(fixture->path, true), -EPERM);
	assert_int_equal(access(fixture->path, F_OK), -1);
	assert_int_equal(chmod(fixture->directory, 0755), 0);
	assert_int_equal(open_result(fixture->path, true), 0);
}

static void test_empty_file_gets_schema(void **state)
{
	struct fixture *fixture = *state;
	FILE *file = fopen(fixture->path, "w");

	assert_non_null(file);
	assert_int_equal(fclose(file), 0);
	(void)db_close(fixture_open(fixture->path));
	assert_int_equal(ask_sql(fixture->path, "PRAGMA user_version"), 1);
	assert_int_equal(ask_sql(fixture->path,
				 "SELECT count(*) FROM sqlite_schema WHERE type = 'table' AND name"
				 " IN ('mailboxes','local','remote','mapping')"),
		4);
	(void)db_close(fixture_open(fixture->path)); /* and a second time it is left alone */
}

/* Version 0 as the Perl program wrote it before 0.5. */
static const char version0[] =
	"CREATE TABLE mailboxes (idx INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT,"
	" mailbox TEXT NOT NULL CHECK (mailbox != '') UNIQUE, subscribed BOOLEAN NOT NULL);"
	"CREATE TABLE local (idx INTEGER NOT NULL PRIMARY KEY REFERENCES mailboxes(idx),"
	" UIDVALIDITY UNSIGNED INT NOT NULL CHECK (UIDVALIDITY > 0),"
	" UIDNEXT UNSIGNED INT NOT NULL, HIGHESTMODSEQ UNSIGNED BIGINT NOT NULL);"
	"CREATE TABLE remote (idx INTEGER NOT NULL PRIMARY KEY REFERENCES mailboxes(idx),"
	" UIDVALIDITY UNSIGNED INT NOT NULL CHECK (UIDVALIDITY > 0),"
	" UIDNEXT UNSIGNED INT NOT NULL, HIGHESTMODSEQ UNSIGNED BIGINT NOT NULL);"
	"CREATE TABLE mapping (idx INTEGER NOT NULL REFERENCES mailboxes(idx),"
	" lUID UNSIGNED INT NOT NULL CHECK (lUID > 0),"
	" rUID UNSIGNED INT NOT NULL CHECK (rUID > 0),"
	" PRIMARY KEY (idx,lUID), UNIQUE (idx,rUID));"
	"INSERT INTO mailboxes VALUES (1,'INBOX',1), (3,'a.b.c',0), (4,'a/b',1);"
	"INSERT INTO local VALUES (1,7,8,9), (3,10,11,-1), (4,1,1,1);"
	"INSERT INTO remote VALUES (1,17,18,19), (3,4294967295,4294967295,1), (4,1,1,1);"
	"INSERT INTO mapping VALUES (1,2,3), (1,3,2), (3,4294967295,1);";

static int prepare(const char *path, char local, char remote, char **ret_error)
{
	struct db *db = NULL;
	char *reason = NULL;
	int r = db_open(path, false, &db, &reason);

	if (r != 0)
		fail_msg("%s", reason);
	r = db_prepare_schema(db, local, remote);
	*ret_error = xstrdup(db_error(db));
	(void)db_close(db);
	return r;
}

static void test_migrates_version0(void **state)
{
	struct fixture *fixture = *state;
	_cleanup_free_ char *error = NULL;
	struct mailbox_row *rows;
	struct db *db;
	size_t count;

	run_sql(fixture->path, version0);
	assert_int_equal(prepare(fixture->path, '.', '.', &error), 1);
	assert_int_equal(ask_sql(fixture->path, "PRAGMA user_version"), 1);
	assert_int_equal(ask_sql(fixture->path,
				 "SELECT count(*) FROM mailboxes WHERE typeof(mailbox) = 'blob'"),
		3);
	assert_int_equal(ask_sql(fixture->path, "SELECT count(*) FROM mapping"), 3);
	assert_int_equal(
		ask_sql(fixture->path, "SELECT count(*) FROM pragma_foreign_key_check"), 0);
	/* The text of the schema is that of a new file. */
	assert_int_equal(ask_sql(fixture->path,
				 "SELECT count(*) FROM sqlite_schema WHERE sql LIKE '%old_%'"),
		0);
	db = fixture_open(fixture->path);
	assert_int_equal(mailboxes_load(db, &rows, &count), 0);
	assert_int_equal(count, 3);
	assert_int_equal(rows[1].idx, 3);
	assert_int_equal(rows[1].len, 5);
	assert_memory_equal(rows[1].name, "a\0b\0c", 6);
	assert_memory_equal(rows[2].name, "a/b", 4);
	assert_false(rows[1].subscribed);
	assert_true(rows[1].local.highestmodseq == UINT64_MAX);
	assert_true(rows[1].remote.uidvalidity == UINT32_MAX);
	assert_true(rows[1].remote.uidnext == UINT32_MAX);
	mailbox_rows_free(rows, count);
	assert_int_equal(fixture_mailbox(db, "next"), 5);
	(void)db_close(db);
}

static void test_migrates_flat(void **state)
{
	struct fixture *fixture = *state;
	_cleanup_free_ char *error = NULL, *again = NULL;

	run_sql(fixture->path, version0);
	assert_int_equal(prepare(fixture->path, '\0', '\0', &error), 1);
	assert_int_equal(
		ask_sql(fixture->path,
			"SELECT count(*) FROM mailboxes WHERE mailbox = CAST('a.b.c' AS BLOB)"),
		1);
	/* Once it is version 1, delimiters do not matter any more. */
	assert_int_equal(prepare(fixture->path, '.', '/', &again), 0);
}

/* A refusal leaves the file as it was. */
static void refused(const char *path, char local, char remote, const char *why)
{
	_cleanup_free_ char *error = NULL;
	int64_t before = ask_sql(path, "SELECT sum(rowid * length(sql)) FROM sqlite_schema");

	assert_int_equal(prepare(path, local, remote, &error), -EINVAL);
	if (strstr(error, "cannot upgrade") == NULL || strstr(error, why) == NULL)
		fail_msg("unexpected reason: %s", error);
	assert_int_equal(ask_sql(path, "PRAGMA user_version"), 0);
	assert_int_equal(
		ask_sql(path, "SELECT sum(rowid * length(sql)) FROM sqlite_schema"), before);
	assert_int_equal(
		ask_sql(path, "SELECT count(*) FROM mailboxes WHERE mailbox = 'a.b.c'"), 1);
	assert_int_equal(ask_sql(path, "SELECT count(*) FROM local"), 3);
}

static void test_refuses_migration(void **state)
{
	struct fixture *fixture = *state;
	_cleanup_free_ char *error = NULL;

	run_sql(fixture->path, version0);
	refused(fixture->path, '.', '/', "delimiters differ");
	refused(fixture->path, '/', '\0', "delimiters differ");
	run_sql(fixture->path, "INSERT INTO mapping VALUES (99,1,1)");
	refused(fixture->path, '.', '.', "refer to nothing");
	run_sql(fixture->path, "DELETE FROM mapping WHERE idx = 99;"
			       "INSERT INTO mailboxes VALUES (9, CAST(x'612e622e63' AS BLOB), 1)");
	refused(fixture->path, '.', '.', "UNIQUE");
	run_sql(fixture->path, "DELETE FROM mailboxes WHERE idx = 9;"
			       "UPDATE mailboxes SET mailbox = 'x' || idx WHERE idx != 3");
	refused(fixture->path, '.', '/', "delimiters differ");
	run_sql(fixture->path, "UPDATE mailboxes SET mailbox = 'abc' WHERE idx = 3");
	assert_int_equal(prepare(fixture->path, '.', '/', &error), 1);
}

static void test_transactions(void **state)
{
	struct db *db = fixture_open(":memory:");
	struct mailbox_row *rows;
	size_t count;
	int64_t idx;

	assert_int_equal(db_begin(db), 0);
	idx = fixture_mailbox(db, "a");
	db_rollback(db);
	db_rollback(db); /* harmless without one */
	assert_int_equal(mailboxes_load(db, &rows, &count), 0);
	assert_int_equal(count, 0);
	mailbox_rows_free(rows, count);
	assert_int_equal(db_begin(db), 0);
	idx = fixture_mailbox(db, "a");
	assert_int_equal(mailboxes_delete(db, idx), 0); /* joins */
	idx = fixture_mailbox(db, "b");
	assert_int_equal(db_commit(db), 0);
	assert_true(db_commit(db) < 0);
	assert_int_equal(mailboxes_load(db, &rows, &count), 0);
	assert_int_equal(count, 1);
	assert_int_equal(rows[0].idx, idx);
	mailbox_rows_free(rows, count);
	(void)db_close(db);
}

static void test_names_are_bytes(void **state)
{
	static const char name[] = "a\0b\xff\xc3(\0";
	struct db *db = fixture_open(":memory:");
	struct mailbox_row *rows;
	size_t count;
	int64_t idx, other = -1;

	assert_int_equal(mailboxes_insert(db, name, sizeof(name), false, &idx), 0);
	assert_int_equal(mailboxes_insert(db, name, sizeof(name), true, &other), -EEXIST);
	assert_int_equal(mailboxes_insert(db, "", 0, true, &other), -EINVAL);
	assert_int_equal(other, -1);
	assert_int_equal(mailboxes_insert(db, name, 1, true, &other), 0);
	assert_int_equal(mailboxes_insert(db, "A", 1, true, &other), 0); /* case matters */
	assert_int_equal(mailboxes_rename(db, other, "a", 1), -EEXIST);
	assert_int_equal(mailboxes_rename(db, other, "", 0), -EINVAL);
	assert_int_equal(mailboxes_rename(db, other, "z\0z", 3), 0);
	assert_int_equal(mailboxes_rename(db, 999, "y", 1), -ENOENT);
	assert_int_equal(mailboxes_set_subscribed(db, idx, true), 0);
	assert_int_equal(mailboxes_set_subscribed(db, 999, true), -ENOENT);
	assert_int_equal(mailboxes_load(db, &rows, &count), 0);
	assert_int_equal(count, 3);
	assert_int_equal(rows[0].len, sizeof(name));
	assert_memory_equal(rows[0].name, name, sizeof(name));
	assert_int_equal(rows[0].name[sizeof(name)], 0);
	assert_true(rows[0].subscribed);
	assert_int_equal(rows[2].idx, other);
	assert_memory_equal(rows[2].name, "z\0z", 4);
	mailbox_rows_free(rows, count);
	(void)db_close(db);
}

static void test_states(void **state)
{
	static const struct mailbox_state most = {UINT32_MAX, UINT32_MAX, UINT64_MAX};
	static const struct mailbox_state high = {1, 0, (uint64_t)INT64_MAX + 1};
	struct db *db = fixture_open(":memory:");
	struct mailbox_row *rows;
	size_t count;
	int64_t idx = fixture_mailbox(db, "INBOX");

	assert_int_equal(mailboxes_load(db, &rows, &count), 0);
	assert_int_equal(rows[0].local.uidvalidity, 0);
	mailbox_rows_free(rows, count);
	assert_int_equal(mailboxes_set_state(db, idx, true, &most), 0);
	assert_int_equal(mailboxes_set_state(db, idx, false, &most), 0);
	assert_int_equal(mailboxes_set_state(db, idx, false, &high), 0);
	assert_int_equal(mailboxes_set_state(db, idx, false, &(struct mailbox_state){0}), -EINVAL);
	assert_int_equal(mailboxes_set_state(db, 999, false, &high), -EINVAL);
	assert_int_equal(mailboxes_load(db, &rows, &count), 0);
	assert_int_equal(count, 1);
	assert_true(rows[0].local.uidvalidity == 1 && rows[0].local.uidnext == 0);
	assert_true(rows[0].local.highestmodseq == high.highestmodseq);
	assert_true(rows[0].remote.uidvalidity == UINT32_MAX);
	assert_true(rows[0].remote.uidnext == UINT32_MAX);
	assert_true(rows[0].remote.highestmodseq == UINT64_MAX);
	mailbox_rows_free(rows, count);
	(void)db_close(db);
}

/* The modseq is in the file as the Perl program keeps it. */
static void test_modseq_in_file(void **state)
{
	struct fixture *fixture = *state;
	struct db *db = fixture_open(fixture->path);
	int64_t idx = fixture_mailbox(db, "INBOX");

	assert_int_equal(
		mailboxes_set_state(db, idx, false, &(struct mailbox_state){1, 2, UINT64_MAX - 1}),
		0);
	(void)db_close(db);
	assert_int_equal(ask_sql(fixture->path, "SELECT HIGHESTMODSEQ FROM local"), -2);
	run_sql(fixture->path, "UPDATE local SET UIDNEXT = 4294967296");
	db = fixture_open(fixture->path);
	assert_int_equal(mailboxes_load(db, &(struct mailbox_row *){NULL}, &(size_t){0}), -EIO);
	assert_non_null(strstr(db_error(db), "UIDNEXT"));
	(void)db_close(db);
}

static int insert_names_in_child(const char *path, const char *variable, const char *value)
{
	int status;
	pid_t pid = fork();

	assert_true(pid >= 0);
	if (pid == 0) {
		struct db *db;
		int64_t idx;

		(void)setenv(variable, value, 1);
		db = fixture_open(path);
		for (char name = 'a'; name < 'f'; name++)
			(void)mailboxes_insert(db, &name, 1, true, &idx);
		_exit(0);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	return status;
}

/* Schema is the first commit, so the n-th leaves n - 2 mailboxes before it and n - 1 after. */
static void test_crash_points(void **state)
{
	struct fixture *fixture = *state;
	int status = insert_names_in_child(fixture->path, "INTERIMAP_CRASH_AT_COMMIT", "4");

	assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
	assert_int_equal(ask_sql(fixture->path, "SELECT count(*) FROM mailboxes"), 2);
	assert_int_equal(unlink(fixture->path), 0);
	status = insert_names_in_child(fixture->path, "INTERIMAP_CRASH_AFTER_COMMIT", "4");
	assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
	assert_int_equal(ask_sql(fixture->path, "SELECT count(*) FROM mailboxes"), 3);
	assert_int_equal(unlink(fixture->path), 0);
	status = insert_names_in_child(fixture->path, "INTERIMAP_CRASH_AT_COMMIT", "99");
	assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
	assert_int_equal(ask_sql(fixture->path, "SELECT count(*) FROM mailboxes"), 5);
}

/* The log is written back as it grows, also within one long transaction's aftermath. */
static void test_log_stays_small(void **state)
{
	struct fixture *fixture = *state;
	_cleanup_free_ char *wal = xasprintf("%s-wal", fixture->path);
	struct db *db = fixture_open(fixture->path);
	int64_t idx = fixture_mailbox(db, "INBOX");
	struct stat status;

	for (uint32_t i = 0; i < 3000; i++) {
		struct mailbox_state now = {1, i, i};

		assert_int_equal(mailboxes_set_state(db, idx, false, &now), 0);
	}
	assert_int_equal(stat(wal, &status), 0);
	assert_true(status.st_size < 6 << 20);
	(void)db_close(db);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		fixture_test(test_creates_file),
		fixture_test(test_keeps_mode),
		fixture_test(test_second_opener),
		fixture_test(test_refuses_other_files),
		fixture_test(test_refuses_open_folder),
		fixture_test(test_empty_file_gets_schema),
		fixture_test(test_migrates_version0),
		fixture_test(test_migrates_flat),
		fixture_test(test_refuses_migration),
		cmocka_unit_test(test_transactions),
		cmocka_unit_test(test_names_are_bytes),
		cmocka_unit_test(test_states),
		fixture_test(test_modseq_in_file),
		fixture_test(test_crash_points),
		fixture_test(test_log_stays_small),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
