/* SPDX-License-Identifier: MIT */
/*
 * Messages that a run leaves alone (core/quarantine.h), and those that it tries again.
 *
 * A message that is left out has no pair, and UIDNEXT may have gone on past it.  So the run looks
 * for it by its UID when it is due: it is copied like a new message then, or left out for longer,
 * or it is gone.  It is gone when the server, asked for its UID alone, does not name it; that it
 * was reported so is only a reason to ask.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "sync/base/xalloc.h"
#include "sync/core/core.h"
#include "sync/core/quarantine.h"
#include "sync/run/helpers.h"

static const char unrecognised[] = "it answered OK, and none of its new messages is recognised";

/* Kinds that say of a message that it is not on the other side. */
static bool is_left_out(const struct quarantine *row)
{
	return row->kind == QUARANTINE_APPEND || row->kind == QUARANTINE_FETCH ||
	       row->kind == QUARANTINE_DOUBT;
}

/* What the other side took must not be sent again for no other reason than that time has passed. */
static bool is_due(const struct run *run, const struct quarantine *row)
{
	if (row->kind == QUARANTINE_DOUBT)
		return run->repair;
	return run->repair || run->retries || quarantine_is_due(row->next, time(NULL));
}

static void note_row(struct run_side *side, const struct quarantine *row)
{
	(void)seqset_add(&side->left_out.quarantined, row->uid);
	if (row->kind == QUARANTINE_DOUBT)
		(void)seqset_add(&side->arrivals.doubted, row->uid);
	(void)seqset_add(
		is_due(side->run, row) ? &side->left_out.retried : &side->left_out.alone, row->uid);
}

static void load_row(struct run_side *side, const struct quarantine *row)
{
	if (is_left_out(row))
		note_row(side, row);
	else if (row->kind == QUARANTINE_STORE || row->kind == QUARANTINE_EXPUNGE)
		run_refused_load(side, row);
}

static void clear(struct run_side *side)
{
	seqset_clear(&side->left_out.quarantined);
	seqset_clear(&side->arrivals.doubted);
	seqset_clear(&side->left_out.alone);
	seqset_clear(&side->left_out.retried);
}

bool run_quarantine_load(struct run *run)
{
	struct quarantine *rows = NULL;
	size_t count = 0;

	run_refused_done(&run->local);
	run_refused_done(&run->remote);
	clear(&run->local);
	clear(&run->remote);
	if (run->mailbox->left_out.rows == 0)
		return true;
	if (run_database_failed(
		    run, quarantine_load(run->core->db, run->mailbox->idx, &rows, &count)))
		return false;
	for (size_t i = 0; i < count; i++)
		load_row(run_side(run, rows[i].remote), &rows[i]);
	quarantine_free(rows, count);
	if (!seqset_is_empty(&run->local.left_out.retried) ||
		!seqset_is_empty(&run->remote.left_out.retried))
		quarantine_note_tried(run->mailbox);
	return true;
}

bool run_quarantine(struct run_side *source, enum quarantine_kind kind, uint32_t uid,
	const struct item *item, const char *words)
{
	const struct quarantine refused = {
		.kind = kind,
		.remote = source->side->remote,
		.uid = uid,
		.size = item != NULL ? item->identity.size : 0,
		.name = item != NULL ? (char *)item->message_id : NULL,
		.words = (char *)words,
	};
	struct run *run = source->run;
	int r = quarantine_note(run->core, run->mailbox, &refused);

	run->quarantine_changed = true;
	if (run_database_failed(run, r))
		return false;
	if (r == 0) {
		(void)seqset_add(&source->left_out.refused, uid);
		return false;
	}
	(void)seqset_add(&source->left_out.quarantined, uid);
	(void)seqset_add(&source->left_out.alone, uid);
	seqset_remove_range(&source->left_out.retried, uid, uid);
	return true;
}

int run_quarantine_doubt(struct run_side *source, const struct item *item)
{
	struct run *run = source->run;
	struct quarantine row = {
		.mailbox = run->mailbox->idx,
		.kind = QUARANTINE_DOUBT,
		.remote = source->side->remote,
		.uid = item->uid,
		.size = item->identity.size,
		.name = (char *)item->message_id,
		.words = (char *)unrecognised,
		.since = time(NULL),
		.next = QUARANTINE_NEVER,
	};
	int r = quarantine_put(run->core->db, &row);

	run->quarantine_changed = true;
	if (r == -EDQUOT)
		return 0; /* what is then copied twice is bounded by run->copies_allowed */
	(void)seqset_add(&source->left_out.quarantined, item->uid);
	(void)seqset_add(&source->arrivals.doubted, item->uid);
	return r < 0 ? r : 0;
}

