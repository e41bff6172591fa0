/* SPDX-License-Identifier: MIT */
#include "sync/imap/response.h"

#include <stdlib.h>

#include "sync/base/limits.h"
#include "sync/base/xalloc.h"
#include "sync/imap/response-private.h"

void response_init(struct response *response)
{
	*response = (struct response){0};
	seqset_init(&response->set);
}

void response_done(struct response *response)
{
	seqset_done(&response->set);
	free(response->atoms);
	response_init(response);
}

/* A single large response must not hold on to its memory for the life of the connection. */
static void reset(struct response *response)
{
	struct response old = *response;

	if (old.atoms_size > LIMIT_CAPABILITIES || old.set.size > LIMIT_CAPABILITIES) {
		response_done(response);
		return;
	}
	seqset_clear(&old.set);
	*response =
		(struct response){.set = old.set, .atoms = old.atoms, .atoms_size = old.atoms_size};
}

bool response_add_atom(struct response *response, struct lexer *lexer, struct slice atom)
{
	if (response->atoms_count >= LIMIT_ATOMS)
		return lex_fail(lexer);
	if (response->atoms_count == response->atoms_size) {
		response->atoms_size = response->atoms_size > 0 ? 2 * response->atoms_size : 16;
		response->atoms = xreallocarray(
			response->atoms, response->atoms_size, sizeof(*response->atoms));
	}
	response->atoms[response->atoms_count++] = atom;
	return true;
}

bool response_parse_flags(struct response *response, struct lexer *lexer)
{
	struct slice flag;

	response->atoms_count = 0;
	if (!lex_expect_char(lexer, '('))
		return false;
	lex_space(lexer);
	while (lex_flag(lexer, &flag)) {
		if (!response_add_atom(response, lexer, flag))
			return false;
		lex_space(lexer);
	}
	return lex_expect_char(lexer, ')');
}

bool response_parse_set(struct response *response, struct lexer *lexer)
{
	struct slice text;

	if (!lex_expect_atom(lexer, &text))
		return false;
	return seqset_parse(&response->set, text) || lex_fail(lexer);
}

static bool parse_condition(
	struct response *response, struct lexer *lexer, enum condition condition)
{
	response->type = RESPONSE_CONDITION;
	response->condition = condition;
	response_parse_text(response, lexer);
	return true;
}

static bool parse_ok(struct response *response, struct lexer *lexer)
{
	return parse_condition(response, lexer, CONDITION_OK);
}

static bool parse_no(struct response *response, struct lexer *lexer)
{
	return parse_condition(response, lexer, CONDITION_NO);
}

static bool parse_bad(struct response *response, struct lexer *lexer)
{
	return parse_condition(response, lexer, CONDITION_BAD);
}

static bool parse_preauth(struct response *response, struct lexer *lexer)
{
	return parse_condition(response, lexer, CONDITION_PREAUTH);
}

static bool parse_bye(struct response *response, struct lexer *lexer)
{
	return parse_condition(response, lexer, CONDITION_BYE);
}

static bool parse_atoms(struct response *response, struct lexer *lexer)
{
	struct slice atom;

	while (lex_space(lexer) && lex_atom(lexer, &atom))
		if (!response_add_atom(response, lexer, atom))
			return false;
	return !lexer->failed;
}

static bool parse_capability(struct response *response, struct lexer *lexer)
{
	response->type = RESPONSE_CAPABILITY;
	return parse_atoms(response, lexer);
}

static bool parse_enabled(struct response *response, struct lexer *lexer)
{
	response->type = RESPONSE_ENABLED;
	return parse_atoms(response, lexer);
}

static bool parse_flags(struct response *response, struct lexer *lexer)
{
	response->type = RESPONSE_FLAGS;
	return lex_expect_space(lexer) && response_parse_flags(response, lexer);
}

