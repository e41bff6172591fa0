/* SPDX-License-Identifier: MIT */
/*
 * What a mail client sends before it has logged in: cuts commands out of the bytes, literals
 * included, and reads them.  Small limits, since anybody may connect.
 */
#ifndef INTERIMAP_PROXY_LOGIN_H
#define INTERIMAP_PROXY_LOGIN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "sync/base/buf.h"
#include "sync/base/limits.h"
#include "sync/imap/lexer.h"

struct login_reader {
	struct buf text; /* of the command so far; wiped, for there may be a password in it */
	size_t line; /* where the current line begins */
	uint64_t literal; /* bytes of it to come */
	bool plain; /* read one line, whatever it ends in: an answer to AUTHENTICATE */
};

enum login_result {
	LOGIN_MORE, /* all was taken */
	LOGIN_CONTINUE, /* the client waits for "+" before it sends its literal */
	LOGIN_COMMAND, /* one is whole: login_parse(), then login_reader_reset() */
	LOGIN_TOO_LONG, /* the connection must be closed */
};

void login_reader_init(struct login_reader *reader);
void login_reader_done(struct login_reader *reader);
/* Starts the next command, or line. */
void login_reader_reset(struct login_reader *reader, bool plain);

/* Takes bytes up to the end of the command; *ret_used says how many. */
enum login_result login_reader_feed(
	struct login_reader *reader, const char *data, size_t n, size_t *ret_used);

/* One command; slices point into the reader's text. */
struct login_command {
	struct slice tag; /* empty if there was none */
	struct slice name;
	struct lexer arguments; /* after the name: at a space, or at the end */
};

/* False if it is not even a tag and a name. */
bool login_parse(struct login_reader *reader, struct login_command *ret);
/* The line that was read with `plain`, without its end. */
struct slice login_line(struct login_reader *reader);

/*
 * The message of SASL PLAIN (RFC 4616) in base64.  The strings are the caller's; false if it is
 * malformed, or asks to act as another user.
 */
bool login_decode_plain(struct slice base64, char **ret_user, char **ret_password);

#endif
