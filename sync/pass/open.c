/* SPDX-License-Identifier: MIT */
/* OPEN: both sides tell what changed since the database's state. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "sync/base/xalloc.h"
#include "sync/core/advice.h"
#include "sync/core/core.h"
#include "sync/core/quarantine.h"
#include "sync/imap/flags.h"
#include "sync/carry/moves-wait.h"
#include "sync/pass/pass-private.h"

static struct run_side *side_of(struct view *view)
{
	return container_of(view, struct run_side, view);
}

static void on_fetched(struct view *view, struct response *response)
{
	struct run_side *side = side_of(view);

	/* Whatever makes the server speak of a message, it is not gone. */
	if ((response->fetch.items & FETCH_UID) &&
		seqset_contains(&side->losses.gone, response->fetch.uid))
		(void)seqset_add(&side->losses.alive, response->fetch.uid);
	if ((response->fetch.items & FETCH_UID) &&
		seqset_contains(&side->arrivals.fresh, response->fetch.uid))
		(void)seqset_add(&side->arrivals.untold, response->fetch.uid);
	if (side->told.reading)
		(void)run_take_flags(side, &side->told.changes, response);
}

static void on_vanished(struct view *view, const struct seqset *uids, bool earlier)
{
	struct run_side *side = side_of(view);

	if (!seqset_add_set(side->told.reading ? &side->told.vanished : &side->told.expunged, uids))
		side->told.overflow = true;
}

/* The state is what the SELECT said; what the view hears after it is newer than the changes that
 * were read. */
static bool on_selected(struct request *request)
{
	struct run_side *side = container_of(request, struct run_request, request)->side;
	const struct view *view = &side->view;

	side->told.reading = false;
	side->told.snapshot = (struct mailbox_state){
		.uidvalidity = view->uidvalidity,
		.uidnext = view->uidnext,
		.highestmodseq = view->highestmodseq,
	};
	side->told.uidnext = view->uidnext;
	side->told.exists = view->exists;
	return false;
}

static bool on_metadata(struct command *command, struct response *response)
{
	struct run_side *side = run_side_of(command);

	if (response->type != RESPONSE_FETCH || !(response->fetch.items & FETCH_SIZE))
		return false;
	/*
	 * "n:*" also names the highest UID when that is below n (RFC 3501 section 9), and what came
	 * after the SELECT, which the next pass sees.
	 */
	if (!side->arrivals.complete || !(response->fetch.items & FETCH_UID) ||
		response->fetch.uid < run_base(side)->uidnext ||
		response->fetch.uid >= side->told.snapshot.uidnext)
		return true;
	/* More than there can be: the ordinary way asks for UIDs by number. */
	if (side->arrivals.items.count >= RUN_FETCH_AT_ONCE_TAKEN) {
		items_clear(&side->arrivals.items);
		side->arrivals.complete = false;
	} else {
		run_take_item(side, response);
	}
	return true;
}

/* The ordinary way asks for UIDs by number, and finds which of them the refusal is about. */
static bool on_new_fetched(struct request *request)
{
	struct run_side *side = container_of(request, struct run_request, request)->side;

	if ((request->command.outcome != OUTCOME_NO && request->command.outcome != OUTCOME_BAD) ||
		refusal_is_general(&request->command))
		return false;
	items_clear(&side->arrivals.items);
	side->arrivals.complete = false;
	return true;
}

/* New mail that is known to be little is asked for in the same flight; but what a client has moved
 * here is paired already. */
static void fetch_new(struct run_side *side)
{
	const struct mailbox_side *mailbox = mailbox_side(side->run->mailbox, side->side->remote);
	uint32_t from = mailbox->base.uidnext > 0 ? mailbox->base.uidnext : 1;

	if (!side->run->pass.first || side->run->repair || side->run->mailbox->runs.replayed ||
		!seqset_is_empty(&side->left_out.retried) || run_withholds(side) ||
		mailbox->seen.uidvalidity != mailbox->base.uidvalidity ||
		mailbox->seen.uidnext <= from || mailbox->seen.uidnext - from > RUN_FETCH_AT_ONCE)
		return;
	run_read_on(
		side, from, mailbox->seen.uidnext, run_metadata(side), on_metadata, on_new_fetched);
	side->arrivals.complete = true;
}

