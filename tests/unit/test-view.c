/* SPDX-License-Identifier: MIT */
/*
 * The view of a mailbox, and which mailbox the data belongs to when SELECTs are pipelined (RFC 7162
 * section 3.2.11): two mailboxes taken for one another are the worst that can happen here.
 */
#include "client-fixture.h"

/* A view of the test, that records what it is told under its name. */
struct seen {
	struct view view;
	const char *name;
};

static struct seen one, two;

static void on_fetched(struct view *view, struct response *response)
{
	note("%s<%u", container_of(view, struct seen, view)->name, response->fetch.uid);
}

static void on_vanished(struct view *view, const struct seqset *uids, bool earlier)
{
	note("%s-%u%s", container_of(view, struct seen, view)->name, uids->ranges[0].first,
		earlier ? "e" : "");
}

static void on_changed(struct view *view)
{
	note("%s=%u", container_of(view, struct seen, view)->name, view->exists);
}

static void init_view(struct seen *seen, const char *name)
{
	*seen = (struct seen){
		.name = name,
		.view = {.fetched = on_fetched, .vanished = on_vanished, .changed = on_changed},
	};
}

static int set_up_views(bool slow)
{
	init_view(&one, "one");
	init_view(&two, "two");
	return set_up_client(slow);
}

static int setup_views(void **state)
{
	return set_up_views(false);
}

static int setup_views_slow(void **state)
{
	return set_up_views(true);
}

static int teardown_views(void **state)
{
	int r = teardown(state);

	view_done(&one.view);
	view_done(&two.view);
	return r;
}

static void test_what_a_select_says(void **state)
{
	give_select("select", "INBOX", &one.view);
	assert_ptr_equal(client_last_view(client), &one.view);
	expect("1 SELECT INBOX");
	say("* 172 EXISTS\r\n* 1 RECENT\r\n* FLAGS (\\Answered \\Seen)");
	say("* OK [UNSEEN 12] first\r\n* OK [UIDVALIDITY 3857529045] x\r\n* OK [UIDNEXT 4392] x");
	say("* OK [PERMANENTFLAGS (\\Deleted \\Seen \\*)] x\r\n* OK [HIGHESTMODSEQ 715194045007] "
	    "x");
	say("* VANISHED (EARLIER) 41,43:116\r\n* 49 FETCH (UID 117 FLAGS (\\Seen) MODSEQ (90060))");
	say("1 OK [READ-WRITE] done");
	expect_events("one=172 one-41e one<117 select:OK");
	assert_int_equal(one.view.exists, 172);
	assert_int_equal(one.view.uidvalidity, 3857529045);
	assert_int_equal(one.view.uidnext, 4392);
	assert_int_equal(one.view.highestmodseq, 715194045007);
	assert_true(one.view.has_permanent);
	assert_int_equal(one.view.permanent_count, 3);
	assert_int_equal(one.view.permanent[2].len, 2);
	assert_memory_equal(one.view.permanent[2].data, "\\*", 2);
	assert_false(one.view.read_only);
	assert_false(one.view.no_modseq);
	say("* VANISHED 5\r\n* 170 EXISTS\r\n* 1 FETCH (UID 1)\r\n* 3 EXPUNGE");
	expect_events("one-5 one=170 one<1 one=169");
}

static void test_select_again_forgets(void **state)
{
	give_select("first", "INBOX", &one.view);
	expect("1 SELECT INBOX");
	say("* 7 EXISTS\r\n* OK [UIDVALIDITY 1] x\r\n* OK [NOMODSEQ] x\r\n"
	    "* OK [PERMANENTFLAGS (a)] x\r\n1 OK [READ-ONLY] x");
	expect_events("one=7 first:OK");
	assert_true(one.view.no_modseq);
	assert_true(one.view.read_only);
	give_select("again", "INBOX", &one.view);
	assert_int_equal(one.view.uidvalidity, 0);
	assert_false(one.view.no_modseq);
	assert_false(one.view.read_only);
	assert_false(one.view.has_permanent);
	expect("2 SELECT INBOX");
	say("* OK [CLOSED] x\r\n* 8 EXISTS\r\n* OK [PERMANENTFLAGS ()] x\r\n2 OK x");
	expect_events("one=8 again:OK");
	assert_true(one.view.has_permanent);
	assert_int_equal(one.view.permanent_count, 0);
}

