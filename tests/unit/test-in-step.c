/* SPDX-License-Identifier: MIT */
/* in-step.h: what is written holds as long as both UIDVALIDITYs do. */
#include "tests/unit/state-fixture.h"

#include "sync/state/in-step.h"

static void set_state(struct db *db, int64_t idx, bool remote, uint32_t uidvalidity)
{
	const struct mailbox_state state = {.uidvalidity = uidvalidity, .uidnext = 3};

	assert_int_equal(mailboxes_set_state(db, idx, remote, &state), 0);
}

static void assert_in_step(struct db *db, int64_t idx, uint32_t local, uint32_t remote)
{
	struct in_step in_step = {.local = 99, .remote = 99};

	assert_int_equal(in_step_load(db, idx, &in_step), 0);
	assert_int_equal(in_step.local, local);
	assert_int_equal(in_step.remote, remote);
}

static void written_and_forgotten(void **state)
{
	const struct in_step some = {.local = 7, .remote = UINT32_MAX}, none = {0};
	struct db *db = fixture_open(":memory:");
	int64_t idx = fixture_mailbox(db, "a"), other = fixture_mailbox(db, "b");

	(void)state;
	set_state(db, idx, false, 11);
	set_state(db, idx, true, 12);
	assert_in_step(db, idx, 0, 0);
	assert_int_equal(in_step_set(db, idx, &none), 0);
	assert_int_equal(in_step_set(db, idx, &some), 0);
	assert_in_step(db, idx, 7, UINT32_MAX);
	assert_in_step(db, other, 0, 0);
	assert_int_equal(in_step_set(db, idx, &(struct in_step){.local = 5, .remote = 6}), 0);
	assert_in_step(db, idx, 5, 6);
	assert_int_equal(in_step_set(db, idx, &none), 0);
	assert_in_step(db, idx, 0, 0);
	(void)db_close(db);
}

/* On either side, whoever changed it, and also where the row of a side is gone. */
static void another_uidvalidity(void **state)
{
	const struct in_step some = {.local = 7, .remote = 8};
	struct db *db = fixture_open(":memory:");
	int64_t idx = fixture_mailbox(db, "a");

	(void)state;
	assert_int_equal(in_step_set(db, idx, &some), 0);
	assert_in_step(db, idx, 0, 0);
	for (int remote = 0; remote < 2; remote++) {
		set_state(db, idx, false, 11);
		set_state(db, idx, true, 12);
		assert_int_equal(in_step_set(db, idx, &some), 0);
		assert_in_step(db, idx, 7, 8);
		set_state(db, idx, remote != 0, 13);
		assert_in_step(db, idx, 0, 0);
	}
	assert_int_equal(in_step_set(db, idx, &some), 0);
	assert_in_step(db, idx, 7, 8);
	assert_int_equal(mailboxes_forget_uids(db, idx), 0);
	assert_in_step(db, idx, 0, 0);
	(void)db_close(db);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(written_and_forgotten),
		cmocka_unit_test(another_uidvalidity),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
