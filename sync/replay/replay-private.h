/* SPDX-License-Identifier: MIT */
/* The replay's files: replay.c (its life), messages.c (MOVE and COPY), tree.c
 * (mailboxes and subscriptions), delete.c (DELETE), brake.c (when not to delete). */
#ifndef INTERIMAP_REPLAY_REPLAY_PRIVATE_H
#define INTERIMAP_REPLAY_REPLAY_PRIVATE_H

#include <stddef.h>
#include <stdint.h>

#include "sync/base/loop.h"
#include "sync/core/ask.h"
#include "sync/core/request.h"
#include "sync/core/side.h"
#include "sync/core/transfer.h"
#include "sync/replay/replay.h"
#include "sync/state/intents.h"
#include "sync/state/mailboxes.h"

struct mailbox;
struct mailbox_name;

struct messages {
	struct mailbox *source, *target;
	char *target_wire; /* on the side where it is to be done */
	uint32_t *source_uids, *target_uids; /* where it was done, all of the deed */
	size_t count, next;
	struct transfer chunk;
	bool *identified; /* by the index in the chunk */
	uint32_t source_uidvalidity; /* where it was done; 0: it has gone */
	uint32_t uidvalidity, uidnext; /* of the target on the other side, before */
	uint64_t done; /* messages */
};

struct replay_tree {
	bool has_old, has_new; /* listed on the side where it is to be done … */
	bool origin_has_old, origin_has_new; /* … and where it was done */
	uint32_t origin_uidvalidity; /* 0: it is not there … */
	bool origin_denies; /* … as the server said in so many words */
	bool origin_subscribed; /* … to its name all the same */
	struct mailbox_state state; /* on the other side; uidvalidity 0: it is not known … */
	uint32_t messages; /* … and how many it has there … */
	uint64_t strangers; /* … of which so many have no pair: perhaps they are nowhere else */
	enum response_code code; /* of the answer */
	char *taken; /* a name that the database has already; owned */
};

struct replay {
	struct task task;
	struct barrier barrier;
	struct core *core;
	struct deed *deed;
	int phase;
	bool ending; /* while commands are still under way */
	enum replay_end end;
	struct side *origin; /* where it was done */
	struct side *side; /* where it is to be done */
	struct view origin_view, view;
	struct messages messages;
	struct replay_tree tree;
	enum step (*step)(struct replay *replay);
	void (*finished)(struct core *core, struct deed *deed, enum replay_end end);
};

/* A command of the replay. */
struct replay_request {
	struct request request;
	struct replay *replay;
};

/* A STATUS of the replay. */
struct replay_status {
	struct status_request status;
	struct replay *replay;
	void (*got)(struct replay *replay, struct side *side, const struct response_status *status);
};

struct replay_request *replay_request(
	struct replay *replay, struct side *side, bool (*completed)(struct request *));
struct replay *replay_of(struct command *command);
/* Phase by phase: WAIT if anything was submitted, else straight on. */
enum step replay_next(struct replay *replay, int phase);
/* The last step: the deed goes from the database, unless it stays. */
enum step replay_over(struct replay *replay, enum replay_end end);
/* The other side refuses the deed: says so once, with what to do, and keeps it. */
enum step replay_refuse(struct replay *replay, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));
/* True when the database failed: the replay is to end as broken, before anything else is asked of
 * the database. */
bool replay_database_failed(struct replay *replay, int r);
/* Notes that commands of the deed may reach the other side from now on; within a transaction. */
int replay_begin(struct replay *replay);
/* One transaction: 0 or more, or -errno of what failed, and then nothing is written. */
int replay_transact(struct replay *replay, int (*write)(void *replay));
/* MESSAGES, UIDVALIDITY, UIDNEXT and HIGHESTMODSEQ of a mailbox; `got` gets an answer that has at
 * least UIDVALIDITY and UIDNEXT.  `completed` may be request_ignore_refusal(). */
void replay_ask_status(struct replay *replay, struct side *side, const struct mailbox_name *name,
	void (*got)(struct replay *replay, struct side *side, const struct response_status *status),
	bool (*completed)(struct request *));
/* LIST of a name with what is below it.  `got` gets the lines. */
void replay_ask_list(struct replay *replay, struct side *side, const struct mailbox_name *name,
	void (*got)(struct replay *replay, struct side *side, const struct response_list *line));
/* For a person: a name in the database's form. */
char *replay_display(const struct replay *replay, const struct mailbox_name *name);

enum step replay_messages_step(struct replay *replay);
void replay_messages_done(struct replay *replay);
/* brake.c: *ret_held is how many messages a deletion that was only seen would take along, if
 * that is more than goes without asking; else 0.  -errno if the database failed. */
int replay_weigh_deletion(struct replay *replay, const struct mailbox *mailbox, uint64_t *ret_held);
/* It is carried out: its messages count for those that follow.  Within a transaction. */
int replay_count_deletion(struct replay *replay, const struct mailbox *mailbox);

/* Of a deed about mailboxes. */
enum replay_tree_phase { REPLAY_BEGIN, REPLAY_ASKED, REPLAY_SEARCHED, REPLAY_SENT };
/* The ordinary sync does what there is to do. */
enum step replay_leave(struct replay *replay);
/* What is there could not be learnt: later. */
enum step replay_not_listed(struct replay *replay);
/* "VERB from [to]" to the other side; the last command of the deed. */
enum step replay_send(struct replay *replay, const char *verb);
/* The last write of a deed takes it out of the database; within a transaction. */
int replay_drop(struct replay *replay);
/* The mailbox that the deed is about, under its old name; or NULL. */
struct mailbox *replay_known(const struct replay *replay);
/* The name on the other side, the caller's; NULL if there is none, or it cannot be expressed. */
char *replay_wire_name(const struct replay *replay, const struct mailbox_name *name);
/* For replay_ask_list(): what it means to the deed. */
void replay_note_listed(struct replay *replay, struct side *side, const struct response_list *list);
enum step replay_tree_step(struct replay *replay);
enum step replay_delete_step(struct replay *replay);
void replay_tree_done(struct replay *replay);

#endif
