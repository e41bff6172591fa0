/* SPDX-License-Identifier: MIT */
/*
 * UID STORE: the flags of messages are set as whole lists, unless a message has changed since OPEN
 * (UNCHANGEDSINCE).
 *
 * A server that refuses it may do so because of one message of several, or of one flag.  Such a
 * flag can only be a keyword that PERMANENTFLAGS does not name, but allows by "\*": so the list is
 * sent once more without those, and if that is taken, each of them by itself.  Else the messages
 * are halved until those are found that take nothing; they are left alone (refused.c).  A
 * refusal that is about more than a message is not looked into.
 */
#include <inttypes.h>
#include <string.h>

#include "sync/base/limits.h"
#include "sync/base/xalloc.h"
#include "sync/core/core.h"
#include "sync/core/quarantine.h"
#include "sync/imap/flags.h"
#include "sync/pass/pass-private.h"

struct store_request {
	struct run_request run;
	struct seqset uids;
	const struct flags *wanted; /* in the end */
	const struct flags *flags; /* what this command sets, or adds */
	bool adds; /* one keyword, to what they have */
	const struct flags *taken; /* then: what they have … */
	const struct flags *untried; /* … and keywords that are still to be added; else NULL */
};

static struct store_request *store_of(struct request *request)
{
	return container_of(request, struct store_request, run.request);
}

static void submit(
	struct run_side *side, const struct seqset *uids, const struct store_request *what);

/* What the server will tell of them is no change then. */
static void finish(struct run_side *side, const struct seqset *uids, const struct flags *taken,
	const struct flags *wanted)
{
	struct core *core = side->run->core;
	struct seqset_iter iter = {0};
	uint32_t uid;

	(void)seqset_add_set(&side->flags.stored, uids);
	while (seqset_next(uids, &iter, &uid))
		(void)changes_add(&side->flags.expected, uid, taken);
	if (taken != wanted)
		side_warn_dropped(
			side->side, side->run->mailbox, flags_minus(core->flags, wanted, taken));
}

/* One after the other: what the messages have in the end must be known. */
static void add_next(
	struct run_side *side, const struct store_request *store, const struct flags *taken)
{
	struct flag_pool *pool = side->run->core->flags;
	const char *text = flags_text(store->untried);
	const struct slice first = {.data = text, .len = strcspn(text, " ")};
	const struct flags *keyword =
		flags_are_empty(store->untried) ? NULL : flags_intern(pool, &first, 1);

	if (keyword == NULL) {
		finish(side, &store->uids, taken, store->wanted);
		return;
	}
	submit(side, &store->uids,
		&(struct store_request){
			.wanted = store->wanted,
			.flags = keyword,
			.adds = true,
			.taken = taken,
			.untried = flags_minus(pool, store->untried, keyword),
		});
}

static void stored(struct run_side *side, struct store_request *store)
{
	const struct command *command = &store->run.request.command;
	struct flag_pool *pool = side->run->core->flags;

	/* RFC 7162 section 3.1.3: changed there meanwhile.  The next pass sees both changes, and
	 * merges them. */
	if (command->code == CODE_MODIFIED) {
		seqset_remove_set(&store->uids, &command->modified);
		side->run->pass.reread = side->run->pass.again = true;
	}
	if (store->adds)
		add_next(side, store, flags_union(pool, store->taken, store->flags));
	else if (store->untried == NULL || strchr(flags_text(store->untried), ' ') == NULL)
		finish(side, &store->uids, store->flags, store->wanted);
	else
		add_next(side, store, store->flags);
}

/* Without the keywords that are only allowed by "\*"; NULL if there are none. */
static const struct flags *plain_list(struct run_side *side, const struct flags *flags)
{
	struct flag_pool *pool = side->run->core->flags;
	const struct flags *plain = flags_system(pool, flags);

	if (side->told.permanent != NULL)
		plain = flags_minus(pool, flags, flags_minus(pool, flags, side->told.permanent));
	return plain != flags ? plain : NULL;
}

