/* SPDX-License-Identifier: MIT */
#include "imap-fixture.h"

#include "describe-response.h"
#include "sync/base/limits.h"
#include "sync/imap/input.h"
#include "sync/imap/response.h"

struct sample {
	const char *text; /* without its CRLF */
	const char *expected; /* NULL: malformed */
};

/* Cuts the response out of a stream that comes in two chunks, and describes it. */
static char *describe(struct response *response, const char *text, size_t first)
{
	_cleanup_free_ char *line = xasprintf("%s\r\n", text);
	size_t len = strlen(line), used = 0, response_len;
	struct input *input = input_new(NULL);
	enum input_result result = input_feed(input, line, first, &used);
	char *description, *bytes;

	if (result == INPUT_MORE)
		result = input_feed(input, line + first, len - first, &used);
	if (result != INPUT_RESPONSE)
		fail_msg("no response: %s", text);
	bytes = input_response(input, &response_len);
	description = response_parse(response, bytes, response_len) ? describe_response(response)
								    : xstrdup("malformed");
	input_free(input);
	return description;
}

static void check_all(const struct sample *samples, size_t count)
{
	struct response response;

	/* One struct for all, so that what one response leaves behind is found in the next. */
	response_init(&response);
	for (size_t i = 0; i < count; i++) {
		const char *expected =
			samples[i].expected != NULL ? samples[i].expected : "malformed";

		for (size_t first = 0; first <= strlen(samples[i].text); first++) {
			_cleanup_free_ char *got = describe(&response, samples[i].text, first);

			if (strcmp(got, expected) != 0)
				fail_msg("%s\n got      %s\n expected %s", samples[i].text, got,
					expected);
		}
	}
	response_done(&response);
}

static void conditions(void **state)
{
	static const struct sample samples[] = {
		{"* OK IMAP4rev1 ready", "OK [] text=<IMAP4rev1 ready>"},
		{"* ok   lower case", "OK [] text=<lower case>"},
		{"* OK", "OK []"},
		{"* OK ", "OK []"},
		{"* PREAUTH [CAPABILITY IMAP4rev1 QRESYNC] in",
			"PREAUTH [CAPABILITY] =<IMAP4rev1> =<QRESYNC> text=<in>"},
		{"* BYE [UNAVAILABLE] later", "BYE [UNAVAILABLE] text=<later>"},
		{"* BYE", "BYE []"},
		{"* NO Disk is 98% full (\"", "NO [] text=<Disk is 98% full (\">"},
		{"* BAD \xc3\xa9", "BAD [] text=<\xc3\xa9>"},
		{"a1 OK done", "a1 OK [] text=<done>"},
		{"a1 No", "a1 NO []"},
		{"a1 BAD x", "a1 BAD [] text=<x>"},
		{"a1 BYE x", NULL},
		{"a1 PREAUTH x", NULL},
		{"a1 OKAY", NULL},
		{"a1", NULL},
		{"a1 ", NULL},
		{"*", NULL},
		{"* ", NULL},
		{"(a) OK", NULL},
		{"+ ready", "+ text=<ready>"},
		{"+", "+"},
		{"+ ", "+"},
		{"+ dXNlcg==", "+ text=<dXNlcg==>"},
		{"+  two", "+ text=< two>"},
	};

	(void)state;
	check_all(samples, ARRAY_LEN(samples));
}

