/* SPDX-License-Identifier: MIT */
#include "imap-fixture.h"

#include "sync/base/limits.h"
#include "sync/imap/flags.h"

enum { MOST = 16 };

/* Interns the words of a text. */
static const struct flags *intern(struct flag_pool *pool, const char *text)
{
	struct slice atoms[MOST];
	size_t count = 0;

	while (*text != '\0') {
		size_t n = strcspn(text, " ");

		assert_true(count < MOST);
		atoms[count++] = (struct slice){text, n};
		text += n + (text[n] == ' ');
	}
	return flags_intern(pool, atoms, count);
}

static void assert_flags(const struct flags *flags, const char *expected)
{
	assert_non_null(flags);
	assert_string_equal(flags_text(flags), expected);
}

static int setup(void **state)
{
	*state = flag_pool_new();
	return 0;
}

static int teardown(void **state)
{
	assert_null(flag_pool_free(*state));
	assert_null(flag_pool_free(NULL));
	return 0;
}

static void equal_is_identical(void **state)
{
	struct flag_pool *pool = *state;
	const struct flags *flags = intern(pool, "\\Seen foo \\Answered");

	assert_flags(flags, "\\Answered \\Seen foo");
	assert_ptr_equal(intern(pool, "FOO \\answered \\SEEN"), flags);
	assert_ptr_equal(intern(pool, "foo foo \\Seen \\Answered Foo"), flags);
	assert_ptr_equal(intern(pool, "\\Recent foo \\Seen \\RECENT \\Answered"), flags);
	assert_ptr_not_equal(intern(pool, "foo \\Seen"), flags);
	/* A keyword is not the system flag of that name. */
	assert_ptr_not_equal(intern(pool, "foo Seen \\Answered"), flags);
}

static void first_spelling(void **state)
{
	struct flag_pool *pool = *state;

	assert_flags(intern(pool, "$Forwarded"), "$Forwarded");
	assert_flags(intern(pool, "$FORWARDED nonjunk"), "$Forwarded nonjunk");
	assert_flags(intern(pool, "NonJunk"), "nonjunk");
}

static void empty(void **state)
{
	struct flag_pool *pool = *state;
	const struct flags *none = flags_empty(pool);

	assert_flags(none, "");
	assert_true(flags_are_empty(none));
	assert_ptr_equal(intern(pool, ""), none);
	assert_ptr_equal(intern(pool, "\\Recent"), none);
	assert_ptr_equal(flags_intern(pool, NULL, 0), none);
	assert_false(flags_are_empty(intern(pool, "a")));
	assert_false(flags_contain(none, "a"));
	assert_ptr_equal(flags_union(pool, none, none), none);
	assert_ptr_equal(flags_minus(pool, none, none), none);
}

static void contain(void **state)
{
	const struct flags *flags = intern(*state, "\\Seen $a b C x]y");

	assert_true(flags_contain(flags, "\\seen"));
	assert_true(flags_contain(flags, "$A"));
	assert_true(flags_contain(flags, "B"));
	assert_true(flags_contain(flags, "c"));
	assert_true(flags_contain(flags, "X]Y"));
	assert_false(flags_contain(flags, "seen"));
	assert_false(flags_contain(flags, "d"));
	assert_false(flags_contain(flags, ""));
}

static void algebra(void **state)
{
	static const struct {
		const char *one, *other, *both, *minus;
	} table[] = {
		{"a b", "b c", "a b c", "a"},
		{"a", "", "a", "a"},
		{"", "a", "a", ""},
		{"a b", "A B", "a b", ""},
		{"a c e", "b d f", "a b c d e f", "a c e"},
		{"\\Seen \\Flagged", "\\Seen b", "\\Flagged \\Seen b", "\\Flagged"},
	};
	struct flag_pool *pool = *state;

	for (size_t i = 0; i < ARRAY_LEN(table); i++) {
		const struct flags *one = intern(pool, table[i].one);
		const struct flags *other = intern(pool, table[i].other);

		assert_flags(flags_union(pool, one, other), table[i].both);
		assert_ptr_equal(flags_union(pool, other, one), intern(pool, table[i].both));
		assert_ptr_equal(flags_minus(pool, one, other), intern(pool, table[i].minus));
		assert_ptr_equal(flags_union(pool, one, one), one);
		assert_true(flags_are_empty(flags_minus(pool, one, one)));
	}
}

static void storable(void **state)
{
	static const struct {
		const char *flags, *permanent, *expected;
		bool open;
	} table[] = {
		{"\\Seen $x y", "\\Seen \\Deleted \\*", "$x \\Seen y", true},
		{"\\Seen \\Flagged y", "\\Seen \\*", "\\Seen y", true},
		{"\\Seen $x y", "\\seen $X", "$x \\Seen", false},
		{"\\Seen y", "", "", false},
		{"", "\\*", "", true},
		{"\\Seen \\Foo", "\\*", "", true},
		{"\\* x", "\\* x", "x", true},
	};
	struct flag_pool *pool = *state;

	for (size_t i = 0; i < ARRAY_LEN(table); i++) {
		const struct flags *permanent = intern(pool, table[i].permanent);
		const struct flags *flags = intern(pool, table[i].flags);

		assert_flags(flags_storable(pool, flags, permanent), table[i].expected);
		assert_flags(flags_storable(pool, intern(pool, "unheard-of"), permanent),
			table[i].open ? "unheard-of" : "");
	}
}

