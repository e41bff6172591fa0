/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "sync/base/xalloc.h"
#include "sync/imap/backoff.h"

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

static void later(void **state)
{
	static const struct {
		enum response_code code;
		const char *words;
		bool later, over;
	} table[] = {
		{CODE_AUTHENTICATIONFAILED, "Invalid credentials (Failure)", false, false},
		{CODE_NONE, "AUTHENTICATE failed.", false, false}, /* Outlook, of a bad token */
		{CODE_NONE, NULL, false, false},
		{CODE_UNAVAILABLE, NULL, true, false},
		{CODE_LIMIT, "", true, false},
		{CODE_THROTTLED, "slow down", true, false},
		{CODE_OVERQUOTA, "slow down", true, false},
		{CODE_ALERT, "Too many simultaneous connections. (Failure)", true, false},
		{CODE_NONE, "Maximum number of connections from user+IP exceeded", true, false},
		{CODE_NONE, "User is authenticated but not connected.", true, false},
		{CODE_NONE, "Request is throttled. Suggested Backoff Time: 299961 milliseconds",
			true, false},
		{CODE_ALERT, "Account exceeded command or bandwidth limits. (Failure)", true,
			false},
		{CODE_NONE, "Rate limit hit", true, false},
		{CODE_NONE, "come again: retry after 5 minutes", true, false},
		{CODE_NONE, "Session expired, please login again.", true, true},
		{CODE_NONE, "Session invalidated - AccessTokenExpired", false, true},
		{CODE_NONE, "Server is shutting down", false, false},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(table); i++) {
		assert_int_equal(backoff_is_meant(table[i].code, table[i].words), table[i].later);
		assert_int_equal(backoff_ends_session(table[i].words), table[i].over);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(later),
		cmocka_unit_test(told),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
