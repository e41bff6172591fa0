/* SPDX-License-Identifier: MIT */
/* Adoption: which messages of the two sides are taken for the same one. */
#include "state-fixture.h"

#include <errno.h>
#include <unistd.h>

#include "sync/state/adopt.h"
#include "sync/state/mapping.h"

static void add(struct db *db, int64_t idx, bool remote, uint32_t uid, char kind, uint64_t size)
{
	struct identity identity = {.size = size, .date = 1000};

	memset(identity.digest, kind, sizeof(identity.digest));
	assert_int_equal(adopt_add(db, idx, remote, uid, &identity), 0);
}

static uint64_t pair_all(struct db *db, int64_t idx)
{
	uint64_t count = UINT64_MAX;

	assert_int_equal(adopt_pair(db, idx, &count), 0);
	return count;
}

/* The mapping of a mailbox as text, "local:remote …". */
static void assert_mapping(struct db *db, int64_t idx, const char *expected)
{
	struct uid_pair *pairs = NULL;
	size_t count = 0;
	char *text = xstrdup("");

	assert_int_equal(mapping_in_range(db, idx, false, 0, UINT32_MAX, &pairs, &count), 0);
	for (size_t i = 0; i < count; i++) {
		char *longer = xasprintf(
			"%s%s%u:%u", text, i > 0 ? " " : "", pairs[i].local, pairs[i].remote);

		free(text);
		text = longer;
	}
	assert_string_equal(text, expected);
	free(text);
	free(pairs);
}

static void assert_ambiguous(struct db *db, int64_t idx, bool remote, uint32_t after, uint32_t max,
	uint32_t expected_count, const uint32_t *expected)
{
	uint32_t *uids = NULL, count = UINT32_MAX;

	assert_int_equal(adopt_ambiguous(db, idx, remote, after, max, &uids, &count), 0);
	assert_int_equal(count, expected_count);
	if (count > 0)
		assert_memory_equal(uids, expected, count * sizeof(*uids));
	free(uids);
}

static void test_pairs_by_identity(void **state)
{
	struct db *db = fixture_open(":memory:");
	int64_t idx = fixture_mailbox(db, "a");
	uint64_t mapped;

	assert_int_equal(pair_all(db, idx), 0); /* nothing was listed, ever */
	assert_int_equal(adopt_begin(db, idx), 0);
	add(db, idx, false, 1, 'a', 10);
	add(db, idx, false, 2, 'b', 10);
	add(db, idx, false, 3, 'c', 10); /* only here */
	add(db, idx, false, 4, 'd', 10);
	add(db, idx, false, UINT32_MAX, 'e', UINT64_MAX);
	add(db, idx, true, 5, 'd', 11); /* another size */
	add(db, idx, true, 6, 'b', 10);
	add(db, idx, true, 7, 'a', 10);
	add(db, idx, true, 8, 'x', 10);
	add(db, idx, true, UINT32_MAX, 'e', UINT64_MAX);
	assert_int_equal(pair_all(db, idx), 3);
	assert_mapping(db, idx, "1:7 2:6 4294967295:4294967295");
	assert_int_equal(pair_all(db, idx), 0); /* the list is empty again */
	assert_int_equal(mapping_count(db, idx, &mapped), 0);
	assert_true(mapped == 3);
	(void)db_close(db);
}

static void test_date_counts(void **state)
{
	struct db *db = fixture_open(":memory:");
	int64_t idx = fixture_mailbox(db, "a");
	struct identity identity = {.size = 1, .date = -1};

	assert_int_equal(adopt_begin(db, idx), 0);
	assert_int_equal(adopt_add(db, idx, false, 1, &identity), 0);
	identity.date = 1;
	assert_int_equal(adopt_add(db, idx, true, 1, &identity), 0);
	assert_int_equal(pair_all(db, idx), 0);
	assert_mapping(db, idx, "");
	(void)db_close(db);
}

static void test_duplicates(void **state)
{
	static const uint32_t local[] = {2, 4, 5, 9}, remote[] = {11, 12, 13}, rest[] = {5, 9};
	struct db *db = fixture_open(":memory:");
	int64_t idx = fixture_mailbox(db, "a");

	assert_int_equal(adopt_begin(db, idx), 0);
	/* Three times here, twice there; once here, twice there … */
	add(db, idx, false, 9, 'a', 1);
	add(db, idx, false, 4, 'a', 1);
	add(db, idx, false, 2, 'a', 1);
	add(db, idx, true, 12, 'a', 1);
	add(db, idx, true, 11, 'a', 1);
	add(db, idx, false, 5, 'b', 1);
	add(db, idx, true, 13, 'b', 1);
	add(db, idx, true, 13, 'b', 1); /* a server may repeat itself */
	/* … once each, and twice on one side only: not ambiguous. */
	add(db, idx, false, 6, 'c', 1);
	add(db, idx, true, 16, 'c', 1);
	add(db, idx, false, 7, 'd', 1);
	add(db, idx, false, 8, 'd', 1);
	assert_ambiguous(db, idx, true, 0, 100, 2, remote);
	add(db, idx, true, 14, 'b', 1);
	assert_ambiguous(db, idx, false, 0, 100, 4, local);
	assert_ambiguous(db, idx, false, 4, 100, 2, rest);
	assert_ambiguous(db, idx, false, 4, 1, 1, rest);
	assert_ambiguous(db, idx, false, 9, 100, 0, NULL);
	assert_ambiguous(db, idx, true, 0, 3, 3, remote);
	assert_int_equal(pair_all(db, idx), 4);
	assert_mapping(db, idx, "2:11 4:12 5:13 6:16");
	(void)db_close(db);
}

