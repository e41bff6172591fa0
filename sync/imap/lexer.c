/* SPDX-License-Identifier: MIT */
#include "sync/imap/lexer.h"

#include <string.h>
#include <strings.h>

#include "sync/base/limits.h"

/* What input.c leaves in the place of a streamed body; it lets no other NUL pass. */
#define STREAMED '\0'

void lex_init(struct lexer *lexer, char *data, size_t len)
{
	*lexer = (struct lexer){.at = data, .end = data + len};
}

bool lex_at_end(const struct lexer *lexer)
{
	return !lexer->failed && lexer->at == lexer->end;
}

bool lex_fail(struct lexer *lexer)
{
	lexer->failed = true;
	return false;
}

static size_t left(const struct lexer *lexer)
{
	return lexer->failed ? 0 : (size_t)(lexer->end - lexer->at);
}

bool lex_char(struct lexer *lexer, char c)
{
	if (left(lexer) == 0 || *lexer->at != c)
		return false;
	lexer->at++;
	return true;
}

bool lex_expect_char(struct lexer *lexer, char c)
{
	return lex_char(lexer, c) || lex_fail(lexer);
}

bool lex_space(struct lexer *lexer)
{
	bool any = false;

	while (lex_char(lexer, ' '))
		any = true;
	return any;
}

bool lex_expect_space(struct lexer *lexer)
{
	return lex_space(lexer) || lex_fail(lexer);
}

static bool is_digit(char c)
{
	return c >= '0' && c <= '9';
}

static bool is_name_char(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || is_digit(c) || c == '-' ||
	       c == '_' || c == '.';
}

/* RFC 3501 "ATOM-CHAR", and what lexer.h says of lex_atom(). */
static bool is_atom_char(char c)
{
	return (unsigned char)c > ' ' && c != 0x7f && strchr("(){%*\"\\", c) == NULL;
}

static bool is_flag_char(char c)
{
	return (unsigned char)c > ' ' && c != 0x7f && strchr("(){\"", c) == NULL;
}

/* The longest run, of at least one byte, of those that a predicate accepts. */
static bool lex_run(struct lexer *lexer, bool (*accepts)(char c), struct slice *ret)
{
	const char *start = lexer->at;

	if (left(lexer) == 0 || !accepts(*start))
		return false;
	while (lexer->at < lexer->end && accepts(*lexer->at))
		lexer->at++;
	*ret = (struct slice){start, (size_t)(lexer->at - start)};
	return true;
}

bool lex_keyword(struct lexer *lexer, const char *keyword)
{
	size_t n = strlen(keyword);

	if (left(lexer) < n || strncasecmp(lexer->at, keyword, n) != 0)
		return false;
	if (left(lexer) > n && is_name_char(lexer->at[n]))
		return false;
	lexer->at += n;
	return true;
}

bool lex_name(struct lexer *lexer, struct slice *ret)
{
	return lex_run(lexer, is_name_char, ret);
}

bool lex_number64(struct lexer *lexer, uint64_t *ret)
{
	uint64_t n = 0;

	if (left(lexer) == 0 || !is_digit(*lexer->at))
		return false;
	for (; lexer->at < lexer->end && is_digit(*lexer->at); lexer->at++) {
		unsigned digit = (unsigned)(*lexer->at - '0');

		if (n > (UINT64_MAX - digit) / 10)
			return lex_fail(lexer);
		n = n * 10 + digit;
	}
	*ret = n;
	return true;
}

bool lex_number32(struct lexer *lexer, uint32_t *ret)
{
	uint64_t n;

	if (!lex_number64(lexer, &n))
		return false;
	if (n > UINT32_MAX)
		return lex_fail(lexer);
	*ret = (uint32_t)n;
	return true;
}

bool lex_expect_number32(struct lexer *lexer, uint32_t *ret)
{
	return lex_number32(lexer, ret) || lex_fail(lexer);
}

bool lex_expect_number64(struct lexer *lexer, uint64_t *ret)
{
	return lex_number64(lexer, ret) || lex_fail(lexer);
}

bool lex_expect_uid(struct lexer *lexer, uint32_t *ret)
{
	uint32_t n;

	if (!lex_expect_number32(lexer, &n))
		return false;
	if (n == 0)
		return lex_fail(lexer);
	*ret = n;
	return true;
}

