/* SPDX-License-Identifier: MIT */
/* Flags by UID: the last word counts, and echoes of our own commands are told apart. */
#include "imap-fixture.h"

#include "sync/base/limits.h"
#include "sync/run/changes.h"
#include "sync/imap/flags.h"

static struct flag_pool *pool;
static struct changes changes, expected;
static const struct flags *seen, *flagged, *none;

static const struct flags *intern(const char *flag)
{
	const struct slice atom = slice_of(flag);

	return flags_intern(pool, &atom, 1);
}

static int setup(void **state)
{
	pool = flag_pool_new();
	seen = intern("\\Seen");
	flagged = intern("\\Flagged");
	none = flags_empty(pool);
	return 0;
}

static int teardown(void **state)
{
	changes_done(&changes);
	changes_done(&expected);
	flag_pool_free(pool);
	return 0;
}

static void assert_uids(const char *text)
{
	struct buf uids;
	_cleanup_free_ char *found = NULL;

	buf_init(&uids, 1 << 20);
	for (size_t i = 0; i < changes.count; i++)
		buf_printf(&uids, "%s%u", i > 0 ? " " : "", changes.list[i].uid);
	found = buf_steal(&uids);
	assert_string_equal(found, text);
}

static void test_empty(void **state)
{
	changes_sort(&changes);
	assert_null(changes_find(&changes, 1));
	changes_drop_echoes(&changes, &expected);
	assert_int_equal(changes.count, 0);
}

static void test_ascending(void **state)
{
	for (uint32_t uid = 1; uid <= 5; uid++)
		assert_true(changes_add(&changes, 2 * uid, uid % 2 != 0 ? seen : flagged));
	changes_sort(&changes);
	assert_uids("2 4 6 8 10");
	assert_ptr_equal(changes_find(&changes, 2), seen);
	assert_ptr_equal(changes_find(&changes, 8), flagged);
	assert_null(changes_find(&changes, 3));
	assert_null(changes_find(&changes, 11));
}

static void test_last_one_counts(void **state)
{
	assert_true(changes_add(&changes, 7, seen));
	assert_true(changes_add(&changes, 3, none));
	assert_true(changes_add(&changes, 7, flagged));
	assert_true(changes_add(&changes, 3, seen));
	assert_true(changes_add(&changes, 4294967295, none));
	assert_true(changes_add(&changes, 3, flagged));
	assert_true(changes_add(&changes, 1, seen));
	changes_sort(&changes);
	assert_uids("1 3 7 4294967295");
	assert_ptr_equal(changes_find(&changes, 3), flagged);
	assert_ptr_equal(changes_find(&changes, 7), flagged);
	assert_ptr_equal(changes_find(&changes, 4294967295), none);
}

/* Many entries of few UIDs in any order, against the simplest way to say what must come out. */
static void test_random_order(void **state)
{
	const struct flags *last[51] = {0};
	uint32_t random_state = 1;

	for (int i = 0; i < 5000; i++) {
		uint32_t uid = 1 + random_number(&random_state) % 50;
		const struct flags *flags = random_number(&random_state) % 2 != 0 ? seen : flagged;

		assert_true(changes_add(&changes, uid, flags));
		last[uid] = flags;
	}
	changes_sort(&changes);
	assert_int_equal(changes.count, 50);
	for (uint32_t uid = 1; uid <= 50; uid++)
		assert_ptr_equal(changes_find(&changes, uid), last[uid]);
}

static void test_echoes(void **state)
{
	changes_add(&changes, 1, seen);
	changes_add(&changes, 2, seen);
	changes_add(&changes, 3, seen);
	changes_add(&expected, 2, seen);
	changes_add(&expected, 3, flagged); /* changed again by somebody else: no echo */
	changes_add(&expected, 4, seen);
	changes_sort(&changes);
	changes_sort(&expected);
	changes_drop_echoes(&changes, &expected);
	assert_uids("1 3");
}

static void test_remove(void **state)
{
	changes_remove(&changes, 1);
	for (uint32_t uid = 1; uid <= 4; uid++)
		assert_true(changes_add(&changes, uid, seen));
	changes_remove(&changes, 5);
	changes_remove(&changes, 3);
	changes_remove(&changes, 1);
	assert_uids("2 4");
}

static void test_clear(void **state)
{
	changes_add(&changes, 1, seen);
	changes_clear(&changes);
	changes_sort(&changes);
	assert_null(changes_find(&changes, 1));
	changes_add(&changes, 2, seen);
	assert_uids("2");
}

static void test_limit(void **state)
{
	for (uint32_t uid = 1; uid <= LIMIT_DELTA_CHANGES; uid++)
		assert_true(changes_add(&changes, uid, none));
	assert_false(changes_add(&changes, LIMIT_DELTA_CHANGES + 1, none));
	assert_int_equal(changes.count, LIMIT_DELTA_CHANGES);
}

#define TEST(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(void)
{
	static const struct CMUnitTest tests[] = {
		TEST(test_empty),
		TEST(test_ascending),
		TEST(test_last_one_counts),
		TEST(test_random_order),
		TEST(test_echoes),
		TEST(test_remove),
		TEST(test_clear),
		TEST(test_limit),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
