/* SPDX-License-Identifier: MIT */
/*
 * RENEW: the UIDVALIDITY of a side is not the one in the database.  All pairs are void then, and
 * without them any message could be copied twice or taken for another.  So both sides are listed as
 * for adoption, and what they hold decides (plan_renewal()):
 *
 * - the same messages: pairs are made anew by content, and what is left is copied, as after
 *   adoption.  Nothing is expunged, and flags become the union;
 * - none of them, and the mailbox was seen to be another one: it was deleted and made again under
 *   its name.  That is followed like any deletion that was seen (replay/tree.c);
 * - else a person has to say which it is.
 */
#include <inttypes.h>
#include <stdlib.h>

#include "sync/base/xalloc.h"
#include "sync/core/core.h"
#include "sync/deeds/journal.h"
#include "sync/deeds/suspects.h"
#include "sync/plan/renewal.h"
#include "sync/pass/pass-private.h"
#include "sync/state/adopt.h"
#include "sync/state/mailboxes.h"
#include "sync/tree/tree.h"

static bool is_renewed(struct run_side *side)
{
	uint32_t known = run_base(side)->uidvalidity;

	return known != 0 && known != side->told.snapshot.uidvalidity;
}

/* What a side holds. */
struct holding {
	struct renewal_side side;
	uint64_t messages;
};

static int weigh(struct run_side *side, struct holding *ret)
{
	ret->side.renewed = is_renewed(side);
	return adopt_count(side->run->core->db, side->run->mailbox->idx, side->side->remote,
		&ret->messages, &ret->side.paired);
}

static int write_side(struct run_side *side)
{
	const struct mailbox_state first = {.uidvalidity = side->told.snapshot.uidvalidity};

	return mailboxes_set_state(
		side->run->core->db, side->run->mailbox->idx, side->side->remote, &first);
}

/* Within a transaction, which the caller takes back unless *ret is SAME. */
static int pair(struct run *run, struct holding *local, struct holding *remote, uint64_t *ret_twins,
	enum renewal *ret)
{
	struct db *db = run->core->db;
	int64_t idx = run->mailbox->idx;
	uint64_t pairs = 0;
	int r = weigh(&run->local, local);

	if (r >= 0)
		r = weigh(&run->remote, remote);
	if (r >= 0)
		r = mapping_count(db, idx, &pairs);
	if (r >= 0)
		r = mailboxes_forget_uids(db, idx);
	if (r >= 0)
		r = run_removals_forget(run); /* by local UIDs */
	if (r >= 0)
		r = adopt_pair(db, idx, ret_twins);
	if (r >= 0)
		r = write_side(&run->local);
	if (r >= 0)
		r = write_side(&run->remote);
	if (r >= 0)
		*ret = plan_renewal(&local->side, &remote->side, pairs, *ret_twins);
	return r;
}

static void note_paired(struct run *run, uint64_t twins)
{
	struct run_side *const sides[] = {&run->local, &run->remote};

	for (size_t i = 0; i < ARRAY_LEN(sides); i++) {
		if (is_renewed(sides[i]))
			log_warning(SIDE_CONTEXT(sides[i]->side, run->mailbox->display),
				"UIDVALIDITY changed from %" PRIu32 " to %" PRIu32 ", %" PRIu64
				" message(s) are the same as before: paired anew, nothing is "
				"deleted",
				run_base(sides[i])->uidvalidity,
				sides[i]->told.snapshot.uidvalidity, twins);
		*run_base(sides[i]) =
			(struct mailbox_state){.uidvalidity = sides[i]->told.snapshot.uidvalidity};
	}
	run->pass.adopted = true;
}

/* In an account that is still the same one: a server that was set up anew has other mailboxes under
 * all names, and nobody deleted anything. */
static bool keeps_inbox(struct core *core, struct side *side)
{
	struct mailbox *inbox = core_find_mailbox(core, "INBOX", 5);
	const struct mailbox_side *there = inbox != NULL ? mailbox_side(inbox, side->remote) : NULL;

	return there != NULL && there->base.uidvalidity != 0 &&
	       there->base.uidvalidity == there->seen.uidvalidity;
}

/* It may have another name now, with which a person can find it. */
static bool is_elsewhere(struct run_side *side)
{
	struct listed *entry, *next;

	HASH_ITER (hh, side_listing(side->side)->entries, entry, next)
		if (entry->status.uidvalidity == run_base(side)->uidvalidity)
			return true;
	return false;
}

/* The mailbox was deleted on that side and another one has its name: the old one is deleted on the
 * other side, too, if all that it holds was on both. */
static bool note_remade(struct run_side *side, const struct holding *other)
{
	struct run *run = side->run;
	struct core *core = run->core;
	struct mailbox *mailbox = run->mailbox;
	const struct mailbox_name name = {.data = mailbox->name, .len = mailbox->len};

	if (!core->options->follow || !is_renewed(side) || is_renewed(side->other) ||
		mailbox_name_equal(name.data, name.len, "INBOX", 5) ||
		mailbox->remade == side->told.snapshot.uidvalidity ||
		other->messages > other->side.paired || !keeps_inbox(core, side->side) ||
		is_elsewhere(side))
		return false;
	mailbox->remade = side->told.snapshot.uidvalidity; /* if that is held or refused: once */
	journal_note_of(core->journal, ACTION_DELETE, side->side->remote, &name, NULL,
		run_base(side)->uidvalidity);
	run->end.how = RUN_AFTER_CLIENTS;
	return true;
}

bool run_renew_pair(struct run *run)
{
	struct db *db = run->core->db;
	struct holding local = {0}, remote = {0};
	enum renewal renewal = RENEWAL_UNCLEAR;
	uint64_t twins = 0;
	int r = db_begin(db);

	if (run_database_failed(run, r))
		return false;
	r = pair(run, &local, &remote, &twins, &renewal);
	if (r >= 0 && renewal == RENEWAL_SAME) {
		if (run_database_failed(run, db_commit(db)))
			return false;
		note_paired(run, twins);
		suspects_forget(run->core, run->mailbox);
		return true;
	}
	db_rollback(db);
	if (run_database_failed(run, r))
		return false;
	if (renewal == RENEWAL_OTHER &&
		(note_remade(&run->local, &remote) || note_remade(&run->remote, &local)))
		return true;
	run_fail_renewed(is_renewed(&run->local) ? &run->local : &run->remote);
	return false;
}
