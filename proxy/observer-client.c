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

void observer_start_command(struct client_scan *client)
{
	free(client->mailbox);
	free(client->target);
	/* The word's bytes need no clearing, and there are many commands. */
	client->mailbox = client->target = NULL;
	client->state = CLIENT_HEAD;
	client->spaces = 0;
	client->tag_len = client->word.len = 0;
	client->effect = EFFECT_NONE;
	client->mailbox_argument = client->target_argument = client->argument = 0;
	client->refusal = NULL;
	client->dropped = client->odd = client->unclear = client->returned = false;
	client->by_uid = client->bad_set = client->names_deleted = false;
	client->sign = '\0';
	buf_clear(&client->set);
	client->word.bad = client->sets_seen = client->answered = false;
	client->literal.announced = false;
	client->word.state = WORD_BETWEEN;
	client->tag[0] = '\0';
}

static void end_command(struct observer *observer)
{
	struct client_scan *client = &observer->client;
	bool quoted = client->word.state == WORD_QUOTED || client->word.state == WORD_ESCAPE;

	if (client->effect == EFFECT_FETCH)
		client->effect = client->sets_seen ? EFFECT_SEEN : EFFECT_NONE;
	else if (client->effect == EFFECT_ENABLE)
		client->effect = EFFECT_NONE;
	if (client->effect == EFFECT_UID || client->unclear || quoted)
		client->effect = EFFECT_UNKNOWN; /* a server may be more lenient than we are */
	if (client->refusal != NULL) {
		observer->refusal = client->refusal;
		memcpy(observer->refused_tag, client->tag, client->tag_len + 1);
	} else if (!client->dropped) {
		observer_command_sent(observer);
	}
	observer_start_command(client);
}

static void clear_word(struct client_scan *client)
{
	client->word.len = 0;
	client->word.bad = false;
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
	if (n > LIMIT_OBSERVED_NAME - client->word.len) {
		client->word.bad = true;
		return;
	}
	memcpy(client->word.text + client->word.len, data, n);
	client->word.len += n;
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
	const char *item = client->word.text;
	char sign = *item == '+' || *item == '-' ? *item++ : '=';

	if (client->sign == '\0' && strncasecmp(item, "FLAGS", 5) == 0)
		client->sign = sign;
	else if (client->sign != '\0')
		client->names_deleted |= strcasecmp(client->word.text, "\\Deleted") == 0;
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

	client->word.text[client->word.len] = '\0';
	if (client->effect == EFFECT_UID) {
		observer_find_uid_verb(client);
	} else if (++client->argument == client->mailbox_argument) {
		client->mailbox = observer_name(observer);
	} else if (client->argument == client->target_argument) {
		client->target = observer_name(observer);
	} else if (client->effect == EFFECT_STORE) {
		read_store(client);
	} else if (client->effect == EFFECT_FETCH) {
		client->sets_seen |= sets_seen(client->word.text);
	} else if (client->effect == EFFECT_ENABLE) {
		observer->utf8_asked |= observer_is_utf8_extension(client->word.text);
	}
	clear_word(client);
}

/* Whether the atom announces a literal: {n} or {n+}, with '~' before it for a literal8. */
static bool read_announcement(struct client_scan *client)
{
	const char *at = client->word.text;
	uint64_t size = 0;

	client->word.text[client->word.len] = '\0';
	at += *at == '~';
	if (*at++ != '{' || *at < '0' || *at > '9')
		return false;
	for (; *at >= '0' && *at <= '9'; at++) {
		if (size > UINT64_MAX / 10 - 1)
			return false;
		size = size * 10 + (unsigned)(*at - '0');
	}
	client->literal.synchronising = *at != '+';
	at += !client->literal.synchronising;
	client->literal.left = size;
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

	client->word.state = WORD_BETWEEN;
	client->literal.announced = !client->word.bad && read_announcement(client);
	if (client->literal.announced)
		return;
	/* A literal, it might be thought. */
	client->unclear |= memchr(client->word.text, '{', client->word.len) != NULL;
	client->odd |= client->unclear;
	if (is_name(client))
		client->word.bad |= !observer_is_atom(client->word.text, client->word.len);
	end_argument(observer);
}

