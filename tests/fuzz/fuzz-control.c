/* SPDX-License-Identifier: MIT */
/*
 * What a caller says on the control socket, at any chunking: a request that is taken is the same
 * when it is said again.  The first byte is the length of the pieces, the rest what is said.
 */
#include "sync/base/limits.h"
#include "sync/command/control-request.h"
#include "sync/command/control-wire.h"
#include "tests/fuzz/fuzz.h"

static void check_same(const struct control_request *a, const struct control_request *b)
{
	size_t i = 0;

	CHECK(a->job.kind == b->job.kind && a->job.allow_deletions == b->job.allow_deletions);
	CHECK(a->job.local == b->job.local && a->job.remote == b->job.remote &&
		a->job.database == b->job.database);
	CHECK(a->level == b->level && (a->job.mailboxes == NULL) == (b->job.mailboxes == NULL));
	if (a->job.mailboxes == NULL)
		return;
	for (; a->job.mailboxes[i] != NULL; i++)
		CHECK(b->job.mailboxes[i] != NULL &&
			strcmp(a->job.mailboxes[i], b->job.mailboxes[i]) == 0);
	CHECK(b->job.mailboxes[i] == NULL);
}

static void say_again(const struct control_request *request)
{
	struct control_request again;
	struct control_input input;
	json_t *object = NULL;
	char *reason = NULL;
	struct buf line;

	buf_init(&line, LIMIT_CONTROL_OUTPUT);
	CHECK(control_put(&line, control_request_object(request)));
	control_input_init(&input, LIMIT_CONTROL_OUTPUT);
	CHECK(control_input_feed(&input, buf_data(&line), buf_len(&line)));
	CHECK(control_input_next(&input, &object, &reason) == 1);
	CHECK(control_request_parse(object, &again, &reason) == 0);
	check_same(request, &again);
	control_request_done(&again);
	json_decref(object);
	control_input_done(&input);
	buf_done(&line);
}

static void take_object(const json_t *object)
{
	struct control_request request;
	char *reason = NULL;
	int r = control_request_parse(object, &request, &reason);

	CHECK((r < 0) == (reason != NULL));
	if (r == 0) {
		say_again(&request);
		control_request_done(&request);
	}
	free(reason);
}

static void take_lines(struct control_input *input)
{
	json_t *object = NULL;
	char *reason = NULL;
	int r;

	while ((r = control_input_next(input, &object, &reason)) != 0) {
		CHECK((r < 0) == (reason != NULL) && (r < 0) == (object == NULL));
		if (object != NULL)
			take_object(object);
		json_decref(object);
		free(reason);
		object = NULL;
		reason = NULL;
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	size_t part = 1 + (size_t)fuzz_byte(&data, &size);
	struct control_input input;

	control_input_init(&input, LIMIT_CONTROL_REQUEST);
	while (size > 0) {
		size_t n = size < part ? size : part;
		char *copy = fuzz_copy(data, n);
		bool fits = control_input_feed(&input, copy, n);

		free(copy);
		if (!fits)
			break;
		take_lines(&input);
		data += n;
		size -= n;
	}
	control_input_done(&input);
	return 0;
}
