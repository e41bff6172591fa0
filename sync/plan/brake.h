/* SPDX-License-Identifier: MIT */
/*
 * The brake (max-deletions): whether so much has vanished on one side that a person is to be asked.
 * Pure: what has vanished is counted by others.
 */
#ifndef INTERIMAP_PLAN_BRAKE_H
#define INTERIMAP_PLAN_BRAKE_H

#include <stdbool.h>
#include <stdint.h>

/* What a mailbox may lose; all mailboxes of a side together may lose as many, or a smaller share.
 */
struct plan_brake {
	bool off; /* never holds */
	/* 0 in either: that condition does not apply. */
	uint64_t count; /* more than this many … */
	unsigned percent; /* … and more than this share of the mailbox */
	unsigned side_percent; /* … of all mailboxes */
};

/*
 * Deletions: what would be done now, and what was within a while (the window of losses.h).  Those
 * of the proxy's clients, and what a person ordered, do not count.  `left`: the messages that have
 * a pair now, with those that would be deleted.
 */
struct plan_losses {
	uint64_t now;
	uint64_t recent;
	uint64_t burst; /* of `recent`: in the last minute */
	uint64_t held; /* not done, but about to be, or held back */
	uint64_t left;
};

enum plan_hold {
	PLAN_PASS,
	PLAN_HOLD_MAILBOX,
	PLAN_HOLD_SIDE, /* it is too much together with what other mailboxes lose */
};

/* The size that conditions are about is that of the beginning: what is left, and what was lost. */
enum plan_hold plan_brake(const struct plan_brake *brake, const struct plan_losses *mailbox,
	const struct plan_losses *side, bool is_inbox);

#endif
