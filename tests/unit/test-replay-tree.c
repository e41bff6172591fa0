/* SPDX-License-Identifier: MIT */
/* replay/tree.c, delete.c and brake.c: what was done with mailboxes on one side is done on the
 * other: what is asked before, what is refused, and what a person is told of that. */
#include "tests/unit/tree-fixture.h"

#include "tests/unit/replay-fixture.h"

#define LIST_OF(name) "LIST \"\" (" name " \"" name "/*\")"
#define IS_LISTED(name) UNTAGGED("LIST () \"/\" " name)

static struct mailbox *box;

/* A mailbox "a" with two messages; the remote's UIDNEXT and mod-sequence are what is known. */
static void begin(void)
{
	connect_sides();
	box = add_mailbox("a");
	add_pair(box, 1, 11);
	add_pair(box, 2, 12);
}

static void created(void **state)
{
	begin();
	act(ACTION_CREATE, "new/one", NULL, NULL);
	will(REMOTE, "CREATE new/one", OK);
	replay_next_deed("over");
	assert_mailboxes("a+ new/one-");
	assert_deeds("");
}

static void created_there_already(void **state)
{
	begin();
	act(ACTION_CREATE, "new", NULL, NULL);
	will(REMOTE, "CREATE new", "NO [ALREADYEXISTS] it is there");
	replay_next_deed("over");
	assert_mailboxes("a+ new-");
}

/* The next look at the lists tries it again, and says why not. */
static void a_refused_creation(void **state)
{
	begin();
	act(ACTION_CREATE, "new", NULL, NULL);
	will(REMOTE, "CREATE new", "NO never");
	replay_next_deed("over");
	assert_mailboxes("a+");
	assert_deeds("");
}

static void created_out_of_scope(void **state)
{
	begin();
	account.ignore_mailbox = "^new";
	act(ACTION_CREATE, "new", NULL, NULL);
	replay_next_deed("over");
	assert_mailboxes("a+");
}

static void subscribed(void **state)
{
	begin();
	act(ACTION_UNSUBSCRIBE, "a", NULL, NULL);
	will(REMOTE, "UNSUBSCRIBE a", OK);
	replay_next_deed("over");
	assert_mailboxes("a-");
	act(ACTION_SUBSCRIBE, "a", NULL, NULL);
	will(REMOTE, "SUBSCRIBE a", "NO not now");
	replay_next_deed("over");
	assert_mailboxes("a-"); /* for the next look at the lists */
	assert_deeds("");
}

static void the_connection_is_lost(void **state)
{
	begin();
	act(ACTION_CREATE, "new", NULL, NULL);
	will(REMOTE, "CREATE new", HANG_UP);
	replay_next_deed("accused:5:remote lost:remote lost");
	assert_deeds("CREATE new");
	assert_true(journal.deeds->begun);
}

/* --- RENAME --- */

static void will_look(const char *old, const char *new)
{
	_cleanup_free_ char *has_old = xasprintf("%s" OK, old);
	_cleanup_free_ char *has_new = xasprintf("%s" OK, new);

	will(REMOTE, LIST_OF("a"), has_old);
	will(REMOTE, LIST_OF("b"), has_new);
}

static void renamed(void **state)
{
	begin();
	(void)add_mailbox("a/below");
	act(ACTION_RENAME, "a", "b", NULL);
	will_look(IS_LISTED("a"), "");
	will(REMOTE, "RENAME a b", OK);
	replay_next_deed("over");
	/* A subscription that follows is seen under the new name. */
	assert_mailboxes("b- b/below-");
	assert_ptr_equal(find_mailbox("b"), box);
	assert_pairs(box, "1=11 2=12");
	assert_true(said("remote(a): Renamed to b"));
}

/* By us, before we were cut off, say. */
static void renamed_already(void **state)
{
	begin();
	act(ACTION_RENAME, "a", "b", NULL);
	will_look("", IS_LISTED("b"));
	replay_next_deed("over");
	assert_mailboxes("b-");
}

/* A level that is no mailbox is in nobody's way. */
static void a_level_has_the_new_name(void **state)
{
	begin();
	act(ACTION_RENAME, "a", "b", NULL);
	will_look(IS_LISTED("a"), UNTAGGED("LIST (\\Noselect) \"/\" b"));
	will(REMOTE, "RENAME a b", OK);
	replay_next_deed("over");
	assert_mailboxes("b-");
}