static void test_uid_not_sticky(void **state)
{
	give_select("a", "INBOX", &one.view);
	expect("1 SELECT INBOX");
	say("* NO [UIDNOTSTICKY] Non-persistent UIDs\r\n1 OK x");
	expect_events("a:OK");
	assert_true(one.view.uids_not_sticky);
	assert_false(one.view.no_modseq); /* it was told as that */
}

/* What belongs to the mailbox before the [CLOSED], and what behind. */
static void test_pipelined_selects(void **state)
{
	struct probe *fetch;

	give_select("first", "A", &one.view);
	give_select("second", "B", &two.view);
	assert_ptr_equal(client_last_view(client), &two.view);
	fetch = give_fetch("fetch", "UID FETCH 1:* UID");
	expect("1 SELECT A\r\n2 SELECT B\r\n3 UID FETCH 1:* UID");
	say("* 1 EXISTS\r\n1 OK [READ-WRITE] x");
	expect_events("one=1 first:OK");
	say("* VANISHED 3\r\n* 1 FETCH (UID 4 BODY[] {2}\r\nhi)");
	expect_events("one-3 one<4");
	say("* OK [CLOSED] x\r\n* VANISHED (EARLIER) 5\r\n* 2 EXISTS\r\n* 1 FETCH (UID 6 BODY[] "
	    "{2}\r\nhi)");
	expect_events("two-5e two=2 two<6");
	say("2 OK [READ-ONLY] x");
	expect_events("second:OK");
	assert_true(two.view.read_only);
	assert_false(one.view.read_only);
	assert_null(fetch->spool); /* what came so far was not for what it asked */
	say("* 1 FETCH (UID 7 BODY[] {2}\r\nhi)\r\n* VANISHED 8\r\n3 OK x");
	expect_events("body fetch<7 two-8 fetch:OK");
}

static void test_unselect_between(void **state)
{
	give_select("first", "A", &one.view);
	give_kind("unselect", "UNSELECT", COMMAND_UNSELECT);
	assert_null(client_last_view(client));
	assert_false(client_selects(client));
	give_select("second", "B", &two.view);
	expect("1 SELECT A\r\n2 UNSELECT\r\n3 SELECT B");
	say("* 1 EXISTS\r\n1 OK x\r\n* 2 EXISTS\r\n2 OK x\r\n* 3 EXISTS\r\n3 OK x\r\n* 4 EXISTS");
	expect_events("one=1 first:OK one=2 unselect:OK two=3 second:OK two=4");
	assert_true(client_selects(client));
}

static void test_nothing_selected_after_unselect(void **state)
{
	give_select("first", "A", &one.view);
	give_kind("unselect", "UNSELECT", COMMAND_UNSELECT);
	give_fetch("fetch", "UID FETCH 1:* UID");
	expect("1 SELECT A\r\n2 UNSELECT\r\n3 UID FETCH 1:* UID");
	say("1 OK x\r\n2 OK x\r\n* VANISHED 1\r\n* 1 FETCH (UID 4 BODY[] {2}\r\nhi)\r\n3 BAD x");
	expect_events("first:OK unselect:OK owner<type13 fetch<4 fetch:BAD"); /* without a body */
}

