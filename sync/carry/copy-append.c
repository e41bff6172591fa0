/* SPDX-License-Identifier: MIT */
/* The target's half of a copy: intents, APPEND, and what becomes of it. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <utlist.h>

#include "sync/base/spool.h"
#include "sync/base/xalloc.h"
#include "sync/core/core.h"
#include "sync/core/quarantine.h"
#include "sync/imap/flags.h"
#include "sync/carry/copy-private.h"
#include "sync/run/helpers.h"

struct append_request {
	struct run_request run; /* .side is the target */
	struct copier *copier;
	struct copy_message *messages; /* utlist, in order */
	size_t count;
};

/* Messages that are about to be appended. */
struct intending {
	struct copier *copier;
	struct copy_message *messages;
};

static int insert_intents(void *context)
{
	const struct intending *intending = context;
	struct run_side *target = intending->copier->source->other;
	struct copy_message *message;
	int r = 0;

	DL_FOREACH (intending->messages, message) {
		if (message->intent.id != 0)
			continue;
		message->intent = (struct intent){
			.mailbox = target->run->mailbox->idx,
			.to_remote = target->side->remote,
			.source_uid = message->item->uid,
			.target_uidvalidity = target->told.snapshot.uidvalidity,
			.target_uidnext = target->told.snapshot.uidnext,
			.identity = message->item->identity,
		};
		message->intent.identity.size = spool_size(message->spool);
		r = intents_insert(target->run->core->db, &message->intent);
		if (r < 0)
			return r;
	}
	return 0;
}

/* Durable before the first byte of an APPEND leaves. */
static bool commit_intents(struct copier *copier, struct copy_message *messages)
{
	return run_transact(copier->source->run, insert_intents,
		&(struct intending){.copier = copier, .messages = messages});
}

/* The target's APPEND is over: the message goes, unless its body is still on its way here. */
static void release_message(struct copy_message *message)
{
	message->append_over = true;
	if (message->body_over)
		copy_message_free(message);
}

static void free_messages(struct copy_message *messages)
{
	struct copy_message *message, *next;

	DL_FOREACH_SAFE (messages, message, next)
		copy_message_free(message);
}

static void release_append(struct request *request)
{
	struct append_request *append = container_of(request, struct append_request, run.request);
	struct copy_message *message, *next;

	DL_FOREACH_SAFE (append->messages, message, next)
		release_message(message);
}

/* Which of them the target was at cannot be told. */
static void name_messages(const struct request *request, struct suspect *suspect)
{
	const struct append_request *append =
		container_of(request, const struct append_request, run.request);
	const struct copy_message *message;

	suspect->kind = SUSPECT_APPEND;
	suspect->remote = append->copier->source->side->remote;
	DL_FOREACH (append->messages, message)
		(void)seqset_add(&suspect->uids, message->item->uid);
}

/* As the original says it: local UIDs first, and an arrow to where the copies are. */
static void log_added(struct append_request *append, const char *uids)
{
	enum { SHOWN = 4096 };
	struct run_side *target = append->run.side;
	const struct copy_message *message;
	bool remote = target->side->remote;
	struct seqset sources;
	struct buf text;
	size_t index = 0;

	seqset_init(&sources);
	buf_init(&text, SHOWN);
	DL_FOREACH (append->messages, message)
		(void)seqset_add(&sources, message->item->uid);
	seqset_format(&sources, &index, SHOWN, &text);
	log_info(SIDE_CONTEXT(target->side, target->run->mailbox->display),
		"Added %zu UID(s) %.*s %s %.*s", append->count,
		remote ? (int)buf_len(&text) : (int)strlen(uids), remote ? buf_data(&text) : uids,
		remote ? "->" : "<-", remote ? (int)strlen(uids) : (int)buf_len(&text),
		remote ? uids : buf_data(&text));
	buf_done(&text);
	seqset_done(&sources);
}

