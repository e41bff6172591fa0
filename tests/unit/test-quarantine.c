/* SPDX-License-Identifier: MIT */
/* state/quarantine.h and core/quarantine.h: what is left alone, and until when. */
#include "tests/unit/state-fixture.h"

#include <errno.h>

#include "sync/base/limits.h"
#include "sync/core/quarantine.h"
#include "sync/state/db-private.h"
#include "sync/state/schema.h"

static struct quarantine row_of(int64_t mailbox, enum quarantine_kind kind, uint32_t uid)
{
	return (struct quarantine){
		.mailbox = mailbox,
		.kind = kind,
		.remote = true,
		.uid = uid,
		.size = UINT64_MAX,
		.name = (char *)"<a@b>",
		.words = (char *)"NO: too large",
		.tries = 1,
		.since = 1000,
		.next = 1600,
	};
}

static size_t count_rows(struct db *db, int64_t mailbox)
{
	struct quarantine *rows;
	size_t count;

	assert_int_equal(quarantine_load(db, mailbox, &rows, &count), 0);
	quarantine_free(rows, count);
	return count;
}

static void a_row(void **state)
{
	struct db *db = fixture_open(((struct fixture *)*state)->path);
	int64_t idx = fixture_mailbox(db, "box");
	struct quarantine row = row_of(idx, QUARANTINE_APPEND, UINT32_MAX), *rows;
	size_t count;

	assert_int_equal(count_rows(db, 0), 0);
	assert_int_equal(quarantine_find(db, &row), 0);
	assert_int_equal(quarantine_delete(db, 1), 0);
	assert_int_equal(quarantine_put(db, &row), 1);
	row.tries = 2;
	row.next = QUARANTINE_NEVER;
	row.words = (char *)"BAD: what?";
	assert_int_equal(quarantine_put(db, &row), 0);
	assert_int_equal(quarantine_load(db, idx, &rows, &count), 0);
	assert_int_equal(count, 1);
	assert_true(rows[0].id == row.id && rows[0].mailbox == idx && rows[0].remote);
	assert_true(rows[0].kind == QUARANTINE_APPEND && rows[0].uid == UINT32_MAX);
	assert_true(rows[0].size == UINT64_MAX && rows[0].tries == 2);
	assert_true(rows[0].since == 1000 && rows[0].next == QUARANTINE_NEVER);
	assert_string_equal(rows[0].name, "<a@b>");
	assert_string_equal(rows[0].words, "BAD: what?");
	assert_string_equal(rows[0].mailbox_name, "box");
	quarantine_free(rows, count);
	row.name = row.words = NULL;
	assert_int_equal(quarantine_find(db, &row), 1);
	assert_string_equal(row.name, "<a@b>");
	quarantine_done(&row);
	assert_int_equal(quarantine_delete(db, row.id), 0);
	assert_int_equal(count_rows(db, 0), 0);
	db_close(db);
}

/* Each part of the key sets rows apart, and rows of no mailbox are of one account. */
static void keys(void **state)
{
	struct db *db = fixture_open(((struct fixture *)*state)->path);
	int64_t a = fixture_mailbox(db, "a"), b = fixture_mailbox(db, "b");
	struct quarantine row = row_of(a, QUARANTINE_APPEND, 5);

	assert_int_equal(quarantine_put(db, &row), 1);
	row.mailbox = b;
	assert_int_equal(quarantine_put(db, &row), 1);
	row.kind = QUARANTINE_STORE;
	assert_int_equal(quarantine_put(db, &row), 1);
	row.remote = false;
	assert_int_equal(quarantine_put(db, &row), 1);
	row.uid = 6;
	assert_int_equal(quarantine_put(db, &row), 1);
	row.mailbox = 0;
	for (int i = 1; i >= 0; i--) {
		row.deed = 7;
		assert_int_equal(quarantine_put(db, &row), i);
		row.deed = 8;
		assert_int_equal(quarantine_put(db, &row), i);
	}
	assert_int_equal(count_rows(db, 0), 7);
	assert_int_equal(count_rows(db, a), 1);
	assert_int_equal(count_rows(db, b), 4);
	db_close(db);
}

