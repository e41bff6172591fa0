/* SPDX-License-Identifier: MIT */
/* plan_messages(), the rules one by one, and its limits. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "sync/base/buf.h"
#include "sync/base/limits.h"
#include "sync/base/xalloc.h"
#include "sync/imap/flags.h"
#include "tests/unit/plan-fixture.h"

#define OPEN "\\Answered \\Flagged \\Deleted \\Seen \\Draft \\*"
#define CLOSED "\\Answered \\Flagged \\Deleted \\Seen \\Draft"

static struct flag_pool *pool;

/* Interns space-separated flags; NULL stays NULL. */
static const struct flags *flags(const char *text)
{
	struct slice atoms[16];
	size_t count = 0;
	if (!text)
		return NULL;
	while (*text) {
		size_t len = strcspn(text, " ");
		assert_true(count < ARRAY_LEN(atoms));
		atoms[count++] = (struct slice){text, len};
		text += len + strspn(text + len, " ");
	}
	const struct flags *list = flags_intern(pool, atoms, count);
	assert_non_null(list);
	return list;
}

static struct seqset set(const char *text)
{
	struct seqset set;
	seqset_init(&set);
	if (text)
		assert_true(seqset_parse(&set, (struct slice){text, strlen(text)}));
	return set;
}

static char *set_text(const struct seqset *uids)
{
	struct buf buf;
	buf_init(&buf, 1 << 20);
	for (size_t index = 0; index < uids->count;)
		seqset_format(uids, &index, 1 << 19, &buf);
	return buf_steal(&buf);
}

static void assert_set(const struct seqset *uids, const char *expected)
{
	char *text = set_text(uids);
	assert_string_equal(text, expected ? expected : "");
	free(text);
}

/* "2,4 (\Seen) 3 ()": each store's UIDs and flags. */
static void assert_stores(const struct plan_operations *operations, const char *expected)
{
	struct buf buf;
	buf_init(&buf, 1 << 20);
	for (size_t i = 0; i < operations->stores_count; i++) {
		char *uids = set_text(&operations->stores[i].uids);
		assert_true(buf_printf(&buf, "%s%s (%s)", i ? " " : "", uids,
			flags_text(operations->stores[i].flags)));
		free(uids);
	}
	char *text = buf_steal(&buf);
	assert_string_equal(text, expected ? expected : "");
	free(text);
}

static void assert_flags(const struct flags *found, const char *expected)
{
	if (expected)
		assert_ptr_equal(found, flags(expected));
	else
		assert_null(found);
}

/*
 * One pair, local UID 7 and remote UID 70.  Flags are NULL where the message did not change (or,
 * for `known`, was not asked for); "vanished" stands for a message that is gone.
 */
struct one {
	const char *name;
	const char *local_permanent, *remote_permanent;
	const char *local, *remote;
	const char *local_known, *remote_known;

	const char *local_stores, *remote_stores;
	const char *local_expunge, *remote_expunge;
	const char *local_needs, *remote_needs;
	const char *local_dropped, *remote_dropped;
	bool unmap, conflict;
};

