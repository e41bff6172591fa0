/* SPDX-License-Identifier: MIT */
#include "imap-fixture.h"

#include "sync/imap/utf7.h"

static void from_utf8(void **state)
{
	static const struct {
		const char *utf8, *utf7;
	} table[] = {
		{"", ""},
		{"INBOX", "INBOX"},
		{" !~\"\\%*", " !~\"\\%*"},
		{"R&D", "R&-D"},
		{"&", "&-"},
		{"\xc3\xa9", "&AOk-"},
		{"caf\xc3\xa9/x", "caf&AOk-/x"},
		{"\xc3\xa9&\xc3\xa9", "&AOk-&-&AOk-"},
		{"\xc3\xa9-\xc3\xa9", "&AOk--&AOk-"},
		/* the example of RFC 3501 section 5.1.3 */
		{"~peter/mail/\xe5\x8f\xb0\xe5\x8c\x97/\xe6\x97\xa5\xe6\x9c\xac\xe8\xaa\x9e",
			"~peter/mail/&U,BTFw-/&ZeVnLIqe-"},
		/* the first and the last of each length */
		{"\xc2\xa0", "&AKA-"},
		{"\xdf\xbf", "&B,8-"},
		{"\xe0\xa0\x80", "&CAA-"},
		{"\xed\x9f\xbf", "&1,8-"},
		{"\xee\x80\x80", "&4AA-"},
		{"\xef\xbf\xbf", "&,,8-"},
		{"\xf0\x90\x80\x80", "&2ADcAA-"},
		{"\xf4\x8f\xbf\xbf", "&2,,f,w-"},
		{"\xf0\x9f\x98\x80", "&2D3eAA-"},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(table); i++) {
		char *utf7 = utf7_from_utf8(slice_of(table[i].utf8));

		assert_non_null(utf7);
		assert_string_equal(utf7, table[i].utf7);
		free(utf7);
	}
}

static void from_utf8_refuses(void **state)
{
	static const struct {
		const char *text;
		size_t len;
	} table[] = {
		{BYTES("\xc3")}, /* cut */
		{BYTES("\xe2\x82")},
		{BYTES("\xf0\x9f\x98")},
		{BYTES("\xc3x")},
		{BYTES("\xe2\x82\xc3\xa9")},
		{BYTES("\x80")}, /* no lead */
		{BYTES("a\xbf")},
		{BYTES("\xc0\x80")}, /* longer than need be */
		{BYTES("\xc1\xbf")},
		{BYTES("\xe0\x9f\xbf")},
		{BYTES("\xf0\x8f\xbf\xbf")},
		{BYTES("\xed\xa0\x80")}, /* surrogates */
		{BYTES("\xed\xbf\xbf")},
		{BYTES("\xf4\x90\x80\x80")}, /* beyond Unicode */
		{BYTES("\xf8\x88\x80\x80\x80")},
		{BYTES("\xff")},
		{BYTES("a\0b")}, /* controls */
		{BYTES("a\r")},
		{BYTES("\x7f")},
		{BYTES("\xc2\x80")},
		{BYTES("\xc2\x9f")},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(table); i++) {
		struct slice text = {table[i].text, table[i].len};

		assert_null(utf7_from_utf8(text));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(from_utf8),
		cmocka_unit_test(from_utf8_refuses),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
