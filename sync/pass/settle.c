/* SPDX-License-Identifier: MIT */
/*
 * SETTLE: messages in doubt, which an interrupted run left behind, or this one.
 *
 * An intent without a mapping is an APPEND whose answer never came.  The messages at the target
 * from the intent's bound on are listed and compared by identity: what is there is mapped, what is
 * not there is dropped from the intents and copied again as any new message.
 *
 * The connection that the APPEND went through may be dead while its server still works off what it
 * had received.  So a message that is missing is looked for again after a pause, until two looks in
 * a row find the same.  What arrives even later is found by late.c.
 */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "sync/base/xalloc.h"
#include "sync/core/core.h"
#include "sync/imap/flags.h"
#include "sync/pass/pass-private.h"

static const double PAUSE_SECONDS = 0.7;

enum { LOOKS_MIN = 2, LOOKS_MAX = 20 };

static bool is_mapped(struct run_side *side, uint32_t uid)
{
	_cleanup_free_ struct uid_pair *pairs = NULL;
	size_t count = 0;

	return mapping_in_range(side->run->core->db, side->run->mailbox->idx, side->side->remote,
		       uid, uid, &pairs, &count) < 0 ||
	       count > 0;
}

/*
 * A server may count a message's size differently from what was sent (bare line feeds), so the same
 * Message-ID and date within a few per cent of the size is the same message too, since we are known
 * to have sent it; but one that is exactly the same goes first.
 */
static bool is_same(const struct identity *sent, const struct identity *found, bool exactly)
{
	uint64_t difference =
		sent->size > found->size ? sent->size - found->size : found->size - sent->size;

	return memcmp(sent->digest, found->digest, sizeof(sent->digest)) == 0 &&
	       sent->date == found->date && difference <= (exactly ? 0 : sent->size / 16);
}

/* How alike a message must be to the one that was sent. */
enum likeness {
	LIKE_EXACTLY,
	LIKE_NEARLY,
	LIKE_TAKEN, /* only for those that the server says it took: whatever it made of them */
};

static struct run_side *source_of(struct run *run, const struct intent *intent)
{
	return intent->to_remote ? &run->local : &run->remote;
}

static bool was_taken(struct run *run, const struct intent *intent)
{
	return seqset_contains(&source_of(run, intent)->arrivals.doubted, intent->source_uid);
}

static bool is_like(struct run *run, const struct intent *intent, const struct identity *found,
	enum likeness likeness)
{
	if (likeness == LIKE_TAKEN)
		return was_taken(run, intent) && identity_may_be_same(&intent->identity, found);
	return is_same(&intent->identity, found, likeness == LIKE_EXACTLY);
}

static struct intent *find_intent(
	struct run_side *target, uint32_t uid, const struct identity *found, enum likeness likeness)
{
	struct run *run = target->run;

	for (size_t i = 0; i < run->settling.count; i++) {
		struct intent *intent = &run->settling.intents[i];

		if (intent->id != 0 && intent->to_remote == target->side->remote &&
			uid >= intent->target_uidnext && is_like(run, intent, found, likeness))
			return intent;
	}
	return NULL;
}

/* A message in doubt that was found. */
struct settling {
	struct run *run;
	const struct intent *intent;
	struct uid_pair pair;
};

static int write_settled(void *context)
{
	const struct settling *settling = context;
	int r = intents_settle(settling->run->core->db, settling->intent, settling->pair);

	return r != 0 ? r
		      : run_quarantine_release(source_of(settling->run, settling->intent),
				settling->intent->source_uid);
}

static bool settle(struct run *run, const struct intent *intent, struct uid_pair pair)
{
	return run_transact(
		run, write_settled, &(struct settling){.run = run, .intent = intent, .pair = pair});
}