/* A refused UNSELECT leaves the mailbox selected; the SELECT behind it closes it. */
static void test_unselect_is_refused(void **state)
{
	give_select("first", "A", &one.view);
	give_kind("unselect", "UNSELECT", COMMAND_UNSELECT);
	give_select("second", "B", &two.view);
	expect("1 SELECT A\r\n2 UNSELECT\r\n3 SELECT B");
	say("1 OK x\r\n2 NO x\r\n* 2 EXISTS\r\n* OK [CLOSED] x\r\n* 3 EXISTS\r\n3 OK x");
	expect_events("first:OK unselect:NO one=2 two=3 second:OK");
}

static struct probe *give_leave(const char *name)
{
	struct probe *probe = prepare(name, "");

	command_leave(&probe->command);
	return submit(probe);
}

/* A server without QRESYNC, which sends no [CLOSED]: all is in flight at once, and what it tells
 * belongs to the mailbox whose command it works on. */
static void test_without_closed(void **state)
{
	struct probe *fetch;

	give_select("first", "A", &one.view);
	give_kind("unselect", "UNSELECT", COMMAND_UNSELECT);
	give_select("second", "B", &two.view);
	fetch = give_fetch("fetch", "UID FETCH 1:* UID");
	give_kind("unselect", "UNSELECT", COMMAND_UNSELECT);
	give_select("third", "A", &one.view);
	expect("1 SELECT A\r\n2 UNSELECT\r\n3 SELECT B\r\n4 UID FETCH 1:* UID\r\n5 UNSELECT\r\n"
	       "6 SELECT A");
	say("* 3 EXISTS\r\n1 OK x\r\n* 2 EXPUNGE\r\n2 OK x");
	expect_events("one=3 first:OK one=2 unselect:OK");
	say("* 5 EXISTS\r\n3 OK x\r\n* 6 EXISTS\r\n* 1 FETCH (UID 4 BODY[] {2}\r\nhi)\r\n4 OK x");
	expect_events("two=5 second:OK two=6 body fetch<4 fetch:OK");
	assert_non_null(fetch->spool);
	say("* 6 EXPUNGE\r\n* 1 FETCH (UID 4 FLAGS ())\r\n5 OK x\r\n* 2 EXISTS\r\n6 OK x");
	expect_events("two=5 two<4 unselect:OK one=2 third:OK");
	assert_int_equal(two.view.expunges, 1);
	assert_true(two.view.exists_changed);
}

/* … and without UNSELECT. */
static void test_left_by_refusal(void **state)
{
	give_select("first", "A", &one.view);
	give_leave("leave");
	assert_null(client_last_view(client));
	assert_false(client_selects(client));
	give_select("second", "B", &two.view);
	give_fetch("fetch", "UID FETCH 1:* UID");
	expect("1 SELECT A\r\n2 EXAMINE interimap-no-such-mailbox\r\n3 SELECT B\r\n"
	       "4 UID FETCH 1:* UID");
	say("* 3 EXISTS\r\n1 OK x\r\n* 1 EXPUNGE\r\n* 1 FETCH (UID 9)\r\n2 NO [NONEXISTENT] none");
	expect_events("one=3 first:OK one=2 one<9 leave:NO");
	say("* 7 EXISTS\r\n3 OK x\r\n* 1 FETCH (UID 4)\r\n4 OK x");
	expect_events("two=7 second:OK fetch<4 fetch:OK");
}

/* Then a refused SELECT selects nothing, and nothing is left of the mailbox before it. */
static void test_left_and_refused(void **state)
{
	give_select("first", "A", &one.view);
	give_leave("leave");
	give_select("second", "B", &two.view);
	give_fetch("fetch", "UID FETCH 1:* UID");
	expect("1 SELECT A\r\n2 EXAMINE interimap-no-such-mailbox\r\n3 SELECT B\r\n"
	       "4 UID FETCH 1:* UID");
	say("1 OK x\r\n2 NO none\r\n3 NO gone\r\n* 1 EXPUNGE\r\n4 BAD x");
	expect_events("first:OK leave:NO second:NO owner<type12 fetch:BAD");
}

