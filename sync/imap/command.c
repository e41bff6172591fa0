/* SPDX-License-Identifier: MIT */
#include "sync/imap/command.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "sync/base/limits.h"
#include "sync/base/spool.h"
#include "sync/base/xalloc.h"

void command_init(struct command *command, void (*complete)(struct command *))
{
	*command = (struct command){.complete = complete};
	buf_init(&command->bytes, LIMIT_COMMAND_BYTES);
	seqset_init(&command->modified);
}

void command_done(struct command *command)
{
	buf_wipe(&command->bytes);
	seqset_done(&command->modified);
	free(take(command->pieces));
	command->pieces_count = 0;
	free(take(command->text));
	free(take(command->uids));
	free(take(command->source_uids));
}

static struct command_piece *add_piece(struct command *command, int type)
{
	struct command_piece *piece;

	command->pieces = xreallocarray(command->pieces, command->pieces_count + 1, sizeof(*piece));
	piece = &command->pieces[command->pieces_count++];
	*piece = (struct command_piece){.type = type, .offset = buf_len(&command->bytes)};
	return piece;
}

static void add_bytes(struct command *command, int type, const char *data, size_t len)
{
	struct command_piece *piece;

	if (type == PIECE_TEXT && command->pieces_count > 0 &&
		command->pieces[command->pieces_count - 1].type == PIECE_TEXT)
		piece = &command->pieces[command->pieces_count - 1];
	else
		piece = add_piece(command, type);
	/* Callers split long sets and check names against their own limits, so this one is never
	 * met. */
	if (!buf_append(&command->bytes, data, len))
		abort();
	piece->len += len;
}

void command_puts(struct command *command, const char *text)
{
	add_bytes(command, PIECE_TEXT, text, strlen(text));
}

void command_printf(struct command *command, const char *fmt, ...)
{
	_cleanup_free_ char *text = NULL;
	va_list ap;

	va_start(ap, fmt);
	text = xvasprintf(fmt, ap);
	va_end(ap);
	command_puts(command, text);
}

/* How a string can be written (RFC 3501 section 9, astring). */
enum form { FORM_ATOM, FORM_QUOTED, FORM_LITERAL };

static enum form form_of(const char *data, size_t len)
{
	enum form form = len > 0 ? FORM_ATOM : FORM_QUOTED;

	/* A quoted string has no length limit in the grammar, but servers have one for lines. */
	if (len > 1000)
		return FORM_LITERAL;
	for (size_t i = 0; i < len; i++) {
		unsigned char c = (unsigned char)data[i];

		if (c >= 0x80 || c == '\0' || c == '\r' || c == '\n')
			return FORM_LITERAL;
		if (c <= ' ' || c == 0x7f || strchr("(){%*\"\\]", c) != NULL)
			form = FORM_QUOTED;
	}
	/* NIL is an atom by its letters only. */
	if (len == 3 && strncasecmp(data, "NIL", 3) == 0)
		form = FORM_QUOTED;
	return form;
}

static void add_quoted(struct command *command, int type, const char *data, size_t len)
{
	struct buf quoted;

	buf_init(&quoted, 2 * len + 2);
	buf_putc(&quoted, '"');
	for (size_t i = 0; i < len; i++) {
		if (data[i] == '"' || data[i] == '\\')
			buf_putc(&quoted, '\\');
		buf_putc(&quoted, data[i]);
	}
	buf_putc(&quoted, '"');
	add_bytes(command, type, buf_data(&quoted), buf_len(&quoted));
	buf_wipe(&quoted);
}

void command_astring(struct command *command, const char *data, size_t len)
{
	switch (form_of(data, len)) {
	case FORM_ATOM:
		add_bytes(command, PIECE_TEXT, data, len);
		break;
	case FORM_QUOTED:
		add_quoted(command, PIECE_TEXT, data, len);
		break;
	case FORM_LITERAL:
		add_bytes(command, PIECE_LITERAL, data, len);
		break;
	}
}

void command_mailbox(struct command *command, const char *wire_name)
{
	command_astring(command, wire_name, strlen(wire_name));
}

