/* SPDX-License-Identifier: MIT */
/* Any tokens asked for in any order.  The first byte is how many, then one byte for each, then the
 * text. */
#include <stdbool.h>

#include "sync/imap/lexer.h"
#include "tests/fuzz/fuzz.h"

/* What a token may be: within the text, and what it was called with when it is not there. */
static bool take_slice(struct lexer *lexer, const char *start,
	bool (*lex)(struct lexer *lexer, struct slice *ret), bool nil)
{
	struct slice slice = {"", 0};
	bool ok = lex(lexer, &slice);

	if (ok && !(nil && slice.data == NULL))
		CHECK(slice.data >= start && slice.data + slice.len <= lexer->at);
	if (!ok)
		CHECK(slice.len == 0 && slice.data[0] == '\0');
	return ok;
}

static bool take_number(struct lexer *lexer, uint8_t which)
{
	uint32_t n32 = 5;
	uint64_t n64 = 5;
	bool ok;

	if (which % 3 == 0) {
		ok = lex_number32(lexer, &n32);
	} else if (which % 3 == 1) {
		ok = lex_expect_uid(lexer, &n32);
		CHECK(n32 > 0);
	} else {
		ok = lex_number64(lexer, &n64);
	}
	CHECK(ok || (n32 == 5 && n64 == 5));
	return ok;
}

static bool take_token(struct lexer *lexer, const char *start, uint8_t which)
{
	switch (which % 16) {
	case 0:
		return lex_space(lexer);
	case 1:
		return lex_char(lexer, '(');
	case 2:
		return lex_char(lexer, ')');
	case 3:
		return lex_keyword(lexer, "FETCH");
	case 4:
		return take_slice(lexer, start, lex_name, false);
	case 5:
		return take_slice(lexer, start, lex_atom, false);
	case 6:
		return take_slice(lexer, start, lex_flag, false);
	case 7:
		return take_slice(lexer, start, lex_string, false);
	case 8:
		return take_slice(lexer, start, lex_nstring, true);
	case 9:
		return take_slice(lexer, start, lex_astring, false);
	case 10:
		return lex_streamed(lexer);
	case 11:
		return lex_skip_value(lexer);
	case 12:
		return take_slice(lexer, start, lex_expect_section, false);
	case 13:
		return take_slice(lexer, start, lex_expect_nstring, true);
	case 14:
		return lex_char(lexer, '[');
	default:
		return take_number(lexer, which / 16);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	size_t count = fuzz_byte(&data, &size);
	const uint8_t *tokens = data;
	struct lexer lexer;
	char *text;

	if (count > size)
		count = size;
	data += count;
	size -= count;
	text = fuzz_copy(data, size);
	lex_init(&lexer, text, size);
	for (size_t i = 0; i < count; i++) {
		bool was_failed = lexer.failed;
		const char *before = lexer.at;
		bool ok = take_token(&lexer, text, tokens[i]);

		CHECK(lexer.at >= before && lexer.at <= lexer.end);
		CHECK(!(ok && lexer.failed) && !(was_failed && !lexer.failed));
		/* What is not there is not consumed. */
		CHECK(ok || lexer.failed || lexer.at == before);
	}
	if (!lexer.failed)
		CHECK(lex_rest(&lexer).len <= size && lex_at_end(&lexer));
	else
		CHECK(lex_rest(&lexer).len == 0 && !lex_at_end(&lexer));
	free(text);
	return 0;
}
