/* SPDX-License-Identifier: MIT */
/*
 * The one place from which a message is expunged.  What the plan wants to be gone is sorted by the
 * evidence that there is for it, and written down as an echo (echoes.h) before any command leaves.
 *
 * Expunges are UID STORE +FLAGS.SILENT (\Deleted) and UID EXPUNGE of exactly those UIDs (RFC 4315):
 * what others marked stays.
 */
#include <assert.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "sync/base/xalloc.h"
#include "sync/core/core.h"
#include "sync/core/quarantine.h"
#include "sync/pass/pass-private.h"
#include "sync/state/losses.h"

static const char *const reasons[] = {
	[EVIDENCE_NONE] = "nothing",
	[EVIDENCE_VANISHED] = "it vanished on the other side, which did not go back",
	[EVIDENCE_ABSENT] = "its pair, of an interrupted run, is absent on the other side",
	[EVIDENCE_CLIENT] = "a client expunged it on the other side",
	[EVIDENCE_COPY] = "it is a copy that arrived late",
	[EVIDENCE_REMEMBERED] = "it was gone on the other side before, and is",
};
static_assert(ARRAY_LEN(reasons) == EVIDENCE_COUNT, "one for each");

static enum evidence evidence_of(const struct run_side *side, uint32_t uid)
{
	bool told = seqset_contains(&side->told.vanished, uid);

	if (told && !side->side->remote && seqset_contains(&side->run->removals.uids, uid))
		return EVIDENCE_CLIENT;
	if (told)
		return EVIDENCE_VANISHED;
	if (seqset_contains(&side->losses.remembered, uid))
		return EVIDENCE_REMEMBERED;
	return seqset_contains(&side->losses.absent, uid) ? EVIDENCE_ABSENT : EVIDENCE_NONE;
}

static bool add_due(struct run_side *side, uint32_t uid, enum evidence evidence)
{
	assert(evidence != EVIDENCE_NONE);
	if (evidence != EVIDENCE_NONE && seqset_add(&side->losses.due[evidence], uid))
		return true;
	(void)run_fail(side->run,
		"there is no evidence that %s UID %" PRIu32
		" was deleted on the other side: nothing is deleted (please report this)",
		side->side->name, uid);
	return false;
}

/* A pair of which one is gone: the other one is due. */
static bool sort_pair(struct run *run, const struct uid_pair *pair)
{
	bool local_gone = seqset_contains(&run->local.losses.gone, pair->local);
	bool remote_gone = seqset_contains(&run->remote.losses.gone, pair->remote);

	if (local_gone && remote_gone)
		return true;
	if (remote_gone)
		return add_due(&run->local, pair->local, evidence_of(&run->remote, pair->remote));
	return add_due(&run->remote, pair->remote,
		local_gone ? evidence_of(&run->local, pair->local) : EVIDENCE_NONE);
}

/* Echoes that were noted before are losses that were counted before. */
struct noted {
	uint64_t local, remote; /* by the side that they vanished on */
};

static int note_pair(struct run *run, const struct uid_pair *pair, struct noted *noted)
{
	bool local_gone = seqset_contains(&run->local.losses.gone, pair->local);
	bool remote_gone = seqset_contains(&run->remote.losses.gone, pair->remote);
	struct echo echo = {.uid = pair->local, .other_uid = pair->remote};
	int r;

	if (local_gone && remote_gone)
		return 0;
	if (local_gone)
		echo = (struct echo){.remote = true, .uid = pair->remote, .other_uid = pair->local};
	r = echoes_insert(run->core->db, run->mailbox->idx, &echo);
	*(local_gone ? &noted->local : &noted->remote) += r > 0;
	return r;
}

static int count_losses(struct run_side *side, uint64_t noted)
{
	uint64_t messages = noted < side->losses.counted ? noted : side->losses.counted;

	if (messages == 0)
		return 0;
	return losses_add(
		side->run->core->db, side->run->mailbox->idx, side->side->remote, messages);
}

static int note_all(void *context)
{
	struct run *run = context;
	struct noted noted = {0};
	int r = 0;

	for (size_t i = 0; i < run->pass.plan.unmap_count && r >= 0; i++)
		r = note_pair(run, &run->pass.plan.unmap[i], &noted);
	if (r >= 0)
		r = count_losses(&run->local, noted.local);
	if (r >= 0)
		r = count_losses(&run->remote, noted.remote);
	return r;
}

