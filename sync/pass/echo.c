/* SPDX-License-Identifier: MIT */
/*
 * What this program has expunged itself (echoes.h), in two cases that a lying server makes:
 *
 * A message of ours is gone, and its pair is not, since the server that had said so has changed its
 * mind: then it is gone because of us, and of nobody else.  The pair is taken apart, and what is
 * left is copied again.
 *
 * The message is gone, and so is the pair from the database.  The pass that follows looks for the
 * other one of the pair once more, in the flight of its OPEN; if that is there after all, it is
 * copied again.
 *
 * UIDNEXT goes back to before what is to be copied again, in the transaction that takes the pair
 * out: so the next pass finds it as new.
 */
#include <inttypes.h>
#include <stdlib.h>

#include "sync/base/xalloc.h"
#include "sync/core/core.h"
#include "sync/pass/pass-private.h"

/* Where the pair of what we expunged is. */
static struct run_side *other_side(struct run *run, const struct echo *echo)
{
	return echo->remote ? &run->local : &run->remote;
}

void run_echoes_load(struct run *run)
{
	free(take(run->echoes.list));
	run->echoes.count = 0;
	(void)run_database_failed(run, echoes_load(run->core->db, run->mailbox->idx,
					       &run->echoes.list, &run->echoes.count));
}

static bool on_there(struct command *command, struct response *response)
{
	struct run_side *side = run_side_of(command);

	if (response->type == RESPONSE_FETCH && (response->fetch.items & FETCH_UID) &&
		seqset_contains(&side->losses.sought, response->fetch.uid))
		(void)seqset_add(&side->losses.there, response->fetch.uid);
	return false; /* it may tell others something, too */
}

void run_echoes_ask(struct run_side *side)
{
	struct run *run = side->run;

	for (size_t i = 0; i < run->echoes.count; i++)
		if (!run->echoes.list[i].paired && other_side(run, &run->echoes.list[i]) == side)
			(void)seqset_add(&side->losses.sought, run->echoes.list[i].other_uid);
	if (!seqset_is_empty(&side->losses.sought))
		run_fetch(side, &run->barrier, &side->losses.sought, "UID", on_there);
}

/* It is to be found as new by the next pass. */
static void copy_again(struct run_side *side, uint32_t uid)
{
	if (uid < side->told.snapshot.uidnext)
		side->told.snapshot.uidnext = uid;
	side->run->pass.again = true;
	side->losses.returned++;
}

static void judge(struct run *run, struct echo *echo)
{
	struct run_side *other = other_side(run, echo), *own = other->other;

	if (!echo->paired) {
		echo->done = true;
		if (seqset_contains(&other->losses.there, echo->other_uid))
			copy_again(other, echo->other_uid);
	} else if (!seqset_contains(&own->losses.gone, echo->uid) ||
		   (!echo->remote && seqset_contains(&run->removals.uids, echo->uid))) {
		echo->done = echo->old;
	} else if (!seqset_contains(&other->losses.gone, echo->other_uid)) {
		seqset_remove_range(&own->losses.gone, echo->uid, echo->uid);
		echo->done = echo->apart = true;
		copy_again(other, echo->other_uid);
	}
}

static void say(struct run_side *side)
{
	if (side->losses.returned > 0)
		log_warning(SIDE_CONTEXT(side->side, side->run->mailbox->display),
			"the server had reported %" PRIu64
			" message(s) as gone that are there after all: they are copied again",
			side->losses.returned);
	side->losses.returned = 0;
}

void run_echoes_judge(struct run *run)
{
	/* A side that went back is compared message by message. */
	if (run->local.told.went_back || run->remote.told.went_back)
		return;
	for (size_t i = 0; i < run->echoes.count; i++)
		judge(run, &run->echoes.list[i]);
	say(&run->local);
	say(&run->remote);
}

bool run_echoes_any(const struct run *run)
{
	for (size_t i = 0; i < run->echoes.count; i++)
		if (run->echoes.list[i].done)
			return true;
	return false;
}

static int take_apart(struct run *run, const struct echo *echo)
{
	struct uid_pair pair = {.local = echo->uid, .remote = echo->other_uid};

	if (echo->remote)
		pair = (struct uid_pair){.local = echo->other_uid, .remote = echo->uid};
	return mapping_delete(run->core->db, run->mailbox->idx, pair);
}

int run_echoes_write(struct run *run)
{
	int r = 0;

	for (size_t i = 0; i < run->echoes.count && r >= 0; i++) {
		const struct echo *echo = &run->echoes.list[i];

		if (echo->apart)
			r = take_apart(run, echo);
		if (r >= 0 && echo->done)
			r = echoes_delete(run->core->db, run->mailbox->idx, echo);
	}
	return r;
}