static void codes(void **state)
{
	static const struct sample samples[] = {
		{"* OK [UIDVALIDITY 3857529045] UIDs valid",
			"OK [UIDVALIDITY] number=3857529045 text=<UIDs valid>"},
		{"* OK [UIDNEXT 4392] x", "OK [UIDNEXT] number=4392 text=<x>"},
		{"* OK [UNSEEN 12] x", "OK [UNSEEN] number=12 text=<x>"},
		{"* OK [HIGHESTMODSEQ 12]", "OK [HIGHESTMODSEQ] number=12"},
		{"* OK [highestmodseq 18446744073709551615] x",
			"OK [HIGHESTMODSEQ] number=18446744073709551615 text=<x>"},
		{"* OK [HIGHESTMODSEQ 12]no space", "OK [HIGHESTMODSEQ] number=12 text=<no space>"},
		{"* OK [NOMODSEQ] x", "OK [NOMODSEQ] text=<x>"},
		{"* OK [CLOSED]", "OK [CLOSED]"},
		{"* OK [PERMANENTFLAGS (\\Deleted \\Seen \\*)] Limited",
			"OK [PERMANENTFLAGS] =<\\Deleted> =<\\Seen> =<\\*> text=<Limited>"},
		{"* OK [PERMANENTFLAGS ()] none", "OK [PERMANENTFLAGS] text=<none>"},
		{"* OK [PERMANENTFLAGS (a]b \\*)] x", "OK [PERMANENTFLAGS] =<a]b> =<\\*> text=<x>"},
		{"a1 OK [READ-WRITE] SELECT completed",
			"a1 OK [READ-WRITE] text=<SELECT completed>"},
		{"a1 OK [read-only]", "a1 OK [READ-ONLY]"},
		/* RFC 4315 section 3 and 5 */
		{"a1 OK [APPENDUID 38505 3955] APPEND completed",
			"a1 OK [APPENDUID] uidvalidity=38505 uids=<3955> text=<APPEND completed>"},
		{"a1 OK [APPENDUID 1 7:5,9] x",
			"a1 OK [APPENDUID] uidvalidity=1 uids=<7:5,9> text=<x>"},
		{"* OK [COPYUID 38505 304,319:320 3956:3958] Done",
			"OK [COPYUID] uidvalidity=38505 source=<304,319:320> uids=<3956:3958>"
			" text=<Done>"},
		/* RFC 7162 section 3.1.3 */
		{"d105 OK [MODIFIED 7,9] Conditional STORE failed",
			"d105 OK [MODIFIED] set=7,9 text=<Conditional STORE failed>"},
		{"a1 OK [MAILBOXID (F2212ea87-6097-4256-9d51-71338625)] x",
			"a1 OK [MAILBOXID] id=<F2212ea87-6097-4256-9d51-71338625> text=<x>"},
		{"* NO [APPENDLIMIT 257890] x", "NO [APPENDLIMIT] number=257890 text=<x>"},
		{"* OK [CAPABILITY] x", "OK [CAPABILITY] text=<x>"},
		{"* OK [CAPABILITY  a  b ] x", "OK [CAPABILITY] =<a> =<b> text=<x>"},
		{"a1 NO [NONEXISTENT] x", "a1 NO [NONEXISTENT] text=<x>"},
		{"a1 NO [TRYCREATE] x", "a1 NO [TRYCREATE] text=<x>"},
		{"a1 NO [NOTIFICATIONOVERFLOW] x", "a1 NO [NOTIFICATIONOVERFLOW] text=<x>"},
		{"a1 NO [BADEVENT (MessageNew)] x", "a1 NO [BADEVENT] text=<x>"},
		{"a1 NO [COMPRESSIONACTIVE] x", "a1 NO [COMPRESSIONACTIVE] text=<x>"},
	};

	(void)state;
	check_all(samples, ARRAY_LEN(samples));
}

