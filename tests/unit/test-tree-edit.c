/* SPDX-License-Identifier: MIT */
/* tree/edit.c, rename.c and loss.c: --delete and --rename, target by target; what one refuses is not
 * done on those behind it. */
#include "tests/unit/tree-fixture.h"

static const char *names[4];

/* What a person asks for, everywhere. */
static void order(enum job_kind kind, const char *first, const char *second)
{
	connect_sides();
	names[0] = first;
	names[1] = second;
	core.asked = (struct job){
		.kind = kind, .mailboxes = names, .local = true, .remote = true, .database = true};
}

static void edit(void)
{
	assert_true(tree_prepare(&tree));
	edit_begin(&tree);
	while (edit_on(&tree))
		RUN_UNTIL(barrier.waiting == 0);
	expect_no_events();
}

/* --- --delete --- */

/* What goes with it is counted before. */
static void will_count(int side, const char *examine, const char *uids)
{
	_cleanup_free_ char *found = xasprintf(UNTAGGED("SEARCH %s") OK, uids);

	will(side, examine, SELECTED(7, 50, 50, 3));
	will(side, "UID SEARCH ALL", found);
}

static void deleted_everywhere(void **state)
{
	struct mailbox *a;

	order(JOB_DELETE, "a", NULL);
	a = add_mailbox("a");
	add_pair(a, 1, 101);
	add_pair(a, 2, 102);
	look_at("a", LISTED("a", ""), LISTED("a", ""));
	will_count(LOCAL, "EXAMINE a", "1 2 3 4");
	will_count(REMOTE, "EXAMINE a", "101 102");
	will(LOCAL, "DELETE a", OK);
	will(REMOTE, "DELETE a", OK);
	edit();
	assert_mailboxes("");
	assert_null(find_mailbox("a"));
	assert_false(core.incomplete);
	assert_true(said("local: Deleted mailbox a"));
	assert_true(said("database: Removed mailbox a"));
	assert_true(said("2 of the 4 message(s) in a were on that side only"));
	assert_false(said("remote: WARNING"));
}

static void deleted_where_it_is_alone(void **state)
{
	order(JOB_DELETE, "a/b", NULL);
	look_at("a/b", "", LISTED("a/b", ""));
	will_count(REMOTE, "EXAMINE a/b", "7 8 9");
	will(REMOTE, "DELETE a/b", OK);
	edit();
	assert_true(said("3 of the 3 message(s) in a/b were on that side only"));
}

static void a_refused_deletion(void **state)
{
	order(JOB_DELETE, "a", "b");
	(void)add_mailbox("a");
	(void)add_mailbox("b");
	look_at("a b", LISTED("a", "") LISTED("b", ""), LISTED("a", "") LISTED("b", ""));
	will_count(LOCAL, "EXAMINE a", "1");
	will_count(LOCAL, "EXAMINE b", "1");
	will_count(REMOTE, "EXAMINE a", "1");
	will_count(REMOTE, "EXAMINE b", "1");
	will(LOCAL, "DELETE a", "NO it is in use");
	will(LOCAL, "DELETE b", OK);
	will(REMOTE, "DELETE b", OK);
	edit();
	assert_mailboxes("a+");
	assert_true(core.incomplete);
	assert_true(said("Couldn't delete mailbox a: NO: it is in use"));
}

static void refused_at_the_remote(void **state)
{
	order(JOB_DELETE, "a", NULL);
	(void)add_mailbox("a");
	look_at("a", LISTED("a", ""), LISTED("a", ""));
	will_count(LOCAL, "EXAMINE a", "1");
	will_count(REMOTE, "EXAMINE a", "1");
	will(LOCAL, "DELETE a", OK);
	will(REMOTE, "DELETE a", "NO [NOPERM] no");
	edit();
	assert_mailboxes("a+"); /* so that it is not created again, but reported */
	assert_true(core.incomplete);
}

/* By somebody else, or by us before we were cut off. */
static void gone_already(void **state)
{
	order(JOB_DELETE, "a", NULL);
	(void)add_mailbox("a");
	look_at("a", LISTED("a", ""), LISTED("a", ""));
	will_count(LOCAL, "EXAMINE a", "1");
	will(REMOTE, "EXAMINE a", "NO [NONEXISTENT] gone");
	will(REMOTE, "UID SEARCH ALL", "BAD no mailbox");
	will(LOCAL, "DELETE a", OK);
	will(REMOTE, "DELETE a", "NO [NONEXISTENT] gone");
	edit();
	assert_mailboxes("");
	assert_false(core.incomplete);
	assert_true(said("Mailbox a is gone already"));
}