static void expect_not_left(const char *answer, const char *reason)
{
	give_select("first", "A", &one.view);
	give_leave("leave");
	give_select("second", "B", &two.view);
	expect("1 SELECT A\r\n2 EXAMINE interimap-no-such-mailbox\r\n3 SELECT B");
	say("1 OK x");
	expect_events("first:OK");
	say(answer);
	expect_lost("leave:LOST second:LOST lost", reason);
}

static void test_not_left(void **state)
{
	expect_not_left("2 OK [READ-ONLY] here it is",
		"the server has a mailbox interimap-no-such-mailbox, which is asked for to leave "
		"others, since it offers no UNSELECT: rename or delete it");
}

static void test_leaving_is_malformed(void **state)
{
	expect_not_left("2 BAD what?", "the server rejected an EXAMINE as malformed: what?");
}

/* EXPUNGE and EXISTS are counted from the answer to the SELECT on. */
static void test_disturbed(void **state)
{
	give_select("first", "A", &one.view);
	expect("1 SELECT A");
	say("* 1 EXPUNGE\r\n* 2 EXISTS\r\n1 OK x");
	expect_events("one=0 one=2 first:OK");
	assert_int_equal(one.view.expunges, 0);
	assert_false(one.view.exists_changed);
	say("* 2 EXISTS\r\n* 1 EXPUNGE\r\n* 1 EXISTS");
	expect_events("one=2 one=1 one=1");
	assert_int_equal(one.view.expunges, 1);
	assert_false(one.view.exists_changed);
	say("* 1 EXPUNGE\r\n* 1 EXPUNGE\r\n* 4 EXISTS"); /* more than there are */
	expect_events("one=0 one=0 one=4");
	assert_int_equal(one.view.expunges, 3);
	assert_true(one.view.exists_changed);
	give_kind("unselect", "UNSELECT", COMMAND_UNSELECT);
	give_select("again", "A", &one.view);
	assert_int_equal(one.view.expunges, 0);
	expect("2 UNSELECT\r\n3 SELECT A");
	say("* 4 EXPUNGE\r\n2 OK x"); /* of the mailbox as it was selected before */
	expect_events("one=0 unselect:OK");
	say("* 3 EXISTS\r\n3 OK x");
	expect_events("one=3 again:OK");
	assert_int_equal(one.view.expunges, 0);
	assert_false(one.view.exists_changed);
}

/* Without [CLOSED] nobody can say which mailbox the data belongs to. */
static void test_closed_is_missing(void **state)
{
	give_select("first", "A", &one.view);
	give_select("second", "B", &two.view);
	give("fetch", "UID FETCH 1:* UID");
	expect("1 SELECT A\r\n2 SELECT B\r\n3 UID FETCH 1:* UID");
	say("1 OK x\r\n2 OK x");
	expect_lost("first:OK second:LOST fetch:LOST lost",
		"the server does not send [CLOSED] between two mailboxes (RFC 7162)");
	assert_null(client_last_view(client));
}

/* The [CLOSED] of one SELECT does not serve another. */
static void test_closed_is_missing_later(void **state)
{
	give_select("first", "A", &one.view);
	give_select("second", "B", &two.view);
	give_select("third", "A", &one.view);
	expect("1 SELECT A\r\n2 SELECT B\r\n3 SELECT A");
	say("1 OK x\r\n* OK [CLOSED] x\r\n2 OK x\r\n3 OK x");
	expect_lost("first:OK second:OK third:LOST lost",
		"the server does not send [CLOSED] between two mailboxes (RFC 7162)");
}

