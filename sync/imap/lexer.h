/* SPDX-License-Identifier: MIT */
/*
 * Tokens of one whole response (RFC 3501 section 9, RFC 4466).  lex_x() tries and returns whether it was there;
 * lex_expect_x() fails the lexer when it is not.  The error is sticky: after it every call returns false, so a parser checks once.
 */
#ifndef INTERIMAP_IMAP_LEXER_H
#define INTERIMAP_IMAP_LEXER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "sync/imap/slice.h"

struct lexer {
	char *at;
	char *end;
	bool failed;
};

void lex_init(struct lexer *lexer, char *data, size_t len);
bool lex_at_end(const struct lexer *lexer);
bool lex_fail(struct lexer *lexer); /* returns false */

bool lex_char(struct lexer *lexer, char c);
bool lex_expect_char(struct lexer *lexer, char c);
bool lex_space(struct lexer *lexer);        /* one or more SP (lenient) */
bool lex_expect_space(struct lexer *lexer);
/* A keyword without regard to case, followed by a delimiter. */
bool lex_keyword(struct lexer *lexer, const char *keyword);

bool lex_number32(struct lexer *lexer, uint32_t *ret);
bool lex_number64(struct lexer *lexer, uint64_t *ret); /* up to 2^64-1; RFC 7162 has 2^63-1 */
bool lex_expect_number32(struct lexer *lexer, uint32_t *ret);
bool lex_expect_number64(struct lexer *lexer, uint64_t *ret);

bool lex_atom(struct lexer *lexer, struct slice *ret);         /* ATOM-CHARs, plus ']' */
bool lex_flag(struct lexer *lexer, struct slice *ret);         /* "\" atom, "\*", or atom */
bool lex_string(struct lexer *lexer, struct slice *ret);       /* quoted or literal */
bool lex_nstring(struct lexer *lexer, struct slice *ret);      /* string or NIL; NIL gives data == NULL */
bool lex_astring(struct lexer *lexer, struct slice *ret);      /* atom (with ']') or string */
bool lex_streamed(struct lexer *lexer);                        /* the marker of a streamed body */
bool lex_expect_atom(struct lexer *lexer, struct slice *ret);
bool lex_expect_astring(struct lexer *lexer, struct slice *ret);
bool lex_expect_nstring(struct lexer *lexer, struct slice *ret);
/* The text up to the end. */
struct slice lex_rest(struct lexer *lexer);

/* Skips one value of any form: atom, number, string, NIL, streamed body, or a list nested up to LIMIT_LIST_DEPTH. */
bool lex_skip_value(struct lexer *lexer);

#endif
