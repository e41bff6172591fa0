/* SPDX-License-Identifier: MIT */
/* core/side.c and subtree.c: what a side knows of its server, how mailboxes are selected, where the
 * bodies of messages go; and names below another one. */
#include "tests/unit/engine-fixture.h"

#include "sync/base/limits.h"
#include "sync/core/subtree.h"

static void what_it_offers(void **state)
{
	struct mailbox *mailbox;

	capabilities[REMOTE] = "NOTIFY APPENDLIMIT=5000";
	assert_false(side_has(&core.remote, "QRESYNC")); /* before there is a connection */
	connect_sides();
	assert_true(side_has(&core.remote, "qresync"));
	assert_true(side_can_notify(&core.remote));
	core.remote.overflowed = true;
	assert_false(side_can_notify(&core.remote));
	mailbox = add_mailbox("box");
	mailbox->local.append_limit = 700; /* as its list says: the server has none for all */
	mailbox->remote.append_limit = 600;
	assert_true(side_append_limit(&core.remote, mailbox) == 5000);
	assert_true(side_append_limit(&core.local, mailbox) == 700);
	mailbox->local.append_limit = 0;
	assert_true(side_append_limit(&core.local, mailbox) == UINT64_MAX);
}

/* All its time for a server that is silent for once, and now and then for one that is silent. */
static void patience(void **state)
{
	static const unsigned seconds[] = {LIMIT_SILENCE_SECONDS, LIMIT_SILENCE_SECONDS, 30, 30, 30,
		LIMIT_SILENCE_SECONDS, 30, 30, 30, LIMIT_SILENCE_SECONDS};

	for (unsigned i = 0; i < ARRAY_LEN(seconds); i++) {
		core.remote.silences = i;
		assert_int_equal(side_patience(&core.remote), seconds[i]);
	}
}

static void lost(void **state)
{
	connect_sides();
	will(REMOTE, "SELECT box", HANG_UP);
	side_select(&core.remote, &barrier, &core.remote.idle_view, "box");
	RUN_UNTIL(barrier.waiting == 0);
	expect_events("accused:0:remote lost:remote");
	assert_false(core.remote.ready);
	assert_true(core.local.ready);
}

/* A mailbox that is selected is not selected again; another one is left before. */
static void selecting(void **state)
{
	struct view one = {0}, two = {0};

	connect_sides();
	side_unselect(&core.remote, &barrier); /* nothing is selected */
	assert_int_equal(barrier.waiting, 0);
	will(REMOTE, "SELECT one", SELECTED(7, 5, 9, 3));
	side_select(&core.remote, &barrier, &one, "one");
	side_select(&core.remote, &barrier, &one, "one");
	RUN_UNTIL(barrier.waiting == 0);
	assert_int_equal(one.uidnext, 5);
	assert_int_equal(one.highestmodseq, 9);
	will(REMOTE, "UNSELECT", OK);
	will(REMOTE, "SELECT \"the other\"", "NO no such mailbox");
	side_select(&core.remote, &barrier, &two, "the other");
	RUN_UNTIL(barrier.waiting == 0);
	assert_true(barrier.refused);
	will(REMOTE, "SELECT one", SELECTED(7, 6, 9, 3));
	side_select(&core.remote, &barrier, &one, "one");
	RUN_UNTIL(barrier.waiting == 0);
	assert_int_equal(one.uidnext, 6);
	side_forget_view(&core.remote, &one);
	side_forget_view(&core.remote, &two);
	view_done(&one);
	view_done(&two);
}

/* Without UNSELECT, by asking for a mailbox that is not there. */
static void selecting_without_unselect(void **state)
{
	struct view one = {0}, two = {0};

	offers = "IMAP4rev1 LITERAL+ ENABLE QRESYNC UIDPLUS LIST-EXTENDED LIST-STATUS";
	connect_sides();
	will(REMOTE, "SELECT one", SELECTED(7, 5, 9, 3));
	will(REMOTE, "EXAMINE interimap-no-such-mailbox",
		UNTAGGED("2 EXPUNGE") "NO no such mailbox");
	will(REMOTE, "SELECT two", SELECTED(8, 6, 9, 4));
	side_select(&core.remote, &barrier, &one, "one");
	side_select(&core.remote, &barrier, &two, "two");
	RUN_UNTIL(barrier.waiting == 0);
	assert_false(barrier.refused);
	assert_int_equal(one.exists, 2);
	assert_int_equal(one.expunges, 1);
	assert_int_equal(two.uidnext, 6);
	assert_int_equal(two.exists, 4);
	assert_int_equal(two.expunges, 0);
	will(REMOTE, "EXAMINE interimap-no-such-mailbox", "NO no such mailbox");
	side_unselect(&core.remote, &barrier);
	side_unselect(&core.remote, &barrier); /* nothing is selected */
	RUN_UNTIL(barrier.waiting == 0);
	side_forget_view(&core.remote, &one);
	side_forget_view(&core.remote, &two);
	view_done(&one);
	view_done(&two);
}

