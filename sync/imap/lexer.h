/* SPDX-License-Identifier: MIT */
/*
 * Tokens of one whole response (RFC 3501 section 9, RFC 4466).  lex_x() tries, and returns whether
 * it was there; lex_expect_x() fails the lexer when it is not.  A token that begins well but is
 * malformed (a quoted string without its end, a number that is too large) fails the lexer as well.
 * The error is sticky: after it every call returns false, so a parser checks once.
 *
 * Out-parameters are untouched when a call returns false.  Slices point into the text, in which
 * quoted strings are unescaped in place.
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

/* The bytes are borrowed, and are modified. */
void lex_init(struct lexer *lexer, char *data, size_t len);
bool lex_at_end(const struct lexer *lexer); /* false also when failed */
bool lex_fail(struct lexer *lexer); /* returns false */

bool lex_char(struct lexer *lexer, char c);
bool lex_expect_char(struct lexer *lexer, char c);
bool lex_space(struct lexer *lexer); /* one or more SP (lenient) */
bool lex_expect_space(struct lexer *lexer);
/* A keyword without regard to case, followed by anything but a letter, a digit, '-', '_' or '.'. */
bool lex_keyword(struct lexer *lexer, const char *keyword);
/* What lex_keyword() would compare: letters, digits, '-', '_', '.'; at least one. */
bool lex_name(struct lexer *lexer, struct slice *ret);

bool lex_number32(struct lexer *lexer, uint32_t *ret);
bool lex_number64(struct lexer *lexer, uint64_t *ret); /* up to 2^64-1; RFC 7162 has 2^63-1 */
bool lex_expect_number32(struct lexer *lexer, uint32_t *ret);
bool lex_expect_number64(struct lexer *lexer, uint64_t *ret);
/* A UID or a sequence number: 0 fails the lexer. */
bool lex_expect_uid(struct lexer *lexer, uint32_t *ret);

/* ATOM-CHARs, plus ']' and 8-bit bytes, which real servers send. */
bool lex_atom(struct lexer *lexer, struct slice *ret);
/* Anything up to SP, parenthesis, quote, '{' or control: what is no flag is for flags_intern(). */
bool lex_flag(struct lexer *lexer, struct slice *ret);
bool lex_string(struct lexer *lexer, struct slice *ret); /* quoted, literal or literal8 */
bool lex_nstring(struct lexer *lexer, struct slice *ret); /* string or NIL: then data == NULL */
bool lex_astring(struct lexer *lexer, struct slice *ret); /* atom (with ']') or string */
bool lex_streamed(struct lexer *lexer); /* the marker of a streamed body */
bool lex_expect_atom(struct lexer *lexer, struct slice *ret);
bool lex_expect_astring(struct lexer *lexer, struct slice *ret);
bool lex_expect_nstring(struct lexer *lexer, struct slice *ret);
/* The text up to the end; empty when failed. */
struct slice lex_rest(struct lexer *lexer);

/*
 * Skips one value of any form: atom, flag, number, string, NIL, streamed body, or a list nested up
 * to LIMIT_LIST_DEPTH.  Fails the lexer when there is none.
 */
bool lex_skip_value(struct lexer *lexer);

/* From behind '[' to behind the matching ']', e.g. of BODY[HEADER.FIELDS ("Message-ID")]. */
bool lex_expect_section(struct lexer *lexer, struct slice *ret);

#endif
