/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#include "sync/base/limits.h"
#include "sync/base/spool.h"

static unsigned growths;

static void grown(void *reader)
{
	growths++;
	assert_ptr_equal(reader, &growths);
}

/* Written in uneven portions while it is read in others. */
static void pass(uint64_t size)
{
	struct spool *spool = spool_new(size);
	static unsigned char data[100000];
	uint64_t written = 0, offset = 0, round = 0;
	ssize_t n;

	growths = 0;
	spool_on_growth(spool, grown, &growths);
	while (offset < size) {
		size_t portion = (size_t)(round++ * 7919 % sizeof(data));

		if (portion > size - written)
			portion = (size_t)(size - written);
		for (size_t i = 0; i < portion; i++)
			data[i] = (unsigned char)((written + i) / 3);
		assert_int_equal(spool_write(spool, data, portion), 0);
		written += portion;
		n = spool_read(spool, offset, data, 1 + (size_t)(round * 104729 % sizeof(data)));
		assert_true(n >= 0);
		for (ssize_t i = 0; i < n; i++, offset++)
			if (data[i] != (unsigned char)(offset / 3))
				fail_msg("wrong byte at %llu", (unsigned long long)offset);
	}
	assert_true(spool_complete(spool));
	assert_true(growths > 0 || size == 0);
	assert_int_equal(spool_size(spool), size);
	assert_int_equal(spool_read(spool, offset, data, 1), 0);
	assert_int_equal(spool_write(spool, "x", 1), -EFBIG);
	spool_abort(spool); /* all is there: no harm any more */
	if (size > 0)
		assert_int_equal(spool_read(spool, 0, data, 1), 1);
	assert_null(spool_free(spool));
}

static void in_memory(void **state)
{
	pass(0);
	pass(1);
	pass(5000);
	pass(LIMIT_SPOOL_MEMORY);
}

static void in_file(void **state)
{
	pass(LIMIT_SPOOL_MEMORY + 1);
	pass(5 << 20);
}

static void cut_short(void **state)
{
	struct spool *spool = spool_new(10);
	char data[10];

	assert_int_equal(spool_write(spool, "abc", 3), 0);
	assert_int_equal(spool_write(spool, "12345678", 8), -EFBIG); /* none of it */
	assert_int_equal(spool_read(spool, 1, data, 10), 2);
	assert_memory_equal(data, "bc", 2);
	assert_int_equal(spool_read(spool, 3, data, 10), 0);
	assert_false(spool_complete(spool));
	spool_abort(spool);
	assert_int_equal(spool_read(spool, 0, data, 10), -EPIPE);
	spool_free(spool);
}

/* Nothing is allocated because a peer announces it. */
static void announced_only(void **state)
{
	struct spool *spool = spool_new(UINT64_MAX);
	char byte;

	assert_int_equal(spool_write(spool, "x", 1), 0);
	assert_int_equal(spool_read(spool, 0, &byte, 1), 1);
	spool_free(spool);
	assert_null(spool_free(NULL));
}

static void no_space(void **state)
{
	const struct rlimit small = {.rlim_cur = 4096, .rlim_max = RLIM_INFINITY};
	struct spool *spool = spool_new(LIMIT_SPOOL_MEMORY + 1);
	static char data[65536];
	struct rlimit before;
	int r;

	assert_int_equal(getrlimit(RLIMIT_FSIZE, &before), 0);
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &small), 0);
	r = spool_write(spool, data, sizeof(data));
	if (r == 0) /* the first portion was cut at the limit */
		r = spool_write(spool, data, sizeof(data));
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &before), 0);
	assert_int_equal(r, -EFBIG);
	spool_free(spool);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(in_memory),
		cmocka_unit_test(in_file),
		cmocka_unit_test(cut_short),
		cmocka_unit_test(announced_only),
		cmocka_unit_test(no_space),
	};

	(void)signal(SIGXFSZ, SIG_IGN);
	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
