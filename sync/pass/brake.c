/* SPDX-License-Identifier: MIT */
/*
 * The brake (max-deletions): what has vanished on one side and would be expunged on the other is
 * counted with what did within the last hour, in this mailbox and in all of that side (losses.h).
 * What clients of the proxy expunged from the local store does not count, message by message; nor
 * does what a person ordered.
 *
 * A mailbox that is held stays so, whatever is done in it, until a person lets it pass or its
 * messages are back.
 */
#include <inttypes.h>
#include <string.h>
#include <utlist.h>

#include "sync/base/xalloc.h"
#include "sync/core/advice.h"
#include "sync/core/core.h"
#include "sync/deeds/journal.h"
#include "sync/pass/pass-private.h"
#include "sync/state/losses.h"
#include "sync/state/removals.h"

/* --- What clients did --- */

/* *ret_last: the last row of them. */
static void load(struct run *run, int64_t *ret_last)
{
	struct removal *removals = NULL;
	size_t count = 0;

	seqset_clear(&run->removals.uids);
	run->removals.others = 0;
	*ret_last = 0;
	if (run->local.wire_name == NULL ||
		run_database_failed(
			run, removals_load(run->core->db, run->local.wire_name, &removals, &count)))
		return;
	for (size_t i = 0; i < count; i++) {
		struct slice uids = {.data = removals[i].uids, .len = strlen(removals[i].uids)};
		struct seqset set;

		seqset_init(&set);
		if (uids.len > 0 && seqset_parse(&set, uids))
			(void)seqset_add_set(&run->removals.uids, &set);
		seqset_done(&set);
		if (__builtin_add_overflow(
			    run->removals.others, removals[i].messages, &run->removals.others))
			run->removals.others = UINT64_MAX;
		*ret_last = removals[i].id;
	}
	removals_free(removals, count);
}

void run_removals_load(struct run *run)
{
	load(run, &run->removals.last);
}

/* OPEN may have seen what a client has been told of only now, or not yet. */
static void look_again(struct run *run)
{
	int64_t last;

	load(run, &last);
	if (run->local.wire_name != NULL)
		removals_add_marked(&run->core->journal->removals, run->local.wire_name,
			&run->removals.uids, &run->removals.others);
}

int run_removals_forget(struct run *run)
{
	if (run->removals.last == 0)
		return 0;
	return removals_forget(run->core->db, run->local.wire_name, run->removals.last);
}

static uint64_t less(uint64_t one, uint64_t other)
{
	return one > other ? one - other : 0;
}

/* --- What counts --- */

/* Messages of pairs that are gone on this side, and on this side only, by nobody's known act. */
static uint64_t losses_now(const struct run_side *side)
{
	const struct run *run = side->run;
	uint64_t count = 0;

	for (size_t i = 0; i < run->pass.plan.unmap_count; i++) {
		const struct uid_pair *pair = &run->pass.plan.unmap[i];
		uint32_t uid = side->side->remote ? pair->remote : pair->local;
		uint32_t other = side->side->remote ? pair->local : pair->remote;

		count += seqset_contains(&side->losses.gone, uid) &&
			 !seqset_contains(&side->other->losses.gone, other) &&
			 !seqset_contains(&side->losses.remembered, uid) && /* it was let pass */
			 (side->side->remote || !seqset_contains(&run->removals.uids, uid));
	}
	if (!side->side->remote)
		count = less(count, run->removals.others);
	return less(count, side->losses.moved_away);
}

static bool is_excused(const struct run_side *side)
{
	const struct mailbox *mailbox = side->run->mailbox;

	return mailbox->wishes.deletions || mailbox_is_disposable(mailbox, side->side->remote);
}

/* What another run has found to be gone, and has not yet decided about; the messages of a mass that
 * is lost are missed by many runs of one flight. */
static uint64_t pending(const struct run_side *side)
{
	const struct run *run = side->run;
	struct seqset gone;
	uint64_t count, held;

	if (run->pass.decided || run->moves.state == MOVE_UNKNOWN || run->moves.any ||
		run->moves.takers > 0 || is_excused(side) ||
		holds_find(run->core->db, run->mailbox->idx, side->side->remote, &held) != 0)
		return 0;
	seqset_init(&gone);
	seqset_copy(&gone, &side->losses.gone);
	seqset_remove_set(&gone, &side->losses.remembered);
	if (!side->side->remote)
		seqset_remove_set(&gone, &run->removals.uids);
	count = seqset_count(&gone);
	seqset_done(&gone);
	return side->side->remote ? count : less(count, run->removals.others);
}

