/* SPDX-License-Identifier: MIT */
/* tree/list.c, doubt.c, absence.c and reconcile.c: what is asked of the servers, and what follows
 * from their lists: created, subscribed, missed, queued; and what is refused of it. */
#include "tests/unit/tree-fixture.h"

#include "sync/config/values.h"

#define GONE "NO [NONEXISTENT] there is none"

static void a_new_mailbox(void **state)
{
	connect_sides();
	look_at(NULL, LISTED("a", "\\Subscribed") LISTED("b/c", ""), "");
	will(REMOTE, "CREATE a", OK);
	will(REMOTE, "SUBSCRIBE a", OK);
	will(REMOTE, "CREATE b/c", OK);
	assert_true(reconcile());
	assert_mailboxes("a+ b/c-");
	assert_queue("a b/c");
	assert_true(said("remote(a): Created"));
	assert_true(said("database: Created mailbox b/c"));
	assert_true(tree.created); /* it may have a subscription from an earlier life */
	assert_false(core.incomplete);
	expect_no_events();
}

static void new_at_the_remote(void **state)
{
	connect_sides();
	look_at(NULL, "", LISTED("a", ""));
	will(LOCAL, "CREATE a", OK);
	assert_true(reconcile());
	assert_mailboxes("a-");
}

/* It is not known, and so it is tried again next time. */
static void a_refused_creation(void **state)
{
	connect_sides();
	look_at(NULL, LISTED("a", "\\Subscribed") LISTED("b", ""), "");
	will(REMOTE, "CREATE a", "NO not that name");
	will(REMOTE, "SUBSCRIBE a", OK);
	will(REMOTE, "CREATE b", OK);
	assert_true(reconcile());
	assert_mailboxes("b-");
	assert_queue("b");
	assert_true(core.incomplete);
	assert_true(said("remote(a): ERROR: the server refused CREATE (NO: not that name)"));
}

/* By a service soon, and then less and less often: a server may refuse for a moment only. */
static void a_refused_creation_in_a_service(void **state)
{
	const char *looks[] = {"look:5", "look:20", "look:80", NULL};

	options.stay = true;
	connect_sides();
	for (size_t i = 0; i < sizeof(looks) / sizeof(*looks); i++) {
		look_at(NULL, LISTED("a", ""), "");
		will(REMOTE, "CREATE a", "NO not found");
		assert_true(reconcile());
		if (looks[i] != NULL)
			expect_events(looks[i]);
		expect_no_events();
	}
	look_at(NULL, LISTED("a", ""), "");
	will(REMOTE, "CREATE a", OK);
	assert_true(reconcile());
	expect_no_events();
	assert_int_equal(tree.unsettled_looks, 0);
}

/* Somebody was faster. */
static void created_meanwhile(void **state)
{
	connect_sides();
	look_at(NULL, LISTED("a", ""), "");
	will(REMOTE, "CREATE a", "NO [ALREADYEXISTS] it is there");
	assert_true(reconcile());
	assert_mailboxes("a-");
	assert_queue("a");
	assert_false(core.incomplete);
	assert_false(tree.created);
}

/* It does not keep the messages from being synchronised. */
static void a_refused_subscription(void **state)
{
	struct mailbox *a;

	connect_sides();
	a = add_mailbox("a");
	a->subscribed = false;
	assert_int_equal(mailboxes_set_subscribed(core.db, a->idx, false), 0);
	look_at(NULL, LISTED("a", "\\Subscribed"), LISTED("a", ""));
	will(REMOTE, "SUBSCRIBE a", "NO not now");
	assert_true(reconcile());
	assert_mailboxes("a-");
	assert_true(a->presence.listed);
	assert_true(core.incomplete);
}

