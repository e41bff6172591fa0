/* SPDX-License-Identifier: MIT */
/*
 * The client's stream: tag, verb, arguments, literals (RFC 3501 section 9, RFC 7888 for {n+}, RFC
 * 3516 for ~{n}).  A line of one word is no command: DONE of IDLE, or an answer to AUTHENTICATE.
 */
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "proxy/observer-private.h"
#include "sync/base/xalloc.h"
#include "sync/imap/slice.h"

/* What is not listed may do anything. */
static const struct verb verbs[] = {
	{"APPEND", EFFECT_APPEND, 0, 1},
	{"AUTHENTICATE", EFFECT_NONE, 0},
	{"CAPABILITY", EFFECT_NONE, 0},
	{"CHECK", EFFECT_NONE, 0},
	{"CLOSE", EFFECT_CLOSE, 0},
	{"COMPRESS", EFFECT_COMPRESS, 0},
	{"COPY", EFFECT_COPY, 0, 2},
	{"CREATE", EFFECT_CREATE, 1, 0},
	{"DELETE", EFFECT_DELETE, 1, 0},
	{"ENABLE", EFFECT_ENABLE, 0},
	{"ESEARCH", EFFECT_NONE, 0},
	{"EXAMINE", EFFECT_EXAMINE, 1, 0},
	{"EXPUNGE", EFFECT_EXPUNGE, 0},
	{"FETCH", EFFECT_FETCH, 0},
	{"GETACL", EFFECT_NONE, 0},
	{"GETMETADATA", EFFECT_NONE, 0},
	{"GETQUOTA", EFFECT_NONE, 0},
	{"GETQUOTAROOT", EFFECT_NONE, 0},
	{"ID", EFFECT_NONE, 0},
	{"IDLE", EFFECT_IDLE, 0},
	{"LIST", EFFECT_NONE, 0},
	{"LISTRIGHTS", EFFECT_NONE, 0},
	{"LOGIN", EFFECT_NONE, 0},
	{"LOGOUT", EFFECT_NONE, 0},
	{"LSUB", EFFECT_NONE, 0},
	{"MOVE", EFFECT_MOVE, 0, 2},
	{"MYRIGHTS", EFFECT_NONE, 0},
	{"NAMESPACE", EFFECT_NONE, 0},
	{"NOOP", EFFECT_NONE, 0},
	{"NOTIFY", EFFECT_NONE, 0},
	{"RENAME", EFFECT_RENAME, 1, 2},
	{"REPLACE", EFFECT_REPLACE, 0, 2}, /* RFC 8508: removes here, appends there */
	{"SEARCH", EFFECT_NONE, 0},
	{"SELECT", EFFECT_SELECT, 1, 0},
	{"SETACL", EFFECT_NONE, 0},
	{"SETMETADATA", EFFECT_NONE, 0},
	{"SORT", EFFECT_NONE, 0},
	{"STARTTLS", EFFECT_NONE, 0},
	{"STATUS", EFFECT_NONE, 0},
	{"STORE", EFFECT_STORE, 0},
	{"SUBSCRIBE", EFFECT_SUBSCRIBE, 1, 0},
	{"THREAD", EFFECT_NONE, 0},
	{"UID", EFFECT_UID, 0},
	{"UNSELECT", EFFECT_UNSELECT, 0},
	{"UNSUBSCRIBE", EFFECT_UNSUBSCRIBE, 1, 0},
	{"XLIST", EFFECT_NONE, 0},
};

static void start_command(struct client_scan *client)
{
	free(client->mailbox);
	free(client->target);
	/* The word's bytes need no clearing, and there are many commands. */
	client->mailbox = client->target = NULL;
	client->state = CLIENT_TAG;
	client->head = client->tag_len = client->word_len = 0;
	client->effect = EFFECT_NONE;
	client->mailbox_argument = client->target_argument = client->argument = 0;
	client->odd = client->returned = false;
	client->by_uid = client->bad_set = client->names_deleted = false;
	client->sign = '\0';
	buf_clear(&client->set);
	client->long_tag = client->bad_word = client->sets_seen = client->answered = false;
	client->announced = false;
	client->word_state = WORD_BETWEEN;
	client->tag[0] = '\0';
}

static void end_command(struct observer *observer)
{
	struct client_scan *client = &observer->client;

	if (client->effect == EFFECT_FETCH)
		client->effect = client->sets_seen ? EFFECT_SEEN : EFFECT_NONE;
	else if (client->effect == EFFECT_ENABLE)
		client->effect = EFFECT_NONE;
	else if (client->effect == EFFECT_UID || client->word_state == WORD_QUOTED ||
		 client->word_state == WORD_ESCAPE)
		client->effect = EFFECT_UNKNOWN; /* a server may be more lenient than we are */
	observer_command_sent(observer);
	start_command(client);
}

