/* SPDX-License-Identifier: MIT */
/*
 * --repair: every pair of the database is looked up on both sides, a window of pairs at a time, so
 * that memory does not grow with the mailbox.
 *
 * What is missing on one side and was reported as vanished since the last sync was deleted there,
 * and the deletion is propagated as ever.  What is missing without such a report was lost: the pair
 * is taken apart, and the message is copied again.  Flags that differ although neither server
 * reported a change become the union, since nobody can tell which of them is newer.
 *
 * The same is done, without being asked for, when a side is in an older state than the one that was
 * replicated (run_side.went_back): restored from a backup, say.  Nothing that it reports is
 * believed then, so that nothing of what it misses counts as deleted.  Since messages that came
 * after the backup may have got the UIDs of those that it does not have, each pair is also compared
 * by identity, and what cannot be the same message is taken apart.  For the same reason a deletion
 * on the other side is undone: which message it would hit is not known.
 *
 * Then messages without a pair are looked for (GAPS), paired by content (adoption), and what was
 * paired so is looked up as well, for its flags.  Whatever is left is copied as any new message;
 * only now, when none of it has a twin and all pairs were looked up, UIDNEXT goes back to before
 * it, so that a plain run finishes what an interrupted repair left.
 */
#include <inttypes.h>
#include <stdlib.h>

#include "sync/base/limits.h"
#include "sync/base/xalloc.h"
#include "sync/core/core.h"
#include "sync/imap/flags.h"
#include "sync/pass/pass-private.h"

enum { WINDOW = COPY_BATCH };

struct audit_side {
	struct changes listed; /* of the window: what is there, with its flags */
	struct changes missed; /* of the window: flags that nobody reported */
	struct seqset asked;
	struct seqset said; /* messages whose copying was announced already */
	struct items items; /* of the window, if identities are compared */
	uint32_t uidnext; /* the database's when it began */
};

struct audit {
	struct run *run;
	struct seqset todo; /* local UIDs whose pairs are still to be looked up */
	bool adopted; /* they were paired just now */
	struct uid_pair pairs[WINDOW];
	size_t count;
	struct uid_pair *apart; /* pairs to be taken apart */
	size_t apart_count;
	bool compares; /* a side went back: identities are compared, and what is found is summed up
			*/
	uint64_t lost, strangers; /* then: messages that a side misses, pairs of different ones */
	struct audit_side local, remote;
};

static struct audit_side *audit_side(struct run_side *side)
{
	struct audit *audit = side->run->audit;

	return side->side->remote ? &audit->remote : &audit->local;
}

static bool on_listed(struct command *command, struct response *response)
{
	struct run_side *side = run_side_of(command);
	struct audit_side *audit = audit_side(side);

	if (response->type != RESPONSE_FETCH ||
		!seqset_contains(&audit->asked, response->fetch.uid) ||
		!run_take_flags(side, &audit->listed, response))
		return false;
	/* One whose identity cannot be read keeps its pair. */
	if (side->run->audit->compares && (response->fetch.items & FETCH_SIZE))
		(void)items_add(&audit->items, side->run->core->flags, response);
	return true;
}

static bool add_pair(void *context, struct uid_pair pair)
{
	struct audit *audit = context;

	audit->pairs[audit->count++] = pair;
	return audit->count < WINDOW;
}

/* The next window of pairs, taken off `todo`; false if there is none. */
static bool next_window(struct audit *audit)
{
	struct run *run = audit->run;

	audit->count = 0;
	while (audit->count < WINDOW && !seqset_is_empty(&audit->todo)) {
		struct seqrange range = audit->todo.ranges[0];

		if (run_database_failed(run, mapping_visit(run->core->db, run->mailbox->idx, false,
						     range.first, range.last, add_pair, audit)))
			return false;
		if (audit->count == WINDOW)
			range.last = audit->pairs[WINDOW - 1].local;
		seqset_remove_range(&audit->todo, range.first, range.last);
	}
	return audit->count > 0;
}

static int by_uid(const void *one, const void *other)
{
	uint32_t a = *(const uint32_t *)one, b = *(const uint32_t *)other;

	return a < b ? -1 : a > b;
}

static void ask(struct run_side *side)
{
	struct audit *audit = side->run->audit;
	struct seqset *asked = &audit_side(side)->asked;
	uint32_t uids[WINDOW];

	changes_clear(&audit_side(side)->listed);
	items_clear(&audit_side(side)->items);
	seqset_clear(asked);
	for (size_t i = 0; i < audit->count; i++)
		uids[i] = side->side->remote ? audit->pairs[i].remote : audit->pairs[i].local;
	qsort(uids, audit->count, sizeof(*uids), by_uid);
	for (size_t i = 0; i < audit->count; i++)
		(void)seqset_add(asked, uids[i]);
	run_select(side);
	run_fetch(side, &side->run->barrier, asked, audit->compares ? FETCH_METADATA : "UID FLAGS",
		on_listed);
}

