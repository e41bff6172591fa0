/* SPDX-License-Identifier: MIT */
/*
 * Decides what to do about the mailboxes of an account: both lists and the known mailboxes in,
 * operations out.  Pure.
 *
 * A mailbox that is unknown and on one side only is created on the other.  One that is known and
 * disappeared on one side is neither created again nor deleted: it is reported.  Gone on both
 * sides: nothing.  A mailbox that cannot be selected counts as absent. Subscriptions: of an unknown
 * mailbox, subscribed if either side is; of a known one, the side that differs from the database
 * has changed.
 */
#ifndef INTERIMAP_PLAN_MAILBOXES_H
#define INTERIMAP_PLAN_MAILBOXES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Names have NUL for the delimiter and may hold any byte. */
struct plan_listed {
	const char *name;
	size_t len;
	bool selectable;
	bool subscribed;
};

struct plan_known {
	const char *name;
	size_t len;
	bool subscribed;
};

enum plan_mailbox_action {
	/* On both sides: messages may be synchronised, after the other actions of this mailbox. */
	MAILBOX_SYNC,
	MAILBOX_CREATE_LOCAL, /* parents come before their children */
	MAILBOX_CREATE_REMOTE,
	MAILBOX_SUBSCRIBE_LOCAL,
	MAILBOX_SUBSCRIBE_REMOTE,
	MAILBOX_UNSUBSCRIBE_LOCAL,
	MAILBOX_UNSUBSCRIBE_REMOTE,
	MAILBOX_REMEMBER, /* make it known, with `subscribed` */
	MAILBOX_SET_SUBSCRIBED, /* known: record `subscribed` once the other side was told */
	MAILBOX_MISSING_LOCAL, /* known, disappeared there */
	MAILBOX_MISSING_REMOTE,
};

struct plan_mailbox {
	enum plan_mailbox_action action;
	const char *name; /* borrowed from the input */
	size_t len;
	bool subscribed;
};

/*
 * The result is one array in the order of execution, INBOX first; per mailbox: CREATE, REMEMBER,
 * (UN)SUBSCRIBE, SET_SUBSCRIBED, SYNC.  SET_SUBSCRIBED is due only when the (UN)SUBSCRIBE before it
 * succeeded: until then the database holds what makes the next run try again.  The caller frees the
 * array; it may be NULL when it is empty.
 */
void plan_mailboxes(const struct plan_listed *local, size_t local_count,
	const struct plan_listed *remote, size_t remote_count, const struct plan_known *known,
	size_t known_count, struct plan_mailbox **ret, size_t *ret_count);

#endif
