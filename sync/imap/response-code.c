/* SPDX-License-Identifier: MIT */
/*
 * Response codes: "[" code [SP arguments] "]" in front of the text of a condition (RFC 3501 section
 * 7.1, RFC 5530 and others).  The end of the code is found first and its arguments are parsed
 * within it, so that text for people is never taken for an argument.
 */
#include <string.h>

#include "sync/base/xalloc.h"
#include "sync/imap/response-private.h"

static bool parse_appenduid(struct response *response, struct lexer *lexer)
{
	struct slice uids;

	if (!lex_expect_uid(lexer, &response->uidvalidity) || !lex_expect_space(lexer) ||
		!lex_expect_atom(lexer, &uids))
		return false;
	if (!seqset_parse(&response->set, uids))
		return lex_fail(lexer);
	seqset_clear(&response->set);
	response->uids = uids;
	return true;
}

static bool parse_copyuid(struct response *response, struct lexer *lexer)
{
	struct slice source, target;

	if (!lex_expect_uid(lexer, &response->uidvalidity) || !lex_expect_space(lexer) ||
		!lex_expect_atom(lexer, &source) || !lex_expect_space(lexer) ||
		!lex_expect_atom(lexer, &target))
		return false;
	if (!seqset_parse(&response->set, source) || !seqset_parse(&response->set, target))
		return lex_fail(lexer);
	seqset_clear(&response->set);
	response->source_uids = source;
	response->uids = target;
	return true;
}

static bool parse_atoms(struct response *response, struct lexer *lexer)
{
	struct slice atom;

	while (lex_atom(lexer, &atom)) {
		if (!response_add_atom(response, lexer, atom))
			return false;
		lex_space(lexer);
	}
	return !lexer->failed;
}

static bool parse_number64(struct response *response, struct lexer *lexer)
{
	return lex_expect_number64(lexer, &response->number);
}

static bool parse_nonzero32(struct response *response, struct lexer *lexer)
{
	uint32_t n;

	if (!lex_expect_uid(lexer, &n))
		return false;
	response->number = n;
	return true;
}

/* RFC 8474 section 4.1. */
static bool parse_object_id(struct response *response, struct lexer *lexer)
{
	return lex_expect_char(lexer, '(') && lex_expect_atom(lexer, &response->object_id) &&
	       lex_expect_char(lexer, ')');
}

/* A code without a parser has no arguments, or some that are of no interest. */
static const struct {
	const char *name;
	enum response_code code;
	bool (*parse)(struct response *response, struct lexer *lexer);
} codes[] = {
	{"ALERT", CODE_ALERT, NULL},
	{"ALREADYEXISTS", CODE_ALREADYEXISTS, NULL},
	{"APPENDLIMIT", CODE_APPENDLIMIT, parse_number64},
	{"APPENDUID", CODE_APPENDUID, parse_appenduid},
	{"AUTHENTICATIONFAILED", CODE_AUTHENTICATIONFAILED, NULL},
	{"AUTHORIZATIONFAILED", CODE_AUTHORIZATIONFAILED, NULL},
	{"BADEVENT", CODE_BADEVENT, NULL},
	{"CANNOT", CODE_CANNOT, NULL},
	{"CAPABILITY", CODE_CAPABILITY, parse_atoms},
	{"CLOSED", CODE_CLOSED, NULL},
	{"COMPRESSIONACTIVE", CODE_COMPRESSIONACTIVE, NULL},
	{"CONTACTADMIN", CODE_CONTACTADMIN, NULL},
	{"COPYUID", CODE_COPYUID, parse_copyuid},
	{"EXPIRED", CODE_EXPIRED, NULL},
	{"HIGHESTMODSEQ", CODE_HIGHESTMODSEQ, parse_number64},
	{"INUSE", CODE_INUSE, NULL},
	{"LIMIT", CODE_LIMIT, NULL},
	{"MAILBOXID", CODE_MAILBOXID, parse_object_id},
	{"MODIFIED", CODE_MODIFIED, response_parse_set},
	{"NOMODSEQ", CODE_NOMODSEQ, NULL},
	{"NONEXISTENT", CODE_NONEXISTENT, NULL},
	{"NOPERM", CODE_NOPERM, NULL},
	{"NOTIFICATIONOVERFLOW", CODE_NOTIFICATIONOVERFLOW, NULL},
	{"OVERQUOTA", CODE_OVERQUOTA, NULL},
	{"PERMANENTFLAGS", CODE_PERMANENTFLAGS, response_parse_flags},
	{"PRIVACYREQUIRED", CODE_PRIVACYREQUIRED, NULL},
	{"READ-ONLY", CODE_READ_ONLY, NULL},
	{"READ-WRITE", CODE_READ_WRITE, NULL},
	{"SERVERBUG", CODE_SERVERBUG, NULL},
	{"THROTTLED", CODE_THROTTLED, NULL},
	{"TOOBIG", CODE_TOOBIG, NULL},
	{"TRYCREATE", CODE_TRYCREATE, NULL},
	{"UIDNEXT", CODE_UIDNEXT, parse_nonzero32},
	{"UIDNOTSTICKY", CODE_UIDNOTSTICKY, NULL},
	{"UIDVALIDITY", CODE_UIDVALIDITY, parse_nonzero32},
	{"UNAVAILABLE", CODE_UNAVAILABLE, NULL},
	{"UNSEEN", CODE_UNSEEN, parse_nonzero32},
};

