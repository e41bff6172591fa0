/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

#include "sync/base/buf.h"

static void empty(void **state)
{
	struct buf buf;

	buf_init(&buf, 10);
	assert_int_equal(buf_len(&buf), 0);
	assert_int_equal(buf_room(&buf), 10);
	assert_non_null(buf_data(&buf));
	assert_true(buf_append(&buf, NULL, 0));
	buf_consume(&buf, 0);
	buf_done(&buf);
	buf_done(&buf);
}

static void maximum(void **state)
{
	struct buf buf;

	buf_init(&buf, 5);
	assert_true(buf_puts(&buf, "abc"));
	assert_false(buf_puts(&buf, "def")); /* all or nothing */
	assert_int_equal(buf_len(&buf), 3);
	assert_null(buf_reserve(&buf, 3));
	assert_null(buf_reserve(&buf, SIZE_MAX));
	assert_true(buf_printf(&buf, "%d", 42));
	assert_false(buf_putc(&buf, 'x'));
	assert_int_equal(buf_room(&buf), 0);
	assert_memory_equal(buf_data(&buf), "abc42", 5);
	buf_consume(&buf, 1); /* only what is not consumed counts */
	assert_true(buf_putc(&buf, 'x'));
	assert_memory_equal(buf_data(&buf), "bc42x", 5);
	buf_done(&buf);
	buf_init(&buf, 0);
	assert_false(buf_putc(&buf, 'x'));
	buf_done(&buf);
}

/* A queue through which much passes stays as small as what is in it. */
static void queue(void **state)
{
	unsigned char written = 0, read = 0;
	struct buf buf;

	buf_init(&buf, 1000);
	for (int i = 0; i < 10000; i++) {
		int n = i * 7 % 300;

		for (int j = 0; j < n && buf_putc(&buf, (char)written); j++)
			written++;
		n = i * 13 % 350;
		for (int j = 0; j < n && buf_len(&buf) > 0; j++) {
			assert_int_equal((unsigned char)buf_data(&buf)[0], read);
			read++;
			buf_consume(&buf, 1);
		}
	}
	assert_true(buf.size <= 2048);
	buf_done(&buf);
}

static void reserve(void **state)
{
	struct buf buf;
	char *room;

	buf_init(&buf, 100);
	assert_true(buf_puts(&buf, "abc"));
	room = buf_reserve(&buf, 97);
	assert_non_null(room);
	memset(room, 'x', 97);
	buf_commit(&buf, 2); /* less than was reserved */
	assert_int_equal(buf_len(&buf), 5);
	assert_memory_equal(buf_data(&buf), "abcxx", 5);
	buf_truncate(&buf, 4);
	assert_int_equal(buf_len(&buf), 4);
	buf_clear(&buf);
	assert_int_equal(buf_len(&buf), 0);
	buf_done(&buf);
}

static void steal(void **state)
{
	struct buf buf;
	char *s;

	buf_init(&buf, 100);
	assert_true(buf_puts(&buf, "xabc"));
	buf_consume(&buf, 1);
	s = buf_steal(&buf);
	assert_string_equal(s, "abc");
	free(s);
	assert_int_equal(buf_len(&buf), 0);
	assert_true(buf_puts(&buf, "again"));
	buf_done(&buf);
	s = buf_steal(&buf);
	assert_string_equal(s, "");
	free(s);
}

static void wipe(void **state)
{
	struct buf buf;

	buf_init(&buf, 100);
	buf_wipe(&buf); /* nothing there */
	assert_true(buf_puts(&buf, "secret"));
	buf_wipe(&buf);
	assert_int_equal(buf_len(&buf), 0);
	assert_null(buf.bytes);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(empty),
		cmocka_unit_test(maximum),
		cmocka_unit_test(queue),
		cmocka_unit_test(reserve),
		cmocka_unit_test(steal),
		cmocka_unit_test(wipe),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
