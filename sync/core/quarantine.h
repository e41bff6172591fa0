/* SPDX-License-Identifier: MIT */
/*
 * The quarantine (state/quarantine.h) at work: what is refused is said once and written down, and
 * left alone until its time has come: after 10 minutes, an hour, 6 hours, and then every 24 hours.
 * A run of the mailbox tries it then (run/quarantine.c); a service begins one, and a command when
 * it looks at the lists.  --repair, and naming the mailbox on the command line, try all at once.
 */
#ifndef INTERIMAP_CORE_QUARANTINE_H
#define INTERIMAP_CORE_QUARANTINE_H

#include <stdbool.h>
#include <stdint.h>

#include "sync/state/quarantine.h"

struct command;
struct core;
struct mailbox;

/* Seconds to wait after so many tries that came to nothing. */
int64_t quarantine_pause(unsigned tries);
/* Its time has come.  A clock that was set back does not put it off. */
bool quarantine_is_due(int64_t next, int64_t now);

/*
 * To be left alone from now on.  The caller sets `kind`, `remote`, `uid`, `deed`, `size`, `name`
 * and `words`, of which the strings stay its own; the rest follows from what was there.  It is said
 * when it is new.  mailbox: NULL if it is of the account.  Within the caller's transaction if there
 * is one.  1: written; 0: there is no room for it, so that whoever met it must do without; or
 * -errno of the database.
 */
int quarantine_note(
	struct core *core, const struct mailbox *mailbox, const struct quarantine *refused);

/*
 * Whether the NO or BAD to a command for one message is about more than that message, by its
 * response code (RFC 5530): the quota, say, or the mailbox.  Then others would fare the same, and
 * none is left alone by itself.
 */
bool refusal_is_general(const struct command *command);

/* What the database has goes to `left_out` of all mailboxes; 0 or -errno of the database. */
int quarantine_refresh(struct core *core);
/* It has something that is due, and was not just tried. */
bool quarantine_calls(const struct mailbox *mailbox);
/* A run that tries what is due begins. */
void quarantine_note_tried(struct mailbox *mailbox);

void quarantine_init(struct core *core);
/* At rest: what becomes due is looked at then. */
void quarantine_wait(struct core *core);
void quarantine_stop(struct core *core);
/* All is done that was to be done: what is left out leaves the work incomplete, and is said as a
 * number. */
void quarantine_sum_up(struct core *core);

#endif