/* RFC 3501 "mbx-list-flags", RFC 5258, RFC 6154, RFC 9051. */
static bool parse_list_attributes(struct response *response, struct lexer *lexer)
{
	static const struct {
		const char *name;
		enum list_attribute attribute;
	} table[] = {
		{"\\Noselect", LIST_NOSELECT},
		{"\\NonExistent", LIST_NONEXISTENT},
		{"\\Noinferiors", LIST_NOINFERIORS},
		{"\\Subscribed", LIST_SUBSCRIBED},
		{"\\Remote", LIST_REMOTE},
		{"\\HasChildren", LIST_HASCHILDREN},
		{"\\HasNoChildren", LIST_HASNOCHILDREN},
		{"\\Trash", LIST_TRASH},
		{"\\Junk", LIST_JUNK},
		{"\\All", LIST_ALL},
		{"\\Archive", LIST_ARCHIVE},
		{"\\Drafts", LIST_DRAFTS},
		{"\\Flagged", LIST_FLAGGED},
		{"\\Sent", LIST_SENT},
		{"\\NoAccess", LIST_NOACCESS},
	};
	struct slice flag;

	if (!lex_expect_char(lexer, '('))
		return false;
	lex_space(lexer);
	while (lex_flag(lexer, &flag)) {
		for (size_t i = 0; i < ARRAY_LEN(table); i++)
			if (slice_is(flag, table[i].name))
				response->list.attributes |= table[i].attribute;
		lex_space(lexer);
	}
	return lex_expect_char(lexer, ')');
}

/* RFC 5258 "mbox-list-extended": (tag SP value …), of which only OLDNAME (RFC 5465) is kept. */
static bool parse_list_extended(struct response *response, struct lexer *lexer)
{
	struct slice tag;

	if (!lex_char(lexer, '('))
		return !lexer->failed;
	lex_space(lexer);
	while (lex_astring(lexer, &tag)) {
		if (!lex_expect_space(lexer))
			return false;
		if (!slice_is(tag, "OLDNAME")) {
			if (!lex_skip_value(lexer))
				return false;
		} else if (!lex_expect_char(lexer, '(') ||
			   !lex_expect_astring(lexer, &response->list.old_name) ||
			   !lex_expect_char(lexer, ')')) {
			return false;
		}
		lex_space(lexer);
	}
	return lex_expect_char(lexer, ')');
}

static bool parse_list(struct response *response, struct lexer *lexer)
{
	struct slice delimiter;

	response->type = RESPONSE_LIST;
	if (!lex_expect_space(lexer) || !parse_list_attributes(response, lexer))
		return false;
	if (!lex_expect_space(lexer) || !lex_expect_nstring(lexer, &delimiter))
		return false;
	/* It goes into commands: a control character there would be an injection. */
	if (delimiter.len > 1 ||
		(delimiter.len == 1 && (delimiter.data[0] < ' ' || delimiter.data[0] >= 0x7f)))
		return lex_fail(lexer);
	response->list.delimiter = delimiter.len == 1 ? delimiter.data[0] : '\0';
	if (!lex_expect_space(lexer) || !lex_expect_astring(lexer, &response->list.name))
		return false;
	lex_space(lexer);
	return parse_list_extended(response, lexer);
}

/* A number that does not fit, or a 0 where there must be none, is as if the item were not there. */
static void set_status(struct response_status *status, struct slice item, uint64_t n)
{
	const struct {
		const char *name;
		enum status_item item;
		uint32_t *ret;
		bool nonzero;
	} table[] = {
		{"MESSAGES", STATUS_MESSAGES, &status->messages, false},
		{"UIDNEXT", STATUS_UIDNEXT, &status->uidnext, true},
		{"UIDVALIDITY", STATUS_UIDVALIDITY, &status->uidvalidity, true},
		{"UNSEEN", STATUS_UNSEEN, &status->unseen, false},
		{"RECENT", STATUS_RECENT, &status->recent, false},
	};

	if (slice_is(item, "HIGHESTMODSEQ")) {
		status->highestmodseq = n;
		status->items |= STATUS_HIGHESTMODSEQ;
	}
	if (slice_is(item, "APPENDLIMIT")) {
		status->append_limit = n;
		status->items |= STATUS_APPENDLIMIT;
	}
	for (size_t i = 0; i < ARRAY_LEN(table); i++) {
		if (!slice_is(item, table[i].name) || n > UINT32_MAX ||
			(n == 0 && table[i].nonzero))
			continue;
		*table[i].ret = (uint32_t)n;
		status->items |= table[i].item;
	}
}