static void open_side(struct run_side *side)
{
	const struct mailbox_state *base = run_base(side);
	struct run_request *request;

	side->view.fetched = on_fetched;
	side->view.vanished = on_vanished;
	side->told.reading = true;
	side->told.overflow = false;
	side_unselect(side->side, &side->run->barrier);
	request = request_new(&side->run->barrier, side->side, sizeof(*request), on_selected);
	request->side = side;
	command_select(&request->request.command, "SELECT", side->wire_name, &side->view);
	if (base->uidvalidity > 0 && base->highestmodseq > 0)
		command_printf(&request->request.command, " (QRESYNC (%" PRIu32 " %" PRIu64 "))",
			base->uidvalidity, base->highestmodseq);
	request_submit(&request->request);
	run_echoes_ask(side);
	fetch_new(side);
}

void run_open(struct run *run)
{
	if (run->local.wire_name == NULL || run->remote.wire_name == NULL) {
		(void)run_fail(run, "its name cannot be expressed on the %s server",
			run->local.wire_name == NULL ? "local" : "remote");
		run->barrier.refused = true;
		task_wake(&run->task);
		return;
	}
	run_removals_load(run);
	run_echoes_load(run);
	if (run->pass.first)
		run_in_step_load(run);
	open_side(&run->local);
	open_side(&run->remote);
}

static bool is_renewed(struct run_side *side)
{
	uint32_t known = run_base(side)->uidvalidity;

	return known != 0 && known != side->told.snapshot.uidvalidity;
}

bool run_is_renewed(struct run *run)
{
	return is_renewed(&run->local) || is_renewed(&run->remote);
}

/* What is advised must not put two mailboxes together without saying so. */
static char *advise(struct run_side *side)
{
	const struct core *core = side->run->core;
	const char *mailbox = side->run->mailbox->display;
	_cleanup_free_ char *forget = advice(core, "--target=database --delete", mailbox, NULL);
	_cleanup_free_ char *aside = NULL, *keep = NULL;

	if (strcmp(side->run->mailbox->name, "INBOX") == 0) /* servers do not rename it */
		return xasprintf("To put the messages of both sides together, run `%s`", forget);
	aside = xasprintf("%s-old", mailbox);
	keep = advice(core,
		side->side->remote ? "--target=local --rename" : "--target=remote --rename",
		mailbox, aside);
	return xasprintf("To put the messages of both sides together, run `%s`; to keep the two "
			 "apart, run `%s` before that",
		forget, keep);
}

void run_fail_renewed(struct run_side *side)
{
	_cleanup_free_ char *advised = advise(side);

	(void)run_fail(side->run,
		"UIDVALIDITY changed on the %s server! (%" PRIu32 " != %" PRIu32
		")  It does not hold the messages that it held, and may be another mailbox. %s",
		side->side->name, side->told.snapshot.uidvalidity, run_base(side)->uidvalidity,
		advised);
}

static bool check_side(struct run_side *side)
{
	const char *name = side->side->name;

	if (side->view.uids_not_sticky)
		(void)run_fail(side->run,
			"the %s server gives its messages new UIDs each time (UIDNOTSTICKY): it "
			"cannot be "
			"synchronized",
			name);
	else if (side->view.no_modseq || side->told.snapshot.highestmodseq == 0)
		(void)run_fail(side->run, "the %s server keeps no mod-sequences for it", name);
	else if (side->told.snapshot.uidvalidity == 0 || side->told.snapshot.uidnext == 0)
		(void)run_fail(
			side->run, "the %s server does not tell its UIDVALIDITY and UIDNEXT", name);
	else if (side->told.overflow)
		(void)run_fail(
			side->run, "the %s server reports more changes than can be taken", name);
	else
		return true;
	return false;
}

/*
 * Under the same UIDVALIDITY, the side is in an older state than the one that was replicated: it
 * was restored from a backup, or lost its record of changes (Dovecot without its index files) and
 * counts mod-sequences from the beginning.  What it reports since is neither all nor true, what it
 * misses may be lost and not deleted, and its UIDs may be those of other messages by now.
 */
static void note_went_back(struct run_side *side)
{
	const struct mailbox_state *base = run_base(side), *now = &side->told.snapshot;
	const struct log_context *context = SIDE_CONTEXT(side->side, side->run->mailbox->display);
	uint32_t uidnext = run_in_step_uidnext(side);

	side->told.went_back = now->uidnext < uidnext || now->highestmodseq < base->highestmodseq;
	if (!side->told.went_back)
		return;
	if (now->uidnext < uidnext)
		log_warning(context,
			"UIDNEXT went back from %" PRIu32 " to %" PRIu32
			" (restored from a backup?): comparing all messages",
			uidnext, now->uidnext);
	else
		log_warning(context,
			"HIGHESTMODSEQ went back from %" PRIu64 " to %" PRIu64
			": comparing all messages",
			base->highestmodseq, now->highestmodseq);
	run_audit_anew(side->run);
}

