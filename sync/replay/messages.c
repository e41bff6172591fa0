/* SPDX-License-Identifier: MIT */
/*
 * MOVE and COPY: the same messages are moved or copied on the other side, a chunk at a time, and
 * the database pairs what both COPYUIDs say.
 *
 * Before a chunk is sent, an intent (intents.h) is committed for each message: as if it were about
 * to be appended.  So a run of the target finds out what became of a command that was never
 * answered: SETTLE pairs what arrived, and what did not is copied like any new message.  That also
 * means that a MOVE may be sent again (what it moved is not there any more), and that a COPY must
 * not.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "sync/base/limits.h"
#include "sync/base/xalloc.h"
#include "sync/core/core.h"
#include "sync/core/items.h"
#include "sync/deeds/journal.h"
#include "sync/deeds/suspects.h"
#include "sync/imap/seqset.h"
#include "sync/replay/replay-private.h"
#include "sync/state/actions.h"
#include "sync/state/mapping.h"

enum phase { BEGIN, CHECKED, CHUNK, IDENTIFIED, SEND, SENT };

static bool is_move(const struct replay *replay)
{
	return replay->deed->kind == ACTION_MOVE;
}

/* The ordinary sync does what is left. */
static enum step leave(struct replay *replay, const char *reason)
{
	log_debug(NULL, "not replayed: %s", reason);
	return replay_over(replay, REPLAY_DONE);
}

/* The connection was lost over it, twice. */
static enum step leave_costly(struct replay *replay)
{
	const struct deed *deed = replay->deed;
	_cleanup_free_ char *name = replay_display(replay, &deed->from);
	_cleanup_free_ char *target = replay_display(replay, &deed->to);

	log_warning(SIDE_CONTEXT(replay->side, name),
		"the connection was lost over a %s to %s: what was %s is copied there instead",
		is_move(replay) ? "MOVE" : "COPY", target, is_move(replay) ? "moved" : "copied");
	return leave(replay, "it may cost the connection");
}

static bool load_uids(struct replay *replay)
{
	struct messages *messages = &replay->messages;
	_cleanup_free_ char *source = NULL, *target = NULL;
	size_t count = 0;

	if (replay_database_failed(replay,
		    actions_load_uids(replay->core->db, replay->deed->id, &source, &target)))
		return false;
	return source != NULL && target != NULL &&
	       seqset_expand((struct slice){.data = source, .len = strlen(source)},
		       LIMIT_COPIED_UIDS, &messages->source_uids, &messages->count) &&
	       seqset_expand((struct slice){.data = target, .len = strlen(target)},
		       LIMIT_COPIED_UIDS, &messages->target_uids, &count) &&
	       count == messages->count;
}

static bool find_mailboxes(struct replay *replay)
{
	const struct deed *deed = replay->deed;
	struct messages *messages = &replay->messages;

	if (deed->from.data == NULL || deed->to.data == NULL)
		return false;
	messages->source = core_find_mailbox(replay->core, deed->from.data, deed->from.len);
	messages->target = core_find_mailbox(replay->core, deed->to.data, deed->to.len);
	if (messages->source == NULL || messages->target == NULL)
		return false;
	messages->target_wire = side_wire_name(replay->side, deed->to.data, deed->to.len);
	return messages->target_wire != NULL;
}

static void on_target_status(
	struct replay *replay, struct side *side, const struct response_status *status)
{
	replay->messages.uidvalidity = status->uidvalidity;
	replay->messages.uidnext = status->uidnext;
}

static void on_source_status(
	struct replay *replay, struct side *side, const struct response_status *status)
{
	replay->messages.source_uidvalidity = status->uidvalidity;
}

static enum step begin(struct replay *replay)
{
	const struct deed *deed = replay->deed;
	struct messages *messages = &replay->messages;
	uint32_t known;

	if (journal_is_blocked(replay->core->journal, deed))
		return leave(replay, "it is behind one that is refused");
	if (suspects_hold_deed(replay->core, deed))
		return leave_costly(replay);
	if (!find_mailboxes(replay))
		return leave(replay, "a mailbox of it is not synchronised");
	known = mailbox_side(messages->target, replay->origin->remote)->base.uidvalidity;
	if (known != 0 && known != deed->uidvalidity)
		return leave(replay, "the target's UIDVALIDITY is another one");
	if (!load_uids(replay))
		return replay->end == REPLAY_BROKEN ? STEP_DONE
						    : leave(replay, "its UIDs make no pairs");
	replay_ask_status(
		replay, replay->side, &deed->to, on_target_status, request_ignore_refusal);
	replay_ask_status(
		replay, replay->origin, &deed->from, on_source_status, request_ignore_refusal);
	return replay_next(replay, CHECKED);
}

/* The pairs in the database are those of certain UIDVALIDITYs. */
static enum step check(struct replay *replay)
{
	struct messages *messages = &replay->messages;
	uint32_t target = mailbox_side(messages->target, replay->side->remote)->base.uidvalidity;
	uint32_t source = mailbox_side(messages->source, replay->origin->remote)->base.uidvalidity;

