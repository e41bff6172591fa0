/* SPDX-License-Identifier: MIT */
/*
 * --verify: both sides are compared, one mailbox after the other, and nothing is written: mailboxes
 * are opened with EXAMINE, and what they hold goes to a temporary table (state/verified.h).  What a
 * mail client or a server does meanwhile may count as a difference.
 */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "sync/base/xalloc.h"
#include "sync/core/items.h"
#include "sync/imap/flags.h"
#include "sync/imap/mailbox.h"
#include "sync/state/verified.h"
#include "sync/tree/tree-private.h"

enum {
	NAMED = 10, /* differences of a kind that are named, unless at debug level */
	PAGE = 200, /* of them at a time in memory */
};

enum stage { EXAMINE, LIST, COMPARE };

/* A name that either list has. */
struct target {
	char *name, *display;
	size_t len;
	bool local, remote; /* it is there */
};

struct verified_side {
	struct verification *verification;
	struct side *side;
	struct view view;
	bool used; /* it was opened, for this mailbox */
	bool here; /* … with success */
};

struct verification {
	struct tree *tree;
	struct verified_side local, remote;
	struct target *targets;
	size_t count, at;
	enum stage stage;
	bool unread; /* one of the commands for this mailbox was refused */
	int error; /* -errno of the database */
	size_t differing;
	uint64_t messages;
};

struct verify_request {
	struct request request;
	struct verified_side *side;
};

static struct target *current(const struct verification *verification)
{
	return &verification->targets[verification->at];
}

/* --- Which mailboxes --- */

static void add_listed(struct verification *verification, struct side *side)
{
	struct listed *listed, *next;

	HASH_ITER (hh, side_listing(side)->entries, listed, next) {
		struct side *other = side->remote ? &side->core->tree->core->local
						  : &side->core->tree->core->remote;
		const struct listed *there =
			listing_find(side_listing(other), listed->name, listed->len);
		bool both = there != NULL && listed_is_selectable(there);

		/* Those on both sides come from the local list. */
		if (!listed_is_selectable(listed) || (side->remote && both))
			continue;
		verification->targets[verification->count++] = (struct target){
			.name = xmemdup0(listed->name, listed->len),
			.display = mailbox_for_person(
				listed->name, listed->len, side->core->tree->core->local.delimiter),
			.len = listed->len,
			.local = !side->remote || both,
			.remote = side->remote || both,
		};
	}
}

static int by_display(const void *one, const void *other)
{
	const struct target *a = one, *b = other;

	return strcmp(a->display, b->display);
}

static void find_targets(struct verification *verification)
{
	struct tree *tree = verification->tree;

	verification->targets =
		xcalloc(HASH_COUNT(tree->local.entries) + HASH_COUNT(tree->remote.entries) + 1,
			sizeof(*verification->targets));
	add_listed(verification, &tree->core->local);
	add_listed(verification, &tree->core->remote);
	qsort(verification->targets, verification->count, sizeof(*verification->targets),
		by_display);
}

/* --- What they hold --- */

/* A refusal concerns this mailbox alone. */
static bool answered(struct request *request)
{
	struct verified_side *side = container_of(request, struct verify_request, request)->side;
	_cleanup_free_ char *reason = NULL, *text = NULL;

	if (request->command.outcome == OUTCOME_OK && request->command.kind == COMMAND_SELECT)
		side->here = true;
	if (request->command.outcome != OUTCOME_NO && request->command.outcome != OUTCOME_BAD)
		return request->command.outcome == OUTCOME_OK;
	reason = command_reason(&request->command);
	text = command_describe(&request->command);
	log_error(SIDE_CONTEXT(side->side, current(side->verification)->display),
		"the server refused %s (%s): it cannot be compared", text, reason);
	side->verification->unread = true;
	return true;
}

static struct command *new_command(struct verified_side *side)
{
	struct verify_request *request = request_new(
		side->verification->tree->barrier, side->side, sizeof(*request), answered);

	request->side = side;
	return &request->request.command;
}

static void submit(struct command *command)
{
	request_submit(container_of(command, struct request, command));
}

static void examine(struct verified_side *side)
{
	const struct target *target = current(side->verification);
	_cleanup_free_ char *wire = side_wire_name(side->side, target->name, target->len);
	struct command *command;

	if (wire == NULL)
		return;
	side_unselect(side->side, side->verification->tree->barrier);
	command = new_command(side);
	command_select(command, "EXAMINE", wire, &side->view);
	submit(command);
	side->used = true;
}

