/* SPDX-License-Identifier: MIT */
/* core/ask.c: with NOTIFY, servers tell of mailboxes in the same lines that answer STATUS and LIST;
 * each gets what is its own. */
#include "tests/unit/engine-fixture.h"

#include "sync/core/ask.h"

static unsigned answers;
static uint32_t uidnext;

static void got_status(struct status_request *status, const struct response_status *answer_)
{
	answers++;
	uidnext = answer_->uidnext;
}

static struct status_request *ask_status(const char *text)
{
	struct mailbox_name name = name_of(text);
	struct status_request *status = status_request_new(
		&barrier, &core.remote, &name, "UIDNEXT", sizeof(*status), got_status, NULL);

	free(name.data);
	if (status != NULL)
		request_submit(&status->request);
	return status;
}

static void begin(void)
{
	connect_sides();
	answers = 0;
	uidnext = 0;
}

static void a_status(void **state)
{
	begin();
	will(REMOTE, "STATUS box/below (UIDNEXT)", UNTAGGED("STATUS box/below (UIDNEXT 5)") OK);
	assert_non_null(ask_status("box/below"));
	RUN_UNTIL(barrier.waiting == 0);
	assert_int_equal(answers, 1);
	assert_int_equal(uidnext, 5);
	expect_no_events();
}

/* What is told of another mailbox in between goes where all goes that nobody asked for. */
static void another_mailbox_in_between(void **state)
{
	begin();
	will(REMOTE, "STATUS box (UIDNEXT)",
		UNTAGGED("STATUS other (UIDNEXT 9)") UNTAGGED("STATUS box (UIDNEXT 5)")
			UNTAGGED("STATUS box/below (UIDNEXT 8)") OK);
	assert_non_null(ask_status("box"));
	RUN_UNTIL(barrier.waiting == 0);
	assert_int_equal(answers, 1);
	assert_int_equal(uidnext, 5);
	expect_events("told:remote told:remote");
}

/* Two are asked in one flight, and answered in one. */
static void each_its_own(void **state)
{
	begin();
	will(REMOTE, "STATUS one (UIDNEXT)", NO_ANSWER);
	will(REMOTE, "STATUS two (UIDNEXT)",
		UNTAGGED("STATUS two (UIDNEXT 2)") UNTAGGED("STATUS one (UIDNEXT 1)"));
	assert_non_null(ask_status("one"));
	assert_non_null(ask_status("two"));
	RUN_UNTIL(answers == 2);
	assert_int_equal(uidnext, 1);
	servers[REMOTE].hangs_up = true;
	ev_idle_start(loop.ev, &servers[REMOTE].writes);
	RUN_UNTIL(barrier.waiting == 0);
	expect_events("accused:0:remote lost:remote");
}

static void inbox_in_any_case(void **state)
{
	begin();
	will(REMOTE, "STATUS INBOX (UIDNEXT)", UNTAGGED("STATUS inbox (UIDNEXT 5)") OK);
	assert_non_null(ask_status("INBOX"));
	RUN_UNTIL(barrier.waiting == 0);
	assert_int_equal(answers, 1);
}

static void below_a_reference(void **state)
{
	account.remote.list_reference = "mine/";
	core.remote.reference = "mine/";
	begin();
	will(REMOTE, "STATUS mine/box (UIDNEXT)",
		UNTAGGED("STATUS box (UIDNEXT 9)") UNTAGGED("STATUS mine/box (UIDNEXT 5)") OK);
	assert_non_null(ask_status("box"));
	RUN_UNTIL(barrier.waiting == 0);
	assert_int_equal(uidnext, 5);
	expect_events("told:remote");
}

/* A level that holds the other side's delimiter. */
static void a_name_that_cannot_be_expressed(void **state)
{
	begin();
	core.remote.delimiter = '.';
	assert_null(ask_status("a.b"));
	assert_int_equal(barrier.waiting, 0);
}

/* --- LIST --- */

static unsigned lines;

static bool got_line(struct list_request *list, struct response *response)
{
	if (response->type != RESPONSE_LIST)
		return false;
	lines++;
	return true;
}

static void ask_list(void)
{
	struct list_request *list =
		list_request_new(&barrier, &core.remote, sizeof(*list), got_line, NULL);

	command_puts(&list->request.command, "LIST \"\" *");
	request_submit(&list->request);
	RUN_UNTIL(barrier.waiting == 0);
}

#define LISTED \
	UNTAGGED("LIST () \"/\" one") \
	UNTAGGED("LIST (\\NonExistent) \"/\" gone") \
	UNTAGGED("LIST () \"/\" new (\"OLDNAME\" (\"old\"))") OK

/* All of them may be told, and each is an answer as well: nobody can know. */
static void a_list_with_notify(void **state)
{
	begin();
	lines = 0;
	core.remote.notified = true;
	will(REMOTE, "LIST \"\" *", LISTED);
	ask_list();
	assert_int_equal(lines, 3);
	expect_events("listed:remote:one listed:remote:gone listed:remote:new");
}

static void a_list_without(void **state)
{
	begin();
	lines = 0;
	will(REMOTE, "LIST \"\" *", UNTAGGED("STATUS one (UIDNEXT 3)") LISTED);
	ask_list();
	assert_int_equal(lines, 3);
	expect_events("told:remote"); /* the STATUS, which is none of this question */
}

static void what_is_told(void **state)
{
	struct response_list line = {0};

	assert_false(list_line_is_told(&line));
	line.attributes = LIST_NOSELECT;
	assert_false(list_line_is_told(&line));
	line.attributes = LIST_NONEXISTENT;
	assert_true(list_line_is_told(&line));
	line = (struct response_list){.old_name = {"old", 3}};
	assert_true(list_line_is_told(&line));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		BOTH(a_status),
		BOTH(another_mailbox_in_between),
		BOTH(each_its_own),
		BOTH(inbox_in_any_case),
		BOTH(below_a_reference),
		BOTH(a_name_that_cannot_be_expressed),
		BOTH(a_list_with_notify),
		BOTH(a_list_without),
		cmocka_unit_test(what_is_told),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