static void test_refined(void **state)
{
	static const uint8_t x[16] = "xxxxxxxxxxxxxxx", y[16] = "yyyyyyyyyyyyyyy";
	struct db *db = fixture_open(":memory:");
	int64_t idx = fixture_mailbox(db, "a");

	assert_int_equal(adopt_begin(db, idx), 0);
	add(db, idx, false, 1, 'a', 1);
	add(db, idx, false, 2, 'a', 1);
	add(db, idx, false, 3, 'a', 1);
	add(db, idx, true, 1, 'a', 1);
	add(db, idx, true, 2, 'a', 1);
	add(db, idx, true, 3, 'a', 1);
	assert_int_equal(adopt_refine(db, idx, false, 1, x), 0);
	assert_int_equal(adopt_refine(db, idx, false, 2, y), 0);
	assert_int_equal(adopt_refine(db, idx, true, 1, y), 0);
	assert_int_equal(adopt_refine(db, idx, true, 2, x), 0);
	assert_int_equal(adopt_refine(db, idx, true, 3, x), 0);
	assert_int_equal(adopt_refine(db, idx, true, 77, x), 0); /* vanished meanwhile */
	assert_int_equal(pair_all(db, idx), 2);
	assert_mapping(db, idx, "1:2 2:1");
	(void)db_close(db);
}

static void test_leaves_mapped_alone(void **state)
{
	struct db *db = fixture_open(":memory:");
	int64_t idx = fixture_mailbox(db, "a");

	assert_int_equal(mapping_insert(db, idx, (struct uid_pair){1, 1}), 0);
	assert_int_equal(adopt_begin(db, idx), 0);
	for (uint32_t uid = 1; uid <= 3; uid++) {
		add(db, idx, false, uid, 'a', 1);
		add(db, idx, true, 4 - uid, 'a', 1);
	}
	/* One more while the list was made. */
	assert_int_equal(mapping_insert(db, idx, (struct uid_pair){2, 3}), 0);
	assert_int_equal(pair_all(db, idx), 1);
	assert_mapping(db, idx, "1:1 2:3 3:2");
	(void)db_close(db);
}

static void test_mailboxes_do_not_mix(void **state)
{
	struct fixture *fixture = *state;
	struct db *db = fixture_open(fixture->path);
	int64_t a = fixture_mailbox(db, "a"), b = fixture_mailbox(db, "b");

	assert_int_equal(adopt_begin(db, a), 0);
	assert_int_equal(adopt_begin(db, b), 0);
	add(db, a, false, 1, 'a', 1);
	add(db, b, true, 2, 'a', 1);
	add(db, b, false, 3, 'a', 1);
	assert_int_equal(pair_all(db, a), 0);
	assert_int_equal(pair_all(db, b), 1);
	assert_mapping(db, b, "3:2");
	/* A list that is begun again is empty. */
	add(db, a, false, 1, 'a', 1);
	assert_int_equal(adopt_begin(db, a), 0);
	add(db, a, true, 1, 'a', 1);
	assert_int_equal(pair_all(db, a), 0);
	/* It is never written to the file: nothing of it is left. */
	add(db, a, false, 1, 'a', 1);
	(void)db_close(db);
	db = fixture_open(fixture->path);
	assert_int_equal(pair_all(db, a), 0);
	(void)db_close(db);
}

static void test_joins_transaction(void **state)
{
	struct db *db = fixture_open(":memory:");
	int64_t idx = fixture_mailbox(db, "a");

	assert_int_equal(db_begin(db), 0);
	assert_int_equal(adopt_begin(db, idx), 0);
	add(db, idx, false, 1, 'a', 1);
	add(db, idx, true, 1, 'a', 1);
	assert_int_equal(pair_all(db, idx), 1);
	db_rollback(db);
	assert_mapping(db, idx, "");
	assert_int_equal(adopt_begin(db, idx), 0);
	add(db, idx, false, 1, 'a', 1);
	add(db, idx, true, 1, 'a', 1);
	assert_int_equal(pair_all(db, idx), 1);
	(void)db_close(db);
}

/* All alike: neither pairing nor the question what is ambiguous may be quadratic. */
static void test_many_alike(void **state)
{
	enum { MANY = 20000 };
	struct fixture *fixture = *state;
	struct db *db = fixture_open(fixture->path);
	int64_t idx = fixture_mailbox(db, "a");
	uint32_t *uids = NULL, count;

	(void)alarm(60);
	assert_int_equal(adopt_begin(db, idx), 0);
	for (uint32_t uid = 1; uid <= MANY; uid++) {
		add(db, idx, false, uid, 'a', 1);
		add(db, idx, true, uid + 5, 'a', 1);
	}
	assert_int_equal(adopt_ambiguous(db, idx, true, 0, UINT32_MAX, &uids, &count), 0);
	assert_int_equal(count, MANY);
	assert_int_equal(uids[MANY - 1], MANY + 5);
	free(uids);
	assert_int_equal(pair_all(db, idx), MANY);
	(void)alarm(0);
	(void)db_close(db);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_pairs_by_identity),
		cmocka_unit_test(test_date_counts),
		cmocka_unit_test(test_duplicates),
		cmocka_unit_test(test_refined),
		cmocka_unit_test(test_leaves_mapped_alone),
		fixture_test(test_mailboxes_do_not_mix),
		cmocka_unit_test(test_joins_transaction),
		fixture_test(test_many_alike),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