static void clear_word(struct client_scan *client)
{
	client->word_len = 0;
	client->bad_word = false;
}

/* The argument that is not yet whole is a set of messages. */
static bool is_set(const struct client_scan *client)
{
	return client->argument == 0 &&
	       (client->effect == EFFECT_STORE || client->effect == EFFECT_EXPUNGE);
}

static void add_to_word(struct client_scan *client, const char *data, size_t n)
{
	if (is_set(client))
		client->bad_set |= !buf_append(&client->set, data, n);
	if (n > LIMIT_OBSERVED_NAME - client->word_len) {
		client->bad_word = true;
		return;
	}
	memcpy(client->word + client->word_len, data, n);
	client->word_len += n;
}

static void find_verb(struct client_scan *client)
{
	client->effect = EFFECT_UNKNOWN;
	for (size_t i = 0; i < ARRAY_LEN(verbs); i++)
		if (strcasecmp(verbs[i].name, client->word) == 0) {
			client->effect = verbs[i].effect;
			client->mailbox_argument = verbs[i].mailbox;
			client->target_argument = verbs[i].target;
		}
}

/* Items that set \Seen: BODY[…] and BINARY[…] without PEEK, RFC822, RFC822.TEXT. */
static bool sets_seen(const char *item)
{
	return strncasecmp(item, "BODY[", 5) == 0 || strncasecmp(item, "BINARY[", 7) == 0 ||
	       strcasecmp(item, "RFC822") == 0 || strcasecmp(item, "RFC822.TEXT") == 0;
}

/* What a STORE does: FLAGS replaces them all (RFC 3501 section 6.4.6). */
static void read_store(struct client_scan *client)
{
	const char *item = client->word;
	char sign = *item == '+' || *item == '-' ? *item++ : '=';

	if (client->sign == '\0' && strncasecmp(item, "FLAGS", 5) == 0)
		client->sign = sign;
	else if (client->sign != '\0')
		client->names_deleted |= strcasecmp(client->word, "\\Deleted") == 0;
}

void observer_take_set(struct client_scan *client, struct observed *command)
{
	bool adds = client->names_deleted && client->sign != '-';

	if (client->effect != EFFECT_STORE && client->effect != EFFECT_EXPUNGE)
		return;
	command->by_uid = client->by_uid;
	if (client->effect == EFFECT_STORE && (client->names_deleted || client->sign == '='))
		command->marking = adds ? MARKING_ADDS : MARKING_REMOVES;
	if (!client->odd && !client->bad_set && buf_len(&client->set) > 0)
		command->set = slice_dup((struct slice){
			.data = buf_data(&client->set), .len = buf_len(&client->set)});
}

/* One argument is whole, be it an atom, a quoted string or a literal. */
static void end_argument(struct observer *observer)
{
	struct client_scan *client = &observer->client;

	client->word[client->word_len] = '\0';
	if (client->effect == EFFECT_UID) {
		client->by_uid = true;
		find_verb(client);
		if (client->effect == EFFECT_UID)
			client->effect = EFFECT_UNKNOWN;
	} else if (++client->argument == client->mailbox_argument) {
		client->mailbox = observer_name(observer);
	} else if (client->argument == client->target_argument) {
		client->target = observer_name(observer);
	} else if (client->effect == EFFECT_STORE) {
		read_store(client);
	} else if (client->effect == EFFECT_FETCH) {
		client->sets_seen |= sets_seen(client->word);
	} else if (client->effect == EFFECT_ENABLE) {
		observer->utf8_asked |= observer_is_utf8_extension(client->word);
	}
	clear_word(client);
}

/* Whether the atom announces a literal: {n}, {n+}, {n-}, with '~' before it for a literal8. */
static bool read_announcement(struct client_scan *client)
{
	const char *at = client->word;
	uint64_t size = 0;

	client->word[client->word_len] = '\0';
	at += *at == '~';
	if (*at++ != '{' || *at < '0' || *at > '9')
		return false;
	for (; *at >= '0' && *at <= '9'; at++) {
		if (size > UINT64_MAX / 10 - 1)
			return false;
		size = size * 10 + (unsigned)(*at - '0');
	}
	client->synchronising = *at != '+' && *at != '-';
	client->odd |= *at == '-'; /* in no RFC */
	at += !client->synchronising;
	client->literal = size;
	return at[0] == '}' && at[1] == '\0';
}

