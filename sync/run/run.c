/* SPDX-License-Identifier: MIT */
#include "sync/run/helpers.h"

#include <stdarg.h>
#include <stdlib.h>
#include <time.h>
#include <utlist.h>

#include "sync/base/xalloc.h"
#include "sync/core/core.h"
#include "sync/core/quarantine.h"
#include "sync/deeds/journal.h"
#include "sync/imap/flags.h"

enum step run_fail(struct run *run, const char *fmt, ...)
{
	va_list ap;

	free(run->end.failure);
	va_start(ap, fmt);
	run->end.failure = xvasprintf(fmt, ap);
	va_end(ap);
	return STEP_FAILED;
}

void run_note_problem(struct run *run, const char *fmt, ...)
{
	va_list ap;

	if (run->end.problem != NULL)
		return;
	va_start(ap, fmt);
	run->end.problem = xvasprintf(fmt, ap);
	va_end(ap);
}

void run_note_refusal(struct run_side *target)
{
	enum { LONGEST = 3600 };
	struct mailbox_side *side = mailbox_side(target->run->mailbox, target->side->remote);
	int64_t pause;

	if (target->left_out.refuses)
		return;
	target->left_out.refuses = true; /* once in a run */
	side->refusals++;
	pause = quarantine_pause(side->refusals);
	side->refused_until = time(NULL) + (pause < LONGEST ? pause : LONGEST);
}

bool run_barrier_ok(struct run *run)
{
	if (run->barrier.lost)
		return false;
	if (run->barrier.refused)
		(void)run_fail(run, "%s", run->barrier.reason);
	return !run->barrier.refused;
}

bool run_database_failed(struct run *run, int r)
{
	if (r >= 0)
		return false;
	(void)run_fail(run, "%s", db_error(run->core->db));
	run->end.database_failed |= db_is_outage(r);
	return true;
}

bool run_transact(struct run *run, int (*write)(void *context), void *context)
{
	return !run_database_failed(run, db_transact(run->core->db, write, context));
}

const char *run_metadata(const struct run_side *side)
{
	return side->side->remote && side_has(side->side, "OBJECTID") ? FETCH_METADATA " EMAILID"
								      : FETCH_METADATA;
}

void run_select(struct run_side *side)
{
	side_select(side->side, &side->run->barrier, &side->view, side->wire_name);
}

bool run_is_disturbed(const struct run *run)
{
	return run->pass.disturbed != run->mailbox->runs.disturbed ||
	       journal_holds(run->core->journal, run->mailbox);
}

void runs_credit_released(struct runs *runs)
{
	struct run *run;

	DL_FOREACH (runs->list, run)
		if (run->local.copier.waits_for_credit || run->remote.copier.waits_for_credit)
			task_wake(&run->task);
}

bool run_take_flags(struct run_side *side, struct changes *changes, const struct response *response)
{
	const unsigned needed = FETCH_UID | FETCH_FLAGS;
	const struct flags *flags;
	size_t left_out;

	if (response->type != RESPONSE_FETCH || (response->fetch.items & needed) != needed)
		return false;
	flags = flags_intern_usable(
		side->run->core->flags, response->atoms, response->atoms_count, &left_out);
	if (flags == NULL || !changes_add(changes, response->fetch.uid, flags))
		side->told.overflow = true;
	return true;
}

bool run_pairs_of(
	struct run_side *side, const struct seqset *uids, struct uid_pair **pairs, size_t *count)
{
	int r = 0;

	for (size_t i = 0; i < uids->count && r >= 0; i++)
		r = mapping_in_range(side->run->core->db, side->run->mailbox->idx,
			side->side->remote, uids->ranges[i].first, uids->ranges[i].last, pairs,
			count);
	return !run_database_failed(side->run, r);
}