static bool on_message(struct command *command, struct response *response)
{
	struct verified_side *side =
		container_of(command, struct verify_request, request.command)->side;
	struct tree *tree = side->verification->tree;
	struct identity identity;
	const struct flags *flags;
	int r;

	if (!identity_from_fetch(response, &identity) || (response->fetch.items & FETCH_FLAGS) == 0)
		return false;
	flags = flags_intern(tree->core->flags, response->atoms, response->atoms_count);
	r = verified_add(tree->core->db, side->side->remote, response->fetch.uid, &identity,
		flags != NULL ? flags_text(flags) : "(too many to be compared)");
	if (r < 0)
		side->verification->error = r;
	return true;
}

static void list(struct verified_side *side)
{
	struct command *command;

	/* "1:*" names a message that does not exist in an empty mailbox: some servers refuse it. */
	if (!side->here || side->view.exists == 0)
		return;
	command = new_command(side);
	command->untagged = on_message;
	command_printf(command, "UID FETCH 1:* (%s)", FETCH_METADATA);
	submit(command);
}

/* --- What is said of it --- */

static void say_header(const struct verification *verification)
{
	log_notice(CORE_CONTEXT(verification->tree->core), "%9s %9s %10s %11s %12s %9s  mailbox",
		"local", "remote", "only local", "only remote", "flags differ", "not twins");
}

static void name_one(const struct verification *verification, enum verified_difference difference,
	const struct verified_message *message)
{
	const struct tree *tree = verification->tree;
	const char *name = current(verification)->display;

	if (difference == VERIFIED_ONLY_LOCAL)
		log_warning(SIDE_CONTEXT(&tree->core->local, name),
			"UID %" PRIu32 " (%" PRIu64 " bytes) is only on the local server",
			message->local, message->size);
	else if (difference == VERIFIED_ONLY_REMOTE)
		log_warning(SIDE_CONTEXT(&tree->core->remote, name),
			"UID %" PRIu32 " (%" PRIu64 " bytes) is only on the remote server",
			message->remote, message->size);
	else if (difference == VERIFIED_FLAGS)
		log_warning((&(struct log_context){.side = tree->core->name, .mailbox = name}),
			"the flags differ: local UID %" PRIu32 " (%s), remote UID %" PRIu32 " (%s)",
			message->local, message->local_flags, message->remote,
			message->remote_flags);
	else
		log_warning((&(struct log_context){.side = tree->core->name, .mailbox = name}),
			"local UID %" PRIu32 " and remote UID %" PRIu32
			" are a pair in the database, but not the same message",
			message->local, message->remote);
}

/* At debug level all, else a few. */
static int name_all(const struct verification *verification, enum verified_difference difference)
{
	uint64_t left = log_is_debug() ? UINT64_MAX : NAMED;
	uint32_t after = 0;

	while (left > 0) {
		struct verified_message *messages = NULL;
		size_t count = 0;
		int r = verified_list(verification->tree->core->db, difference, after,
			left < PAGE ? (uint32_t)left : PAGE, &messages, &count);

		if (r < 0)
			return r;
		for (size_t i = 0; i < count; i++) {
			name_one(verification, difference, &messages[i]);
			after = difference == VERIFIED_ONLY_REMOTE ? messages[i].remote
								   : messages[i].local;
		}
		verified_messages_free(messages, count);
		if (count == 0)
			break;
		left -= count < left ? count : left;
	}
	return 0;
}

static bool say_counts(struct verification *verification, const struct verified_counts *counts)
{
	const struct target *target = current(verification);
	struct tree *tree = verification->tree;
	bool one_sided = !target->local || !target->remote;

	log_notice(CORE_CONTEXT(tree->core),
		"%9" PRIu64 " %9" PRIu64 " %10" PRIu64 " %11" PRIu64 " %12" PRIu64 " %9" PRIu64
		"  %s",
		counts->local, counts->remote, counts->only_local, counts->only_remote,
		counts->flags, counts->strangers, target->display);
	if (one_sided)
		log_warning((&(struct log_context){
				    .side = tree->core->name, .mailbox = target->display}),
			"the mailbox is only on the %s server", target->local ? "local" : "remote");
	if (counts->unpaired > 0)
		log_notice((&(struct log_context){
				   .side = tree->core->name, .mailbox = target->display}),
			"%" PRIu64 " messages are on both sides, and the database does not have "
			"them as pairs",
			counts->unpaired);
	return one_sided || counts->only_local > 0 || counts->only_remote > 0 ||
	       counts->flags > 0 || counts->strangers > 0;
}

