/* SPDX-License-Identifier: MIT */
/* The observer's files: client stream, server stream, and what commands do. */
#ifndef INTERIMAP_PROXY_OBSERVER_PRIVATE_H
#define INTERIMAP_PROXY_OBSERVER_PRIVATE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "proxy/observer.h"
#include "sync/base/buf.h"
#include "sync/base/limits.h"
#include "sync/deeds/action.h"

/* What a command changes. */
enum effect {
	EFFECT_NONE,
	EFFECT_UNKNOWN, /* a command we do not know or could not follow */
	EFFECT_UID, /* the next word is the command */
	EFFECT_ENABLE,
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
	EFFECT_REPLACE,
	EFFECT_CREATE,
	EFFECT_DELETE,
	EFFECT_RENAME,
	EFFECT_SUBSCRIBE,
	EFFECT_UNSUBSCRIBE,
};

struct verb {
	const char *name;
	enum effect effect;
	unsigned mailbox, target; /* which arguments name mailboxes; 0 for none */
	const char *refusal; /* it must not reach the store, and this is what the client hears */
};

/* What a STORE does to \Deleted. */
enum marking { MARKING_NONE, MARKING_ADDS, MARKING_REMOVES };

/* A command that was sent, until it is answered. */
struct observed {
	struct observed *prev, *next;
	enum effect effect;
	/* Owned; NULL if it has none, or it is not certain.  Of an announced MOVE or COPY,
	 * `mailbox` is the one that was selected. */
	char *mailbox, *target;
	char *set; /* owned: of STORE and UID EXPUNGE, or NULL */
	bool by_uid;
	enum marking marking;
	uint64_t ticket; /* 0 if it is not announced, or its outcome is told */
	char *copyuid; /* owned: arguments of the first one, perhaps not well formed */
	unsigned copyuids; /* none, one, or 2 for more and for what cannot be attributed */
	char tag[LIMIT_OBSERVED_TAG + 1];
};

enum client_state {
	CLIENT_HEAD, /* before or within tag and verb */
	CLIENT_ARGUMENTS,
	CLIENT_LITERAL, /* within a literal */
	CLIENT_WAITING, /* a literal is announced, the server has not spoken yet */
};

enum word_state { WORD_BETWEEN, WORD_ATOM, WORD_QUOTED, WORD_ESCAPE };

/* The word that is scanned, or the head. */
struct client_word {
	enum word_state state;
	char text[LIMIT_OBSERVED_NAME + 1];
	size_t len;
	bool bad; /* it is too long, or not as the grammar has it */
};

/* A literal, or what may become one. */
struct client_literal {
	bool announced; /* the word was {n}: a literal if the line ends here */
	bool synchronising;
	uint64_t left; /* bytes of it to come */
};

struct client_scan {
	enum client_state state;
	unsigned spaces; /* within the head */
	char tag[LIMIT_OBSERVED_TAG + 1]; /* empty if it has none */
	size_t tag_len;
	const char *refusal; /* the command is refused with it */
	bool dropped; /* nothing of it is passed on any more: the same, or the store has refused it
		       */
	bool odd; /* the server may not take the command for what it seems to be */
	bool unclear; /* … nor its line for whole */

	enum effect effect;
	unsigned mailbox_argument, target_argument, argument;
	char *mailbox, *target; /* owned */
	bool by_uid; /* it is a UID command */
	struct buf set; /* STORE, EXPUNGE: the first argument */
	bool bad_set; /* it is too long */
	char sign; /* STORE: of its item, '+', '-' or '=' for neither; 0 before it */
	bool names_deleted; /* STORE: \Deleted is among the flags */
	bool sets_seen; /* FETCH: of an item that sets \Seen */
	bool answered; /* tagged response before the end of the command */

	struct client_word word;
	bool returned; /* the last byte was CR */
	struct client_literal literal;
};

enum server_state {
	SERVER_TAG,
	SERVER_WORD, /* after the tag */
	SERVER_CODE, /* after OK, NO, BAD, PREAUTH, BYE: perhaps a code that is read */
	SERVER_LIST, /* words of CAPABILITY */
	SERVER_ENABLED, /* words of ENABLED */
	SERVER_COPYUID, /* arguments of the code */
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
	bool copyuid, copyuid_bad; /* the line has the code; it cannot be used */
	struct buf uids; /* its arguments */
	char tail[SERVER_TAIL]; /* last bytes of the line, or of a status response the first */
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
	const char *failure; /* why the connection cannot be followed any more, or NULL */
	const char *refusal; /* of the last command that was refused, and its tag */
	char refused_tag[LIMIT_OBSERVED_TAG + 1];

