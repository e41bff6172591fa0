/* SPDX-License-Identifier: MIT */
/*
 * schema.h: our own tables.  One was taken along by a rollback while it was still believed to be
 * there; all statements about it failed from then on, until the program was started again.
 */
#include "tests/unit/state-fixture.h"

#include <errno.h>

#include "sync/state/db-private.h"
#include "sync/state/email-ids.h"

static bool exists(struct db *db, enum table table)
{
	bool exists = false;

	assert_int_equal(schema_find(db, table, &exists), 0);
	return exists;
}

/* Whichever table, and however often; and what was known to be missing is found when it is made. */
static void tables_that_go(void **state)
{
	struct db *db = fixture_open(":memory:");

	(void)state;
	for (enum table table = 0; table < TABLE_COUNT; table++) {
		assert_false(exists(db, table));
		for (int i = 0; i < 2; i++) {
			assert_int_equal(db_begin(db), 0);
			assert_int_equal(schema_need(db, table), 0);
			assert_true(exists(db, table));
			db_rollback(db);
			assert_false(exists(db, table));
		}
		assert_int_equal(schema_need(db, table), 0);
		assert_true(exists(db, table));
		/* Another one that goes leaves it there. */
		assert_int_equal(db_begin(db), 0);
		db_rollback(db);
		assert_true(exists(db, table));
	}
	(void)db_close(db);
}

/* Statements that were prepared before go on with the new table. */
static void statements_that_stay(void **state)
{
	struct db *db = fixture_open(":memory:");
	int64_t idx = fixture_mailbox(db, "a");
	struct email_id email = {.id = "M1"}, found;

	(void)state;
	for (int i = 0; i < 2; i++) {
		assert_int_equal(db_begin(db), 0);
		assert_int_equal(email_ids_insert(db, idx, 7, &email), 0);
		assert_int_equal(email_ids_find(db, idx, 7, &found), 0);
		assert_string_equal(found.id, "M1");
		db_rollback(db);
		assert_int_equal(email_ids_find(db, idx, 7, &found), 0);
		assert_string_equal(found.id, "");
		assert_int_equal(email_ids_delete(db, idx, 7), 0);
	}
	assert_int_equal(email_ids_insert(db, idx, 7, &email), 0);
	assert_int_equal(email_ids_find(db, idx, 7, &found), 0);
	assert_string_equal(found.id, "M1");
	(void)db_close(db);
}

/* A row about the mailbox, with a 1 in each column that needs a value. */
static void insert_row(struct db *db, const char *table, int64_t idx)
{
	_cleanup_free_ char *ask = xasprintf(
		"SELECT group_concat(name), group_concat(iif(name = 'idx', %lld, 1)) FROM "
		"pragma_table_info('%s') WHERE name = 'idx' "
		"OR (\"notnull\" AND NOT (name = 'id' AND pk))",
		(long long)idx, table);
	_cleanup_free_ char *insert = NULL;
	sqlite3_stmt *statement;

	assert_int_equal(sqlite3_prepare_v2(db->sqlite, ask, -1, &statement, NULL), SQLITE_OK);
	assert_int_equal(sqlite3_step(statement), SQLITE_ROW);
	insert = xasprintf("INSERT INTO %s (%s) VALUES (%s)", table,
		sqlite3_column_text(statement, 0), sqlite3_column_text(statement, 1));
	(void)sqlite3_finalize(statement);
	if (db_execute(db, insert) != 0)
		fail_msg("%s: %s", insert, db_error(db));
}

static int64_t count_rows(struct db *db, const char *table, int64_t idx)
{
	_cleanup_free_ char *sql =
		xasprintf("SELECT count(*) FROM %s WHERE idx = %lld", table, (long long)idx);
	int64_t count = -1;

	assert_int_equal(db_number(db, sql, &count), 0);
	return count;
}

/*
 * Where the UIDs of a mailbox mean other messages, no row of any table may be about the old ones:
 * those that refer to mailboxes, whichever they are.  What the server calls the mailbox is no UID.
 */
static void rows_by_uid(void **state)
{
	static const char tables[] =
		"SELECT DISTINCT s.name FROM sqlite_schema s, pragma_foreign_key_list(s.name) f "
		"WHERE s.type = 'table' AND f.\"table\" = 'mailboxes' "
		"AND s.name NOT IN ('local','remote')";
	struct db *db = fixture_open(":memory:");
	int64_t idx = fixture_mailbox(db, "a"), other = fixture_mailbox(db, "b");
	char *names[2 * TABLE_COUNT];
	sqlite3_stmt *statement;
	size_t count = 0;

	(void)state;
	for (enum table table = 0; table < TABLE_COUNT; table++)
		assert_int_equal(schema_need(db, table), 0);
	assert_int_equal(sqlite3_prepare_v2(db->sqlite, tables, -1, &statement, NULL), SQLITE_OK);
	while (sqlite3_step(statement) == SQLITE_ROW && count < ARRAY_LEN(names))
		names[count++] = xstrdup((const char *)sqlite3_column_text(statement, 0));
	(void)sqlite3_finalize(statement);
	assert_true(count >= 7);
	for (size_t i = 0; i < count; i++) {
		insert_row(db, names[i], idx);
		insert_row(db, names[i], other);
	}
	assert_int_equal(mailboxes_forget_uids(db, idx), 0);
	for (size_t i = 0; i < count; i++) {
		assert_int_equal(
			count_rows(db, names[i], idx), strcmp(names[i], "mailbox_id") == 0);
		assert_int_equal(count_rows(db, names[i], other), 1);
		free(names[i]);
	}
	(void)db_close(db);
}

/* SQLite rolls back by itself, too, when the disk is full. */
static void rolled_back_by_sqlite(void **state)
{
	static const char fill[] =
		"WITH RECURSIVE n(i) AS (SELECT 100 UNION ALL SELECT i + 1 FROM n "
		"LIMIT 5000) INSERT INTO email SELECT 1,i,hex(randomblob(64)) "
		"FROM n";
	struct db *db = fixture_open(((struct fixture *)*state)->path);
	int64_t pages, idx = fixture_mailbox(db, "a");
	struct email_id email = {.id = "M1"}, found;
	char limit[64];

	assert_true(idx == 1);
	assert_int_equal(db_number(db, "PRAGMA page_count", &pages), 0);
	(void)snprintf(limit, sizeof(limit), "PRAGMA max_page_count = %lld", (long long)pages + 20);
	assert_int_equal(db_execute(db, limit), 0);
	assert_int_equal(db_begin(db), 0);
	assert_int_equal(email_ids_insert(db, idx, 7, &email), 0);
	assert_int_equal(db_execute(db, fill), -ENOSPC);
	db_rollback(db);
	assert_false(exists(db, TABLE_EMAIL));
	assert_int_equal(email_ids_find(db, idx, 7, &found), 0);
	assert_int_equal(email_ids_insert(db, idx, 7, &email), 0);
	assert_int_equal(email_ids_find(db, idx, 7, &found), 0);
	assert_string_equal(found.id, "M1");
	(void)db_close(db);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(tables_that_go),
		cmocka_unit_test(statements_that_stay),
		cmocka_unit_test(rows_by_uid),
		fixture_test(rolled_back_by_sqlite),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