static void one_target_only(void **state)
{
	order(JOB_DELETE, "a", NULL);
	core.asked.local = core.asked.remote = false;
	(void)add_mailbox("a");
	look_at("a", LISTED("a", ""), LISTED("a", ""));
	edit();
	assert_mailboxes("");
}

static void not_the_inbox(void **state)
{
	order(JOB_DELETE, "inbox", NULL);
	(void)add_mailbox("INBOX");
	look_at("inbox", LISTED("INBOX", ""), LISTED("INBOX", ""));
	edit();
	assert_mailboxes("INBOX+");
	assert_true(core.incomplete);
	assert_true(said("inbox can't be deleted"));
}

/* But it may be forgotten. */
static void the_inbox_in_the_database(void **state)
{
	order(JOB_DELETE, "INBOX", NULL);
	core.asked.local = core.asked.remote = false;
	(void)add_mailbox("INBOX");
	look_at("INBOX", LISTED("INBOX", ""), LISTED("INBOX", ""));
	edit();
	assert_mailboxes("");
	assert_false(core.incomplete);
}

static void nowhere(void **state)
{
	order(JOB_DELETE, "a", NULL);
	look_at("a", "", BARELY_LISTED("a", "\\Noselect")); /* a place for its children */
	edit();
	assert_false(core.incomplete);
	assert_true(said("There is no mailbox a on any target: nothing to delete"));
}

static void not_a_name(void **state)
{
	order(JOB_DELETE, "a\nb", NULL);
	edit();
	assert_true(core.incomplete);
	assert_true(said("Invalid mailbox name"));
}

/* What clients did with it goes with it. */
static void with_its_deeds(void **state)
{
	const struct client_action rename = {.kind = ACTION_RENAME, .mailbox = "a", .target = "b"};

	order(JOB_DELETE, "a", NULL);
	core.asked.local = core.asked.remote = false;
	(void)add_mailbox("a");
	journal.receiver.announce(&journal.receiver, 1, &rename);
	journal.receiver.outcome(&journal.receiver, 1, &rename, ACTION_DONE, NULL);
	assert_deeds("RENAME a b");
	look_at("a", LISTED("a", ""), LISTED("a", ""));
	edit();
	assert_deeds("");
	assert_int_equal(journal.deeds_count, 0);
	assert_mailboxes("");
}

/* --- --rename --- */

/* A mailbox with a child, which is subscribed to. */
static void look_at_both(const char *local, const char *remote)
{
	(void)add_mailbox("a");
	(void)add_mailbox("a/b");
	look_at("*", local, remote);
}

#define BOTH_OLD LISTED("a", "") LISTED("a/b", "\\Subscribed")

static void renamed_everywhere(void **state)
{
	order(JOB_RENAME, "a", "new");
	look_at_both(BOTH_OLD, BOTH_OLD);
	will(LOCAL, "RENAME a new", OK);
	will(REMOTE, "RENAME a new", OK);
	will(LOCAL, "SUBSCRIBE new/b", OK);
	will(LOCAL, "UNSUBSCRIBE a/b", OK);
	will(REMOTE, "SUBSCRIBE new/b", OK);
	will(REMOTE, "UNSUBSCRIBE a/b", OK);
	edit();
	assert_mailboxes("new+ new/b+");
	assert_false(core.incomplete);
	assert_true(said("Renamed mailbox a to new"));
}

/* Nothing is renamed anywhere. */
static void the_new_name_is_taken(void **state)
{
	order(JOB_RENAME, "a", "new");
	look_at_both(BOTH_OLD, BOTH_OLD LISTED("new", ""));
	edit();
	assert_mailboxes("a+ a/b+");
	assert_true(core.incomplete);
	assert_true(
		said("remote: ERROR: Mailbox new exists. Run `interimap --target=remote --delete "
		     "new` to delete."));
	assert_false(said("instead")); /* the old one is there as well */
}

static void taken_in_the_database(void **state)
{
	order(JOB_RENAME, "a", "new");
	(void)add_mailbox("new/b");
	look_at_both(BOTH_OLD, BOTH_OLD);
	edit();
	assert_mailboxes("new/b+ a+ a/b+");
	assert_true(core.incomplete);
	assert_true(said("Mailbox new/b exists. Run `interimap --target=database --delete new/b`"));
}