	char idle_tag[LIMIT_OBSERVED_TAG + 1]; /* of the IDLE that waits for DONE, or "" */
	bool idling; /* the server has begun it */

	char *selected; /* owned; NULL when none, or when it is not known */
	bool selected_unknown;
	bool read_only;
	/* ENABLE of UTF-8 for mailbox names was sent, and answered (RFC 6855, RFC 9051 section
	 * 5.1); in between it is not known what names are. */
	bool utf8_asked, utf8_enabled;
};

/* observer.c: the client has sent a whole command; takes client.mailbox. */
void observer_command_sent(struct observer *observer);
/* Something was done that is not known: it may have selected another mailbox, too. */
void observer_doubt(struct observer *observer);
/* "it …": the client has done what cannot be followed, or the store has. */
void observer_fail(struct observer *observer, const char *reason);
/* What the client sends now would be a new command, and has to wait. */
bool observer_is_blocked(const struct observer *observer);
/* The client has sent a line that ends an IDLE, if there is one. */
void observer_idle_ended(struct observer *observer);
/* A tagged response; status is "OK", "NO", "BAD" or anything else. */
void observer_command_answered(struct observer *observer, const char *tag, const char *status);

/* observer-name.c: the argument that is whole now, as a name in modified UTF-7 that the caller
 * frees, INBOX in upper case; NULL if it is not certain. */
char *observer_name(const struct observer *observer);
bool observer_is_atom(const char *text, size_t n);
/* Whether ENABLE of this makes names UTF-8. */
bool observer_is_utf8_extension(const char *word);

/* observer-head.c: bytes of a head; at least one is used. */
size_t observer_head(
	struct observer *observer, const char *data, size_t n, enum observer_verdict *ret_verdict);
/* The word is the one behind UID. */
void observer_find_uid_verb(struct client_scan *client);

/* observer-client.c: the next byte begins a command. */
void observer_start_command(struct client_scan *client);
/* The head in `word` is whole, and part of a command that is followed, or refused. */
void observer_head_passed(struct observer *observer);
enum observer_verdict observer_head_refused(struct observer *observer);
/* Which messages the whole command names, and what it does to \Deleted. */
void observer_take_set(struct client_scan *client, struct observed *command);

/* observer-action.c: a command that is kept, and may be announced. */
void observer_action_sent(struct observer *observer, struct observed *command);
/* Its tagged response; before what ends the command. */
void observer_action_answered(
	struct observer *observer, struct observed *command, const char *status);
/* Tells the outcome, unless it is told.  The text of a COPYUID, or NULL, is modified. */
void observer_action_ended(struct observer *observer, struct observed *command,
	enum action_result result, char *copyuid);
/* A command that marks or expunges messages of the selected mailbox has been answered with OK, or
 * its connection has ended. */
void observer_removal(struct observer *observer, const struct observed *command);
/* An untagged OK with a COPYUID. */
void observer_action_copied(struct observer *observer);
/* After the command another mailbox may be selected, or the same under another name. */
bool observer_changes_selection(enum effect effect);

/* observer-code.c: one byte in SERVER_CODE; a byte in SERVER_ENABLED; bytes in SERVER_COPYUID, of
 * which it returns how many it used. */
void observer_code_byte(struct server_scan *server, char c);
void observer_enabled_byte(struct observer *observer, char c);
size_t observer_code_copyuid(struct observer *observer, const char *data, size_t n);
/* The arguments of the line's COPYUID; the caller frees them. */
char *observer_code_take(struct observer *observer);
/* False when malformed.  The sets are in the text, which is modified. */
bool observer_code_parse(char *text, struct copied_uids *ret);

/* observer-client.c: the server sent "+ …".  False if it was not for a literal. */
bool client_scan_continue(struct observer *observer);
/* The server has answered the command that is still being sent. */
void client_scan_answered(struct observer *observer, bool ok);
/* Its next "+ …" is for a literal of which the client does not know that it is waited with. */
bool client_scan_awaits_quietly(const struct observer *observer);

#endif