bool run_quarantine_give_up(struct run_side *source, uint32_t uid)
{
	struct run *run = source->run;
	struct quarantine row = {
		.mailbox = run->mailbox->idx,
		.kind = QUARANTINE_DOUBT,
		.remote = source->side->remote,
		.uid = uid,
	};
	int r = quarantine_find(run->core->db, &row);
	bool ok = r > 0 && quarantine_note(run->core, run->mailbox, &row) > 0;

	if (r > 0)
		quarantine_done(&row);
	(void)seqset_add(ok ? &source->left_out.alone : &source->left_out.refused, uid);
	return ok;
}

int run_quarantine_release(struct run_side *source, uint32_t uid)
{
	static const enum quarantine_kind kinds[] = {
		QUARANTINE_APPEND, QUARANTINE_FETCH, QUARANTINE_DOUBT};
	struct run *run = source->run;
	int r = 0;

	if (!seqset_contains(&source->left_out.quarantined, uid))
		return 0;
	for (size_t i = 0; i < ARRAY_LEN(kinds) && r >= 0; i++) {
		struct quarantine row = {
			.mailbox = run->mailbox->idx,
			.kind = kinds[i],
			.remote = source->side->remote,
			.uid = uid,
		};

		r = quarantine_find(run->core->db, &row);
		if (r <= 0)
			continue;
		r = quarantine_delete(run->core->db, row.id);
		quarantine_done(&row);
	}
	seqset_remove_range(&source->left_out.quarantined, uid, uid);
	seqset_remove_range(&source->arrivals.doubted, uid, uid);
	run->quarantine_changed = true;
	return r < 0 ? r : 0;
}

void run_refuse_fetch(struct run_side *side, uint32_t uid, const struct item *item,
	const struct command *command, const char *otherwise)
{
	_cleanup_free_ char *words =
		command->outcome == OUTCOME_OK ? xstrdup(otherwise) : command_reason(command);

	if (command->outcome != OUTCOME_OK && refusal_is_general(command))
		(void)seqset_add(&side->left_out.refused, uid);
	else if (run_quarantine(side, QUARANTINE_FETCH, uid, item, words))
		return;
	run_note_problem(side->run,
		"the %s server does not give the message with UID %" PRIu32 " (%s)",
		side->side->name, uid, words);
}

/* --- Among what may be new --- */

static bool visit_pair(void *context, struct uid_pair pair)
{
	struct run_side *side = context;

	(void)seqset_add(&side->arrivals.present, side->side->remote ? pair.remote : pair.local);
	return true;
}

/* What has got a pair otherwise (the Perl program, or a person) is not left out any more. */
static bool drop_paired(struct run_side *side)
{
	struct seqset_iter iter = {0};
	uint32_t uid;
	bool ok = true;

	for (size_t i = 0; i < side->left_out.retried.count && ok; i++)
		ok = !run_database_failed(side->run,
			mapping_visit(side->run->core->db, side->run->mailbox->idx,
				side->side->remote, side->left_out.retried.ranges[i].first,
				side->left_out.retried.ranges[i].last, visit_pair, side));
	while (ok && seqset_next(&side->arrivals.present, &iter, &uid))
		ok = !run_database_failed(side->run, run_quarantine_release(side, uid));
	seqset_remove_set(&side->left_out.retried, &side->arrivals.present);
	seqset_clear(&side->arrivals.present);
	return ok;
}

bool run_quarantine_add_due(struct run_side *side)
{
	bool all = side->run->repair && side->run->pass.first;
	struct seqset missed;

	if (seqset_is_empty(&side->left_out.quarantined))
		return true;
	seqset_init(&missed);
	seqset_copy(&missed, &side->left_out.alone);
	if (!all)
		seqset_intersect(&missed, &side->told.vanished);
	seqset_remove_set(&side->left_out.alone, &missed);
	(void)seqset_add_set(&side->left_out.retried, &missed);
	seqset_done(&missed);
	if (!drop_paired(side))
		return false;
	seqset_remove_set(&side->left_out.retried, &side->left_out.refused);
	seqset_remove_set(&side->arrivals.fresh, &side->left_out.alone);
	return seqset_add_set(&side->arrivals.fresh, &side->left_out.retried);
}

/* --- What was asked for, and not told --- */

