/* SPDX-License-Identifier: MIT */
/*
 * STATUS and LIST as questions.  With NOTIFY a server tells of mailboxes at any time, in the same
 * responses that also answer a command (RFC 5465 sections 5.2 to 5.5).  So all commands that are
 * answered so are made here, where what is told is kept apart from what is answered.
 */
#ifndef INTERIMAP_CORE_ASK_H
#define INTERIMAP_CORE_ASK_H

#include "sync/core/request.h"
#include "sync/imap/mailbox.h"
#include "sync/imap/response.h"

struct side;

/*
 * That a mailbox was renamed, or deleted, is told in such a line.  One without the second part may
 * also be an answer: of a level that is no mailbox.
 */
static inline bool list_line_is_told(const struct response_list *line)
{
	return line->old_name.data != NULL || (line->attributes & LIST_NONEXISTENT) != 0;
}

/* The items that make a struct mailbox_state. */
#define STATUS_STATE "UIDVALIDITY UIDNEXT HIGHESTMODSEQ"

/* STATUS of one mailbox; embed it first in a larger struct, and leave its request's release(). */
struct status_request {
	struct request request;
	struct mailbox_name name; /* owned */
	void (*got)(struct status_request *status, const struct response_status *answer);
};

/*
 * `items` as on the wire, without parentheses.  NULL: the name cannot be expressed on that server.
 * got() gets the answer, and no STATUS of any other mailbox.  For size and completed() see
 * request_new(); the caller submits the request.
 */
struct status_request *status_request_new(struct barrier *barrier, struct side *side,
	const struct mailbox_name *name, const char *items, size_t size,
	void (*got)(struct status_request *status, const struct response_status *answer),
	bool (*completed)(struct request *request));

/* A LIST; embed it first in a larger struct. */
struct list_request {
	struct request request;
	/* True if it is an answer.  With LIST-STATUS, STATUS responses are, too (RFC 5819). */
	bool (*got)(struct list_request *list, struct response *response);
};

/*
 * The caller puts the command ("LIST …") and submits it.  A line that may tell that a mailbox was
 * renamed or deleted is noted as that, too (core_owner.listed), since nobody can know which it is.
 */
struct list_request *list_request_new(struct barrier *barrier, struct side *side, size_t size,
	bool (*got)(struct list_request *list, struct response *response),
	bool (*completed)(struct request *request));

#endif
