/* SPDX-License-Identifier: MIT */
/* What was moved (moves.c) or copied (moves-copied.c) on one side is so on the other. */
#ifndef INTERIMAP_CARRY_MOVES_H
#define INTERIMAP_CARRY_MOVES_H

#include "sync/run/run.h"

/* moves.c */
/* Asks for what is gone, on the other sides; submits requests or none. */
void run_moves_ask(struct run *run);
/* Moves the next messages that are to come here; false when there are none. */
bool run_moves_send(struct run *run);
/* Of a pair, what was asked of it. */
void run_moves_identify(struct run_side *side, struct gone_message *gone,
	const struct identity *identity, const struct response *response);
/* Selects the mailbox to move or copy from, on the other side, in a view of the run's own. */
void run_moves_select(struct run_side *side, const char *wire_name);
/* Writes down what became of them. */
void run_moves_sent(struct run *run);
/* All are moved, as far as that could be done: the rest is copied like any new message. */
void run_moves_done(struct run *run);
/* Others have taken theirs: what is gone beyond that may be on its way, too. */
void run_moves_over(struct run *run);
/* Frees what it holds of a side. */
void run_moves_clear(struct run_side *side);

/* moves-copied.c */
/* Finds new messages that are copies of others, and asks for what is to be copied likewise; false
 * if there are none. */
bool run_copies_ask(struct run *run);
/* They are in the list of what is taken, for run_moves_send(). */
void run_copies_asked(struct run *run);
/* The mailbox that is copied from; NULL: it is gone. */
struct mailbox *run_copies_source(const struct run_side *side);

#endif
