/* SPDX-License-Identifier: MIT */
/* The observer's three files: client stream, server stream, and what commands have done. */
#ifndef INTERIMAP_PROXY_OBSERVER_PRIVATE_H
#define INTERIMAP_PROXY_OBSERVER_PRIVATE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "proxy/observer.h"
#include "sync/base/limits.h"

/* What a command changes. */
enum effect {
	EFFECT_NONE,
	EFFECT_UNKNOWN, /* a command we do not know or could not follow */
	EFFECT_UID, /* the next word is the command */
	EFFECT_ENABLE,
	EFFECT_COMPRESS,
	EFFECT_IDLE,
	EFFECT_SELECT,
	EFFECT_EXAMINE,
	EFFECT_UNSELECT,
	EFFECT_CLOSE,
	EFFECT_FETCH, /* becomes EFFECT_SEEN or EFFECT_NONE when its items are known */
	EFFECT_SEEN,
	EFFECT_STORE,
	EFFECT_EXPUNGE,
	EFFECT_APPEND,
	EFFECT_COPY,
	EFFECT_MOVE,
	EFFECT_TREE,
};

struct verb {
	const char *name;
	enum effect effect;
	unsigned mailbox; /* which argument names a mailbox; 0 for none */
};

/* A command that was sent and changes something, until it is answered. */
struct observed {
	struct observed *prev, *next;
	enum effect effect;
	char *mailbox; /* owned; NULL if it has none, or it could not be read */
	char tag[LIMIT_OBSERVED_TAG + 1];
};

enum client_state {
	CLIENT_TAG, /* before or within the tag */
	CLIENT_VERB, /* before or within the word after it */
	CLIENT_ARGUMENTS,
	CLIENT_LITERAL, /* within a literal */
	CLIENT_WAITING, /* a synchronising literal is announced, the server has not spoken yet */
	CLIENT_COMPRESS, /* the rest of a command line that is not passed on */
};

enum word_state { WORD_BETWEEN, WORD_ATOM, WORD_QUOTED, WORD_ESCAPE };

struct client_scan {
	enum client_state state;
	size_t head; /* bytes of tag and verb so far */
	char tag[LIMIT_OBSERVED_TAG + 1];
	size_t tag_len;
	bool long_tag;

	enum effect effect;
	unsigned mailbox_argument, argument;
	char *mailbox; /* owned */
	bool sets_seen; /* FETCH: of an item that sets \Seen */
	bool answered; /* tagged response before the end of the command */

	enum word_state word_state;
	char word[LIMIT_OBSERVED_NAME + 1];
	size_t word_len;
	bool long_word;
	bool announced; /* the word was {n}: a literal if the line ends here */
	bool synchronising;
	uint64_t literal; /* bytes of it to come */
};

enum server_state {
	SERVER_TAG,
	SERVER_WORD, /* after the tag */
	SERVER_CODE, /* after OK, NO, BAD, PREAUTH, BYE: perhaps "[CAPABILITY " */
	SERVER_LIST, /* words of CAPABILITY */
	SERVER_REST,
	SERVER_LITERAL,
};

enum { SERVER_TAIL = 32 };

struct server_scan {
	enum server_state state;
	char tag[LIMIT_OBSERVED_TAG + 1];
	char word[16];
	size_t tag_len, word_len;
	size_t head; /* bytes of the line that scan_head() has seen */
	bool long_tag;
	bool text; /* a status response or continuation: no literals in it */
	bool code; /* the list of capabilities is within brackets */
	char tail[SERVER_TAIL]; /* last bytes of the line */
	size_t tail_len;
	uint64_t literal;
	bool bye;
	enum observer_awaited awaited;
	bool dropping; /* within the line that was awaited */
};

struct observer {
	struct hint_receiver *receiver;
	struct action_receiver *actions;
	struct client_scan client;
	struct server_scan server;

	struct observed *in_flight;
	unsigned in_flight_count;
	uint64_t sent, answered; /* commands; tagged responses */
	uint64_t untracked_until; /* value of `sent` at the last command that could not be kept */

	char idle_tag[LIMIT_OBSERVED_TAG + 1]; /* of the last command, if it is an IDLE, else "" */
	bool idling; /* the server has begun it */

	char *selected; /* owned; NULL when none, or when it is not known */
	bool selected_unknown;
	bool read_only;
	bool utf8; /* ENABLE UTF8=ACCEPT was sent: names may not be modified UTF-7 (RFC 6855) */
};

/* observer.c: the client has sent a whole command; takes client.mailbox. */
void observer_command_sent(struct observer *observer);
/* The client has sent a line that ends an IDLE, if there is one. */
void observer_idle_ended(struct observer *observer);
/* A tagged response; status is "OK", "NO", "BAD" or anything else. */
void observer_command_answered(struct observer *observer, const char *tag, const char *status);

/* observer-client.c: the server sent "+ …".  False if it was not for a literal. */
bool client_scan_continue(struct observer *observer);
/* The server has answered the command that is still being sent. */
void client_scan_answered(struct observer *observer);

#endif