/* What nobody had asked for. */
static void told(void **state)
{
	connect_sides();
	will(REMOTE, "SELECT box",
		UNTAGGED("STATUS other (UIDNEXT 5)") UNTAGGED("LIST () \"/\" new")
			SELECTED(7, 5, 9, 3));
	side_select(&core.remote, &barrier, &core.remote.idle_view, "box");
	RUN_UNTIL(barrier.waiting == 0);
	expect_events("told:remote told:remote");
}

static void names(void **state)
{
	_cleanup_free_ char *levels = side_wire_name(&core.local, "a\0b", 3), *flat = NULL;
	struct mailbox_name name;

	assert_string_equal(levels, "a/b");
	core.remote.delimiter = '\0';
	core.remote.reference = "mine.";
	assert_null(side_wire_name(&core.remote, "a\0b", 3));
	flat = side_wire_name(&core.remote, "a", 1);
	assert_string_equal(flat, "mine.a");
	assert_false(side_read_name(&core.remote, (struct slice){"theirs", 6}, &name));
	assert_true(side_read_name(&core.remote, (struct slice){"mine.b", 6}, &name));
	assert_true(mailbox_name_equal(name.data, name.len, "b", 1));
	free(name.data);
}

/* Once for each mailbox and side. */
static void dropped_flags(void **state)
{
	struct mailbox *box = add_mailbox("box");
	const struct flags *flags = flags_intern(core.flags, &(struct slice){"odd", 3}, 1);

	side_warn_dropped(&core.remote, box, flags);
	assert_true(said("remote(box): WARNING: the server cannot store these flags: odd"));
	free(log_text);
	log_text = xstrdup("");
	side_warn_dropped(&core.remote, box, flags);
	assert_string_equal(log_text, "");
	side_warn_dropped(&core.local, box, flags);
	assert_true(said("local(box)"));
}

/* --- subtree.c --- */

static void below(void **state)
{
	struct mailbox_name a = name_of("a"), b = name_of("b/c"), inbox = name_of("INBOX");
	struct buf name;

	assert_true(subtree_has(&a, "a", 1));
	assert_true(subtree_has(&a, "a\0x", 3));
	assert_false(subtree_has(&a, "ab", 2));
	assert_false(subtree_has(&a, "b", 1));
	assert_true(subtree_has(&inbox, "INBOX", 5));
	assert_false(subtree_has(&inbox, "INBOX\0x", 7)); /* they stay where they are */
	assert_false(subtree_renamed(&a, &b, "ab", 2, &name));
	assert_true(subtree_renamed(&a, &b, "a\0x", 3, &name));
	assert_int_equal(buf_len(&name), 5);
	assert_memory_equal(buf_data(&name), "b\0c\0x", 5);
	buf_done(&name);
	assert_false(subtree_is_known(&core, &a));
	(void)add_mailbox("a/x");
	assert_true(subtree_is_known(&core, &a));
	free(a.data);
	free(b.data);
	free(inbox.data);
}

/* To a place below itself: the longest names first. */
static void renamed_below_itself(void **state)
{
	struct mailbox_name a = name_of("a"), below_a = name_of("a/b"), taken = name_of("c");
	struct mailbox *top = add_mailbox("a"), *child = add_mailbox("a/b");
	struct buf name;

	assert_int_equal(subtree_rename_rows(&core, &a, &below_a, &name), 2);
	assert_ptr_equal(find_mailbox("a/b"), child); /* in memory, not yet */
	subtree_rename_known(&core, &a, &below_a);
	assert_ptr_equal(find_mailbox("a/b"), top);
	assert_ptr_equal(find_mailbox("a/b/b"), child);
	assert_string_equal(child->display, "a/b/b");
	(void)add_mailbox("c/b");
	assert_int_equal(db_begin(core.db), 0);
	assert_int_equal(subtree_rename_rows(&core, &below_a, &taken, &name), -EEXIST);
	assert_int_equal(buf_len(&name), 3);
	assert_memory_equal(buf_data(&name), "c\0b", 3);
	buf_done(&name);
	db_rollback(core.db);
	free(a.data);
	free(below_a.data);
	free(taken.data);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		BOTH(what_it_offers),
		BOTH(patience),
		BOTH(lost),
		BOTH(selecting),
		BOTH(selecting_without_unselect),
		BOTH(told),
		BOTH(names),
		BOTH(dropped_flags),
		BOTH(below),
		BOTH(renamed_below_itself),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
