/* SPDX-License-Identifier: MIT */
#include "imap-fixture.h"

#include "sync/base/limits.h"
#include "sync/imap/lexer.h"

/* A lexer over a copy of the text in a block of its own, so that a byte too far is found. */
struct fixture {
	struct lexer lexer;
	char *copy;
};

static void start(struct fixture *fixture, const char *text, size_t len)
{
	fixture->copy = xmalloc(len > 0 ? len : 1);
	memcpy(fixture->copy, text, len);
	lex_init(&fixture->lexer, fixture->copy, len);
}

static void finish(struct fixture *fixture)
{
	free(fixture->copy);
}

static void atoms(void **state)
{
	static const struct {
		const char *text, *expected; /* NULL: none */
	} table[] = {
		{"INBOX", "INBOX"},
		{"a]b", "a]b"},
		{"b\xc3\xa9", "b\xc3\xa9"},
		{"#news.a/b~c&AOk-", "#news.a/b~c&AOk-"},
		{"a b", "a"},
		{"a(b", "a"},
		{"a)b", "a"},
		{"a{b", "a"},
		{"a%b", "a"},
		{"a*b", "a"},
		{"a\"b", "a"},
		{"a\\b", "a"},
		{"a\x7f", "a"},
		{"a\tb", "a"},
		{"", NULL},
		{" a", NULL},
		{"\\Seen", NULL},
		{"(", NULL},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(table); i++) {
		struct slice slice = {"untouched", 9};
		struct fixture f;

		start(&f, table[i].text, strlen(table[i].text));
		assert_int_equal(lex_atom(&f.lexer, &slice), table[i].expected != NULL);
		assert_slice(slice, table[i].expected != NULL ? table[i].expected : "untouched");
		assert_false(f.lexer.failed);
		finish(&f);
	}
}

static void flags(void **state)
{
	static const char *const table[] = {"\\Seen", "\\*", "$Forwarded", "NonJunk", "a]b", "a%b"};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(table); i++) {
		struct slice slice;
		struct fixture f;

		start(&f, table[i], strlen(table[i]));
		assert_true(lex_flag(&f.lexer, &slice));
		assert_slice(slice, table[i]);
		assert_true(lex_at_end(&f.lexer));
		finish(&f);
	}
}

static void strings(void **state)
{
	static const struct {
		const char *text;
		size_t len;
		const char *expected;
		size_t expected_len;
	} table[] = {
		{BYTES("\"\""), BYTES("")},
		{BYTES("\"a b\""), BYTES("a b")},
		{BYTES("\"a\\\"b\\\\c\""), BYTES("a\"b\\c")},
		{BYTES("\"\\\\\""), BYTES("\\")},
		{BYTES("\"odd \\escape\""), BYTES("odd escape")},
		{BYTES("\"\xe2\x82\xac {3}\""), BYTES("\xe2\x82\xac {3}")},
		{BYTES("{0}\r\n"), BYTES("")},
		{BYTES("{3}\r\na\0b"), BYTES("a\0b")},
		{BYTES("{3}\nabc"), BYTES("abc")},
		{BYTES("{3+}\r\n\"()"), BYTES("\"()")},
		{BYTES("~{4}\r\n\0\r\n\0"), BYTES("\0\r\n\0")},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(table); i++) {
		struct slice slice = {0};
		struct fixture f;

		start(&f, table[i].text, table[i].len);
		assert_true(lex_string(&f.lexer, &slice));
		assert_int_equal(slice.len, table[i].expected_len);
		assert_memory_equal(slice.data, table[i].expected, slice.len);
		assert_true(lex_at_end(&f.lexer));
		finish(&f);
	}
}

