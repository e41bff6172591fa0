/* SPDX-License-Identifier: MIT */
/* How commands are put together, and how they are shown. */
#include "imap-fixture.h"

#include "sync/base/limits.h"
#include "sync/base/spool.h"
#include "sync/imap/command.h"

static struct command command;

static int setup(void **state)
{
	command_init(&command, NULL);
	return 0;
}

static int teardown(void **state)
{
	command_done(&command);
	return 0;
}

/* The pieces as they go over the wire; literals as "{n}" and their bytes.  To be freed. */
static char *wire_text(void)
{
	struct buf text;

	buf_init(&text, LIMIT_COMMAND_BYTES + 1024);
	for (size_t i = 0; i < command.pieces_count; i++) {
		const struct command_piece *piece = &command.pieces[i];

		if (piece->type == PIECE_LITERAL)
			buf_printf(&text, "{%zu}", piece->len);
		buf_append(&text, buf_data(&command.bytes) + piece->offset, piece->len);
	}
	return buf_steal(&text);
}

static void assert_wire(const char *expected)
{
	_cleanup_free_ char *text = wire_text();

	assert_string_equal(text, expected);
}

static void assert_description(const char *expected)
{
	_cleanup_free_ char *text = command_describe(&command);

	assert_string_equal(text, expected);
}

static void test_astrings(void **state)
{
	static const struct {
		const char *string, *written;
	} cases[] = {
		{"INBOX", "INBOX"},
		{"Lists.c++/2026-!#$&'+,-./:;<=>?@^_`|}~",
			"Lists.c++/2026-!#$&'+,-./:;<=>?@^_`|}~"},
		{"", "\"\""},
		{"NIL", "\"NIL\""},
		{"nil", "\"nil\""},
		{"nile", "nile"},
		{"two words", "\"two words\""},
		{"a(b", "\"a(b\""},
		{"a)b", "\"a)b\""},
		{"a{b", "\"a{b\""},
		{"a%b", "\"a%b\""},
		{"a*b", "\"a*b\""},
		{"a]b", "\"a]b\""},
		{"a\x7f"
		 "b",
			"\"a\x7f"
			"b\""},
		{"a\tb", "\"a\tb\""},
		{"a\"b\\c", "\"a\\\"b\\\\c\""},
		{"\\", "\"\\\\\""},
		{"\x80", "{1}\x80"},
		{"gr\xc3\xbcn", "{5}gr\xc3\xbcn"},
		{"a\rb", "{3}a\rb"},
		{"a\nb", "{3}a\nb"},
	};

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		command_mailbox(&command, cases[i].string);
		assert_wire(cases[i].written);
		command_done(&command);
		command_init(&command, NULL);
	}
}

static void test_nul_goes_as_a_literal(void **state)
{
	command_astring(&command, "a\0b", 3);
	assert_int_equal(command.pieces_count, 1);
	assert_int_equal(command.pieces[0].type, PIECE_LITERAL);
	assert_int_equal(command.pieces[0].len, 3);
	assert_memory_equal(buf_data(&command.bytes), "a\0b", 3);
}

/* Servers bound their lines, not their literals. */
static void test_long_strings_go_as_literals(void **state)
{
	char text[1002];

	memset(text, 'x', sizeof(text));
	command_astring(&command, text, 1000);
	assert_int_equal(command.pieces[0].type, PIECE_TEXT);
	assert_int_equal(command_line_length(&command), 1000);
	command_astring(&command, text, 1001);
	assert_int_equal(command.pieces_count, 2);
	assert_int_equal(command.pieces[1].type, PIECE_LITERAL);
	assert_int_equal(command_line_length(&command), 1000);
}

static void test_text_stays_together(void **state)
{
	command_puts(&command, "RENAME ");
	command_mailbox(&command, "a b");
	command_puts(&command, " ");
	command_mailbox(&command, "c");
	command_printf(&command, " %d%s", 7, "!");
	assert_int_equal(command.pieces_count, 1);
	assert_wire("RENAME \"a b\" c 7!");
	command_mailbox(&command, "\xff");
	command_puts(&command, " x");
	assert_int_equal(command.pieces_count, 3);
	assert_wire("RENAME \"a b\" c 7!{1}\xff x");
	assert_description("RENAME \"a b\" c 7!{1} x");
	assert_int_equal(command_line_length(&command), strlen("RENAME \"a b\" c 7! x"));
}

static void test_secrets(void **state)
{
	command_puts(&command, "LOGIN ");
	command_secret(&command, "name");
	command_puts(&command, " ");
	command_secret(&command, "pa\"ss");
	assert_wire("LOGIN \"name\" \"pa\\\"ss\"");
	assert_description("LOGIN <secret> <secret>");
	command_puts(&command, " ");
	command_secret(&command, "p\xc3\xa4ss");
	command_secret_text(&command, "AGEAYg==");
	assert_wire("LOGIN \"name\" \"pa\\\"ss\" {5}p\xc3\xa4ssAGEAYg==");
	assert_description("LOGIN <secret> <secret> {5}<secret>");
}

static void test_spool(void **state)
{
	struct spool *spool = spool_new(5000000000);

	command_puts(&command, "APPEND x ");
	command_spool(&command, spool);
	command_puts(&command, " ");
	command_spool(&command, spool);
	assert_description("APPEND x {5000000000} {5000000000}");
	assert_int_equal(command_line_length(&command), strlen("APPEND x  "));
	spool_free(spool);
}

static void assert_reason(enum outcome outcome, const char *text, const char *expected)
{
	_cleanup_free_ char *reason = NULL;

	command.outcome = outcome;
	command.text = text != NULL ? xstrdup(text) : NULL;
	reason = command_reason(&command);
	assert_string_equal(reason, expected);
	free(take(command.text));
}

static void test_reasons(void **state)
{
	assert_reason(OUTCOME_NO, "Mailbox doesn't exist", "NO: Mailbox doesn't exist");
	assert_reason(OUTCOME_BAD, "what?", "BAD: what?");
	assert_reason(OUTCOME_BAD, "", "BAD");
	assert_reason(OUTCOME_OK, NULL, "OK");
	assert_reason(OUTCOME_LOST, NULL, "the connection was lost");
	assert_reason(OUTCOME_CANCELLED, NULL, "cancelled");
	assert_reason(OUTCOME_PENDING, NULL, "not answered");
}

/* The same struct serves again, and keeps nothing of before. */
static void test_used_again(void **state)
{
	command_puts(&command, "FETCH");
	command.text = xstrdup("text");
	command.uids = xstrdup("1");
	command.source_uids = xstrdup("2");
	(void)seqset_add(&command.modified, 7);
	command_done(&command);
	assert_null(command.text);
	assert_null(command.uids);
	assert_null(command.source_uids);
	assert_int_equal(command.pieces_count, 0);
	command_init(&command, NULL);
	command_puts(&command, "NOOP");
	assert_wire("NOOP");
	assert_true(seqset_is_empty(&command.modified));
}

#define TEST(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(void)
{
	static const struct CMUnitTest tests[] = {
		TEST(test_astrings),
		TEST(test_nul_goes_as_a_literal),
		TEST(test_long_strings_go_as_literals),
		TEST(test_text_stays_together),
		TEST(test_secrets),
		TEST(test_spool),
		TEST(test_reasons),
		TEST(test_used_again),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