static void subscriptions_follow(void **state)
{
	connect_sides();
	(void)add_mailbox("a");
	(void)add_mailbox("b");
	find_mailbox("b")->subscribed = false;
	assert_int_equal(mailboxes_set_subscribed(core.db, find_mailbox("b")->idx, false), 0);
	look_at(NULL, LISTED("a", "") LISTED("b", ""),
		LISTED("a", "\\Subscribed") LISTED("b", "\\Subscribed"));
	will(REMOTE, "UNSUBSCRIBE a", OK);
	will(LOCAL, "SUBSCRIBE b", OK);
	assert_true(reconcile());
	assert_mailboxes("a- b+");
	assert_queue("");
	assert_true(said("remote(a): UNSUBSCRIBE"));
}

/* The others are done all the same. */
static void a_name_that_cannot_be_expressed(void **state)
{
	connect_sides();
	core.remote.delimiter = '.';
	look_at(NULL, LISTED("a.b", "") LISTED("c/d", ""), "");
	will(REMOTE, "CREATE c.d", OK);
	assert_true(reconcile());
	assert_mailboxes("c/d-");
	assert_true(core.incomplete);
	assert_true(said("remote(a.b): ERROR: the name cannot be expressed on this server"));
}

static void flat_and_not(void **state)
{
	connect_sides();
	core.remote.delimiter = '\0';
	look_at(NULL, LISTED("a", ""), "");
	assert_false(tree_prepare(&tree));
	expect_events("failed:the remote server has a flat list of mailboxes, the local server a "
		      "hierarchy: they cannot be kept the same");
}

static void nothing_to_do(void **state)
{
	struct mailbox *a;

	connect_sides();
	a = add_mailbox("a");
	look_at(NULL, LISTED("a", "\\Subscribed"), LISTED("a", "\\Subscribed"));
	assert_true(reconcile());
	assert_queue("");
	assert_true(a->result.in_step > 0);
	assert_int_equal(a->local.seen.uidnext, 50);
	expect_no_events();
}

static void something_to_do(void **state)
{
	connect_sides();
	(void)add_mailbox("a");
	find_mailbox("a")->remote.base.highestmodseq = 49;
	look_at(NULL, LISTED("a", "\\Subscribed"), LISTED("a", "\\Subscribed \\Trash"));
	assert_true(reconcile());
	assert_queue("a");
	assert_true(find_mailbox("a")->remote.disposable);
	assert_false(find_mailbox("a")->local.disposable);
}

/* A person asks for them, and they are run whatever the lists say. */
static void ordered(void **state)
{
	static const char *const names[] = {"a", "b", NULL};

	connect_sides();
	(void)add_mailbox("a");
	(void)add_mailbox("b");
	(void)add_mailbox("c");
	core.asked = (struct job){.kind = JOB_REPAIR, .mailboxes = names};
	look_at("a b", LISTED("a", "\\Subscribed"), LISTED("a", "\\Subscribed"));
	assert_true(reconcile());
	assert_queue("a");
	assert_true(find_mailbox("a")->wishes.repair);
	assert_false(find_mailbox("c")->wishes.repair);
	assert_true(find_mailbox("c")->presence.listed); /* of which the list says nothing */
}

/* Nothing is deleted for what is missing; a person is told once, with what to do. */
static void a_missing_mailbox(void **state)
{
	struct mailbox *a;

	connect_sides();
	a = add_mailbox("a");
	look_at(NULL, LISTED("a", "\\Subscribed") LISTED("INBOX", ""), LISTED("INBOX", ""));
	will(REMOTE, "STATUS a *", GONE);
	assert_true(reconcile());
	assert_mailboxes("a+ INBOX-");
	assert_false(a->presence.listed);
	assert_ptr_equal(a->presence.missing, &core.remote);
	assert_true(core.incomplete);
	assert_true(said("the mailbox disappeared from the remote server; the local server still "
			 "has it, and nothing is deleted. To get it back, run"));
	free(log_text);
	log_text = xstrdup("");
	look_at(NULL, LISTED("a", "\\Subscribed") LISTED("INBOX", ""), LISTED("INBOX", ""));
	assert_true(reconcile());
	assert_false(said("disappeared"));
}

