/* SPDX-License-Identifier: MIT */
/* Flag lists: one a line, flags with spaces between them.  Each is combined with the one before. */
#include <stdbool.h>

#include "sync/base/limits.h"
#include "sync/imap/flags.h"
#include "tests/fuzz/fuzz.h"

enum { MOST = 64 };

/* Cuts a text at the spaces.  Returns how many words. */
static size_t split(const char *text, size_t len, struct slice *words)
{
	size_t count = 0, at = 0;

	while (at < len && count < MOST) {
		const char *space = memchr(text + at, ' ', len - at);
		size_t end = space != NULL ? (size_t)(space - text) : len;

		words[count++] = (struct slice){text + at, end - at};
		at = end + 1;
	}
	return count;
}

/* Whatever the order and the case. */
static void check_identity(struct flag_pool *pool, const struct flags *flags)
{
	size_t len = strlen(flags_text(flags));
	char *text = fuzz_copy(flags_text(flags), len);
	struct slice words[MOST], reversed[MOST];
	size_t count;

	for (size_t i = 0; i < len; i++)
		if ((text[i] >= 'a' && text[i] <= 'z') || (text[i] >= 'A' && text[i] <= 'Z'))
			text[i] = (char)(text[i] ^ 0x20);
	count = split(text, len, words);
	for (size_t i = 0; i < count; i++)
		reversed[count - 1 - i] = words[i];
	if (count < MOST) {
		CHECK(flags_intern(pool, words, count) == flags);
		CHECK(flags_intern(pool, reversed, count) == flags);
	}
	free(text);
}

static void check_algebra(
	struct flag_pool *pool, const struct flags *one, const struct flags *other)
{
	const struct flags *both = flags_union(pool, one, other);
	const struct flags *minus = flags_minus(pool, one, other);
	const struct flags *storable = flags_storable(pool, one, other);

	CHECK(both == flags_union(pool, other, one));
	CHECK(flags_minus(pool, minus, other) == minus);
	CHECK(flags_union(pool, minus, other) == both);
	CHECK(flags_are_empty(flags_minus(pool, one, both)));
	CHECK(flags_are_empty(flags_minus(pool, storable, one)));
	CHECK(flags_storable(pool, storable, other) == storable);
	CHECK(!flags_contain(storable, "\\*") && !flags_contain(both, "\\Recent"));
	CHECK(flags_contain(both, "\\*") ==
		(flags_contain(one, "\\*") || flags_contain(other, "\\*")));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct flag_pool *pool = flag_pool_new();
	const struct flags *before = flags_empty(pool);
	char *text = fuzz_copy(data, size);
	size_t at = 0;

	while (at < size) {
		const char *newline = memchr(text + at, '\n', size - at);
		size_t end = newline != NULL ? (size_t)(newline - text) : size;
		struct slice words[MOST];
		const struct flags *flags =
			flags_intern(pool, words, split(text + at, end - at, words));

		if (flags != NULL) {
			check_identity(pool, flags);
			check_algebra(pool, flags, before);
			check_algebra(pool, before, flags);
			before = flags;
		}
		at = end + 1;
	}
	free(text);
	flag_pool_free(pool);
	return 0;
}
