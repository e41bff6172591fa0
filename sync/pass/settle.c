/* SPDX-License-Identifier: MIT */
/*
 * SETTLE: what an interrupted run left behind.
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

static bool on_flags(struct command *command, struct response *response)
{
	struct run_side *side = run_side_of(command);

	if (!run_take_flags(side, &side->told.changes, response))
		return false;
	(void)seqset_add(&side->losses.alive, response->fetch.uid);
	return true;
}

/* What OPEN told already need not be asked for: after a client has moved thousands of messages,
 * that is all of them. */
static void ask_flags(struct run_side *side, const struct uid_pair *pairs, size_t count)
{
	seqset_clear(&side->flags.asked);
	for (size_t i = 0; i < count; i++) {
		uint32_t uid = side->side->remote ? pairs[i].remote : pairs[i].local;

		if (changes_find(&side->told.changes, uid) == NULL &&
			!seqset_add(&side->flags.asked, uid))
			side->told.overflow = true;
	}
	if (seqset_is_empty(&side->flags.asked))
		return;
	run_select(side);
	run_fetch(side, &side->run->barrier, &side->flags.asked, "UID FLAGS", on_flags);
}

static int by_remote(const void *one, const void *other)
{
	const struct uid_pair *a = one, *b = other;

	return a->remote < b->remote ? -1 : a->remote > b->remote;
}

void run_settled_load(struct run *run)
{
	(void)run_database_failed(
		run, settled_load(run->core->db, run->mailbox->idx, &run->pairs_settled));
}

static uint32_t highest(uint32_t one, uint32_t other)
{
	return one > other ? one : other;
}

uint32_t run_settled_uidnext(struct run_side *side)
{
	const struct settled *settled = &side->run->pairs_settled;

	return highest(
		run_base(side)->uidnext, side->side->remote ? settled->remote : settled->local);
}

/* Without a HIGHESTMODSEQ no changes are told, so that no flags are known. */
static uint32_t dangling_from(struct run_side *side)
{
	return run_base(side)->highestmodseq > 0 ? run_settled_uidnext(side) : 0;
}

/* All pairs below what OPEN's SELECT told are in step with it, or will be told of again: those that
 * are made in a pass have a UID beyond that on the side that they were copied to. */
struct settled run_settled_reached(const struct run *run, const struct mailbox_state *local,
	const struct mailbox_state *remote)
{
	const struct settled told = {
		.local = run->local.told.uidnext,
		.remote = run->remote.told.uidnext,
	};

	if (local->highestmodseq == 0 || remote->highestmodseq == 0 ||
		(told.local <= local->uidnext && told.remote <= remote->uidnext))
		return (struct settled){0};
	return told;
}

bool run_dangling_ask(struct run *run)
{
	_cleanup_free_ struct uid_pair *pairs = NULL;
	size_t count = 0;

	if (run_database_failed(run,
		    mapping_dangling(run->core->db, run->mailbox->idx, dangling_from(&run->local),
			    dangling_from(&run->remote), &pairs, &count)) ||
		count == 0)
		return false;
	if (!run->pass.renewed && !run->mailbox->runs.replayed)
		log_info(CORE_CONTEXT(run->core), "Resuming interrupted sync for %s",
			run->mailbox->display);
	ask_flags(&run->local, pairs, count);
	qsort(pairs, count, sizeof(*pairs), by_remote); /* ascending sets are cheap to build */
	ask_flags(&run->remote, pairs, count);
	return true;
}

static void asked_side(struct run_side *side)
{
	changes_settle(&side->told.changes);
	/* What did not answer is gone; CONFIRM asks once more. */
	seqset_remove_set(&side->flags.asked, &side->losses.alive);
	(void)seqset_add_set(&side->losses.absent, &side->flags.asked);
	(void)seqset_add_set(&side->losses.gone, &side->flags.asked);
	seqset_clear(&side->losses.alive);
}

void run_dangling_asked(struct run *run)
{
	asked_side(&run->local);
	asked_side(&run->remote);
}
