/* SPDX-License-Identifier: MIT */
/*
 * One response of an IMAP server as a plain struct (RFC 3501 section 7; RFC 4315, 4731, 5161, 5258,
 * 5465, 5819, 7162, 8474).  Keywords are recognised in any case.  A well-formed response of an
 * unknown kind is RESPONSE_UNKNOWN, not an error.
 */
#ifndef INTERIMAP_IMAP_RESPONSE_H
#define INTERIMAP_IMAP_RESPONSE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <time.h>

#include "sync/imap/seqset.h"
#include "sync/imap/slice.h"

enum response_type {
	RESPONSE_UNKNOWN,
	RESPONSE_CONTINUATION, /* "+ text" */
	RESPONSE_CONDITION, /* OK, NO, BAD, PREAUTH, BYE; tagged if tag.len > 0 */
	RESPONSE_CAPABILITY, /* atoms */
	RESPONSE_ENABLED, /* atoms */
	RESPONSE_LIST, /* LIST (LSUB likewise) */
	RESPONSE_STATUS,
	RESPONSE_SEARCH, /* set, modseq */
	RESPONSE_ESEARCH, /* esearch_tag, uid, set (ALL), number (COUNT), modseq */
	RESPONSE_FLAGS, /* atoms */
	RESPONSE_EXISTS, /* number */
	RESPONSE_RECENT, /* number */
	RESPONSE_EXPUNGE, /* number */
	RESPONSE_VANISHED, /* set, earlier */
	RESPONSE_FETCH,
};

enum condition { CONDITION_OK, CONDITION_NO, CONDITION_BAD, CONDITION_PREAUTH, CONDITION_BYE };

enum response_code {
	CODE_NONE,
	CODE_OTHER, /* an unknown one, or a known one with malformed arguments */
	CODE_ALERT,
	CODE_ALREADYEXISTS,
	CODE_APPENDLIMIT, /* number */
	CODE_APPENDUID, /* uidvalidity, uids */
	CODE_AUTHENTICATIONFAILED,
	CODE_AUTHORIZATIONFAILED,
	CODE_BADEVENT,
	CODE_CANNOT,
	CODE_CAPABILITY, /* atoms */
	CODE_CLOSED,
	CODE_COMPRESSIONACTIVE,
	CODE_CONTACTADMIN,
	CODE_COPYUID, /* uidvalidity, source_uids, uids */
	CODE_EXPIRED,
	CODE_HIGHESTMODSEQ, /* number */
	CODE_INUSE,
	CODE_LIMIT,
	CODE_MAILBOXID, /* object_id */
	CODE_MODIFIED, /* set */
	CODE_NOMODSEQ,
	CODE_NONEXISTENT,
	CODE_NOPERM,
	CODE_NOTIFICATIONOVERFLOW,
	CODE_OVERQUOTA,
	CODE_PERMANENTFLAGS, /* atoms */
	CODE_PRIVACYREQUIRED,
	CODE_READ_ONLY,
	CODE_READ_WRITE,
	CODE_SERVERBUG,
	CODE_THROTTLED,
	CODE_TOOBIG,
	CODE_TRYCREATE,
	CODE_UIDNEXT, /* number */
	CODE_UIDNOTSTICKY,
	CODE_UIDVALIDITY, /* number */
	CODE_UNAVAILABLE,
	CODE_UNSEEN, /* number */
};

/* Mailbox attributes of LIST. */
enum list_attribute {
	LIST_NOSELECT = 1 << 0,
	LIST_NONEXISTENT = 1 << 1,
	LIST_NOINFERIORS = 1 << 2,
	LIST_SUBSCRIBED = 1 << 3,
	LIST_REMOTE = 1 << 4,
	LIST_HASCHILDREN = 1 << 5,
	LIST_HASNOCHILDREN = 1 << 6,
	LIST_TRASH = 1 << 7,
	LIST_JUNK = 1 << 8,
	LIST_ALL = 1 << 9,
	LIST_ARCHIVE = 1 << 10,
	LIST_DRAFTS = 1 << 11,
	LIST_FLAGGED = 1 << 12,
	LIST_SENT = 1 << 13,
	LIST_NOACCESS = 1 << 14,
};

