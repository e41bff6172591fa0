/* SPDX-License-Identifier: MIT */
#include "imap-fixture.h"

#include "sync/base/limits.h"
#include "sync/imap/input.h"

/* Writes down what happens; a body is "<head:size|bytes>", a response is in brackets. */
struct recorder {
	struct input_sink sink;
	struct buf log;
	uint64_t refuse_size; /* bodies of this size are not wanted */
	uint64_t fail_size; /* bodies of this size cannot be stored */
	bool failing;
};

static void put(struct recorder *recorder, const char *data, size_t n)
{
	for (size_t i = 0; i < n; i++)
		assert_true(buf_putc(&recorder->log, data[i] != '\0' ? data[i] : '@'));
}

static bool on_begin(struct input_sink *sink, const char *head, size_t head_len, uint64_t size)
{
	struct recorder *recorder = container_of(sink, struct recorder, sink);

	if (size == recorder->refuse_size)
		return false;
	put(recorder, "<", 1);
	put(recorder, head, head_len);
	assert_true(buf_printf(&recorder->log, ":%llu|", (unsigned long long)size));
	recorder->failing = size == recorder->fail_size;
	return true;
}

static bool on_data(struct input_sink *sink, const char *data, size_t n)
{
	struct recorder *recorder = container_of(sink, struct recorder, sink);

	assert_true(n > 0);
	if (recorder->failing) {
		put(recorder, "!", 1);
		return false;
	}
	put(recorder, data, n);
	return true;
}

static void on_end(struct input_sink *sink)
{
	struct recorder *recorder = container_of(sink, struct recorder, sink);

	put(recorder, ">", 1);
}

static void recorder_init(struct recorder *recorder)
{
	*recorder = (struct recorder){
		.sink = {.begin = on_begin, .data = on_data, .end = on_end},
		.refuse_size = UINT64_MAX,
		.fail_size = UINT64_MAX,
	};
	buf_init(&recorder->log, 64 << 20);
}

/* Feeds one chunk, in a block of its own.  False after an error. */
static bool feed(struct recorder *recorder, struct input *input, const char *data, size_t n)
{
	_cleanup_free_ char *copy = xmemdup0(data, n);
	size_t at = 0;

	do {
		size_t used = SIZE_MAX, len = 0;
		enum input_result result = input_feed(input, copy + at, n - at, &used);

		assert_true(used <= n - at);
		at += used;
		if (result == INPUT_ERROR) {
			assert_non_null(input_error(input));
			put(recorder, "ERROR", 5);
			return false;
		}
		assert_null(input_error(input));
		if (result == INPUT_RESPONSE) {
			const char *text = input_response(input, &len);

			put(recorder, "[", 1);
			put(recorder, text, len);
			put(recorder, "]", 1);
		} else {
			assert_int_equal(at, n);
		}
	} while (at < n);
	return true;
}

/* How a stream is cut. */
struct chunking {
	size_t first; /* 0: then all chunks are of `rest` bytes */
	size_t rest;
};

static char *run(const char *data, size_t n, struct chunking chunking)
{
	struct recorder recorder;
	struct input *input;
	size_t at = 0, part = chunking.first > 0 ? chunking.first : chunking.rest;

	recorder_init(&recorder);
	recorder.refuse_size = 6;
	recorder.fail_size = 7;
	input = input_new(&recorder.sink);
	while (at < n) {
		if (part > n - at)
			part = n - at;
		if (!feed(&recorder, input, data + at, part))
			break;
		at += part;
		part = chunking.rest;
	}
	input_free(input);
	return buf_steal(&recorder.log);
}

static void check(const char *data, size_t n, const char *expected, struct chunking chunking)
{
	_cleanup_free_ char *log = run(data, n, chunking);

	if (strcmp(log, expected) != 0)
		fail_msg("chunks of %zu and %zu:\n got      %s\n expected %s", chunking.first,
			chunking.rest, log, expected);
}

struct sample {
	const char *data;
	size_t len;
	const char *expected;
};

static void check_all(const struct sample *samples, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		const struct sample *s = &samples[i];

		check(s->data, s->len, s->expected, (struct chunking){0, SIZE_MAX});
		for (size_t n = 1; n <= 3; n++)
			check(s->data, s->len, s->expected, (struct chunking){0, n});
		for (size_t n = 1; n < s->len; n++)
			check(s->data, s->len, s->expected, (struct chunking){n, SIZE_MAX});
	}
}

