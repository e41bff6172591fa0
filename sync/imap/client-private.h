/* SPDX-License-Identifier: MIT */
/* The client's own: its queue (client.c), what goes out (client-send.c), what comes in
 * (client-receive.c). */
#ifndef INTERIMAP_IMAP_CLIENT_PRIVATE_H
#define INTERIMAP_IMAP_CLIENT_PRIVATE_H

#include <ev.h>

#include "sync/base/buf.h"
#include "sync/base/loop.h"
#include "sync/imap/client.h"
#include "sync/imap/input.h"
#include "sync/imap/patience.h"
#include "sync/imap/response.h"

/* An IDLE in flight: DONE may be sent only after the server's "+" (RFC 2177).  SHORT: it is to be
 * ended as soon as that comes. */
enum idle_state { IDLE_NONE, IDLE_SENT, IDLE_SHORT, IDLE_CONFIRMED, IDLE_ENDING };

/* Commands encoded to their end and not completed. */
struct client_flight {
	size_t commands;
	size_t spools; /* those of them that have a spool */
	size_t weight; /* bytes of them, spools not counted */
};

/* How the server gets on with the oldest command. */
struct client_progress {
	ev_timer silence;
	struct patience patience;
	uint64_t delivered; /* bytes that had left when it was looked at last */
	uint64_t bodies; /* of messages received by then */
};

/* Which mailbox is selected. */
struct client_selection {
	bool any; /* the server has some selected, as far as read */
	bool closed_seen; /* [CLOSED] came for the SELECT that is answered now */
	struct view *view; /* its view; NULL if forgotten */
	struct view *last_view; /* selected by the commands submitted so far; NULL if forgotten */
	bool last_any; /* they leave some mailbox selected */
};

/* Why and whether the connection is given up. */
struct client_loss {
	char *bye; /* text of an untagged BYE */
	char *reason; /* set: the connection is to be dropped for it */
	bool silent; /* … and it is that the server does not answer */
	bool ended; /* the server closed the connection */
	bool over; /* it was given up, and does not come back */
};

struct client {
	struct loop *loop;
	const char *name;
	struct client_owner *owner;
	struct stream_handler stream_handler;
	struct stream *stream;
	struct input *input;
	struct input_sink sink; /* the input's */
	struct spool *spool; /* of the body that is arriving; its command's */
	struct response response;
	struct buf received; /* read, not yet parsed */
	struct buf out; /* encoded, not yet accepted by the stream */
	struct task pump; /* sends what may be sent; also carries out a loss */

	struct command *queue; /* all not yet completed, oldest first (utlist) */
	struct command *sending; /* the first of them not yet encoded to its end, or NULL */
	uint32_t last_tag;
	enum literal_mode literals;
	bool awaiting; /* a synchronising literal of `sending` waits for its "+" */
	bool unflushed;
	enum idle_state idle;

	struct client_flight in_flight;
	struct client_progress progress;
	struct client_selection selected;
	struct client_loss loss;
};

/* client.c */
void client_complete(struct client *client, struct command *command, enum outcome outcome);
bool client_may_send(const struct client *client);
/* It is encoded to its end. */
void client_sent(struct client *client, struct command *command);
/* The oldest command is another one, or gets on: its answer is waited for from now. */
void client_be_patient(struct client *client);
void client_line_lost(struct client *client, const char *reason);

/* client-send.c: encodes and sends as much as may be; called from the pump only. */
void client_send_more(struct client *client);
/* A continuation that a literal was waiting for. */
void client_literal_accepted(struct client *client);

/* client-receive.c */
struct input *client_input_new(struct client *client);
void client_receive(struct client *client);

#endif