/* What was refused with keywords may have been refused for anything else, and for the moment: the
 * next pass stores them, as if they had been set at the source meanwhile. */
static void keywords_follow(struct run_side *source, const struct item *item)
{
	if (!changes_add(&source->flags.carried, item->uid, item->flags))
		source->told.overflow = true;
}

/* Messages that were accepted, and their UIDs there. */
struct settling {
	struct append_request *append;
	const uint32_t *uids;
};

static int settle(void *context)
{
	const struct settling *settling = context;
	struct append_request *append = settling->append;
	const uint32_t *uids = settling->uids;
	struct run_side *target = append->run.side;
	struct copy_message *message;
	size_t i = 0;
	int r = 0;

	DL_FOREACH (append->messages, message) {
		struct uid_pair pair = {.local = message->item->uid, .remote = uids[i]};

		if (!target->side->remote)
			pair = (struct uid_pair){.local = uids[i], .remote = message->item->uid};
		r = intents_settle(target->run->core->db, &message->intent, pair);
		if (r == 0)
			r = run_quarantine_release(append->copier->source, message->item->uid);
		if (r == 0 && !target->side->remote)
			r = email_ids_insert(target->run->core->db, target->run->mailbox->idx,
				message->item->uid, &message->item->email_id);
		if (r < 0)
			return r;
		(void)changes_add(&target->flags.expected, uids[i], message->flags);
		if (message->plain)
			keywords_follow(append->copier->source, message->item);
		i++;
	}
	return 0;
}

/* The intents become the mapping. */
static void appended(struct append_request *append, const uint32_t *uids)
{
	struct run *run = append->run.side->run;

	if (!run_transact(run, settle, &(struct settling){.append = append, .uids = uids}))
		return;
	append->copier->copied += append->count;
	run->core->copied += append->count;
	mailbox_side(run->mailbox, append->run.side->side->remote)->refusals = 0;
}

static int note_doubt(void *context)
{
	struct append_request *append = context;
	struct copy_message *message;
	int r = 0;

	DL_FOREACH (append->messages, message)
		if (r == 0)
			r = run_quarantine_doubt(append->copier->source, message->item);
	return r;
}

/* Accepted, but which UIDs they have is unknown: the next pass finds them by their identity. */
static void in_doubt(struct append_request *append)
{
	struct run *run = append->run.side->run;
	struct copy_message *message;

	DL_FOREACH (append->messages, message)
		copier_leave(append->copier, message->item->uid);
	append->copier->copied += append->count;
	run->pass.doubt = true;
	(void)run_transact(run, note_doubt, append);
}

static void accepted(struct append_request *append)
{
	struct command *command = &append->run.request.command;
	_cleanup_free_ uint32_t *uids = NULL;
	size_t count = 0;

	append->run.side->arrivals.appended += append->count;
	append->run.side->run->copies_made += append->count;
	if (command->code == CODE_APPENDUID && command->uids != NULL &&
		command->uidvalidity == append->run.side->told.snapshot.uidvalidity &&
		seqset_expand((struct slice){.data = command->uids, .len = strlen(command->uids)},
			append->count, &uids, &count) &&
		count == append->count) {
		appended(append, uids);
		log_added(append, command->uids);
	} else {
		in_doubt(append);
	}
}

static void submit_alone(struct copier *copier, struct copy_message *message);

/*
 * Some servers refuse a message for a keyword that they say they would store.  The message matters
 * more: once more without keywords, if its body is still here.
 */
static bool retry_plain(struct append_request *append)
{
	struct core *core = append->run.side->run->core;
	struct copy_message *message = append->messages;
	enum response_code code = append->run.request.command.code;

	if (message->plain || !message->body_over || code == CODE_OVERQUOTA ||
		code == CODE_TOOBIG || flags_system(core->flags, message->flags) == message->flags)
		return false;
	message->plain = true;
	DL_DELETE(append->messages, message);
	submit_alone(append->copier, message);
	return true;
}

