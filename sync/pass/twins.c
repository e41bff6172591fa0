/* SPDX-License-Identifier: MIT */
/*
 * The same message, new on both sides: another program was interrupted between copying and writing
 * it down, or both servers were given it.  Copied both ways, each side would hold it twice; so what
 * agrees in Message-ID, size and date is paired instead.  A message without a Message-ID is not.
 */
#include <stdlib.h>
#include <string.h>

#include "sync/base/xalloc.h"
#include "sync/core/core.h"
#include "sync/pass/pass-private.h"

static bool is_twin(const struct item *one, const struct item *other)
{
	return memcmp(one->identity.digest, other->identity.digest, sizeof(one->identity.digest)) ==
		       0 &&
	       one->identity.size == other->identity.size &&
	       one->identity.date == other->identity.date;
}

static struct item *find_twin(const struct run *run, const struct item *local)
{
	for (size_t i = 0; i < run->remote.arrivals.items.count; i++) {
		struct item *remote = &run->remote.arrivals.items.list[i];

		if (!remote->arrived && is_twin(local, remote))
			return remote;
	}
	return NULL;
}

/* Their flags are merged like any that changed on both sides. */
static void merge_flags(struct run_side *side, const struct item *item)
{
	if (!changes_add(&side->told.changes, item->uid, item->flags))
		side->told.overflow = true;
}

struct pairing {
	struct run *run;
	uint64_t count;
};

static int pair(void *context)
{
	struct pairing *pairing = context;
	struct run *run = pairing->run;
	int r = 0;

	for (size_t i = 0; i < run->local.arrivals.items.count && r >= 0; i++) {
		struct item *local = &run->local.arrivals.items.list[i];
		struct item *remote =
			identity_is_named(&local->identity) ? find_twin(run, local) : NULL;

		if (remote == NULL)
			continue;
		local->arrived = remote->arrived = true;
		merge_flags(&run->local, local);
		merge_flags(&run->remote, remote);
		r = mapping_insert(run->core->db, run->mailbox->idx,
			(struct uid_pair){.local = local->uid, .remote = remote->uid});
		pairing->count++;
	}
	return r;
}

static void drop_paired(struct run_side *side)
{
	size_t kept = 0;

	for (size_t i = 0; i < side->arrivals.items.count; i++)
		if (!side->arrivals.items.list[i].arrived)
			side->arrivals.items.list[kept++] = side->arrivals.items.list[i];
	side->arrivals.items.count = kept;
	changes_sort(&side->told.changes);
}

void run_pair_twins(struct run *run)
{
	struct pairing pairing = {.run = run};

	if (!run->core->adopt || run->local.arrivals.items.count == 0 ||
		run->remote.arrivals.items.count == 0)
		return;
	if (!run_transact(run, pair, &pairing))
		return;
	drop_paired(&run->local);
	drop_paired(&run->remote);
	if (pairing.count > 0)
		log_notice(RUN_CONTEXT(run),
			"%llu new message(s) are on both sides already: not copied",
			(unsigned long long)pairing.count);
}
