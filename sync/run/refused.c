/* SPDX-License-Identifier: MIT */
/*
 * Messages whose flags a side did not take, or that it did not expunge.  Each is a row of the
 * quarantine (core/quarantine.h) about the message of that side, so that HIGHESTMODSEQ can go on,
 * and the rest of the mailbox stays in step.
 *
 * When a row is due, what is to be done is found out anew.  Flags: those that the pair has on the
 * other side are asked for, and go the ordinary way.  Also when the side that refused them tells
 * of a change: it is a change of both sides then, as the other one still waits.  Expunging: the
 * pair counts as gone, as it did when that was refused, and CONFIRM asks for it once more.
 */
#include <stdlib.h>
#include <time.h>

#include "sync/base/xalloc.h"
#include "sync/core/core.h"
#include "sync/core/quarantine.h"
#include "sync/run/helpers.h"

static struct seqset *rows_of(struct run_side *side, enum quarantine_kind kind)
{
	return kind == QUARANTINE_STORE ? &side->left_out.before.stores
					: &side->left_out.before.expunges;
}

void run_refused_load(struct run_side *side, const struct quarantine *row)
{
	struct run *run = side->run;

	(void)seqset_add(rows_of(side, row->kind), row->uid);
	if (run->repair || run->retries || quarantine_is_due(row->next, time(NULL)))
		(void)seqset_add(&side->left_out.before.due, row->uid);
}

static int release(struct run_side *side, enum quarantine_kind kind, uint32_t uid)
{
	struct run *run = side->run;
	struct quarantine row = {
		.mailbox = run->mailbox->idx,
		.kind = kind,
		.remote = side->side->remote,
		.uid = uid,
	};
	int r = quarantine_find(run->core->db, &row);

	if (r <= 0)
		return r;
	r = quarantine_delete(run->core->db, row.id);
	quarantine_done(&row);
	run->quarantine_changed = true;
	return r;
}

/* The UID of its pair on the other side; 0: it has none any more. */
static uint32_t pair_of(struct run_side *side, uint32_t uid)
{
	_cleanup_free_ struct uid_pair *pairs = NULL;
	size_t count = 0;

	if (run_database_failed(
		    side->run, mapping_in_range(side->run->core->db, side->run->mailbox->idx,
				       side->side->remote, uid, uid, &pairs, &count)) ||
		count == 0)
		return 0;
	return side->side->remote ? pairs[0].local : pairs[0].remote;
}

/* The flags of the pair count as changed: known from OPEN, or to be asked for. */
static void try_flags(struct run_side *side, uint32_t uid, uint32_t other)
{
	bool told = changes_find(&side->other->told.changes, other) != NULL;

	if (!told && !seqset_contains(&side->left_out.before.due, uid) &&
		changes_find(&side->told.changes, uid) == NULL)
		return;
	if (!told)
		(void)seqset_add(&side->other->flags.queried, other);
	(void)seqset_add(&side->left_out.before.tried, uid);
}

/* Its pair is gone, and so its flags concern nobody.  If it is there after all, it is asked for its
 * own, which may lack the \Deleted that this program has set here. */
static void try_expunge(struct run_side *side, uint32_t uid, uint32_t other)
{
	changes_remove(&side->told.changes, uid);
	if (!seqset_contains(&side->left_out.before.due, uid) &&
		!seqset_contains(&side->told.vanished, uid))
		return;
	(void)seqset_add(&side->other->losses.gone, other);
	(void)seqset_add(&side->other->losses.remembered, other);
	(void)seqset_add(&side->other->flags.queried, other);
	(void)seqset_add(&side->left_out.before.tried, uid);
}

static void try_side(struct run_side *side, enum quarantine_kind kind)
{
	const struct seqset *rows = rows_of(side, kind);
	struct seqset_iter iter = {0};
	uint32_t uid, other;

	while (seqset_next(rows, &iter, &uid)) {
		other = pair_of(side, uid);
		if (other == 0)
			continue;
		if (kind == QUARANTINE_STORE)
			try_flags(side, uid, other);
		else
			try_expunge(side, uid, other);
	}
}

void run_refused_try(struct run *run)
{
	/* A side that went back is compared message by message, and nothing of it counts as gone.
	 */
	if (run->local.told.went_back || run->remote.told.went_back)
		return;
	try_side(&run->local, QUARANTINE_EXPUNGE);
	try_side(&run->remote, QUARANTINE_EXPUNGE);
	try_side(&run->local, QUARANTINE_STORE);
	try_side(&run->remote, QUARANTINE_STORE);
}

static bool on_flags(struct command *command, struct response *response)
{
	struct run_side *side = run_side_of(command);

	return run_take_flags(side, &side->told.changes, response);
}