/* An APPEND has little else to fail for by a bug of the server than its disk: a FETCH has the
 * message itself. */
static bool is_general(const struct command *command)
{
	return command->code == CODE_SERVERBUG || refusal_is_general(command);
}

/* The message is left alone from now on; false if it cannot be. */
static bool leave_out(struct append_request *append, const char *reason)
{
	struct copy_message *message = append->messages;
	struct run_side *source = append->copier->source;
	struct run *run = source->run;
	struct db *db = run->core->db;
	bool left;

	if (run_database_failed(run, db_begin(db)))
		return false;
	left = run_quarantine(source, QUARANTINE_APPEND, message->item->uid, message->item, reason);
	if (run->end.failure != NULL ||
		run_database_failed(run, intents_drop(db, &message->intent))) {
		db_rollback(db);
		return false;
	}
	return !run_database_failed(run, db_commit(db)) && left;
}

/* It stays where it is, and UIDNEXT behind it: it is tried again with the next run, but not with
 * each that a service begins. */
static void keep(struct append_request *append, const char *reason)
{
	struct run_side *target = append->run.side;
	struct run *run = target->run;
	struct copy_message *message = append->messages;

	(void)seqset_add(&append->copier->source->left_out.refused, message->item->uid);
	log_error(SIDE_CONTEXT(target->side, run->mailbox->display),
		"the server refused the message with UID %" PRIu32 " of the %s side, %" PRIu64
		" bytes (%s)",
		message->item->uid, append->copier->source->side->name, spool_size(message->spool),
		reason);
	run_note_problem(run, "the %s server refused messages (%s)", target->side->name, reason);
	run_note_refusal(target);
}

/* One message that the target refuses stays where it is; a group is tried one by one, since one bad
 * message refuses all. */
static void refused(struct append_request *append)
{
	struct command *command = &append->run.request.command;
	struct run_side *target = append->run.side;
	struct run *run = target->run;
	struct copy_message *message = append->messages;
	_cleanup_free_ char *reason = command_reason(command);

	if (append->count > 1) {
		struct copy_message *next;

		DL_FOREACH_SAFE (append->messages, message, next) {
			DL_DELETE(append->messages, message);
			submit_alone(append->copier, message);
		}
		return;
	}
	if (retry_plain(append))
		return;
	if (is_general(command)) {
		(void)run_database_failed(run, intents_drop(run->core->db, &message->intent));
		keep(append, reason);
		append->copier->stopped = true;
	} else if (!leave_out(append, reason) && run->end.failure == NULL) {
		keep(append, reason);
	}
}

static bool on_appended(struct request *request)
{
	struct append_request *append = container_of(request, struct append_request, run.request);

	append->copier->appends--;
	if (append->run.side->run->end.begun)
		return true;
	if (request->command.outcome == OUTCOME_OK)
		accepted(append);
	else if (request->command.outcome == OUTCOME_NO || request->command.outcome == OUTCOME_BAD)
		refused(append);
	return true;
}

static void put_message(struct append_request *append, struct copy_message *message)
{
	struct command *command = &append->run.request.command;
	struct run_side *target = append->run.side;
	struct core *core = target->run->core;
	const struct flags *flags = message->item->flags;

	message->flags = flags;
	if (target->told.permanent != NULL)
		message->flags = flags_storable(core->flags, flags, target->told.permanent);
	if (message->plain)
		message->flags = flags_system(core->flags, message->flags);
	if (message->flags != flags && !message->plain)
		side_warn_dropped(target->side, target->run->mailbox,
			flags_minus(core->flags, flags, message->flags));
	command_printf(
		command, " (%s) \"%s\" ", flags_text(message->flags), message->item->internaldate);
	command_spool(command, message->spool);
	message->appending = true;
}

