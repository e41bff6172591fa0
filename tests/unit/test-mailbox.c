/* SPDX-License-Identifier: MIT */
#include "imap-fixture.h"

#include "sync/base/limits.h"
#include "sync/imap/mailbox.h"

static void from_wire(void **state)
{
	static const struct {
		const char *wire;
		char delimiter;
		const char *reference;
		const char *name;
		size_t len;
	} table[] = {
		{"foo", '/', "", BYTES("foo")},
		{"foo/bar/baz", '/', "", BYTES("foo\0bar\0baz")},
		{"foo.bar", '/', "", BYTES("foo.bar")},
		{"foo.bar", '.', "", BYTES("foo\0bar")},
		{"foo/bar", '\0', "", BYTES("foo/bar")},
		{"foo\\bar", '\\', "", BYTES("foo\0bar")},
		{"&AOk-t&AOk-/x", '/', "", BYTES("&AOk-t&AOk-\0x")},
		{"foo/", '/', "", BYTES("foo")},
		{"foo//", '/', "", BYTES("foo")},
		{"foo//bar", '/', "", BYTES("foo\0\0bar")},
		{"/foo", '/', "", BYTES("\0foo")},
		{"foo/", '\0', "", BYTES("foo/")},
		/* RFC 3501 section 5.1 */
		{"inbox", '/', "", BYTES("INBOX")},
		{"InBox/Sub/inbox", '/', "", BYTES("INBOX\0Sub\0inbox")},
		{"inbox.x", '.', "", BYTES("INBOX\0x")},
		{"inbox.x", '/', "", BYTES("inbox.x")},
		{"inboxes", '/', "", BYTES("inboxes")},
		{"sub/inbox", '/', "", BYTES("sub\0inbox")},
		/* list-reference */
		{"perso/foo/bar", '/', "perso/", BYTES("foo\0bar")},
		{"perso/inbox", '/', "perso/", BYTES("INBOX")},
		{"#news.comp", '.', "#news.", BYTES("comp")},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(table); i++) {
		struct mailbox_name name;

		assert_true(mailbox_from_wire(
			slice_of(table[i].wire), table[i].delimiter, table[i].reference, &name));
		assert_true(mailbox_name_equal(name.data, name.len, table[i].name, table[i].len));
		assert_int_equal(name.data[name.len], '\0');
		free(name.data);
	}
}

static void from_wire_refuses(void **state)
{
	static const struct {
		const char *wire;
		size_t len;
		const char *reference;
	} table[] = {
		{BYTES(""), ""},
		{BYTES("/"), ""},
		{BYTES("//"), ""},
		{BYTES("a\0b"), ""},
		{BYTES("a\rb"), ""},
		{BYTES("a\n"), ""},
		{BYTES("perso/"), "perso/"},
		{BYTES("perso"), "perso/"},
		{BYTES("personal/x"), "perso/"},
		{BYTES("Perso/x"), "perso/"},
		{BYTES("INBOX"), "perso/"},
		{BYTES("perso//"), "perso/"},
	};
	char name[LIMIT_MAILBOX_NAME + 1];
	struct mailbox_name result = {0};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(table); i++) {
		struct slice wire = {table[i].wire, table[i].len};

		if (mailbox_from_wire(wire, '/', table[i].reference, &result))
			fail_msg("accepted: %s", table[i].wire);
	}
	memset(name, 'x', sizeof(name));
	assert_false(
		mailbox_from_wire((struct slice){name, LIMIT_MAILBOX_NAME + 1}, '/', "", &result));
	assert_null(result.data);
	assert_true(mailbox_from_wire((struct slice){name, LIMIT_MAILBOX_NAME}, '/', "", &result));
	free(result.data);
}

static void to_wire(void **state)
{
	static const struct {
		const char *name;
		size_t len;
		char delimiter;
		const char *reference;
		const char *wire; /* NULL: impossible */
	} table[] = {
		{BYTES("foo"), '/', "", "foo"},
		{BYTES("foo\0bar"), '/', "", "foo/bar"},
		{BYTES("foo\0bar"), '.', "", "foo.bar"},
		{BYTES("foo\0bar"), '\0', "", NULL},
		{BYTES("foo"), '\0', "", "foo"},
		{BYTES("foo.bar"), '.', "", NULL},
		{BYTES("foo.bar"), '/', "", "foo.bar"},
		{BYTES("a.b\0c"), '.', "", NULL},
		{BYTES("INBOX"), '/', "", "INBOX"},
		{BYTES("INBOX\0x"), '.', "", "INBOX.x"},
		{BYTES("foo\0bar"), '/', "perso/", "perso/foo/bar"},
		{BYTES("foo"), '\0', "perso/", "perso/foo"},
		{BYTES("INBOX"), '/', "perso/", "perso/INBOX"},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(table); i++) {
		_cleanup_free_ char *wire = mailbox_to_wire(
			table[i].name, table[i].len, table[i].delimiter, table[i].reference);

		if (table[i].wire == NULL)
			assert_null(wire);
		else
			assert_string_equal(wire, table[i].wire);
	}
}

static void for_person(void **state)
{
	_cleanup_free_ char *slash = mailbox_for_person(BYTES("a\0b.c"), '/');
	_cleanup_free_ char *dot = mailbox_for_person(BYTES("a\0b"), '.');
	_cleanup_free_ char *flat = mailbox_for_person(BYTES("a\0b"), '\0');

	(void)state;
	assert_string_equal(slash, "a/b.c");
	assert_string_equal(dot, "a.b");
	assert_string_equal(flat, "a/b");
}

static void equality(void **state)
{
	(void)state;
	assert_true(mailbox_name_equal(BYTES("a\0b"), BYTES("a\0b")));
	assert_false(mailbox_name_equal(BYTES("a\0b"), BYTES("a\0c")));
	assert_false(mailbox_name_equal(BYTES("a\0b"), BYTES("a")));
	assert_false(mailbox_name_equal(BYTES("a"), BYTES("A")));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(from_wire),
		cmocka_unit_test(from_wire_refuses),
		cmocka_unit_test(to_wire),
		cmocka_unit_test(for_person),
		cmocka_unit_test(equality),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
