/* SPDX-License-Identifier: MIT */
/* Message data: "* n FETCH (item SP value …)" (RFC 3501 section 7.4.2 and its extensions). */
#include <string.h>
#include <strings.h>

#include "sync/base/xalloc.h"
#include "sync/imap/response-private.h"

/* The name of an item, taken apart: BODY [HEADER.FIELDS (…)] <0> */
struct item {
	struct slice name;
	struct slice section;
	bool has_section;
};

static bool parse_item_name(struct lexer *lexer, struct item *ret)
{
	struct item item = {0};
	uint64_t origin;

	if (!lex_name(lexer, &item.name))
		return lex_fail(lexer);
	if (lex_char(lexer, '[')) {
		item.has_section = true;
		if (!lex_expect_section(lexer, &item.section))
			return false;
	}
	if (lex_char(lexer, '<') &&
		!(lex_expect_number64(lexer, &origin) && lex_expect_char(lexer, '>')))
		return false;
	*ret = item;
	return lex_expect_space(lexer);
}

static bool parse_uid(struct response *response, struct lexer *lexer)
{
	response->fetch.items |= FETCH_UID;
	return lex_expect_uid(lexer, &response->fetch.uid);
}

static bool parse_flags(struct response *response, struct lexer *lexer)
{
	response->fetch.items |= FETCH_FLAGS;
	return response_parse_flags(response, lexer);
}

/* RFC 7162 section 3.1.4. */
static bool parse_modseq(struct response *response, struct lexer *lexer)
{
	bool list = lex_char(lexer, '(');

	response->fetch.items |= FETCH_MODSEQ;
	return lex_expect_number64(lexer, &response->fetch.modseq) &&
	       (!list || lex_expect_char(lexer, ')'));
}

static bool parse_size(struct response *response, struct lexer *lexer)
{
	response->fetch.items |= FETCH_SIZE;
	return lex_expect_number64(lexer, &response->fetch.size);
}

static bool parse_internaldate(struct response *response, struct lexer *lexer)
{
	struct response_fetch *fetch = &response->fetch;
	struct slice text;

	if (!lex_expect_nstring(lexer, &text))
		return false;
	fetch->items |= FETCH_INTERNALDATE;
	if (response_parse_date(text, &fetch->date))
		fetch->internaldate = text;
	return true;
}

/* RFC 8474 section 5.1: an objectid in parentheses. */
static bool parse_email_id(struct response *response, struct lexer *lexer)
{
	if (!lex_char(lexer, '('))
		return lex_skip_value(lexer);
	response->fetch.items |= FETCH_EMAILID;
	return lex_expect_atom(lexer, &response->fetch.email_id) && lex_expect_char(lexer, ')');
}

/* A non-empty string never gets here: input.c streams it. */
static bool parse_body(struct response *response, struct lexer *lexer)
{
	struct slice text;

	if (lex_streamed(lexer)) {
		response->fetch.items |= FETCH_BODY;
		return true;
	}
	if (!lex_expect_nstring(lexer, &text) || text.len > 0)
		return lex_fail(lexer);
	response->fetch.items |= FETCH_BODY_EMPTY;
	return true;
}

static bool parse_header(struct response *response, struct lexer *lexer)
{
	response->fetch.items |= FETCH_HEADER;
	return lex_expect_nstring(lexer, &response->fetch.header);
}

static bool parse_section(struct response *response, struct lexer *lexer, struct slice section)
{
	if (section.len == 0)
		return parse_body(response, lexer);
	if (section.len >= 6 && strncasecmp(section.data, "HEADER", 6) == 0)
		return parse_header(response, lexer);
	return lex_skip_value(lexer);
}

static bool parse_item(struct response *response, struct lexer *lexer)
{
	static const struct {
		const char *name;
		bool (*parse)(struct response *response, struct lexer *lexer);
	} table[] = {
		{"UID", parse_uid},
		{"FLAGS", parse_flags},
		{"MODSEQ", parse_modseq},
		{"RFC822.SIZE", parse_size},
		{"INTERNALDATE", parse_internaldate},
		{"EMAILID", parse_email_id},
		{"RFC822", parse_body},
		{"RFC822.HEADER", parse_header},
	};
	struct item item = {0};

	if (!parse_item_name(lexer, &item))
		return false;
	if (item.has_section) {
		if (slice_is(item.name, "BODY") || slice_is(item.name, "BINARY"))
			return parse_section(response, lexer, item.section);
		return lex_skip_value(lexer);
	}
	for (size_t i = 0; i < ARRAY_LEN(table); i++)
		if (slice_is(item.name, table[i].name))
			return table[i].parse(response, lexer);
	return lex_skip_value(lexer);
}

bool response_parse_fetch(struct response *response, struct lexer *lexer)
{
	if (!lex_expect_space(lexer) || !lex_expect_char(lexer, '('))
		return false;
	lex_space(lexer);
	while (!lex_char(lexer, ')')) {
		if (!parse_item(response, lexer))
			return false;
		lex_space(lexer);
	}
	return true;
}

/* The items of a head: all are whole but the last, which ends with its name. */
static bool parse_head_items(struct response *response, struct lexer *lexer)
{
	lex_space(lexer);
	while (lexer->at < lexer->end) {
		struct lexer at = *lexer;
		struct slice name, partial;

		if (lex_name(&at, &name) && lex_char(&at, '[') && lex_char(&at, ']'))
			lex_atom(&at, &partial);
		if (lex_at_end(&at))
			return true;
		if (!parse_item(response, lexer))
			return false;
		lex_space(lexer);
	}
	return false;
}

bool response_parse_head(const char *head, size_t len, uint32_t *ret_uid)
{
	_cleanup_free_ char *copy = xmemdup0(head, len);
	struct response response;
	struct lexer lexer;
	uint32_t number;
	bool ok;

	response_init(&response);
	lex_init(&lexer, copy, len);
	ok = lex_char(&lexer, '*') && lex_space(&lexer) && lex_expect_uid(&lexer, &number) &&
	     lex_space(&lexer) && lex_keyword(&lexer, "FETCH") && lex_space(&lexer) &&
	     lex_char(&lexer, '(') && parse_head_items(&response, &lexer);
	if (ok)
		*ret_uid = response.fetch.uid;
	response_done(&response);
	return ok;
}