static void halve(struct run_side *side, const struct store_request *store)
{
	const struct store_request anew = {.wanted = store->wanted, .flags = store->wanted};
	struct seqset first, second;

	seqset_init(&first);
	seqset_init(&second);
	seqset_halve(&store->uids, &first, &second);
	submit(side, &first, &anew);
	submit(side, &second, &anew);
	seqset_done(&first);
	seqset_done(&second);
}

static void refused(struct run_side *side, const struct store_request *store)
{
	const struct command *command = &store->run.request.command;
	struct flag_pool *pool = side->run->core->flags;
	bool general = refusal_is_general(command) || side->left_out.splits >= RUN_SPLITS_MAX;
	const struct flags *plain = store->untried == NULL ? plain_list(side, store->wanted) : NULL;
	_cleanup_free_ char *words = NULL;

	if (store->adds) {
		add_next(side, store, store->taken);
	} else if (!general && plain != NULL) {
		side->left_out.splits++;
		submit(side, &store->uids,
			&(struct store_request){
				.wanted = store->wanted,
				.flags = plain,
				.untried = flags_minus(pool, store->wanted, plain),
			});
	} else if (!general && seqset_count(&store->uids) > 1) {
		side->left_out.splits += 2;
		halve(side, store);
	} else {
		words = command_reason(command);
		refusals_add(&side->left_out.refusals, QUARANTINE_STORE, &store->uids, words);
	}
}

static bool on_stored(struct request *request)
{
	struct store_request *store = store_of(request);
	struct run_side *side = store->run.side;

	if (side->run->end.begun)
		return true;
	switch (request->command.outcome) {
	case OUTCOME_OK:
		stored(side, store);
		return true;
	case OUTCOME_NO:
	case OUTCOME_BAD:
		refused(side, store);
		return true;
	default:
		return false;
	}
}

static void release_store(struct request *request)
{
	seqset_done(&store_of(request)->uids);
}

/* One command for a part of the set that fits into a line; advances *index. */
static void submit_part(struct run_side *side, const struct seqset *uids, size_t *index,
	const struct store_request *what)
{
	struct store_request *store =
		request_new(&side->run->barrier, side->side, sizeof(*store), on_stored);
	size_t flags_len = strlen(flags_text(what->flags));
	size_t room =
		flags_len < LIMIT_COMMAND_LINE / 2 ? LIMIT_COMMAND_LINE - 200 - flags_len : 100;
	struct command *command = &store->run.request.command;
	struct buf text;

	store->run.side = side;
	store->run.request.release = release_store;
	store->wanted = what->wanted;
	store->flags = what->flags;
	store->adds = what->adds;
	store->taken = what->taken;
	store->untried = what->untried;
	seqset_init(&store->uids);
	buf_init(&text, LIMIT_COMMAND_LINE);
	seqset_format(uids, index, room, &text);
	(void)seqset_parse(
		&store->uids, (struct slice){.data = buf_data(&text), .len = buf_len(&text)});
	command_printf(command, "UID STORE %.*s ", (int)buf_len(&text), buf_data(&text));
	if (what->adds) /* what the other side has is not missed here, whatever changed meanwhile */
		command_printf(command, "+FLAGS.SILENT (%s)", flags_text(what->flags));
	else
		command_printf(command, "(UNCHANGEDSINCE %" PRIu64 ") FLAGS.SILENT (%s)",
			side->told.snapshot.highestmodseq, flags_text(what->flags));
	buf_done(&text);
	request_submit(&store->run.request);
}

/* `what` without its UIDs, for these. */
static void submit(
	struct run_side *side, const struct seqset *uids, const struct store_request *what)
{
	if (seqset_is_empty(uids))
		return;
	/* It may be the answer of a command for another mailbox that comes next. */
	run_select(side);
	for (size_t index = 0; index < uids->count;)
		submit_part(side, uids, &index, what);
}

void run_store(struct run_side *side, const struct seqset *uids, const struct flags *flags)
{
	submit(side, uids, &(struct store_request){.wanted = flags, .flags = flags});
}