static void begin_literal(struct observer *observer)
{
	struct client_scan *client = &observer->client;

	client->state = CLIENT_LITERAL;
	if (client->literal.left > 0)
		return;
	client->state = CLIENT_ARGUMENTS;
	end_argument(observer);
}

/*
 * A literal is announced.  Whether it is one is for the store to say: it may refuse the command
 * before, or know no literals without waiting (RFC 7888), and then takes the bytes for commands.
 * So it is asked each time.
 */
static void end_announcement(struct observer *observer)
{
	struct client_scan *client = &observer->client;

	client->literal.announced = false;
	clear_word(client);
	if (client->answered && !client->dropped) {
		observer_doubt(observer);
		client->dropped = true;
	}
	if (!client->dropped)
		client->state = CLIENT_WAITING;
	else if (client->literal.synchronising)
		end_command(observer); /* it will not be sent */
	else
		begin_literal(observer);
}

static void end_line(struct observer *observer)
{
	if (observer->client.literal.announced)
		end_announcement(observer);
	else
		end_command(observer);
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
	if (client->literal.announced) {
		/* It did not end the line: a word like any other. */
		client->literal.announced = false;
		client->odd = client->unclear = client->word.bad = true;
		end_argument(observer);
	}
	/* Names are in no list, but what begins one may be taken for a part of the name. */
	client->word.bad |= (c == '(' || c == ')') && awaits_name(client);
	if (c == '"') {
		client->word.state = WORD_QUOTED;
	} else if (c != ' ' && c != '(' && c != ')') {
		client->word.state = WORD_ATOM;
		add_to_word(client, &c, 1);
	}
}

static void argument_byte(struct observer *observer, char c)
{
	struct client_scan *client = &observer->client;
	bool ends_line = c == '\r' || c == '\n';

	client->returned = c == '\r';
	switch (client->word.state) {
	case WORD_BETWEEN:
		between_words(observer, c);
		break;
	case WORD_ATOM:
		if (!ends_line && c != ' ' && c != '(' && c != ')') {
			add_to_word(client, &c, 1);
			break;
		}
		client->word.bad |= !ends_line && c != ' ' && is_name(client);
		end_atom(observer);
		between_words(observer, c);
		break;
	case WORD_QUOTED:
		if (c == '\n') {
			end_command(observer); /* unterminated */
		} else if (c == '"') {
			client->word.state = WORD_BETWEEN;
			end_argument(observer);
		} else if (c == '\\') {
			client->word.state = WORD_ESCAPE;
		} else {
			add_to_word(client, &c, 1);
		}
		break;
	case WORD_ESCAPE:
		if (c == '\n') {
			end_command(observer);
			break;
		}
		client->word.state = WORD_QUOTED;
		client->word.bad |= c != '"' && c != '\\';
		add_to_word(client, &c, 1);
		break;
	}
}

static size_t scan_literal(struct observer *observer, const char *data, size_t n)
{
	struct client_scan *client = &observer->client;
	size_t used = n < client->literal.left ? n : (size_t)client->literal.left;

	if (is_name(client))
		add_to_word(client, data, used);
	client->literal.left -= used;
	if (client->literal.left == 0) {
		client->state = CLIENT_ARGUMENTS;
		end_argument(observer);
	}
	return used;
}

/* How much of the word is "{n", or "~{n", with digits; 0: it does not begin so. */
static size_t announcement_length(const struct client_scan *client)
{
	size_t at = client->word.len > 0 && client->word.text[0] == '~';

	if (client->word.state != WORD_ATOM || client->word.bad || client->word.len < at + 2 ||
		client->word.text[at++] != '{')
		return 0;
	while (at < client->word.len && client->word.text[at] >= '0' &&
		client->word.text[at] <= '9')
		at++;
	return at;
}

/* The byte is the '+' of {n+}. */
static bool is_waiver(const struct client_scan *client, char c)
{
	return c == '+' && client->word.len > 0 && announcement_length(client) == client->word.len;
}

/*
 * The byte is the '}' of {n} or {n+}, or the CR behind it.  Dovecot asks for the literal as soon as
 * it has the '}': it gets it with the end of the line, or the "+" would come before we wait for it.
 */
