/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "sync/base/limits.h"
#include "sync/core/credit.h"

enum { MIB = 1 << 20 };

static void declared_sizes(void **state)
{
	struct credit credit = {0};
	struct charge large = {0}, small[3] = {0};

	/* One that is larger than the credit goes alone. */
	assert_true(credit_covers(&credit, 5 * COPY_CREDIT));
	credit_charge(&credit, &large, 5 * COPY_CREDIT);
	assert_false(credit_covers(&credit, 1));
	assert_int_equal(credit_body(&credit, &large, 5 * COPY_CREDIT, 5 * COPY_CREDIT), BODY_TAKE);
	credit_release(&credit, &large);
	credit_release(&credit, &large);
	assert_int_equal(credit.used, 0);

	for (size_t i = 0; i < 2; i++) {
		assert_true(credit_covers(&credit, COPY_CREDIT / 2));
		credit_charge(&credit, &small[i], COPY_CREDIT / 2);
	}
	assert_false(credit_covers(&credit, 1));
	assert_false(credit_covers(&credit, UINT64_MAX));
	credit_release(&credit, &small[0]);
	assert_true(credit_covers(&credit, COPY_CREDIT / 2));
	assert_false(credit_covers(&credit, COPY_CREDIT / 2 + 1));
}

/* A server that counts line ends otherwise, or that estimates, is served as fast as ever. */
static void small_differences(void **state)
{
	struct credit credit = {0};
	struct charge charges[100] = {0};

	for (size_t i = 0; i < 100; i++)
		credit_charge(&credit, &charges[i], 4000);
	for (size_t i = 0; i < 100; i++)
		assert_int_equal(credit_body(&credit, &charges[i], 4000, 4100), BODY_TAKE);
	assert_int_equal(credit.used, 100 * 4100);
	assert_int_equal(credit.beyond, 100 * 100);
	assert_int_equal(credit.least, 0);
	for (size_t i = 0; i < 100; i++)
		credit_release(&credit, &charges[i]);
	assert_int_equal(credit.used, 0);
	assert_int_equal(credit.beyond, 0);
}

/* RFC822.SIZE 1 and bodies of 1 MiB, as many as were asked for: two are held, not a thousand, and
 * from then on they are asked for one after the other. */
static void lies(void **state)
{
	struct credit credit = {0};
	struct charge charges[1000] = {0}, more = {0};
	unsigned taken = 0;

	for (size_t i = 0; i < 1000; i++) {
		assert_true(credit_covers(&credit, 1));
		credit_charge(&credit, &charges[i], 1);
	}
	for (size_t i = 0; i < 1000; i++) {
		switch (credit_body(&credit, &charges[i], 1, MIB)) {
		case BODY_TAKE:
			taken++;
			break;
		case BODY_LATER:
			credit_release(&credit, &charges[i]);
			break;
		case BODY_TOO_LONG:
			fail();
		}
		assert_true(credit.used <= COPY_CREDIT + 1000);
	}
	assert_in_range(taken, 1, COPY_CREDIT / MIB);
	for (size_t i = 0; i < 1000; i++)
		credit_release(&credit, &charges[i]);
	assert_int_equal(credit.used, 0);
	assert_int_equal(credit.beyond, 0);

	assert_int_equal(credit.least, MIB);
	credit_charge(&credit, &more, 1);
	assert_int_equal(credit.used, MIB);
	assert_int_equal(credit_body(&credit, &more, 1, MIB), BODY_TAKE);
	assert_int_equal(credit.beyond, 0);
}

/* One message that is larger than declared is taken, be it larger than the whole credit. */
static void alone(void **state)
{
	struct credit credit = {0};
	struct charge one = {0}, other = {0};

	credit_charge(&credit, &one, MIB);
	credit_charge(&credit, &other, 100);
	assert_int_equal(credit_body(&credit, &one, MIB, 5 * COPY_CREDIT), BODY_TAKE);
	assert_int_equal(credit_body(&credit, &other, 100, 200), BODY_LATER);
	assert_int_equal(credit_body(&credit, &other, 100, 100), BODY_TAKE);
	credit_release(&credit, &one);
	assert_int_equal(credit_body(&credit, &other, 100, 200), BODY_TAKE);
}

static void too_long(void **state)
{
	struct credit credit = {0};
	struct charge charge = {0};
	uint64_t longest = credit_longest(9);

	assert_int_equal(longest, 9 * LIMIT_BODY_FACTOR + LIMIT_BODY_EXCESS);
	assert_int_equal(credit_longest(UINT64_MAX), UINT64_MAX);
	credit_charge(&credit, &charge, 9);
	assert_int_equal(credit_body(&credit, &charge, 9, (uint64_t)1 << 32), BODY_TOO_LONG);
	assert_int_equal(credit_body(&credit, &charge, 9, INT64_MAX), BODY_TOO_LONG);
	assert_int_equal(credit_body(&credit, &charge, 9, longest + 1), BODY_TOO_LONG);
	assert_int_equal(credit.used, 9);
	assert_int_equal(credit_body(&credit, &charge, 9, longest), BODY_TAKE);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(declared_sizes),
		cmocka_unit_test(small_differences),
		cmocka_unit_test(lies),
		cmocka_unit_test(alone),
		cmocka_unit_test(too_long),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
