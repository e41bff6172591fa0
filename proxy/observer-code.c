/* SPDX-License-Identifier: MIT */
/*
 * What is read of the server's text beyond tags: the response codes CAPABILITY, of which the relay
 * takes some away, and COPYUID (RFC 4315 section 3), and the words of ENABLED (RFC 5161).
 */
#include <string.h>
#include <strings.h>

#include "proxy/observer-private.h"
#include "sync/base/xalloc.h"
#include "sync/deeds/action.h"
#include "sync/imap/lexer.h"
#include "sync/imap/seqset.h"

static const struct {
	const char *text;
	enum server_state state; /* after it */
} codes[] = {
	{"[CAPABILITY ", SERVER_LIST},
	{"[COPYUID ", SERVER_COPYUID},
};

/* The beginning of the text is collected in `tail`, which status responses do not need. */
void observer_code_byte(struct server_scan *server, char c)
{
	size_t n = server->tail_len + 1;

	server->state = SERVER_REST;
	server->tail[server->tail_len++] = c;
	for (size_t i = 0; i < ARRAY_LEN(codes); i++) {
		if (strncasecmp(codes[i].text, server->tail, n) != 0)
			continue;
		server->state = codes[i].text[n] == '\0' ? codes[i].state : SERVER_CODE;
		break;
	}
	if (server->state != SERVER_CODE)
		server->tail_len = 0;
	server->code = server->state == SERVER_LIST;
	server->copyuid = server->state == SERVER_COPYUID;
}

size_t observer_code_copyuid(struct observer *observer, const char *data, size_t n)
{
	struct server_scan *server = &observer->server;
	size_t at = 0;

	while (at < n && data[at] != ']' && data[at] != '\r' && data[at] != '\n')
		at++;
	if (observer->actions != NULL && !server->copyuid_bad)
		server->copyuid_bad = !buf_append(&server->uids, data, at);
	if (at == n)
		return at;
	/* A line that ends within the code is no better than a code that is too long. */
	server->copyuid_bad |= data[at] != ']';
	server->state = SERVER_REST;
	return at;
}

char *observer_code_take(struct observer *observer)
{
	struct server_scan *server = &observer->server;

	if (server->copyuid_bad)
		buf_done(&server->uids);
	return buf_steal(&server->uids);
}

/* 0: it is no set, or of more than are followed. */
static size_t count_uids(struct slice set)
{
	_cleanup_free_ uint32_t *uids = NULL;
	size_t count = 0;

	return seqset_expand(set, LIMIT_COPIED_UIDS, &uids, &count) ? count : 0;
}

bool observer_code_parse(char *text, struct copied_uids *ret)
{
	struct slice source, target;
	struct lexer lexer;
	size_t count;

	lex_init(&lexer, text, strlen(text));
	if (!lex_expect_uid(&lexer, &ret->uidvalidity) || !lex_expect_space(&lexer) ||
		!lex_expect_atom(&lexer, &source) || !lex_expect_space(&lexer) ||
		!lex_expect_atom(&lexer, &target) || !lex_at_end(&lexer))
		return false;
	count = count_uids(source);
	text[source.data + source.len - text] = '\0';
	ret->source = source.data;
	ret->target = target.data;
	return count > 0 && count == count_uids(target);
}

void observer_enabled_byte(struct observer *observer, char c)
{
	struct server_scan *server = &observer->server;

	if (c != ' ' && c != '\r') {
		/* What is cut off here is too long to be one of those that count. */
		if (server->word_len < sizeof(server->word) - 1)
			server->word[server->word_len++] = c;
		return;
	}
	server->word[server->word_len] = '\0';
	observer->utf8_enabled |= observer->utf8_asked && observer_is_utf8_extension(server->word);
	server->word_len = 0;
	server->word[0] = '\0';
}
