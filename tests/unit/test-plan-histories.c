/* SPDX-License-Identifier: MIT */
/*
 * plan_messages() on random histories of a simulated pair of mailboxes, which must agree after each
 * pass without losing a flag or a message.  PLAN_SEED=n in the environment repeats one.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "sync/base/xalloc.h"
#include "sync/imap/flags.h"
#include "tests/unit/plan-fixture.h"

#define CLOSED "\\Answered \\Flagged \\Deleted \\Seen \\Draft"
#define OPEN CLOSED " \\*"

static struct flag_pool *pool;

/*
 * Flags are bits, so that what is expected does not come from the code under test; SERVER is one
 * that neither side lets a client store.
 */
static const char *const names[] = {"\\Seen", "\\Flagged", "\\Answered", "x", "y", "\\Server"};
enum { SEEN = 1, FLAGGED = 2, ANSWERED = 4, X = 8, Y = 16, SERVER = 32 };

static const struct permanent {
	const char *text;
	unsigned bits;
} permanents[] = {
	{OPEN, SEEN | FLAGGED | ANSWERED | X | Y},
	{OPEN, SEEN | FLAGGED | ANSWERED | X | Y},
	{CLOSED, SEEN | FLAGGED | ANSWERED},
	{CLOSED " x", SEEN | FLAGGED | ANSWERED | X},
	{"\\Seen \\*", SEEN | X | Y},
	{"\\Seen y", SEEN | Y},
	{"", 0},
};

enum { MESSAGES = 40 };

struct box {
	const struct permanent *permanent;
	bool exists[MESSAGES], changed[MESSAGES];
	unsigned bits[MESSAGES];
	uint32_t uid[MESSAGES];
	struct seqset vanished;
	struct plan_change changes[MESSAGES], known[MESSAGES];
	struct plan_side side;
};

/* Interns space-separated flags. */
static const struct flags *flags(const char *text)
{
	struct slice atoms[16];
	size_t count = 0;
	while (*text) {
		size_t len = strcspn(text, " ");
		assert_true(count < ARRAY_LEN(atoms));
		atoms[count++] = (struct slice){text, len};
		text += len + strspn(text + len, " ");
	}
	return flags_intern(pool, atoms, count);
}

static const struct flags *flags_of(unsigned bits)
{
	struct slice atoms[ARRAY_LEN(names)];
	size_t count = 0;
	for (size_t i = 0; i < ARRAY_LEN(names); i++)
		if (bits & 1U << i)
			atoms[count++] = (struct slice){names[i], strlen(names[i])};
	return flags_intern(pool, atoms, count);
}

static unsigned bits_of(const struct flags *list)
{
	unsigned bits = 0;
	for (size_t i = 0; i < ARRAY_LEN(names); i++)
		if (flags_contain(list, names[i]))
			bits |= 1U << i;
	return bits;
}

/* xorshift: the same everywhere. */
static uint32_t random_below(uint64_t *seed, uint32_t limit)
{
	*seed ^= *seed << 13;
	*seed ^= *seed >> 7;
	*seed ^= *seed << 17;
	return (uint32_t)(*seed >> 20) % limit;
}

static void edit(struct box *box, uint64_t *seed)
{
	for (size_t i = 0; i < MESSAGES; i++) {
		if (!box->exists[i] || random_below(seed, 3) == 0)
			continue;
		if (random_below(seed, 12) == 0) {
			box->exists[i] = false;
			box->changed[i] = false;
		} else if (random_below(seed, 2) == 0) {
			box->bits[i] ^= 1U << random_below(seed, 5) & box->permanent->bits;
			/* A server may also report a message that is as it was. */
			box->changed[i] = true;
		}
	}
}

static int compare_changes(const void *one, const void *other)
{
	uint32_t left = ((const struct plan_change *)one)->uid;
	uint32_t right = ((const struct plan_change *)other)->uid;
	return (left > right) - (left < right);
}

