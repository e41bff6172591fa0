/* SPDX-License-Identifier: MIT */
/*
 * schema.h: our own tables.  One was taken along by a rollback while it was still believed to be
 * there; all statements about it failed from then on, until the program was started again.
 */
#include "tests/unit/state-fixture.h"

#include <errno.h>

#include "sync/state/db-private.h"
#include "sync/state/emails.h"

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
	struct email email = {.id = "M1"}, found;

	(void)state;
	for (int i = 0; i < 2; i++) {
		assert_int_equal(db_begin(db), 0);
		assert_int_equal(emails_insert(db, idx, 7, &email), 0);
		assert_int_equal(emails_find(db, idx, 7, &found), 0);
		assert_string_equal(found.id, "M1");
		db_rollback(db);
		assert_int_equal(emails_find(db, idx, 7, &found), 0);
		assert_string_equal(found.id, "");
		assert_int_equal(emails_delete(db, idx, 7), 0);
	}
	assert_int_equal(emails_insert(db, idx, 7, &email), 0);
	assert_int_equal(emails_find(db, idx, 7, &found), 0);
	assert_string_equal(found.id, "M1");
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
	struct email email = {.id = "M1"}, found;
	char limit[64];

	assert_true(idx == 1);
	assert_int_equal(db_number(db, "PRAGMA page_count", &pages), 0);
	(void)snprintf(limit, sizeof(limit), "PRAGMA max_page_count = %lld", (long long)pages + 20);
	assert_int_equal(db_execute(db, limit), 0);
	assert_int_equal(db_begin(db), 0);
	assert_int_equal(emails_insert(db, idx, 7, &email), 0);
	assert_int_equal(db_execute(db, fill), -ENOSPC);
	db_rollback(db);
	assert_false(exists(db, TABLE_EMAIL));
	assert_int_equal(emails_find(db, idx, 7, &found), 0);
	assert_int_equal(emails_insert(db, idx, 7, &email), 0);
	assert_int_equal(emails_find(db, idx, 7, &found), 0);
	assert_string_equal(found.id, "M1");
	(void)db_close(db);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(tables_that_go),
		cmocka_unit_test(statements_that_stay),
		fixture_test(rolled_back_by_sqlite),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