static const struct one ones[] = {
	/* Deletions */
	{"gone there, expunged here", OPEN, OPEN, NULL, "vanished", .local_expunge = "7",
		.unmap = true},
	{"gone here, expunged there", OPEN, OPEN, "vanished", NULL, .remote_expunge = "70",
		.unmap = true},
	{"gone on both", OPEN, OPEN, "vanished", "vanished", .unmap = true},
	{"an expunge beats a change there", OPEN, OPEN, "vanished", "\\Seen",
		.remote_expunge = "70", .unmap = true},
	{"an expunge beats a change here", OPEN, OPEN, "\\Flagged x", "vanished",
		.local_expunge = "7", .unmap = true},
	{"an expunge needs no flags", OPEN, CLOSED, NULL, "vanished", .local_expunge = "7",
		.unmap = true},
	{"an expunge goes to a side without flags", NULL, OPEN, NULL, "vanished",
		.local_expunge = "7", .unmap = true},

	/* Changed on one side */
	{"remote to local", OPEN, OPEN, NULL, "\\Seen x", .local_stores = "7 (\\Seen x)"},
	{"local to remote", OPEN, OPEN, "\\Flagged", NULL, .remote_stores = "70 (\\Flagged)"},
	{"all flags removed", OPEN, OPEN, "", NULL, .remote_stores = "70 ()"},
	{"already so", OPEN, OPEN, NULL, "x \\seen", "X \\Seen", NULL},
	{"known and different", OPEN, OPEN, NULL, "\\Seen", "\\Seen \\Draft", NULL,
		.local_stores = "7 (\\Seen)"},

	/* Changed on both */
	{"the same on both", OPEN, OPEN, "\\SEEN x", "X \\Seen"},
	{"a conflict", OPEN, OPEN, "\\Seen x", "\\Flagged",
		.local_stores = "7 (\\Flagged \\Seen x)",
		.remote_stores = "70 (\\Flagged \\Seen x)", .conflict = true},
	{"one holds the union", OPEN, OPEN, "\\Seen", "\\Flagged \\Seen",
		.local_stores = "7 (\\Flagged \\Seen)", .conflict = true},
	{"they differ in what one cannot hold", OPEN, CLOSED, "\\Seen x", "\\Seen",
		.remote_dropped = "x"},
	{"a conflict where one cannot hold all", OPEN, CLOSED, "\\Seen x", "\\Flagged",
		.local_stores = "7 (\\Flagged \\Seen x)", .remote_stores = "70 (\\Flagged \\Seen)",
		.remote_dropped = "x", .conflict = true},
	{"what one cannot hold is no conflict", OPEN, CLOSED, "\\Seen", "\\Seen y",
		.local_stores = "7 (\\Seen y)"},

	/* What a side cannot store */
	{"a keyword is left out", OPEN, CLOSED, "\\Seen x", NULL, .remote_stores = "70 (\\Seen)",
		.remote_dropped = "x"},
	{"a keyword that is listed is not", OPEN, CLOSED " x", "\\Seen x y", NULL,
		.remote_stores = "70 (\\Seen x)", .remote_dropped = "y"},
	{"a system flag is left out", "\\Seen \\*", OPEN, NULL, "\\Answered \\Seen x",
		.local_stores = "7 (\\Seen x)", .local_dropped = "\\Answered"},
	{"left out, and so nothing to do", OPEN, CLOSED, "\\Seen x", NULL, NULL, "\\Seen",
		.remote_dropped = "x"},
	{"what it has was not dropped", OPEN, CLOSED, "\\Seen x", NULL, NULL, "\\Seen x"},

	/* What only the target can hold must stay there */
	{"a keyword may be here alone", OPEN, CLOSED, NULL, "\\Seen", .local_needs = "7"},
	{"a keyword may be there alone", CLOSED, OPEN, "\\Seen", NULL, .remote_needs = "70"},
	{"a system flag may be here alone", OPEN, "\\Seen \\*", NULL, "\\Seen", .local_needs = "7"},
	{"a keyword stays", OPEN, CLOSED, NULL, "\\Seen", "\\Flagged x", NULL,
		.local_stores = "7 (\\Seen x)"},
	{"a keyword stays, mirrored", CLOSED, OPEN, "\\Seen", NULL, NULL, "\\Flagged x",
		.remote_stores = "70 (\\Seen x)"},
	{"a keyword stays, and all is well", OPEN, CLOSED, NULL, "\\Seen", "\\Seen x", NULL},
	{"a keyword that both can hold goes", OPEN, CLOSED " x", NULL, "\\Seen", "\\Seen x y", NULL,
		.local_stores = "7 (\\Seen y)"},
	{"an empty list is known too", OPEN, CLOSED, NULL, "\\Seen", "", NULL,
		.local_stores = "7 (\\Seen)"},
	{"nothing here that is not there", CLOSED, CLOSED, NULL, "\\Seen",
		.local_stores = "7 (\\Seen)"},
	{"fewer here than there", "\\Seen x", CLOSED " x", NULL, "\\Seen",
		.local_stores = "7 (\\Seen)"},
	{"all listed here are keywords there", "\\Seen x", "\\Seen \\*", NULL, "\\Seen",
		.local_stores = "7 (\\Seen)"},

	/* Read-only, or no PERMANENTFLAGS */
	{"nothing can be stored here", "", OPEN, NULL, "\\Seen", .local_dropped = "\\Seen"},
	{"nothing can be stored there", OPEN, NULL, "\\Seen x", NULL, .remote_dropped = "\\Seen x"},
	{"nothing to drop", OPEN, NULL, "", NULL},
	{"both changed, read-only here", "", OPEN, "\\Seen", "\\Flagged",
		.remote_stores = "70 (\\Flagged \\Seen)", .local_dropped = "\\Flagged"},
};

