/* SPDX-License-Identifier: MIT */
/* echoes.h: what we expunge ourselves, with and without its pair. */
#include "tests/unit/state-fixture.h"

#include "sync/state/db-private.h"
#include "sync/state/echoes.h"
#include "sync/state/mapping.h"

static const struct echo there = {.remote = true, .uid = 70, .other_uid = 7};
static const struct echo here = {.remote = false, .uid = 9, .other_uid = 90};

static struct echo *load(struct db *db, int64_t idx, size_t expected)
{
	struct echo *echoes;
	size_t count;

	assert_int_equal(echoes_load(db, idx, &echoes, &count), 0);
	assert_int_equal(count, expected);
	return echoes;
}

static void assert_echo(const struct echo *echo, const struct echo *expected, bool paired)
{
	assert_int_equal(echo->remote, expected->remote);
	assert_int_equal(echo->uid, expected->uid);
	assert_int_equal(echo->other_uid, expected->other_uid);
	assert_int_equal(echo->paired, paired);
	assert_false(echo->done || echo->apart || echo->old);
}

/* Each once, and none of another mailbox, nor of the same UID on the other side. */
static void noted_and_deleted(void **state)
{
	const struct echo same_uid = {.remote = false, .uid = 70, .other_uid = 7};
	struct db *db = fixture_open(":memory:");
	int64_t idx = fixture_mailbox(db, "a"), other = fixture_mailbox(db, "b");
	struct echo *echoes;

	(void)state;
	free(load(db, idx, 0));
	assert_int_equal(echoes_delete(db, idx, &there), 0);
	assert_int_equal(echoes_insert(db, idx, &there), 1);
	assert_int_equal(echoes_insert(db, idx, &there), 0);
	assert_int_equal(echoes_insert(db, idx, &here), 1);
	free(load(db, other, 0));
	assert_int_equal(echoes_delete(db, other, &there), 0);
	assert_int_equal(echoes_delete(db, idx, &same_uid), 0);
	echoes = load(db, idx, 2); /* by UID */
	assert_echo(&echoes[0], &here, false);
	assert_echo(&echoes[1], &there, false);
	free(echoes);
	assert_int_equal(echoes_delete(db, idx, &there), 0);
	echoes = load(db, idx, 1);
	assert_echo(&echoes[0], &here, false);
	free(echoes);
	(void)db_close(db);
}

/* Whether the two are still a pair, with each other. */
static void pairs(void **state)
{
	struct db *db = fixture_open(":memory:");
	int64_t idx = fixture_mailbox(db, "a"), other = fixture_mailbox(db, "b");
	struct uid_pair pair = {.local = 7, .remote = 70};
	struct echo *echoes;

	(void)state;
	assert_int_equal(echoes_insert(db, idx, &there), 1);
	assert_int_equal(echoes_insert(db, idx, &here), 1);
	assert_int_equal(mapping_insert(db, other, pair), 0);
	assert_int_equal(mapping_insert(db, idx, pair), 0);
	assert_int_equal(mapping_insert(db, idx, (struct uid_pair){.local = 9, .remote = 91}), 0);
	echoes = load(db, idx, 2);
	assert_echo(&echoes[0], &here, false);
	assert_echo(&echoes[1], &there, true);
	free(echoes);
	assert_int_equal(mapping_delete(db, idx, pair), 0);
	echoes = load(db, idx, 2);
	assert_echo(&echoes[1], &there, false);
	free(echoes);
	(void)db_close(db);
}

/* After 20 minutes; and rows that cannot be are an error. */
static void old_and_broken(void **state)
{
	struct db *db = fixture_open(":memory:");
	int64_t idx = fixture_mailbox(db, "a");
	struct echo *echoes;
	size_t count;

	(void)state;
	assert_int_equal(echoes_insert(db, idx, &there), 1);
	assert_int_equal(db_execute(db, "UPDATE echo SET since = since - 1190"), 0);
	echoes = load(db, idx, 1);
	assert_false(echoes[0].old);
	free(echoes);
	assert_int_equal(db_execute(db, "UPDATE echo SET since = since - 20"), 0);
	echoes = load(db, idx, 1);
	assert_true(echoes[0].old);
	free(echoes);
	assert_int_equal(db_execute(db, "UPDATE echo SET uid = 4294967296"), 0);
	assert_true(echoes_load(db, idx, &echoes, &count) < 0);
	assert_null(echoes);
	assert_int_equal(count, 0);
	/* They go with their mailbox. */
	assert_int_equal(mailboxes_delete(db, idx), 0);
	free(load(db, idx, 0));
	(void)db_close(db);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(noted_and_deleted),
		cmocka_unit_test(pairs),
		cmocka_unit_test(old_and_broken),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