static void lines(void **state)
{
	static const struct sample samples[] = {
		{BYTES("* OK hi\r\n"), "[* OK hi]"},
		{BYTES("* OK hi\n* OK there\r\n+ \r\n+\r\n"), "[* OK hi][* OK there][+ ][+]"},
		{BYTES("\r\n\n\r\n* OK hi\r\n\r\na1 OK done\r\n"), "[* OK hi][a1 OK done]"},
		{BYTES("* OK a\rb\r\r\n"), "[* OK a\rb\r]"},
		{BYTES("* OK incomplete"), ""},
		{BYTES("* OK incomplete\r"), ""},
	};

	(void)state;
	check_all(samples, ARRAY_LEN(samples));
}

static void inline_literals(void **state)
{
	static const struct sample samples[] = {
		{BYTES("* LIST () \"/\" {5}\r\na\r\nb{\r\n"), "[* LIST () \"/\" {5}\r\na\r\nb{]"},
		{BYTES("* LIST () \"/\" {5}\na\r\nb{\n"), "[* LIST () \"/\" {5}\r\na\r\nb{]"},
		{BYTES("* LIST () \"/\" {0}\r\n\r\n+ x\r\n"), "[* LIST () \"/\" {0}\r\n][+ x]"},
		{BYTES("* STATUS {3}\r\na\0b (UIDNEXT 1)\r\n"),
			"[* STATUS {3}\r\na@b (UIDNEXT 1)]"},
		{BYTES("* 1 FETCH (X ~{2}\r\n\0\r Y ({1}\r\na {1+}\r\nb))\r\n"),
			"[* 1 FETCH (X ~{2}\r\n@\r Y ({1}\r\na {1+}\r\nb))]"},
		/* What a literal ends with is no announcement, nor part of a CRLF. */
		{BYTES("* X {3}\r\n{5}\r\n* X {2}\r\na\r\r\n"), "[* X {3}\r\n{5}][* X {2}\r\na\r]"},
		/* A header is kept, even when it looks like a body's name. */
		{BYTES("* 1 FETCH (BODY[HEADER.FIELDS (Message-ID)] {10}\r\nBODY[] {1})\r\n"),
			"[* 1 FETCH (BODY[HEADER.FIELDS (Message-ID)] {10}\r\nBODY[] {1})]"},
		{BYTES("* 1 FETCH (BODY[HEADER] {1}\r\nx)\r\n"),
			"[* 1 FETCH (BODY[HEADER] {1}\r\nx)]"},
		{BYTES("* 1 FETCH (BODY[1] {1}\r\nx RFC822.TEXT {1}\r\ny)\r\n"),
			"[* 1 FETCH (BODY[1] {1}\r\nx RFC822.TEXT {1}\r\ny)]"},
		/* Only in FETCH are there bodies. */
		{BYTES("* X (BODY[] {1}\r\nx)\r\n"), "[* X (BODY[] {1}\r\nx)]"},
		{BYTES("* X 1 FETCH (BODY[] {1}\r\nx)\r\n"), "[* X 1 FETCH (BODY[] {1}\r\nx)]"},
	};

	(void)state;
	check_all(samples, ARRAY_LEN(samples));
}