/* Of what should be there, what has brought no item. */
static void find_untold(struct run_side *side)
{
	struct seqset asked;

	for (size_t i = 0; i < side->told.changes.count; i++)
		if (seqset_contains(&side->arrivals.fresh, side->told.changes.list[i].uid))
			(void)seqset_add(&side->arrivals.untold, side->told.changes.list[i].uid);
	seqset_init(&asked);
	seqset_copy(&asked, &side->left_out.retried);
	seqset_intersect(&asked, &side->arrivals.fresh);
	(void)seqset_add_set(&side->arrivals.untold, &asked);
	seqset_done(&asked);
	seqset_intersect(&side->arrivals.untold, &side->arrivals.fresh);
	for (size_t i = 0; i < side->arrivals.items.count; i++) {
		uint32_t uid = side->arrivals.items.list[i].uid;

		seqset_remove_range(&side->arrivals.untold, uid, uid);
	}
}

static bool on_present(struct command *command, struct response *response)
{
	struct run_side *side = run_side_of(command);

	(void)seqset_add(&side->arrivals.present, response->fetch.uid);
	return true;
}

static void ask_untold(struct run_side *side)
{
	seqset_clear(&side->arrivals.present);
	find_untold(side);
	if (seqset_is_empty(&side->arrivals.untold))
		return;
	run_select(side);
	run_fetch(side, &side->run->barrier, &side->arrivals.untold, "UID", on_present);
}

void run_untold_ask(struct run *run)
{
	ask_untold(&run->local);
	ask_untold(&run->remote);
}

struct lone_fetch {
	struct run_request run;
	uint32_t uid;
	bool told;
};

static struct lone_fetch *lone_fetch_of(struct request *request)
{
	return container_of(request, struct lone_fetch, run.request);
}

static bool on_lone_metadata(struct command *command, struct response *response)
{
	struct lone_fetch *fetch = lone_fetch_of(container_of(command, struct request, command));
	struct run_side *side = fetch->run.side;

	if (response->type != RESPONSE_FETCH || !(response->fetch.items & FETCH_UID) ||
		response->fetch.uid != fetch->uid || fetch->told ||
		!(response->fetch.items & FETCH_SIZE))
		return false;
	fetch->told =
		items_add(&side->arrivals.items, side->run->core->flags, response) == ITEM_TAKEN;
	return true;
}

static bool on_lone_fetched(struct request *request)
{
	struct lone_fetch *fetch = lone_fetch_of(request);
	enum outcome outcome = request->command.outcome;

	if (fetch->told ||
		(outcome != OUTCOME_OK && outcome != OUTCOME_NO && outcome != OUTCOME_BAD))
		return true;
	run_refuse_fetch(fetch->run.side, fetch->uid, NULL, &request->command,
		"it does not tell flags, date and size");
	return true;
}

static void name_lone(const struct request *request, struct suspect *suspect)
{
	suspect->kind = SUSPECT_FETCH;
	(void)seqset_add(&suspect->uids, lone_fetch_of((struct request *)request)->uid);
}

/* One by one: one that cannot be read makes a server refuse all. */
static void fetch_alone(struct run_side *side)
{
	struct seqset_iter iter = {0};
	uint32_t uid;

	while (seqset_next(&side->arrivals.present, &iter, &uid)) {
		struct lone_fetch *fetch = request_new(
			&side->run->barrier, side->side, sizeof(*fetch), on_lone_fetched);

		fetch->run.side = side;
		fetch->uid = uid;
		fetch->run.request.command.untagged = on_lone_metadata;
		fetch->run.request.name = name_lone;
		run_select(side);
		command_printf(&fetch->run.request.command, "UID FETCH %" PRIu32 " (%s)", uid,
			run_metadata(side));
		request_submit(&fetch->run.request);
	}
}

/* What did not answer to its UID is gone. */
static bool release_gone(struct run_side *side)
{
	struct seqset_iter iter = {0};
	uint32_t uid;

	seqset_remove_set(&side->arrivals.untold, &side->arrivals.present);
	while (seqset_next(&side->arrivals.untold, &iter, &uid)) {
		if (run_database_failed(side->run, run_quarantine_release(side, uid)))
			return false;
		seqset_remove_range(&side->left_out.retried, uid, uid);
	}
	return true;
}

static bool asked_untold(struct run_side *side)
{
	bool ok = release_gone(side);

	if (ok)
		fetch_alone(side);
	seqset_clear(&side->arrivals.untold);
	seqset_clear(&side->arrivals.present);
	return ok;
}

bool run_untold_asked(struct run *run)
{
	return asked_untold(&run->local) && asked_untold(&run->remote);
}
