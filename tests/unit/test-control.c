/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "sync/base/xalloc.h"
#include "sync/command/control-request.h"
#include "sync/command/control-wire.h"

/* --- Lines --- */

/* Feeds the text in pieces of n bytes; what became of each line, "+" for an object, "-" for none.
 */
static char *read_lines(const char *text, size_t len, size_t n, size_t max)
{
	struct control_input input;
	struct buf found;
	bool fits = true;

	control_input_init(&input, max);
	buf_init(&found, SIZE_MAX);
	for (size_t at = 0; at < len && fits; at += n) {
		_cleanup_free_ char *reason = NULL;
		json_t *object = NULL;
		int r;

		fits = control_input_feed(&input, text + at, n < len - at ? n : len - at);
		while (fits && (r = control_input_next(&input, &object, &reason)) != 0) {
			assert_true(buf_putc(&found, r > 0 ? '+' : '-'));
			assert_int_equal(r, r > 0 ? 1 : -EINVAL);
			assert_true((reason != NULL) == (r < 0));
			json_decref(take(object));
			free(take(reason));
		}
	}
	if (!fits)
		assert_true(buf_puts(&found, "too long"));
	control_input_done(&input);
	return buf_steal(&found);
}

static void assert_lines(const char *text, size_t len, const char *wanted)
{
	for (size_t n = 1; n <= len + 1; n++) {
		_cleanup_free_ char *found = read_lines(text, len, n, 1000);

		assert_string_equal(found, wanted);
	}
}

#define ASSERT_LINES(text, wanted) assert_lines(text, sizeof(text) - 1, wanted)

static void test_lines(void **state)
{
	ASSERT_LINES("{}\n", "+");
	ASSERT_LINES("{\"a\": [1, 2]}\n{\"b\": \"\\n\"}\n{", "++");
	ASSERT_LINES("{}", ""); /* no line yet */
	ASSERT_LINES("", "");
	ASSERT_LINES("{\"a\": \"\xc3\xa9\"}\r\n", "+");
}

static void test_lines_that_are_none(void **state)
{
	ASSERT_LINES("\n[]\n1\nnull\n\"a\"\n", "-----");
	ASSERT_LINES("{\n}\n", "--");
	ASSERT_LINES("{} {}\n{}\n", "-+");
	ASSERT_LINES("{\"a\": 1, \"a\": 2}\n", "-"); /* which one is meant? */
	ASSERT_LINES("{\"a\": \"\xff\"}\n", "-");
	ASSERT_LINES("{\"a\": \"\\u0000\"}\n", "-");
	ASSERT_LINES("{\"a\": \"\\ud800\"}\n", "-");
	ASSERT_LINES("{\"a\": 1e999}\n", "-");
	ASSERT_LINES("{\"a\"\0: 1}\n", "-");
	ASSERT_LINES("GET / HTTP/1.1\r\n\r\n", "--");
}

static void test_depth(void **state)
{
	enum { DEPTH = 20000 };
	_cleanup_free_ char *text = xmalloc(DEPTH + 1), *found = NULL;

	memset(text, '[', DEPTH);
	text[DEPTH] = '\n';
	found = read_lines(text, DEPTH + 1, 4096, 64 << 10);
	assert_string_equal(found, "-");
}

static void test_maximum(void **state)
{
	_cleanup_free_ char *just = read_lines("{ }\n", 4, 1, 4);
	_cleanup_free_ char *more = read_lines("{  }\n", 5, 1, 4);
	_cleanup_free_ char *many = read_lines("{ }\n{ }\n{ }\n", 12, 1, 4);

	assert_string_equal(just, "+");
	assert_string_equal(more, "too long");
	assert_string_equal(many, "+++");
}

/* --- Text --- */

static void test_text(void **state)
{
	static const char *const texts[] = {
		"", "INBOX", "a\nb\t\"\\\x01\x7f", "\xc3\xa9\xf0\x9f\x98\x80", "\xff\xfe", "a\xc3"};

	for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
		_cleanup_free_ char *line = NULL, *back = NULL;
		struct buf output;
		json_t *object = NULL;

		buf_init(&output, 1000);
		assert_true(
			control_put(&output, json_pack("{s:o}", "text", control_text(texts[i]))));
		line = buf_steal(&output);
		/* One line, whatever the text holds. */
		assert_ptr_equal(strchr(line, '\n'), line + strlen(line) - 1);
		object = json_loads(line, 0, NULL);
		back = control_text_value(json_object_get(object, "text"));
		assert_string_equal(back, texts[i]);
		json_decref(object);
	}
}

static void test_text_that_is_none(void **state)
{
	static const char *const values[] = {"null", "1", "[\"a\"]", "{}", "{\"hex\": 1}",
		"{\"hex\": \"6\"}", "{\"hex\": \"6g\"}", "{\"hex\": \"FF\"}", "{\"hex\": \"00\"}",
		"{\"hex\": \"61\", \"b\": 1}", "{\"other\": \"61\"}"};

	for (size_t i = 0; i < ARRAY_LEN(values); i++) {
		json_t *value = json_loads(values[i], JSON_DECODE_ANY, NULL);

		assert_non_null(value);
		assert_null(control_text_value(value));
		json_decref(value);
	}
	assert_null(control_text_value(NULL));
}