static void unknown_and_malformed_codes(void **state)
{
	static const struct sample samples[] = {
		{"* OK [X-FOO bar] x", "OK [OTHER] text=<x>"},
		{"a1 BAD [BADCHARSET (\"x\" {3}\r\na]b)] y", "a1 BAD [OTHER] text=<y>"},
		{"* OK [] x", "OK [OTHER] text=<x>"},
		{"* OK [(] x", "OK [OTHER] text=<x>"},
		{"* OK [\"] x", "OK [OTHER] text=<x>"},
		{"* OK [ALERTS] x", "OK [OTHER] text=<x>"},
		{"* OK [UIDVALIDITY] x", "OK [OTHER] text=<x>"},
		{"* OK [UIDVALIDITY ] 12", "OK [OTHER] text=<12>"},
		{"* OK [UIDVALIDITY 0] x", "OK [OTHER] text=<x>"},
		{"* OK [UIDVALIDITY 4294967296] x", "OK [OTHER] text=<x>"},
		{"* OK [UIDVALIDITY 1 2] x", "OK [OTHER] text=<x>"},
		{"* OK [UIDNEXT 0] x", "OK [OTHER] text=<x>"},
		{"* OK [UIDNEXT abc] x", "OK [OTHER] text=<x>"},
		{"* OK [HIGHESTMODSEQ 18446744073709551616] x", "OK [OTHER] text=<x>"},
		{"* OK [APPENDUID 1 *] x", "OK [OTHER] text=<x>"},
		{"* OK [APPENDUID 1] x", "OK [OTHER] text=<x>"},
		{"* OK [APPENDUID 0 5] x", "OK [OTHER] text=<x>"},
		{"* OK [COPYUID 1  ] x", "OK [OTHER] text=<x>"},
		{"* OK [COPYUID 1 2 0] x", "OK [OTHER] text=<x>"},
		{"* OK [MODIFIED 1:] x", "OK [OTHER] text=<x>"},
		{"* OK [PERMANENTFLAGS] x", "OK [OTHER] text=<x>"},
		{"* OK [PERMANENTFLAGS (a b] x", "OK [OTHER] text=<x>"},
		{"* OK [MAILBOXID F1] x", "OK [OTHER] text=<x>"},
		/* Not a code at all. */
		{"* OK [UIDNEXT 5", "OK [] text=<[UIDNEXT 5>"},
		{"* OK [", "OK [] text=<[>"},
		{"* OK x [UIDNEXT 5]", "OK [] text=<x [UIDNEXT 5]>"},
	};

	(void)state;
	check_all(samples, ARRAY_LEN(samples));
}

static void lists_of_atoms(void **state)
{
	static const struct sample samples[] = {
		{"* CAPABILITY IMAP4rev1 AUTH=PLAIN x]y",
			"CAPABILITY =<IMAP4rev1> =<AUTH=PLAIN> =<x]y>"},
		{"* capability  IMAP4rev1  ", "CAPABILITY =<IMAP4rev1>"},
		{"* CAPABILITY", "CAPABILITY"},
		{"* CAPABILITY (a)", NULL},
		{"* ENABLED QRESYNC X-GOOD-IDEA", "ENABLED =<QRESYNC> =<X-GOOD-IDEA>"},
		{"* ENABLED", "ENABLED"},
		{"* FLAGS (\\Answered \\Seen $Fwd)", "FLAGS =<\\Answered> =<\\Seen> =<$Fwd>"},
		{"* FLAGS ()", "FLAGS"},
		{"* FLAGS ( a  b ) ", "FLAGS =<a> =<b>"},
		{"* FLAGS (a", NULL},
		{"* FLAGS a", NULL},
		{"* FLAGS ((a))", NULL},
		{"* FLAGS (a) b", NULL},
	};

	(void)state;
	check_all(samples, ARRAY_LEN(samples));
}

