/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "sync/base/xalloc.h"
#include "sync/engine/backoff.h"

static void told(void **state)
{
	static const struct {
		const char *words;
		int seconds;
	} table[] = {
		{"the server closed the connection", 0},
		{"the server takes no login now (NO: Request is throttled. Suggested Backoff Time: "
		 "30000 milliseconds)",
			30},
		{"suggested backoff time: 500 ms", 0},
		{"BYE: please try again in 5 minutes", 300},
		{"Retry after 30 seconds", 30},
		{"retry after 30s", 30},
		{"try again in 2 hours", BACKOFF_TOLD_MAX},
		{"try again in 99999999999999999999999999 seconds", BACKOFF_TOLD_MAX},
		{"try again in a while", 0},
		{"try again in 5", 0},
		{"try again in -5 seconds", 0},
		{"try again in 5 fortnights", 0},
		{"try again in ", 0},
		{"", 0},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(table); i++)
		assert_int_equal((int)backoff_told(table[i].words), table[i].seconds);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(told),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
