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
#include <string.h>

#include "sync/base/xalloc.h"
#include "sync/engine/engine-private.h"
#include "sync/engine/run.h"
#include "sync/state/losses.h"

static const char *const reasons[] = {
	[EVIDENCE_NONE] = "nothing",
	[EVIDENCE_VANISHED] = "it vanished on the other side, which did not go back",
	[EVIDENCE_ABSENT] = "its pair, of an interrupted run, is absent on the other side",
	[EVIDENCE_CLIENT] = "a client expunged it on the other side",
	[EVIDENCE_COPY] = "it is a copy that arrived late",
};
static_assert(ARRAY_LEN(reasons) == EVIDENCE_COUNT, "one for each");

static enum evidence evidence_of(const struct run_side *side, uint32_t uid)
{
	bool told = seqset_contains(&side->vanished, uid);

	if (told && !side->side->remote && seqset_contains(&side->run->removed, uid))
		return EVIDENCE_CLIENT;
	if (told)
		return EVIDENCE_VANISHED;
	return seqset_contains(&side->absent, uid) ? EVIDENCE_ABSENT : EVIDENCE_NONE;
}

static bool add_due(struct run_side *side, uint32_t uid, enum evidence evidence)
{
	assert(evidence != EVIDENCE_NONE);
	if (evidence != EVIDENCE_NONE && seqset_add(&side->due[evidence], uid))
		return true;
	(void)run_fail(side->run,
		"there is no evidence that %s UID %" PRIu32
		" was deleted on the other side: nothing is deleted (please report this)",
		side->side->name, uid);
	return false;
}

/* A pair of which one is gone: the other one is due. */
static bool sort_pair(struct run *run, const struct plan_pair *pair)
{
	bool local_gone = seqset_contains(&run->local.gone, pair->local);
	bool remote_gone = seqset_contains(&run->remote.gone, pair->remote);

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

static int note_pair(struct run *run, const struct plan_pair *pair, struct noted *noted)
{
	bool local_gone = seqset_contains(&run->local.gone, pair->local);
	bool remote_gone = seqset_contains(&run->remote.gone, pair->remote);
	struct echo echo = {.uid = pair->local, .other_uid = pair->remote};
	int r;

	if (local_gone && remote_gone)
		return 0;
	if (local_gone)
		echo = (struct echo){.remote = true, .uid = pair->remote, .other_uid = pair->local};
	r = echoes_insert(run->engine->db, run->mailbox->idx, &echo);
	*(local_gone ? &noted->local : &noted->remote) += r > 0;
	return r;
}

static int count_losses(struct run_side *side, uint64_t noted)
{
	uint64_t messages = noted < side->counted ? noted : side->counted;

	if (messages == 0)
		return 0;
	return losses_add(
		side->run->engine->db, side->run->mailbox->idx, side->side->remote, messages);
}

static int note_all(struct run *run)
{
	struct noted noted = {0};
	int r = 0;

	for (size_t i = 0; i < run->plan.unmap_count && r >= 0; i++)
		r = note_pair(run, &run->plan.unmap[i], &noted);
	if (r >= 0)
		r = count_losses(&run->local, noted.local);
	if (r >= 0)
		r = count_losses(&run->remote, noted.remote);
	return r;
}

static bool any_due(const struct run_side *side)
{
	for (size_t i = 0; i < ARRAY_LEN(side->due); i++)
		if (i != EVIDENCE_COPY && !seqset_is_empty(&side->due[i]))
			return true;
	return false;
}

bool run_expunge_decide(struct run *run)
{
	struct db *db = run->engine->db;

	run->decided = true;
	for (size_t i = 0; i < run->plan.unmap_count; i++)
		if (!sort_pair(run, &run->plan.unmap[i]))
			return false;
	if (!seqset_add_set(&run->local.due[EVIDENCE_COPY], &run->local.late) ||
		!seqset_add_set(&run->remote.due[EVIDENCE_COPY], &run->remote.late)) {
		(void)run_fail(run, "more messages are to be removed than can be taken");
		return false;
	}
	if (!any_due(&run->local) && !any_due(&run->remote))
		return true;
	if (run_database_failed(run, db_begin(db)))
		return false;
	if (run_database_failed(run, note_all(run))) {
		db_rollback(db);
		return false;
	}
	return !run_database_failed(run, db_commit(db));
}

static bool on_answer(struct request *request)
{
	if (request->command.outcome != OUTCOME_OK)
		container_of(request, struct run_request, request)->side->run->reread = true;
	return false;
}

/* "verb SET more" for the part of the set that fits into a line; advances *index. */
static void submit_part(struct run_side *side, const char *verb, const struct seqset *uids,
	size_t *index, const char *more)
{
	struct run_request *request =
		request_new(&side->run->barrier, side->side, sizeof(*request), on_answer);

	request->side = side;
	command_puts(&request->request.command, verb);
	command_set(&request->request.command, uids, index);
	command_puts(&request->request.command, more);
	request_submit(&request->request);
}

static void expunge(struct run_side *side, const struct seqset *uids, enum evidence evidence)
{
	size_t index;

	if (seqset_is_empty(uids))
		return;
	run_log_set(side, "Removed", uids, "");
	log_debug(SIDE_CONTEXT(side->side, side->run->mailbox->display),
		"evidence for %" PRIu64 " message(s): %s", seqset_count(uids), reasons[evidence]);
	for (index = 0; index < uids->count;)
		submit_part(side, "UID STORE ", uids, &index, " +FLAGS.SILENT (\\Deleted)");
	for (index = 0; index < uids->count;)
		submit_part(side, "UID EXPUNGE ", uids, &index, "");
}

bool run_expunge(struct run_side *side)
{
	bool any = any_due(side) || !seqset_is_empty(&side->due[EVIDENCE_COPY]);

	if (any)
		run_select(side);
	for (size_t i = EVIDENCE_NONE + 1; i < EVIDENCE_COUNT; i++)
		expunge(side, &side->due[i], (enum evidence)i);
	return any;
}

/*
 * The OK of UID EXPUNGE does not say that the messages are gone: Dovecot was seen to leave one
 * behind.  What it did not report (RFC 7162 section 3.2.10) is still there, and its pair must not
 * go before it.
 */
void run_expunge_check(struct run_side *side)
{
	struct seqset left;

	seqset_init(&left);
	for (size_t i = 0; i < ARRAY_LEN(side->due); i++)
		(void)seqset_add_set(&left, &side->due[i]);
	seqset_remove_set(&left, &side->expunged);
	if (!seqset_is_empty(&left))
		side->run->reread = side->run->again = true;
	seqset_done(&left);
}