static void list(void **state)
{
	static const struct sample samples[] = {
		{"* LIST (\\Noselect) \"/\" ~/Mail/foo",
			"LIST \\Noselect delimiter=/ name=<~/Mail/foo>"},
		{"* LIST (\\NoInferiors \\unknown) NIL INBOX", "LIST \\Noinferiors name=<INBOX>"},
		{"* LIST () \"\" INBOX", "LIST name=<INBOX>"},
		{"* list ( \\HASNOCHILDREN  \\Trash ) \"\\\\\" \"a\\\\b c\"",
			"LIST \\HasNoChildren \\Trash delimiter=\\ name=<a\\b c>"},
		{"* LSUB (\\Subscribed) \".\" {7}\r\nx \"y\" z",
			"LIST \\Subscribed delimiter=. name=<x \"y\" z>"},
		{"* LIST () \"/\" \"\"", "LIST delimiter=/ name=<>"},
		{"* LIST () \"/\" NIL", "LIST delimiter=/ name=<NIL>"},
		{"* LIST () \"/\" a]b", "LIST delimiter=/ name=<a]b>"},
		/* RFC 5258 section 5, RFC 5465 section 5.4 */
		{"* LIST (\\NonExistent) \"/\" \"Foo\" (\"CHILDINFO\" (\"SUBSCRIBED\"))",
			"LIST \\NonExistent delimiter=/ name=<Foo>"},
		{"* LIST () \"/\" \"NewMailbox\" (\"OLDNAME\" (\"OldMailbox\"))",
			"LIST delimiter=/ name=<NewMailbox> old=<OldMailbox>"},
		{"* LIST () \"/\" n (X (1 (2) \"3\") oldname (o) Y 5)",
			"LIST delimiter=/ name=<n> old=<o>"},
		{"* LIST () \"/\" n ()", "LIST delimiter=/ name=<n>"},
		{"* LIST (\\All \\Archive \\Drafts \\Flagged \\Junk \\Sent \\Remote \\NoAccess) "
		 "NIL x",
			"LIST \\Remote \\Junk \\All \\Archive \\Drafts \\Flagged \\Sent \\NoAccess"
			" name=<x>"},
		{"* LIST () \"ab\" x", NULL},
		{"* LIST () {1}\r\n\n x", NULL},
		{"* LIST () \"\r\" x", NULL},
		{"* LIST () \"\xc3\" x", NULL},
		{"* LIST () / x", NULL},
		{"* LIST () \"/\"", NULL},
		{"* LIST \"/\" x", NULL},
		{"* LIST () \"/\" x y", NULL},
		{"* LIST () \"/\" x (OLDNAME o)", NULL},
		{"* LIST () \"/\" x (A", NULL},
		{"* LIST () \"/\" \"x", NULL},
	};

	(void)state;
	check_all(samples, ARRAY_LEN(samples));
}

static void status(void **state)
{
	static const struct sample samples[] = {
		{"* STATUS blurdybloop (MESSAGES 231 UIDNEXT 44292)",
			"STATUS name=<blurdybloop> messages=231 uidnext=44292"},
		{"* status {3}\r\na\"b (highestmodseq 18446744073709551615 uidvalidity 1 unseen 0"
		 " recent 2)",
			"STATUS name=<a\"b> uidvalidity=1 modseq=18446744073709551615 unseen=0"
			" recent=2"},
		{"* STATUS \"x y\" ()", "STATUS name=<x y>"},
		{"* STATUS x ( MESSAGES 1  )  ", "STATUS name=<x> messages=1"},
		{"* STATUS x (SIZE 44421 MAILBOXID (F1) DELETED NIL MESSAGES 1)",
			"STATUS name=<x> messages=1 mailboxid=<F1>"},
		{"* STATUS x (APPENDLIMIT 257890)", "STATUS name=<x> appendlimit=257890"},
		{"* STATUS x (APPENDLIMIT NIL MESSAGES 1)", "STATUS name=<x> messages=1"},
		{"* STATUS x (MAILBOXID NIL MESSAGES 1)", "STATUS name=<x> messages=1"},
		{"* STATUS x (MAILBOXID (F1 F2))", NULL},
		{"* STATUS x (MAILBOXID ())", NULL},
		/* Nonsense is as if it were not there. */
		{"* STATUS x (UIDVALIDITY 0 UIDNEXT 4294967296 MESSAGES NIL RECENT 1)",
			"STATUS name=<x> recent=1"},
		{"* STATUS x", NULL},
		{"* STATUS (MESSAGES 1)", NULL},
		{"* STATUS x (MESSAGES)", NULL},
		{"* STATUS x (MESSAGES 1", NULL},
		{"* STATUS x (MESSAGES 1) y", NULL},
		{"* STATUS x (MESSAGES 18446744073709551616)", NULL},
	};

	(void)state;
	check_all(samples, ARRAY_LEN(samples));
}

