/* SPDX-License-Identifier: MIT */
/*
 * What may be the cause when connections are lost again and again: the command that a server was
 * at, or was being sent, when the connection went, is about messages, a mailbox, or what a mail
 * client did.  Pure.
 *
 * A line that is lost now and then hits one thing after the other.  So one loss says nothing; after
 * the second with the same suspect it is set apart, and tried by itself when all else is done: of
 * several messages first the first one, since servers answer in order and it is the one that the
 * server was at, then halves.  What costs the connection once more then is proven.
 */
#ifndef INTERIMAP_PLAN_SUSPICION_H
#define INTERIMAP_PLAN_SUSPICION_H

#include <stdbool.h>
#include <stdint.h>

#include "sync/imap/seqset.h"

/* What was being done. */
enum suspect_kind {
	SUSPECT_NONE,
	SUSPECT_FETCH, /* messages were being read, to be copied … */
	SUSPECT_APPEND, /* … or given to the other side */
	SUSPECT_MOVE, /* messages were being moved or copied to the mailbox, from another one */
	SUSPECT_MAILBOX, /* whatever else is done with a mailbox, above all to select it; setting
			    flags and expunging, too */
	SUSPECT_DEED, /* what a mail client did was being done on the other side */
	SUSPECT_KIND_COUNT,
};

struct suspect {
	enum suspect_kind kind;
	int64_t mailbox; /* its number; 0 for a deed */
	int64_t deed; /* its number, or 0 */
	bool remote; /* the side that the messages are on, or that the command went to */
	struct seqset uids; /* of FETCH and APPEND; empty for the others */
};

struct suspicion {
	struct suspect suspect;
	unsigned losses; /* in a row, with this suspect */
	bool halves; /* it was not the first of its messages */
};

enum verdict {
	VERDICT_NOTED, /* nothing follows yet */
	VERDICT_APART, /* it is left out, and tried by itself when all else is done */
	VERDICT_PROVEN, /* it was by itself */
};

enum {
	SUSPICION_LOSSES = 2, /* before it is set apart */
};

void suspect_copy(struct suspect *to, const struct suspect *from);
void suspect_done(struct suspect *suspect);

/* Whether a loss with this suspect may have the cause that is suspected already. */
bool suspicion_is_of(const struct suspicion *suspicion, const struct suspect *suspect);
/* One more loss, with a suspect for which that is so; `alone`: while it was being tried by itself.
 */
enum verdict suspicion_add(struct suspicion *suspicion, const struct suspect *suspect, bool alone);
bool suspicion_is_apart(const struct suspicion *suspicion);
/* Which of its messages are to be tried next; none where it is not about messages. */
void suspicion_part(const struct suspicion *suspicion, struct seqset *ret_uids);
/* These messages are not the cause; or what it is about is not, where that is no messages.  True if
 * nothing is suspected any more. */
bool suspicion_acquit(struct suspicion *suspicion, const struct seqset *uids);

#endif