static void malformed_strings(void **state)
{
	static const struct {
		const char *text;
		size_t len;
	} table[] = {
		{BYTES("\"")},
		{BYTES("\"abc")},
		{BYTES("\"abc\\\"")},
		{BYTES("\"abc\\")},
		{BYTES("\"a\0b\"")},
		{BYTES("\"a\\\0b\"")},
		{BYTES("{")},
		{BYTES("{}\r\n")},
		{BYTES("{3")},
		{BYTES("{3}")},
		{BYTES("{3}\r")},
		{BYTES("{3}\r\n")},
		{BYTES("{3}\r\nab")},
		{BYTES("{3}abc")},
		{BYTES("{-1}\r\n")},
		{BYTES("{18446744073709551615}\r\nabc")},
		{BYTES("{18446744073709551616}\r\nabc")},
		{BYTES("~{2}\r\na")},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(table); i++) {
		struct slice slice;
		struct fixture f;

		start(&f, table[i].text, table[i].len);
		if (lex_string(&f.lexer, &slice) || !f.lexer.failed)
			fail_msg("accepted, or no failure: %s", table[i].text);
		/* The error is sticky. */
		assert_false(lex_at_end(&f.lexer));
		assert_false(lex_atom(&f.lexer, &slice));
		assert_false(lex_skip_value(&f.lexer));
		assert_int_equal(lex_rest(&f.lexer).len, 0);
		finish(&f);
	}
}

static void nstrings(void **state)
{
	struct slice slice;
	struct fixture f;

	(void)state;
	start(&f, BYTES("nil \"NIL\" NILS"));
	assert_true(lex_nstring(&f.lexer, &slice));
	assert_null(slice.data);
	assert_true(lex_expect_space(&f.lexer));
	assert_true(lex_expect_nstring(&f.lexer, &slice));
	assert_slice(slice, "NIL");
	assert_true(lex_space(&f.lexer));
	assert_false(lex_nstring(&f.lexer, &slice));
	assert_true(lex_expect_astring(&f.lexer, &slice));
	assert_slice(slice, "NILS");
	assert_false(lex_expect_nstring(&f.lexer, &slice));
	assert_true(f.lexer.failed);
	finish(&f);
}

static void numbers(void **state)
{
	static const struct {
		const char *text;
		bool is32, is64;
		uint64_t value;
	} table[] = {
		{"0", true, true, 0},
		{"007x", true, true, 7},
		{"4294967295", true, true, 4294967295},
		{"4294967296", false, true, 4294967296},
		{"18446744073709551615", false, true, UINT64_MAX},
		{"18446744073709551616", false, false, 0},
		{"99999999999999999999999", false, false, 0},
		{"", false, false, 0},
		{"-1", false, false, 0},
		{"x", false, false, 0},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(table); i++) {
		uint32_t n32 = 0;
		uint64_t n64 = 0;
		struct fixture f, g;

		start(&f, table[i].text, strlen(table[i].text));
		start(&g, table[i].text, strlen(table[i].text));
		assert_int_equal(lex_number32(&f.lexer, &n32), table[i].is32);
		assert_int_equal(lex_number64(&g.lexer, &n64), table[i].is64);
		assert_true(n64 == table[i].value);
		if (table[i].is32)
			assert_true(n32 == table[i].value);
		/* What begins with a digit and is too large is an error, not something else. */
		assert_int_equal(f.lexer.failed,
			!table[i].is32 && table[i].text[0] >= '0' && table[i].text[0] <= '9');
		finish(&f);
		finish(&g);
	}
}

static void uids(void **state)
{
	uint32_t uid = 0;
	struct fixture f;

	(void)state;
	start(&f, BYTES("4294967295 0"));
	assert_true(lex_expect_uid(&f.lexer, &uid));
	assert_true(uid == UINT32_MAX);
	assert_true(lex_space(&f.lexer));
	assert_false(lex_expect_uid(&f.lexer, &uid));
	assert_true(f.lexer.failed);
	finish(&f);
}

static void keywords(void **state)
{
	struct slice name;
	struct fixture f;

	(void)state;
	start(&f, BYTES("fetch   RFC822.SIZE BODY[] OK"));
	assert_false(lex_keyword(&f.lexer, "FET"));
	assert_false(lex_keyword(&f.lexer, "FETCHES"));
	assert_true(lex_keyword(&f.lexer, "FETCH"));
	assert_true(lex_space(&f.lexer));
	assert_false(lex_keyword(&f.lexer, "RFC822"));
	assert_true(lex_name(&f.lexer, &name));
	assert_slice(name, "RFC822.SIZE");
	assert_true(lex_space(&f.lexer));
	assert_true(lex_keyword(&f.lexer, "BODY"));
	assert_true(lex_char(&f.lexer, '['));
	assert_true(lex_expect_section(&f.lexer, &name));
	assert_slice(name, "");
	assert_false(lex_keyword(&f.lexer, "OK"));
	assert_true(lex_space(&f.lexer));
	assert_true(lex_keyword(&f.lexer, "ok"));
	assert_true(lex_at_end(&f.lexer));
	assert_false(lex_expect_char(&f.lexer, ' '));
	assert_false(lex_at_end(&f.lexer));
	finish(&f);
}