static void searches(void **state)
{
	static const struct sample samples[] = {
		{"* SEARCH 2 3 6", "SEARCH set=2:3,6"},
		{"* SEARCH", "SEARCH"},
		{"* SEARCH ", "SEARCH"},
		{"* SEARCH 6 3 2 3 (MODSEQ 917162500)", "SEARCH modseq=917162500 set=2:3,6"},
		{"* search 1 2 3 (modseq 9)", "SEARCH modseq=9 set=1:3"},
		{"* SEARCH (MODSEQ 9)", "SEARCH modseq=9"},
		{"* SEARCH 0", NULL},
		{"* SEARCH 4294967296", NULL},
		{"* SEARCH 1 x", NULL},
		{"* SEARCH 1 (MODSEQ)", NULL},
		{"* SEARCH 1 (X 9)", NULL},
		{"* ESEARCH (TAG \"x\") UID ALL 1:3 COUNT 2",
			"ESEARCH number=2 set=1:3 tag=<x> UID"},
		{"* ESEARCH (TAG {2}\r\na1) UID", "ESEARCH tag=<a1> UID"},
		{"* ESEARCH", "ESEARCH"},
		{"* esearch (tag a1) uid all 9,2 modseq 5 min 2 max 9",
			"ESEARCH modseq=5 set=2,9 tag=<a1> UID"},
		{"* ESEARCH COUNT 5 ALL 1:17,21", "ESEARCH number=5 set=1:17,21"},
		{"* ESEARCH UID PARTIAL (-1:-100 5,7) X NIL", "ESEARCH UID"},
		{"* ESEARCH ALL", NULL},
		{"* ESEARCH ALL 1:*", NULL},
		{"* ESEARCH (TAG)", NULL},
		{"* ESEARCH (TAG x", NULL},
	};

	(void)state;
	check_all(samples, ARRAY_LEN(samples));
}

static void vanished(void **state)
{
	static const struct sample samples[] = {
		{"* VANISHED 405,407,410,425", "VANISHED set=405,407,410,425"},
		{"* VANISHED (EARLIER) 1:3,5", "VANISHED set=1:3,5 earlier"},
		{"* vanished (earlier)  300:310", "VANISHED set=300:310 earlier"},
		{"* VANISHED", NULL},
		{"* VANISHED ", NULL},
		{"* VANISHED (EARLIER)", NULL},
		{"* VANISHED (LATER) 1", NULL},
		{"* VANISHED 0", NULL},
		{"* VANISHED 1:*", NULL},
		{"* VANISHED 1 2", NULL},
	};

	(void)state;
	check_all(samples, ARRAY_LEN(samples));
}

static void numbered(void **state)
{
	static const struct sample samples[] = {
		{"* 172 EXISTS", "EXISTS number=172"},
		{"* 0 exists", "EXISTS"},
		{"* 4294967295 RECENT", "RECENT number=4294967295"},
		{"* 44 EXPUNGE", "EXPUNGE number=44"},
		{"* 0 EXPUNGE", NULL},
		{"* 4294967296 EXISTS", NULL},
		{"* 1", NULL},
		{"* 1 EXISTS x", NULL},
		{"* 1 X-THING (a)", "UNKNOWN number=1"},
		{"* X-THING {3}\r\n(((", "UNKNOWN"},
		{"* ID (\"name\" \"Dovecot\")", "UNKNOWN"},
		{"* NAMESPACE ((\"\" \"/\")) NIL NIL", "UNKNOWN"},
		{"* OKAY", "UNKNOWN"},
	};

	(void)state;
	check_all(samples, ARRAY_LEN(samples));
}