static void test_select_is_refused(void **state)
{
	give_select("first", "A", &one.view);
	give_select("second", "B", &two.view);
	give("fetch", "UID FETCH 1:* UID");
	give_select("third", "A", &one.view);
	expect("1 SELECT A\r\n2 SELECT B\r\n3 UID FETCH 1:* UID\r\n4 SELECT A");
	say("1 OK x\r\n* OK [CLOSED] x\r\n2 NO [NONEXISTENT] gone\r\n* VANISHED 1\r\n3 BAD none");
	expect_events("first:OK second:NO owner<type13 fetch:BAD");
	say("* 1 EXISTS\r\n4 OK x\r\n* 2 EXISTS");
	expect_events("one=1 third:OK one=2");
}

/* RFC 3501 section 6.3.1: after a refused SELECT no mailbox is selected, [CLOSED] or not. */
static void test_select_is_refused_without_closed(void **state)
{
	give_select("first", "A", &one.view);
	give_select("second", "B", &two.view);
	expect("1 SELECT A\r\n2 SELECT B");
	say("1 OK x\r\n2 NO gone\r\n* VANISHED 1");
	expect_events("first:OK second:NO owner<type13");
}

/* After BAD the mailbox before may be selected still, and what is on its way for the new one would
 * hit it. */
static void test_select_is_malformed(void **state)
{
	give_select("first", "A", &one.view);
	give_select("second", "B", &two.view);
	give("expunge", "UID EXPUNGE 1");
	expect("1 SELECT A\r\n2 SELECT B\r\n3 UID EXPUNGE 1");
	say("1 OK x\r\n2 BAD what?");
	expect_lost("first:OK second:LOST expunge:LOST lost",
		"the server rejected a SELECT as malformed: what?");
}

/* Where nothing was selected, nothing can be hit: one mailbox with a name that the server cannot
 * bear must not keep all others from being synchronised. */
static void test_select_is_malformed_with_none_selected(void **state)
{
	give_select("first", "A", &one.view);
	give("fetch", "UID FETCH 1 UID");
	give_select("second", "B", &two.view);
	expect("1 SELECT A\r\n2 UID FETCH 1 UID\r\n3 SELECT B");
	say("1 BAD what?\r\n* 1 FETCH (UID 4)\r\n2 BAD none\r\n* 1 EXISTS\r\n3 OK x");
	expect_events("first:BAD owner<4 fetch:BAD two=1 second:OK");
}

/* A view that is gone gets nothing, whatever is still on its way for it. */
static void test_forgotten_view(void **state)
{
	give_select("first", "A", &one.view);
	give_select("second", "B", &two.view);
	expect("1 SELECT A\r\n2 SELECT B");
	say("1 OK x\r\n* 1 EXISTS");
	expect_events("first:OK one=1");
	client_forget_view(client, &one.view);
	say("* 2 EXISTS");
	expect_events("owner<type10");
	client_forget_view(client, &two.view);
	assert_null(client_last_view(client));
	assert_true(client_selects(client));
	say("* OK [CLOSED] x\r\n* 3 EXISTS\r\n2 OK [READ-ONLY] x\r\n* 4 EXISTS");
	expect_events("owner<type10 second:OK owner<type10");
	give_select("third", "A", &one.view);
	expect("3 SELECT A");
	say("3 OK x"); /* B is selected still, though nobody looks at it */
	expect_lost("third:LOST lost",
		"the server does not send [CLOSED] between two mailboxes (RFC 7162)");
}

/* What a command asked for goes to it and not to the view; but not past a SELECT. */
static void test_commands_before_the_view(void **state)
{
	struct probe *first = prepare("first", "UID FETCH 1 UID");
	struct probe *later = prepare("later", "UID FETCH 2 UID");

	first->takes = later->takes = true;
	give_select("a", "A", &one.view);
	submit(first);
	give_select("b", "B", &two.view);
	submit(later);
	expect("1 SELECT A\r\n2 UID FETCH 1 UID\r\n3 SELECT B\r\n4 UID FETCH 2 UID");
	say("* 1 FETCH (UID 1)\r\n1 OK x\r\n* 1 FETCH (UID 2)\r\n2 OK x\r\n* 1 FETCH (UID 3)");
	expect_events("one<1 a:OK first<2 first:OK one<3");
	say("* OK [CLOSED] x\r\n* 1 FETCH (UID 4)\r\n3 OK x\r\n* 1 FETCH (UID 5)\r\n4 OK x");
	expect_events("two<4 b:OK later<5 later:OK");
}

