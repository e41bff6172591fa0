/* SPDX-License-Identifier: MIT */
/*
 * A server's stream, cut in pieces and whole: the same must come out.  The first byte says how the
 * pieces are cut, the rest is the stream.
 */
#include "sync/imap/input.h"
#include "tests/fuzz/check-response.h"
#include "tests/unit/describe-response.h"

struct recorder {
	struct input_sink sink;
	struct buf log;
	uint64_t left; /* bytes of the body still to come */
	bool open;
};

static bool on_begin(struct input_sink *sink, const char *head, size_t head_len, uint64_t size)
{
	struct recorder *recorder = container_of(sink, struct recorder, sink);
	uint32_t uid = 0;
	bool parsed = response_parse_head(head, head_len, &uid);

	CHECK(!recorder->open);
	buf_printf(&recorder->log, "begin %d %u %" PRIu64 " ", parsed, uid, size);
	buf_append(&recorder->log, head, head_len);
	recorder->open = size % 3 != 2;
	recorder->left = size;
	return recorder->open;
}

static bool on_data(struct input_sink *sink, const char *data, size_t n)
{
	struct recorder *recorder = container_of(sink, struct recorder, sink);

	CHECK(recorder->open && n > 0 && n <= recorder->left);
	recorder->left -= n;
	buf_append(&recorder->log, data, n);
	return true;
}

static void on_end(struct input_sink *sink)
{
	struct recorder *recorder = container_of(sink, struct recorder, sink);

	CHECK(recorder->open && recorder->left == 0);
	recorder->open = false;
	buf_puts(&recorder->log, " end\n");
}

static void on_response(struct recorder *recorder, struct input *input, struct response *response)
{
	size_t len;
	char *text = input_response(input, &len);
	char *copy;

	CHECK(!recorder->open && len > 0);
	buf_append(&recorder->log, text, len);
	copy = fuzz_copy(text, len);
	if (response_parse(response, copy, len)) {
		char *description = describe_response(response);

		check_response(response, copy, len);
		buf_printf(&recorder->log, " = %s\n", description);
		free(description);
	} else {
		buf_puts(&recorder->log, " malformed\n");
	}
	free(copy);
}

/* Length of the next piece. */
static size_t piece(uint32_t *state, uint8_t how, size_t left)
{
	size_t n = how;

	if (how == 0)
		return left;
	if (how >= 128) {
		*state = *state * 1103515245 + 12345;
		n = 1 + (*state >> 16) % (size_t)(how - 127);
	}
	return n < left ? n : left;
}

/* Feeds one piece; false after an error. */
static bool feed(struct recorder *recorder, struct input *input, struct response *response,
	const char *data, size_t n)
{
	size_t at = 0;

	while (at < n) {
		size_t used = 0;
		enum input_result result = input_feed(input, data + at, n - at, &used);

		CHECK(used <= n - at);
		at += used;
		if (result == INPUT_ERROR) {
			buf_printf(&recorder->log, "error: %s", input_error(input));
			CHECK(input_feed(input, "x", 1, &used) == INPUT_ERROR);
			return false;
		}
		if (result == INPUT_RESPONSE)
			on_response(recorder, input, response);
		else
			CHECK(at == n);
	}
	return true;
}

static void run(struct buf *log, const uint8_t *data, size_t size, uint8_t how)
{
	struct recorder recorder = {.sink = {.begin = on_begin, .data = on_data, .end = on_end}};
	struct input *input = input_new(&recorder.sink);
	struct response response;
	uint32_t state = how;

	buf_init(&recorder.log, 256 << 20);
	response_init(&response);
	while (size > 0) {
		size_t n = piece(&state, how, size);
		char *copy = fuzz_copy(data, n);
		bool ok = feed(&recorder, input, &response, copy, n);

		free(copy);
		if (!ok)
			break;
		data += n;
		size -= n;
	}
	response_done(&response);
	input_free(input);
	*log = recorder.log;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	uint8_t how = fuzz_byte(&data, &size);
	struct buf whole, pieces;

	run(&whole, data, size, 0);
	run(&pieces, data, size, how);
	CHECK(buf_len(&whole) == buf_len(&pieces));
	CHECK(memcmp(buf_data(&whole), buf_data(&pieces), buf_len(&whole)) == 0);
	buf_done(&whole);
	buf_done(&pieces);
	return 0;
}