static void bodies(void **state)
{
	static const struct sample samples[] = {
		{BYTES("* 3 FETCH (UID 7 FLAGS () BODY[] {4}\r\nab\r\n)\r\na1 OK\r\n"),
			"<* 3 FETCH (UID 7 FLAGS () BODY[]:4|ab\r\n>"
			"[* 3 FETCH (UID 7 FLAGS () BODY[] @)][a1 OK]"},
		{BYTES("* 3 fetch (body[] {2}\na\0 UID 7)\n"),
			"<* 3 fetch (body[]:2|a@>[* 3 fetch (body[] @ UID 7)]"},
		{BYTES("* 3 FETCH (BODY[]<0> {1}\r\nx)\r\n"),
			"<* 3 FETCH (BODY[]<0>:1|x>[* 3 FETCH (BODY[]<0> @)]"},
		{BYTES("* 3 FETCH (BINARY[] ~{2}\r\n\0x)\r\n"),
			"<* 3 FETCH (BINARY[]:2|@x>[* 3 FETCH (BINARY[] @)]"},
		{BYTES("* 3 FETCH (RFC822   {1}\r\nx)\r\n"),
			"<* 3 FETCH (RFC822:1|x>[* 3 FETCH (RFC822   @)]"},
		{BYTES("* 3 FETCH (BODY[] {0}\r\n)\r\n"),
			"<* 3 FETCH (BODY[]:0|>[* 3 FETCH (BODY[] @)]"},
		{BYTES("* 3 FETCH (BODY[] {1}\r\nx RFC822 {1}\r\ny)\r\n"),
			"<* 3 FETCH (BODY[]:1|x>"
			"<* 3 FETCH (BODY[] @ RFC822:1|y>[* 3 FETCH (BODY[] @ RFC822 @)]"},
		/* A body that looks like responses. */
		{BYTES("* 3 FETCH (BODY[] {9}\r\na1 OK {1}\r\n)\r\n"),
			"<* 3 FETCH (BODY[]:9|a1 OK {1}>[* 3 FETCH (BODY[] @][)]"},
		{BYTES("* 3 FETCH (BODY[HEADER] {2}\r\nh\n BODY[] {1}\r\nx)\r\n"),
			"<* 3 FETCH (BODY[HEADER] {2}\r\nh\n BODY[]:1|x>"
			"[* 3 FETCH (BODY[HEADER] {2}\r\nh\n BODY[] @)]"},
		/* Not wanted; cannot be stored. */
		{BYTES("* 3 FETCH (BODY[] {6}\r\n123456)\r\n"), "[* 3 FETCH (BODY[] @)]"},
		{BYTES("* 3 FETCH (BODY[] {7}\r\n1234567)\r\n"),
			"<* 3 FETCH (BODY[]:7|!>[* 3 FETCH (BODY[] @)]"},
		{BYTES("* 3 FETCH (BODY[] {4}\r\nab"), "<* 3 FETCH (BODY[]:4|ab"},
	};

	(void)state;
	check_all(samples, ARRAY_LEN(samples));
}

static void quoted_bodies(void **state)
{
	static const struct sample samples[] = {
		{BYTES("* 3 FETCH (UID 7 BODY[] \"a\\\"b\" FLAGS ())\r\n"),
			"<* 3 FETCH (UID 7 BODY[]:3|a\"b>"
			"[* 3 FETCH (UID 7 BODY[] @      FLAGS ())]"},
		{BYTES("* 3 FETCH (BODY[] \"x\")\r\n"),
			"<* 3 FETCH (BODY[]:1|x>[* 3 FETCH (BODY[] @  )]"},
		{BYTES("* 3 FETCH (RFC822 \"x\" BODY[]<0> \"yz\")\r\n"),
			"<* 3 FETCH (RFC822:1|x><* 3 FETCH (RFC822 @   BODY[]<0>:2|yz>"
			"[* 3 FETCH (RFC822 @   BODY[]<0> @   )]"},
		{BYTES("* 3 FETCH (BODY[] \"\" X \"y\")\r\n"), "[* 3 FETCH (BODY[] \"\" X \"y\")]"},
		{BYTES("* 3 FETCH (BODY[] NIL)\r\n"), "[* 3 FETCH (BODY[] NIL)]"},
		{BYTES("* 3 FETCH (BODY[1] \"x\" INTERNALDATE \"y\")\r\n"),
			"[* 3 FETCH (BODY[1] \"x\" INTERNALDATE \"y\")]"},
		/* Strings and literals that only look like it. */
		{BYTES("* 3 FETCH (X \" BODY[] \" Y \"BODY[]\" \"z\")\r\n"),
			"[* 3 FETCH (X \" BODY[] \" Y \"BODY[]\" \"z\")]"},
		{BYTES("* 3 FETCH (X {7}\r\n BODY[] \"z\")\r\n"),
			"[* 3 FETCH (X {7}\r\n BODY[] \"z\")]"},
		{BYTES("* 3 FETCH (X {12}\r\n(BODY[] \"z\") Y)\r\n"),
			"[* 3 FETCH (X {12}\r\n(BODY[] \"z\") Y)]"},
		{BYTES("* 3 FETCH (X \"\\\" BODY[] \\\"y\")\r\n"),
			"[* 3 FETCH (X \"\\\" BODY[] \\\"y\")]"},
		{BYTES("* LIST () \"/\" \"BODY[] \"\r\n"), "[* LIST () \"/\" \"BODY[] \"]"},
	};

	(void)state;
	check_all(samples, ARRAY_LEN(samples));
}