bool lex_atom(struct lexer *lexer, struct slice *ret)
{
	return lex_run(lexer, is_atom_char, ret);
}

bool lex_flag(struct lexer *lexer, struct slice *ret)
{
	return lex_run(lexer, is_flag_char, ret);
}

/* From behind the opening quote.  Any character may be escaped, not only those that must be. */
static bool lex_quoted(struct lexer *lexer, struct slice *ret)
{
	char *from = lexer->at, *to = lexer->at;

	for (; from < lexer->end && *from != '"'; from++) {
		if (*from == '\\' && ++from == lexer->end)
			break;
		if (*from == '\0')
			break;
		*to++ = *from;
	}
	if (from == lexer->end || *from != '"')
		return lex_fail(lexer);
	*ret = (struct slice){lexer->at, (size_t)(to - lexer->at)};
	lexer->at = from + 1;
	return true;
}

/* From behind the brace.  A bare LF ends the announcement as well, as in input.c. */
static bool lex_literal(struct lexer *lexer, struct slice *ret)
{
	uint64_t n;

	if (!lex_expect_number64(lexer, &n))
		return false;
	lex_char(lexer, '+');
	if (!lex_expect_char(lexer, '}'))
		return false;
	lex_char(lexer, '\r');
	if (!lex_expect_char(lexer, '\n') || n > left(lexer))
		return lex_fail(lexer);
	*ret = (struct slice){lexer->at, (size_t)n};
	lexer->at += n;
	return true;
}

bool lex_string(struct lexer *lexer, struct slice *ret)
{
	if (lex_char(lexer, '"'))
		return lex_quoted(lexer, ret);
	if (left(lexer) >= 2 && lexer->at[0] == '~' && lexer->at[1] == '{')
		lexer->at++;
	return lex_char(lexer, '{') && lex_literal(lexer, ret);
}

bool lex_nstring(struct lexer *lexer, struct slice *ret)
{
	if (lex_keyword(lexer, "NIL")) {
		*ret = (struct slice){0};
		return true;
	}
	return lex_string(lexer, ret);
}

bool lex_astring(struct lexer *lexer, struct slice *ret)
{
	return lex_string(lexer, ret) || lex_atom(lexer, ret);
}

bool lex_streamed(struct lexer *lexer)
{
	return lex_char(lexer, STREAMED);
}

bool lex_expect_atom(struct lexer *lexer, struct slice *ret)
{
	return lex_atom(lexer, ret) || lex_fail(lexer);
}

bool lex_expect_astring(struct lexer *lexer, struct slice *ret)
{
	return lex_astring(lexer, ret) || lex_fail(lexer);
}

bool lex_expect_nstring(struct lexer *lexer, struct slice *ret)
{
	return lex_nstring(lexer, ret) || lex_fail(lexer);
}

struct slice lex_rest(struct lexer *lexer)
{
	struct slice rest = {lexer->at, left(lexer)};

	lexer->at += rest.len;
	return rest;
}

/* A loop that counts, not a recursion: the nesting is the peer's. */
bool lex_skip_value(struct lexer *lexer)
{
	struct slice ignored;
	unsigned depth = 0;

	do {
		lex_space(lexer);
		if (lex_char(lexer, '(')) {
			if (++depth > LIMIT_LIST_DEPTH)
				return lex_fail(lexer);
		} else if (depth > 0 && lex_char(lexer, ')')) {
			depth--;
		} else if (!lex_string(lexer, &ignored) && !lex_flag(lexer, &ignored) &&
			   !lex_streamed(lexer)) {
			return lex_fail(lexer);
		}
	} while (depth > 0);
	return true;
}

bool lex_expect_section(struct lexer *lexer, struct slice *ret)
{
	const char *start = lexer->at;
	struct slice ignored;

	while (left(lexer) > 0 && *lexer->at != ']') {
		if (!lex_string(lexer, &ignored) && !lexer->failed)
			lexer->at++;
	}
	if (!lex_expect_char(lexer, ']'))
		return false;
	*ret = (struct slice){start, (size_t)(lexer->at - start) - 1};
	return true;
}