/* Back to what it was before the arguments turned out to be malformed. */
static void forget_arguments(struct response *response)
{
	seqset_clear(&response->set);
	response->atoms_count = 0;
	response->number = 0;
	response->uidvalidity = 0;
	response->uids = response->source_uids = response->object_id = (struct slice){0};
}

static void parse_code(struct response *response, struct slice name, struct lexer *lexer)
{
	response->code = CODE_OTHER;
	for (size_t i = 0; i < ARRAY_LEN(codes); i++) {
		if (!slice_is(name, codes[i].name))
			continue;
		lex_space(lexer);
		if (codes[i].parse == NULL ||
			(codes[i].parse(response, lexer) && (lex_space(lexer), true) &&
				lex_at_end(lexer)))
			response->code = codes[i].code;
		else
			forget_arguments(response);
		return;
	}
}

/*
 * Offset of the "]" that ends the code which begins at the lexer; the length when there is none.
 * One within parentheses or a quoted string does not count, unless they have no end: keywords with
 * "]" are found in PERMANENTFLAGS.
 */
static size_t find_code_end(const char *text, size_t len)
{
	const char *first = memchr(text, ']', len);
	size_t depth = 0;
	bool quoted = false;

	for (size_t i = 0; i < len; i++) {
		if (quoted) {
			if (text[i] == '\\')
				i++;
			else if (text[i] == '"')
				quoted = false;
		} else if (text[i] == '"') {
			quoted = true;
		} else if (text[i] == '(') {
			depth++;
		} else if (text[i] == ')' && depth > 0) {
			depth--;
		} else if (text[i] == ']' && depth == 0) {
			return i;
		}
	}
	return first != NULL ? (size_t)(first - text) : len;
}

void response_parse_text(struct response *response, struct lexer *lexer)
{
	struct slice rest, name;
	struct lexer inner;
	size_t end;

	lex_space(lexer);
	if (!lex_char(lexer, '[')) {
		response->text = lex_rest(lexer);
		return;
	}
	lex_init(&inner, lexer->at, (size_t)(lexer->end - lexer->at));
	end = find_code_end(inner.at, (size_t)(inner.end - inner.at));
	if (inner.at + end == inner.end) {
		/* Only a text that happens to begin with a bracket. */
		lexer->at--;
		response->text = lex_rest(lexer);
		return;
	}
	inner.end = inner.at + end;
	lexer->at = inner.end + 1;
	if (lex_name(&inner, &name))
		parse_code(response, name, &inner);
	else
		response->code = CODE_OTHER;
	lex_space(lexer);
	rest = lex_rest(lexer);
	response->text = rest;
}
