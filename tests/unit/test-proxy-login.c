/* SPDX-License-Identifier: MIT */
/* Commands before login, cut out of the bytes in any pieces. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "proxy/login.h"

/* Feeds all; how many times the client was told to go on.  The last result must be as expected. */
static unsigned feed(struct login_reader *reader, const char *text, size_t n, size_t step,
	enum login_result expected)
{
	enum login_result result = LOGIN_MORE;
	unsigned continues = 0;
	size_t at = 0;

	while (at < n && (result == LOGIN_MORE || result == LOGIN_CONTINUE)) {
		size_t used = 0, piece = step < n - at ? step : n - at;

		result = login_reader_feed(reader, text + at, piece, &used);
		continues += result == LOGIN_CONTINUE;
		at += used;
		if (result == LOGIN_TOO_LONG)
			break;
	}
	assert_int_equal(result, expected);
	if (expected == LOGIN_COMMAND)
		assert_int_equal(at, n);
	return continues;
}

static void check_login(
	const char *text, unsigned continues, const char *user, const char *password)
{
	for (size_t step = 1; step <= strlen(text); step++) {
		struct login_reader reader;
		struct login_command command;
		struct slice words[2];

		login_reader_init(&reader);
		assert_int_equal(feed(&reader, text, strlen(text), step, LOGIN_COMMAND), continues);
		assert_true(login_parse(&reader, &command));
		assert_true(slice_is(command.tag, "a1"));
		assert_true(slice_is(command.name, "LOGIN"));
		for (int i = 0; i < 2; i++)
			assert_true(lex_space(&command.arguments) &&
				    lex_astring(&command.arguments, &words[i]));
		assert_true(lex_at_end(&command.arguments));
		assert_int_equal(words[0].len, strlen(user));
		assert_memory_equal(words[0].data, user, words[0].len);
		assert_int_equal(words[1].len, strlen(password));
		assert_memory_equal(words[1].data, password, words[1].len);
		login_reader_done(&reader);
	}
}

static void test_forms_of_a_string(void **state)
{
	check_login("a1 login joe secret\r\n", 0, "joe", "secret");
	check_login("a1 LOGIN joe secret\n", 0, "joe", "secret");
	check_login("a1 LOGIN \"joe d\" \"s\\\"e\\\\c\"\r\n", 0, "joe d", "s\"e\\c");
	check_login("a1 LOGIN {3}\r\njoe {5}\r\na\r\nb{\r\n", 2, "joe", "a\r\nb{");
	check_login("a1 LOGIN {3+}\r\njoe {3+}\r\n{1}\r\n", 0, "joe", "{1}");
	check_login("a1 LOGIN joe {0}\r\n\r\n", 1, "joe", "");
	check_login("a1 LOGIN \"x\" caf\xc3\xa9\r\n", 0, "x", "caf\xc3\xa9");
}

static void test_stops_behind_the_command(void **state)
{
	static const char text[] = "a1 NOOP\r\na2 NOOP\r\n";
	struct login_reader reader;
	size_t used;

	login_reader_init(&reader);
	assert_int_equal(login_reader_feed(&reader, text, sizeof(text) - 1, &used), LOGIN_COMMAND);
	assert_int_equal(used, 9);
	login_reader_reset(&reader, false);
	assert_int_equal(login_reader_feed(&reader, text + 9, 9, &used), LOGIN_COMMAND);
	assert_true(slice_is(login_line(&reader), "a2 NOOP"));
	login_reader_done(&reader);
}

static void test_answer_line(void **state)
{
	struct login_reader reader;

	login_reader_init(&reader);
	login_reader_reset(&reader, true);
	assert_int_equal(feed(&reader, "AGE{3}\r\n", 8, 1, LOGIN_COMMAND), 0);
	assert_true(slice_is(login_line(&reader), "AGE{3}"));
	login_reader_done(&reader);
}

