/* SPDX-License-Identifier: MIT */
/* What goes out: commands are encoded piece by piece into a bounded buffer, as the stream takes it.
 */
#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "sync/base/limits.h"
#include "sync/base/log.h"
#include "sync/base/spool.h"
#include "sync/base/xalloc.h"
#include "sync/imap/client-private.h"

/* RFC 7888: the largest literal that LITERAL- lets a client send without waiting. */
enum { LITERAL_MINUS_MAX = 4096 };

/* A literal larger than this is announced and waited for in any case, so that the server can refuse
 * it before it is sent. */
enum { LITERAL_UNASKED_MAX = 1 << 20 };

/* Room that a tag, a literal's announcement or a line end may take. */
enum { FRAME_ROOM = 64 };

static bool show_secrets;

void client_show_secrets(bool show)
{
	show_secrets = show;
}

/* Whether more output was produced, or why not. */
enum progress { PROGRESS, PROGRESS_FULL, PROGRESS_WAITING, PROGRESS_FAILED };

static void log_command(const struct client *client, const struct command *command)
{
	_cleanup_free_ char *text = NULL;

	if (!log_is_debug())
		return;
	if (show_secrets)
		text = xmemdup0(buf_data(&command->bytes), buf_len(&command->bytes));
	else
		text = command_describe(command);
	log_debug((&(struct log_context){.side = client->name}), "C: %" PRIu32 " %s", command->tag,
		text);
}

static enum progress send_bytes(
	struct client *client, struct command *command, const struct command_piece *piece)
{
	size_t left = piece->len - (size_t)command->piece_offset;
	size_t room = buf_room(&client->out);
	size_t n = left < room ? left : room;

	(void)buf_append(
		&client->out, buf_data(&command->bytes) + piece->offset + command->piece_offset, n);
	command->piece_offset += n;
	return n == left ? PROGRESS : PROGRESS_FULL;
}

static void spool_grew(void *reader)
{
	struct client *client = reader;

	task_wake(&client->pump);
}

static enum progress send_spool(
	struct client *client, struct command *command, const struct command_piece *piece)
{
	uint64_t size = spool_size(piece->spool);

	while (command->piece_offset < size) {
		size_t n = buf_room(&client->out);
		ssize_t got;

		if (n == 0)
			return PROGRESS_FULL;
		if (n > LIMIT_READ)
			n = LIMIT_READ;
		got = spool_read(
			piece->spool, command->piece_offset, buf_reserve(&client->out, n), n);
		if (got < 0) {
			/* Half a literal is out: the server waits for the rest, which will not
			 * come. */
			client_fail(client, "a message could not be read to its end: %s",
				got == -EPIPE ? "its source was lost" : strerror((int)-got));
			return PROGRESS_FAILED;
		}
		if (got == 0) {
			spool_on_growth(piece->spool, spool_grew, client);
			return PROGRESS_WAITING;
		}
		buf_commit(&client->out, (size_t)got);
		command->piece_offset += (uint64_t)got;
	}
	spool_on_growth(piece->spool, NULL, NULL);
	return PROGRESS;
}

/* Announces a literal; PROGRESS_WAITING when the server must accept it first. */
static enum progress announce(struct client *client, struct command *command, uint64_t size)
{
	bool wait = client->literals == LITERAL_SYNC || size > LITERAL_UNASKED_MAX ||
		    (client->literals == LITERAL_MINUS && size > LITERAL_MINUS_MAX);

	if (buf_room(&client->out) < FRAME_ROOM)
		return PROGRESS_FULL;
	(void)buf_printf(&client->out, "{%" PRIu64 "%s}\r\n", size, wait ? "" : "+");
	command->announced = true;
	client->awaiting = wait;
	return wait ? PROGRESS_WAITING : PROGRESS;
}