enum status_item {
	STATUS_MESSAGES = 1 << 0,
	STATUS_UIDNEXT = 1 << 1,
	STATUS_UIDVALIDITY = 1 << 2,
	STATUS_HIGHESTMODSEQ = 1 << 3,
	STATUS_UNSEEN = 1 << 4,
	STATUS_RECENT = 1 << 5,
	STATUS_MAILBOXID = 1 << 6,
	STATUS_APPENDLIMIT = 1 << 7,
};

enum fetch_item {
	FETCH_UID = 1 << 0,
	FETCH_FLAGS = 1 << 1,
	FETCH_MODSEQ = 1 << 2,
	FETCH_SIZE = 1 << 3,
	FETCH_INTERNALDATE = 1 << 4,
	FETCH_HEADER = 1 << 5, /* BODY[HEADER…], kept whole */
	FETCH_BODY = 1 << 6, /* BODY[], BINARY[] or RFC822: went to the sink */
	FETCH_BODY_EMPTY = 1 << 7, /* BODY[] came as NIL or as a quoted string of no bytes */
	FETCH_EMAILID = 1 << 8,
};

struct response_list {
	unsigned attributes; /* enum list_attribute */
	char delimiter; /* '\0' for NIL: a flat name space */
	struct slice name;
	struct slice old_name; /* OLDNAME (RFC 5465 section 5.4); data NULL if absent */
};

struct response_status {
	struct slice name;
	unsigned items; /* enum status_item: what is present */
	uint32_t messages, uidnext, uidvalidity, unseen, recent;
	uint64_t highestmodseq;
	uint64_t append_limit; /* RFC 7889 section 3.2; absent for NIL */
	struct slice mailbox_id; /* RFC 8474 section 4.3 */
};

struct response_fetch {
	uint32_t number; /* sequence number */
	unsigned items; /* enum fetch_item: what is present */
	uint32_t uid;
	uint64_t modseq;
	uint64_t size;
	struct slice internaldate; /* as it came, for APPEND */
	time_t date; /* the same instant in UTC */
	struct slice header;
	struct slice email_id;
	/* flags are in response.atoms */
};

struct response {
	enum response_type type;
	struct slice tag; /* empty for untagged */

	/* RESPONSE_CONDITION; RESPONSE_CONTINUATION has text only */
	enum condition condition;
	enum response_code code;
	struct slice text; /* for people, behind the code */

	/* by type or code, see there */
	uint64_t number;
	uint32_t uidvalidity;
	struct seqset set;
	struct slice uids, source_uids; /* raw: their order matters; expand with seqset_expand() */
	bool earlier; /* VANISHED (EARLIER) */
	bool uid; /* ESEARCH UID */
	uint64_t modseq;
	struct slice esearch_tag;
	struct slice object_id;

	struct slice *atoms; /* capabilities, flags */
	size_t atoms_count, atoms_size;

	struct response_list list;
	struct response_status status;
	struct response_fetch fetch;
};

void response_init(struct response *response);
void response_done(struct response *response);

/*
 * Parses a whole response (as from input_response(); the text is modified in place, slices point
 * into it).  The struct is reused from one to the next.  False when it is not what the grammar
 * allows or a limit is exceeded; the connection should be dropped.
 *
 * One bad value must not cost the connection: a known response code with malformed arguments is
 * CODE_OTHER; a STATUS item that makes no sense is left out of `items`, and an INTERNALDATE that
 * makes none is empty, with the date 0.
 */
bool response_parse(struct response *response, char *text, size_t len);

/*
 * What the head of a streamed body (input.h) says of its message.  *ret_uid is 0 when no UID came
 * before the body.  False when the head is malformed.
 */
bool response_parse_head(const char *head, size_t len, uint32_t *ret_uid);

/*
 * RFC 3501 date-time without its quotes, e.g. " 7-Feb-1994 21:52:25 -0800", to UTC; false if
 * malformed.
 */
bool response_parse_date(struct slice text, time_t *ret);

#endif
