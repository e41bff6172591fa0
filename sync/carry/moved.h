/* SPDX-License-Identifier: MIT */
/* What was moved (moved.c) or copied (copied.c) on one side is so on the other. */
#ifndef INTERIMAP_CARRY_MOVED_H
#define INTERIMAP_CARRY_MOVED_H

#include "sync/run/run.h"

/* moved.c */
/* Asks for what is gone, on the other sides; submits requests or none. */
void run_moved_ask(struct run *run);
void run_moved_asked(struct run *run);
/* Moves the next messages that are to come here; false when there are none. */
bool run_moved_send(struct run *run);
/* Of a pair, what was asked of it. */
void run_moved_identify(struct run_side *side, struct offer *offer, const struct identity *identity,
	const struct response *response);
/* Selects the mailbox to move or copy from, on the other side, in a view of the run's own. */
void run_moved_select(struct run_side *side, const char *wire_name);
/* Writes down what became of them. */
void run_moved_sent(struct run *run);
/* All are moved, as far as that could be done: the rest is copied like any new message. */
void run_moved_done(struct run *run);
/* Others have taken theirs: what is gone beyond that may be on its way, too. */
void run_moved_over(struct run *run);
/* Frees what it holds of a side. */
void run_moved_clear(struct run_side *side);

/* copied.c */
/* Finds new messages that are copies of others, and asks for what is to be copied likewise; false
 * if there are none. */
bool run_copied_ask(struct run *run);
/* They are among the takes, for run_moved_send(). */
void run_copied_asked(struct run *run);
/* The mailbox that is copied from; NULL: it is gone. */
struct mailbox *run_copied_from(const struct run_side *side);

#endif