static void skip_values(void **state)
{
	static const struct {
		const char *text;
		size_t len;
		const char *rest;
	} table[] = {
		{BYTES("atom x"), " x"},
		{BYTES("123)"), ")"},
		{BYTES("\\Seen"), ""},
		{BYTES("NIL "), " "},
		{BYTES("\"a ( b\" y"), " y"},
		{BYTES("{4}\r\n)( \" z"), " z"},
		{BYTES("\0 z"), " z"},
		{BYTES("() z"), " z"},
		{BYTES("( ) z"), " z"},
		{BYTES("(a (b \"c)\" {1}\r\n)) NIL)z"), "z"},
		{BYTES("(BODY[HEADER.FIELDS (X)] \"\")"), ""},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(table); i++) {
		struct fixture f;

		start(&f, table[i].text, table[i].len);
		assert_true(lex_skip_value(&f.lexer));
		assert_slice(lex_rest(&f.lexer), table[i].rest);
		finish(&f);
	}
}

static void skip_malformed(void **state)
{
	static const char *const table[] = {
		"", ")", "(", "(a", "((a)", "(\"a)", "(a {9}\r\n)", " "};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(table); i++) {
		struct fixture f;

		start(&f, table[i], strlen(table[i]));
		assert_false(lex_skip_value(&f.lexer));
		assert_true(f.lexer.failed);
		finish(&f);
	}
}

static void skip_depth(void **state)
{
	(void)state;
	for (size_t depth = LIMIT_LIST_DEPTH - 1; depth <= LIMIT_LIST_DEPTH + 1; depth++) {
		char text[2 * (LIMIT_LIST_DEPTH + 1)];
		struct fixture f;

		memset(text, '(', depth);
		memset(text + depth, ')', depth);
		start(&f, text, 2 * depth);
		assert_int_equal(lex_skip_value(&f.lexer), depth <= LIMIT_LIST_DEPTH);
		assert_int_equal(lex_at_end(&f.lexer), depth <= LIMIT_LIST_DEPTH);
		finish(&f);
	}
}

static void sections(void **state)
{
	static const struct {
		const char *text, *expected, *rest;
	} table[] = {
		{"] x", "", " x"},
		{"HEADER.FIELDS (Message-ID)] x", "HEADER.FIELDS (Message-ID)", " x"},
		{"HEADER.FIELDS (\"MESSAGE-ID\")]", "HEADER.FIELDS (\"MESSAGE-ID\")", ""},
		{"HEADER.FIELDS (\"a]b\")]<0>", "HEADER.FIELDS (\"a]b\")", "<0>"},
		{"HEADER.FIELDS ({3}\r\na]b)]", "HEADER.FIELDS ({3}\r\na]b)", ""},
		{"1.2.MIME]", "1.2.MIME", ""},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(table); i++) {
		struct slice section;
		struct fixture f;

		start(&f, table[i].text, strlen(table[i].text));
		assert_true(lex_expect_section(&f.lexer, &section));
		assert_slice(section, table[i].expected);
		assert_slice(lex_rest(&f.lexer), table[i].rest);
		finish(&f);
	}
	for (size_t i = 0; i < 3; i++) {
		static const char *const bad[] = {"", "HEADER", "\"]"};
		struct slice section;
		struct fixture f;

		start(&f, bad[i], strlen(bad[i]));
		assert_false(lex_expect_section(&f.lexer, &section));
		assert_true(f.lexer.failed);
		finish(&f);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(atoms),
		cmocka_unit_test(flags),
		cmocka_unit_test(strings),
		cmocka_unit_test(malformed_strings),
		cmocka_unit_test(nstrings),
		cmocka_unit_test(numbers),
		cmocka_unit_test(uids),
		cmocka_unit_test(keywords),
		cmocka_unit_test(skip_values),
		cmocka_unit_test(skip_malformed),
		cmocka_unit_test(skip_depth),
		cmocka_unit_test(sections),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
