/* SPDX-License-Identifier: MIT */
#include "sync/imap/input.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "sync/base/buf.h"
#include "sync/base/limits.h"
#include "sync/base/xalloc.h"
#include "sync/imap/lexer.h"

/* Where the next byte belongs. */
enum place {
	PLACE_LINE,
	PLACE_LITERAL, /* kept within the response */
	PLACE_BODY, /* goes to the sink */
	PLACE_DONE, /* a response was handed out */
	PLACE_ERROR,
};

struct input {
	struct input_sink *sink;
	struct buf response;
	enum place place;
	unsigned empty_lines; /* since the last response */
	size_t line; /* where the text after the last literal begins */
	uint64_t left; /* bytes of the literal still to come */
	bool wanted; /* the sink wants the body */
	bool storing; /* … and did not fail so far */
	uint64_t body_bytes; /* that it took */
	const char *error;
};

/* The announcement of a literal at the end of a line. */
struct announcement {
	size_t at; /* offset of '{' or "~{" in the response */
	uint64_t size;
};

struct input *input_new(struct input_sink *sink)
{
	struct input *input = xcalloc(1, sizeof(*input));

	input->sink = sink;
	buf_init(&input->response, LIMIT_RESPONSE);
	return input;
}

struct input *input_free(struct input *input)
{
	if (input == NULL)
		return NULL;
	buf_done(&input->response);
	free(input);
	return NULL;
}

static enum input_result fail(struct input *input, const char *error)
{
	input->place = PLACE_ERROR;
	input->error = error;
	return INPUT_ERROR;
}

/* A single large response must not hold on to its memory for the life of the connection. */
static void start_response(struct input *input)
{
	if (input->response.size > LIMIT_READ)
		buf_done(&input->response);
	else
		buf_clear(&input->response);
	input->line = 0;
	input->empty_lines = 0;
	input->place = PLACE_LINE;
}

static void body_begin(struct input *input, const char *head, size_t head_len, uint64_t size)
{
	input->wanted =
		input->sink != NULL && input->sink->begin(input->sink, head, head_len, size);
	input->storing = input->wanted;
}

static void body_data(struct input *input, const char *data, size_t n)
{
	if (!input->storing || n == 0)
		return;
	input->storing = input->sink->data(input->sink, data, n);
	if (input->storing)
		input->body_bytes += n;
}

static void body_end(struct input *input)
{
	if (input->wanted)
		input->sink->end(input->sink);
}

/* Lexer over the response so far; it must not unescape anything. */
static struct lexer lexer_over(const struct input *input)
{
	struct lexer lexer;

	lex_init(&lexer, input->response.bytes + input->response.start, buf_len(&input->response));
	return lexer;
}

/*
 * Whether literals may occur in this response.  Text for people ("a1 NO No such mailbox: a{9}")
 * must not make us wait for bytes that never come, so in OK, NO, BAD, PREAUTH, BYE and "+" they may
 * only be within a response code.
 */
static bool may_hold_literals(const struct input *input)
{
	struct lexer lexer = lexer_over(input);
	struct slice tag, rest;

	if (lex_char(&lexer, '+'))
		return false;
	if (!lex_char(&lexer, '*') && !lex_atom(&lexer, &tag))
		return false;
	lex_space(&lexer);
	if (!lex_keyword(&lexer, "OK") && !lex_keyword(&lexer, "NO") &&
		!lex_keyword(&lexer, "BAD") && !lex_keyword(&lexer, "PREAUTH") &&
		!lex_keyword(&lexer, "BYE"))
		return true;
	lex_space(&lexer);
	if (!lex_char(&lexer, '['))
		return false;
	rest = lex_rest(&lexer);
	return memchr(rest.data, ']', rest.len) == NULL;
}

/* Where the items of a FETCH response begin, behind the parenthesis; 0 for any other response. */
static size_t fetch_items(const struct input *input)
{
	struct lexer lexer = lexer_over(input);
	const char *start = lexer.at;
	uint32_t number;

	if (!lex_char(&lexer, '*') || !lex_space(&lexer) || !lex_number32(&lexer, &number) ||
		!lex_space(&lexer) || !lex_keyword(&lexer, "FETCH"))
		return 0;
	lex_space(&lexer);
	return lex_char(&lexer, '(') ? (size_t)(lexer.at - start) : 0;
}