static void fetch(void **state)
{
	static const struct sample samples[] = {
		{"* 23 FETCH (FLAGS (\\Seen) RFC822.SIZE 44827)",
			"FETCH 23 size=44827 flags =<\\Seen>"},
		{"* 1 fetch (uid 4 modseq (65402) flags ())", "FETCH 1 uid=4 modseq=65402 flags"},
		{"* 1 FETCH (UID 4294967295 MODSEQ (18446744073709551615) RFC822.SIZE 4294967296)",
			"FETCH 1 uid=4294967295 modseq=18446744073709551615 size=4294967296"},
		{"* 1 FETCH ( UID  4   FLAGS  ( a  b ) ) ", "FETCH 1 uid=4 flags =<a> =<b>"},
		{"* 1 FETCH ()", "FETCH 1"},
		{"* 1 FETCH (MODSEQ 5)", "FETCH 1 modseq=5"},
		{"* 1 FETCH (INTERNALDATE \" 7-Feb-1994 21:52:25 -0800\")",
			"FETCH 1 date=760686745"},
		{"* 1 FETCH (INTERNALDATE \"31-Feb-1994 21:52:25 -0800\" UID 1)",
			"FETCH 1 uid=1 date=0"},
		{"* 1 FETCH (INTERNALDATE NIL UID 1)", "FETCH 1 uid=1 date=0"},
		{"* 1 FETCH (UID 5 BODY[HEADER.FIELDS (Message-ID)] {5}\r\nM: x )",
			"FETCH 1 uid=5 header=<M: x >"},
		{"* 1 FETCH (BODY[HEADER.FIELDS (\"MESSAGE-ID\")] \"\\\"x\\\"\" UID 5)",
			"FETCH 1 uid=5 header=<\"x\">"},
		{"* 1 FETCH (body[header] NIL)", "FETCH 1"},
		{"* 1 FETCH (BODY[HEADER.FIELDS ({1}\r\n])] \"h\")", "FETCH 1 header=<h>"},
		{"* 1 FETCH (RFC822.HEADER {1}\r\nh)", "FETCH 1 header=<h>"},
		{"* 1 FETCH (EMAILID (M6d99ac3275bb4e) THREADID (T64b478a75b7ea9))",
			"FETCH 1 emailid=<M6d99ac3275bb4e>"},
		{"* 1 FETCH (EMAILID NIL THREADID NIL UID 5)", "FETCH 1 uid=5"},
		/* Bodies. */
		{"* 1 FETCH (UID 5 BODY[] {3}\r\nabc FLAGS (x))", "FETCH 1 uid=5 flags body =<x>"},
		{"* 1 FETCH (BODY[] \"abc\" UID 5)", "FETCH 1 uid=5 body"},
		{"* 1 FETCH (BODY[] {0}\r\n)", "FETCH 1 body"},
		{"* 1 FETCH (BODY[] \"\")", "FETCH 1 empty"},
		{"* 1 FETCH (BODY[] nil UID 5)", "FETCH 1 uid=5 empty"},
		{"* 1 FETCH (BODY[]<0> {3}\r\nabc)", "FETCH 1 body"},
		{"* 1 FETCH (BINARY[] ~{3}\r\nabc)", "FETCH 1 body"},
		{"* 1 FETCH (RFC822 {3}\r\nabc)", "FETCH 1 body"},
		{"* 1 FETCH (RFC822 NIL)", "FETCH 1 empty"},
		/* Passed over. */
		{"* 1 FETCH (ENVELOPE (\"a)\" {2}\r\n)( NIL ((NIL \"x\"))) UID 5)",
			"FETCH 1 uid=5"},
		{"* 1 FETCH (BODY (\"text\" \"plain\" (\"charset\" \"x\") NIL 1) UID 5)",
			"FETCH 1 uid=5"},
		{"* 1 FETCH (BODY[1.MIME] \"x\" BODY[TEXT]<5> {1}\r\ny BINARY.SIZE[1] 5 UID 5)",
			"FETCH 1 uid=5"},
		{"* 1 FETCH (X-GM-MSGID 1278455344230334865 X-GM-LABELS (\\Inbox \"a b\") UID 5)",
			"FETCH 1 uid=5"},
		{"* 1 FETCH (FLAGS (a) UID 2 FLAGS (b c))", "FETCH 1 uid=2 flags =<b> =<c>"},
		{"* 0 FETCH (UID 1)", NULL},
		{"* 1 FETCH (UID 0)", NULL},
		{"* 1 FETCH (UID 4294967296)", NULL},
		{"* 1 FETCH (UID x)", NULL},
		{"* 1 FETCH (UID)", NULL},
		{"* 1 FETCH UID 1", NULL},
		{"* 1 FETCH (UID 1", NULL},
		{"* 1 FETCH (UID 1) x", NULL},
		{"* 1 FETCH (FLAGS a)", NULL},
		{"* 1 FETCH (MODSEQ (1)", NULL},
		{"* 1 FETCH (BODY[", NULL},
		{"* 1 FETCH (BODY[]<x> NIL)", NULL},
		{"* 1 FETCH (BODY[] (x))", NULL},
		{"* 1 FETCH (UID {3}\r\nabc)", NULL},
		{"* 1 FETCH", NULL},
	};

	(void)state;
	check_all(samples, ARRAY_LEN(samples));
}