/* It is not listed, and yet it is there: a list is no evidence. */
static void missing_in_the_list_alone(void **state)
{
	struct mailbox *a, *b;

	options.stay = true;
	connect_sides();
	a = add_mailbox("a");
	b = add_mailbox("b");
	look_at(NULL, LISTED("a", "\\Subscribed") LISTED("b", "\\Subscribed"), "");
	will(REMOTE, "STATUS a *",
		UNTAGGED("STATUS a (UIDVALIDITY 7 UIDNEXT 90 HIGHESTMODSEQ 80)") OK);
	will(REMOTE, "STATUS b *", /* another one by that name */
		UNTAGGED("STATUS b (UIDVALIDITY 8 UIDNEXT 90 HIGHESTMODSEQ 80)") OK);
	assert_true(reconcile());
	assert_mailboxes("a+ b+");
	assert_queue("a");
	assert_true(a->presence.listed);
	assert_null(a->presence.missing);
	assert_int_equal(a->remote.seen.uidnext, 90);
	assert_ptr_equal(b->presence.missing, &core.remote);
	expect_events("look:5"); /* there may be more that the list does not have */
	expect_no_events();
}

/* An UNSUBSCRIBE that is told between the lines of a list is older than its line, or newer. */
static void told_between_the_lines(void **state)
{
	options.stay = true;
	connect_sides();
	(void)add_mailbox("a");
	look_at(NULL, LISTED("a", "\\Subscribed"),
		BARELY_LISTED("a", "") LISTED("a", "\\Subscribed"));
	assert_true(reconcile());
	assert_mailboxes("a+");
	expect_events("look:5");
	look_at(NULL, LISTED("a", "\\Subscribed"), LISTED("a", ""));
	will(LOCAL, "UNSUBSCRIBE a", OK);
	assert_true(reconcile());
	assert_mailboxes("a-");
	expect_no_events();
}

/* What the brake held when it went is over. */
static void it_is_back(void **state)
{
	struct mailbox *a;

	connect_sides();
	a = add_mailbox("a");
	look_at(NULL, LISTED("a", "\\Subscribed"), "");
	will(REMOTE, "STATUS a *", GONE);
	assert_true(reconcile());
	mailbox_note_held(a);
	look_at(NULL, LISTED("a", "\\Subscribed"), "");
	assert_true(reconcile());
	assert_true(a->result.held); /* as long as it is missing */
	look_at(NULL, LISTED("a", "\\Subscribed"), LISTED("a", "\\Subscribed"));
	assert_true(reconcile());
	assert_true(a->presence.listed);
	assert_null(a->presence.missing);
	assert_false(a->result.held);
	assert_true(a->result.held_since == 0);
}

/* Its storage is not there: that is all there is to say of the others, too. */
static void no_inbox(void **state)
{
	connect_sides();
	(void)add_mailbox("INBOX");
	(void)add_mailbox("a");
	look_at(NULL, LISTED("INBOX", "\\Subscribed") LISTED("a", "\\Subscribed"), "");
	will(REMOTE, "STATUS INBOX *", GONE);
	will(REMOTE, "STATUS a *", GONE);
	assert_true(reconcile());
	assert_true(
		said("remote(INBOX): ERROR: the server does not list it: is its storage there?"));
	assert_false(said("the mailbox disappeared"));
	assert_false(find_mailbox("a")->presence.missing_said); /* it is said once INBOX is there */
}