/* Remembers the UIDVALIDITY before any message is paired under it. */
static bool remember_side(struct run_side *side)
{
	return !run_database_failed(
		side->run, mailbox_remember_uidvalidity(side->run->mailbox, side->run->core->db,
				   side->side->remote, side->told.snapshot.uidvalidity));
}

/* What vanished and is mapped: the rest concerns nobody. */
static bool find_gone(struct run_side *side)
{
	_cleanup_free_ struct uid_pair *pairs = NULL;
	size_t count = 0;

	if (!run_pairs_of(side, &side->told.vanished, &pairs, &count))
		return false;
	for (size_t i = 0; i < count; i++)
		(void)seqset_add(
			&side->losses.gone, side->side->remote ? pairs[i].remote : pairs[i].local);
	return true;
}

/* What the server says of the same messages now is newer. */
static void add_carried(struct run_side *side)
{
	size_t count = side->told.changes.count;

	for (size_t i = 0; i < side->flags.carried.count; i++) {
		const struct plan_change *carried = &side->flags.carried.list[i];
		struct changes reported = {.list = side->told.changes.list, .count = count};

		if (changes_find(&reported, carried->uid) == NULL &&
			!changes_add(&side->told.changes, carried->uid, carried->flags))
			side->told.overflow = true;
	}
	changes_sort(&side->told.changes);
	changes_clear(&side->flags.carried);
}

static const struct flags *permanent_flags(const struct run_side *side)
{
	const struct view *view = &side->view;
	struct flag_pool *pool = side->run->core->flags;

	return view->has_permanent ? flags_intern(pool, view->permanent, view->permanent_count)
				   : flags_all_permanent(pool);
}

/* Keywords that we stored, and that the server says that the message does not have. */
static const struct flags *unkept(struct run_side *side, const struct plan_change *told)
{
	struct flag_pool *pool = side->run->core->flags;
	const struct flags *expected = changes_find(&side->flags.expected, told->uid), *missing;

	if (expected == NULL || expected == told->flags ||
		!flags_are_empty(flags_minus(pool, told->flags, expected)))
		return NULL;
	missing = flags_minus(pool, expected, told->flags);
	return flags_are_empty(flags_system(pool, missing)) ? missing : NULL;
}

/* A server that takes keywords and does not keep them has not changed anything.  They stay where
 * they are, as those that PERMANENTFLAGS leaves out. */
static void drop_unkept(struct run_side *side)
{
	struct run *run = side->run;
	size_t kept = 0;

	for (size_t i = 0; i < side->told.changes.count; i++) {
		const struct flags *missing = unkept(side, &side->told.changes.list[i]);

		if (missing == NULL)
			side->told.changes.list[kept++] = side->told.changes.list[i];
		else
			side_warn_dropped(side->side, run->mailbox, missing);
	}
	side->told.changes.count = kept;
}

static bool read_side(struct run_side *side)
{
	changes_sort(&side->told.changes);
	changes_sort(&side->flags.expected);
	drop_unkept(side);
	changes_drop_echoes(&side->told.changes, &side->flags.expected);
	changes_clear(&side->flags.expected);
	items_sort(&side->arrivals.items);
	side->told.permanent = permanent_flags(side);
	if (side->told.went_back) { /* what it reports is since another state than ours */
		changes_clear(&side->told.changes);
		seqset_clear(&side->told.vanished);
	}
	add_carried(side);
	return find_gone(side);
}

/*
 * A run copies no more messages than both sides had, and than came meanwhile, whatever servers make
 * of what they are sent: what they do not let us recognise would go to and fro, and grow.
 */
static void allow_copies(struct run_side *side)
{
	uint32_t now = side->told.snapshot.uidnext, before = side->arrivals.counted_uidnext;
	uint64_t grown = now > before ? now - before : 0;

	if (before == 0 || grown > (uint64_t)side->told.exists + side->arrivals.appended)
		grown = (uint64_t)side->told.exists + side->arrivals.appended;
	side->run->copies_allowed +=
		grown > side->arrivals.appended ? grown - side->arrivals.appended : 0;
	side->arrivals.counted_uidnext = now;
	side->arrivals.appended = 0;
}

bool run_opened(struct run *run)
{
	if (!check_side(&run->local) || !check_side(&run->remote))
		return false;
	if (run_is_renewed(run))
		return true;
	if (!remember_side(&run->local) || !remember_side(&run->remote))
		return false;
	note_went_back(&run->local);
	note_went_back(&run->remote);
	if (!read_side(&run->local) || !read_side(&run->remote))
		return false;
	run_refused_try(run);
	allow_copies(&run->local);
	allow_copies(&run->remote);
	moves_wait_opened(run);
	return true;
}
