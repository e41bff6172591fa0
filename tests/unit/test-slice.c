/* SPDX-License-Identifier: MIT */
#include "imap-fixture.h"

static void compare(void **state)
{
	(void)state;
	assert_true(slice_is(slice_of("UIDNext"), "uidnExt"));
	assert_false(slice_is(slice_of("UIDNEX"), "UIDNEXT"));
	assert_false(slice_is(slice_of("UIDNEXTS"), "UIDNEXT"));
	assert_true(slice_is((struct slice){0}, ""));
	assert_false(slice_is((struct slice){0}, "x"));
	assert_false(slice_is((struct slice){BYTES("a\0b")}, "a"));
}

static void duplicate(void **state)
{
	_cleanup_free_ char *none = slice_dup((struct slice){0});
	_cleanup_free_ char *some = slice_dup((struct slice){"abcdef", 3});

	(void)state;
	assert_string_equal(none, "");
	assert_string_equal(some, "abc");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(compare),
		cmocka_unit_test(duplicate),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
