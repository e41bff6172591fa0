/* SPDX-License-Identifier: MIT */
/* A COPYUID was believed whatever it said, if only both of its sets were as long: a server that
 * named the messages in another order had them paired with each other's copies. */
#include "imap-fixture.h"

#include "sync/base/xalloc.h"
#include "sync/core/copyuid.h"

enum { UIDNEXT = 10, MAX = 5 };

/* "3>10 5>11", or "" if it is not taken. */
static void expect_read(const char *source, const char *target, const char *expected)
{
	struct copyuid copyuid;
	char text[200] = "";

	if (copyuid_read(&copyuid, slice_of(source), slice_of(target), UIDNEXT, MAX))
		for (size_t i = 0; i < copyuid.count; i++) {
			size_t len = strlen(text);

			(void)snprintf(text + len, sizeof(text) - len, "%s%u>%u", i > 0 ? " " : "",
				copyuid.source[i], copyuid.target[i]);
		}
	else
		assert_null(copyuid.source);
	assert_string_equal(text, expected);
	copyuid_done(&copyuid);
}

static void test_what_fits(void **state)
{
	expect_read("3", "10", "3>10");
	expect_read("3,5:6", "10:12", "3>10 5>11 6>12");
	expect_read("6,3", "12,11", "3>11 6>12");
	expect_read("6:3", "20:17", "3>17 4>18 5>19 6>20");
	expect_read("1:5", "4294967291:4294967295",
		"1>4294967291 2>4294967292 3>4294967293 4>4294967294 5>4294967295");
}

static void test_what_lies(void **state)
{
	static const struct {
		const char *source, *target;
	} lies[] = {
		{"3,5", "11,10"}, /* swapped */
		{"3:4", "10"}, /* short */
		{"3", "10:11"},
		{"3", "9"}, /* a message that was there before */
		{"3:5", "8:10"},
		{"3,3", "10:11"}, /* twice */
		{"3:4", "10,10"},
		{"1:6", "10:15"}, /* more than were asked for */
		{"1:4294967295", "1:4294967295"},
		{"", ""},
		{"3", ""},
		{"0", "10"},
		{"*", "10"},
		{"3", "4294967296"},
		{"x", "10"},
	};

	for (size_t i = 0; i < ARRAY_LEN(lies); i++)
		expect_read(lies[i].source, lies[i].target, "");
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_what_fits),
		cmocka_unit_test(test_what_lies),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
