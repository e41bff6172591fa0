/* SPDX-License-Identifier: MIT */
/* How an engine that stays is getting on, for a person: a copy that is the caller's. */
#ifndef INTERIMAP_ENGINE_STATUS_H
#define INTERIMAP_ENGINE_STATUS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <time.h>

#include "sync/state/quarantine.h"

struct engine;

/* How changes on a server are learnt of. */
enum status_push { PUSH_NOTIFY, PUSH_IDLE, PUSH_POLL };

struct status_side {
	enum { SIDE_DISCONNECTED, SIDE_CONNECTING, SIDE_CONNECTED } state;
	char *reason; /* why it is not connected, or was not the last time; NULL if connected */
	time_t since; /* when the connection was lost, or could not be had first; 0: never tried */
	enum status_push push; /* if it is connected */
};

enum status_state {
	MAILBOX_CLEAN, /* the same on both sides, as far as the servers have told */
	MAILBOX_QUEUED, /* something is to be done */
	MAILBOX_RUNNING,
	MAILBOX_HELD, /* by the brake */
	MAILBOX_FAILED,
	MAILBOX_MISSING, /* one side does not list it any more */
};

struct status_mailbox {
	char *name; /* as a person writes it: local delimiter */
	enum status_state state;
	time_t in_step; /* when both sides were last known to be the same; 0: not in this process */
	/* New messages that wait to be copied there, as far as STATUS tells: some of these UIDs may
	 * not be there any more.  -1: unknown. */
	int64_t to_local, to_remote;
	char *reason; /* why it is held, failed or missing, or NULL */
	char *resolve; /* the command that resolves it, or NULL */
};

/* Who is not done and waits for something that has a name: see waits.h. */
struct status_wait {
	const char *what; /* "mailbox", "action" (of a client), "command" or "account" */
	char *name; /* the mailbox, or what the client did; NULL if there is none */
	const char *reason; /* what it waits for, in words */
	time_t since; /* 0: not known */
};

/* What is left alone, as the quarantine has it (state/quarantine.h). */
struct status_left_out {
	char *mailbox; /* as a person writes it; NULL: of the account */
	struct quarantine *row; /* in engine_status.rows */
};

struct engine_status {
	struct status_side local, remote;
	time_t next_try; /* to connect; 0: none is planned */
	unsigned interval; /* seconds between two looks at everything */
	bool ordered; /* a command is being carried out */
	size_t orders_waiting;
	uint64_t actions_waiting; /* of mail clients, to be done on the remote side */
	uint64_t copied; /* messages, since it began */
	char *resolve; /* the command that resolves all mailboxes that wait for a person, if several
			*/
	struct status_mailbox *mailboxes;
	size_t mailbox_count;
	struct status_wait *waits; /* at most LIMIT_STATUS_WAITS */
	size_t wait_count;
	struct status_left_out *left_out;
	struct quarantine *rows;
	size_t left_out_count;
};

void engine_status_take(struct engine *engine, struct engine_status *ret);
void engine_status_done(struct engine_status *status);

const char *status_push_name(enum status_push push);
const char *status_state_name(enum status_state state);

#endif