static void the_new_name_is_taken(void **state)
{
	begin();
	act(ACTION_RENAME, "a", "b", NULL);
	will_look(IS_LISTED("a"), IS_LISTED("b"));
	replay_next_deed("refused");
	assert_mailboxes("a+");
	assert_deeds("RENAME a b");
	assert_true(
		said("remote(a): ERROR: it was renamed to b on the local side, but here there is "
		     "another mailbox of that name. To keep that one as b-old, run `interimap "
		     "--target=remote --rename b b-old`; only if it is meant to be gone, run "
		     "`interimap --target=remote --delete b`"));
	assert_non_null(journal.deeds->refusal);
	/* It is said once. */
	free(log_text);
	log_text = xstrdup("");
	will_look(IS_LISTED("a"), IS_LISTED("b"));
	replay_next_deed("refused");
	assert_string_equal(log_text, "");
}

static void taken_in_the_database(void **state)
{
	begin();
	(void)add_mailbox("b");
	act(ACTION_RENAME, "a", "b", NULL);
	will_look("", IS_LISTED("b"));
	replay_next_deed("refused");
	assert_mailboxes("a+ b+");
	assert_true(said("the database knows another mailbox b: run `interimap --target=database "
			 "--delete b`"));
}

static void a_refused_renaming(void **state)
{
	begin();
	act(ACTION_RENAME, "a", "b", NULL);
	will_look(IS_LISTED("a"), "");
	will(REMOTE, "RENAME a b", "NO never");
	replay_next_deed("refused");
	assert_mailboxes("a+");
	assert_true(said("run `interimap --target=remote,database --rename a b` when it can be "
			 "renamed here"));
}

static void a_name_that_cannot_be_expressed(void **state)
{
	begin();
	core.remote.delimiter = '.';
	act(ACTION_RENAME, "a", "b.c", NULL);
	will(REMOTE, "LIST \"\" (a \"a.*\")", UNTAGGED("LIST () \".\" a") OK);
	replay_next_deed("refused");
	assert_true(said("the name cannot be expressed on this server: RENAME it there by hand"));
	assert_deeds("RENAME a b.c");
}

/* Gone there: the ordinary sync finds the new name. */
static void it_is_nowhere(void **state)
{
	begin();
	act(ACTION_RENAME, "a", "b", NULL);
	will_look("", "");
	replay_next_deed("over");
	assert_mailboxes("a+");
	assert_deeds("");
}

/* Only seen, at the remote: it is looked up there as well, and somebody has taken it back. */
static void taken_back(void **state)
{
	struct mailbox_name from = name_of("a"), to = name_of("b");

	begin();
	journal_note(&journal, ACTION_RENAME, true, &from, &to);
	will(LOCAL, LIST_OF("a"), IS_LISTED("a") OK);
	will(LOCAL, LIST_OF("b"), OK);
	will(REMOTE, LIST_OF("a"), IS_LISTED("a") OK);
	will(REMOTE, LIST_OF("b"), OK);
	replay_next_deed("over");
	assert_mailboxes("a+");
	free(from.data);
	free(to.data);
}

/* --- DELETE --- */

static void will_ask(const char *origin, const char *state)
{
	will(LOCAL, "STATUS a" STATUS_ITEMS, origin);
	will(REMOTE, "STATUS a" STATUS_ITEMS, state);
	will(REMOTE, LIST_OF("a"), IS_LISTED("a") OK);
}

#define GONE "NO [NONEXISTENT] gone"
#define UNCHANGED STATUS_OF("a", 2, 7, 50)

static void deleted(void **state)
{
	begin();
	act(ACTION_DELETE, "a", NULL, NULL);
	will_ask(GONE, UNCHANGED);
	will(REMOTE, "DELETE a", OK);
	replay_next_deed("over");
	assert_mailboxes("");
	assert_null(find_mailbox("a"));
	assert_deeds("");
}

static void deleted_already(void **state)
{
	begin();
	act(ACTION_DELETE, "a", NULL, NULL);
	will(LOCAL, "STATUS a" STATUS_ITEMS, GONE);
	will(REMOTE, "STATUS a" STATUS_ITEMS, GONE);
	will(REMOTE, LIST_OF("a"), OK);
	replay_next_deed("over");
	assert_mailboxes("");
}

/* Something has happened in it: each message must have a pair. */
static void with_strangers(void **state)
{
	begin();
	act(ACTION_DELETE, "a", NULL, NULL);
	will_ask(GONE, STATUS_OF("a", 3, 7, 51));
	will(REMOTE, "SELECT a", SELECTED(7, 51, 50, 3));
	will(REMOTE, "UID SEARCH ALL", UNTAGGED("SEARCH 11 12 50") OK);
	replay_next_deed("refused");
	assert_mailboxes("a+");
	assert_true(
		said("it was deleted on the local side, but here it holds messages that were "
		     "never there: nothing is deleted. To get it back there, run `interimap "
		     "--target=database --delete a`. Only if it is meant to be gone, run "
		     "`interimap --target=remote,database --delete a`, which deletes it on the "
		     "remote server as well, with all 3 message(s) in it, of which 1 never were "
		     "on the local server"));
}

