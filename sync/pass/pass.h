/* SPDX-License-Identifier: MIT */
/*
 * A run brings one mailbox to the same state on both sides, in passes:
 *
 *     OPEN     SELECT (QRESYNC) on both sides, with the metadata of new mail where that is little
 *     SETTLE   on the first pass: what an interrupted run left (intents, dangling pairs), adoption
 *     NEW      which messages are new, and their metadata
 *     CONFIRM  asks again for exactly the vanished messages
 *     MOVES    what was moved between mailboxes
 *     PLAN     decides
 *     APPLY    flags and expunges
 *     COPY     new messages, both ways
 *     COMMIT   one transaction: mapping, UIDNEXT and HIGHESTMODSEQ move to what OPEN saw
 *
 * A pass that did anything is followed by another, which sees the echoes of our own commands (and
 * knows them by `expected`), and what came meanwhile.  Changes are always taken from a SELECT since
 * the committed HIGHESTMODSEQ: what is pushed in between is not lost, since it comes again there.
 */
#ifndef INTERIMAP_PASS_PASS_H
#define INTERIMAP_PASS_PASS_H

#include "sync/run/run.h"

struct core;
struct mailbox;

void runs_init(struct runs *runs, struct core *core);
void runs_done(struct runs *runs);

/* finished() is called once, from the loop; the run is freed after it.  The reason is a sentence if
 * it FAILED. */
struct run *run_new(struct core *core, struct mailbox *mailbox,
	void (*finished)(struct run *run, enum run_end end, const char *reason));

/* For the log of developers. */
const char *run_phase_name(const struct run *run);
/* The connections are gone: it ends, soon, as lost. */
void run_connection_lost(struct run *run);
/* Ends it without finished(); all its commands have completed. */
void run_abandon(struct run *run);

#endif