static void prepare(struct plan_side *side, struct seqset *vanished, struct plan_change *change,
	struct plan_change *known, uint32_t uid, const char *now, const char *asked)
{
	*vanished = set(NULL);
	side->vanished = vanished;
	if (now && strcmp(now, "vanished") == 0) {
		assert_true(seqset_add(vanished, uid));
	} else if (now) {
		*change = (struct plan_change){uid, flags(now)};
		side->changes = change;
		side->changes_count = 1;
	}
	if (asked) {
		*known = (struct plan_change){uid, flags(asked)};
		side->known = known;
		side->known_count = 1;
	}
}

static void check_one(const struct one *one, const struct plan *plan)
{
	assert_stores(&plan->local, one->local_stores);
	assert_stores(&plan->remote, one->remote_stores);
	assert_set(&plan->local.expunge, one->local_expunge);
	assert_set(&plan->remote.expunge, one->remote_expunge);
	assert_set(&plan->local.need_flags, one->local_needs);
	assert_set(&plan->remote.need_flags, one->remote_needs);
	assert_flags(plan->local.dropped, one->local_dropped);
	assert_flags(plan->remote.dropped, one->remote_dropped);
	assert_int_equal(plan->unmap_count, one->unmap);
	if (one->unmap) {
		assert_int_equal(plan->unmap[0].local, 7);
		assert_int_equal(plan->unmap[0].remote, 70);
	}
	assert_int_equal(plan->conflicts_count, one->conflict);
	if (one->conflict) {
		assert_int_equal(plan->conflicts[0].pair.local, 7);
		assert_int_equal(plan->conflicts[0].pair.remote, 70);
		assert_flags(plan->conflicts[0].local, one->local);
		assert_flags(plan->conflicts[0].remote, one->remote);
		assert_ptr_equal(plan->conflicts[0].both,
			flags_union(pool, flags(one->local), flags(one->remote)));
	}
	assert_int_equal(plan->skipped, 0);
	assert_int_equal(plan_is_empty(plan), !one->local_stores && !one->remote_stores &&
						      !one->local_needs && !one->remote_needs &&
						      !one->unmap);
}

static void test_one_pair(void **state)
{
	const struct uid_pair pairs[] = {{7, 70}};

	for (size_t i = 0; i < ARRAY_LEN(ones); i++) {
		const struct one *one = &ones[i];
		struct plan_side local = {.permanent = flags(one->local_permanent)};
		struct plan_side remote = {.permanent = flags(one->remote_permanent)};
		struct seqset local_vanished, remote_vanished;
		struct plan_change changes[4];
		struct plan plan;

		print_message("# %s\n", one->name);
		prepare(&local, &local_vanished, &changes[0], &changes[1], 7, one->local,
			one->local_known);
		prepare(&remote, &remote_vanished, &changes[2], &changes[3], 70, one->remote,
			one->remote_known);
		plan_messages(pool, &local, &remote, pairs, 1, &plan);
		check_one(one, &plan);
		plan_done(&plan);
		seqset_done(&local_vanished);
		seqset_done(&remote_vanished);
	}
}

static void test_nothing(void **state)
{
	struct plan_side side = {.permanent = flags(OPEN)};
	struct plan plan;
	plan_messages(pool, &side, &side, NULL, 0, &plan);
	assert_true(plan_is_empty(&plan));
	plan_done(&plan);
	plan_done(&plan);

	/* UIDs without a pair are not ours to touch. */
	struct seqset vanished = set("1:4294967295");
	struct plan_change change = {5, flags("\\Seen")};
	side.vanished = &vanished;
	side.changes = &change;
	side.changes_count = 1;
	plan_messages(pool, &side, &side, NULL, 0, &plan);
	assert_true(plan_is_empty(&plan));
	plan_done(&plan);
	seqset_done(&vanished);
}

