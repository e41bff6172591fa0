/* SPDX-License-Identifier: MIT */
/* mailbox-ids.h: which mailbox has a MAILBOXID. */
#include "tests/unit/state-fixture.h"

#include "sync/state/mailbox-ids.h"

static int64_t add_mailbox(struct db *db, const char *name)
{
	int64_t idx = 0;

	assert_int_equal(mailboxes_insert(db, name, strlen(name), false, &idx), 0);
	return idx;
}

static void test_found(void **state)
{
	struct db *db = fixture_open(((struct fixture *)*state)->path);
	int64_t a = add_mailbox(db, "a"), b = add_mailbox(db, "b"), found = 0;

	assert_int_equal(mailbox_ids_find(db, "F1", &found), 0);
	assert_int_equal(mailbox_ids_has(db, a), 0);
	assert_int_equal(mailbox_ids_set(db, a, "F1"), 0);
	assert_int_equal(mailbox_ids_set(db, b, "F2"), 0);
	assert_int_equal(mailbox_ids_find(db, "F1", &found), 1);
	assert_int_equal(found, a);
	assert_int_equal(mailbox_ids_has(db, a), 1);
	/* It was deleted there, and made anew. */
	assert_int_equal(mailbox_ids_set(db, a, "F3"), 0);
	assert_int_equal(mailbox_ids_find(db, "F1", &found), 0);
	assert_int_equal(mailbox_ids_find(db, "F3", &found), 1);
	/* A server that gives one to two of them says nothing. */
	assert_int_equal(mailbox_ids_set(db, b, "F3"), 0);
	assert_int_equal(mailbox_ids_find(db, "F3", &found), 0);
	assert_int_equal(mailboxes_delete(db, b), 0);
	assert_int_equal(mailbox_ids_has(db, b), 0);
	assert_int_equal(mailbox_ids_find(db, "F3", &found), 1);
	assert_int_equal(found, a);
	db_close(db);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_found, fixture_setup, fixture_teardown),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
