/* SPDX-License-Identifier: MIT */
/*
 * A message that the database should know and does not: its row was lost.  What changes of it
 * concerns nobody then, so a person must hear of it; --repair finds its twin again.
 */
#include <inttypes.h>
#include <stdlib.h>

#include "sync/core/advice.h"
#include "sync/core/core.h"
#include "sync/pass/pass-private.h"

enum {
	NAMED = 10, /* of a mailbox, in one run */
	VANISHED_TEXT = 400, /* bytes of their UIDs */
};

static bool is_unmatched(struct run_side *side, uint32_t uid, const struct seqset *paired)
{
	return uid < run_base(side)->uidnext && !seqset_contains(paired, uid) &&
	       !seqset_contains(&side->left_out.quarantined, uid);
}

static void say(struct run_side *side, const struct seqset *paired)
{
	struct run *run = side->run;
	_cleanup_free_ char *command = NULL;
	size_t count = 0;

	for (size_t i = 0; i < side->told.changes.count; i++) {
		uint32_t uid = side->told.changes.list[i].uid;

		if (!is_unmatched(side, uid, paired) || ++count > NAMED)
			continue;
		if (command == NULL)
			command = advice(run->core, "--repair", run->mailbox->display, NULL);
		log_warning(SIDE_CONTEXT(side->side, run->mailbox->display),
			"UID %" PRIu32 " was modified, and the database does not know which "
			"message that is on the other side: run `%s`",
			uid, command);
	}
	if (count > NAMED)
		log_warning(SIDE_CONTEXT(side->side, run->mailbox->display),
			"likewise %zu other messages", count - NAMED);
}

/* Those of what changed that the database has. */
static bool find_paired(struct run_side *side, struct seqset *ret)
{
	const struct plan_change *changes = side->told.changes.list;
	bool remote = side->side->remote;

	for (size_t i = 0, end; i < side->told.changes.count; i = end) {
		_cleanup_free_ struct uid_pair *pairs = NULL;
		size_t count = 0;

		for (end = i + 1; end < side->told.changes.count; end++)
			if (changes[end].uid != changes[end - 1].uid + 1)
				break;
		if (run_database_failed(side->run,
			    mapping_in_range(side->run->core->db, side->run->mailbox->idx, remote,
				    changes[i].uid, changes[end - 1].uid, &pairs, &count)))
			return false;
		for (size_t k = 0; k < count; k++)
			(void)seqset_add(ret, remote ? pairs[k].remote : pairs[k].local);
	}
	return true;
}

static void say_of_side(struct run_side *side)
{
	struct seqset paired;

	if (side->told.changes.count == 0)
		return;
	seqset_init(&paired);
	if (find_paired(side, &paired))
		say(side, &paired);
	seqset_done(&paired);
}

/* What we expunged has no pair any more. */
static void take_echoes_out(const struct run_side *side, struct seqset *uids)
{
	const struct run *run = side->run;

	for (size_t i = 0; i < run->echoes.count; i++)
		if (run->echoes.list[i].remote == side->side->remote)
			seqset_remove_range(uids, run->echoes.list[i].uid, run->echoes.list[i].uid);
}

/* Of a message that was deleted and has no pair, the other side may have the twin for ever. */
static void say_vanished(struct run_side *side)
{
	struct seqset uids;

	seqset_init(&uids);
	seqset_copy(&uids, &side->told.vanished);
	seqset_remove_set(&uids, &side->losses.gone);
	seqset_remove_range(&uids, run_base(side)->uidnext, UINT32_MAX); /* we never knew those */
	take_echoes_out(side, &uids);
	if (!seqset_is_empty(&uids)) {
		struct buf text;
		size_t index = 0;

		buf_init(&text, SIZE_MAX);
		seqset_format(&uids, &index, VANISHED_TEXT, &text);
		log_warning(SIDE_CONTEXT(side->other->side, side->run->mailbox->display),
			"No match for %" PRIu64 " vanished %s UID(s) %.*s%s. Ignoring.",
			seqset_count(&uids), side->side->remote ? "remote" : "local",
			(int)buf_len(&text), buf_data(&text), index < uids.count ? ",..." : "");
		buf_done(&text);
	}
	seqset_done(&uids);
}

void run_unmatched_say(struct run *run)
{
	/* The first pass sees what was changed by others; --repair has its own words. */
	if (!run->pass.first || run->repair)
		return;
	say_of_side(&run->local);
	say_of_side(&run->remote);
	/* What clients move is paired anew before its vanishing is seen. */
	if (run->core->options->follow)
		return;
	say_vanished(&run->local);
	say_vanished(&run->remote);
}
