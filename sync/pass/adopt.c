/* SPDX-License-Identifier: MIT */
/*
 * Adoption: a mailbox that has messages on both sides and no mapping (the first run, a lost
 * database) is paired by content before anything is copied.
 */
#include <inttypes.h>
#include <stdint.h>

#include "sync/base/xalloc.h"
#include "sync/core/core.h"
#include "sync/pass/pass-private.h"
#include "sync/state/adopt.h"

enum {
	REFINE_AT_ONCE = 500,
	NAMED = 100, /* messages that --repair pairs, unless at debug level */
};

bool run_adopt_wanted(struct run *run)
{
	uint64_t mapped = 0;

	if (!run->core->adopt || run->local.told.exists == 0 || run->remote.told.exists == 0)
		return false;
	if (run->repair)
		return !seqset_is_empty(&run->local.arrivals.fresh) &&
		       !seqset_is_empty(&run->remote.arrivals.fresh);
	if (run->mailbox->local.base.uidnext != 0 || run->mailbox->remote.base.uidnext != 0)
		return false;
	if (run_database_failed(run, mapping_count(run->core->db, run->mailbox->idx, &mapped)))
		return false;
	return mapped == 0;
}

static bool on_identity(struct command *command, struct response *response)
{
	struct run_side *side = run_side_of(command);
	struct identity identity;

	if (!identity_from_fetch(response, &identity))
		return false;
	(void)run_database_failed(
		side->run, adopt_add(side->run->core->db, side->run->mailbox->idx,
				   side->side->remote, response->fetch.uid, &identity));
	return true;
}

static void list_side(struct run_side *side, bool whole)
{
	if (side->told.exists == 0)
		return;
	run_select(side);
	if (whole)
		run_read_on(
			side, 1, side->told.snapshot.uidnext, FETCH_IDENTITY, on_identity, NULL);
	else
		run_read(side, &side->run->barrier, &side->arrivals.fresh, FETCH_IDENTITY,
			on_identity);
}

void run_adopt_list(struct run *run, bool whole)
{
	run->local.arrivals.refined = run->remote.arrivals.refined = 0;
	if (run_database_failed(run, adopt_begin(run->core->db, run->mailbox->idx)))
		return;
	list_side(&run->local, whole);
	list_side(&run->remote, whole);
}

static bool on_header(struct command *command, struct response *response)
{
	struct run_side *side = run_side_of(command);
	const unsigned needed = FETCH_UID | FETCH_HEADER;
	uint8_t digest[16];

	if (response->type != RESPONSE_FETCH || (response->fetch.items & needed) != needed)
		return false;
	identity_digest_whole(
		response->fetch.header.data != NULL ? response->fetch.header.data : "",
		response->fetch.header.len, digest);
	(void)run_database_failed(
		side->run, adopt_refine(side->run->core->db, side->run->mailbox->idx,
				   side->side->remote, response->fetch.uid, digest));
	return true;
}

/* Asks for the headers of the next ambiguous messages. */
static bool refine_side(struct run_side *side)
{
	_cleanup_free_ uint32_t *uids = NULL;
	uint32_t count = 0;
	struct seqset set;

	if (run_database_failed(
		    side->run, adopt_ambiguous(side->run->core->db, side->run->mailbox->idx,
				       side->side->remote, side->arrivals.refined, REFINE_AT_ONCE,
				       &uids, &count)) ||
		count == 0)
		return false;
	seqset_init(&set);
	for (uint32_t i = 0; i < count; i++)
		(void)seqset_add(&set, uids[i]);
	side->arrivals.refined = uids[count - 1];
	run_select(side);
	run_read(side, &side->run->barrier, &set, "UID BODY.PEEK[HEADER]", on_header);
	seqset_done(&set);
	return true;
}

bool run_adopt_refine(struct run *run)
{
	/* The local side first, to its end: what is ambiguous is told by the listing, which a
	 * refinement changes. */
	return refine_side(&run->local) || refine_side(&run->remote);
}

/* With --repair these are messages whose rows were lost.  What was fresh and is mapped now was
 * paired. */
static void name_paired(struct run *run)
{
	const struct seqset *fresh = &run->local.arrivals.fresh;
	size_t left = log_is_debug() ? SIZE_MAX : NAMED;

	for (size_t i = 0; i < fresh->count && left > 0; i++) {
		_cleanup_free_ struct uid_pair *pairs = NULL;
		size_t count = 0;

		if (run_database_failed(run,
			    mapping_in_range(run->core->db, run->mailbox->idx, false,
				    fresh->ranges[i].first, fresh->ranges[i].last, &pairs, &count)))
			return;
		for (size_t k = 0; k < count && left > 0; k++, left--)
			log_warning(RUN_CONTEXT(run),
				"local UID %" PRIu32 " and remote UID %" PRIu32
				" are the same message, and had no row: paired again",
				pairs[k].local, pairs[k].remote);
	}
}

bool run_adopt_pair(struct run *run)
{
	uint64_t count = 0;

	if (run_database_failed(run, adopt_pair(run->core->db, run->mailbox->idx, &count)))
		return false;
	if (count > 0)
		log_notice(RUN_CONTEXT(run),
			"%llu message(s) are on both sides already: not copied",
			(unsigned long long)count);
	if (count > 0 && run->repair)
		name_paired(run);
	run->pass.adopted = count > 0;
	return true;
}