/* Fed straight to the parser: what input.c would not let through. */
static void hostile(void **state)
{
	static const struct {
		const char *text;
		size_t len;
	} table[] = {
		{BYTES("")},
		{BYTES("* 1 FETCH (UID \0)")},
		{BYTES("* 1 FETCH (BODY[] \"x\")")},
		{BYTES("* 1 FETCH (BODY[] {5}\r\nx)")},
		{BYTES("\0 OK")},
	};
	struct response response;

	(void)state;
	response_init(&response);
	for (size_t i = 0; i < ARRAY_LEN(table); i++) {
		char *copy = xmalloc(table[i].len + 1);

		memcpy(copy, table[i].text, table[i].len);
		if (response_parse(&response, copy, table[i].len))
			fail_msg("accepted: %s", table[i].text);
		free(copy);
	}
	response_done(&response);
}

/* n times the same piece between two others. */
static char *repeated(const char *start, const char *piece, size_t n, const char *end)
{
	size_t len = strlen(piece);
	char *text = xmalloc(strlen(start) + n * len + strlen(end) + 1), *at = stpcpy(text, start);

	for (size_t i = 0; i < n; i++)
		at = mempcpy(at, piece, len);
	strcpy(at, end);
	return text;
}

static void limits(void **state)
{
	static const struct {
		const char *start, *piece, *end;
		size_t most;
	} table[] = {
		{"* CAPABILITY", " a", "", LIMIT_ATOMS},
		{"* FLAGS (", "a ", ")", LIMIT_ATOMS},
		{"* 1 FETCH (FLAGS (", "a ", "))", LIMIT_ATOMS},
		{"* 1 FETCH (X ", "(", "", 0},
	};
	struct response response;

	(void)state;
	response_init(&response);
	for (size_t i = 0; i < ARRAY_LEN(table); i++) {
		for (size_t n = table[i].most; n <= table[i].most + 1; n++) {
			_cleanup_free_ char *text =
				repeated(table[i].start, table[i].piece, n, table[i].end);
			bool ok = response_parse(&response, text, strlen(text));

			assert_int_equal(ok, n == table[i].most && n > 0);
		}
	}
	{
		_cleanup_free_ char *deep = repeated("* 1 FETCH (X ", "(", 10 << 20, ")");

		assert_false(response_parse(&response, deep, strlen(deep)));
	}
	/* An overlong code is no reason to fail. */
	{
		_cleanup_free_ char *code = repeated("* OK [CAPABILITY", " a", 20000, "] x");

		assert_true(response_parse(&response, code, strlen(code)));
		assert_int_equal(response.code, CODE_OTHER);
		assert_int_equal(response.atoms_count, 0);
	}
	response_done(&response);
}

/* A million numbers in the order that is worst for a sorted set; the square would not end. */
static void large_search(void **state)
{
	enum { COUNT = 1000000 };
	char *text = xmalloc(COUNT * sizeof("4294967295 ") + 16), *at = stpcpy(text, "* SEARCH");
	struct response response;

	(void)state;
	for (unsigned i = COUNT; i > 0; i--)
		at += sprintf(at, " %u", 2 * i);
	response_init(&response);
	assert_true(response_parse(&response, text, (size_t)(at - text)));
	assert_int_equal(response.set.count, COUNT);
	assert_true(seqset_contains(&response.set, 2 * COUNT));
	free(text);
	response_done(&response);
}

