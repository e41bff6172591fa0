/* SPDX-License-Identifier: MIT */
/*
 * The wire: a queue of pipelined commands over one stream, and the dispatch of what the server
 * answers.
 *
 * Commands are sent in the order they were submitted, as many at once as the gate allows
 * (client_may_send() in client.c lists the reasons not to).  Each completes exactly once, in that
 * order: with the server's answer, with LOST when the connection goes, or with CANCELLED.
 *
 * Untagged responses go, in this order, to: the commands in flight (command.untagged), the
 * view of the selected mailbox (view.h), the owner's untagged().  A message body goes to the command
 * in flight that asked for it (command.body), and is skipped if none did; the connection is dropped
 * if it is longer than LIMIT_BODY_SKIPPED.
 */
#ifndef INTERIMAP_IMAP_CLIENT_H
#define INTERIMAP_IMAP_CLIENT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "sync/imap/command.h"
#include "sync/net/stream.h"

struct client;
struct loop;
struct tls_context;
struct view;

struct client_owner {
	/* Any response that carries capabilities (in response->atoms), before it goes on its way.
	 */
	void (*capabilities)(struct client_owner *owner, const struct response *response);
	/* Any response marked [ALERT] (RFC 3501 section 7.1), likewise.  May be NULL. */
	void (*alert)(struct client_owner *owner, struct slice text);
	/* A response that nobody else took. */
	void (*untagged)(struct client_owner *owner, struct response *response);
	/* Once, from the loop, after all commands have completed LOST; the owner frees the client
	 * from here or later. */
	void (*lost)(struct client_owner *owner, const char *reason);
};

/* name: "local", "remote", for the log.  Nothing is sent before client_attach(). */
struct client *client_new(struct loop *loop, const char *name, struct client_owner *owner);
/* Commands still queued complete CANCELLED or LOST first, from here. */
struct client *client_free(struct client *client);

/* Takes the descriptor and begins to read. */
void client_attach(struct client *client, int own_fd);
/* NULL before client_attach() and after the loss. */
struct stream *client_stream(struct client *client);

/*
 * For the moment when STARTTLS or COMPRESS was answered OK, from within that completion.  Bytes
 * that came in clear text behind the answer to STARTTLS are an injection: the connection is
 * dropped.
 */
void client_start_tls(struct client *client, const struct tls_context *context, const char *host);
void client_start_deflate(struct client *client);

/* What literals the server takes without waiting. */
enum literal_mode { LITERAL_SYNC, LITERAL_MINUS, LITERAL_PLUS };
void client_set_literal_mode(struct client *client, enum literal_mode mode);

void client_submit(struct client *client, struct command *command);
/* Ends an IDLE in flight with DONE, as soon as the server is ready for it.  Submitting another
 * command does so by itself. */
void client_end_idle(struct client *client);
/* Text sent as a line of its own in answer to a continuation; never logged. */
void client_answer(struct client *client, const char *secret_line);

/* What makes it go on: for the check that nothing waits in vain. */
enum client_wait {
	CLIENT_WOKEN, /* it is about to */
	CLIENT_RESTS, /* nothing is to be done */
	CLIENT_CONNECTS, /* it was not attached yet */
	CLIENT_ANSWER, /* the server is to answer, within LIMIT_SILENCE_SECONDS */
	CLIENT_ROOM, /* the server is to take more, likewise */
	CLIENT_BODY, /* a message that it sends is still arriving, see client_awaited_body() */
	CLIENT_STUCK, /* nothing does */
};
enum client_wait client_waits_for(const struct client *client);
/* The message that the command being sent needs more of; NULL for none. */
const struct spool *client_awaited_body(const struct client *client);
/* Whether that message is arriving here. */
bool client_receives(const struct client *client, const struct spool *body);
/* All that have not completed, oldest first; `sent`: to its end. */
void client_each_command(const struct client *client,
	void (*visit)(const struct command *command, bool sent, void *context), void *context);

/* Nothing queued and nothing in flight (an IDLE counts as nothing). */
bool client_is_idle(const struct client *client);
/* All that was submitted has left for the kernel (an answer may be missing). */
bool client_is_flushed(const struct client *client);

/* How long answers are waited for (patience.h), from the next command on; LIMIT_SILENCE_SECONDS if
 * this is never called. */
void client_set_patience(struct client *client, unsigned seconds);
/* Whether it is lost since it was over. */
bool client_was_silent(const struct client *client);
/* Whether it is the server that ended the connection, in words or by closing it. */
bool client_was_ended(const struct client *client);

/* Drops the connection: commands complete LOST, then owner.lost(), all from the loop. */
void client_fail(struct client *client, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* The view of the mailbox that is selected by the commands submitted so far (NULL for none): a
 * further command for it needs no SELECT. */
struct view *client_last_view(const struct client *client);
/* Whether those commands leave any mailbox selected, be its view forgotten or not. */
bool client_selects(const struct client *client);
/* The view goes away: it gets no more responses, and is not the last view any more. */
void client_forget_view(struct client *client, struct view *view);

/*
 * Relay use: gives up the stream (the caller's, with its handler still to be set through
 * stream_set_handler()) and the bytes behind the last whole response.
 */
struct stream *client_release_stream(struct client *client, struct buf *ret_leftover);

/* Secrets in the debug log too (--debug twice). */
void client_show_secrets(bool show);

#endif
