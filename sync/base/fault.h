/* SPDX-License-Identifier: MIT */
/*
 * Fault points, for tests: INTERIMAP_FAULT=EVENT:N:ACT in the environment lets something happen at
 * the N-th event of that kind, counted from the start of the program, or with N-M at each from the
 * N-th to the M-th.
 *
 * EVENT is "turn" (of the event loop), "answer" (of a server to a command), "database-write" and
 * "database-sync" (of its files), "spool" (what is done to a temporary file), "send" (to a
 * connection of any kind), or "wake" (of a task that waits).  ACT is TERM, HUP or
 * KILL, a signal that the program sends to itself; or "fail", which is up to the place (see each
 * fault_due()).
 */
#ifndef INTERIMAP_BASE_FAULT_H
#define INTERIMAP_BASE_FAULT_H

#include <stdbool.h>

enum fault_event {
	FAULT_TURN,
	FAULT_ANSWER,
	FAULT_DATABASE_WRITE, /* fail: the disk is full */
	FAULT_DATABASE_SYNC, /* fail: EIO */
	FAULT_SPOOL, /* fail: the disk is full */
	FAULT_SEND, /* fail: EPIPE */
	FAULT_WAKE, /* fail: it is lost */
	FAULT_EVENTS,
};

/* An event happens.  True: it is to fail.  Without the variable this costs next to nothing. */
bool fault_due(enum fault_event event);

#endif