static void begin(struct run *run)
{
	struct audit *audit = xcalloc(1, sizeof(*audit));

	audit->run = run;
	audit->compares = run->local.told.went_back || run->remote.told.went_back;
	audit->local.uidnext = run->mailbox->local.base.uidnext;
	audit->remote.uidnext = run->mailbox->remote.base.uidnext;
	(void)seqset_add_range(&audit->todo, 1, UINT32_MAX);
	run->audit = audit;
}

bool run_audit_ask(struct run *run)
{
	if (run->audit == NULL)
		begin(run);
	if (!next_window(run->audit))
		return false;
	ask(&run->local);
	ask(&run->remote);
	return true;
}

/* All that OPEN asked for was about new messages only. */
static void forget_metadata(struct run_side *side)
{
	side->arrivals.complete = false;
	items_clear(&side->arrivals.items);
}

void run_audit_anew(struct run *run)
{
	run_audit_done(run);
	run->pass.first = run->repair = true;
	forget_metadata(&run->local);
	forget_metadata(&run->remote);
}

static void take_apart(struct audit *audit, struct uid_pair pair)
{
	if (audit->apart_count >= LIMIT_DELTA_CHANGES) {
		audit->run->local.told.overflow = true;
		return;
	}
	audit->apart = xgrow(audit->apart, audit->apart_count, sizeof(*audit->apart));
	audit->apart[audit->apart_count++] = pair;
}

/* What a side that went back does not have is lost; and what vanished from the other one cannot be
 * told from what has got its UID there. */
static void lost(struct run_side *side, uint32_t uid, struct uid_pair pair)
{
	seqset_remove_range(&side->losses.gone, uid, uid);
	side->run->audit->lost++;
	take_apart(side->run->audit, pair);
}

/* The message is on the other side only, as `other`. */
static void missing(struct run_side *side, uint32_t uid, uint32_t other, struct uid_pair pair)
{
	if (side->run->audit->compares) {
		lost(side, uid, pair);
		return;
	}
	if (seqset_contains(&side->losses.gone, uid))
		return; /* reported: CONFIRM and the brake come as ever */
	/* Paired by a first sync that was interrupted: it was there, and nothing could be reported
	 * of it since. */
	if (run_base(side)->highestmodseq == 0 && uid < side->told.snapshot.uidnext) {
		(void)seqset_add(&side->losses.absent, uid);
		(void)seqset_add(&side->losses.gone, uid);
		return;
	}
	log_warning(SIDE_CONTEXT(side->side, side->run->mailbox->display),
		"UID %" PRIu32 " disappeared. Redownloading %s UID %" PRIu32 ".", uid,
		side->other->side->name, other);
	(void)seqset_add(&audit_side(side->other)->said, other);
	take_apart(side->run->audit, pair);
}

static void missing_both(struct run *run, struct uid_pair pair)
{
	if (seqset_contains(&run->local.losses.gone, pair.local) &&
		seqset_contains(&run->remote.losses.gone, pair.remote))
		return;
	if (!run->audit->compares)
		log_warning(CORE_CONTEXT(run->core),
			"Pair (lUID,rUID) = (%" PRIu32 ",%" PRIu32 ") vanished from %s. Repairing.",
			pair.local, pair.remote, run->mailbox->display);
	take_apart(run->audit, pair);
}

/* Both are there, under UIDs that may be other messages' by now. */
static bool are_strangers(const struct audit *audit, struct uid_pair pair)
{
	const struct item *local, *remote;

	if (!audit->compares)
		return false;
	local = items_find(&audit->local.items, pair.local);
	remote = items_find(&audit->remote.items, pair.remote);
	return local != NULL && remote != NULL &&
	       !identity_may_be_same(&local->identity, &remote->identity);
}

/* What both sides can hold of these flags. */
static const struct flags *shared(const struct run *run, const struct flags *flags)
{
	const struct run_side *sides[] = {&run->local, &run->remote};

	for (size_t i = 0; i < ARRAY_LEN(sides); i++)
		if (sides[i]->told.permanent != NULL)
			flags = flags_storable(run->core->flags, flags, sides[i]->told.permanent);
	return flags;
}

/* Both are there. */
static void compare(struct run *run, struct uid_pair pair, const struct flags *local,
	const struct flags *remote)
{
	struct audit *audit = run->audit;

	if (are_strangers(audit, pair)) {
		audit->strangers++;
		take_apart(audit, pair);
		return;
	}
	if (shared(run, local) == shared(run, remote))
		return;
	if (changes_find(&run->local.told.changes, pair.local) != NULL ||
		changes_find(&run->remote.told.changes, pair.remote) != NULL)
		return; /* reported, and propagated as ever */
	if (!audit->adopted && !audit->compares)
		log_warning(CORE_CONTEXT(run->core),
			"Missed flag update in %s for (lUID,rUID) = (%" PRIu32 ",%" PRIu32
			"). Repairing.",
			run->mailbox->display, pair.local, pair.remote);
	(void)changes_add(&audit->local.missed, pair.local, local);
	(void)changes_add(&audit->remote.missed, pair.remote, remote);
}