/* Length of the text without the partial specifier "<n>" at its end. */
static size_t without_partial(const char *text, size_t len)
{
	size_t at = len;

	if (at == 0 || text[at - 1] != '>')
		return len;
	for (at--; at > 0 && text[at - 1] >= '0' && text[at - 1] <= '9'; at--)
		;
	return at > 0 && at < len - 1 && text[at - 1] == '<' ? at - 1 : len;
}

/*
 * Length of the text up to the name of a FETCH item that is a whole message, when it ends with one
 * and at least one space; else 0.
 */
static size_t body_name_end(const char *text, size_t len)
{
	static const char *const names[] = {"BODY[]", "BINARY[]", "RFC822"};
	size_t end = len, base;

	while (end > 0 && text[end - 1] == ' ')
		end--;
	if (end == len)
		return 0;
	base = without_partial(text, end);
	for (size_t i = 0; i < ARRAY_LEN(names); i++) {
		size_t n = strlen(names[i]);

		if (base > n && strncasecmp(text + base - n, names[i], n) == 0 &&
			(text[base - n - 1] == ' ' || text[base - n - 1] == '('))
			return end;
	}
	return 0;
}

/* Whether the line that just ended, without its CRLF, announces a literal. */
static bool find_announcement(const struct input *input, struct announcement *ret)
{
	const char *text = buf_data(&input->response);
	size_t end = buf_len(&input->response), at = end;
	struct lexer lexer;
	uint64_t size;

	if (end < input->line + 3 || text[end - 1] != '}')
		return false;
	at = end - (text[end - 2] == '+' ? 2 : 1);
	while (at > input->line && text[at - 1] >= '0' && text[at - 1] <= '9')
		at--;
	if (at == input->line || text[at - 1] != '{')
		return false;
	lex_init(&lexer, input->response.bytes + input->response.start + at, end - at);
	if (!lex_number64(&lexer, &size)) {
		/* None, or too large for any type: let the caller refuse the latter. */
		if (!lexer.failed)
			return false;
		size = UINT64_MAX;
	}
	at--;
	if (at > input->line && text[at - 1] == '~')
		at--;
	/* A literal is a value: something must set it apart from what is before it. */
	if (at == input->line ||
		(text[at - 1] != ' ' && text[at - 1] != '(' && text[at - 1] != '['))
		return false;
	if (!may_hold_literals(input))
		return false;
	*ret = (struct announcement){at, size};
	return true;
}

/*
 * Turns a body that is a quoted string at `quote` into a streamed one: marker, and spaces in the
 * place of the rest, since moving what follows would cost the square of the length.  Returns the
 * offset behind it.
 */
static size_t stream_quoted(struct input *input, size_t name_end, size_t quote)
{
	char *text = input->response.bytes + input->response.start;
	size_t len = buf_len(&input->response), rest;
	struct slice string;
	struct lexer lexer;

	lex_init(&lexer, text + quote, len - quote);
	if (!lex_string(&lexer, &string))
		return len;
	rest = (size_t)(lexer.at - text);
	if (string.len > 0) {
		body_begin(input, text, name_end, string.len);
		body_data(input, string.data, string.len);
		body_end(input);
		memset(text + quote, ' ', rest - quote);
		text[quote] = '\0';
	}
	return rest;
}

/* Offset behind the quoted string that begins at `at`, which is only looked at. */
static size_t quoted_end(const char *text, size_t len, size_t at)
{
	for (at++; at < len && text[at] != '"'; at++)
		if (text[at] == '\\')
			at++;
	return at < len ? at + 1 : len;
}

/* Offset behind the literal whose brace is at `at`; the next byte when it is none. */
static size_t literal_end(const struct input *input, size_t at)
{
	struct lexer lexer = lexer_over(input);
	const char *start = lexer.at;
	struct slice ignored;

	lexer.at += at;
	return lex_string(&lexer, &ignored) ? (size_t)(lexer.at - start) : at + 1;
}

/*
 * Looks through the whole text of a FETCH response for bodies that are quoted strings.  The name of
 * one is not looked for in what a literal held.
 */
static void stream_quoted_bodies(struct input *input)
{
	const char *text = buf_data(&input->response);
	size_t at = fetch_items(input), floor = at, len = buf_len(&input->response);

	if (at == 0)
		return;
	floor--; /* with the parenthesis, which sets the name of the first item apart */
	while (at < len) {
		if (text[at] == '{') {
			at = literal_end(input, at);
			floor = at;
		} else if (text[at] != '"') {
			at++;
		} else {
			size_t name_end = body_name_end(text + floor, at - floor);

			at = name_end > 0 ? stream_quoted(input, floor + name_end, at)
					  : quoted_end(text, len, at);
		}
	}
}