static void invalid(void **state)
{
	static const char *const table[] = {"\\", "a(b", "a)b", "a{b", "a%b", "a*b", "*", "\\*x",
		"a\"b", "a\\b", "\\\\Seen", "a\tb", "a\x7f", "caf\xc3\xa9"};
	struct flag_pool *pool = *state;

	for (size_t i = 0; i < ARRAY_LEN(table); i++) {
		struct slice atoms[2] = {{"fine", 4}, {table[i], strlen(table[i])}};

		if (flags_intern(pool, atoms, 2) != NULL)
			fail_msg("accepted: %s", table[i]);
	}
	assert_null(flags_intern(pool, &(struct slice){"", 0}, 1));
	assert_null(flags_intern(pool, &(struct slice){"a\0b", 3}, 1));
	assert_null(flags_intern(pool, &(struct slice){"a b", 3}, 1));
}

static void name_limit(void **state)
{
	char name[LIMIT_FLAG_NAME + 1];

	memset(name, 'a', sizeof(name));
	assert_non_null(flags_intern(*state, &(struct slice){name, LIMIT_FLAG_NAME}, 1));
	assert_null(flags_intern(*state, &(struct slice){name, LIMIT_FLAG_NAME + 1}, 1));
}

static void message_limit(void **state)
{
	static struct slice atoms[LIMIT_FLAGS_PER_MESSAGE + 1];
	static char names[ARRAY_LEN(atoms)][8];

	for (size_t i = 0; i < ARRAY_LEN(atoms); i++) {
		(void)snprintf(names[i], sizeof(names[i]), "f%zu", i);
		atoms[i] = slice_of(names[i]);
	}
	assert_non_null(flags_intern(*state, atoms, LIMIT_FLAGS_PER_MESSAGE));
	assert_null(flags_intern(*state, atoms, LIMIT_FLAGS_PER_MESSAGE + 1));
}

/* A full pool still knows what it holds, and derives. */
static void list_limit(void **state)
{
	struct flag_pool *pool = *state;
	const struct flags *one, *other;
	char name[16];

	for (size_t i = 0; i < LIMIT_FLAG_LISTS; i++) {
		(void)snprintf(name, sizeof(name), "f%zu", i);
		assert_non_null(intern(pool, name));
	}
	assert_null(intern(pool, "more"));
	assert_null(intern(pool, "f1 f2"));
	one = intern(pool, "F1");
	other = intern(pool, "f2");
	assert_flags(one, "f1");
	assert_flags(intern(pool, ""), "");
	assert_flags(flags_union(pool, one, other), "f1 f2");
	assert_ptr_equal(intern(pool, "f1 f2"), flags_union(pool, one, other));
}

/* Few lists, but long ones: bytes are limited as well. */
static void bytes_limit(void **state)
{
	static struct slice atoms[LIMIT_FLAGS_PER_MESSAGE];
	static char names[ARRAY_LEN(atoms)][LIMIT_FLAG_NAME];
	struct flag_pool *pool = *state;
	size_t lists = 0;

	for (size_t i = 0; i < ARRAY_LEN(atoms); i++) {
		memset(names[i], 'a', sizeof(names[i]));
		(void)snprintf(names[i], 8, "%zu", i);
		names[i][strlen(names[i])] = '.';
		atoms[i] = (struct slice){names[i], sizeof(names[i])};
	}
	while (lists < ARRAY_LEN(atoms) &&
		flags_intern(pool, atoms, ARRAY_LEN(atoms) - lists) != NULL)
		lists++;
	assert_in_range(lists, 100, LIMIT_FLAG_BYTES / (LIMIT_FLAGS_PER_MESSAGE / 2));
	assert_true(lists < ARRAY_LEN(atoms));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(equal_is_identical, setup, teardown),
		cmocka_unit_test_setup_teardown(first_spelling, setup, teardown),
		cmocka_unit_test_setup_teardown(empty, setup, teardown),
		cmocka_unit_test_setup_teardown(contain, setup, teardown),
		cmocka_unit_test_setup_teardown(algebra, setup, teardown),
		cmocka_unit_test_setup_teardown(storable, setup, teardown),
		cmocka_unit_test_setup_teardown(invalid, setup, teardown),
		cmocka_unit_test_setup_teardown(name_limit, setup, teardown),
		cmocka_unit_test_setup_teardown(message_limit, setup, teardown),
		cmocka_unit_test_setup_teardown(list_limit, setup, teardown),
		cmocka_unit_test_setup_teardown(bytes_limit, setup, teardown),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