static bool any_due(const struct run_side *side)
{
	for (size_t i = 0; i < ARRAY_LEN(side->losses.due); i++)
		if (i != EVIDENCE_COPY && !seqset_is_empty(&side->losses.due[i]))
			return true;
	return false;
}

bool run_expunge_decide(struct run *run)
{
	run->pass.decided = true;
	for (size_t i = 0; i < run->pass.plan.unmap_count; i++)
		if (!sort_pair(run, &run->pass.plan.unmap[i]))
			return false;
	if (!seqset_add_set(&run->local.losses.due[EVIDENCE_COPY], &run->local.losses.late) ||
		!seqset_add_set(&run->remote.losses.due[EVIDENCE_COPY], &run->remote.losses.late)) {
		(void)run_fail(run, "more messages are to be removed than can be taken");
		return false;
	}
	if (!any_due(&run->local) && !any_due(&run->remote))
		return true;
	return run_transact(run, note_all, run);
}

/* A command about these messages. */
struct expunge_request {
	struct run_request run;
	struct seqset uids;
	enum evidence evidence;
};

static struct expunge_request *expunge_of(struct request *request)
{
	return container_of(request, struct expunge_request, run.request);
}

static void note_refused(struct run_side *side, const struct expunge_request *expunge)
{
	struct expunges *refused = &side->losses.refused;
	const struct command *command = &expunge->run.request.command;

	refused->list = xreallocarray(refused->list, refused->count + 1, sizeof(*refused->list));
	seqset_init(&refused->list[refused->count]);
	seqset_copy(&refused->list[refused->count++], &expunge->uids);
	refused->general |= refusal_is_general(command);
	free(refused->words);
	refused->words = command_reason(command);
}

static bool on_answer(struct request *request)
{
	struct expunge_request *expunge = expunge_of(request);
	struct run_side *side = expunge->run.side;

	if (request->command.outcome == OUTCOME_OK)
		return false;
	/* A copy of ours has no pair that could be remembered: it is new again for the next run. */
	if (expunge->evidence == EVIDENCE_COPY ||
		(request->command.outcome != OUTCOME_NO &&
			request->command.outcome != OUTCOME_BAD)) {
		side->run->pass.reread = true;
		return false;
	}
	note_refused(side, expunge);
	return true;
}

static void release_expunge(struct request *request)
{
	seqset_done(&expunge_of(request)->uids);
}

/* "verb SET more" for the part of the set that fits into a line; advances *index. */
static void submit_part(struct run_side *side, const char *verb, const struct seqset *uids,
	size_t *index, const char *more, enum evidence evidence)
{
	struct expunge_request *expunge =
		request_new(&side->run->barrier, side->side, sizeof(*expunge), on_answer);
	size_t first = *index;

	expunge->run.side = side;
	expunge->run.request.release = release_expunge;
	expunge->evidence = evidence;
	command_puts(&expunge->run.request.command, verb);
	command_set(&expunge->run.request.command, uids, index);
	command_puts(&expunge->run.request.command, more);
	for (size_t i = first; i < *index; i++)
		(void)seqset_add_range(&expunge->uids, uids->ranges[i].first, uids->ranges[i].last);
	request_submit(&expunge->run.request);
}

static void submit(struct run_side *side, const struct seqset *uids, enum evidence evidence)
{
	size_t index;

	for (index = 0; index < uids->count;)
		submit_part(
			side, "UID STORE ", uids, &index, " +FLAGS.SILENT (\\Deleted)", evidence);
	for (index = 0; index < uids->count;)
		submit_part(side, "UID EXPUNGE ", uids, &index, "", evidence);
}

static void expunge(struct run_side *side, const struct seqset *uids, enum evidence evidence)
{
	if (seqset_is_empty(uids))
		return;
	run_log_set(side, "Removed", uids, "");
	log_debug(SIDE_CONTEXT(side->side, side->run->mailbox->display),
		"evidence for %" PRIu64 " message(s): %s", seqset_count(uids), reasons[evidence]);
	submit(side, uids, evidence);
}

