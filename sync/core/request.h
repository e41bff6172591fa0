/* SPDX-License-Identifier: MIT */
/*
 * Commands that a task waits for: a barrier counts those that are under way, and wakes the task
 * when the last has completed.
 */
#ifndef INTERIMAP_CORE_REQUEST_H
#define INTERIMAP_CORE_REQUEST_H

#include <stdbool.h>

#include "sync/imap/command.h"
#include "sync/plan/suspicion.h"

struct side;
struct task;

struct barrier {
	struct task *task;
	unsigned waiting;
	unsigned found; /* of them, by requests_tally() */
	bool each; /* wake on every completion (a window), not only on the last */
	bool lost; /* a connection went */
	bool refused; /* NO or BAD; the first reason is kept */
	char *reason; /* "remote: SELECT: NO: Mailbox doesn't exist", owned */
	/* What its commands are about, should the connection be lost over one of them; without
	 * messages.  Of kind NONE: that says nothing. */
	struct suspect about;
};

void barrier_init(struct barrier *barrier, struct task *task);
/* No request may be waiting. */
void barrier_done(struct barrier *barrier);
/* Forgets results, for the next phase. */
void barrier_reset(struct barrier *barrier);

/* Allocated, and freed by itself after completion; embed it first in a larger struct and give that
 * one's size. */
struct request {
	struct command command;
	struct barrier *barrier;
	struct side *side;
	/* Called on completion, before the barrier is told, may be NULL.  Returns true if it took
	 * care of a refusal. */
	bool (*completed)(struct request *request);
	/* Called before that if the connection was lost while the server was at this command: what
	 * it is about, where that is less than what the barrier says.  *suspect is that, and is to
	 * be changed.  May be NULL. */
	void (*name)(const struct request *request, struct suspect *suspect);
	/* Releases what a larger struct holds, may be NULL. */
	void (*release)(struct request *request);
};

/* size: sizeof of the struct that embeds the request at its beginning. */
void *request_new(struct barrier *barrier, struct side *side, size_t size,
	bool (*completed)(struct request *));
void request_submit(struct request *request);
/* Counts, in the barriers, the requests that the side has not completed. */
void requests_tally(struct side *side);
/* A `completed` for commands whose refusal is no matter. */
bool request_ignore_refusal(struct request *request);

#endif