/* Whether the argument that is not yet whole names a mailbox. */
static bool is_name(const struct client_scan *client)
{
	return client->argument + 1 == client->mailbox_argument ||
	       client->argument + 1 == client->target_argument;
}

static void end_atom(struct observer *observer)
{
	struct client_scan *client = &observer->client;

	client->word_state = WORD_BETWEEN;
	client->announced = !client->bad_word && read_announcement(client);
	if (client->announced)
		return;
	if (is_name(client))
		client->bad_word |= !observer_is_atom(client->word, client->word_len);
	end_argument(observer);
}

static void begin_literal(struct observer *observer)
{
	struct client_scan *client = &observer->client;

	client->state = CLIENT_LITERAL;
	if (client->literal > 0)
		return;
	client->state = CLIENT_ARGUMENTS;
	end_argument(observer);
}

static void end_line(struct observer *observer)
{
	struct client_scan *client = &observer->client;

	if (!client->announced) {
		end_command(observer);
		return;
	}
	client->announced = false;
	clear_word(client);
	if (client->synchronising)
		client->state = CLIENT_WAITING;
	else
		begin_literal(observer);
}

/* An argument that is a name, or one before it, is not whole. */
static bool awaits_name(const struct client_scan *client)
{
	return client->argument < client->mailbox_argument ||
	       client->argument < client->target_argument;
}

static void between_words(struct observer *observer, char c)
{
	struct client_scan *client = &observer->client;

	if (c == '\n') {
		end_line(observer);
		return;
	}
	if (c == '\r')
		return;
	if (client->announced) {
		/* It did not end the line: a word like any other. */
		client->announced = false;
		client->odd = client->bad_word = true;
		end_argument(observer);
	}
	/* Names are in no list, but what begins one may be taken for a part of the name. */
	client->bad_word |= (c == '(' || c == ')') && awaits_name(client);
	if (c == '"') {
		client->word_state = WORD_QUOTED;
	} else if (c != ' ' && c != '(' && c != ')') {
		client->word_state = WORD_ATOM;
		add_to_word(client, &c, 1);
	}
}

static void argument_byte(struct observer *observer, char c)
{
	struct client_scan *client = &observer->client;
	bool ends_line = c == '\r' || c == '\n';

	if (client->returned && c != '\n')
		client->effect = EFFECT_UNKNOWN; /* servers differ in where such a line ends */
	client->returned = c == '\r';
	switch (client->word_state) {
	case WORD_BETWEEN:
		between_words(observer, c);
		break;
	case WORD_ATOM:
		if (!ends_line && c != ' ' && c != '(' && c != ')') {
			/* A literal, it might be thought. */
			client->odd |=
				c == '{' && strncmp(client->word, "~", client->word_len) != 0;
			add_to_word(client, &c, 1);
			break;
		}
		client->bad_word |= !ends_line && c != ' ' && is_name(client);
		end_atom(observer);
		between_words(observer, c);
		break;
	case WORD_QUOTED:
		if (c == '\n') {
			end_command(observer); /* unterminated */
		} else if (c == '"') {
			client->word_state = WORD_BETWEEN;
			end_argument(observer);
		} else if (c == '\\') {
			client->word_state = WORD_ESCAPE;
		} else {
			add_to_word(client, &c, 1);
		}
		break;
	case WORD_ESCAPE:
		if (c == '\n') {
			end_command(observer);
			break;
		}
		client->word_state = WORD_QUOTED;
		client->bad_word |= c != '"' && c != '\\';
		add_to_word(client, &c, 1);
		break;
	}
}

static size_t scan_literal(struct observer *observer, const char *data, size_t n)
{
	struct client_scan *client = &observer->client;
	size_t used = n < client->literal ? n : (size_t)client->literal;

	if (is_name(client))
		add_to_word(client, data, used);
	client->literal -= used;
	if (client->literal == 0) {
		client->state = CLIENT_ARGUMENTS;
		end_argument(observer);
	}
	return used;
}

/* Up to the end of the command, or of the bytes. */
static size_t scan_body(struct observer *observer, const char *data, size_t n)
{
	struct client_scan *client = &observer->client;
	size_t at = 0;

	while (at < n && client->state != CLIENT_TAG) {
		if (client->state == CLIENT_WAITING) {
			/* A client that does not wait.  The server most likely takes it all the
			 * same. */
			client->effect = EFFECT_UNKNOWN;
			begin_literal(observer);
		} else if (client->state == CLIENT_LITERAL) {
			at += scan_literal(observer, data + at, n - at);
		} else {
			argument_byte(observer, data[at++]);
		}
	}
	return at;
}

