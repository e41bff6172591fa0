/* SPDX-License-Identifier: MIT */
/*
 * What a mail client does through the proxy, as what it is: a message moved, a mailbox renamed.
 * The proxy announces a command before the store can have run it, and tells its outcome before the
 * client can have seen it.  In between, the engine leaves the mailboxes that it names alone.  Once
 * the outcome is told, the action is in the database, and will be done on the remote side even if
 * the program is killed right then.
 *
 * None of it is needed for a right result: what is never announced, or whose outcome is not known,
 * is found by the ordinary sync.
 */
#ifndef INTERIMAP_DEEDS_ACTION_H
#define INTERIMAP_DEEDS_ACTION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum action_kind {
	ACTION_MOVE, /* messages from `mailbox` to `target` (RFC 6851) */
	ACTION_COPY, /* likewise */
	ACTION_APPEND, /* to `target` */
	ACTION_CREATE, /* `mailbox`, and so on for what follows */
	ACTION_DELETE,
	ACTION_RENAME, /* to `target`, with what is below it */
	ACTION_SUBSCRIBE,
	ACTION_UNSUBSCRIBE,
};

/* Names as on the store's wire: modified UTF-7, with its delimiter; INBOX in upper case.  NULL
 * where the kind has none. */
struct client_action {
	enum action_kind kind;
	const char *mailbox, *target;
};

enum action_result {
	ACTION_DONE, /* OK */
	ACTION_REFUSED, /* NO or BAD: nothing was done, or for messages perhaps in part */
	ACTION_UNKNOWN, /* the connection ended before the answer */
};

/* Which message became which: COPYUID (RFC 4315 section 3), as the store wrote it. */
struct copied_uids {
	uint32_t uidvalidity; /* of the target */
	const char *source, *target; /* sets of as many UIDs, at most LIMIT_COPIED_UIDS: in pairs */
};

/* Messages that a client marks \Deleted, or marks no longer; and that those that are marked go. */
enum removal_kind { REMOVAL_MARK, REMOVAL_UNMARK, REMOVAL_EXPUNGE };

struct client_removal {
	enum removal_kind kind;
	const char *mailbox; /* as above */
	const char *set; /* as the client wrote it; NULL: all that are marked */
	bool by_uid; /* it is of UIDs */
};

/* Everything is borrowed. */
struct action_receiver {
	/* The ticket is the caller's: not 0, and not used for another action of this process. */
	void (*announce)(struct action_receiver *receiver, uint64_t ticket,
		const struct client_action *action);
	/* Once for each announcement, with the same action; copied is NULL if the store did not
	 * tell, or nothing was copied. */
	void (*outcome)(struct action_receiver *receiver, uint64_t ticket,
		const struct client_action *action, enum action_result result,
		const struct copied_uids *copied);
	/* Answered with OK; of an expunge also when the connection ended before. */
	void (*removal)(struct action_receiver *receiver, const struct client_removal *removal);
};

#endif