/* Several at once, on a connection that listed them before: its process may be at its wits' end. */
static void several_are_missing(void **state)
{
	options.reconnect = true;
	connect_sides();
	(void)add_mailbox("a");
	(void)add_mailbox("b");
	core.remote.believed = true;
	look_at(NULL, LISTED("a", "\\Subscribed") LISTED("b", "\\Subscribed"), "");
	will(REMOTE, "STATUS a *", GONE);
	will(REMOTE, "STATUS b *", GONE);
	assert_false(reconcile());
	assert_false(said("disappeared"));
	core.remote.believed = false; /* another connection says the same */
	assert_true(reconcile());
	assert_ptr_equal(find_mailbox("a")->presence.missing, &core.remote);
}

/* The server may be about to say that it was renamed: what is new there waits, too. */
static void it_may_be_told(void **state)
{
	options.follow = true;
	capabilities[REMOTE] = "NOTIFY";
	connect_sides();
	core.remote.notified = true;
	(void)add_mailbox("a");
	look_at(NULL, LISTED("a", "\\Subscribed"), LISTED("new", ""));
	will(REMOTE, "STATUS a *", GONE);
	assert_true(reconcile());
	expect_events("listed:remote: listed:remote:new look:1");
	assert_mailboxes("a+");
	assert_true(find_mailbox("a")->presence.listed);
	/* It was not. */
	pass_seconds(2);
	run_ready();
	look_at(NULL, LISTED("a", "\\Subscribed"), LISTED("new", ""));
	will(REMOTE, "STATUS a *", GONE);
	will(LOCAL, "CREATE new", OK);
	assert_true(reconcile());
	assert_mailboxes("a+ new-");
	assert_ptr_equal(find_mailbox("a")->presence.missing, &core.remote);
}

/* Dovecot goes on listing what was deleted; to create it elsewhere would undo that. */
static void listed_without_a_status(void **state)
{
	connect_sides();
	look_at(NULL, "",
		BARELY_LISTED("a", "") BARELY_LISTED("b", "") BARELY_LISTED("c", "\\Noselect")
			BARELY_LISTED("d", ""));
	will(REMOTE, "STATUS a *", "NO [NONEXISTENT] gone");
	will(REMOTE, "STATUS b *",
		UNTAGGED("STATUS b (UIDVALIDITY 7 UIDNEXT 2 HIGHESTMODSEQ 3)") OK);
	will(REMOTE, "STATUS d *", "NO not today");
	will(LOCAL, "CREATE b", OK);
	will(LOCAL, "CREATE d", OK);
	assert_true(reconcile());
	assert_mailboxes("b- d-");
	assert_int_equal(find_mailbox("b")->remote.seen.uidnext, 2);
	assert_false(tree_doubt(&tree)); /* once */
}

/* What a refused deed holds is left as it is on both sides. */
static void reserved(void **state)
{
	const struct client_action rename = {.kind = ACTION_RENAME, .mailbox = "a", .target = "b"};

	connect_sides();
	(void)add_mailbox("a");
	journal.receiver.announce(&journal.receiver, 1, &rename);
	journal.receiver.outcome(&journal.receiver, 1, &rename, ACTION_DONE, NULL);
	journal.deeds->refused = true;
	look_at(NULL, LISTED("b", "") LISTED("c", ""), LISTED("a", ""));
	will(REMOTE, "CREATE c", OK);
	assert_true(reconcile());
	assert_mailboxes("a+ c-");
	assert_false(said("disappeared"));
}

static void of_other_accounts(void **state)
{
	static const char *const foreign[] = {"jobs/", "mine/lists/", NULL};

	options.foreign = foreign;
	account.local.list_reference = core.local.reference = "mine/";
	connect_sides();
	will(LOCAL, "LIST mine/ \"\"", UNTAGGED("LIST (\\Noselect) \"/\" mine/") OK);
	will(LOCAL, "LIST mine/ (*) RETURN *", LISTED("mine/a", "") LISTED("mine/lists/b", "") OK);
	will(REMOTE, LIST_DELIMITER, UNTAGGED("LIST (\\Noselect) \"/\" \"\"") OK);
	will(REMOTE, LIST_PATTERNS("*"), LISTED("lists/c", "") LISTED("jobs/d", "") OK);
	tree_list(&tree, &core.local);
	tree_list(&tree, &core.remote);
	RUN_UNTIL(barrier.waiting == 0);
	will(REMOTE, "CREATE a", OK);
	will(LOCAL, "CREATE mine/jobs/d", OK);
	assert_true(reconcile());
	assert_mailboxes("a- jobs/d-");
}