static bool is_end_of_announcement(const struct client_scan *client, char c)
{
	size_t at = announcement_length(client);

	if (at == 0 || (c != '}' && c != '\r'))
		return false;
	if (at < client->word.len && client->word.text[at] == '+')
		at++;
	if (c == '\r' && at < client->word.len && client->word.text[at] == '}')
		return at + 1 == client->word.len;
	return c == '}' && at == client->word.len;
}

/* Servers differ in whether a CR ends a line that goes on, and then a command would follow. */
static bool breaks_line(const struct client_scan *client, char c)
{
	return client->returned && c != '\r' && c != '\n';
}

/* Up to the end of the command, or of the bytes. */
static size_t scan_body(
	struct observer *observer, const char *data, size_t n, enum observer_verdict *ret_verdict)
{
	struct client_scan *client = &observer->client;
	bool dropped = client->dropped;
	size_t at = 0;

	*ret_verdict = dropped ? OBSERVER_DROP : OBSERVER_PASS;
	while (at < n && client->dropped == dropped) {
		if (client->state == CLIENT_LITERAL) {
			at += scan_literal(observer, data + at, n - at);
			continue;
		}
		if (client->state != CLIENT_ARGUMENTS)
			break;
		if (!dropped && breaks_line(client, data[at]))
			observer_fail(observer, "it sends a carriage return within a line");
		if (!dropped && (observer->failure != NULL || is_waiver(client, data[at]))) {
			if (at > 0)
				break; /* what is before it passes */
			*ret_verdict = OBSERVER_DROP;
			argument_byte(observer, data[at]);
			return 1;
		}
		if (!dropped && is_end_of_announcement(client, data[at])) {
			if (at > 0)
				break;
			*ret_verdict = OBSERVER_HOLD;
			argument_byte(observer, data[at]);
			return 1;
		}
		argument_byte(observer, data[at++]);
	}
	if (observer->refusal != NULL)
		*ret_verdict = OBSERVER_REFUSE;
	return at;
}

void observer_head_passed(struct observer *observer)
{
	struct client_scan *client = &observer->client;
	char last = client->word.text[client->word.len - 1];

	clear_word(client);
	if (last == '\n')
		end_command(observer);
}

enum observer_verdict observer_head_refused(struct observer *observer)
{
	struct client_scan *client = &observer->client;
	char head[LIMIT_OBSERVED_HEAD];
	size_t len = client->word.len;

	/* A literal may be announced in it. */
	memcpy(head, client->word.text, len);
	clear_word(client);
	client->dropped = true;
	for (size_t i = 0; i < len; i++)
		argument_byte(observer, head[i]);
	return observer->refusal != NULL ? OBSERVER_REFUSE : OBSERVER_DROP;
}

bool observer_is_ready(const struct observer *observer)
{
	const struct client_scan *client = &observer->client;
	bool at_head = client->state == CLIENT_HEAD && client->word.len == 0;

	return observer->failure == NULL && client->state != CLIENT_WAITING &&
	       !(at_head && observer_is_blocked(observer));
}

size_t observer_client(
	struct observer *observer, const char *data, size_t n, enum observer_verdict *ret_verdict)
{
	struct client_scan *client = &observer->client;

	observer->refusal = NULL;
	*ret_verdict = OBSERVER_WAIT;
	if (!observer_is_ready(observer))
		return 0;
	if (client->state == CLIENT_HEAD)
		return observer_head(observer, data, n, ret_verdict);
	return scan_body(observer, data, n, ret_verdict);
}

bool client_scan_awaits_quietly(const struct observer *observer)
{
	return observer->client.state == CLIENT_WAITING && !observer->client.literal.synchronising;
}

bool client_scan_continue(struct observer *observer)
{
	if (observer->client.state != CLIENT_WAITING)
		return false;
	begin_literal(observer);
	return true;
}

void client_scan_answered(struct observer *observer, bool ok)
{
	struct client_scan *client = &observer->client;

	switch (client->state) {
	case CLIENT_WAITING:
		/* The literal is not wanted.  Without it nothing was done, or who knows what. */
		if (ok)
			observer_doubt(observer);
		if (client->literal.synchronising) {
			observer_start_command(client);
		} else {
			client->dropped = true;
			begin_literal(observer);
		}
		break;
	case CLIENT_LITERAL:
		observer_fail(observer, "the store does not wait for the end of a literal");
		break;
	default:
		client->answered = true;
		break;
	}
}
