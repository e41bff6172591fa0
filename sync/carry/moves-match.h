/* SPDX-License-Identifier: MIT */
/* Which of the messages that are new in one mailbox are gone from another, by plan_moves(). */
#ifndef INTERIMAP_CARRY_MOVES_MATCH_H
#define INTERIMAP_CARRY_MOVES_MATCH_H

#include "sync/run/run.h"

/* Of the runs that have asked (MOVE_ASKED), fills those lists of what they take from each other. */
void moves_match(struct core *core);

#endif