/* The verb is whole, ended by c. */
static void end_verb(struct observer *observer, char c)
{
	struct client_scan *client = &observer->client;

	client->word[client->word_len] = '\0';
	find_verb(client);
	clear_word(client);
	client->returned = c == '\r';
	if (client->effect == EFFECT_COMPRESS)
		client->state = CLIENT_COMPRESS;
	else if (c == '\n')
		end_command(observer);
	else
		client->state = CLIENT_ARGUMENTS;
}

/* Too long to be any command we look for: let it pass, and take it for one that may do anything. */
static void give_up_on_head(struct client_scan *client)
{
	client->effect = EFFECT_UNKNOWN;
	client->long_tag |= client->state == CLIENT_TAG;
	client->state = CLIENT_ARGUMENTS;
	clear_word(client);
}

static void tag_byte(struct observer *observer, char c)
{
	struct client_scan *client = &observer->client;

	client->odd |= c == '\r' || (c == ' ' && client->tag_len == 0);
	if (c == '\r')
		return;
	if (c == '\n') {
		observer_idle_ended(observer); /* DONE */
		start_command(client);
	} else if (c == ' ') {
		if (client->tag_len > 0)
			client->state = CLIENT_VERB;
	} else if (client->tag_len == LIMIT_OBSERVED_TAG) {
		give_up_on_head(client);
	} else {
		client->tag[client->tag_len++] = c;
		client->tag[client->tag_len] = '\0';
	}
}

static void verb_byte(struct observer *observer, char c)
{
	struct client_scan *client = &observer->client;
	bool ends = c == ' ' || c == '\r' || c == '\n';

	if (!ends)
		add_to_word(client, &c, 1);
	else if (client->word_len > 0)
		end_verb(observer, c);
	else if (c == '\n')
		start_command(client);
	else
		client->odd = true;
}

/* True when it is no longer open whether this is COMPRESS. */
static bool head_byte(struct observer *observer, char c)
{
	struct client_scan *client = &observer->client;

	client->head++;
	if (client->state == CLIENT_TAG)
		tag_byte(observer, c);
	else
		verb_byte(observer, c);
	if (c == '\n' || (client->state != CLIENT_TAG && client->state != CLIENT_VERB))
		return true;
	if (client->head < LIMIT_OBSERVED_HEAD)
		return false;
	give_up_on_head(client);
	return true;
}

static size_t scan_compress(
	struct client_scan *client, const char *data, size_t n, enum observer_verdict *ret_verdict)
{
	const char *end = memchr(data, '\n', n);

	*ret_verdict = end == NULL ? OBSERVER_DROP : OBSERVER_REFUSE;
	if (end == NULL)
		return n;
	/* The tag is still asked for. */
	client->state = CLIENT_TAG;
	client->head = client->tag_len = 0;
	return (size_t)(end - data) + 1;
}

static size_t scan_head(
	struct observer *observer, const char *data, size_t n, enum observer_verdict *ret_verdict)
{
	struct client_scan *client = &observer->client;
	size_t at = 0;

	while (at < n && !head_byte(observer, data[at++]))
		;
	if (client->state == CLIENT_COMPRESS) {
		*ret_verdict = OBSERVER_DROP;
		/* The line may have ended with the verb. */
		if (data[at - 1] == '\n')
			return at - 1 + scan_compress(client, data + at - 1, 1, ret_verdict);
	} else {
		*ret_verdict = client->state == CLIENT_ARGUMENTS || client->head == 0
				       ? OBSERVER_PASS
				       : OBSERVER_HOLD;
	}
	return at;
}

size_t observer_client(
	struct observer *observer, const char *data, size_t n, enum observer_verdict *ret_verdict)
{
	struct client_scan *client = &observer->client;

	if (client->state == CLIENT_COMPRESS)
		return scan_compress(client, data, n, ret_verdict);
	if (client->state == CLIENT_TAG && client->head == 0)
		start_command(client);
	if (client->state == CLIENT_TAG || client->state == CLIENT_VERB)
		return scan_head(observer, data, n, ret_verdict);
	*ret_verdict = OBSERVER_PASS;
	return scan_body(observer, data, n);
}

bool client_scan_continue(struct observer *observer)
{
	if (observer->client.state != CLIENT_WAITING)
		return false;
	begin_literal(observer);
	return true;
}

void client_scan_answered(struct observer *observer)
{
	struct client_scan *client = &observer->client;

	if (client->state == CLIENT_WAITING) {
		/* The literal is not wanted: the next byte begins a command. */
		observer->sent++;
		start_command(client);
	} else {
		client->answered = true;
	}
}