static void dates(void **state)
{
	static const struct {
		const char *text;
		bool ok;
		long long utc;
	} table[] = {
		{" 7-Feb-1994 21:52:25 -0800", true, 760686745},
		{"07-feb-1994 21:52:25 -0800", true, 760686745},
		{"7-Feb-1994 21:52:25 -0800", true, 760686745},
		{"17-Jul-1996 02:44:25 -0700", true, 837596665},
		{"01-Jan-1970 00:00:00 +0000", true, 0},
		{"01-Jan-1970 00:00:00 +0130", true, -5400},
		{"29-Feb-2000 12:00:00 +0000", true, 951825600},
		{"31-Dec-9999 23:59:60 +0000", true, 253402300800},
		{"01-Jan-0001 00:00:00 +0000", true, -62135596800},
		{"29-Feb-1900 12:00:00 +0000", false, 0},
		{"29-Feb-2001 12:00:00 +0000", false, 0},
		{"00-Jan-2001 12:00:00 +0000", false, 0},
		{"32-Jan-2001 12:00:00 +0000", false, 0},
		{"31-Apr-2001 12:00:00 +0000", false, 0},
		{"01-Foo-2001 12:00:00 +0000", false, 0},
		{"01-anF-2001 12:00:00 +0000", false, 0},
		{"01-Jan-2001 24:00:00 +0000", false, 0},
		{"01-Jan-2001 12:60:00 +0000", false, 0},
		{"01-Jan-2001 12:00:61 +0000", false, 0},
		{"01-Jan-2001 12:00:00 +0060", false, 0},
		{"01-Jan-2001 12:00:00 0000", false, 0},
		{"01-Jan-2001 12:00:00 +000", false, 0},
		{"01-Jan-2001 12:00:00 +00000", false, 0},
		{"01-Jan-01 12:00:00 +0000", false, 0},
		{"01-Jan-2001T12:00:00 +0000", false, 0},
		{"01/Jan/2001 12:00:00 +0000", false, 0},
		{"01-Jan-200x 12:00:00 +0000", false, 0},
		{" ", false, 0},
		{"-", false, 0},
		{"", false, 0},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(table); i++) {
		time_t utc = 0;
		bool ok = response_parse_date(slice_of(table[i].text), &utc);

		if (ok != table[i].ok || utc != table[i].utc)
			fail_msg("%s: %d %lld", table[i].text, ok, (long long)utc);
	}
	assert_false(response_parse_date((struct slice){0}, &(time_t){0}));
}

static void heads(void **state)
{
	static const struct {
		const char *text;
		size_t len;
		bool ok;
		uint32_t uid;
	} table[] = {
		{BYTES("* 3 FETCH (UID 7 FLAGS () BODY[]"), true, 7},
		{BYTES("* 3 FETCH (BODY[]"), true, 0},
		{BYTES("* 3 fetch (rfc822.size 5 uid 4294967295 body[]<0>"), true, UINT32_MAX},
		{BYTES("* 3 FETCH (RFC822 \0 UID 7 BINARY[]"), true, 7},
		{BYTES("* 3 FETCH (UID 7 RFC822"), true, 7},
		/* A "UID 9" of the message is not the message's UID. */
		{BYTES("* 3 FETCH (BODY[HEADER] {8}\r\n(UID 9) UID 7 BODY[]"), true, 7},
		{BYTES("* 3 FETCH (BODY[HEADER.FIELDS (\"UID 9\")] \"UID 9\" FLAGS (UID) BODY[]"),
			true, 0},
		{BYTES("* 3 FETCH (BODY[HEADER.FIELDS (\"a\\\"\")] \"x\" UID 7 BODY[]"), true, 7},
		{BYTES("* 0 FETCH (UID 7 BODY[]"), false, 0},
		{BYTES("* 3 FETCH (UID 0 BODY[]"), false, 0},
		{BYTES("* 3 FETCH (UID 7 "), false, 0},
		{BYTES("* 3 FETCH UID 7 BODY[]"), false, 0},
		{BYTES(""), false, 0},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(table); i++) {
		uint32_t uid = 0;
		bool ok = response_parse_head(table[i].text, table[i].len, &uid);

		if (ok != table[i].ok || uid != table[i].uid)
			fail_msg("%s: %d %u", table[i].text, ok, uid);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(conditions),
		cmocka_unit_test(codes),
		cmocka_unit_test(unknown_and_malformed_codes),
		cmocka_unit_test(lists_of_atoms),
		cmocka_unit_test(list),
		cmocka_unit_test(status),
		cmocka_unit_test(searches),
		cmocka_unit_test(vanished),
		cmocka_unit_test(numbered),
		cmocka_unit_test(fetch),
		cmocka_unit_test(hostile),
		cmocka_unit_test(limits),
		cmocka_unit_test(large_search),
		cmocka_unit_test(dates),
		cmocka_unit_test(heads),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
