/* SPDX-License-Identifier: MIT */
/*
 * Each pair is decided by itself, and its operations are noted in plain arrays.  Only at the end
 * are these sorted and made into UID sets: the UIDs of the two sides need not ascend together, and
 * adding to a set out of order would cost a move for each.
 */
#include "sync/plan/messages.h"

#include <stdlib.h>
#include <string.h>

#include "sync/base/limits.h"
#include "sync/base/xalloc.h"
#include "sync/imap/flags.h"

/* A message to expunge, and the pair that leaves with it. */
struct gone {
	uint32_t uid;
	struct uid_pair pair;
};

/* A message to store flags on. */
struct wish {
	uint32_t uid;
	const struct flags *flags;
};

/* One side while the plan is made. */
struct draft {
	const struct plan_side *side;
	const struct flags *permanent; /* never NULL */
	bool holds_all; /* it can store all that the other side can */
	struct gone *gone;
	size_t gone_count;
	struct wish *wishes;
	size_t wishes_count;
	uint32_t *needed;
	size_t needed_count;
	struct plan_operations *out;
};

struct maker {
	struct flag_pool *pool;
	struct draft local, remote;
	struct plan *plan;
};

static const struct flags *find_flags(const struct plan_change *changes, size_t count, uint32_t uid)
{
	size_t low = 0, high = count;
	while (low < high) {
		size_t middle = low + (high - low) / 2;
		if (changes[middle].uid < uid)
			low = middle + 1;
		else
			high = middle;
	}
	return low < count && changes[low].uid == uid ? changes[low].flags : NULL;
}

static const struct flags *changed_flags(const struct draft *draft, uint32_t uid)
{
	return find_flags(draft->side->changes, draft->side->changes_count, uid);
}

static const struct flags *known_flags(const struct draft *draft, uint32_t uid)
{
	return find_flags(draft->side->known, draft->side->known_count, uid);
}

static bool is_gone(const struct draft *draft, uint32_t uid)
{
	return draft->side->vanished && seqset_contains(draft->side->vanished, uid);
}

static void add_unmap(struct maker *maker, struct uid_pair pair)
{
	struct plan *plan = maker->plan;
	plan->unmap = xgrow(plan->unmap, plan->unmap_count, sizeof(*plan->unmap));
	plan->unmap[plan->unmap_count++] = pair;
}

static void add_gone(struct draft *draft, uint32_t uid, struct uid_pair pair)
{
	draft->gone = xgrow(draft->gone, draft->gone_count, sizeof(*draft->gone));
	draft->gone[draft->gone_count++] = (struct gone){.uid = uid, .pair = pair};
}

static void add_wish(struct draft *draft, uint32_t uid, const struct flags *flags)
{
	draft->wishes = xgrow(draft->wishes, draft->wishes_count, sizeof(*draft->wishes));
	draft->wishes[draft->wishes_count++] = (struct wish){.uid = uid, .flags = flags};
}

static void add_needed(struct draft *draft, uint32_t uid)
{
	draft->needed = xgrow(draft->needed, draft->needed_count, sizeof(*draft->needed));
	draft->needed[draft->needed_count++] = uid;
}

static void add_conflict(struct maker *maker, struct uid_pair pair, const struct flags *local,
	const struct flags *remote, const struct flags *both)
{
	struct plan *plan = maker->plan;
	plan->conflicts = xgrow(plan->conflicts, plan->conflicts_count, sizeof(*plan->conflicts));
	plan->conflicts[plan->conflicts_count++] = (struct plan_conflict){
		.pair = pair, .local = local, .remote = remote, .both = both};
}

/* Whether a command can hold the list; a server might drop the connection over a longer line. */
static bool sendable(const struct flags *flags)
{
	return strlen(flags_text(flags)) <= LIMIT_FLAG_TEXT;
}

/*
 * Notes which of the flags that belong on this side cannot be stored there.  `have`, if not NULL,
 * is what the message has already.
 */
static void add_dropped(struct maker *maker, struct draft *draft, const struct flags *flags,
	const struct flags *have)
{
	const struct flags *can = flags_storable(maker->pool, flags, draft->permanent);
	const struct flags *cannot = flags_minus(maker->pool, flags, can);
	if (have)
		cannot = flags_minus(maker->pool, cannot, have);
	if (flags_are_empty(cannot))
		return;
	const struct flags *before = draft->out->dropped;
	draft->out->dropped = before ? flags_union(maker->pool, before, cannot) : cannot;
}

