/* SPDX-License-Identifier: MIT */
#include "sync/core/transfer.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "sync/base/xalloc.h"
#include "sync/core/copyuid.h"
#include "sync/core/core.h"
#include "sync/imap/command.h"
#include "sync/imap/seqset.h"

bool transfer_moves(const struct transfer *transfer)
{
	return transfer->is_move && side_has(transfer->side, "MOVE");
}

static struct uid_pair pair_of(const struct transfer *transfer, uint32_t origin, uint32_t other)
{
	if (transfer->side->remote)
		return (struct uid_pair){.local = origin, .remote = other};
	return (struct uid_pair){.local = other, .remote = origin};
}

static struct intent intent_of(const struct transfer *transfer, const struct transferred *message)
{
	return (struct intent){
		.id = message->intent,
		.mailbox = transfer->target,
		.to_remote = transfer->side->remote,
		.source_uid = message->origin_target,
		.target_uidvalidity = transfer->uidvalidity,
		.target_uidnext = transfer->uidnext,
		.identity = message->identity,
	};
}

void transfer_add(struct transfer *transfer, const struct transferred *message)
{
	assert(transfer->count < TRANSFER_MAX);
	if (transfer->list == NULL)
		transfer->list = xcalloc(TRANSFER_MAX, sizeof(*transfer->list));
	transfer->list[transfer->count++] = *message;
}

static int by_uid(const void *one, const void *other)
{
	const struct transferred *a = one, *b = other;

	return (a->uid > b->uid) - (a->uid < b->uid);
}

void transfer_sort(struct transfer *transfer)
{
	if (transfer->count > 1)
		qsort(transfer->list, transfer->count, sizeof(*transfer->list), by_uid);
}

struct transferred *transfer_find(const struct transfer *transfer, uint32_t uid)
{
	const struct transferred key = {.uid = uid};

	return transfer->count > 0
		       ? bsearch(&key, transfer->list, transfer->count, sizeof(key), by_uid)
		       : NULL;
}

void transfer_clear(struct transfer *transfer)
{
	free(take(transfer->list));
	transfer->count = 0;
}

/* --- Before it is sent --- */

/*
 * One that is in doubt since an earlier life.  A MOVE may be sent again, since what it moved is not
 * there any more; a COPY must not.  1: it was found; 0: it must be left to a run.
 */
static int find_intent(const struct transfer *transfer, struct transferred *message)
{
	_cleanup_free_ struct intent *intents = NULL;
	size_t count = 0;
	int r;

	if (!transfer->resumes || !transfer_moves(transfer))
		return 0;
	r = intents_load(transfer->core->db, transfer->target, &intents, &count);
	for (size_t i = 0; i < count && r >= 0; i++)
		if (intents[i].to_remote == transfer->side->remote &&
			intents[i].source_uid == message->origin_target)
			message->intent = intents[i].id;
	return r < 0 ? r : message->intent != 0;
}

static int intend(const struct transfer *transfer, struct transferred *message)
{
	struct intent intent = intent_of(transfer, message);
	int r = intents_insert(transfer->core->db, &intent);

	if (r == 0)
		message->intent = intent.id;
	if (r != -EEXIST)
		return r;
	r = find_intent(transfer, message);
	if (r == 0)
		message->state = TRANSFER_LEFT;
	return r;
}

int transfer_intend(struct transfer *transfer)
{
	int r = 0;

	for (size_t i = 0; i < transfer->count && r >= 0; i++)
		if (transfer->list[i].state == TRANSFER_WANTED)
			r = intend(transfer, &transfer->list[i]);
	return r < 0 ? r : 0;
}

bool transfer_any(const struct transfer *transfer)
{
	for (size_t i = 0; i < transfer->count; i++)
		if (transfer->list[i].state == TRANSFER_WANTED)
			return true;
	return false;
}

void transfer_put(const struct transfer *transfer, struct command *command, const char *target_wire)
{
	struct seqset set;
	size_t index = 0;

	seqset_init(&set);
	for (size_t i = 0; i < transfer->count; i++)
		if (transfer->list[i].state == TRANSFER_WANTED)
			(void)seqset_add(&set, transfer->list[i].uid);
	command_printf(command, "UID %s ", transfer_moves(transfer) ? "MOVE" : "COPY");
	command_set(command, &set, &index);
	command_puts(command, " ");
	command_mailbox(command, target_wire);
	seqset_done(&set);
}