/* Stores are grouped by list, whatever the order of the UIDs there, and in a fixed order. */
static void test_groups(void **state)
{
	const struct uid_pair pairs[] = {
		{1, 90}, {2, 80}, {3, 70}, {4, 69}, {5, 4294967295}, {6, 1}, {7, 2}, {8, 68}};
	const struct plan_change local_changes[] = {
		{1, flags("\\Seen")},
		{2, flags("x")},
		{3, flags("\\seen")},
		{4, flags("\\SEEN")},
		{5, flags("X")},
	};
	const struct plan_change remote_changes[] = {{1, flags("b a")}, {2, flags("A B")}};
	struct seqset vanished = set("8");
	struct plan_side local = {.vanished = &vanished,
		.changes = local_changes,
		.changes_count = 5,
		.permanent = flags(OPEN)};
	struct plan_side remote = {
		.changes = remote_changes, .changes_count = 2, .permanent = flags(OPEN)};
	struct plan plan;

	plan_messages(pool, &local, &remote, pairs, ARRAY_LEN(pairs), &plan);
	assert_stores(&plan.remote, "69:70,90 (\\Seen) 80,4294967295 (x)");
	assert_int_equal(plan.local.stores_count, 1);
	assert_set(&plan.local.stores[0].uids, "6:7");
	assert_set(&plan.remote.expunge, "68");
	assert_int_equal(plan.conflicts_count, 0);
	plan_done(&plan);
	seqset_done(&vanished);
}

static void test_dropped_are_joined(void **state)
{
	const struct uid_pair pairs[] = {{1, 1}, {2, 2}, {3, 3}};
	const struct plan_change changes[] = {
		{1, flags("x \\Seen")}, {2, flags("\\Seen")}, {3, flags("y X")}};
	struct plan_side local = {.changes = changes, .changes_count = 3, .permanent = flags(OPEN)};
	struct plan_side remote = {.permanent = flags(CLOSED)};
	struct plan plan;

	plan_messages(pool, &local, &remote, pairs, 3, &plan);
	assert_flags(plan.remote.dropped, "x y");
	assert_null(plan.local.dropped);
	assert_stores(&plan.remote, "1:2 (\\Seen) 3 ()");
	plan_done(&plan);
}

/* `count` keywords of eight bytes, each with the space before it: 9 * count - 1 bytes of text. */
static const struct flags *keywords(char letter, size_t count)
{
	struct slice *atoms = xreallocarray(NULL, count, sizeof(*atoms));
	for (size_t i = 0; i < count; i++)
		atoms[i] = (struct slice){xasprintf("%c%07zu", letter, i), 8};
	const struct flags *list = flags_intern(pool, atoms, count);
	for (size_t i = 0; i < count; i++)
		free((char *)atoms[i].data);
	free(atoms);
	assert_non_null(list);
	assert_int_equal(strlen(flags_text(list)), 9 * count - 1);
	return list;
}

/* A list that no command can hold leaves that message alone, and only that one. */
static void test_too_many_flags(void **state)
{
	const struct uid_pair pairs[] = {{1, 1}, {2, 2}, {3, 3}, {4, 4}, {5, 5}};
	const size_t most = (LIMIT_FLAG_TEXT + 1) / 9;
	const struct plan_change local_changes[] = {
		{1, keywords('a', most)},
		{2, flags("\\Seen")},
		{3, keywords('a', most + 1)},
		{4, keywords('a', most)},
		{5, keywords('a', most + 1)},
	};
	const struct plan_change remote_changes[] = {
		{1, keywords('b', most)},
		{2, flags("\\Flagged")},
		{5, keywords('a', most + 1)},
	};
	struct plan_side local = {
		.changes = local_changes, .changes_count = 5, .permanent = flags(OPEN)};
	struct plan_side remote = {
		.changes = remote_changes, .changes_count = 3, .permanent = flags(OPEN)};
	struct plan plan;

	plan_messages(pool, &local, &remote, pairs, 5, &plan);
	assert_int_equal(plan.skipped, 2);
	assert_stores(&plan.local, "2 (\\Flagged \\Seen)");
	assert_int_equal(plan.remote.stores_count, 2);
	assert_set(&plan.remote.stores[0].uids, "2");
	assert_set(&plan.remote.stores[1].uids, "4");
	assert_int_equal(plan.conflicts_count, 1);
	plan_done(&plan);
}