/* A text for people may end with anything: no bytes must be waited for. */
static void no_literals_in_text(void **state)
{
	static const struct sample samples[] = {
		{BYTES("a1 NO No such mailbox: {9}\r\n* OK x\r\n"),
			"[a1 NO No such mailbox: {9}][* OK x]"},
		{BYTES("* ok {9}\r\n"), "[* ok {9}]"},
		{BYTES("* BYE ({9}\r\n"), "[* BYE ({9}]"},
		{BYTES("* PREAUTH [X] {9}\r\n"), "[* PREAUTH [X] {9}]"},
		{BYTES("+ {9}\r\n"), "[+ {9}]"},
		{BYTES("a1 BAD [BADCHARSET ({1}\r\n]{1}\r\n)] {9}\r\n"),
			"[a1 BAD [BADCHARSET ({1}\r\n]{1}][)] {9}]"},
		{BYTES("a1 BAD [BADCHARSET ({1}\r\nx)] {9}\r\n"),
			"[a1 BAD [BADCHARSET ({1}\r\nx)] {9}]"},
		{BYTES("* LIST () \"/\" foo{9}\r\n"), "[* LIST () \"/\" foo{9}]"},
		{BYTES("* X {}\r\n* X {a}\r\n* X 9}\r\n* X {9 }\r\n"),
			"[* X {}][* X {a}][* X 9}][* X {9 }]"},
	};

	(void)state;
	check_all(samples, ARRAY_LEN(samples));
}

static void errors(void **state)
{
	static const struct sample samples[] = {
		{BYTES("* OK a\0b\r\n* OK\r\n"), "ERROR"},
		{BYTES("* OK\r\n\0"), "[* OK]ERROR"},
		{BYTES("* X {1}\r\n\0\0\r\n"), "ERROR"},
		{BYTES("* LIST () \"/\" {1048577}\r\n"), "ERROR"},
		{BYTES("* 1 FETCH (BODY[] {9223372036854775808}\r\n"), "ERROR"},
		{BYTES("* 1 FETCH (BODY[] {99999999999999999999}\r\n"), "ERROR"},
	};

	(void)state;
	check_all(samples, ARRAY_LEN(samples));
}

static void error_is_sticky(void **state)
{
	struct input *input = input_new(NULL);
	size_t used = 9;

	(void)state;
	assert_int_equal(input_feed(input, "\0", 1, &used), INPUT_ERROR);
	assert_int_equal(input_feed(input, "* OK\r\n", 6, &used), INPUT_ERROR);
	assert_int_equal(used, 0);
	assert_int_equal(input_feed(input, "", 0, &used), INPUT_ERROR);
	input_free(input);
	assert_null(input_free(NULL));
}

static void without_sink(void **state)
{
	struct input *input = input_new(NULL);
	static const char text[] = "* 1 FETCH (BODY[] {3}\r\nabc)\r\n";
	size_t used, len;

	(void)state;
	assert_int_equal(input_feed(input, text, sizeof(text) - 1, &used), INPUT_RESPONSE);
	assert_memory_equal(input_response(input, &len), "* 1 FETCH (BODY[] \0)", 20);
	assert_int_equal(len, 20);
	input_free(input);
}

/* Feeds `count` times the same bytes; the last result. */
static enum input_result repeat(struct input *input, const char *data, size_t n, size_t count)
{
	enum input_result result = INPUT_MORE;
	size_t used;

	for (size_t i = 0; i < count && result == INPUT_MORE; i++)
		result = input_feed(input, data, n, &used);
	return result;
}

static void response_limit(void **state)
{
	static char block[1 << 20];
	size_t blocks = LIMIT_RESPONSE / sizeof(block), used, len;

	(void)state;
	memset(block, 'x', sizeof(block));
	for (int over = 0; over < 2; over++) {
		struct input *input = input_new(NULL);

		assert_int_equal(repeat(input, block, sizeof(block), blocks), INPUT_MORE);
		if (over == 0) {
			assert_int_equal(input_feed(input, "\n", 1, &used), INPUT_RESPONSE);
			input_response(input, &len);
			assert_int_equal(len, LIMIT_RESPONSE);
			/* … and what comes after is a response like any other. */
			assert_int_equal(input_feed(input, "* OK\n", 5, &used), INPUT_RESPONSE);
			input_response(input, &len);
			assert_int_equal(len, 4);
		} else {
			assert_int_equal(input_feed(input, "x", 1, &used), INPUT_ERROR);
		}
		input_free(input);
	}
}

