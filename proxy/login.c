/* SPDX-License-Identifier: MIT */
#include "proxy/login.h"

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <stdlib.h>
#include <string.h>

#include "sync/base/xalloc.h"

void login_reader_init(struct login_reader *reader)
{
	*reader = (struct login_reader){.line = 0};
	buf_init(&reader->text, LIMIT_LOGIN_COMMAND);
}

void login_reader_done(struct login_reader *reader)
{
	buf_wipe(&reader->text);
}

void login_reader_reset(struct login_reader *reader, bool plain)
{
	buf_wipe(&reader->text);
	reader->line = 0;
	reader->literal = 0;
	reader->plain = plain;
}

/*
 * Whether the line that has just ended announces a literal: "{n}", or "{n+}", for which the client
 * does not wait.
 */
static bool read_announcement(const char *line, size_t len, uint64_t *ret_size, bool *ret_waits)
{
	uint64_t size = 0, place = 1;

	while (len > 0 && (line[len - 1] == '\n' || line[len - 1] == '\r'))
		len--;
	if (len < 3 || line[--len] != '}')
		return false;
	*ret_waits = line[len - 1] != '+';
	len -= !*ret_waits;
	for (; len > 0 && line[len - 1] >= '0' && line[len - 1] <= '9'; len--) {
		size += place * (unsigned)(line[len - 1] - '0');
		if (place > LIMIT_LOGIN_LITERAL)
			size = UINT64_MAX / 20; /* too much, whatever comes before */
		else
			place *= 10;
	}
	*ret_size = size;
	return place > 1 && len > 0 && line[len - 1] == '{';
}

static enum login_result end_line(struct login_reader *reader)
{
	size_t len = buf_len(&reader->text) - reader->line;
	uint64_t size;
	bool waits;

	if (reader->plain ||
		!read_announcement(buf_data(&reader->text) + reader->line, len, &size, &waits))
		return LOGIN_COMMAND;
	if (size > LIMIT_LOGIN_LITERAL)
		return LOGIN_TOO_LONG;
	reader->literal = size;
	reader->line = buf_len(&reader->text);
	return waits ? LOGIN_CONTINUE : LOGIN_MORE;
}

/* Bytes of the literal, or of the line up to its end. */
static size_t next_piece(const struct login_reader *reader, const char *data, size_t n)
{
	const char *end = memchr(data, '\n', n);

	if (reader->literal > 0)
		return n < reader->literal ? n : (size_t)reader->literal;
	return end != NULL ? (size_t)(end - data) + 1 : n;
}

enum login_result login_reader_feed(
	struct login_reader *reader, const char *data, size_t n, size_t *ret_used)
{
	enum login_result result = LOGIN_MORE;
	size_t used = 0;

	while (used < n && result == LOGIN_MORE) {
		size_t piece = next_piece(reader, data + used, n - used);
		bool in_literal = reader->literal > 0;

		if (!buf_append(&reader->text, data + used, piece) ||
			(!in_literal && buf_len(&reader->text) - reader->line > LIMIT_LOGIN_LINE))
			return LOGIN_TOO_LONG;
		used += piece;
		if (in_literal) {
			reader->literal -= piece;
			if (reader->literal == 0)
				reader->line = buf_len(&reader->text);
		} else if (data[used - 1] == '\n') {
			result = end_line(reader);
		}
	}
	*ret_used = used;
	return result;
}

struct slice login_line(struct login_reader *reader)
{
	struct slice line = {buf_data(&reader->text), buf_len(&reader->text)};

	/* One line end only: a literal may end in another. */
	if (line.len > 0 && line.data[line.len - 1] == '\n')
		line.len--;
	if (line.len > 0 && line.data[line.len - 1] == '\r')
		line.len--;
	return line;
}

bool login_parse(struct login_reader *reader, struct login_command *ret)
{
	struct slice line = login_line(reader);
	struct login_command command = {.tag = {line.data, 0}, .name = {line.data, 0}};

	lex_init(&command.arguments, (char *)line.data, line.len);
	*ret = command;
	/* A '+' begins no tag (RFC 3501 section 9). */
	if (line.len == 0 || line.data[0] == '+' || !lex_atom(&command.arguments, &command.tag))
		return false;
	*ret = command;
	if (!lex_space(&command.arguments) || !lex_atom(&command.arguments, &command.name))
		return false;
	*ret = command;
	return true;
}

/* authorisation identity NUL user NUL password */
static bool split_plain(const char *text, size_t n, char **ret_user, char **ret_password)
{
	const char *user = memchr(text, '\0', n), *password, *end = text + n;

	if (user == NULL)
		return false;
	user++;
	password = memchr(user, '\0', (size_t)(end - user));
	if (password == NULL)
		return false;
	password++;
	if (memchr(password, '\0', (size_t)(end - password)) != NULL)
		return false;
	if (text[0] != '\0' && strcmp(text, user) != 0)
		return false;
	*ret_user = xstrdup(user);
	*ret_password = xstrndup(password, (size_t)(end - password));
	return true;
}

bool login_decode_plain(struct slice base64, char **ret_user, char **ret_password)
{
	size_t padding = 0;
	unsigned char *text;
	bool good = false;
	int n;

	while (padding < 2 && padding < base64.len && base64.data[base64.len - padding - 1] == '=')
		padding++;
	if (base64.len == 0 || base64.len % 4 != 0 || base64.len > LIMIT_LOGIN_LINE)
		return false;
	text = xmalloc(base64.len / 4 * 3 + 1);
	n = EVP_DecodeBlock(text, (const unsigned char *)base64.data, (int)base64.len);
	if (n >= (int)padding) {
		text[n] = '\0';
		good = split_plain((char *)text, (size_t)n - padding, ret_user, ret_password);
	}
	OPENSSL_cleanse(text, base64.len / 4 * 3);
	free(text);
	return good;
}
