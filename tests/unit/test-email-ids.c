/* SPDX-License-Identifier: MIT */
/* email-ids.h: which messages share an EMAILID, as long as they have pairs. */
#include "tests/unit/state-fixture.h"

#include "sync/state/email-ids.h"

static struct email_id email(const char *id)
{
	struct email_id email = {0};

	(void)snprintf(email.id, sizeof(email.id), "%s", id);
	return email;
}

static int64_t add_mailbox(struct db *db, const char *name)
{
	int64_t idx = 0;

	assert_int_equal(mailboxes_insert(db, name, strlen(name), false, &idx), 0);
	return idx;
}

static void assert_located(struct db *db, const char *id, int64_t idx, uint32_t local)
{
	struct email_id wanted = email(id);
	struct uid_pair pair = {0};
	int64_t found = 0;

	assert_int_equal(email_ids_locate(db, &wanted, &found, &pair), idx != 0);
	assert_int_equal(found, idx);
	assert_int_equal(pair.local, local);
}

static void found_by_id(void **state)
{
	struct db *db = fixture_open(((struct fixture *)*state)->path);
	int64_t a = add_mailbox(db, "a"), b = add_mailbox(db, "b");
	struct email_id one = email("M1"), none = email(""), found;

	assert_located(db, "M1", 0, 0);
	assert_int_equal(email_ids_find(db, a, 7, &found), 0);
	assert_string_equal(found.id, "");
	assert_int_equal(email_ids_delete(db, a, 7), 0);
	assert_int_equal(email_ids_insert(db, a, 7, &none), 0);
	assert_int_equal(email_ids_insert(db, a, 7, &one), 0);
	assert_int_equal(email_ids_find(db, a, 7, &found), 0);
	assert_string_equal(found.id, "M1");
	/* Without a pair it is nowhere. */
	assert_located(db, "M1", 0, 0);
	assert_int_equal(mapping_insert(db, a, (struct uid_pair){.local = 70, .remote = 7}), 0);
	assert_located(db, "M1", a, 70);
	assert_located(db, "M2", 0, 0);
	assert_located(db, "", 0, 0);
	assert_int_equal(mapping_insert(db, b, (struct uid_pair){.local = 30, .remote = 3}), 0);
	assert_int_equal(email_ids_insert(db, b, 3, &one), 0);
	assert_located(db, "M1", b, 30);
	/* It goes with its pair. */
	assert_int_equal(mapping_delete(db, b, (struct uid_pair){.local = 30, .remote = 3}), 0);
	assert_int_equal(email_ids_find(db, b, 3, &found), 0);
	assert_string_equal(found.id, "");
	assert_located(db, "M1", a, 70);
	db_close(db);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(found_by_id, fixture_setup, fixture_teardown),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
