/* SPDX-License-Identifier: MIT */
/* What the files of response.h share. */
#ifndef INTERIMAP_IMAP_RESPONSE_PRIVATE_H
#define INTERIMAP_IMAP_RESPONSE_PRIVATE_H

#include <stdbool.h>

#include "sync/imap/lexer.h"
#include "sync/imap/response.h"

/* Each returns false when the lexer failed. */

/* Adds to response->atoms; fails the lexer over LIMIT_ATOMS. */
bool response_add_atom(struct response *response, struct lexer *lexer, struct slice atom);
/* "(" flags ")" in place of response->atoms. */
bool response_parse_flags(struct response *response, struct lexer *lexer);
/* A UID set that is parsed into response->set. */
bool response_parse_set(struct response *response, struct lexer *lexer);

/* resp-text: [ "[" code "]" SP ] text, up to the end; cannot fail. */
void response_parse_text(struct response *response, struct lexer *lexer);
/* From behind "* n FETCH". */
bool response_parse_fetch(struct response *response, struct lexer *lexer);

#endif
