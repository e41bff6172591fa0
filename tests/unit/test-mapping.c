/* SPDX-License-Identifier: MIT */
/* Pairs of UIDs: edges of the number range, order, interrupted runs, and many of them. */
#include "state-fixture.h"

#include <errno.h>
#include <time.h>

#include "sync/state/mapping.h"

static void insert(struct db *db, int64_t idx, uint32_t local, uint32_t remote)
{
	assert_int_equal(mapping_insert(db, idx, (struct uid_pair){local, remote}), 0);
}

static void assert_count(struct db *db, int64_t idx, uint64_t expected)
{
	uint64_t count = 0;

	assert_int_equal(mapping_count(db, idx, &count), 0);
	assert_true(count == expected);
}

static void test_unique(void **state)
{
	struct db *db = fixture_open(":memory:");
	int64_t a = fixture_mailbox(db, "a"), b = fixture_mailbox(db, "b");

	insert(db, a, 1, UINT32_MAX);
	insert(db, a, UINT32_MAX, 1);
	insert(db, b, 1, UINT32_MAX); /* another mailbox */
	assert_int_equal(mapping_insert(db, a, (struct uid_pair){1, 2}), -EEXIST);
	assert_int_equal(mapping_insert(db, a, (struct uid_pair){2, 1}), -EEXIST);
	assert_int_equal(mapping_insert(db, a, (struct uid_pair){0, 5}), -EINVAL);
	assert_int_equal(mapping_insert(db, a, (struct uid_pair){5, 0}), -EINVAL);
	assert_int_equal(mapping_insert(db, 999, (struct uid_pair){5, 5}), -EINVAL);
	assert_count(db, a, 2);
	assert_int_equal(mapping_delete(db, a, (struct uid_pair){1, 1}), 0); /* not this pair */
	assert_count(db, a, 2);
	assert_int_equal(mapping_delete(db, a, (struct uid_pair){UINT32_MAX, 1}), 0);
	assert_count(db, a, 1);
	insert(db, a, 2, 1);
	assert_count(db, b, 1);
	(void)db_close(db);
}

static void test_ranges(void **state)
{
	struct db *db = fixture_open(":memory:");
	int64_t idx = fixture_mailbox(db, "a");
	struct uid_pair *pairs = NULL;
	size_t count = 0;

	insert(db, idx, 1, 30);
	insert(db, idx, 2, 20);
	insert(db, idx, 3, 10);
	insert(db, idx, UINT32_MAX, UINT32_MAX);
	assert_int_equal(mapping_in_range(db, idx, false, 2, 3, &pairs, &count), 0);
	assert_int_equal(count, 2);
	/* Appends; the order is that of the side asked for. */
	assert_int_equal(mapping_in_range(db, idx, true, 11, UINT32_MAX, &pairs, &count), 0);
	assert_int_equal(count, 5);
	assert_true(pairs[0].local == 2 && pairs[1].local == 3);
	assert_true(pairs[2].remote == 20 && pairs[2].local == 2);
	assert_true(pairs[3].remote == 30 && pairs[3].local == 1);
	assert_true(pairs[4].remote == UINT32_MAX && pairs[4].local == UINT32_MAX);
	assert_int_equal(mapping_in_range(db, idx, true, 21, 29, &pairs, &count), 0);
	assert_int_equal(mapping_in_range(db, idx, true, 30, 20, &pairs, &count), 0);
	assert_int_equal(mapping_in_range(db, idx + 1, true, 0, UINT32_MAX, &pairs, &count), 0);
	assert_int_equal(count, 5);
	free(pairs);
	(void)db_close(db);
}

static void test_dangling(void **state)
{
	struct db *db = fixture_open(":memory:");
	int64_t idx = fixture_mailbox(db, "a");
	struct uid_pair *pairs = NULL;
	size_t count = 0;

	insert(db, idx, 1, 3);
	insert(db, idx, 2, 2);
	insert(db, idx, 3, 1);
	assert_int_equal(mapping_dangling(db, idx, 4, 4, &pairs, &count), 0);
	assert_int_equal(count, 0);
	assert_int_equal(mapping_dangling(db, idx, 3, 3, &pairs, &count), 0);
	assert_int_equal(count, 2);
	assert_true(pairs[0].local == 1 && pairs[1].local == 3);
	assert_int_equal(mapping_dangling(db, idx, 0, UINT32_MAX, &pairs, &count), 0);
	assert_int_equal(count, 5);
	free(pairs);
	(void)db_close(db);
}