/* By hand, perhaps: it is told how to go on. */
static void another_has_the_new_name(void **state)
{
	order(JOB_RENAME, "a", "new");
	look_at_both(BOTH_OLD, BARELY_LISTED("new", "") UNTAGGED(
				       "STATUS new (UIDVALIDITY 9 UIDNEXT 50 HIGHESTMODSEQ 50)"));
	edit();
	assert_mailboxes("a+ a/b+");
	assert_true(said("If it is a under its new name, run `interimap "
			 "--target=local,database --rename a new` instead."));
}

/* It is the mailbox itself, and so the rest is done. */
static void renamed_by_hand(void **state)
{
	order(JOB_RENAME, "a", "new");
	look_at_both(BOTH_OLD, LISTED("new", "") LISTED("new/b", ""));
	will(LOCAL, "RENAME a new", OK);
	will(LOCAL, "SUBSCRIBE new/b", OK);
	will(LOCAL, "UNSUBSCRIBE a/b", OK);
	will(REMOTE, "SUBSCRIBE new", OK);
	will(REMOTE, "UNSUBSCRIBE a", OK);
	will(REMOTE, "SUBSCRIBE new/b", OK);
	will(REMOTE, "UNSUBSCRIBE a/b", OK);
	edit();
	assert_mailboxes("new+ new/b+");
	assert_false(core.incomplete);
}

static void refused_locally(void **state)
{
	order(JOB_RENAME, "a", "new");
	look_at_both(BOTH_OLD, BOTH_OLD);
	will(LOCAL, "RENAME a new", "NO no");
	edit();
	assert_mailboxes("a+ a/b+");
	assert_true(said("local: ERROR: Couldn't rename mailbox a: NO: no"));
	assert_false(said("is renamed already"));
}

/* The local side is done, with its subscriptions; how to go on, or back, is told. */
static void half_done(void **state)
{
	order(JOB_RENAME, "a", "new");
	look_at_both(BOTH_OLD, BOTH_OLD);
	will(LOCAL, "RENAME a new", OK);
	will(REMOTE, "RENAME a new", "NO no");
	will(LOCAL, "SUBSCRIBE new/b", OK);
	will(LOCAL, "UNSUBSCRIBE a/b", "NO never was");
	edit();
	assert_mailboxes("a+ a/b+");
	assert_true(core.incomplete);
	assert_true(
		said("Mailbox a is renamed already. Run `interimap --target=remote,database "
		     "--rename a new` to go on, or `interimap --target=local --rename new a` to "
		     "undo it"));
	assert_true(said("the server refused UNSUBSCRIBE a/b (NO: never was)"));
}

static void a_name_that_cannot_be_expressed(void **state)
{
	order(JOB_RENAME, "a", "n.ew");
	core.remote.delimiter = '.';
	(void)add_mailbox("a");
	will(LOCAL, LIST_DELIMITER, UNTAGGED("LIST (\\Noselect) \"/\" \"\"") OK);
	will(REMOTE, LIST_DELIMITER, UNTAGGED("LIST (\\Noselect) \".\" \"\"") OK);
	will(LOCAL, LIST_PATTERNS("*"), LISTED("a", "") OK);
	will(REMOTE, LIST_PATTERNS("*"), LISTED("a", "") OK);
	tree_list(&tree, &core.local);
	tree_list(&tree, &core.remote);
	RUN_UNTIL(barrier.waiting == 0);
	assert_true(tree_list_on(&tree));
	RUN_UNTIL(barrier.waiting == 0);
	edit();
	assert_mailboxes("a+");
	assert_true(said("the name n.ew cannot be expressed on this server"));
}

static void nothing_to_rename(void **state)
{
	order(JOB_RENAME, "a", "new");
	look_at("*", "", "");
	edit();
	assert_true(said("There is no mailbox a on any target: nothing to rename"));
	assert_false(said("no mailbox new"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		BOTH(deleted_everywhere),
		BOTH(deleted_where_it_is_alone),
		BOTH(a_refused_deletion),
		BOTH(refused_at_the_remote),
		BOTH(gone_already),
		BOTH(one_target_only),
		BOTH(not_the_inbox),
		BOTH(the_inbox_in_the_database),
		BOTH(nowhere),
		BOTH(not_a_name),
		BOTH(with_its_deeds),
		BOTH(renamed_everywhere),
		BOTH(the_new_name_is_taken),
		BOTH(taken_in_the_database),
		BOTH(another_has_the_new_name),
		BOTH(renamed_by_hand),
		BOTH(refused_locally),
		BOTH(half_done),
		BOTH(a_name_that_cannot_be_expressed),
		BOTH(nothing_to_rename),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