static enum progress send_piece(struct client *client, struct command *command)
{
	const struct command_piece *piece = &command->pieces[command->piece];
	bool literal = piece->type == PIECE_LITERAL || piece->type == PIECE_SPOOL;
	uint64_t size = piece->type == PIECE_SPOOL ? spool_size(piece->spool) : piece->len;
	enum progress progress = PROGRESS;

	if (literal && !command->announced)
		progress = announce(client, command, size);
	if (progress != PROGRESS)
		return progress;
	progress = piece->type == PIECE_SPOOL ? send_spool(client, command, piece)
					      : send_bytes(client, command, piece);
	if (progress != PROGRESS)
		return progress;
	command->piece++;
	command->piece_offset = 0;
	command->announced = false;
	return PROGRESS;
}

static void sent(struct client *client, struct command *command)
{
	client->sending = command->next;
	client_sent(client, command);
	if (command->kind == COMMAND_IDLE)
		client->idle = IDLE_SENT;
	if (command->answered != OUTCOME_PENDING)
		client_complete(client, command, command->answered);
}

/* Encodes on with the command that is being sent. */
static enum progress send_command(struct client *client)
{
	struct command *command = client->sending;
	enum progress progress = PROGRESS;

	assert(command != NULL);
	if (buf_room(&client->out) < FRAME_ROOM)
		return PROGRESS_FULL;
	if (command->piece == 0 && command->piece_offset == 0 && !command->announced) {
		log_command(client, command);
		(void)buf_printf(&client->out, "%" PRIu32 " ", command->tag);
	}
	while (progress == PROGRESS && command->piece < command->pieces_count)
		progress = send_piece(client, command);
	if (progress != PROGRESS)
		return progress;
	if (buf_room(&client->out) < FRAME_ROOM)
		return PROGRESS_FULL;
	(void)buf_puts(&client->out, "\r\n");
	sent(client, command);
	return PROGRESS;
}

/* Hands the encoded bytes to the stream; false when it takes no more for now. */
static bool drain(struct client *client)
{
	while (buf_len(&client->out) > 0) {
		ssize_t n =
			stream_send(client->stream, buf_data(&client->out), buf_len(&client->out));

		if (n == -EAGAIN) {
			stream_want_write(client->stream, true);
			return false;
		}
		if (n < 0) {
			client_line_lost(client, stream_error(client->stream));
			return false;
		}
		buf_consume(&client->out, (size_t)n);
		client->unflushed = true;
	}
	return true;
}

void client_send_more(struct client *client)
{
	bool more = true;

	if (client->sending != NULL)
		client_end_idle(client);
	while (more) {
		enum progress progress = PROGRESS;

		while (progress == PROGRESS && client_may_send(client))
			progress = send_command(client);
		more = drain(client) && progress == PROGRESS_FULL;
	}
	if (client->loss.reason != NULL || buf_len(&client->out) > 0)
		return;
	stream_want_write(client->stream, false);
	if (client->unflushed) {
		client->unflushed = false;
		stream_flush(client->stream);
	}
}

void client_literal_accepted(struct client *client)
{
	client->awaiting = false;
	client_be_patient(client);
	task_wake(&client->pump);
}

void client_answer(struct client *client, const char *secret_line)
{
	log_debug((&(struct log_context){.side = client->name}), "C: %s",
		show_secrets ? secret_line : "<secret>");
	if (!buf_puts(&client->out, secret_line) || !buf_puts(&client->out, "\r\n"))
		client_fail(client, "an answer of the authentication is too long");
	task_wake(&client->pump);
}

void client_end_idle(struct client *client)
{
	if (client->idle == IDLE_SENT) {
		client->idle = IDLE_SHORT;
		client_be_patient(client);
	}
	if (client->idle != IDLE_CONFIRMED)
		return;
	client->idle = IDLE_ENDING;
	client_be_patient(client);
	(void)buf_puts(&client->out, "DONE\r\n");
	task_wake(&client->pump);
}