struct visitor {
	struct db *db;
	int64_t idx;
	uint32_t seen, stop_after;
	uint64_t sum;
};

/* Looks up while it is visited, as the engine does. */
static bool visit(void *context, struct uid_pair pair)
{
	struct visitor *visitor = context;
	struct uid_pair *pairs = NULL;
	size_t count = 0;

	assert_int_equal(mapping_in_range(visitor->db, visitor->idx, true, pair.remote, pair.remote,
				 &pairs, &count),
		0);
	assert_int_equal(count, 1);
	assert_true(pairs[0].local == pair.local);
	free(pairs);
	visitor->sum += pair.local;
	return ++visitor->seen < visitor->stop_after;
}

static void test_visit(void **state)
{
	struct db *db = fixture_open(":memory:");
	struct visitor visitor = {.db = db, .idx = fixture_mailbox(db, "a"), .stop_after = 1000};

	for (uint32_t uid = 1; uid <= 100; uid++)
		insert(db, visitor.idx, uid, 1000 - uid);
	assert_int_equal(mapping_visit(db, visitor.idx, true, 1, UINT32_MAX, visit, &visitor), 0);
	assert_int_equal(visitor.seen, 100);
	assert_true(visitor.sum == 5050);
	visitor.seen = 0;
	visitor.sum = 0;
	visitor.stop_after = 2;
	assert_int_equal(mapping_visit(db, visitor.idx, true, 1, UINT32_MAX, visit, &visitor), 0);
	assert_int_equal(visitor.seen, 2);
	assert_true(visitor.sum == 100 + 99); /* lowest remote UIDs first */
	(void)db_close(db);
}

static void test_cascade(void **state)
{
	struct db *db = fixture_open(":memory:");
	int64_t a = fixture_mailbox(db, "a"), b = fixture_mailbox(db, "b");
	static const struct mailbox_state one = {1, 1, 1};

	for (uint32_t uid = 1; uid <= 10; uid++) {
		insert(db, a, uid, uid);
		insert(db, b, uid, uid);
	}
	assert_int_equal(mailboxes_set_state(db, a, false, &one), 0);
	assert_int_equal(mailboxes_set_state(db, a, true, &one), 0);
	assert_int_equal(mailboxes_delete(db, a), 0);
	assert_count(db, a, 0);
	assert_count(db, b, 10);
	assert_int_equal(mailboxes_delete(db, a), 0);
	assert_true(fixture_mailbox(db, "a") > b); /* numbers are not used again */
	(void)db_close(db);
}

/* A large mailbox, asked for piece by piece. */
static void test_many(void **state)
{
	enum { MANY = 100000 };
	struct fixture *fixture = *state;
	struct db *db = fixture_open(fixture->path);
	int64_t idx = fixture_mailbox(db, "a");
	struct uid_pair *pairs = NULL;
	struct timespec start, end;
	size_t count = 0;

	assert_int_equal(db_begin(db), 0);
	for (uint32_t uid = 1; uid <= MANY; uid++)
		insert(db, idx, uid, MANY + 1 - uid);
	assert_int_equal(db_commit(db), 0);
	assert_int_equal(clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &start), 0);
	for (uint32_t uid = 1; uid <= MANY; uid += 100)
		assert_int_equal(mapping_in_range(db, idx, true, uid, uid + 99, &pairs, &count), 0);
	assert_int_equal(clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &end), 0);
	assert_int_equal(count, MANY);
	for (size_t i = 0; i < count; i++) {
		assert_true(pairs[i].remote == i + 1);
		assert_true(pairs[i].local == MANY - i);
	}
	/* An index is used: a scan for each of the thousand ranges would take minutes. */
	assert_true(end.tv_sec - start.tv_sec < 10);
	assert_count(db, idx, MANY);
	free(pairs);
	(void)db_close(db);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_unique),
		cmocka_unit_test(test_ranges),
		cmocka_unit_test(test_dangling),
		cmocka_unit_test(test_visit),
		cmocka_unit_test(test_cascade),
		fixture_test(test_many),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