/* New messages there, as far as is known: what is missed elsewhere may be among them. */
static uint64_t gained(struct run_side *side)
{
	const struct mailbox_side *mailbox = mailbox_side(side->run->mailbox, side->side->remote);
	bool opened = side->run->moves.state != MOVE_UNKNOWN;

	return less(opened ? side->told.snapshot.uidnext : mailbox->seen.uidnext,
		mailbox->base.uidnext);
}

static uint64_t pending_elsewhere(const struct run_side *side)
{
	struct run *run;
	uint64_t count = 0, gains = 0;

	DL_FOREACH (side->run->core->runs->list, run) {
		struct run_side *other = run_side(run, side->side->remote);

		gains += gained(other);
		if (run != side->run)
			count += pending(other);
	}
	return less(count, gains);
}

static int count_mailbox(struct run_side *side, struct plan_losses *ret)
{
	struct db *db = side->run->core->db;
	int64_t idx = side->run->mailbox->idx;
	struct losses losses;
	int r = losses_of_mailbox(db, idx, side->side->remote, &losses);

	if (r < 0)
		return r;
	ret->recent = losses.recent;
	ret->burst = losses.burst;
	return mapping_count(db, idx, &ret->left);
}

static int count_side(struct run_side *side, struct plan_losses *ret)
{
	struct db *db = side->run->core->db;
	struct losses losses;
	int r = losses_of_side(db, side->side->remote, side->run->mailbox->idx, &losses);

	if (r < 0)
		return r;
	ret->recent = losses.recent;
	ret->held = losses.held + pending_elsewhere(side);
	return mapping_count_all(db, &ret->left);
}

/* --- What is done about it --- */

static bool hold(struct run_side *side, const struct plan_losses *mailbox,
	const struct plan_losses *together)
{
	struct run *run = side->run;
	_cleanup_free_ char *command =
		advice(run->core, "--allow-deletions", run->mailbox->display, NULL);
	_cleanup_free_ char *others = NULL;

	if (run_database_failed(run,
		    holds_set(run->core->db, run->mailbox->idx, side->side->remote, mailbox->now)))
		return true;
	mailbox_note_held(run->mailbox);
	if (together != NULL)
		others = xasprintf(", with other mailboxes %" PRIu64 " of %" PRIu64
				   " within an hour",
			together->now + together->recent + together->held,
			together->left + together->recent);
	(void)run_fail(run,
		"%" PRIu64 " of %" PRIu64 " messages disappeared on the %s side%s: nothing is "
		"deleted. If this is right, run `%s`",
		mailbox->now + mailbox->recent, mailbox->left + mailbox->recent, side->side->name,
		others != NULL ? others : "", command);
	return true;
}

/* A person, or where the mailbox is, says that it is right. */
static bool excuse(struct run_side *side)
{
	struct run *run = side->run;
	int64_t idx = run->mailbox->idx;
	bool remote = side->side->remote;

	side->losses.counted = 0;
	return run_database_failed(run, losses_forget(run->core->db, idx, remote)) ||
	       run_database_failed(run, holds_clear(run->core->db, idx, remote));
}

static bool holds_side(struct run_side *side)
{
	struct run *run = side->run;
	struct plan_losses mailbox = {.now = losses_now(side)}, all = {.now = mailbox.now};
	bool is_inbox = mailbox_name_equal(run->mailbox->name, run->mailbox->len, "INBOX", 5);
	uint64_t noted;
	int held;

	side->losses.counted = mailbox.now;
	if (mailbox.now > 0 && is_excused(side))
		return excuse(side);
	held = holds_find(run->core->db, run->mailbox->idx, side->side->remote, &noted);
	if (run_database_failed(run, held))
		return true;
	if (mailbox.now == 0) /* they are back; or only for now, if it is looked at again */
		return held > 0 && !run->pass.reread && excuse(side);
	if (run_database_failed(run, count_mailbox(side, &mailbox)))
		return true;
	if (held > 0 && !run->core->brake.off)
		return hold(side, &mailbox, NULL);
	if (run_database_failed(run, count_side(side, &all)))
		return true;
	switch (plan_brake(&run->core->brake, &mailbox, &all, is_inbox)) {
	case PLAN_HOLD_MAILBOX:
		return hold(side, &mailbox, NULL);
	case PLAN_HOLD_SIDE:
		return hold(side, &mailbox, &all);
	case PLAN_PASS:
		break;
	}
	return false;
}

bool run_brake_holds(struct run *run)
{
	look_again(run);
	return holds_side(&run->local) || holds_side(&run->remote);
}
