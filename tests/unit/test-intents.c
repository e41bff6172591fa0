/* SPDX-License-Identifier: MIT */
/* Intents: made before an APPEND, gone with its mapping, and never lost in between. */
#include "state-fixture.h"

#include <errno.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include "sync/state/db-private.h"
#include "sync/state/intents.h"
#include "sync/state/mapping.h"

static struct intent make(int64_t mailbox, bool to_remote, uint32_t uid)
{
	struct intent intent = {
		.mailbox = mailbox,
		.to_remote = to_remote,
		.source_uid = uid,
		.target_uidvalidity = UINT32_MAX,
		.target_uidnext = UINT32_MAX - 1,
		.identity = {.size = UINT64_MAX, .date = -5},
	};

	memset(intent.identity.digest, (int)uid, sizeof(intent.identity.digest));
	intent.identity.digest[3] = 0;
	return intent;
}

static size_t load(struct db *db, int64_t idx, struct intent **intents)
{
	size_t count = 0;

	assert_int_equal(intents_load(db, idx, intents, &count), 0);
	return count;
}

static size_t how_many(struct db *db, int64_t idx)
{
	struct intent *intents = NULL;
	size_t count = load(db, idx, &intents);

	free(intents);
	return count;
}

static void test_round_trip(void **state)
{
	struct db *db = fixture_open(":memory:");
	int64_t a = fixture_mailbox(db, "a"), b = fixture_mailbox(db, "b");
	struct intent first = make(a, true, UINT32_MAX), second = make(b, false, 2);
	struct intent *intents = NULL;

	assert_int_equal(how_many(db, 0), 0); /* no table yet */
	assert_int_equal(intents_drop(db, &first), 0);
	assert_int_equal(intents_insert(db, &first), 0);
	assert_int_equal(intents_insert(db, &second), 0);
	assert_true(first.id > 0 && second.id > first.id);
	assert_int_equal(load(db, 0, &intents), 2);
	assert_memory_equal(&intents[0].identity, &first.identity, sizeof(first.identity));
	assert_true(intents[0].id == first.id && intents[0].mailbox == a && intents[0].to_remote);
	assert_true(intents[0].source_uid == UINT32_MAX);
	assert_true(intents[0].target_uidvalidity == UINT32_MAX);
	assert_true(intents[0].target_uidnext == UINT32_MAX - 1);
	assert_true(intents[1].mailbox == b && !intents[1].to_remote);
	free(intents);
	assert_int_equal(how_many(db, b), 1);
	assert_int_equal(how_many(db, 999), 0);
	(void)db_close(db);
}

static void test_one_per_source(void **state)
{
	struct db *db = fixture_open(":memory:");
	int64_t a = fixture_mailbox(db, "a"), b = fixture_mailbox(db, "b");
	struct intent intent = make(a, true, 1), same = make(a, true, 1);
	struct intent back = make(a, false, 1), elsewhere = make(b, true, 1);
	struct intent orphan = make(999, true, 1), zero = make(a, true, 0);

	assert_int_equal(intents_insert(db, &intent), 0);
	assert_int_equal(intents_insert(db, &same), -EEXIST);
	assert_int_equal(same.id, 0);
	assert_int_equal(intents_insert(db, &back), 0);
	assert_int_equal(intents_insert(db, &elsewhere), 0);
	assert_int_equal(intents_insert(db, &orphan), -EINVAL);
	assert_int_equal(intents_insert(db, &zero), -EINVAL);
	assert_int_equal(how_many(db, 0), 3);
	assert_int_equal(mailboxes_delete(db, a), 0);
	assert_int_equal(how_many(db, 0), 1);
	(void)db_close(db);
}

static void test_settle(void **state)
{
	struct db *db = fixture_open(":memory:");
	int64_t idx = fixture_mailbox(db, "a");
	struct intent first = make(idx, true, 1), second = make(idx, true, 2), third;
	uint64_t mapped;

	assert_int_equal(intents_insert(db, &first), 0);
	assert_int_equal(intents_insert(db, &second), 0);
	assert_int_equal(intents_settle(db, &first, (struct uid_pair){1, 11}), 0);
	assert_int_equal(how_many(db, 0), 1);
	/* A pair that cannot be: neither half of the exchange happens. */
	assert_int_equal(intents_settle(db, &second, (struct uid_pair){2, 11}), -EEXIST);
	assert_int_equal(how_many(db, 0), 1);
	/* It joins an open transaction. */
	assert_int_equal(db_begin(db), 0);
	assert_int_equal(intents_settle(db, &second, (struct uid_pair){2, 12}), 0);
	db_rollback(db);
	assert_int_equal(how_many(db, 0), 1);
	assert_int_equal(mapping_count(db, idx, &mapped), 0);
	assert_true(mapped == 1);
	assert_int_equal(intents_drop(db, &second), 0);
	assert_int_equal(how_many(db, 0), 0);
	/* One that is over does not take a younger one of the same number with it. */
	third = make(idx, true, 3);
	assert_int_equal(intents_insert(db, &third), 0);
	assert_int_equal(third.id, first.id);
	assert_int_equal(intents_drop(db, &first), 0);
	assert_int_equal(how_many(db, 0), 1);
	(void)db_close(db);
}

/* The table may have been made in a transaction that was rolled back. */
static void test_rollback_of_table(void **state)
{
	struct db *db = fixture_open(":memory:");
	struct intent intent = make(fixture_mailbox(db, "a"), true, 1);

	assert_int_equal(db_begin(db), 0);
	assert_int_equal(intents_insert(db, &intent), 0);
	db_rollback(db);
	assert_int_equal(how_many(db, 0), 0);
	assert_int_equal(intents_drop(db, &intent), 0);
	assert_int_equal(intents_insert(db, &intent), 0);
	assert_int_equal(how_many(db, 0), 1);
	(void)db_close(db);
}

