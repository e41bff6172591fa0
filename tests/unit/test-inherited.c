/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdlib.h>
#include <unistd.h>

#include "proxy/inherited.h"
#include "sync/base/limits.h"
#include "sync/base/xalloc.h"

/* What is taken with these variables; NULL: not set. */
static struct inherited take_with(const char *pid, const char *fds, const char *names)
{
	struct inherited inherited;

	(void)unsetenv("LISTEN_PID");
	(void)unsetenv("LISTEN_FDS");
	(void)unsetenv("LISTEN_FDNAMES");
	if (pid != NULL)
		(void)setenv("LISTEN_PID", pid, 1);
	if (fds != NULL)
		(void)setenv("LISTEN_FDS", fds, 1);
	if (names != NULL)
		(void)setenv("LISTEN_FDNAMES", names, 1);
	inherited_take(&inherited);
	assert_null(getenv("LISTEN_PID"));
	assert_null(getenv("LISTEN_FDS"));
	assert_null(getenv("LISTEN_FDNAMES"));
	return inherited;
}

static void assert_none(const char *pid, const char *fds)
{
	struct inherited inherited = take_with(pid, fds, "imap");

	assert_int_equal(inherited.count, 0);
	inherited_done(&inherited);
}

static void test_names(void **state)
{
	_cleanup_free_ char *pid = xasprintf("%ld", (long)getpid());
	struct inherited inherited = take_with(pid, "3", "imap::imaps");

	assert_int_equal(inherited.count, 3);
	assert_string_equal(inherited.names[0], "imap");
	assert_string_equal(inherited.names[1], "");
	assert_string_equal(inherited.names[2], "imaps");
	inherited_done(&inherited);
	inherited = take_with(pid, "2", "one");
	assert_string_equal(inherited.names[0], "one");
	assert_string_equal(inherited.names[1], "");
	inherited_done(&inherited);
	inherited = take_with(pid, "1", NULL);
	assert_int_equal(inherited.count, 1);
	assert_string_equal(inherited.names[0], "");
	inherited_done(&inherited);
}

/* They were another process' (a parent's), or are no number. */
static void test_not_ours(void **state)
{
	_cleanup_free_ char *pid = xasprintf("%ld", (long)getpid());
	_cleanup_free_ char *many = xasprintf("%d", LIMIT_INHERITED + 1);

	assert_none("1", "1");
	assert_none(NULL, "1");
	assert_none(pid, NULL);
	assert_none(pid, "");
	assert_none(pid, "-1");
	assert_none(pid, "1x");
	assert_none(pid, many);
	assert_none(pid, "99999999999999999999");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_names),
		cmocka_unit_test(test_not_ours),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
