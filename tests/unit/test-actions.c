/* SPDX-License-Identifier: MIT */
/* Actions: kept in order, with their UIDs, until they are dropped. */
#include "state-fixture.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "sync/state/actions.h"

static int64_t insert(struct db *db, const char *verb, const char *mailbox, const char *target,
	const char *source_uids, const char *target_uids)
{
	struct action action = {
		.certain = true,
		.mailbox = (char *)mailbox,
		.target = (char *)target,
		.uidvalidity = source_uids != NULL ? UINT32_MAX : 0,
		.source_uids = (char *)source_uids,
		.target_uids = (char *)target_uids,
	};

	(void)snprintf(action.verb, sizeof(action.verb), "%s", verb);
	assert_int_equal(actions_insert(db, &action), 0);
	return action.id;
}

static void test_order(void **state)
{
	struct db *db = fixture_open(":memory:");
	struct action *actions = NULL;
	size_t count = 7;
	int64_t first, second;

	assert_int_equal(actions_load(db, &actions, &count), 0); /* no table yet */
	assert_int_equal(count, 0);
	first = insert(db, "RENAME", "a/&AOk-", "b \"c\"", NULL, NULL);
	second = insert(db, "MOVE", "x", "y", "5:7,3", "1:4");
	assert_true(second > first);
	assert_int_equal(actions_load(db, &actions, &count), 0);
	assert_int_equal(count, 2);
	assert_string_equal(actions[0].verb, "RENAME");
	assert_string_equal(actions[0].mailbox, "a/&AOk-");
	assert_string_equal(actions[0].target, "b \"c\"");
	assert_true(actions[0].certain && !actions[0].begun && !actions[0].to_local);
	assert_int_equal(actions[0].uidvalidity, 0);
	assert_int_equal(actions[1].id, second);
	assert_int_equal(actions[1].uidvalidity, UINT32_MAX);
	actions_free(actions, count);
	/* A number is not used again: it is the order. */
	assert_int_equal(actions_drop(db, second), 0);
	assert_true(insert(db, "DELETE", "z", NULL, NULL, NULL) > second);
	db_close(db);
}

/*
 * A mail client did something before the remote server had been reached for the first time, when
 * the delimiters were not known and the schema was not made; the file was then refused for ever,
 * as the database of another program.
 */
static void test_before_the_schema(void **state)
{
	const struct fixture *fixture = *state;
	struct action *actions = NULL;
	char *reason = NULL;
	size_t count = 0;
	struct db *db;

	assert_int_equal(db_open(fixture->path, true, &db, &reason), 0);
	insert(db, "CREATE", "a", NULL, NULL, NULL);
	assert_int_equal(db_prepare_schema(db, '/', '.'), 0);
	insert(db, "CREATE", "b", NULL, NULL, NULL);
	db_close(db);
	db = fixture_open(fixture->path);
	assert_int_equal(actions_load(db, &actions, &count), 0);
	assert_int_equal(count, 2);
	actions_free(actions, count);
	db_close(db);
}

static void test_uids(void **state)
{
	struct db *db = fixture_open(":memory:");
	int64_t id = insert(db, "COPY", "x", "y", "5:7,3", "1:4");
	char *source = NULL, *target = NULL;
	struct action *actions = NULL;
	size_t count = 0;

	assert_int_equal(actions_load_uids(db, id, &source, &target), 0);
	assert_string_equal(source, "5:7,3");
	assert_string_equal(target, "1:4");
	free(source);
	free(target);
	assert_int_equal(actions_set_begun(db, id), 0);
	assert_int_equal(actions_load(db, &actions, &count), 0);
	assert_true(count == 1 && actions[0].begun);
	actions_free(actions, count);
	assert_int_equal(actions_drop(db, id), 0);
	assert_int_equal(actions_load_uids(db, id, &source, &target), -ENOENT);
	db_close(db);
}

/* What is rolled back takes the table with it; it is made again. */
static void test_rollback(void **state)
{
	struct db *db = fixture_open(":memory:");
	struct action *actions = NULL;
	size_t count = 0;

	assert_int_equal(db_begin(db), 0);
	(void)insert(db, "CREATE", "x", NULL, NULL, NULL);
	db_rollback(db);
	assert_int_equal(actions_load(db, &actions, &count), 0);
	assert_int_equal(count, 0);
	(void)insert(db, "CREATE", "x", NULL, NULL, NULL);
	assert_int_equal(actions_load(db, &actions, &count), 0);
	assert_int_equal(count, 1);
	assert_null(actions[0].target);
	actions_free(actions, count);
	db_close(db);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_order),
		cmocka_unit_test_setup_teardown(
			test_before_the_schema, fixture_setup, fixture_teardown),
		cmocka_unit_test(test_uids),
		cmocka_unit_test(test_rollback),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