/* --- What the server says --- */

/* The new UIDs (RFC 4315 section 3), if what the server says can be true. */
static void take_copyuid(
	struct transfer *transfer, uint32_t uidvalidity, struct slice from, struct slice to)
{
	struct copyuid copyuid;

	if (uidvalidity != transfer->uidvalidity ||
		!copyuid_read(&copyuid, from, to, transfer->uidnext, TRANSFER_MAX))
		return;
	for (size_t i = 0; i < copyuid.count; i++) {
		struct transferred *message = transfer_find(transfer, copyuid.source[i]);

		if (message != NULL && message->state == TRANSFER_WANTED)
			message->new_uid = copyuid.target[i];
	}
	copyuid_done(&copyuid);
}

bool transfer_take_untagged(struct transfer *transfer, const struct response *response)
{
	if (response->type != RESPONSE_CONDITION || response->code != CODE_COPYUID ||
		!transfer_moves(transfer))
		return false;
	take_copyuid(transfer, response->uidvalidity, response->source_uids, response->uids);
	return true;
}

static struct slice slice_of(const char *text)
{
	return (struct slice){.data = text, .len = text != NULL ? strlen(text) : 0};
}

void transfer_take_answer(struct transfer *transfer, const struct command *command)
{
	if (command->outcome == OUTCOME_OK && command->code == CODE_COPYUID)
		take_copyuid(transfer, command->uidvalidity, slice_of(command->source_uids),
			slice_of(command->uids));
}

/* --- What is written then --- */

/* EMAILID stays the same for all copies (RFC 8474 section 5.1), so that of the source will do; it is
 * looked up before its pair goes. */
static int find_email(const struct transfer *transfer, struct transferred *message)
{
	uint32_t uid = transfer->side->remote ? message->uid : message->origin_source;

	if (message->email_id.id[0] != '\0' || !side_has(&transfer->core->remote, "OBJECTID"))
		return 0;
	return email_ids_find(transfer->core->db, transfer->source, uid, &message->email_id);
}

/* The pair of the source becomes one of the target. */
static int settle(const struct transfer *transfer, struct transferred *message)
{
	const struct intent intent = intent_of(transfer, message);
	const struct uid_pair pair = pair_of(transfer, message->origin_target, message->new_uid);
	struct db *db = transfer->core->db;
	int r = find_email(transfer, message);

	if (r >= 0 && transfer_moves(transfer))
		r = mapping_delete(db, transfer->source,
			pair_of(transfer, message->origin_source, message->uid));
	if (r >= 0)
		r = intents_settle(db, &intent, pair);
	if (r == -EEXIST) { /* a server that gives a UID twice: a run finds out */
		message->state = TRANSFER_NOT_DONE;
		return intents_drop(db, &intent);
	}
	if (r >= 0)
		r = email_ids_insert(db, transfer->target, pair.remote, &message->email_id);
	message->state = TRANSFER_DONE;
	return r;
}

int transfer_settle(struct transfer *transfer, bool refused)
{
	bool in_doubt = !refused || transfer_moves(transfer);
	int r = 0;

	for (size_t i = 0; i < transfer->count && r >= 0; i++) {
		struct transferred *message = &transfer->list[i];
		const struct intent intent = intent_of(transfer, message);

		if (message->state != TRANSFER_WANTED)
			continue;
		if (message->new_uid != 0) {
			r = settle(transfer, message);
		} else if (in_doubt) {
			message->state = TRANSFER_IN_DOUBT;
		} else {
			message->state = TRANSFER_NOT_DONE;
			r = intents_drop(transfer->core->db, &intent);
		}
	}
	return r < 0 ? r : 0;
}

uint64_t transfer_count_done(const struct transfer *transfer)
{
	uint64_t count = 0;

	for (size_t i = 0; i < transfer->count; i++)
		count += transfer->list[i].state == TRANSFER_DONE;
	return count;
}