/* What a session would have learned of the mailbox. */
static void look(struct box *box, const struct seqset *needed)
{
	struct plan_side *side = &box->side;
	*side = (struct plan_side){.vanished = &box->vanished,
		.changes = box->changes,
		.known = box->known,
		.permanent = flags(box->permanent->text)};
	seqset_clear(&box->vanished);
	for (size_t i = 0; i < MESSAGES; i++) {
		struct plan_change change = {box->uid[i], flags_of(box->bits[i])};
		if (!box->exists[i])
			assert_true(seqset_add(&box->vanished, box->uid[i]));
		else if (box->changed[i])
			box->changes[side->changes_count++] = change;
		else if (needed && seqset_contains(needed, box->uid[i]))
			box->known[side->known_count++] = change;
	}
	qsort(box->changes, side->changes_count, sizeof(*box->changes), compare_changes);
	qsort(box->known, side->known_count, sizeof(*box->known), compare_changes);
}

static void apply(struct box *box, const struct plan_operations *operations)
{
	for (size_t i = 0; i < MESSAGES; i++) {
		box->changed[i] = false;
		if (seqset_contains(&operations->expunge, box->uid[i])) {
			assert_true(box->exists[i]);
			box->exists[i] = false;
		}
		for (size_t store = 0; store < operations->stores_count; store++) {
			if (!seqset_contains(&operations->stores[store].uids, box->uid[i]))
				continue;
			unsigned bits = bits_of(operations->stores[store].flags);
			assert_int_equal(bits & ~box->permanent->bits, 0);
			assert_true(box->exists[i]);
			assert_false(box->changed[i]);
			bits |= box->bits[i] & ~box->permanent->bits;
			box->changed[i] = true;
			box->bits[i] = bits;
		}
	}
}

/* Plans, asking for flags as the engine does; the caller releases the plan. */
static void make_plan(struct box *local, struct box *remote, const struct uid_pair *pairs,
	size_t count, struct plan *ret)
{
	look(local, NULL);
	look(remote, NULL);
	plan_messages(pool, &local->side, &remote->side, pairs, count, ret);
	if (seqset_is_empty(&ret->local.need_flags) && seqset_is_empty(&ret->remote.need_flags))
		return;

	struct plan first = *ret;
	look(local, &first.local.need_flags);
	look(remote, &first.remote.need_flags);
	plan_messages(pool, &local->side, &remote->side, pairs, count, ret);
	plan_done(&first);
	assert_true(seqset_is_empty(&ret->local.need_flags));
	assert_true(seqset_is_empty(&ret->remote.need_flags));
}

/* What must hold of one message of one side after a pass, from how both were right before and at
 * the end of the last pass. */
static void check_kept(unsigned base, unsigned ours, unsigned theirs, unsigned can,
	unsigned can_there, unsigned now)
{
	/* Added here: kept.  Out of reach of the other side: kept. */
	assert_int_equal(ours & ~base & ~now, 0);
	assert_int_equal(ours & ~can_there & ~now, 0);
	/* Nothing comes from nowhere, and nothing that was on both sides goes. */
	assert_int_equal(now & ~ours & ~theirs, 0);
	assert_int_equal(ours & theirs & ~now, 0);
	assert_int_equal((now ^ ours) & ~can, 0);
}

static void check_pass(const struct box before[2], const struct box edited[2],
	const struct box now[2], const struct plan *plan)
{
	unsigned can_local = now[0].permanent->bits, can_remote = now[1].permanent->bits;
	size_t unmapped = 0;

	for (size_t i = 0; i < MESSAGES; i++) {
		assert_int_equal(now[0].exists[i], now[1].exists[i]);
		assert_int_equal(now[0].exists[i], edited[0].exists[i] && edited[1].exists[i]);
		unmapped += before[0].exists[i] && !now[0].exists[i];
		if (!now[0].exists[i])
			continue;
		unsigned local = now[0].bits[i], remote = now[1].bits[i];
		assert_int_equal((local ^ remote) & can_local & can_remote, 0);
		check_kept(before[0].bits[i], edited[0].bits[i], edited[1].bits[i], can_local,
			can_remote, local);
		check_kept(before[1].bits[i], edited[1].bits[i], edited[0].bits[i], can_remote,
			can_local, remote);
	}
	assert_int_equal(plan->unmap_count, unmapped);
}