/* Dovecot holds back the OK of an EXPUNGE and answers what is behind it meanwhile. */
static void test_answers_ahead_of_a_tagged_ok(void **state)
{
	struct probe *fetch = prepare("fetch", "UID FETCH 2 UID");

	fetch->takes = true;
	give_select("a", "A", &one.view);
	give("expunge", "UID EXPUNGE 1");
	submit(fetch);
	expect("1 SELECT A\r\n2 UID EXPUNGE 1\r\n3 UID FETCH 2 UID");
	say("1 OK x\r\n* 1 FETCH (UID 2)\r\n* VANISHED 1\r\n2 OK x\r\n3 OK x");
	expect_events("a:OK fetch<2 one-1 expunge:OK fetch:OK");
}

/* Who asked for it gets it, and as much as it is; nobody who did not. */
static void test_body_for_who_asked(void **state)
{
	struct probe *first, *second;
	char text[8] = "";

	give_select("a", "A", &one.view);
	give("noop", "NOOP");
	first = give_fetch("first", "UID FETCH 1 BODY.PEEK[]");
	second = give_fetch("second", "UID FETCH 2 BODY.PEEK[]");
	expect("1 SELECT A\r\n2 NOOP\r\n3 UID FETCH 1 BODY.PEEK[]\r\n4 UID FETCH 2 BODY.PEEK[]");
	say("1 OK x\r\n2 OK x\r\n* 1 FETCH (UID 1 BODY[] {5}\r\nhello)");
	expect_events("a:OK noop:OK body first<1");
	assert_null(second->spool);
	assert_int_equal(spool_read(first->spool, 0, text, sizeof(text)), 5);
	assert_string_equal(text, "hello");
	say("3 OK x\r\n* 2 FETCH (UID 2 BODY[] {3}\r\nyou)\r\n4 OK x");
	expect_events("first:OK body second<2 second:OK");
	assert_int_equal(spool_size(second->spool), 3);
	give("last", "NOOP");
	expect("5 NOOP");
	say("* 1 FETCH (UID 1 BODY[] {3}\r\nhey)");
	expect_events("one<1");
	say("* 1 FETCH (UID 1 BODY[] {1000000000}");
	expect_lost("last:LOST lost",
		"the server sends a message of 1000000000 bytes that was not asked for");
}

#undef BOTH
#define BOTH(test) \
	cmocka_unit_test_setup_teardown(test, setup_views, teardown_views), \
	{ \
#test " (a byte at a time)", test, setup_views_slow, teardown_views, NULL \
	}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		BOTH(test_what_a_select_says),
		BOTH(test_select_again_forgets),
		BOTH(test_uid_not_sticky),
		BOTH(test_pipelined_selects),
		BOTH(test_unselect_between),
		BOTH(test_nothing_selected_after_unselect),
		BOTH(test_unselect_is_refused),
		BOTH(test_without_closed),
		BOTH(test_left_by_refusal),
		BOTH(test_left_and_refused),
		BOTH(test_not_left),
		BOTH(test_leaving_is_malformed),
		BOTH(test_disturbed),
		BOTH(test_closed_is_missing),
		BOTH(test_closed_is_missing_later),
		BOTH(test_select_is_refused),
		BOTH(test_select_is_refused_without_closed),
		BOTH(test_select_is_malformed),
		BOTH(test_select_is_malformed_with_none_selected),
		BOTH(test_forgotten_view),
		BOTH(test_commands_before_the_view),
		BOTH(test_answers_ahead_of_a_tagged_ok),
		BOTH(test_body_for_who_asked),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
