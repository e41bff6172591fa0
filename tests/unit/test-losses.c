/* SPDX-License-Identifier: MIT */
/* losses.h: what was lost within the hour, by mailbox and by side; and what is held. */
#include "tests/unit/state-fixture.h"

#include "sync/state/db-private.h"
#include "sync/state/losses.h"

static void assert_lost(struct db *db, int64_t idx, bool remote, uint64_t recent, uint64_t burst)
{
	struct losses losses;

	assert_int_equal(losses_of_mailbox(db, idx, remote, &losses), 0);
	assert_true(losses.recent == recent);
	assert_true(losses.burst == burst);
	assert_true(losses.held == 0);
}

static void assert_side(struct db *db, bool remote, int64_t except, uint64_t recent, uint64_t held)
{
	struct losses losses;

	assert_int_equal(losses_of_side(db, remote, except, &losses), 0);
	assert_true(losses.recent == recent);
	assert_true(losses.held == held);
}

static void by_mailbox_and_side(void **state)
{
	struct db *db = fixture_open(":memory:");
	int64_t idx = fixture_mailbox(db, "a"), other = fixture_mailbox(db, "b");

	(void)state;
	assert_lost(db, idx, true, 0, 0);
	assert_int_equal(losses_forget(db, idx, true), 0);
	assert_int_equal(losses_add(db, idx, true, 3), 0);
	assert_int_equal(losses_add(db, idx, true, 4), 0);
	assert_int_equal(losses_add(db, idx, false, 10), 0);
	assert_int_equal(losses_add(db, other, true, 100), 0);
	assert_lost(db, idx, true, 7, 7);
	assert_lost(db, idx, false, 10, 10);
	assert_side(db, true, idx, 107, 0);
	assert_int_equal(losses_forget(db, idx, true), 0);
	assert_lost(db, idx, true, 0, 0);
	assert_lost(db, idx, false, 10, 10);
	/* What was lost in a mailbox that is gone was lost all the same. */
	assert_int_equal(mailboxes_delete(db, other), 0);
	assert_side(db, true, idx, 100, 0);
	(void)db_close(db);
}

/* A minute and an hour; a clock that was set back by more than that makes all old. */
static void within_the_hour(void **state)
{
	struct db *db = fixture_open(":memory:");
	int64_t idx = fixture_mailbox(db, "a"), rows;

	(void)state;
	assert_int_equal(losses_add(db, idx, true, 5), 0);
	assert_int_equal(db_execute(db, "UPDATE loss SET time = time - 50"), 0);
	assert_lost(db, idx, true, 5, 5);
	assert_int_equal(db_execute(db, "UPDATE loss SET time = time - 20"), 0);
	assert_lost(db, idx, true, 5, 0);
	assert_int_equal(db_execute(db, "UPDATE loss SET time = time - 3500"), 0);
	assert_lost(db, idx, true, 5, 0);
	assert_int_equal(db_execute(db, "UPDATE loss SET time = time - 40"), 0);
	assert_lost(db, idx, true, 0, 0);
	assert_int_equal(db_execute(db, "UPDATE loss SET time = time + 2 * 3610"), 0);
	assert_lost(db, idx, true, 0, 0);
	/* What is old goes when something new comes. */
	assert_int_equal(losses_add(db, idx, true, 1), 0);
	assert_int_equal(db_number(db, "SELECT count(*) FROM loss", &rows), 0);
	assert_int_equal(rows, 1);
	(void)db_close(db);
}

static void holds(void **state)
{
	struct db *db = fixture_open(":memory:");
	int64_t idx = fixture_mailbox(db, "a"), other = fixture_mailbox(db, "b");
	uint64_t messages = 99;

	(void)state;
	assert_int_equal(holds_find(db, idx, true, &messages), 0);
	assert_true(messages == 99);
	assert_int_equal(holds_clear(db, idx, true), 0);
	assert_int_equal(holds_set(db, idx, true, 12), 0);
	assert_int_equal(holds_set(db, idx, true, 13), 0);
	assert_int_equal(holds_set(db, other, true, 1000), 0);
	assert_int_equal(holds_find(db, idx, false, &messages), 0);
	assert_int_equal(holds_find(db, idx, true, &messages), 1);
	assert_true(messages == 13);
	assert_side(db, true, idx, 0, 1000);
	assert_side(db, true, other, 0, 13);
	assert_side(db, false, other, 0, 0);
	assert_int_equal(holds_clear(db, idx, true), 0);
	assert_int_equal(holds_find(db, idx, true, &messages), 0);
	assert_int_equal(mailboxes_delete(db, other), 0);
	assert_side(db, true, idx, 0, 0);
	(void)db_close(db);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(by_mailbox_and_side),
		cmocka_unit_test(within_the_hour),
		cmocka_unit_test(holds),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
