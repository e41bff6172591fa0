/* SPDX-License-Identifier: MIT */
/*
 * Fault points, for tests: INTERIMAP_FAULT=EVENT:N:ACT in the environment lets something happen at
 * the N-th event of that kind, counted from the start of the program, or with N-M at each from the
 * N-th to the M-th.
 *
 * EVENT is "turn" (of the event loop) or "answer" (of a server to a command).  ACT is TERM, HUP or
 * KILL, a signal that the program sends to itself; or "fail", which is up to the place (see each
 * fault_due()).
 */
#ifndef INTERIMAP_BASE_FAULT_H
#define INTERIMAP_BASE_FAULT_H

#include <stdbool.h>

enum fault_event {
	FAULT_TURN,
	FAULT_ANSWER,
	FAULT_EVENTS,
};

/* An event happens.  True: it is to fail.  Without the variable this costs next to nothing. */
bool fault_due(enum fault_event event);

#endif
