/* SPDX-License-Identifier: MIT */
/* What a run asks about messages. */
#include <inttypes.h>

#include "sync/base/xalloc.h"
#include "sync/core/core.h"
#include "sync/core/quarantine.h"
#include "sync/deeds/suspects.h"
#include "sync/run/helpers.h"

struct run_fetch {
	struct run_request run;
	struct seqset asked; /* UIDs that this command named, and that were not answered for */
	bool reads; /* the messages themselves, not the index of the mailbox alone */
	bool (*untagged)(struct command *, struct response *);
};

static struct run_fetch *run_fetch_of(const struct request *request)
{
	return container_of(request, struct run_fetch, run.request);
}

/* A server that fails to read a message may say of it what it has in its index, and then go. */
static bool is_whole(const struct run_fetch *fetch, const struct response *response)
{
	return !fetch->reads || (response->fetch.items & FETCH_HEADER) != 0;
}

/* Nobody takes a UID that was not asked for in this very command, nor one twice: a server may send
 * as much of that as it likes. */
static bool on_fetched(struct command *command, struct response *response)
{
	struct run_fetch *fetch = run_fetch_of(container_of(command, struct request, command));
	uint32_t uid = response->fetch.uid;

	if (response->type != RESPONSE_FETCH || !(response->fetch.items & FETCH_UID) ||
		!seqset_contains(&fetch->asked, uid) || !fetch->untagged(command, response))
		return false;
	if (is_whole(fetch, response))
		seqset_remove_range(&fetch->asked, uid, uid);
	return true;
}

static void name_fetched(const struct request *request, struct suspect *suspect)
{
	const struct run_fetch *fetch = run_fetch_of(request);
	uint32_t uidnext = fetch->run.side->told.snapshot.uidnext;

	if (!fetch->reads)
		return;
	suspect->kind = SUSPECT_FETCH;
	seqset_copy(&suspect->uids, &fetch->asked);
	if (uidnext > 0) /* what was asked for, in case that it had come */
		seqset_remove_range(&suspect->uids, uidnext, UINT32_MAX);
}

static void release_fetch(struct request *request)
{
	seqset_done(&run_fetch_of(request)->asked);
}

/* What all commands of one call have in common. */
struct fetch_manner {
	const char *items;
	bool reads;
	bool (*untagged)(struct command *, struct response *);
	bool (*completed)(struct request *);
};

static void fetch(struct run_side *side, struct barrier *barrier, const struct seqset *set,
	const struct fetch_manner *manner)
{
	size_t index = 0;

	while (index < set->count) {
		struct run_fetch *request =
			request_new(barrier, side->side, sizeof(*request), manner->completed);
		struct command *command = &request->run.request.command;
		size_t first = index;

		request->run.side = side;
		request->run.request.release = release_fetch;
		request->run.request.name = name_fetched;
		request->reads = manner->reads;
		request->untagged = manner->untagged;
		command->untagged = on_fetched;
		command_puts(command, "UID FETCH ");
		command_set(command, set, &index);
		command_printf(command, " (%s)", manner->items);
		for (size_t i = first; i < index; i++)
			(void)seqset_add_range(
				&request->asked, set->ranges[i].first, set->ranges[i].last);
		request_submit(&request->run.request);
	}
}

void run_fetch(struct run_side *side, struct barrier *barrier, const struct seqset *set,
	const char *items, bool (*untagged)(struct command *, struct response *))
{
	const struct fetch_manner manner = {.items = items, .untagged = untagged};

	fetch(side, barrier, set, &manner);
}

/* Without what may cost the connection. */
static void read_messages(struct run_side *side, struct barrier *barrier, const struct seqset *set,
	const struct fetch_manner *manner)
{
	struct seqset asked;

	seqset_init(&asked);
	seqset_copy(&asked, set);
	run_withhold(side, &asked);
	fetch(side, barrier, &asked, manner);
	seqset_done(&asked);
}

