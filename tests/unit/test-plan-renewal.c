/* SPDX-License-Identifier: MIT */
/* plan_renewal(): which mailboxes are paired again after their UIDVALIDITY changed. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "sync/plan/renewal.h"

/* The remote side has new UIDs; `paired` messages with a pair are still on the local one. */
static enum renewal remote_renewed(uint64_t paired, uint64_t twins)
{
	const struct renewal_side kept = {.paired = paired}, renewed = {.renewed = true};
	uint64_t pairs = UINT64_MAX; /* what was deleted on the local side since is no sign */

	/* It is the same the other way round. */
	assert_int_equal(plan_renewal(&kept, &renewed, pairs, twins),
		plan_renewal(&renewed, &kept, pairs, twins));
	return plan_renewal(&kept, &renewed, pairs, twins);
}

static enum renewal both_renewed(uint64_t pairs, uint64_t twins)
{
	const struct renewal_side renewed = {.renewed = true};

	return plan_renewal(&renewed, &renewed, pairs, twins);
}

static void test_share(void **state)
{
	assert_int_equal(remote_renewed(100, 100), RENEWAL_SAME);
	assert_int_equal(remote_renewed(100, 80), RENEWAL_SAME);
	assert_int_equal(remote_renewed(100, 79), RENEWAL_UNCLEAR);
	assert_int_equal(remote_renewed(100, 1), RENEWAL_UNCLEAR);
	assert_int_equal(remote_renewed(100, 0), RENEWAL_OTHER);
	assert_int_equal(remote_renewed(100, 0), RENEWAL_OTHER);
	assert_int_equal(remote_renewed(UINT64_MAX, UINT64_MAX / 2), RENEWAL_UNCLEAR);
}

/* Of few messages, all must agree. */
static void test_few(void **state)
{
	assert_int_equal(remote_renewed(1, 1), RENEWAL_SAME);
	assert_int_equal(remote_renewed(19, 19), RENEWAL_SAME);
	assert_int_equal(remote_renewed(19, 18), RENEWAL_UNCLEAR);
	assert_int_equal(remote_renewed(24, 20), RENEWAL_SAME);
	assert_int_equal(remote_renewed(24, 19), RENEWAL_UNCLEAR);
}

static void test_nothing_was_paired(void **state)
{
	assert_int_equal(remote_renewed(0, 0), RENEWAL_SAME);
	assert_int_equal(both_renewed(0, 0), RENEWAL_SAME);
}

static void test_both(void **state)
{
	assert_int_equal(both_renewed(100, 100), RENEWAL_SAME);
	assert_int_equal(both_renewed(100, 79), RENEWAL_UNCLEAR);
	assert_int_equal(both_renewed(3, 2), RENEWAL_UNCLEAR);
	assert_int_equal(both_renewed(3, 0), RENEWAL_OTHER);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_share),
		cmocka_unit_test(test_few),
		cmocka_unit_test(test_nothing_was_paired),
		cmocka_unit_test(test_both),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
