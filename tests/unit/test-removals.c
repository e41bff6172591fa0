/* SPDX-License-Identifier: MIT */
/* deeds/removals.h: which messages clients are known to have expunged. */
#include "tests/unit/state-fixture.h"

#include "sync/base/buf.h"
#include "sync/deeds/action.h"
#include "sync/deeds/removals.h"
#include "sync/imap/seqset.h"
#include "sync/state/removals.h"

static struct removals removals;

static void note(struct db *db, enum removal_kind kind, bool by_uid, const char *set)
{
	const struct client_removal removal = {
		.kind = kind, .mailbox = "box", .set = set, .by_uid = by_uid};

	assert_int_equal(removals_note(&removals, db, &removal), 0);
}

/* What is written of "box", and goes. */
static void assert_written(struct db *db, const char *uids, uint64_t messages)
{
	struct removal *list;
	size_t count;

	assert_int_equal(removals_load(db, "box", &list, &count), 0);
	assert_int_equal(count, uids != NULL);
	if (count > 0) {
		assert_string_equal(list[0].uids, uids);
		assert_true(list[0].messages == messages);
		assert_int_equal(removals_forget(db, "other", list[0].id), 0);
		assert_int_equal(removals_forget(db, "box", list[0].id - 1), 0);
		assert_int_equal(removals_forget(db, "box", list[0].id), 0);
	}
	removals_free(list, count);
	assert_int_equal(removals_load(db, "box", &list, &count), 0);
	assert_int_equal(count, 0);
}

static void assert_marked(const char *wanted, uint64_t wanted_others)
{
	struct seqset uids;
	uint64_t others = 0;
	size_t index = 0;
	struct buf text;

	seqset_init(&uids);
	buf_init(&text, 100);
	removals_add_marked(&removals, "box", &uids, &others);
	seqset_format(&uids, &index, 100, &text);
	(void)buf_putc(&text, '\0');
	assert_string_equal(buf_data(&text), wanted);
	assert_true(others == wanted_others);
	buf_done(&text);
	seqset_done(&uids);
}

static void marks(void **state)
{
	struct db *db = fixture_open(((struct fixture *)*state)->path);

	/* EXPUNGE, CLOSE: what is marked, be it nothing. */
	note(db, REMOVAL_EXPUNGE, false, NULL);
	assert_written(db, NULL, 0);
	note(db, REMOVAL_MARK, true, "5,9:7");
	note(db, REMOVAL_MARK, false, "1:3");
	note(db, REMOVAL_UNMARK, true, "8");
	note(db, REMOVAL_UNMARK, false, "2");
	note(db, REMOVAL_EXPUNGE, false, NULL);
	assert_written(db, "5,7,9", 2);
	note(db, REMOVAL_EXPUNGE, false, NULL);
	assert_written(db, NULL, 0);
	/* UID EXPUNGE 1:* of one that is marked is about that one. */
	note(db, REMOVAL_MARK, true, "5,6");
	note(db, REMOVAL_EXPUNGE, true, "6:*");
	assert_written(db, "6", 0);
	assert_marked("5", 0);
	note(db, REMOVAL_EXPUNGE, true, "1:*");
	assert_written(db, "5", 0);
	assert_marked("", 0);
	/* All. */
	note(db, REMOVAL_MARK, true, "3:*");
	note(db, REMOVAL_EXPUNGE, false, NULL);
	assert_written(db, "3:4294967295", 0);
	note(db, REMOVAL_MARK, false, "1:*");
	note(db, REMOVAL_EXPUNGE, true, "1:4");
	assert_written(db, "", 4);
	note(db, REMOVAL_EXPUNGE, false, NULL);
	assert_written(db, "", UINT64_MAX);
	removals_done(&removals);
	db_close(db);
}

static void what_is_no_set(void **state)
{
	static const char *const sets[] = {
		"", "0", "x", "5,", ",5", "5:", "$", "5 ", "4294967296", "-1", "1:2:3"};
	struct db *db = fixture_open(((struct fixture *)*state)->path);

	for (size_t i = 0; i < ARRAY_LEN(sets); i++)
		note(db, REMOVAL_MARK, true, sets[i]);
	note(db, REMOVAL_EXPUNGE, false, NULL);
	assert_written(db, NULL, 0);
	removals_done(&removals);
	db_close(db);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		fixture_test(marks),
		fixture_test(what_is_no_set),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