/* Many literals, each within its limit, are limited as a whole. */
static void literals_limit(void **state)
{
	static char block[LIMIT_LITERAL_INLINE];
	static const char start[] = "* X {1048576}\r\n", next[] = " {1048576}\r\n";
	size_t blocks = LIMIT_RESPONSE / sizeof(block), used;
	struct input *input = input_new(NULL);

	(void)state;
	assert_int_equal(input_feed(input, start, sizeof(start) - 1, &used), INPUT_MORE);
	for (size_t i = 0; i < blocks - 1; i++) {
		assert_int_equal(input_feed(input, block, sizeof(block), &used), INPUT_MORE);
		assert_int_equal(input_feed(input, next, sizeof(next) - 1, &used), INPUT_MORE);
	}
	assert_int_equal(input_feed(input, block, sizeof(block), &used), INPUT_ERROR);
	input_free(input);
}

/* Bodies do not count: more than a response may have, in one. */
static void body_is_not_limited(void **state)
{
	static char block[1 << 20];
	static const char start[] = "* 1 FETCH (BODY[] {33554432}\r\n";
	size_t used, len;
	struct input *input = input_new(NULL);

	(void)state;
	assert_int_equal(input_feed(input, start, sizeof(start) - 1, &used), INPUT_MORE);
	assert_int_equal(repeat(input, block, sizeof(block), 32), INPUT_MORE);
	assert_int_equal(input_feed(input, ")\r\n", 3, &used), INPUT_RESPONSE);
	input_response(input, &len);
	assert_int_equal(len, 20);
	input_free(input);
}

/* Thousands of quoted bodies in one response take linear time: the square would not end in time. */
static void quoted_bodies_are_linear(void **state)
{
	static const char item[] = "BODY[] \"\\\"\" ";
	struct recorder recorder;
	struct input *input;
	size_t used;

	(void)state;
	recorder_init(&recorder);
	recorder.refuse_size = 1;
	input = input_new(&recorder.sink);
	assert_int_equal(input_feed(input, BYTES("* 1 FETCH ("), &used), INPUT_MORE);
	assert_int_equal(repeat(input, item, sizeof(item) - 1, 1000000), INPUT_MORE);
	assert_int_equal(input_feed(input, ")\n", 2, &used), INPUT_RESPONSE);
	assert_int_equal(buf_len(&recorder.log), 0);
	input_free(input);
	buf_done(&recorder.log);
}

/*
 * RFC 3501 has no empty line between responses.  A few are passed over; 200 MiB of them, which
 * DEFLATE makes of 200 KB, were read to the end, and counted as an answer that gets on.
 */
static void empty_lines_limit(void **state)
{
	static const char *const line_ends[] = {"\n", "\r\n"};
	size_t used;

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(line_ends); i++) {
		struct input *input = input_new(NULL);
		const char *line_end = line_ends[i];
		size_t n = strlen(line_end);

		/* As often as there are responses in between. */
		for (int round = 0; round < 3; round++) {
			assert_int_equal(repeat(input, line_end, n, LIMIT_EMPTY_LINES), INPUT_MORE);
			assert_int_equal(input_feed(input, "* OK\n", 5, &used), INPUT_RESPONSE);
		}
		assert_int_equal(repeat(input, line_end, n, LIMIT_EMPTY_LINES), INPUT_MORE);
		assert_int_equal(input_feed(input, line_end, n, &used), INPUT_ERROR);
		assert_string_equal(input_error(input), "the server sends only empty lines");
		input_free(input);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(lines),
		cmocka_unit_test(inline_literals),
		cmocka_unit_test(bodies),
		cmocka_unit_test(quoted_bodies),
		cmocka_unit_test(no_literals_in_text),
		cmocka_unit_test(errors),
		cmocka_unit_test(error_is_sticky),
		cmocka_unit_test(without_sink),
		cmocka_unit_test(response_limit),
		cmocka_unit_test(literals_limit),
		cmocka_unit_test(body_is_not_limited),
		cmocka_unit_test(quoted_bodies_are_linear),
		cmocka_unit_test(empty_lines_limit),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