/* As if both servers had reported them: the plan makes the union. */
static void report_missed(struct run_side *side)
{
	struct changes *missed = &audit_side(side)->missed;

	for (size_t i = 0; i < missed->count; i++)
		if (!changes_add(&side->told.changes, missed->list[i].uid, missed->list[i].flags))
			side->told.overflow = true;
	changes_clear(missed);
	changes_sort(&side->told.changes);
}

bool run_audited(struct run *run)
{
	struct audit *audit = run->audit;

	changes_sort(&audit->local.listed);
	changes_sort(&audit->remote.listed);
	items_sort(&audit->local.items);
	items_sort(&audit->remote.items);
	for (size_t i = 0; i < audit->count; i++) {
		struct uid_pair pair = audit->pairs[i];
		const struct flags *local = changes_find(&audit->local.listed, pair.local);
		const struct flags *remote = changes_find(&audit->remote.listed, pair.remote);

		if (local != NULL && remote != NULL)
			compare(run, pair, local, remote);
		else if (local != NULL)
			missing(&run->remote, pair.remote, pair.local, pair);
		else if (remote != NULL)
			missing(&run->local, pair.local, pair.remote, pair);
		else
			missing_both(run, pair);
	}
	report_missed(&run->local);
	report_missed(&run->remote);
	if (run->local.told.overflow || run->remote.told.overflow)
		(void)run_fail(run, "there are more differences than can be taken");
	return run->end.failure == NULL;
}

static int write_apart(void *context)
{
	struct audit *audit = context;
	struct run *run = audit->run;
	int r = 0;

	for (size_t i = 0; i < audit->apart_count && r >= 0; i++)
		r = mapping_delete(run->core->db, run->mailbox->idx, audit->apart[i]);
	return r;
}

static void summarise(const struct audit *audit)
{
	if (audit->lost > 0)
		log_warning(RUN_CONTEXT(audit->run),
			"%" PRIu64
			" message(s) are on one side only: copied again, none is deleted",
			audit->lost);
	if (audit->strangers > 0)
		log_warning(RUN_CONTEXT(audit->run),
			"%" PRIu64 " UID(s) are those of other messages now: both are copied",
			audit->strangers);
}

bool run_audit_write(struct run *run)
{
	struct audit *audit = run->audit;

	if (audit->apart_count == 0)
		return true;
	summarise(audit);
	if (!run_transact(run, write_apart, audit))
		return false;
	audit->apart_count = 0;
	return true;
}

/* Where UIDNEXT has to go back to. */
static struct mailbox_state lowered_state(struct run_side *side)
{
	struct mailbox_state state = *run_base(side);

	if (!seqset_is_empty(&side->arrivals.fresh) &&
		side->arrivals.fresh.ranges[0].first < state.uidnext)
		state.uidnext = side->arrivals.fresh.ranges[0].first;
	return state;
}

struct lowered {
	struct run *run;
	struct mailbox_state local, remote;
};

static int write_lowered(void *context)
{
	const struct lowered *lowered = context;
	struct db *db = lowered->run->core->db;
	int64_t idx = lowered->run->mailbox->idx;
	int r = mailboxes_set_state(db, idx, false, &lowered->local);

	return r < 0 ? r : mailboxes_set_state(db, idx, true, &lowered->remote);
}

bool run_audit_lower(struct run *run)
{
	struct lowered lowered = {.run = run,
		.local = lowered_state(&run->local),
		.remote = lowered_state(&run->remote)};

	if (lowered.local.uidnext == run_base(&run->local)->uidnext &&
		lowered.remote.uidnext == run_base(&run->remote)->uidnext)
		return true;
	if (!run_transact(run, write_lowered, &lowered))
		return false;
	*run_base(&run->local) = lowered.local;
	*run_base(&run->remote) = lowered.remote;
	return true;
}

bool run_audit_adopted(struct run *run)
{
	struct audit *audit = run->audit;

	if (audit->adopted)
		return false;
	audit->adopted = true;
	seqset_copy(&audit->todo, &run->local.arrivals.fresh);
	return true;
}

/* Messages that should have had a pair, and found none by content either. */
static void announce(struct run_side *side)
{
	const struct audit_side *audit = audit_side(side);

	for (size_t i = 0; i < side->arrivals.items.count; i++) {
		uint32_t uid = side->arrivals.items.list[i].uid;

		if (uid < audit->uidnext && !seqset_contains(&audit->said, uid))
			log_warning(SIDE_CONTEXT(side->other->side, side->run->mailbox->display),
				"No match for %s UID %" PRIu32 ". Redownloading.", side->side->name,
				uid);
	}
}

void run_audit_announce(struct run *run)
{
	if (run->audit->compares) /* summed up */
		return;
	announce(&run->local);
	announce(&run->remote);
}

static void side_done(struct audit_side *side)
{
	changes_done(&side->listed);
	changes_done(&side->missed);
	seqset_done(&side->asked);
	seqset_done(&side->said);
	items_done(&side->items);
}

void run_audit_done(struct run *run)
{
	if (run->audit == NULL)
		return;
	side_done(&run->audit->local);
	side_done(&run->audit->remote);
	seqset_done(&run->audit->todo);
	free(run->audit->apart);
	free(take(run->audit));
}