	if (messages->uidvalidity == 0 || messages->uidnext == 0)
		return leave(replay, "the other side does not have the target");
	if (target != 0 && target != messages->uidvalidity)
		return leave(replay, "the target's UIDVALIDITY is another one on the other side");
	/* 0: it has gone meanwhile. */
	if (messages->source_uidvalidity != 0 && messages->source_uidvalidity != source)
		return leave(replay, "the source's UIDVALIDITY is another one");
	messages->identified = xcalloc(TRANSFER_MAX, sizeof(*messages->identified));
	messages->chunk = (struct transfer){
		.core = replay->core,
		.side = replay->side,
		.is_move = is_move(replay),
		.resumes = true,
		.source = messages->source->idx,
		.target = messages->target->idx,
		.uidvalidity = messages->uidvalidity,
		.uidnext = messages->uidnext,
	};
	return replay_next(replay, CHUNK);
}

/* The UID on the other side of one where it was done; 0 if it has none, or the database failed. */
static uint32_t find_uid(struct replay *replay, const struct mailbox *mailbox, uint32_t uid)
{
	bool remote = replay->origin->remote;
	_cleanup_free_ struct uid_pair *pairs = NULL;
	size_t count = 0;

	if (replay_database_failed(replay, mapping_in_range(replay->core->db, mailbox->idx, remote,
						   uid, uid, &pairs, &count)) ||
		count == 0)
		return 0;
	return remote ? pairs[0].local : pairs[0].remote;
}

static void add_to_chunk(struct replay *replay, size_t i)
{
	struct messages *messages = &replay->messages;
	uint32_t uid = find_uid(replay, messages->source, messages->source_uids[i]);

	if (uid == 0 || find_uid(replay, messages->target, messages->target_uids[i]) != 0)
		return; /* not on the other side yet; or replayed before */
	transfer_add(&messages->chunk, &(const struct transferred){
					       .origin_source = messages->source_uids[i],
					       .origin_target = messages->target_uids[i],
					       .uid = uid,
				       });
}

/* Either of the two places where it may be looked at: see identify_on(). */
static void identify(struct messages *messages, size_t index, const struct identity *identity)
{
	messages->chunk.list[index].identity = *identity;
	messages->identified[index] = true;
}

static bool on_origin_identity(struct command *command, struct response *response)
{
	struct messages *messages = &replay_of(command)->messages;
	struct identity identity;

	if (!identity_from_fetch(response, &identity))
		return false;
	for (size_t i = 0; i < messages->chunk.count; i++)
		if (messages->chunk.list[i].origin_target == response->fetch.uid)
			identify(messages, i, &identity);
	return true;
}

static bool on_identity(struct command *command, struct response *response)
{
	struct messages *messages = &replay_of(command)->messages;
	struct identity identity;
	const struct transferred *moved;

	if (!identity_from_fetch(response, &identity))
		return false;
	moved = transfer_find(&messages->chunk, response->fetch.uid);
	if (moved != NULL)
		identify(messages, (size_t)(moved - messages->chunk.list), &identity);
	return true;
}

/* Those not yet identified: the targets where it was done, or the sources on the other side. */
static void collect(const struct messages *messages, bool origin, struct seqset *set)
{
	seqset_init(set);
	for (size_t i = 0; i < messages->chunk.count; i++)
		if (!messages->identified[i])
			(void)seqset_add(set, origin ? messages->chunk.list[i].origin_target
						     : messages->chunk.list[i].uid);
}

static void fetch_identities(struct replay *replay, struct side *side, const char *wire)
{
	bool origin = side == replay->origin;
	struct replay_request *request;
	struct seqset set;
	size_t index = 0;

	collect(&replay->messages, origin, &set);
	if (!seqset_is_empty(&set)) {
		side_select(side, &replay->barrier, origin ? &replay->origin_view : &replay->view,
			wire);
		request = replay_request(replay, side, request_ignore_refusal);
		request->request.command.untagged = origin ? on_origin_identity : on_identity;
		command_puts(&request->request.command, "UID FETCH ");
		command_set(&request->request.command, &set, &index);
		command_printf(&request->request.command, " (%s)", FETCH_IDENTITY);
		request_submit(&request->request);
	}
	seqset_done(&set);
}

/* Where it was done the messages are in the target, whatever that is called by now; on the other
 * side they are in the source. */
static void identify_on(struct replay *replay, struct side *side)
{
	const struct deed *deed = replay->deed;
	struct mailbox_name present = {0};
	_cleanup_free_ char *wire = NULL;

	if (side == replay->origin)
		present = journal_present_name(deed, &deed->to);
	if (side != replay->origin)
		wire = side_wire_name(side, deed->from.data, deed->from.len);
	else if (present.data != NULL)
		wire = side_wire_name(side, present.data, present.len);
	free(present.data);
	if (wire != NULL)
		fetch_identities(replay, side, wire);
}

