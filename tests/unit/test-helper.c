/* SPDX-License-Identifier: MIT */
/* Programs that are run for what they print, and are not trusted to end. */
#include "net-fixture.h"

#include <signal.h>
#include <stdio.h>

#include "sync/base/child.h"
#include "sync/base/helper.h"
#include "sync/base/limits.h"

static struct helper *helper;
static bool ended;
static struct helper_result result;
static char *printed, *said;

static void on_ended(struct helper_handler *handler, const struct helper_result *of)
{
	assert_false(ended);
	ended = true;
	result = *of;
	assert_int_equal(of->printed[of->len], '\0');
	printed = xmemdup0(of->printed, of->len);
	said = of->said != NULL ? xstrdup(of->said) : NULL;
	helper = helper_free(helper);
}

static struct helper_handler handler = {.ended = on_ended};

static void begin(const char *const *argv, unsigned seconds)
{
	const struct child_options options = {
		.argv = argv, .environment = (const char *const[]){"TOLD=yes", NULL}};

	free(take(printed));
	free(take(said));
	ended = false;
	helper = helper_new(&loop, &options, seconds, &handler);
	assert_false(ended); /* never before it returns */
	assert_true(helper_is_attended(helper));
}

static void run_argv(const char *const *argv, unsigned seconds)
{
	begin(argv, seconds);
	RUN_UNTIL(ended);
}

static void run(const char *script)
{
	run_argv((const char *const[]){"sh", "-c", script, NULL}, 60);
}

static void expect(enum helper_end end, int number, const char *out, const char *err)
{
	assert_int_equal(result.end, end);
	assert_int_equal(result.number, number);
	assert_string_equal(printed, out);
	if (err == NULL)
		assert_null(said);
	else
		assert_string_equal(said, err);
}

static void test_what_it_prints(void **state)
{
	run("echo secret; echo one >&2; echo two >&2; echo >&2");
	expect(HELPER_EXITED, 0, "secret\n", "two");
	run("printf secret; printf 'no end' >&2");
	expect(HELPER_EXITED, 0, "secret", "no end");
	run("true");
	expect(HELPER_EXITED, 0, "", NULL);
	run("echo \"$TOLD $PATH\"; cat; exit 3"); /* nothing is there to read */
	expect(HELPER_EXITED, 3, "yes /usr/bin:/bin\n", NULL);
	run("printf 'a\\000b'; printf 'c\\000d' >&2");
	assert_int_equal(result.len, 3);
	assert_string_equal(said, "c?d");
}

static void test_how_it_ends(void **state)
{
	run("echo late words >&2; kill -9 $$");
	expect(HELPER_KILLED, SIGKILL, "", "late words");
	run_argv((const char *const[]){"no-such-program", NULL}, 60);
	expect(HELPER_NOT_RUN, ENOENT, "", NULL);
	run_argv((const char *const[]){"/etc/passwd", NULL}, 60);
	expect(HELPER_NOT_RUN, EACCES, "", NULL);
}

static void test_limits(void **state)
{
	run("head -c 16384 /dev/zero | tr '\\0' a");
	assert_int_equal(result.end, HELPER_EXITED);
	assert_int_equal(result.len, LIMIT_HELPER_OUTPUT);
	run("head -c 16385 /dev/zero | tr '\\0' a");
	assert_int_equal(result.end, HELPER_VERBOSE);
	run("yes"); /* without end */
	assert_int_equal(result.end, HELPER_VERBOSE);
	/* What it has to say does not hold it up, and only the end counts. */
	run("head -c 1000000 /dev/zero | tr '\\0' x >&2; echo >&2; echo done >&2; echo secret");
	expect(HELPER_EXITED, 0, "secret\n", "done");
	run("head -c 1000000 /dev/zero | tr '\\0' x >&2");
	assert_int_equal(strlen(said), LIMIT_HELPER_LINE);
}

/* Whether a process of that number is there, and is no zombie that nobody has reaped. */
static bool lives(const char *number)
{
	return kill((pid_t)atoi(number), 0) == 0;
}

static void test_time_is_over(void **state)
{
	run_argv((const char *const[]){"sh", "-c", "echo $$; sleep 1000 & wait", NULL}, 1);
	assert_int_equal(result.end, HELPER_LATE);
	RUN_UNTIL(!lives(printed));
}

/* An agent that it starts may stay, and hold what it was given. */
static void test_what_stays_behind(void **state)
{
	run("sleep 1000 & echo $!");
	assert_int_equal(result.end, HELPER_EXITED);
	assert_true(lives(printed));
	assert_int_equal(kill((pid_t)atoi(printed), SIGKILL), 0);
}

static void test_called_off(void **state)
{
	char path[] = "/tmp/interimap-helper-XXXXXX", number[16] = "";
	int fd = mkstemp(path);
	_cleanup_free_ char *script = xasprintf("echo $$ >%s; exec sleep 1000", path);

	begin((const char *const[]){"sh", "-c", script, NULL}, 60);
	RUN_UNTIL(pread(fd, number, sizeof(number) - 1, 0) > 0);
	helper = helper_free(helper);
	RUN_UNTIL(!lives(number));
	assert_false(ended);
	(void)close(fd);
	(void)unlink(path);
}

static int teardown_helper(void **state)
{
	helper = helper_free(helper);
	free(take(printed));
	free(take(said));
	return 0;
}

static int set_up_loop(void **state)
{
	loop_init(&loop);
	return 0;
}

static int tear_down_loop(void **state)
{
	loop_done(&loop);
	return 0;
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test_teardown(test_what_it_prints, teardown_helper),
		cmocka_unit_test_teardown(test_how_it_ends, teardown_helper),
		cmocka_unit_test_teardown(test_limits, teardown_helper),
		cmocka_unit_test_teardown(test_time_is_over, teardown_helper),
		cmocka_unit_test_teardown(test_what_stays_behind, teardown_helper),
		cmocka_unit_test_teardown(test_called_off, teardown_helper),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, set_up_loop, tear_down_loop);
}
