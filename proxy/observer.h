/* SPDX-License-Identifier: MIT */
/*
 * Watches the two byte streams between a mail client and the store, at any chunking, with bounded
 * memory.  It knows lines, literals and tags (RFC 3501 section 2.2), never looks into a body, and
 * tells the engine what a client's command has changed as soon as that command is answered.
 *
 * It knows when the client idles (RFC 2177), and on which mailbox, and can wait for one line of the
 * server that is not for the client.
 *
 * It also says what the relay must not pass on as it is.  From the server that is lists of
 * capabilities, from which some are taken (capabilities.h).  From the client it is what would blind
 * it, COMPRESS (RFC 4978) and whatever else changes what the streams are, and what it could not
 * follow.  The rule is that the store and it agree on where each command begins:
 *
 *   - a command that does not begin as the grammar has it is refused.  The head is held until its
 *     second word is whole: the store could do nothing with less, so nobody waits;
 *   - no byte of a literal is passed on before the store has asked for it.  Of {n+} the '+' is left
 *     out, and the store's "+" is not for the client.  A literal that the store does not want, of a
 *     client that does not wait, goes nowhere;
 *   - behind IDLE, and behind a command that is not known, nothing is passed on before that is
 *     answered, and not more than LIMIT_OBSERVED_COMMANDS are under way;
 *   - what then is still not clear ends the connection.
 */
#ifndef INTERIMAP_PROXY_OBSERVER_H
#define INTERIMAP_PROXY_OBSERVER_H

#include <stdbool.h>
#include <stddef.h>

struct action_receiver;
struct hint_receiver;
struct observer;

/* What to do with a run of bytes. */
enum observer_verdict {
	OBSERVER_PASS, /* forward it, after what is held */
	OBSERVER_HOLD, /* hold it (never more than LIMIT_OBSERVED_HEAD bytes) */
	OBSERVER_DROP, /* do not forward it, nor what is held */
	OBSERVER_REFUSE, /* client: the same, and answer observer_refused_tag() with
			    observer_refusal() */
	OBSERVER_WAIT, /* client: nothing can be used before the server has spoken */
	OBSERVER_CAPABILITIES, /* server: words of a list of capabilities; the next PASS ends it */
};

/* The receivers may be NULL: then nobody is told. */
struct observer *observer_new(struct hint_receiver *receiver, struct action_receiver *actions);
/* A connection that ends with commands unanswered may have changed anything they name. */
struct observer *observer_free(struct observer *observer);

/* Looks at bytes from the client; n > 0.  Returns how many of them the verdict is for: at least 1,
 * or 0 for OBSERVER_WAIT. */
size_t observer_client(
	struct observer *observer, const char *data, size_t n, enum observer_verdict *ret_verdict);
/* Bytes from the client would not have to wait. */
bool observer_is_ready(const struct observer *observer);
/* Valid after OBSERVER_REFUSE until the next call. */
const char *observer_refused_tag(const struct observer *observer);
const char *observer_refusal(const struct observer *observer);

/*
 * Looks at bytes from the server; n > 0.  With stop set, the run ends where observer_between() is
 * true, so that a response can be put in there.
 */
size_t observer_server(struct observer *observer, const char *data, size_t n, bool stop,
	enum observer_verdict *ret_verdict);
/* The server's stream is between two responses. */
bool observer_between(const struct observer *observer);
/*
 * The tag of the client's IDLE that the server has begun and the client has not ended, when nothing
 * else is under way and the mailbox with this name (as on the wire; NULL for any) is selected; else
 * NULL.
 */
const char *observer_idle_tag(const struct observer *observer, const char *mailbox);

/*
 * While the client idles: the server's next "+" line, or its OK with the tag of the IDLE, is not
 * for the client, and comes with OBSERVER_DROP.  It may also answer the IDLE with NO or BAD, which
 * then passes; after either nothing is awaited any more.
 */
enum observer_awaited { OBSERVER_NOTHING, OBSERVER_IDLE_ENDED, OBSERVER_IDLE_BEGUN };
void observer_await(struct observer *observer, enum observer_awaited awaited);
enum observer_awaited observer_awaits(const struct observer *observer);

/*
 * NULL, or why the streams cannot be followed any more; then the client has to wait for good, and
 * the connection must be ended.  Goes behind "since".
 */
const char *observer_failure(const struct observer *observer);
/* The server has said BYE. */
bool observer_saw_bye(const struct observer *observer);

#endif
