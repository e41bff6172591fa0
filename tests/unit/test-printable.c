/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "sync/base/printable.h"
#include "sync/base/utf8.h"
#include "sync/base/xalloc.h"

/*
 * Only C0 and DEL were replaced: a mailbox name with U+009B, or words of a server with a
 * right-to-left override, reached the terminal of whoever read the log or --status.
 */
static void neutralise(void **state)
{
	static const struct {
		const char *text, *shown;
	} table[] = {
		{"", ""},
		{"INBOX/a b~", "INBOX/a b~"},
		{"caf\xc3\xa9 \xe6\x97\xa5\xe6\x9c\xac \xf0\x9f\x98\x80",
			"caf\xc3\xa9 \xe6\x97\xa5\xe6\x9c\xac \xf0\x9f\x98\x80"},
		{"\xd7\xa9\xd7\x9c\xd7\x95\xd7\x9d", "\xd7\xa9\xd7\x9c\xd7\x95\xd7\x9d"},
		/* C0 and DEL */
		{"a\033[31m\r\n\t\177b", "a?[31m????b"},
		/* C1, its first and last, and what is beside it */
		{"\xc2\x80|\xc2\x9b"
		 "31m|\xc2\x9f|\xc2\xa0",
			"?|?31m|?|\xc2\xa0"},
		/* directions */
		{"a\xe2\x80\xae"
		 "fdp.exe",
			"a?fdp.exe"},
		{"\xe2\x80\x8e\xe2\x80\x8f\xd8\x9c\xe2\x81\xa6\xe2\x81\xa9", "?????"},
		/* lines, paragraphs, what has no width, tags */
		{"\xe2\x80\xa8\xe2\x80\xa9\xe2\x80\x8b\xef\xbb\xbf\xf3\xa0\x81\x81", "?????"},
		{"\xe2\x80\x90\xe2\x80\xa7\xe2\x80\xaf", "\xe2\x80\x90\xe2\x80\xa7\xe2\x80\xaf"},
		{"\xef\xbf\xbd\xef\xbf\xbe\xef\xbf\xbf", "\xef\xbf\xbd??"},
		/* not UTF-8: raw C1, cut, too long a form, a surrogate, beyond the last */
		{"\x9b"
		 "31m",
			"?31m"},
		{"\xc3", "?"},
		{"\xe2\x80", "??"},
		{"\xc0\x9b", "??"},
		{"\xe0\x82\x9b", "???"},
		{"\xed\xa0\x80", "???"},
		{"\xf4\x90\x80\x80", "????"},
		{"\xff\xfe", "??"},
		{"caf\xe9!", "caf?!"},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(table); i++) {
		_cleanup_free_ char *text = xstrdup(table[i].text);

		assert_int_equal(printable(text), strcmp(table[i].text, table[i].shown) == 0);
		printable_neutralise(text);
		assert_string_equal(text, table[i].shown);
		assert_true(printable(text));
	}
}

/* Of all characters, those that are left are still themselves. */
static void every_character(void **state)
{
	(void)state;
	for (unsigned lead = 1; lead < 256; lead++) {
		for (unsigned next = 0x80; next < 0x100; next++) {
			char text[] = {(char)lead, (char)next, (char)0x80, (char)0x80, '\0'};
			char was[sizeof(text)];
			uint32_t point;

			memcpy(was, text, sizeof(text));
			printable_neutralise(text);
			assert_true(strlen(text) <= strlen(was));
			assert_true(printable(text));
			for (const char *at = text; *at != '\0';) {
				size_t n = utf8_decode(at, strlen(at), &point);

				assert_true(n > 0);
				assert_true(point >= ' ' && (point < 0x7f || point >= 0xa0));
				at += n;
			}
		}
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(neutralise),
		cmocka_unit_test(every_character),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