static enum step finish(struct replay *replay)
{
	const struct messages *messages = &replay->messages;

	if (messages->done > 0)
		log_info(SIDE_CONTEXT(replay->side, messages->source->display),
			"%s %" PRIu64 " message(s) to %s", is_move(replay) ? "Moved" : "Copied",
			messages->done, messages->target->display);
	return replay_over(replay, REPLAY_DONE);
}

static enum step take_chunk(struct replay *replay)
{
	struct messages *messages = &replay->messages;

	transfer_clear(&messages->chunk);
	memset(messages->identified, 0, TRANSFER_MAX * sizeof(*messages->identified));
	while (messages->next < messages->count && messages->chunk.count < TRANSFER_MAX &&
		replay->end != REPLAY_BROKEN)
		add_to_chunk(replay, messages->next++);
	if (replay->end == REPLAY_BROKEN)
		return STEP_DONE;
	if (messages->chunk.count == 0)
		return finish(replay);
	transfer_sort(&messages->chunk);
	/* The local store is asked first, where that costs nothing. */
	identify_on(replay, &replay->core->local);
	return replay_next(replay, IDENTIFIED);
}

static enum step identified(struct replay *replay)
{
	barrier_reset(&replay->barrier);
	identify_on(replay, &replay->core->remote);
	return replay_next(replay, SEND);
}

/* What nobody could identify is not there any more. */
static int intend_chunk(void *context)
{
	struct replay *replay = context;
	struct transfer *chunk = &replay->messages.chunk;
	int r;

	for (size_t i = 0; i < chunk->count; i++)
		if (!replay->messages.identified[i])
			chunk->list[i].state = TRANSFER_LEFT;
	r = transfer_intend(chunk);
	return r >= 0 ? replay_begin(replay) : r;
}

static bool on_untagged(struct command *command, struct response *response)
{
	return transfer_take_untagged(&replay_of(command)->messages.chunk, response);
}

static bool on_sent(struct request *request)
{
	struct replay *replay = replay_of(&request->command);

	transfer_take_answer(&replay->messages.chunk, &request->command);
	return false;
}

static enum step send_chunk(struct replay *replay)
{
	const struct deed *deed = replay->deed;
	_cleanup_free_ char *wire = side_wire_name(replay->side, deed->from.data, deed->from.len);
	struct replay_request *request;

	barrier_reset(&replay->barrier);
	if (wire == NULL)
		return leave(replay, "its source has no name on the other side");
	if (replay_database_failed(replay, replay_transact(replay, intend_chunk)))
		return STEP_DONE;
	if (!transfer_any(&replay->messages.chunk))
		return replay_next(replay, CHUNK);
	side_select(replay->side, &replay->barrier, &replay->view, wire);
	request = replay_request(replay, replay->side, on_sent);
	request->request.command.untagged = on_untagged;
	transfer_put(
		&replay->messages.chunk, &request->request.command, replay->messages.target_wire);
	request_submit(&request->request);
	return replay_next(replay, SENT);
}

/* What is in doubt a run finds out. */
static int write_chunk(void *context)
{
	struct replay *replay = context;
	struct messages *messages = &replay->messages;
	struct db *db = replay->core->db;
	int r = mailbox_remember_uidvalidity(
		messages->target, db, replay->origin->remote, replay->deed->uidvalidity);

	if (r == 0)
		r = mailbox_remember_uidvalidity(
			messages->target, db, replay->side->remote, messages->uidvalidity);
	if (r == 0)
		r = transfer_settle(&messages->chunk, replay->barrier.refused);
	return r;
}

static enum step sent(struct replay *replay)
{
	struct messages *messages = &replay->messages;
	uint64_t done;

	if (replay_database_failed(replay, replay_transact(replay, write_chunk)))
		return STEP_DONE;
	done = transfer_count_done(&messages->chunk);
	messages->done += done;
	messages->target->runs.replayed |= done > 0;
	if (!replay->barrier.refused)
		return replay_next(replay, CHUNK);
	log_warning(SIDE_CONTEXT(replay->side, messages->source->display),
		"%s: what was %s to %s is copied there instead", replay->barrier.reason,
		is_move(replay) ? "moved" : "copied", messages->target->display);
	return finish(replay);
}

enum step replay_messages_step(struct replay *replay)
{
	switch ((enum phase)replay->phase) {
	case BEGIN:
		return begin(replay);
	case CHECKED:
		return check(replay);
	case CHUNK:
		return take_chunk(replay);
	case IDENTIFIED:
		return identified(replay);
	case SEND:
		return send_chunk(replay);
	case SENT:
		return sent(replay);
	}
	abort();
}

void replay_messages_done(struct replay *replay)
{
	struct messages *messages = &replay->messages;

	free(messages->target_wire);
	free(messages->source_uids);
	free(messages->target_uids);
	free(messages->identified);
	transfer_clear(&messages->chunk);
}