/* The other side's flags of every message, as a session knows them that has just stored them. */
static void know_all(struct box *box)
{
	struct seqset all;
	seqset_init(&all);
	assert_true(seqset_add_range(&all, 1, 1000));
	look(box, &all);
	seqset_done(&all);
}

static size_t living_pairs(const struct box boxes[2], struct uid_pair pairs[MESSAGES])
{
	size_t count = 0;
	for (size_t i = 0; i < MESSAGES; i++)
		if (boxes[0].exists[i] || boxes[1].exists[i])
			pairs[count++] = (struct uid_pair){boxes[0].uid[i], boxes[1].uid[i]};
	return count;
}

static void start(struct box boxes[2], uint64_t *seed)
{
	memset(boxes, 0, 2 * sizeof(*boxes));
	for (size_t side = 0; side < 2; side++) {
		boxes[side].permanent = &permanents[random_below(seed, ARRAY_LEN(permanents))];
		seqset_init(&boxes[side].vanished);
	}
	for (uint32_t i = 0; i < MESSAGES; i++) {
		unsigned bits = random_below(seed, SERVER);
		for (size_t side = 0; side < 2; side++) {
			boxes[side].exists[i] = true;
			boxes[side].bits[i] = (bits & boxes[side].permanent->bits) |
					      (random_below(seed, 4) ? 0 : SERVER);
		}
		boxes[0].uid[i] = 3 * i + 1;
		boxes[1].uid[i] = 2 + i * 7 % MESSAGES * 5; /* another order */
	}
}

static void one_history(uint64_t *seed)
{
	struct box boxes[2], before[2], edited[2];
	struct uid_pair pairs[MESSAGES];
	struct plan plan;

	start(boxes, seed);
	for (int round = 0; round < 6; round++) {
		memcpy(before, boxes, sizeof(boxes));
		size_t count = living_pairs(boxes, pairs);
		edit(&boxes[0], seed);
		edit(&boxes[1], seed);
		memcpy(edited, boxes, sizeof(boxes));

		make_plan(&boxes[0], &boxes[1], pairs, count, &plan);
		apply(&boxes[0], &plan.local);
		apply(&boxes[1], &plan.remote);
		check_pass(before, edited, boxes, &plan);
		plan_done(&plan);

		/* Our own stores come back as changes, and settle. */
		know_all(&boxes[0]);
		know_all(&boxes[1]);
		count = living_pairs(boxes, pairs);
		plan_messages(pool, &boxes[0].side, &boxes[1].side, pairs, count, &plan);
		assert_true(plan_is_empty(&plan));
		plan_done(&plan);
		memset(boxes[0].changed, 0, sizeof(boxes[0].changed));
		memset(boxes[1].changed, 0, sizeof(boxes[1].changed));
	}
	seqset_done(&boxes[0].vanished);
	seqset_done(&boxes[1].vanished);
}

static void test_histories(void **state)
{
	const char *given = getenv("PLAN_SEED");
	uint64_t first = given ? strtoull(given, NULL, 10) : 1;
	for (uint64_t seed = first; seed < first + (given ? 1 : 400); seed++) {
		uint64_t state_of = seed * 0x9E3779B97F4A7C15U | 1;
		print_message("# PLAN_SEED=%llu\n", (unsigned long long)seed);
		one_history(&state_of);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_histories),
	};
	cmocka_set_message_output(CM_OUTPUT_TAP);
	pool = flag_pool_new();
	int failed = cmocka_run_group_tests(tests, NULL, NULL);
	pool = flag_pool_free(pool);
	return failed;
}
