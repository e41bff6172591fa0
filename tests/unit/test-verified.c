/* SPDX-License-Identifier: MIT */
/* What --verify takes for the same message, and what for a difference. */
#include "state-fixture.h"

#include "sync/state/mapping.h"
#include "sync/state/verified.h"

static void add_dated(struct db *db, bool remote, uint32_t uid, char kind, uint64_t size,
	int64_t date, const char *flags)
{
	struct identity identity = {.size = size, .date = date};

	memset(identity.digest, kind, sizeof(identity.digest));
	assert_int_equal(verified_add(db, remote, uid, &identity, flags), 0);
}

static void add(struct db *db, bool remote, uint32_t uid, char kind)
{
	add_dated(db, remote, uid, kind, 10, 1000, "\\Seen");
}

static void expect(struct db *db, int64_t idx, const char *expected)
{
	struct verified_counts c = {0};
	char text[200];

	assert_int_equal(verified_compare(db, idx, &c), 0);
	(void)snprintf(text, sizeof(text), "%d:%d only %d:%d flags %d strangers %d unpaired %d",
		(int)c.local, (int)c.remote, (int)c.only_local, (int)c.only_remote, (int)c.flags,
		(int)c.strangers, (int)c.unpaired);
	assert_string_equal(text, expected);
}

static void expect_listed(struct db *db, enum verified_difference difference, const char *expected)
{
	struct verified_message *messages = NULL;
	size_t count = 0;
	char text[200] = "";

	assert_int_equal(verified_list(db, difference, 0, 100, &messages, &count), 0);
	for (size_t i = 0; i < count; i++)
		(void)snprintf(text + strlen(text), sizeof(text) - strlen(text), "%u:%u ",
			messages[i].local, messages[i].remote);
	assert_string_equal(text, expected);
	verified_messages_free(messages, count);
}

static int64_t prepare(struct db *db, const struct uid_pair *pairs, size_t count)
{
	int64_t idx = 0;

	assert_int_equal(mailboxes_insert(db, "a", 1, true, &idx), 0);
	for (size_t i = 0; i < count; i++)
		assert_int_equal(mapping_insert(db, idx, pairs[i]), 0);
	assert_int_equal(verified_begin(db), 0);
	return idx;
}

static void test_the_same(void **state)
{
	struct db *db = fixture_open(":memory:");
	const struct uid_pair pairs[] = {{1, 11}, {2, 12}, {3, 13}, {9, 19}};
	int64_t idx = prepare(db, pairs, ARRAY_LEN(pairs));

	(void)state;
	expect(db, idx, "0:0 only 0:0 flags 0 strangers 0 unpaired 0");
	add(db, false, 1, 'a');
	add(db, true, 11, 'a');
	add_dated(db, false, 2, 'b', 10, 1000, "");
	add_dated(db, true, 12, 'b', 12, 1000, ""); /* the server changed its line ends */
	add_dated(db, false, 3, 'c', 10, 1000, "");
	add_dated(db, true, 13, 'c', 10, 1001, ""); /* … its date */
	add(db, false, 4, 'd'); /* copied, and nothing of it is known */
	add(db, false, 5, 'd');
	add(db, true, 25, 'd');
	add(db, true, 26, 'd');
	expect(db, idx, "5:5 only 0:0 flags 0 strangers 0 unpaired 2");
	db_close(db);
}

static void test_differences(void **state)
{
	struct db *db = fixture_open(":memory:");
	const struct uid_pair pairs[] = {{1, 11}, {2, 12}, {3, 13}, {4, 14}};
	int64_t idx = prepare(db, pairs, ARRAY_LEN(pairs));

	(void)state;
	add(db, false, 1, 'a');
	add_dated(db, true, 11, 'a', 10, 1000, ""); /* flags */
	add(db, false, 2, 'b'); /* its mate is gone, and one like it was there before */
	add(db, false, 3, 'c'); /* not the same */
	add(db, true, 13, 'x');
	add_dated(db, false, 4, 'd', 10, 1000, "");
	add_dated(db, true, 14, 'd', 11, 1001, ""); /* neither size nor date */
	add(db, false, 5, 'e'); /* twice here, once there */
	add(db, false, 6, 'e');
	add(db, true, 15, 'e');
	add(db, true, 16, 'f');
	expect(db, idx, "6:5 only 2:1 flags 1 strangers 2 unpaired 1");
	expect_listed(db, VERIFIED_ONLY_LOCAL, "2:0 6:0 ");
	expect_listed(db, VERIFIED_ONLY_REMOTE, "0:16 ");
	expect_listed(db, VERIFIED_FLAGS, "1:11 ");
	expect_listed(db, VERIFIED_STRANGERS, "3:13 4:14 ");
	assert_int_equal(verified_begin(db), 0);
	expect(db, 0, "0:0 only 0:0 flags 0 strangers 0 unpaired 0");
	db_close(db);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_the_same),
		cmocka_unit_test(test_differences),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