void command_about(
	struct command *command, const char *verb, const char *wire_name, const char *other)
{
	command_printf(command, "%s ", verb);
	command_mailbox(command, wire_name);
	if (other == NULL)
		return;
	command_puts(command, " ");
	command_mailbox(command, other);
}

void command_select(
	struct command *command, const char *verb, const char *wire_name, struct view *view)
{
	command->kind = COMMAND_SELECT;
	command->view = view;
	command_about(command, verb, wire_name, NULL);
}

void command_leave(struct command *command)
{
	command->kind = COMMAND_LEAVE;
	command_about(command, "EXAMINE", COMMAND_NO_MAILBOX, NULL);
}

void command_set(struct command *command, const struct seqset *set, size_t *index)
{
	enum { WORDS = 200 };
	struct buf text;

	buf_init(&text, LIMIT_COMMAND_LINE);
	seqset_format(set, index, LIMIT_COMMAND_LINE - WORDS, &text);
	command_printf(command, "%.*s", (int)buf_len(&text), buf_data(&text));
	buf_done(&text);
}

void command_secret(struct command *command, const char *data)
{
	size_t len = strlen(data);

	if (form_of(data, len) == FORM_LITERAL)
		add_bytes(command, PIECE_LITERAL, data, len);
	else
		add_quoted(command, PIECE_SECRET, data, len);
}

void command_secret_text(struct command *command, const char *text)
{
	add_bytes(command, PIECE_SECRET, text, strlen(text));
}

void command_spool(struct command *command, struct spool *spool)
{
	add_piece(command, PIECE_SPOOL)->spool = spool;
	command->has_spool = true;
}

size_t command_line_length(const struct command *command)
{
	size_t length = 0;

	for (size_t i = 0; i < command->pieces_count; i++)
		if (command->pieces[i].type != PIECE_LITERAL)
			length += command->pieces[i].len;
	return length;
}

char *command_describe(const struct command *command)
{
	struct buf text;

	buf_init(&text, LIMIT_COMMAND_BYTES);
	for (size_t i = 0; i < command->pieces_count; i++) {
		const struct command_piece *piece = &command->pieces[i];

		switch (piece->type) {
		case PIECE_TEXT:
			(void)buf_append(
				&text, buf_data(&command->bytes) + piece->offset, piece->len);
			break;
		case PIECE_SECRET:
			(void)buf_puts(&text, "<secret>");
			break;
		case PIECE_LITERAL:
			(void)buf_printf(&text, "{%zu}", piece->len);
			break;
		case PIECE_SPOOL:
			(void)buf_printf(
				&text, "{%llu}", (unsigned long long)spool_size(piece->spool));
			break;
		}
	}
	return buf_steal(&text);
}

uint64_t command_spooled(const struct command *command)
{
	uint64_t bytes = 0;

	for (size_t i = 0; i < command->pieces_count; i++)
		if (command->pieces[i].type == PIECE_SPOOL)
			bytes += spool_size(command->pieces[i].spool);
	return bytes;
}

char *command_verb(const struct command *command)
{
	const char *text = buf_data(&command->bytes);
	size_t len = command->pieces_count > 0 ? command->pieces[0].len : 0, end = 0;

	if (len > 4 && memcmp(text, "UID ", 4) == 0)
		end = 4;
	while (end < len && text[end] != ' ')
		end++;
	return xstrndup(text, end);
}

char *command_reason(const struct command *command)
{
	static const char *const word[] = {
		[OUTCOME_PENDING] = "not answered",
		[OUTCOME_OK] = "OK",
		[OUTCOME_NO] = "NO",
		[OUTCOME_BAD] = "BAD",
		[OUTCOME_LOST] = "the connection was lost",
		[OUTCOME_CANCELLED] = "cancelled",
	};

	if (command->text == NULL || command->text[0] == '\0')
		return xstrdup(word[command->outcome]);
	return xasprintf("%s: %s", word[command->outcome], command->text);
}

bool command_names_nothing(const struct command *command)
{
	if (command->outcome != OUTCOME_NO)
		return false;
	return command->code == CODE_NONEXISTENT ||
	       (command->text != NULL && strstr(command->text, "Mailbox doesn't exist") != NULL);
}