static size_t how_many_late(struct db *db, int64_t idx)
{
	struct intent *late = NULL;
	size_t count = 0;

	assert_int_equal(late_load(db, idx, &late, &count), 0);
	free(late);
	return count;
}

/* Given up, an intent is no longer open, and its message may be copied anew; it is remembered. */
static void test_lapse(void **state)
{
	struct db *db = fixture_open(":memory:");
	int64_t a = fixture_mailbox(db, "a"), b = fixture_mailbox(db, "b");
	struct intent intent = make(a, true, 7), again = make(a, true, 7),
		      other = make(b, false, 8);
	struct intent *late = NULL;
	size_t count = 0;

	assert_int_equal(how_many_late(db, a), 0); /* no table yet */
	assert_int_equal(intents_insert(db, &intent), 0);
	assert_int_equal(intents_insert(db, &other), 0);
	assert_int_equal(db_begin(db), 0);
	assert_int_equal(intents_lapse(db, &intent), 0);
	db_rollback(db); /* with the table */
	assert_int_equal(how_many(db, a), 1);
	assert_int_equal(how_many_late(db, a), 0);
	assert_int_equal(intents_lapse(db, &intent), 0);
	assert_int_equal(how_many(db, a), 0);
	assert_int_equal(how_many(db, b), 1);
	assert_int_equal(intents_insert(db, &again), 0);
	assert_int_equal(intents_lapse(db, &again), 0);
	assert_int_equal(intents_lapse(db, &other), 0);
	assert_int_equal(late_load(db, a, &late, &count), 0);
	assert_int_equal(count, 2);
	assert_memory_equal(&late[0].identity, &intent.identity, sizeof(intent.identity));
	assert_true(late[0].mailbox == a && late[0].to_remote && late[0].source_uid == 7);
	assert_true(late[0].target_uidvalidity == UINT32_MAX);
	assert_true(late[0].target_uidnext == UINT32_MAX - 1);
	assert_int_equal(late_drop(db, &late[0]), 0);
	free(late);
	assert_int_equal(how_many_late(db, a), 1);
	assert_int_equal(mailboxes_delete(db, a), 0);
	assert_int_equal(how_many_late(db, a), 0);
	assert_int_equal(how_many_late(db, b), 1);
	(void)db_close(db);
}

/* What a connection delivers long after its end is nobody's memory. */
static void test_lapse_is_forgotten(void **state)
{
	struct db *db = fixture_open(":memory:");
	int64_t a = fixture_mailbox(db, "a");
	struct intent first = make(a, true, 7), second = make(a, true, 8);
	int64_t rows = 0;

	assert_int_equal(intents_insert(db, &first), 0);
	assert_int_equal(intents_insert(db, &second), 0);
	assert_int_equal(intents_lapse(db, &first), 0);
	assert_int_equal(db_execute(db, "UPDATE late SET since = since - 1201"), 0);
	assert_int_equal(how_many_late(db, a), 0);
	assert_int_equal(intents_lapse(db, &second), 0);
	assert_int_equal(how_many_late(db, a), 1);
	assert_int_equal(db_number(db, "SELECT count(*) FROM late", &rows), 0);
	assert_int_equal(rows, 1);
	(void)db_close(db);
}

/* Commits of the child: schema, mailbox, table, then one for each intent and each settlement. */
static void child(const char *path, const char *variable, unsigned int commit)
{
	_cleanup_free_ char *value = xasprintf("%u", commit);
	struct intent intents[3];
	struct db *db;
	int64_t idx;

	(void)setenv(variable, value, 1);
	db = fixture_open(path);
	idx = fixture_mailbox(db, "a");
	for (uint32_t i = 0; i < 3; i++) {
		intents[i] = make(idx, true, i + 1);
		(void)intents_insert(db, &intents[i]);
	}
	for (uint32_t i = 0; i < 3; i++)
		(void)intents_settle(db, &intents[i], (struct uid_pair){i + 1, i + 11});
	_exit(0); /* not reached, there are nine commits */
}

static void test_survives_kill(void **state)
{
	static const char *const variables[] = {
		"INTERIMAP_CRASH_AT_COMMIT", "INTERIMAP_CRASH_AFTER_COMMIT"};
	struct fixture *fixture = *state;

	for (unsigned int i = 0; i < 2 * 9; i++) {
		unsigned int commit = i / 2 + 1, done = commit - 1 + i % 2, made, settled;
		_cleanup_free_ char *path = xasprintf("%s/%u.db", fixture->directory, i);
		struct db *db;
		uint64_t mapped;
		int status;
		pid_t pid = fork();

		assert_true(pid >= 0);
		if (pid == 0)
			child(path, variables[i % 2], commit);
		assert_int_equal(waitpid(pid, &status, 0), pid);
		assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
		made = done <= 3 ? 0 : done <= 6 ? done - 3 : 3;
		settled = done <= 6 ? 0 : done - 6;
		db = fixture_open(path);
		assert_int_equal(how_many(db, 0), made - settled);
		assert_int_equal(mapping_count(db, 1, &mapped), 0);
		assert_true(mapped == settled);
		(void)db_close(db);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_round_trip),
		cmocka_unit_test(test_one_per_source),
		cmocka_unit_test(test_settle),
		cmocka_unit_test(test_rollback_of_table),
		cmocka_unit_test(test_lapse),
		cmocka_unit_test(test_lapse_is_forgotten),
		fixture_test(test_survives_kill),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