/* --- What is asked --- */

/* A pattern with a delimiter waits for it. */
static void patterns(void **state)
{
	const struct list_pattern list[] = {
		{.bytes = (char *)"a\0*", .len = 3}, {(char *)"b c", 3}};
	static const char *const select[] = {"SUBSCRIBED", NULL};
	struct mailbox_name name = {(char *)"x", 1};

	account.list_patterns = list;
	account.list_pattern_count = 2;
	account.list_select_opts = select;
	connect_sides();
	will(LOCAL, LIST_DELIMITER, UNTAGGED("LIST (\\Noselect) \"/\" \"\"") OK);
	will(REMOTE, LIST_DELIMITER, UNTAGGED("LIST (\\Noselect) \".\" \"\"") OK);
	tree_list(&tree, &core.local);
	tree_list(&tree, &core.remote);
	RUN_UNTIL(barrier.waiting == 0);
	will(LOCAL, "LIST (SUBSCRIBED) \"\" (\"a/*\" \"b c\") RETURN *", OK);
	will(REMOTE, "LIST (SUBSCRIBED) \"\" (\"a.*\" \"b c\") RETURN *", OK);
	assert_true(tree_list_on(&tree));
	RUN_UNTIL(barrier.waiting == 0);
	assert_false(tree_list_on(&tree));
	assert_true(tree.local.complete && tree.remote.complete);
	assert_false(tree_is_in_scope(&tree, &name)); /* that is for the server to say */
	account.list_pattern_count = 0;
	assert_false(tree_is_in_scope(&tree, &name));
	account.list_select_opts = NULL;
	assert_true(tree_is_in_scope(&tree, &name));
}

static void a_refused_list(void **state)
{
	connect_sides();
	will(LOCAL, LIST_DELIMITER, OK);
	will(LOCAL, LIST_PATTERNS("*"), "NO not now");
	tree_list(&tree, &core.local);
	RUN_UNTIL(barrier.waiting == 0);
	assert_true(barrier.refused);
	assert_string_equal(barrier.reason, "the local server refused LIST (NO: not now)");
	assert_false(tree.local.complete);
}

static void ignored(void **state)
{
	struct mailbox_name name = name_of("x/y");

	account.ignore_mailbox = "^x";
	connect_sides();
	look_at(NULL, LISTED("xa", "") LISTED("b", ""), LISTED("x/y", ""));
	will(REMOTE, "CREATE b", OK);
	assert_true(reconcile());
	assert_mailboxes("b-");
	assert_false(tree_is_in_scope(&tree, &name));
	free(name.data);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		BOTH(a_new_mailbox),
		BOTH(new_at_the_remote),
		BOTH(a_refused_creation),
		BOTH(a_refused_creation_in_a_service),
		BOTH(created_meanwhile),
		BOTH(a_refused_subscription),
		BOTH(subscriptions_follow),
		BOTH(a_name_that_cannot_be_expressed),
		BOTH(flat_and_not),
		BOTH(nothing_to_do),
		BOTH(something_to_do),
		BOTH(ordered),
		BOTH(a_missing_mailbox),
		BOTH(missing_in_the_list_alone),
		BOTH(told_between_the_lines),
		BOTH(it_is_back),
		BOTH(no_inbox),
		BOTH(several_are_missing),
		BOTH(it_may_be_told),
		BOTH(listed_without_a_status),
		BOTH(reserved),
		BOTH(of_other_accounts),
		BOTH(patterns),
		BOTH(a_refused_list),
		BOTH(ignored),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