/* RFC 8474 section 4.3. */
static bool parse_mailbox_id(struct response_status *status, struct lexer *lexer)
{
	status->items |= STATUS_MAILBOXID;
	return lex_expect_atom(lexer, &status->mailbox_id) && lex_expect_char(lexer, ')');
}

static bool parse_status(struct response *response, struct lexer *lexer)
{
	struct slice item;
	uint64_t n;

	response->type = RESPONSE_STATUS;
	if (!lex_expect_space(lexer) || !lex_expect_astring(lexer, &response->status.name) ||
		!lex_expect_space(lexer) || !lex_expect_char(lexer, '('))
		return false;
	lex_space(lexer);
	while (lex_atom(lexer, &item)) {
		if (!lex_expect_space(lexer))
			return false;
		if (slice_is(item, "MAILBOXID") && lex_char(lexer, '(')) {
			if (!parse_mailbox_id(&response->status, lexer))
				return false;
		} else if (lex_number64(lexer, &n)) {
			set_status(&response->status, item, n);
		} else if (!lex_skip_value(lexer)) {
			return false;
		}
		lex_space(lexer);
	}
	return lex_expect_char(lexer, ')');
}

/* RFC 3501 section 7.2.5, RFC 7162 section 7 "mailbox-data". */
static bool parse_search(struct response *response, struct lexer *lexer)
{
	struct seqset_builder builder;
	uint64_t n;

	response->type = RESPONSE_SEARCH;
	seqset_builder_init(&builder);
	lex_space(lexer);
	while (lex_number64(lexer, &n)) {
		if (n == 0 || n > UINT32_MAX ||
			!seqset_builder_add(&builder, (uint32_t)n, (uint32_t)n)) {
			lex_fail(lexer);
			break;
		}
		lex_space(lexer);
	}
	if (!seqset_builder_finish(&builder, &response->set))
		return lex_fail(lexer);
	if (!lex_char(lexer, '('))
		return !lexer->failed;
	if (!lex_keyword(lexer, "MODSEQ"))
		return lex_fail(lexer);
	return lex_expect_space(lexer) && lex_expect_number64(lexer, &response->modseq) &&
	       lex_expect_char(lexer, ')');
}

/* RFC 4731, RFC 7162 section 3.1.10.  Other result data (MIN, MAX, PARTIAL …) is passed over. */
static bool parse_esearch_item(struct response *response, struct lexer *lexer)
{
	struct slice name;

	if (lex_keyword(lexer, "UID")) {
		response->uid = true;
		return true;
	}
	if (!lex_expect_atom(lexer, &name) || !lex_expect_space(lexer))
		return false;
	if (slice_is(name, "ALL"))
		return response_parse_set(response, lexer);
	if (slice_is(name, "COUNT"))
		return lex_expect_number64(lexer, &response->number);
	if (slice_is(name, "MODSEQ"))
		return lex_expect_number64(lexer, &response->modseq);
	return lex_skip_value(lexer);
}

static bool parse_esearch(struct response *response, struct lexer *lexer)
{
	response->type = RESPONSE_ESEARCH;
	lex_space(lexer);
	if (lex_char(lexer, '(')) {
		if (!lex_keyword(lexer, "TAG") || !lex_expect_space(lexer) ||
			!lex_expect_astring(lexer, &response->esearch_tag) ||
			!lex_expect_char(lexer, ')'))
			return lex_fail(lexer);
		lex_space(lexer);
	}
	while (lexer->at < lexer->end) {
		if (!parse_esearch_item(response, lexer))
			return false;
		lex_space(lexer);
	}
	return true;
}

