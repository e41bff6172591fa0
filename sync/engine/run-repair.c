/* SPDX-License-Identifier: MIT */
/*
 * --repair: every pair of the database is looked up on both sides, a window of pairs at a time, so
 * that memory does not grow with the mailbox.
 *
 * What is missing on one side and was reported as vanished since the last sync was deleted there,
 * and the deletion is propagated as ever.  What is missing without such a report was lost: the pair
 * is taken apart, and the message is copied again.  Flags that differ although neither server
 * reported a change become the union, since nobody can tell which of them is newer.
 *
 * Then messages without a pair are looked for (GAPS), paired by content (adoption), and what was
 * paired so is looked up as well, for its flags.  Whatever is left is copied as any new message.
 */
#include <inttypes.h>
#include <stdlib.h>

#include "sync/base/xalloc.h"
#include "sync/engine/engine-private.h"
#include "sync/engine/run.h"
#include "sync/imap/flags.h"

enum { WINDOW = COPY_BATCH };

struct audit_side {
	struct changes listed; /* of the window: what is there, with its flags */
	struct seqset asked;
	struct seqset said; /* messages whose copying was announced already */
	uint32_t uidnext; /* the database's when it began */
};

struct audit {
	struct run *run;
	struct seqset todo; /* local UIDs whose pairs are still to be looked up */
	bool adopted; /* they were paired just now */
	struct uid_pair pairs[WINDOW];
	size_t count;
	struct uid_pair apart[WINDOW]; /* pairs to be taken apart */
	size_t apart_count;
	struct audit_side local, remote;
};

static struct audit_side *audit_side(struct run_side *side)
{
	struct audit *audit = side->run->audit;

	return side->side->remote ? &audit->remote : &audit->local;
}

static bool on_flags(struct command *command, struct response *response)
{
	struct run_side *side = container_of(
		container_of(command, struct request, command), struct run_request, request)
					->side;
	const unsigned needed = FETCH_UID | FETCH_FLAGS;
	const struct flags *flags;

	if (response->type != RESPONSE_FETCH || (response->fetch.items & needed) != needed ||
		!seqset_contains(&audit_side(side)->asked, response->fetch.uid))
		return false;
	flags = flags_intern(side->run->engine->flags, response->atoms, response->atoms_count);
	if (flags == NULL || !changes_add(&audit_side(side)->listed, response->fetch.uid, flags))
		side->overflow = true;
	return true;
}

static bool add_pair(void *context, struct uid_pair pair)
{
	struct audit *audit = context;

	audit->pairs[audit->count++] = pair;
	return audit->count < WINDOW;
}

/* The next window of pairs, taken off `todo`. */
static bool next_window(struct audit *audit)
{
	struct run *run = audit->run;

	audit->count = audit->apart_count = 0;
	while (audit->count < WINDOW && !seqset_is_empty(&audit->todo)) {
		struct seqrange range = audit->todo.ranges[0];
		uint32_t last = range.last;

		if (run_database_failed(run, mapping_visit(run->engine->db, run->mailbox->idx,
						     false, range.first, last, add_pair, audit)))
			return false;
		if (audit->count == WINDOW)
			last = audit->pairs[WINDOW - 1].local;
		seqset_remove_range(&audit->todo, range.first, last);
	}
	return audit->count > 0;
}

static int by_uid(const void *one, const void *other)
{
	uint32_t a = *(const uint32_t *)one, b = *(const uint32_t *)other;

	return a < b ? -1 : a > b;
}

static void ask(struct run_side *side)
{
	struct audit *audit = side->run->audit;
	struct seqset *asked = &audit_side(side)->asked;
	uint32_t uids[WINDOW];

	changes_clear(&audit_side(side)->listed);
	seqset_clear(asked);
	for (size_t i = 0; i < audit->count; i++)
		uids[i] = side->side->remote ? audit->pairs[i].remote : audit->pairs[i].local;
	qsort(uids, audit->count, sizeof(*uids), by_uid);
	for (size_t i = 0; i < audit->count; i++)
		(void)seqset_add(asked, uids[i]);
	run_select(side);
	run_fetch(side, &side->run->barrier, asked, "UID FLAGS", on_flags);
}

static void begin(struct run *run)
{
	struct audit *audit = xcalloc(1, sizeof(*audit));

	audit->run = run;
	audit->local.uidnext = run->mailbox->local.base.uidnext;
	audit->remote.uidnext = run->mailbox->remote.base.uidnext;
	(void)seqset_add_range(&audit->todo, 1, UINT32_MAX);
	run->audit = audit;
}

bool run_audit_ask(struct run *run)
{
	if (run->audit == NULL)
		begin(run);
	if (!next_window(run->audit))
		return false;
	ask(&run->local);
	ask(&run->remote);
	return true;
}

bool run_audit_adopted(struct run *run)
{
	struct audit *audit = run->audit;

	if (audit->adopted)
		return false;
	audit->adopted = true;
	seqset_copy(&audit->todo, &run->local.fresh);
	return true;
}

/*
 * Takes the pair apart later on.  The message that is left becomes a new one, and the database must
 * not say of it that it was replicated.
 */
static void take_apart(struct audit *audit, struct uid_pair pair)
{
	audit->apart[audit->apart_count++] = pair;
}

static void lost(struct run_side *side, uint32_t uid, uint32_t other, struct uid_pair pair)
{
	log_warning(SIDE_CONTEXT(side->side, side->run->mailbox->display),
		"UID %" PRIu32 " disappeared. Redownloading %s UID %" PRIu32 ".", uid,
		side->other->side->name, other);
	(void)seqset_add(&audit_side(side->other)->said, other);
	take_apart(side->run->audit, pair);
}

/* The message is on the other side only. */
static void missing(struct run_side *side, uint32_t uid, uint32_t other, struct uid_pair pair)
{
	if (seqset_contains(&side->gone, uid))
		return; /* reported: CONFIRM and the brake come as ever */
	/* Paired by a first sync that was interrupted: nothing was ever reported of it, and it was
	 * there (RFC 3501 section 2.3.1.1: below UIDNEXT) when it was paired. */
	if (run_base(side)->highestmodseq == 0 && uid < side->snapshot.uidnext)
		(void)seqset_add(&side->gone, uid);
	else
		lost(side, uid, other, pair);
}

/* What both sides can hold of these flags. */
static const struct flags *shared(const struct run *run, const struct flags *flags)
{
	struct flag_pool *pool = run->engine->flags;
	const struct run_side *sides[] = {&run->local, &run->remote};

	for (size_t i = 0; i < ARRAY_LEN(sides); i++)
		if (sides[i]->permanent != NULL)
			flags = flags_storable(pool, flags, sides[i]->permanent);
	return flags;
}

/* Both are there. */
static void compare(struct run *run, struct uid_pair pair, const struct flags *local,
	const struct flags *remote)
{
	if (shared(run, local) == shared(run, remote))
		return;
	if (changes_find(&run->local.changes, pair.local) != NULL ||
		changes_find(&run->remote.changes, pair.remote) != NULL)
		return; /* reported, and propagated as ever */
	if (!run->audit->adopted)
		log_warning(NULL,
			"Missed flag update in %s for (lUID,rUID) = (%" PRIu32 ",%" PRIu32
			"). Repairing.",
			run->mailbox->display, pair.local, pair.remote);
	/* Settled at the end of the window. */
	if (!changes_add(&run->local.missed, pair.local, local) ||
		!changes_add(&run->remote.missed, pair.remote, remote))
		run->local.overflow = true;
}