static void test_no_command(void **state)
{
	static const char *const lines[] = {"\r\n", "a1\r\n", "a1 \r\n", "+ x\r\n", "(a) b\r\n"};

	for (size_t i = 0; i < 5; i++) {
		struct login_reader reader;
		struct login_command command;

		login_reader_init(&reader);
		feed(&reader, lines[i], strlen(lines[i]), 1, LOGIN_COMMAND);
		assert_false(login_parse(&reader, &command));
		assert_int_equal(command.tag.len, i == 1 || i == 2 ? 2 : 0);
		login_reader_done(&reader);
	}
}

static void check_too_long(const char *head, size_t n, const char *tail)
{
	size_t head_len = strlen(head), tail_len = strlen(tail);
	char *text = malloc(head_len + n + tail_len);
	struct login_reader reader;

	memcpy(text, head, head_len);
	memset(text + head_len, 'x', n);
	memcpy(text + head_len + n, tail, tail_len);
	for (size_t step = 7; step < 100000; step *= 10) {
		login_reader_init(&reader);
		feed(&reader, text, head_len + n + tail_len, step, LOGIN_TOO_LONG);
		login_reader_done(&reader);
	}
	free(text);
}

static void test_limits(void **state)
{
	check_too_long("a LOGIN ", LIMIT_LOGIN_LINE, "\r\n");
	check_too_long("a LOGIN ", 100000, "");
	check_too_long("a LOGIN {4097}\r\n", 0, "");
	check_too_long("a LOGIN {4097+}\r\n", 0, "");
	check_too_long("a LOGIN {9999999999999999999}\r\n", 0, "");
}

static void test_many_literals(void **state)
{
	struct login_reader reader;
	size_t used;
	char bytes[4096] = "";

	login_reader_init(&reader);
	for (int i = 0; i < 3; i++) {
		assert_int_equal(login_reader_feed(&reader, " {4096+}\r\n", 10, &used), LOGIN_MORE);
		assert_int_equal(login_reader_feed(&reader, bytes, 4096, &used), LOGIN_MORE);
	}
	assert_int_equal(login_reader_feed(&reader, " {4096+}\r\n", 10, &used), LOGIN_MORE);
	assert_int_equal(login_reader_feed(&reader, bytes, 4096, &used), LOGIN_TOO_LONG);
	login_reader_done(&reader);
}

static bool decode(const char *base64, char **ret_user, char **ret_password)
{
	return login_decode_plain((struct slice){base64, strlen(base64)}, ret_user, ret_password);
}

static void test_plain(void **state)
{
	static const char *const bad[] = {
		"",
		"=",
		"AGpvZQBzZWNyZXQ", /* no padding */
		"AGpv*QBzZWNyZXQ=",
		"am9l", /* no NUL */
		"AGpvZQ==", /* one NUL */
		"AGpvZQBzAHQ=", /* three */
		"YW5uAGpvZQBzZWNyZXQ=", /* ann, as joe */
		"====",
	};
	char *user = NULL, *password = NULL;

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_false(decode(bad[i], &user, &password));
	assert_null(user);
	assert_true(decode("AGpvZQBzZWNyZXQ=", &user, &password));
	assert_string_equal(user, "joe");
	assert_string_equal(password, "secret");
	free(user);
	free(password);
	assert_true(decode("am9lAGpvZQBzZWNyZXQ=", &user, &password)); /* joe, as joe */
	assert_string_equal(user, "joe");
	free(user);
	free(password);
	assert_true(decode("AGoA", &user, &password)); /* an empty password */
	assert_string_equal(password, "");
	free(user);
	free(password);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_forms_of_a_string),
		cmocka_unit_test(test_stops_behind_the_command),
		cmocka_unit_test(test_answer_line),
		cmocka_unit_test(test_no_command),
		cmocka_unit_test(test_limits),
		cmocka_unit_test(test_many_literals),
		cmocka_unit_test(test_plain),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