/* One APPEND of the messages, in order (utlist, taken). */
static void submit(struct copier *copier, struct copy_message *messages)
{
	struct run_side *target = copier->source->other;
	struct append_request *append =
		request_new(&target->run->barrier, target->side, sizeof(*append), on_appended);
	struct copy_message *message, *next;

	append->run.side = target;
	append->copier = copier;
	append->run.request.release = release_append;
	append->run.request.name = name_messages;
	command_puts(&append->run.request.command, "APPEND ");
	command_mailbox(&append->run.request.command, target->wire_name);
	DL_FOREACH_SAFE (messages, message, next) {
		DL_DELETE(messages, message);
		DL_APPEND(append->messages, message);
		put_message(append, message);
		append->count++;
	}
	copier->appends++;
	request_submit(&append->run.request);
}

static void submit_alone(struct copier *copier, struct copy_message *message)
{
	struct copy_message *alone = NULL;

	DL_APPEND(alone, message);
	submit(copier, alone);
}

void copier_append_now(struct copier *copier, struct copy_message *message)
{
	struct copy_message *alone = NULL;

	DL_APPEND(alone, message);
	if (commit_intents(copier, alone))
		submit(copier, alone);
}

/*
 * Takes the messages of one APPEND off the head of those that arrived; NULL if none is due.  The
 * copies have the order of the originals: servers may answer FETCHes that are under way together in
 * pieces and in another order (Dovecot does when it has to wait for us to read), so what overtook
 * others waits for them.  It waits within the credit.
 */
static struct copy_message *take_group(struct copier *copier)
{
	const struct items *items = &copier->source->arrivals.items;
	struct copy_message *messages = NULL, *message;
	uint64_t bytes = 0;
	unsigned count = 0;

	while (copier->done < copier->next && items->list[copier->done].arrived)
		copier->done++;
	while ((message = copier->arrived) != NULL && message->item < &items->list[copier->done] &&
		count < COPY_GROUP_MESSAGES &&
		(count == 0 || bytes + spool_size(message->spool) <= COPY_GROUP_BYTES)) {
		DL_DELETE(copier->arrived, message);
		DL_APPEND(messages, message);
		bytes += spool_size(message->spool);
		count++;
	}
	copier->arrived_count -= count;
	copier->arrived_bytes -= bytes;
	return messages;
}

static void append_group(struct copier *copier, struct copy_message *messages)
{
	struct copy_message *message, *next;

	if (!commit_intents(copier, messages)) {
		free_messages(messages);
		return;
	}
	if (side_has(copier->source->other->side, "MULTIAPPEND")) {
		submit(copier, messages);
		return;
	}
	DL_FOREACH_SAFE (messages, message, next) {
		DL_DELETE(messages, message);
		submit_alone(copier, message);
	}
}

void copier_append_arrived(struct copier *copier)
{
	struct copy_message *messages;

	while ((messages = take_group(copier)) != NULL)
		append_group(copier, messages);
}

/* By their place among the items, from the end: most come in order. */
static void insert_arrived(struct copier *copier, struct copy_message *message)
{
	struct copy_message *before = copier->arrived != NULL ? copier->arrived->prev : NULL;

	while (before != NULL && before->item > message->item)
		before = before == copier->arrived ? NULL : before->prev;
	if (before == NULL)
		DL_PREPEND(copier->arrived, message);
	else
		DL_APPEND_ELEM(copier->arrived, before, message);
	copier->arrived_count++;
	copier->arrived_bytes += spool_size(message->spool);
}

void copier_arrived(struct copier *copier, struct copy_message *message)
{
	message->body_over = true;
	if (message->append_over) {
		copy_message_free(message);
		return;
	}
	if (message->appending)
		return;
	insert_arrived(copier, message);
	if (copier->arrived_count >= COPY_GROUP_MESSAGES ||
		copier->arrived_bytes >= COPY_GROUP_BYTES)
		copier_append_arrived(copier);
}