static void test_output_that_does_not_fit(void **state)
{
	struct buf output;

	buf_init(&output, 15);
	assert_true(control_put(&output, json_pack("{s:b}", "a", 1)));
	assert_false(control_put(&output, json_pack("{s:b}", "a", 1)));
	assert_int_equal(buf_len(&output), strlen("{\"a\":true}\n"));
	buf_done(&output);
}

/* --- Requests --- */

static int parse(const char *text, struct control_request *ret, char **ret_reason)
{
	json_t *object = json_loads(text, 0, NULL);
	int r;

	assert_non_null(object);
	r = control_request_parse(object, ret, ret_reason);
	json_decref(object);
	return r;
}

static void test_requests(void **state)
{
	static const char *const one[] = {"INBOX", NULL}, *const two[] = {"a", "\xff", NULL};
	static const struct control_request requests[] = {
		{.job = {JOB_SYNC}, .level = LOG_LEVEL_INFO},
		{.job = {JOB_SYNC, .mailboxes = one, .allow_deletions = true}},
		{.job = {JOB_REPAIR, .mailboxes = two}, .level = LOG_LEVEL_DEBUG},
		{.job = {JOB_DELETE, .mailboxes = one, .local = true}},
		{.job = {JOB_RENAME, .mailboxes = two, .remote = true, .database = true}},
		{.job = {JOB_STATUS}},
	};

	for (size_t i = 0; i < ARRAY_LEN(requests); i++) {
		const struct control_request *wanted = &requests[i];
		_cleanup_free_ char *reason = NULL;
		struct control_request found;
		json_t *object = control_request_object(wanted);
		size_t n = 0;

		assert_int_equal(control_request_parse(object, &found, &reason), 0);
		json_decref(object);
		assert_int_equal(found.job.kind, wanted->job.kind);
		assert_int_equal(found.level, wanted->level);
		assert_int_equal(found.job.allow_deletions, wanted->job.allow_deletions);
		assert_int_equal(found.job.local, wanted->job.local);
		assert_int_equal(found.job.remote, wanted->job.remote);
		assert_int_equal(found.job.database, wanted->job.database);
		assert_true((found.job.mailboxes == NULL) == (wanted->job.mailboxes == NULL));
		for (; wanted->job.mailboxes != NULL && wanted->job.mailboxes[n] != NULL; n++)
			assert_string_equal(found.job.mailboxes[n], wanted->job.mailboxes[n]);
		assert_true(wanted->job.mailboxes == NULL || found.job.mailboxes[n] == NULL);
		control_request_done(&found);
	}
}

static void test_least_request(void **state)
{
	_cleanup_free_ char *reason = NULL;
	struct control_request request;

	assert_int_equal(parse("{\"command\": \"sync\"}", &request, &reason), 0);
	assert_int_equal(request.level, LOG_LEVEL_INFO);
	assert_null(request.job.mailboxes);
}

static void test_requests_that_are_none(void **state)
{
	static const char *const texts[] = {"{}", "{\"command\": 1}", "{\"command\": \"stop\"}",
		"{\"command\": \"sync\", \"dry-run\": true}",
		"{\"command\": \"sync\", \"mailboxes\": \"INBOX\"}",
		"{\"command\": \"sync\", \"mailboxes\": [\"a\", 1]}",
		"{\"command\": \"sync\", \"mailboxes\": [{\"hex\": \"0\"}]}",
		"{\"command\": \"sync\", \"level\": 5}", "{\"command\": \"sync\", \"level\": -1}",
		"{\"command\": \"sync\", \"level\": \"info\"}",
		"{\"command\": \"sync\", \"level\": 4294967296}",
		"{\"command\": \"sync\", \"allow_deletions\": 1}",
		"{\"command\": \"sync\", \"allow_deletions\": true}", /* of what? */
		"{\"command\": \"status\", \"mailboxes\": [\"a\"]}",
		"{\"command\": \"status\", \"allow_deletions\": true}",
		"{\"command\": \"delete\", \"targets\": [\"local\"]}",
		"{\"command\": \"delete\", \"mailboxes\": [\"a\"]}",
		"{\"command\": \"delete\", \"mailboxes\": [\"a\"], \"targets\": [\"all\"]}",
		"{\"command\": \"delete\", \"mailboxes\": [\"a\"], \"targets\": \"local\"}",
		"{\"command\": \"delete\", \"mailboxes\": [\"a\"], \"targets\": [\"local\"], "
		"\"allow_deletions\": true}",
		"{\"command\": \"rename\", \"mailboxes\": [\"a\"], \"targets\": [\"local\"]}",
		"{\"command\": \"rename\", \"mailboxes\": [\"a\", \"b\", \"c\"], \"targets\": "
		"[\"local\"]}"};

	for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
		_cleanup_free_ char *reason = NULL;
		struct control_request request;

		if (parse(texts[i], &request, &reason) != -EINVAL)
			fail_msg("taken: %s", texts[i]);
		assert_non_null(reason);
		assert_null(request.job.mailboxes); /* nothing is left to release */
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_lines),
		cmocka_unit_test(test_lines_that_are_none),
		cmocka_unit_test(test_depth),
		cmocka_unit_test(test_maximum),
		cmocka_unit_test(test_text),
		cmocka_unit_test(test_text_that_is_none),
		cmocka_unit_test(test_output_that_does_not_fit),
		cmocka_unit_test(test_requests),
		cmocka_unit_test(test_least_request),
		cmocka_unit_test(test_requests_that_are_none),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