static bool on_found(struct command *command, struct response *response)
{
	struct run_side *target = run_side_of(command);
	struct run *run = target->run;
	uint32_t uid = response->fetch.uid;
	struct identity identity;
	struct intent *intent = NULL;
	struct uid_pair pair;

	if (!identity_from_fetch(response, &identity))
		return false;
	for (enum likeness likeness = LIKE_EXACTLY; intent == NULL && likeness <= LIKE_TAKEN;
		likeness++)
		intent = find_intent(target, uid, &identity, likeness);
	if (intent == NULL || is_mapped(target, uid))
		return true;
	pair = (struct uid_pair){.local = intent->source_uid, .remote = uid};
	if (!intent->to_remote)
		pair = (struct uid_pair){.local = uid, .remote = intent->source_uid};
	if (!settle(run, intent, pair))
		return true;
	intent->id = 0;
	run->settling.found++;
	return true;
}

/* Lists a target from the lowest bound of its intents on. */
static bool look(struct run_side *target)
{
	struct run *run = target->run;
	uint32_t from = UINT32_MAX;
	bool any = false;

	for (size_t i = 0; i < run->settling.count; i++) {
		const struct intent *intent = &run->settling.intents[i];

		if (intent->to_remote != target->side->remote)
			continue;
		any = true;
		if (intent->target_uidnext < from)
			from = intent->target_uidnext;
	}
	if (!any)
		return false;
	run_select(target);
	run_read_on(target, from > 0 ? from : 1, target->told.snapshot.uidnext, FETCH_IDENTITY,
		on_found, NULL);
	return true;
}

/* An intent for another UIDVALIDITY cannot be looked up; its mailbox is another one now, and holds
 * nothing of ours. */
static bool load(struct run *run)
{
	size_t kept = 0;

	free(take(run->settling.intents));
	run->settling.count = 0;
	if (run_database_failed(run, intents_load(run->core->db, run->mailbox->idx,
					     &run->settling.intents, &run->settling.count)))
		return false;
	for (size_t i = 0; i < run->settling.count; i++) {
		const struct intent *intent = &run->settling.intents[i];
		const struct run_side *target = run_side(run, intent->to_remote);

		if (intent->target_uidvalidity == target->told.snapshot.uidvalidity)
			run->settling.intents[kept++] = *intent;
		else if (run_database_failed(run, intents_drop(run->core->db, intent)))
			return false;
	}
	run->settling.count = kept;
	return true;
}

bool run_settle_look(struct run *run)
{
	bool any = false;

	if (!load(run) || run->settling.count == 0)
		return false;
	if (run->settling.looks == 0)
		log_notice(CORE_CONTEXT(run->core),
			"Resuming interrupted sync for %s: %zu message(s) in doubt",
			run->mailbox->display, run->settling.count);
	run->settling.found = 0;
	any |= look(&run->local);
	any |= look(&run->remote);
	return any;
}

/* What never arrived is copied again.  What the server says it took is not: it is there, or gone.
 */
static bool give_up(struct run *run, const struct intent *intent)
{
	struct run_side *source = source_of(run, intent);

	if (!was_taken(run, intent))
		return !run_database_failed(run, intents_lapse(run->core->db, intent));
	if (run_database_failed(run, intents_drop(run->core->db, intent)))
		return false;
	if (!run_quarantine_give_up(source, intent->source_uid))
		run_note_problem(run, "the %s server took messages that are not recognised there",
			source->other->side->name);
	return true;
}

bool run_settle_looked(struct run *run)
{
	bool quiet = run->settling.found == 0;

	run->settling.looks++;
	if (run->settling.found < run->settling.count && run->settling.looks < LOOKS_MAX &&
		(run->settling.looks < LOOKS_MIN || !quiet)) {
		ev_timer_set(&run->settling.pause, PAUSE_SECONDS, 0.);
		ev_timer_start(run->core->loop->ev, &run->settling.pause);
		return true;
	}
	for (size_t i = 0; i < run->settling.count; i++)
		if (run->settling.intents[i].id != 0 && !give_up(run, &run->settling.intents[i]))
			return false;
	return false;
}