/* The flags changed on one side only, and go to the other. */
static void carry(struct maker *maker, const struct draft *from, const struct flags *flags,
	struct draft *to, uint32_t uid)
{
	struct flag_pool *pool = maker->pool;
	const struct flags *have = known_flags(to, uid);
	const struct flags *now = NULL;
	const struct flags *target = flags_storable(pool, flags, to->permanent);

	/* STORE replaces the list, so what only this side can hold must be known, to be in it. */
	if (!have && !from->holds_all) {
		add_needed(to, uid);
		return;
	}
	if (have) {
		now = flags_storable(pool, have, to->permanent);
		const struct flags *shared = flags_storable(pool, now, from->permanent);
		target = flags_union(pool, target, flags_minus(pool, now, shared));
	}
	if (!sendable(target)) {
		maker->plan->skipped++;
		return;
	}
	add_dropped(maker, to, flags, have);
	if (target != now && !flags_are_empty(to->permanent))
		add_wish(to, uid, target);
}

/* What both sides can hold of these flags. */
static const struct flags *shared_part(const struct maker *maker, const struct flags *flags)
{
	flags = flags_storable(maker->pool, flags, maker->local.permanent);
	return flags_storable(maker->pool, flags, maker->remote.permanent);
}

/* The flags changed on both sides. */
static void merge(struct maker *maker, struct uid_pair pair, const struct flags *local,
	const struct flags *remote)
{
	if (local == remote)
		return;

	struct flag_pool *pool = maker->pool;
	const struct flags *both = flags_union(pool, local, remote);
	const struct flags *to_local = flags_storable(pool, both, maker->local.permanent);
	const struct flags *to_remote = flags_storable(pool, both, maker->remote.permanent);
	if (!sendable(to_local) || !sendable(to_remote)) {
		maker->plan->skipped++;
		return;
	}

	bool local_differs = to_local != flags_storable(pool, local, maker->local.permanent);
	bool remote_differs = to_remote != flags_storable(pool, remote, maker->remote.permanent);
	add_dropped(maker, &maker->local, both, local);
	add_dropped(maker, &maker->remote, both, remote);
	if (local_differs)
		add_wish(&maker->local, pair.local, to_local);
	if (remote_differs)
		add_wish(&maker->remote, pair.remote, to_remote);
	/* Lists that differ only in what one side cannot hold do not contradict each other. */
	if (shared_part(maker, local) != shared_part(maker, remote))
		add_conflict(maker, pair, local, remote, both);
}

static void decide(struct maker *maker, struct uid_pair pair)
{
	bool local_gone = is_gone(&maker->local, pair.local);
	bool remote_gone = is_gone(&maker->remote, pair.remote);
	if (local_gone && remote_gone) {
		add_unmap(maker, pair);
		return;
	}
	if (local_gone) {
		add_gone(&maker->remote, pair.remote, pair);
		return;
	}
	if (remote_gone) {
		add_gone(&maker->local, pair.local, pair);
		return;
	}

	const struct flags *local = changed_flags(&maker->local, pair.local);
	const struct flags *remote = changed_flags(&maker->remote, pair.remote);
	if (local && remote)
		merge(maker, pair, local, remote);
	else if (remote)
		carry(maker, &maker->remote, remote, &maker->local, pair.local);
	else if (local)
		carry(maker, &maker->local, local, &maker->remote, pair.remote);
}

static int compare(uint64_t one, uint64_t other)
{
	return (one > other) - (one < other);
}

static int compare_uids(const void *one, const void *other)
{
	return compare(*(const uint32_t *)one, *(const uint32_t *)other);
}

static int compare_gone(const void *one, const void *other)
{
	return compare(((const struct gone *)one)->uid, ((const struct gone *)other)->uid);
}

static int compare_pairs(const void *one, const void *other)
{
	return compare(
		((const struct uid_pair *)one)->local, ((const struct uid_pair *)other)->local);
}

static int compare_wishes(const void *one, const void *other)
{
	const struct wish *left = one, *right = other;
	if (left->flags != right->flags)
		return compare((uintptr_t)left->flags, (uintptr_t)right->flags);
	return compare(left->uid, right->uid);
}

static int compare_stores(const void *one, const void *other)
{
	return compare(((const struct plan_store *)one)->uids.ranges[0].first,
		((const struct plan_store *)other)->uids.ranges[0].first);
}