static void ask_side(struct run_side *side)
{
	if (seqset_is_empty(&side->flags.queried))
		return;
	run_select(side);
	run_fetch(side, &side->run->barrier, &side->flags.queried, "UID FLAGS", on_flags);
}

void run_refused_ask(struct run *run)
{
	ask_side(&run->local);
	ask_side(&run->remote);
}

void run_refused_asked(struct run *run)
{
	changes_sort(&run->local.told.changes);
	changes_sort(&run->remote.told.changes);
}

/* --- COMMIT --- */

static int note(struct run_side *side, const struct refusal *refusal)
{
	struct run *run = side->run;
	struct seqset_iter iter = {0};
	uint32_t uid;
	int r = 0;

	while (seqset_next(&refusal->uids, &iter, &uid)) {
		const struct quarantine row = {
			.kind = refusal->kind,
			.remote = side->side->remote,
			.uid = uid,
			.words = refusal->words,
		};

		r = quarantine_note(run->core, run->mailbox, &row);
		if (r < 0)
			return r;
		if (r == 0) { /* no room: its change must come again */
			run->pass.reread = true;
			run_note_problem(run, "the %s server refuses more than is remembered (%s)",
				side->side->name, refusal->words);
			return 0;
		}
		(void)seqset_add(rows_of(side, refusal->kind), uid);
		seqset_remove_range(&side->left_out.before.due, uid, uid);
		seqset_remove_range(&side->left_out.before.tried, uid, uid);
		run->quarantine_changed = true;
	}
	return 0;
}

static int note_all(struct run_side *side)
{
	int r = 0;

	for (size_t i = 0; i < side->left_out.refusals.count && r >= 0; i++)
		r = note(side, &side->left_out.refusals.list[i]);
	return r;
}

/* It was tried, and not refused; or the server took flags of it for another reason. */
static bool is_over(const struct run_side *side, enum quarantine_kind kind, uint32_t uid)
{
	if (kind == QUARANTINE_STORE && seqset_contains(&side->flags.stored, uid))
		return true;
	return seqset_contains(&side->left_out.before.tried, uid) && !side->run->pass.reread;
}

static int release_over(struct run_side *side, enum quarantine_kind kind)
{
	struct seqset *rows = rows_of(side, kind);
	struct seqset_iter iter = {0};
	struct seqset over;
	uint32_t uid;
	int r = 0;

	seqset_init(&over);
	while (seqset_next(rows, &iter, &uid))
		if (is_over(side, kind, uid) || pair_of(side, uid) == 0)
			(void)seqset_add(&over, uid);
	iter = (struct seqset_iter){0};
	while (r >= 0 && seqset_next(&over, &iter, &uid))
		r = release(side, kind, uid);
	seqset_remove_set(rows, &over);
	seqset_remove_set(&side->left_out.before.due, &over);
	seqset_done(&over);
	return r;
}

static int note_both(void *context)
{
	struct run *run = context;
	int r = note_all(&run->local);

	return r < 0 ? r : note_all(&run->remote);
}

bool run_refused_note(struct run *run)
{
	return (run->local.left_out.refusals.count == 0 &&
		       run->remote.left_out.refusals.count == 0) ||
	       run_transact(run, note_both, run);
}

bool run_refused_any(const struct run *run)
{
	const struct run_side *const sides[] = {&run->local, &run->remote};

	for (size_t i = 0; i < ARRAY_LEN(sides); i++)
		if (!seqset_is_empty(&sides[i]->left_out.before.stores) ||
			!seqset_is_empty(&sides[i]->left_out.before.expunges))
			return true;
	return false;
}

int run_refused_release(struct run *run)
{
	struct run_side *const sides[] = {&run->local, &run->remote};
	int r = 0;

	for (size_t i = 0; i < ARRAY_LEN(sides) && r >= 0; i++) {
		r = release_over(sides[i], QUARANTINE_STORE);
		if (r >= 0)
			r = release_over(sides[i], QUARANTINE_EXPUNGE);
	}
	return r;
}

void run_refused_clear(struct run_side *side)
{
	refusals_clear(&side->left_out.refusals);
	seqset_clear(&side->left_out.before.tried);
	seqset_clear(&side->flags.queried);
	seqset_clear(&side->losses.remembered);
	seqset_clear(&side->flags.stored);
}

void run_refused_done(struct run_side *side)
{
	refusals_clear(&side->left_out.refusals);
	seqset_done(&side->left_out.before.stores);
	seqset_done(&side->left_out.before.expunges);
	seqset_done(&side->left_out.before.due);
	seqset_done(&side->left_out.before.tried);
	seqset_done(&side->flags.queried);
	seqset_done(&side->losses.remembered);
	seqset_done(&side->flags.stored);
	seqset_done(&side->losses.overlooked);
}