static enum input_result begin_literal(struct input *input, const struct announcement *literal)
{
	const char *text = buf_data(&input->response);
	size_t name_end = 0;

	if (fetch_items(input) > 0)
		name_end = body_name_end(text + input->line, literal->at - input->line);
	if (literal->size > INT64_MAX)
		return fail(input, "the server announced a literal of an impossible size");
	input->left = literal->size;
	if (name_end > 0) {
		body_begin(input, text, input->line + name_end, literal->size);
		buf_truncate(&input->response, literal->at);
		if (!buf_putc(&input->response, '\0'))
			return fail(input, "the server sent a response that is too long");
		input->place = PLACE_BODY;
		return INPUT_MORE;
	}
	if (literal->size > LIMIT_LITERAL_INLINE)
		return fail(input, "the server sent a literal that is too large");
	if (!buf_puts(&input->response, "\r\n"))
		return fail(input, "the server sent a response that is too long");
	input->place = PLACE_LITERAL;
	return INPUT_MORE;
}

/* What is no response must not go on for ever, nor as fast as DEFLATE can make it. */
static enum input_result pass_over_empty_line(struct input *input)
{
	if (input->empty_lines == LIMIT_EMPTY_LINES)
		return fail(input, "the server sends only empty lines");
	input->empty_lines++;
	return INPUT_MORE;
}

/* The line is complete but for its CRLF, which was not kept. */
static enum input_result end_line(struct input *input)
{
	struct announcement literal;

	if (find_announcement(input, &literal))
		return begin_literal(input, &literal);
	if (buf_len(&input->response) == 0)
		return pass_over_empty_line(input);
	stream_quoted_bodies(input);
	input->place = PLACE_DONE;
	return INPUT_RESPONSE;
}

static enum input_result feed_line(
	struct input *input, const char *data, size_t n, size_t *ret_used)
{
	const char *newline = memchr(data, '\n', n);
	size_t take_n = newline != NULL ? (size_t)(newline - data) : n;
	const char *text;
	size_t len;

	*ret_used = take_n + (newline != NULL);
	if (memchr(data, '\0', take_n) != NULL)
		return fail(input, "the server sent a NUL byte");
	if (!buf_append(&input->response, data, take_n))
		return fail(input, "the server sent a response that is too long");
	if (newline == NULL)
		return INPUT_MORE;
	text = buf_data(&input->response);
	len = buf_len(&input->response);
	if (len > input->line && text[len - 1] == '\r')
		buf_truncate(&input->response, len - 1);
	return end_line(input);
}

static void end_literal(struct input *input)
{
	if (input->left > 0)
		return;
	if (input->place == PLACE_BODY)
		body_end(input);
	input->line = buf_len(&input->response);
	input->place = PLACE_LINE;
}

static enum input_result feed_literal(
	struct input *input, const char *data, size_t n, size_t *ret_used)
{
	size_t part = n < input->left ? n : (size_t)input->left;

	*ret_used = part;
	input->left -= part;
	if (input->place == PLACE_BODY)
		body_data(input, data, part);
	else if (!buf_append(&input->response, data, part))
		return fail(input, "the server sent a response that is too long");
	end_literal(input);
	return INPUT_MORE;
}

enum input_result input_feed(struct input *input, const char *data, size_t n, size_t *ret_used)
{
	enum input_result result = INPUT_MORE;
	size_t used = 0;

	*ret_used = 0;
	if (input->place == PLACE_ERROR)
		return INPUT_ERROR;
	if (input->place == PLACE_DONE)
		start_response(input);
	while (result == INPUT_MORE && used < n) {
		size_t step = 0;

		if (input->place == PLACE_LINE)
			result = feed_line(input, data + used, n - used, &step);
		else
			result = feed_literal(input, data + used, n - used, &step);
		used += step;
		/* An empty literal is over as soon as it is announced. */
		if (result == INPUT_MORE && input->place != PLACE_LINE)
			end_literal(input);
	}
	*ret_used = used;
	return result;
}

char *input_response(struct input *input, size_t *ret_len)
{
	*ret_len = buf_len(&input->response);
	return input->response.bytes + input->response.start;
}

const char *input_partial(const struct input *input, size_t *ret_len)
{
	*ret_len = input->place == PLACE_DONE ? 0 : buf_len(&input->response);
	return buf_data(&input->response);
}

uint64_t input_body_bytes(const struct input *input)
{
	return input->body_bytes;
}

const char *input_error(const struct input *input)
{
	return input->error;
}
