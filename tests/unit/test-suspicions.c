/* SPDX-License-Identifier: MIT */
/* state/suspicions.h: what is remembered of what may cost the connection. */
#include "tests/unit/state-fixture.h"

#include "sync/state/mailboxes.h"
#include "sync/state/suspicions.h"

static size_t load(struct db *db, struct suspicion_row **ret_rows)
{
	size_t count;

	assert_int_equal(suspicions_load(db, ret_rows, &count), 0);
	return count;
}

static void test_rows_outlive_the_program(void **state)
{
	struct fixture *fixture = *state;
	struct db *db = fixture_open(fixture->path);
	int64_t idx = fixture_mailbox(db, "box");
	struct suspicion_row row = {.kind = 1, .mailbox = idx, .remote = true, .uids = "3:7,9"};
	struct suspicion_row deed = {.kind = 6, .deed = 1000000, .uids = "", .losses = 1};
	struct suspicion_row *rows;

	assert_int_equal(load(db, &rows), 0);
	suspicions_free(rows, 0);
	assert_int_equal(suspicions_put(db, &row), 0);
	assert_int_equal(suspicions_put(db, &deed), 0);
	row.losses = 2;
	row.halves = true;
	row.uids = "4";
	assert_int_equal(suspicions_put(db, &row), 0); /* in the place of the first */
	db_close(db);

	db = fixture_open(fixture->path);
	assert_int_equal(load(db, &rows), 2);
	assert_true(rows[0].id == row.id && rows[0].mailbox == idx && rows[0].remote);
	assert_int_equal(rows[0].losses, 2);
	assert_true(rows[0].halves);
	assert_string_equal(rows[0].uids, "4");
	assert_true(rows[1].deed == 1000000 && rows[1].mailbox == 0 && !rows[1].remote);
	suspicions_free(rows, 2);
	assert_int_equal(suspicions_delete(db, deed.id), 0);
	assert_int_equal(suspicions_delete(db, deed.id), 0);
	assert_int_equal(load(db, &rows), 1);
	suspicions_free(rows, 1);
	db_close(db);
}

static void test_rows_go_with_the_mailbox(void **state)
{
	struct fixture *fixture = *state;
	struct db *db = fixture_open(fixture->path);
	struct suspicion_row row = {
		.kind = 1, .mailbox = fixture_mailbox(db, "box"), .uids = "3", .losses = 1};
	struct suspicion_row *rows;

	assert_int_equal(suspicions_put(db, &row), 0);
	assert_int_equal(mailboxes_delete(db, row.mailbox), 0);
	assert_int_equal(load(db, &rows), 0);
	suspicions_free(rows, 0);
	db_close(db);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		fixture_test(test_rows_outlive_the_program),
		fixture_test(test_rows_go_with_the_mailbox),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