/* Rows of a mailbox go with it and with its UIDVALIDITY; those of the account stay. */
static void what_goes(void **state)
{
	struct db *db = fixture_open(((struct fixture *)*state)->path);
	int64_t a = fixture_mailbox(db, "a"), b = fixture_mailbox(db, "b");
	struct quarantine rows[] = {
		row_of(0, QUARANTINE_DEED, 0),
		row_of(a, QUARANTINE_APPEND, 5),
		row_of(b, QUARANTINE_FETCH, 5),
	};

	for (size_t i = 0; i < ARRAY_LEN(rows); i++)
		assert_int_equal(quarantine_put(db, &rows[i]), 1);
	assert_int_equal(schema_drop_uids(db, a), 0);
	assert_int_equal(count_rows(db, a), 0);
	assert_int_equal(mailboxes_delete(db, b), 0);
	assert_int_equal(count_rows(db, 0), 1);
	db_close(db);
	/* The Perl program does not enforce our references, nor knows of rows without one. */
	db = fixture_open(((struct fixture *)*state)->path);
	assert_int_equal(count_rows(db, 0), 1);
	db_close(db);
}

static void sums(void **state)
{
	struct db *db = fixture_open(((struct fixture *)*state)->path);
	int64_t a = fixture_mailbox(db, "a");
	struct quarantine_sum *found;
	struct quarantine row;
	size_t count;

	assert_int_equal(quarantine_sums(db, &found, &count), 0);
	assert_int_equal(count, 0);
	for (uint32_t uid = 1; uid <= 20; uid++) {
		row = row_of(a, QUARANTINE_APPEND, uid);
		row.next = 2000 - uid;
		assert_int_equal(quarantine_put(db, &row), 1);
	}
	row = row_of(0, QUARANTINE_DEED, 0);
	assert_int_equal(quarantine_put(db, &row), 1);
	assert_int_equal(quarantine_sums(db, &found, &count), 0);
	assert_int_equal(count, 2);
	assert_true(found[0].mailbox == 0 && found[0].rows == 1 && found[0].next == 1600);
	assert_true(found[1].mailbox == a && found[1].rows == 20 && found[1].next == 1980);
	free(found);
	db_close(db);
}

static void a_full_table(void **state)
{
	struct db *db = fixture_open(((struct fixture *)*state)->path);
	int64_t a = fixture_mailbox(db, "a");
	struct quarantine row = row_of(a, QUARANTINE_APPEND, LIMIT_QUARANTINE);
	_cleanup_free_ char *sql = xasprintf(
		"INSERT INTO quarantine (idx,kind,remote,uid,deed,size,name,words,tries,since,next)"
		" WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < %d)"
		" SELECT %lld,'APPEND',1,i,0,1,'','',1,1,1 FROM n",
		LIMIT_QUARANTINE, (long long)a);

	assert_int_equal(schema_need(db, TABLE_QUARANTINE), 0);
	assert_int_equal(db_execute(db, sql), 0);
	assert_int_equal(quarantine_put(db, &row), 0);
	row.uid++;
	assert_int_equal(quarantine_put(db, &row), -EDQUOT);
	assert_int_equal(count_rows(db, a), LIMIT_QUARANTINE);
	db_close(db);
}

/* A row of a program that knows more kinds is no reason to fail. */
static void an_unknown_kind(void **state)
{
	struct db *db = fixture_open(((struct fixture *)*state)->path);
	struct quarantine row = row_of(fixture_mailbox(db, "a"), QUARANTINE_APPEND, 5);

	assert_int_equal(quarantine_put(db, &row), 1);
	row.uid = 6;
	assert_int_equal(quarantine_put(db, &row), 1);
	assert_int_equal(db_execute(db, "UPDATE quarantine SET kind = 'later' WHERE uid = 5"), 0);
	assert_int_equal(count_rows(db, 0), 1);
	db_close(db);
}

static void pauses(void **state)
{
	const int64_t wanted[] = {0, 600, 3600, 21600, 86400, 86400};

	(void)state;
	for (unsigned i = 0; i < ARRAY_LEN(wanted); i++)
		assert_true(quarantine_pause(i) == wanted[i]);
	assert_true(quarantine_pause(UINT32_MAX) == 86400);
	assert_true(quarantine_is_due(1000, 1000) && quarantine_is_due(999, 1000));
	assert_false(quarantine_is_due(1001, 1000));
	assert_false(quarantine_is_due(87400, 1000));
	assert_true(quarantine_is_due(87401, 1000)); /* the clock was set back */
	assert_false(quarantine_is_due(QUARANTINE_NEVER, 1000));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		fixture_test(a_row),
		fixture_test(keys),
		fixture_test(what_goes),
		fixture_test(sums),
		fixture_test(a_full_table),
		fixture_test(an_unknown_kind),
		cmocka_unit_test(pauses),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