static void without_strangers(void **state)
{
	begin();
	act(ACTION_DELETE, "a", NULL, NULL);
	will_ask(GONE, STATUS_OF("a", 1, 7, 51));
	will(REMOTE, "SELECT a", SELECTED(7, 51, 50, 1));
	will(REMOTE, "UID SEARCH ALL", UNTAGGED("SEARCH 12") OK);
	will(REMOTE, "DELETE a", OK);
	replay_next_deed("over");
	assert_mailboxes("");
}

static void its_state_is_not_told(void **state)
{
	begin();
	act(ACTION_DELETE, "a", NULL, NULL);
	will_ask(GONE, "NO not now");
	replay_next_deed("refused");
	assert_true(said("here its state cannot be learnt"));
	assert_mailboxes("a+");
}

/* The mailbox that is left is a new one, and is kept. */
static void another_has_its_name(void **state)
{
	begin();
	act(ACTION_DELETE, "a", NULL, NULL);
	will_ask(GONE, STATUS_OF("a", 2, 8, 50));
	replay_next_deed("over");
	assert_mailboxes("");
	assert_true(said("what has its name here is another mailbox, and is kept"));
}

/* It is not deleted after all. */
static void it_is_still_there(void **state)
{
	begin();
	act(ACTION_DELETE, "a", NULL, NULL);
	will_ask(UNCHANGED, UNCHANGED);
	replay_next_deed("over");
	assert_mailboxes("a+");
	assert_deeds("");
}

static void a_refused_deletion(void **state)
{
	begin();
	act(ACTION_DELETE, "a", NULL, NULL);
	will_ask(GONE, UNCHANGED);
	will(REMOTE, "DELETE a", "NO never");
	replay_next_deed("refused");
	assert_mailboxes("a+");
	assert_true(said("the remote server refused DELETE (NO: never): nothing is deleted"));
}

/* --- Only seen, at the remote --- */

static void see_deletion(const char *text)
{
	struct mailbox_name name = name_of(text);

	journal_note(&journal, ACTION_DELETE, true, &name, NULL);
	free(name.data);
}

static void will_see(const char *remote_says)
{
	will(REMOTE, "STATUS a" STATUS_ITEMS, remote_says);
	will(LOCAL, "STATUS a" STATUS_ITEMS, UNCHANGED);
	will(LOCAL, LIST_OF("a"), IS_LISTED("a") OK);
	will(REMOTE, "LIST (SUBSCRIBED) \"\" a", OK);
}

static void seen(void **state)
{
	begin();
	see_deletion("a");
	will_see(GONE);
	will(LOCAL, "UNSUBSCRIBE a", OK);
	will(LOCAL, "DELETE a", OK);
	replay_next_deed("over");
	assert_mailboxes("");
}

/* The server says anything but that there is no such mailbox. */
static void not_believed(void **state)
{
	begin();
	see_deletion("a");
	will_see("NO [UNAVAILABLE] my disk is gone");
	replay_next_deed("over");
	assert_mailboxes("a+");
	assert_deeds("");
}

/* Too many messages at once, with others that went at the same time. */
static void held_by_the_brake(void **state)
{
	struct mailbox *other;

	begin();
	core.brake = (struct plan_brake){.count = 3, .percent = 0, .side_percent = 20};
	other = add_mailbox("other");
	for (uint32_t uid = 1; uid <= 8; uid++)
		add_pair(other, uid, uid);
	see_deletion("a");
	see_deletion("other");
	will_see(GONE);
	replay_next_deed("over");
	assert_mailboxes("a+ other+");
	assert_true(said("here that would delete 10 messages at once (max-deletions): nothing is "
			 "deleted"));
	assert_true(box->result.held && box->presence.missing_said);
	assert_true(journal.deeds->weighed);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		BOTH(created),
		BOTH(created_there_already),
		BOTH(a_refused_creation),
		BOTH(created_out_of_scope),
		BOTH(subscribed),
		BOTH(the_connection_is_lost),
		BOTH(renamed),
		BOTH(renamed_already),
		BOTH(a_level_has_the_new_name),
		BOTH(the_new_name_is_taken),
		BOTH(taken_in_the_database),
		BOTH(a_refused_renaming),
		BOTH(a_name_that_cannot_be_expressed),
		BOTH(it_is_nowhere),
		BOTH(taken_back),
		BOTH(deleted),
		BOTH(deleted_already),
		BOTH(with_strangers),
		BOTH(without_strangers),
		BOTH(its_state_is_not_told),
		BOTH(another_has_its_name),
		BOTH(it_is_still_there),
		BOTH(a_refused_deletion),
		BOTH(seen),
		BOTH(not_believed),
		BOTH(held_by_the_brake),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