/*
 * More messages than a UID set has ranges, in reverse order on the other side: what does not fit
 * stays mapped, and it all takes no longer than sorting (the test's time limit would tell).
 */
static void test_too_many_expunges(void **state)
{
	const uint32_t count = LIMIT_UID_RANGES + 5;
	struct uid_pair *pairs = xreallocarray(NULL, count, sizeof(*pairs));
	for (uint32_t i = 0; i < count; i++)
		pairs[i] = (struct uid_pair){i + 1, 2 * (count - i)};

	struct seqset vanished = set(NULL);
	assert_true(seqset_add_range(&vanished, 1, count));
	struct plan_side local = {.vanished = &vanished, .permanent = flags(OPEN)};
	struct plan_side remote = {.permanent = flags(OPEN)};
	struct plan plan;

	plan_messages(pool, &local, &remote, pairs, count, &plan);
	assert_int_equal(seqset_count(&plan.remote.expunge), LIMIT_UID_RANGES);
	assert_int_equal(plan.unmap_count, LIMIT_UID_RANGES);
	assert_int_equal(plan.skipped, 5);
	/* The highest remote UIDs, which are the lowest local ones, did not fit. */
	assert_int_equal(plan.unmap[0].local, 6);
	assert_false(seqset_contains(&plan.remote.expunge, pairs[4].remote));
	plan_done(&plan);
	seqset_done(&vanished);
	free(pairs);
}

static void test_many_changes(void **state)
{
	const uint32_t count = 300000;
	struct uid_pair *pairs = xreallocarray(NULL, count, sizeof(*pairs));
	struct plan_change *changes = xreallocarray(NULL, count, sizeof(*changes));
	const struct flags *lists[] = {flags("\\Seen"), flags("x"), flags("")};
	for (uint32_t i = 0; i < count; i++) {
		/* 7919 has no factor in common with count: a permutation */
		pairs[i] = (struct uid_pair){i + 1, 1 + (uint32_t)((uint64_t)i * 7919 % count)};
		changes[i] = (struct plan_change){i + 1, lists[i % 3]};
	}
	struct plan_side local = {
		.changes = changes, .changes_count = count, .permanent = flags(OPEN)};
	struct plan_side remote = {.permanent = flags(OPEN)};
	struct plan plan;

	plan_messages(pool, &local, &remote, pairs, count, &plan);
	assert_int_equal(plan.remote.stores_count, 3);
	for (size_t i = 0; i < 3; i++)
		assert_int_equal(seqset_count(&plan.remote.stores[i].uids), count / 3);
	for (uint32_t i = 0; i < count; i += 997) {
		size_t holders = 0;
		for (size_t store = 0; store < 3; store++) {
			const struct plan_store *at = &plan.remote.stores[store];
			if (!seqset_contains(&at->uids, pairs[i].remote))
				continue;
			holders++;
			assert_ptr_equal(at->flags, changes[i].flags);
		}
		assert_int_equal(holders, 1);
	}
	plan_done(&plan);
	free(pairs);
	free(changes);
}

static int setup(void **state)
{
	pool = flag_pool_new();
	return 0;
}

static int teardown(void **state)
{
	pool = flag_pool_free(pool);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_one_pair),
		cmocka_unit_test(test_nothing),
		cmocka_unit_test(test_groups),
		cmocka_unit_test(test_dropped_are_joined),
		cmocka_unit_test(test_too_many_flags),
		cmocka_unit_test(test_too_many_expunges),
		cmocka_unit_test(test_many_changes),
	};
	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, setup, teardown);
}
