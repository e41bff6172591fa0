/* SPDX-License-Identifier: MIT */
/*
 * The server's stream: the first words of each line, and the literals within responses, which are
 * skipped by count.  Status responses and continuations end in free text, where a {n} means nothing
 * (RFC 3501 section 9, resp-text).
 */
#include <string.h>
#include <strings.h>

#include "proxy/observer-private.h"
#include "sync/base/xalloc.h"

bool observer_between(const struct observer *observer)
{
	const struct server_scan *server = &observer->server;

	return server->state == SERVER_TAG && server->tag_len == 0 && !server->long_tag;
}

static void start_line(struct server_scan *server)
{
	server->state = SERVER_TAG;
	server->tag_len = server->word_len = server->tail_len = server->head = 0;
	server->long_tag = server->text = server->code = false;
	if (server->copyuid)
		buf_done(&server->uids);
	server->copyuid = server->copyuid_bad = false;
	server->tag[0] = server->word[0] = '\0';
}

static bool is_status(const char *word)
{
	static const char *const statuses[] = {"OK", "NO", "BAD", "PREAUTH", "BYE"};

	for (size_t i = 0; i < ARRAY_LEN(statuses); i++)
		if (strcasecmp(word, statuses[i]) == 0)
			return true;
	return false;
}

/* "…{123}", with '~' before it for a literal8, at the end of the line, after SP or '('. */
static bool ends_in_literal(const struct server_scan *server, uint64_t *ret_size)
{
	uint64_t size = 0, place = 1;
	size_t at = server->tail_len;

	if (at > 0 && server->tail[at - 1] == '\r')
		at--;
	if (at == 0 || server->tail[--at] != '}')
		return false;
	for (; at > 0 && server->tail[at - 1] >= '0' && server->tail[at - 1] <= '9'; at--) {
		/* Nineteen digits fit, and nobody sends more. */
		if (place > UINT64_MAX / 100)
			return false;
		size += place * (unsigned)(server->tail[at - 1] - '0');
		place *= 10;
	}
	if (at == 0 || place == 1 || server->tail[--at] != '{')
		return false;
	if (at > 0 && server->tail[at - 1] == '~')
		at--;
	if (at == 0 || (server->tail[at - 1] != ' ' && server->tail[at - 1] != '('))
		return false;
	*ret_size = size;
	return true;
}

static void add_to_tail(struct server_scan *server, const char *data, size_t n)
{
	size_t keep;

	if (n >= SERVER_TAIL) {
		memcpy(server->tail, data + n - SERVER_TAIL, SERVER_TAIL);
		server->tail_len = SERVER_TAIL;
		return;
	}
	keep = server->tail_len < SERVER_TAIL - n ? server->tail_len : SERVER_TAIL - n;
	memmove(server->tail, server->tail + server->tail_len - keep, keep);
	memcpy(server->tail + keep, data, n);
	server->tail_len = keep + n;
}

static void end_untagged(struct observer *observer)
{
	struct server_scan *server = &observer->server;

	server->bye |= strcasecmp(server->word, "BYE") == 0;
	if (server->copyuid && strcasecmp(server->word, "OK") == 0)
		observer_action_copied(observer);
}

/* "+": for a literal, or for IDLE; else it would be for what the client says next. */
static void go_ahead(struct observer *observer)
{
	if (client_scan_continue(observer))
		return;
	if (observer->idle_tag[0] != '\0')
		observer->idling = true;
	else if (observer->in_flight != NULL && observer->in_flight->prev->effect == EFFECT_UNKNOWN)
		observer_fail(
			observer, "the store asks for more of a command that is not known here");
}

static void end_line(struct observer *observer)
{
	struct server_scan *server = &observer->server;
	uint64_t size;

	if (!server->text && ends_in_literal(server, &size)) {
		server->tail_len = 0;
		server->literal = size;
		server->state = size > 0 ? SERVER_LITERAL : SERVER_REST;
		return;
	}
	if (strcmp(server->tag, "+") == 0)
		go_ahead(observer);
	else if (strcmp(server->tag, "*") == 0)
		end_untagged(observer);
	else if (server->text)
		observer_command_answered(
			observer, server->long_tag ? "" : server->tag, server->word);
	start_line(server);
}

static void tag_byte(struct server_scan *server, char c)
{
	if (c == ' ') {
		server->state = SERVER_WORD;
		server->text = strcmp(server->tag, "+") == 0;
		if (server->text)
			server->state = SERVER_REST;
	} else if (c == '\r') {
		return;
	} else if (server->tag_len == LIMIT_OBSERVED_TAG) {
		server->long_tag = true;
	} else {
		server->tag[server->tag_len++] = c;
		server->tag[server->tag_len] = '\0';
	}
}

static void begin_enabled(struct server_scan *server)
{
	server->state = SERVER_ENABLED;
	server->word_len = 0;
	server->word[0] = '\0';
}

static void word_byte(struct server_scan *server, char c)
{
	if (c != ' ' && c != '\r') {
		if (server->word_len < sizeof(server->word) - 1)
			server->word[server->word_len++] = c;
		else
			server->state = SERVER_REST;
		server->word[server->word_len] = '\0';
		return;
	}
	server->text = is_status(server->word);
	server->state = SERVER_REST;
	if (c == ' ' && server->text)
		server->state = SERVER_CODE;
	else if (c == ' ' && strcasecmp(server->word, "CAPABILITY") == 0)
		server->state = SERVER_LIST;
	else if (c == ' ' && strcasecmp(server->word, "ENABLED") == 0)
		begin_enabled(server);
}

