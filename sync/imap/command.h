/* SPDX-License-Identifier: MIT */
/*
 * One IMAP command: its text in pieces, and what becomes of it.
 *
 * The pieces are put together with the functions below; the client turns them into lines and
 * literals when it sends the command, since only then it knows what kinds of literal the server
 * takes (RFC 7888).  A command embeds into the struct of whoever sends it; the client never frees
 * it.
 */
#ifndef INTERIMAP_IMAP_COMMAND_H
#define INTERIMAP_IMAP_COMMAND_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "sync/base/buf.h"
#include "sync/imap/response.h"

struct spool;
struct view;

enum outcome {
	OUTCOME_PENDING,
	OUTCOME_OK,
	OUTCOME_NO,
	OUTCOME_BAD,
	OUTCOME_LOST, /* the connection went away; it may or may not have been carried out */
	OUTCOME_CANCELLED, /* never sent */
};

/* How a command behaves in the queue. */
enum command_kind {
	COMMAND_PLAIN,
	COMMAND_ALONE, /* nothing may be sent until it has completed: COMPRESS, STARTTLS,
			  AUTHENTICATE, LOGIN */
	COMMAND_SELECT, /* changes the selected mailbox: see view.h */
	COMMAND_UNSELECT,
	COMMAND_LEAVE, /* does as UNSELECT does, by being refused: see command_leave() */
	COMMAND_IDLE, /* stays open until client_end_idle() */
};

/* No server has it: COMMAND_LEAVE. */
#define COMMAND_NO_MAILBOX "interimap-no-such-mailbox"

struct command_piece {
	enum { PIECE_TEXT, PIECE_SECRET, PIECE_LITERAL, PIECE_SPOOL } type;
	size_t offset, len; /* TEXT, SECRET, LITERAL: in `bytes` */
	struct spool *spool; /* SPOOL: borrowed, must live until the command has completed */
};

struct command {
	/* Called once, from the loop, never from within client_submit(); may submit other commands,
	 * must not free the client. */
	void (*complete)(struct command *command);
	/* A continuation request that no literal waits for (AUTHENTICATE, IDLE); may be NULL. */
	void (*proceed)(struct command *command, struct slice text);
	/*
	 * An untagged response that arrives while this is in flight and no older command took it;
	 * true if it is taken.  A command must take only what answers itself, since servers answer
	 * ahead of a tagged OK that they hold back.  May be NULL.
	 */
	bool (*untagged)(struct command *command, struct response *response);
	/*
	 * The body of a message begins to arrive, while a mailbox is selected, and no older command
	 * took it; uid is 0 when the server did not tell it before.  The spool that is returned takes
	 * it, and must live until the response has been offered; NULL: it is none of this command's,
	 * or not wanted.  A spool that cannot take all of it is aborted (spool_failure()).  May be
	 * NULL.
	 */
	struct spool *(*body)(struct command *command, uint32_t uid, uint64_t size);

	enum outcome outcome;
	bool was_oldest; /* LOST, and the server was at it, or was being sent it, when that happened
			  */
	enum command_kind kind;
	struct view *view; /* COMMAND_SELECT: what is being selected */

	/* The tagged response's text and code, kept for the owner: set when outcome is OK, NO or
	 * BAD. */
	enum response_code code;
	char *text; /* owned by the command */
	uint32_t uidvalidity; /* APPENDUID, COPYUID */
	char *uids, *source_uids; /* raw sets, owned by the command */
	struct seqset modified; /* MODIFIED */

	/* The client's */
	struct buf bytes;
	struct command_piece *pieces;
	size_t pieces_count;
	bool has_spool; /* among them */
	size_t piece; /* the one being sent */
	uint64_t piece_offset; /* within it */
	bool announced; /* the literal's "{n}" is out */
	enum outcome answered; /* the answer that came before it was sent to its end */
	uint32_t tag;
	struct command *prev, *next;
};

/* An empty command.  A command is submitted once; re-initialise it (after command_done) to use it
 * again. */
void command_init(struct command *command, void (*complete)(struct command *));
void command_done(struct command *command);

void command_puts(struct command *command, const char *text);
void command_printf(struct command *command, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));
/* As an atom where it is one, else quoted, else as a literal. */
void command_astring(struct command *command, const char *data, size_t len);
void command_mailbox(struct command *command, const char *wire_name);
/* "VERB mailbox", or "VERB mailbox other" unless that is NULL. */
void command_about(
	struct command *command, const char *verb, const char *wire_name, const char *other);
/* "SELECT mailbox" or "EXAMINE mailbox"; the view is of that mailbox. */
void command_select(
	struct command *command, const char *verb, const char *wire_name, struct view *view);
/*
 * Leaves the mailbox that is selected, on a server without UNSELECT: EXAMINE of a mailbox that is
 * not there.  Its NO leaves none selected (RFC 3501 section 6.3.1; RFC 3691 section 1 names it as
 * the way that there was before UNSELECT).  CLOSE would do, too, and expunge.
 */
void command_leave(struct command *command);
/* Ranges from *index on, as many as fit a line with a few words around them; advances *index as
 * seqset_format() does. */
void command_set(struct command *command, const struct seqset *set, size_t *index);
/* As an astring that logs never show, and whose bytes are wiped by command_done(). */
void command_secret(struct command *command, const char *data);
/* Raw text that logs never show (AUTHENTICATE's initial response). */
void command_secret_text(struct command *command, const char *text);
/* A literal with the content of the spool, which may still be arriving; its announced size counts.
 */
void command_spool(struct command *command, struct spool *spool);
/* Bytes of the command line so far, literals not counted (LIMIT_COMMAND_LINE). */
size_t command_line_length(const struct command *command);
/* Bytes of the spools in it, as announced. */
uint64_t command_spooled(const struct command *command);
/* For logs and error messages: the text, secrets as "<secret>", literals as "{n}".  Owned by the
 * caller. */
char *command_describe(const struct command *command);
/* For a sentence: "UID FETCH", without arguments.  Owned by the caller. */
char *command_verb(const struct command *command);
/* "NO: text" for a sentence: the outcome and what the server said. Owned by the caller. */
char *command_reason(const struct command *command);
/* It was refused since there is no such mailbox (NONEXISTENT in RFC 5530, or Dovecot's words: 2.3
 * gives no code). */
bool command_names_nothing(const struct command *command);

#endif