bool run_expunge(struct run_side *side)
{
	bool any = any_due(side) || !seqset_is_empty(&side->losses.due[EVIDENCE_COPY]);

	if (any)
		run_select(side);
	for (size_t i = EVIDENCE_NONE + 1; i < EVIDENCE_COUNT; i++)
		expunge(side, &side->losses.due[i], (enum evidence)i);
	return any;
}

/* Of what was refused, what is still there: in halves, or by itself.  The evidence is what it was.
 */
static void send_halves(struct run_side *side, const struct seqset *left)
{
	struct seqset halves[2];

	seqset_init(&halves[0]);
	seqset_init(&halves[1]);
	seqset_halve(left, &halves[0], &halves[1]);
	run_select(side);
	for (size_t i = 0; i < ARRAY_LEN(halves); i++) {
		submit(side, &halves[i], EVIDENCE_VANISHED);
		seqset_done(&halves[i]);
	}
	side->left_out.splits += 2;
}

static void look_into(struct run_side *side, const struct expunges *refused, struct seqset *seen,
	struct seqset *left)
{
	seqset_remove_set(left, &side->told.expunged);
	seqset_remove_set(left, seen); /* both commands for them were refused */
	(void)seqset_add_set(seen, left);
	if (seqset_is_empty(left))
		return;
	if (refused->general || seqset_count(left) == 1 || side->left_out.splits >= RUN_SPLITS_MAX)
		refusals_add(&side->left_out.refusals, QUARANTINE_EXPUNGE, left, refused->words);
	else
		send_halves(side, left);
}

static void free_expunges(struct expunges *expunges)
{
	for (size_t i = 0; i < expunges->count; i++)
		seqset_done(&expunges->list[i]);
	free(expunges->list);
	free(expunges->words);
}

bool run_expunge_again(struct run_side *side)
{
	struct expunges refused = side->losses.refused;
	struct seqset seen;

	if (refused.count == 0)
		return false;
	side->losses.refused = (struct expunges){0};
	seqset_init(&seen);
	for (size_t i = 0; i < refused.count; i++)
		look_into(side, &refused, &seen, &refused.list[i]);
	seqset_done(&seen);
	free_expunges(&refused);
	return side->run->barrier.waiting > 0;
}

void run_expunge_clear(struct run_side *side)
{
	free_expunges(&side->losses.refused);
	side->losses.refused = (struct expunges){0};
}

static void remove_refused(const struct run_side *side, struct seqset *set)
{
	for (size_t i = 0; i < side->left_out.refusals.count; i++)
		if (side->left_out.refusals.list[i].kind == QUARANTINE_EXPUNGE)
			seqset_remove_set(set, &side->left_out.refusals.list[i].uids);
}

/*
 * The OK of UID EXPUNGE does not say that the messages are gone: Dovecot was seen to leave one
 * behind.  What it did not report (RFC 7162 section 3.2.10) is still there, and its pair must not
 * go before it.  What is overlooked twice is as good as refused.
 */
void run_expunge_check(struct run_side *side)
{
	struct seqset left, again;

	seqset_init(&left);
	seqset_init(&again);
	for (size_t i = 0; i < ARRAY_LEN(side->losses.due); i++)
		(void)seqset_add_set(&left, &side->losses.due[i]);
	seqset_remove_set(&left, &side->told.expunged);
	remove_refused(side, &left);
	seqset_copy(&again, &left);
	seqset_intersect(&again, &side->losses.overlooked);
	seqset_remove_set(&again, &side->losses.late);
	if (!seqset_is_empty(&again))
		refusals_add(&side->left_out.refusals, QUARANTINE_EXPUNGE, &again,
			"it answered OK, and the message is still there");
	seqset_copy(&side->losses.overlooked, &left);
	seqset_remove_set(&left, &again);
	if (!seqset_is_empty(&left))
		side->run->pass.reread = side->run->pass.again = true;
	seqset_done(&left);
	seqset_done(&again);
}

bool run_expunge_is_left(const struct run_side *side, uint32_t uid)
{
	for (size_t i = 0; i < side->left_out.refusals.count; i++)
		if (side->left_out.refusals.list[i].kind == QUARANTINE_EXPUNGE &&
			seqset_contains(&side->left_out.refusals.list[i].uids, uid))
			return true;
	return false;
}