static int compare(struct verification *verification)
{
	static const enum verified_difference differences[] = {
		VERIFIED_ONLY_LOCAL, VERIFIED_ONLY_REMOTE, VERIFIED_FLAGS, VERIFIED_STRANGERS};
	const struct target *target = current(verification);
	const struct mailbox *mailbox =
		core_find_mailbox(verification->tree->core, target->name, target->len);
	struct verified_counts counts = {0};
	int r = verified_compare(
		verification->tree->core->db, mailbox != NULL ? mailbox->idx : 0, &counts);

	if (r < 0)
		return r;
	verification->messages += counts.local + counts.remote;
	verification->differing += say_counts(verification, &counts);
	for (size_t i = 0; i < ARRAY_LEN(differences) && r >= 0; i++)
		r = name_all(verification, differences[i]);
	return r;
}

static void say_result(const struct verification *verification)
{
	struct tree *tree = verification->tree;

	if (verification->count == 0) {
		log_error(CORE_CONTEXT(tree->core), "there is no such mailbox on either side");
		tree->core->incomplete = true;
	} else if (verification->differing > 0) {
		log_error(CORE_CONTEXT(tree->core), "%zu of %zu mailboxes are not the same",
			verification->differing, verification->count);
		tree->core->incomplete = true;
	} else if (!tree->core->incomplete) {
		log_notice(CORE_CONTEXT(tree->core),
			"the same on both sides: %zu mailboxes, %" PRIu64 " messages",
			verification->count, verification->messages / 2);
	}
}

/* --- Step by step --- */

static void forget(struct verified_side *side)
{
	if (side->used)
		side_forget_view(side->side, &side->view);
	side->used = side->here = false;
}

/* What is said about a mailbox that was named is for whoever asked (engine/jobs.c). */
static int begin_mailbox(struct verification *verification)
{
	const struct target *target = current(verification);
	struct mailbox *mailbox =
		core_find_mailbox(verification->tree->core, target->name, target->len);

	if (mailbox != NULL)
		mailbox->wishes.ordered = true;
	verification->unread = false;
	if (target->local)
		examine(&verification->local);
	if (target->remote)
		examine(&verification->remote);
	return verified_begin(verification->tree->core->db);
}

static int end_mailbox(struct verification *verification)
{
	int r = verification->error;

	if (r >= 0 && !verification->unread)
		r = compare(verification);
	if (verification->unread)
		verification->tree->core->incomplete = true;
	forget(&verification->local);
	forget(&verification->remote);
	verification->at++;
	return r;
}

static int step(struct verification *verification)
{
	switch (verification->stage) {
	case EXAMINE:
		verification->stage = LIST;
		return begin_mailbox(verification);
	case LIST:
		list(&verification->local);
		list(&verification->remote);
		verification->stage = COMPARE;
		return 0;
	case COMPARE:
		verification->stage = EXAMINE;
		return end_mailbox(verification);
	}
	return 0;
}

void verify_begin(struct tree *tree)
{
	struct verification *verification = xcalloc(1, sizeof(*verification));

	verify_done(tree);
	tree->verification = verification;
	verification->tree = tree;
	verification->local =
		(struct verified_side){.verification = verification, .side = &tree->core->local};
	verification->remote =
		(struct verified_side){.verification = verification, .side = &tree->core->remote};
	find_targets(verification);
	say_header(verification);
}

bool verify_on(struct tree *tree)
{
	struct verification *verification = tree->verification;

	while (verification->at < verification->count && tree->barrier->waiting == 0) {
		if (step(verification) < 0) {
			log_error(DATABASE_CONTEXT(tree->core), "%s", db_error(tree->core->db));
			tree->core->incomplete = true;
			verification->at = verification->count;
		}
	}
	if (tree->barrier->waiting > 0)
		return true;
	say_result(verification);
	return false;
}

void verify_done(struct tree *tree)
{
	struct verification *verification = take(tree->verification);

	if (verification == NULL)
		return;
	forget(&verification->local);
	forget(&verification->remote);
	view_done(&verification->local.view);
	view_done(&verification->remote.view);
	for (size_t i = 0; i < verification->count; i++) {
		free(verification->targets[i].name);
		free(verification->targets[i].display);
	}
	free(verification->targets);
	free(verification);
}