/* RFC 7162 section 3.2.10. */
static bool parse_vanished(struct response *response, struct lexer *lexer)
{
	response->type = RESPONSE_VANISHED;
	if (!lex_expect_space(lexer))
		return false;
	if (lex_char(lexer, '(')) {
		if (!lex_keyword(lexer, "EARLIER") || !lex_expect_char(lexer, ')') ||
			!lex_expect_space(lexer))
			return lex_fail(lexer);
		response->earlier = true;
	}
	return response_parse_set(response, lexer);
}

/* What follows "*" or a number. */
struct handler {
	const char *keyword;
	bool (*parse)(struct response *response, struct lexer *lexer);
};

static bool parse_number(struct response *response, struct lexer *lexer)
{
	uint32_t n;

	if (!lex_expect_number32(lexer, &n) || !lex_expect_space(lexer))
		return false;
	if (lex_keyword(lexer, "FETCH")) {
		response->type = RESPONSE_FETCH;
		response->fetch.number = n;
		return n > 0 ? response_parse_fetch(response, lexer) : lex_fail(lexer);
	}
	response->number = n;
	if (lex_keyword(lexer, "EXISTS")) {
		response->type = RESPONSE_EXISTS;
		return true;
	}
	if (lex_keyword(lexer, "RECENT")) {
		response->type = RESPONSE_RECENT;
		return true;
	}
	if (lex_keyword(lexer, "EXPUNGE")) {
		response->type = RESPONSE_EXPUNGE;
		return n > 0 || lex_fail(lexer);
	}
	lex_rest(lexer);
	return true;
}

static bool parse_untagged(struct response *response, struct lexer *lexer)
{
	static const struct handler handlers[] = {
		{"OK", parse_ok},
		{"NO", parse_no},
		{"BAD", parse_bad},
		{"PREAUTH", parse_preauth},
		{"BYE", parse_bye},
		{"CAPABILITY", parse_capability},
		{"ENABLED", parse_enabled},
		{"ESEARCH", parse_esearch},
		{"FLAGS", parse_flags},
		{"LIST", parse_list},
		{"LSUB", parse_list},
		{"SEARCH", parse_search},
		{"STATUS", parse_status},
		{"VANISHED", parse_vanished},
	};

	if (!lex_expect_space(lexer) || lexer->at == lexer->end)
		return lex_fail(lexer);
	if (*lexer->at >= '0' && *lexer->at <= '9')
		return parse_number(response, lexer);
	for (size_t i = 0; i < ARRAY_LEN(handlers); i++)
		if (lex_keyword(lexer, handlers[i].keyword))
			return handlers[i].parse(response, lexer);
	lex_rest(lexer);
	return true;
}

static bool parse_tagged(struct response *response, struct lexer *lexer)
{
	if (!lex_expect_atom(lexer, &response->tag) || !lex_expect_space(lexer))
		return false;
	if (lex_keyword(lexer, "OK"))
		return parse_ok(response, lexer);
	if (lex_keyword(lexer, "NO"))
		return parse_no(response, lexer);
	if (lex_keyword(lexer, "BAD"))
		return parse_bad(response, lexer);
	return lex_fail(lexer);
}

bool response_parse(struct response *response, char *text, size_t len)
{
	struct lexer lexer;
	bool ok;

	reset(response);
	lex_init(&lexer, text, len);
	if (lex_char(&lexer, '+')) {
		response->type = RESPONSE_CONTINUATION;
		lex_char(&lexer, ' ');
		response->text = lex_rest(&lexer);
		return true;
	}
	ok = lex_char(&lexer, '*') ? parse_untagged(response, &lexer)
				   : parse_tagged(response, &lexer);
	lex_space(&lexer);
	return ok && lex_at_end(&lexer);
}
