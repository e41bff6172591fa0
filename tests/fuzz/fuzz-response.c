/* SPDX-License-Identifier: MIT */
/* One response without the framing: any bytes, also those that input.c would not let through. */
#include "tests/fuzz/check-response.h"
#include "tests/unit/describe-response.h"

static void parse(struct response *response, const uint8_t *data, size_t size)
{
	char *text = fuzz_copy(data, size);

	if (response_parse(response, text, size)) {
		check_response(response, text, size);
		free(describe_response(response));
	}
	free(text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct response response;
	uint32_t uid = 0;
	time_t date;

	response_init(&response);
	parse(&response, data, size);
	/* The same struct again: what was left in it must not matter. */
	parse(&response, data, size);
	response_done(&response);
	(void)response_parse_head((const char *)data, size, &uid);
	(void)response_parse_date((struct slice){(const char *)data, size}, &date);
	return 0;
}
