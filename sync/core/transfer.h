/* SPDX-License-Identifier: MIT */
/*
 * Messages that were moved or copied on one side are moved or copied likewise on the other: one
 * command, for messages of one mailbox.  Who finds them, be it in the journal of what clients did
 * or by comparing mailboxes, is no matter here.
 *
 * `origin` is where it was done, the other side where it is to be done.  Before the command is
 * sent, an intent (state/intents.h) is written for each message, as if it were about to be appended:
 * so a run of the target finds out what became of a command that was never answered.  What COPYUID
 * names has arrived; what it does not name may have, and is in doubt.
 */
#ifndef INTERIMAP_CORE_TRANSFER_H
#define INTERIMAP_CORE_TRANSFER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "sync/imap/response.h"
#include "sync/state/email-ids.h"
#include "sync/state/intents.h"

struct command;
struct core;
struct side;

enum {
	TRANSFER_MAX =
		500, /* messages of one command: their UIDs fit into a line whatever they are */
};

enum transfer_state {
	TRANSFER_WANTED, /* an intent is written, once transfer_intend() has been called */
	TRANSFER_LEFT, /* it is not sent: a run of the target has to find out about it first */
	TRANSFER_DONE, /* it is there, and the database says so */
	TRANSFER_IN_DOUBT, /* it may be there: its intent stays */
	TRANSFER_NOT_DONE, /* it is not */
};

struct transferred {
	uint32_t origin_source, origin_target; /* its UIDs where it was done */
	uint32_t uid; /* of the source, where it is to be done */
	struct identity identity;
	struct email_id email_id; /* if it is known */
	enum transfer_state state;
	int64_t intent; /* its id; 0 for none */
	uint32_t new_uid; /* of the target, where it is done; 0: it was not named */
};

struct transfer {
	struct core *core;
	struct side *side; /* where it is to be done */
	bool is_move; /* as it was done; to a server without MOVE it is a COPY, see transfer_moves() */
	bool resumes; /* intents that are there may be its own, of an earlier life */
	int64_t source, target; /* the mailboxes' idx */
	uint32_t uidvalidity, uidnext; /* of the target, where it is to be done, before */
	struct transferred *list; /* owned; ascending by uid, each once */
	size_t count;
};

/* There is room: transfer->count < TRANSFER_MAX. */
void transfer_add(struct transfer *transfer, const struct transferred *message);
/* Puts them into order, once all are there. */
void transfer_sort(struct transfer *transfer);
/* NULL: it is none of them. */
struct transferred *transfer_find(const struct transfer *transfer, uint32_t uid);
/* No message is left. */
void transfer_clear(struct transfer *transfer);

/* RFC 6851.  Without it the messages are copied: a run of the source sees that they are gone where
 * they were moved, and expunges them. */
bool transfer_moves(const struct transfer *transfer);

/* Within a transaction: the intents.  What is not to be sent becomes LEFT.  0, or -errno. */
int transfer_intend(struct transfer *transfer);
/* Whether anything is to be sent. */
bool transfer_any(const struct transfer *transfer);
/* "UID MOVE 1:3 target"; the source is selected there. */
void transfer_put(
	const struct transfer *transfer, struct command *command, const char *target_wire);

/* An untagged response: true if it was COPYUID, which MOVE tells ahead of its answer (RFC 6851
 * section 4.3). */
bool transfer_take_untagged(struct transfer *transfer, const struct response *response);
/* The command was answered. */
void transfer_take_answer(struct transfer *transfer, const struct command *command);

/*
 * Within a transaction: the pairs of what is there, and what is known not to be is forgotten.  A
 * refused MOVE may have moved some.  0, or -errno.
 */
int transfer_settle(struct transfer *transfer, bool refused);
/* How many are DONE. */
uint64_t transfer_count_done(const struct transfer *transfer);

#endif