static void sort(void *array, size_t count, size_t size, int (*order)(const void *, const void *))
{
	if (count > 1)
		qsort(array, count, size, order);
}

static void finish_gone(struct maker *maker, struct draft *draft)
{
	sort(draft->gone, draft->gone_count, sizeof(*draft->gone), compare_gone);
	for (size_t i = 0; i < draft->gone_count; i++) {
		const struct gone *gone = &draft->gone[i];
		if (seqset_add(&draft->out->expunge, gone->uid))
			add_unmap(maker, gone->pair);
		else
			maker->plan->skipped++;
	}
	free(draft->gone);
}

static void finish_stores(struct draft *draft)
{
	struct plan_operations *out = draft->out;
	struct plan_store *store = NULL;

	sort(draft->wishes, draft->wishes_count, sizeof(*draft->wishes), compare_wishes);
	for (size_t i = 0; i < draft->wishes_count; i++) {
		const struct wish *wish = &draft->wishes[i];
		if (store && store->flags == wish->flags && seqset_add(&store->uids, wish->uid))
			continue;
		out->stores = xgrow(out->stores, out->stores_count, sizeof(*out->stores));
		store = &out->stores[out->stores_count++];
		store->flags = wish->flags;
		seqset_init(&store->uids);
		seqset_add(&store->uids, wish->uid);
	}
	/* They were grouped by address: the order must not depend on that. */
	sort(out->stores, out->stores_count, sizeof(*out->stores), compare_stores);
	free(draft->wishes);
}

static void finish_needed(struct draft *draft)
{
	sort(draft->needed, draft->needed_count, sizeof(*draft->needed), compare_uids);
	for (size_t i = 0; i < draft->needed_count; i++) {
		/* The plan is made anew with the answers: what does not fit is asked for then. */
		if (!seqset_add(&draft->out->need_flags, draft->needed[i]))
			break;
	}
	free(draft->needed);
}

static void finish(struct maker *maker)
{
	finish_gone(maker, &maker->local);
	finish_gone(maker, &maker->remote);
	finish_stores(&maker->local);
	finish_stores(&maker->remote);
	finish_needed(&maker->local);
	finish_needed(&maker->remote);
	sort(maker->plan->unmap, maker->plan->unmap_count, sizeof(*maker->plan->unmap),
		compare_pairs);
}

static void draft_init(struct draft *draft, struct flag_pool *pool, const struct plan_side *side,
	struct plan_operations *out)
{
	*draft = (struct draft){
		.side = side,
		.permanent = side->permanent ? side->permanent : flags_empty(pool),
		.out = out,
	};
	seqset_init(&out->expunge);
	seqset_init(&out->need_flags);
}

/*
 * Whether `holder` can store every flag that `other` can.  "\*" (RFC 3501 section 7.1) takes part
 * as a flag: it is missing when `holder` does not have it, and no keyword is when it does.
 */
static bool can_hold_all(
	struct flag_pool *pool, const struct flags *holder, const struct flags *other)
{
	const struct flags *missing = flags_minus(pool, other, holder);
	const struct flags *storable = flags_storable(pool, missing, holder);
	return flags_are_empty(flags_minus(pool, missing, storable));
}

void plan_messages(struct flag_pool *pool, const struct plan_side *local,
	const struct plan_side *remote, const struct uid_pair *pairs, size_t pairs_count,
	struct plan *ret)
{
	struct maker maker = {.pool = pool, .plan = ret};

	memset(ret, 0, sizeof(*ret));
	draft_init(&maker.local, pool, local, &ret->local);
	draft_init(&maker.remote, pool, remote, &ret->remote);
	maker.local.holds_all = can_hold_all(pool, maker.local.permanent, maker.remote.permanent);
	maker.remote.holds_all = can_hold_all(pool, maker.remote.permanent, maker.local.permanent);

	for (size_t i = 0; i < pairs_count; i++)
		decide(&maker, pairs[i]);
	finish(&maker);
}

static void operations_done(struct plan_operations *operations)
{
	for (size_t i = 0; i < operations->stores_count; i++)
		seqset_done(&operations->stores[i].uids);
	free(operations->stores);
	seqset_done(&operations->expunge);
	seqset_done(&operations->need_flags);
}

void plan_done(struct plan *plan)
{
	operations_done(&plan->local);
	operations_done(&plan->remote);
	free(plan->unmap);
	free(plan->conflicts);
	memset(plan, 0, sizeof(*plan));
}
