/* SPDX-License-Identifier: MIT */
/*
 * What is suspected to cost the connection (plan/suspicion.h), and what follows from it: one
 * message, deed or mailbox over which a server ends the connection stops nothing else.
 *
 * A command that a server was at when its connection went is named by whoever sent it
 * (core/request.h).  That counts when both servers have been reached again; not after what looks
 * like an outage of the network.  What is set apart after its second loss is left out of all that
 * is done, and tried by itself, part by part, when the rest is done.  What is proven then goes into
 * the quarantine.
 */
#ifndef INTERIMAP_DEEDS_SUSPECTS_H
#define INTERIMAP_DEEDS_SUSPECTS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "sync/plan/suspicion.h"

struct deed;
struct core;
struct mailbox;
struct tracked;

struct suspects {
	struct core *core;
	struct tracked *list; /* as in the database */
	size_t count;
	struct suspect accused; /* at the last loss, until that counts; of kind NONE: nobody */
	char *words; /* how it was lost, owned */
	bool loaded; /* since the last connection was made */
	int64_t trial; /* what is being tried by itself, by its number; or 0 */
	unsigned retries, fresh; /* of a program that runs once; of them, for what was not suspected
				    before */
};

void suspects_init(struct suspects *suspects, struct core *core);
void suspects_done(struct suspects *suspects);

/* The connection is being lost over it; of several accused at one loss the first counts.  Copied.
 */
void suspects_accuse(struct core *core, const struct suspect *suspect);
/* How it was lost. */
void suspects_note_loss(struct core *core, const char *reason);
/* The network was the cause: it does not count. */
void suspects_excuse(struct core *core);
/* Whether a program that runs once is to connect once more after this loss. */
bool suspects_are_worth_a_retry(struct core *core);
/* New connections are being made. */
void suspects_connect(struct core *core);
/* Both servers were reached, and the journal is loaded: what was accused counts, once a connection.
 * 0, or -errno of the database. */
int suspects_judge(struct core *core);

/* Takes out of the set, of messages on that side of the mailbox, what is set apart and not being
 * tried now. */
void suspects_withhold(const struct core *core, const struct mailbox *mailbox,
	enum suspect_kind kind, bool remote, struct seqset *uids);
/* Whether that would take anything out. */
bool suspects_withhold_any(const struct core *core, const struct mailbox *mailbox,
	enum suspect_kind kind, bool remote);
/* The mailbox as a whole (MAILBOX), or what others moved to it (MOVE), is set apart.  So is a
 * mailbox that is to be adopted, of which messages are suspected. */
bool suspects_hold(const struct core *core, const struct mailbox *mailbox, enum suspect_kind kind);
/* The mailbox is given up for now: 1, and why, the caller's; 0: it is not; -errno of the database.
 */
int suspects_find_given_up(struct core *core, const struct mailbox *mailbox, char **ret_words);
/* A deed is. */
bool suspects_hold_deed(const struct core *core, const struct deed *deed);

/* All else is done: begins to try what is set apart, or to leave it for good.  False: there is
 * nothing. */
bool suspects_try(struct core *core);
/* A run of the mailbox has ended, without a loss; `complete`: all was done. */
void suspects_note_run(struct core *core, struct mailbox *mailbox, bool complete);
/* The replay of a deed has ended, likewise. */
void suspects_note_replay(struct core *core, const struct deed *deed);
/* A person has acted: the deeds that are given up are tried once more.  0, or -errno. */
int suspects_retry_deeds(struct core *core);
/* Its UIDs are void. */
void suspects_forget(struct core *core, const struct mailbox *mailbox);

#endif