void run_read(struct run_side *side, struct barrier *barrier, const struct seqset *set,
	const char *items, bool (*untagged)(struct command *, struct response *))
{
	const struct fetch_manner manner = {.items = items, .reads = true, .untagged = untagged};

	read_messages(side, barrier, set, &manner);
}

static bool on_new_fetched(struct request *request)
{
	struct run_fetch *fetch = run_fetch_of(request);
	struct command *command = &request->command;

	if ((command->outcome != OUTCOME_NO && command->outcome != OUTCOME_BAD) ||
		refusal_is_general(command))
		return false;
	(void)seqset_add_set(&fetch->run.side->arrivals.untold, &fetch->asked);
	return true;
}

void run_read_new(struct run_side *side, const struct seqset *set, const char *items,
	bool (*untagged)(struct command *, struct response *))
{
	const struct fetch_manner manner = {
		.items = items, .reads = true, .untagged = untagged, .completed = on_new_fetched};

	read_messages(side, &side->run->barrier, set, &manner);
}

void run_read_if_granted(struct run_side *side, struct barrier *barrier, const struct seqset *set,
	const char *items, bool (*untagged)(struct command *, struct response *))
{
	const struct fetch_manner manner = {.items = items,
		.reads = true,
		.untagged = untagged,
		.completed = request_ignore_refusal};

	read_messages(side, barrier, set, &manner);
}

/* A command about all from a UID on. */
struct run_read_on {
	struct run_request run;
	uint32_t from, last; /* not answered for, as far as is known */
	bool (*untagged)(struct command *, struct response *);
};

static struct run_read_on *run_read_on_of(const struct request *request)
{
	return container_of(request, struct run_read_on, run.request);
}

static bool on_read_on(struct command *command, struct response *response)
{
	struct run_read_on *on = run_read_on_of(container_of(command, struct request, command));
	const unsigned whole = FETCH_UID | FETCH_HEADER;

	if (response->type == RESPONSE_FETCH && (response->fetch.items & whole) == whole &&
		response->fetch.uid >= on->from && response->fetch.uid < on->last)
		on->from = response->fetch.uid + 1;
	return on->untagged(command, response);
}

/* Servers answer in order: it was at what comes behind the last answer. */
static void name_read_on(const struct request *request, struct suspect *suspect)
{
	const struct run_read_on *on = run_read_on_of(request);

	suspect->kind = SUSPECT_FETCH;
	(void)seqset_add_range(&suspect->uids, on->from, on->last);
}

/* By number, since some are to be left out. */
static void read_some(struct run_side *side, uint32_t from, const char *items,
	bool (*untagged)(struct command *, struct response *))
{
	struct seqset set;

	seqset_init(&set);
	(void)seqset_add_range(&set, from, UINT32_MAX);
	run_read(side, &side->run->barrier, &set, items, untagged);
	seqset_done(&set);
}

void run_read_on(struct run_side *side, uint32_t from, uint32_t uidnext, const char *items,
	bool (*untagged)(struct command *, struct response *), bool (*completed)(struct request *))
{
	struct run_read_on *on;

	if (run_withholds(side)) {
		read_some(side, from, items, untagged);
		return;
	}
	on = request_new(&side->run->barrier, side->side, sizeof(*on), completed);
	on->run.side = side;
	on->run.request.name = name_read_on;
	on->from = from;
	on->last = uidnext > from ? uidnext - 1 : from;
	on->untagged = untagged;
	on->run.request.command.untagged = on_read_on;
	command_printf(&on->run.request.command, "UID FETCH %" PRIu32 ":* (%s)", from, items);
	request_submit(&on->run.request);
}

void run_withhold(const struct run_side *side, struct seqset *uids)
{
	suspects_withhold(
		side->run->core, side->run->mailbox, SUSPECT_FETCH, side->side->remote, uids);
	seqset_remove_set(uids, &side->left_out.alone);
}

bool run_withholds(const struct run_side *side)
{
	return !seqset_is_empty(&side->left_out.alone) ||
	       suspects_withhold_any(
		       side->run->core, side->run->mailbox, SUSPECT_FETCH, side->side->remote);
}
