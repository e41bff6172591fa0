/* SPDX-License-Identifier: MIT */
/*
 * Bytes both ways between a mail client that has logged in and its connection to the store.  What
 * is read is written at once; what the other side does not take is kept, and reading pauses until
 * it is gone.  (The directions are independent, so that cannot deadlock: the store never waits for
 * us to read before it reads.)  The end of one side is passed on to the other after what was sent
 * before it.
 *
 * Nothing is altered but what observer.h names.
 */
#ifndef INTERIMAP_PROXY_RELAY_H
#define INTERIMAP_PROXY_RELAY_H

#include <stdbool.h>

struct action_receiver;
struct buf;
struct hint_receiver;
struct loop;
struct relay;
struct stream;

struct relay_handler {
	/*
	 * Once, from the loop; frees the relay.  The reason is a sentence without a full stop if
	 * the store has failed, or what was said cannot be followed (observer.h); or NULL.
	 */
	void (*ended)(struct relay_handler *handler, const char *reason);
};

/* What there is when the relay begins; the streams are taken, the buffers emptied. */
struct relay_start {
	struct stream *own_client, *own_store;
	struct buf *from_client, *from_store; /* read, and not used */
	struct buf *to_client; /* to be written first */
};

/* Never calls back before it returns.  The receivers may be NULL. */
struct relay *relay_new(struct loop *loop, const struct relay_start *start,
	struct hint_receiver *receiver, struct action_receiver *actions,
	struct relay_handler *handler);
/* Closes both sides at once.  Accepts NULL. */
struct relay *relay_free(struct relay *relay);

/* Each of its ways waits for bytes, for room, or for the store's answers to a nudge; or its time is
 * measured. */
bool relay_is_attended(const struct relay *relay);
/* For a developer, to stderr. */
void relay_say_state(const struct relay *relay);

/*
 * Something has changed in the mailbox with this name (as on the wire; NULL: in any).  A client
 * that idles on it hears of it now, if the store has only to be asked: some (Dovecot) collect
 * changes for half a second.  The IDLE is ended and begun again between the store and us; the
 * client sees what comes of it and nothing else.
 */
void relay_nudge(struct relay *relay, const char *mailbox);

/* Tells the client that the connection is about to be closed, if that can be said now. */
void relay_say_bye(struct relay *relay, const char *text);

#endif