static size_t scan_rest(struct observer *observer, const char *data, size_t n)
{
	struct server_scan *server = &observer->server;
	const char *end = memchr(data, '\n', n);
	size_t used = end == NULL ? n : (size_t)(end - data) + 1;

	if (server->state == SERVER_LITERAL) {
		used = n < server->literal ? n : (size_t)server->literal;
		server->literal -= used;
		if (server->literal == 0)
			server->state = SERVER_REST;
		return used;
	}
	if (!server->text)
		add_to_tail(server, data, end == NULL ? n : used - 1);
	if (end != NULL)
		end_line(observer);
	return used;
}

/* The list itself, up to what ends it. */
static size_t scan_list(struct server_scan *server, const char *data, size_t n)
{
	size_t at = 0;

	while (at < n && data[at] != '\r' && data[at] != '\n' && !(server->code && data[at] == ']'))
		at++;
	if (at < n)
		server->state = SERVER_REST;
	return at;
}

static void scan_byte(struct observer *observer, char c)
{
	struct server_scan *server = &observer->server;

	if (c == '\n') {
		/* A word may end the line. */
		if (server->state == SERVER_WORD)
			word_byte(server, ' ');
		if (server->state == SERVER_ENABLED)
			observer_enabled_byte(observer, ' ');
		end_line(observer);
		return;
	}
	if (server->state == SERVER_TAG)
		tag_byte(server, c);
	else if (server->state == SERVER_WORD)
		word_byte(server, c);
	else if (server->state == SERVER_ENABLED)
		observer_enabled_byte(observer, c);
	else
		observer_code_byte(server, c);
}

void observer_await(struct observer *observer, enum observer_awaited awaited)
{
	observer->server.awaited = awaited;
}

enum observer_awaited observer_awaits(const struct observer *observer)
{
	return observer->server.awaited;
}

static bool is_awaited(const struct observer *observer)
{
	const struct server_scan *server = &observer->server;

	if (server->awaited == OBSERVER_IDLE_BEGUN || client_scan_awaits_quietly(observer))
		return strcmp(server->tag, "+") == 0;
	return strcmp(server->tag, observer->idle_tag) == 0 && strcasecmp(server->word, "OK") == 0;
}

/* The awaited line is over, and was not for anybody. */
static void end_awaited(struct observer *observer)
{
	struct server_scan *server = &observer->server;

	start_line(server);
	server->dropping = false;
	server->awaited = OBSERVER_NOTHING;
	(void)client_scan_continue(observer);
}

/* The head of a line, until it is known whether it is the awaited one. */
static size_t scan_head(
	struct observer *observer, const char *data, size_t n, enum observer_verdict *ret_verdict)
{
	struct server_scan *server = &observer->server;
	bool decided = false, matches = false;
	size_t at = 0;

	while (at < n && !decided) {
		char c = data[at++];

		if (c == '\n' && is_awaited(observer)) {
			end_awaited(observer);
			*ret_verdict = OBSERVER_DROP;
			return at;
		}
		scan_byte(observer, c);
		decided = c == '\n' || server->state > SERVER_WORD || server->long_tag ||
			  ++server->head == LIMIT_OBSERVED_HEAD;
		matches = decided && c != '\n' && is_awaited(observer);
	}
	server->dropping = matches;
	*ret_verdict = matches ? OBSERVER_DROP : decided ? OBSERVER_PASS : OBSERVER_HOLD;
	return at;
}

/* The rest of the line that was awaited. */
static size_t scan_dropped(struct observer *observer, const char *data, size_t n)
{
	const char *end = memchr(data, '\n', n);

	if (end == NULL)
		return n;
	end_awaited(observer);
	return (size_t)(end - data) + 1;
}

size_t observer_server(struct observer *observer, const char *data, size_t n, bool stop,
	enum observer_verdict *ret_verdict)
{
	struct server_scan *server = &observer->server;
	bool awaits = server->awaited != OBSERVER_NOTHING || client_scan_awaits_quietly(observer);
	size_t at = 0;

	if (server->dropping) {
		*ret_verdict = OBSERVER_DROP;
		return scan_dropped(observer, data, n);
	}
	if (awaits && server->state <= SERVER_WORD && !server->long_tag &&
		server->head < LIMIT_OBSERVED_HEAD)
		return scan_head(observer, data, n, ret_verdict);
	if (server->state == SERVER_LIST) {
		*ret_verdict = OBSERVER_CAPABILITIES;
		at = scan_list(server, data, n);
		if (at > 0)
			return at;
	}
	*ret_verdict = OBSERVER_PASS;
	while (at < n && server->state != SERVER_LIST) {
		if (server->state >= SERVER_REST)
			at += scan_rest(observer, data + at, n - at);
		else if (server->state == SERVER_COPYUID)
			at += observer_code_copyuid(observer, data + at, n - at);
		else
			scan_byte(observer, data[at++]);
		if ((stop || awaits) && observer_between(observer))
			break;
	}
	return at;
}
