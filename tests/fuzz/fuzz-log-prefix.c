/* SPDX-License-Identifier: MIT */
/*
 * Formats of log-prefix that the check lets through, expanded by the log and by a stack: the same
 * must come out.  The first byte says what is known of the message, the rest is the format.
 */
#include <stdbool.h>

#include "sync/base/buf.h"
#include "sync/base/log.h"
#include "sync/base/printable.h"
#include "sync/config/values.h"
#include "tests/fuzz/fuzz.h"

enum { MOST_DEPTH = 16 };

struct level {
	bool outside, holds; /* what is around the condition is shown; the condition holds */
};

struct reference {
	struct level levels[MOST_DEPTH + 1]; /* the first is none */
	size_t depth;
	bool shown, mailbox_shown;
	struct buf out;
};

static const char *open_condition(
	struct reference *reference, const struct log_context *context, const char *at)
{
	const char *value = at[1] == 'n' ? context->side : context->mailbox;

	CHECK(reference->depth < MOST_DEPTH);
	reference->levels[++reference->depth] = (struct level){reference->shown, value != NULL};
	reference->shown = reference->shown && value != NULL;
	return at + 2;
}

static void put(struct reference *reference, const char *text)
{
	if (reference->shown && text != NULL)
		(void)buf_puts(&reference->out, text);
}

/* What stands behind a "%"; returns its last character. */
static const char *expand_specifier(
	struct reference *reference, const struct log_context *context, const char *at)
{
	if (*at == '?')
		return open_condition(reference, context, at);
	put(reference, *at == 'n' ? context->side : *at == 'm' ? context->mailbox : "%");
	reference->mailbox_shown |= *at == 'm' && reference->shown;
	return at;
}

static void expand(
	struct reference *reference, const struct log_context *context, const char *format)
{
	for (const char *at = format; *at != '\0'; at++) {
		const struct level *level = &reference->levels[reference->depth];

		if (*at == '%') {
			at = expand_specifier(reference, context, at + 1);
		} else if (*at == '&') {
			CHECK(reference->depth > 0);
			reference->shown = level->outside && !level->holds;
		} else if (*at == '?') {
			CHECK(reference->depth > 0);
			reference->shown = level->outside;
			reference->depth--;
		} else {
			if (*at == '\\' && at[1] != '\0' && strchr("&?\\", at[1]) != NULL)
				at++;
			put(reference, (const char[]){*at, '\0'});
		}
	}
	CHECK(reference->depth == 0);
}

static void check_line(const struct log_context *context, const char *format)
{
	struct reference reference = {.shown = true};
	char *line = log_line(LOG_LEVEL_INFO, context, "%s", "text"), *expected;

	buf_init(&reference.out, SIZE_MAX);
	expand(&reference, context, format);
	/* What is about no side names its mailbox in any case. */
	if (context->side == NULL && context->mailbox != NULL && !reference.mailbox_shown)
		(void)buf_puts(&reference.out, "INBOX: ");
	(void)buf_puts(&reference.out, "text");
	expected = buf_steal(&reference.out);
	printable_neutralise(expected);
	CHECK(printable(line) && strcmp(line, expected) == 0);
	free(expected);
	free(line);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	uint8_t known = fuzz_byte(&data, &size);
	size_t len = size > 0 ? strnlen((const char *)data, size) : 0;
	const struct log_context context = {
		.side = (known & 1) != 0 ? "local" : NULL,
		.mailbox = (known & 2) != 0 ? "INBOX" : NULL,
	};
	char *format = calloc(1, len + 1), *wrong;

	CHECK(format != NULL);
	if (len > 0)
		memcpy(format, data, len);
	wrong = value_check_log_prefix(format);
	if (wrong == NULL) {
		log_set_prefix(format);
		check_line(&context, format);
		log_set_prefix(NULL);
	}
	free(wrong);
	free(format);
	return 0;
}
