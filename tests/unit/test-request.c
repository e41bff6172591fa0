/* SPDX-License-Identifier: MIT */
/* core/request.c: a barrier wakes its task when all it counts has completed, and knows what was
 * refused, what was lost, and over what. */
#include "tests/unit/engine-fixture.h"

static unsigned completed, released;
static bool takes_care;

static bool on_completed(struct request *request)
{
	completed++;
	assert_int_not_equal(request->command.outcome, OUTCOME_PENDING);
	assert_true(request->barrier->waiting > 0); /* it counts until this is over */
	return takes_care;
}

static void on_release(struct request *request)
{
	released++;
}

static struct request *ask(struct side *side, const char *text)
{
	struct request *request = request_new(&barrier, side, sizeof(*request), on_completed);

	request->release = on_release;
	command_puts(&request->command, text);
	request_submit(request);
	return request;
}

static void begin(void)
{
	completed = released = 0;
	takes_care = false;
	connect_sides();
	run_ready();
	turns_taken = 0;
}

static void the_last_one_wakes(void **state)
{
	begin();
	will(LOCAL, "NOOP", NO_ANSWER);
	will(REMOTE, "NOOP", OK);
	(void)ask(&core.local, "NOOP");
	(void)ask(&core.remote, "NOOP");
	assert_int_equal(barrier.waiting, 2);
	RUN_UNTIL(completed == 1 && servers[LOCAL].held != NULL);
	run_ready();
	assert_int_equal(barrier.waiting, 1);
	assert_int_equal(turns_taken, 0);
	answer(LOCAL, OK);
	RUN_UNTIL(completed == 2);
	run_ready();
	assert_int_equal(turns_taken, 1);
	assert_int_equal(released, 2);
	assert_false(barrier.lost || barrier.refused);
	expect_no_events();
}

static void each_one_wakes(void **state)
{
	begin();
	barrier.each = true;
	will(LOCAL, "NOOP", NO_ANSWER);
	will(REMOTE, "NOOP", OK);
	(void)ask(&core.local, "NOOP");
	(void)ask(&core.remote, "NOOP");
	RUN_UNTIL(turns_taken == 1);
	assert_int_equal(barrier.waiting, 1);
	RUN_UNTIL(servers[LOCAL].held != NULL);
	answer(LOCAL, OK);
	RUN_UNTIL(turns_taken == 2);
	barrier_reset(&barrier);
	assert_false(barrier.each);
}

/* The first reason is kept: what was refused, without its arguments. */
static void refused(void **state)
{
	begin();
	will(REMOTE, "CREATE box", "NO no room");
	will(REMOTE, "UID FETCH 5 (UID)", "BAD what?");
	(void)ask(&core.remote, "CREATE box");
	(void)ask(&core.remote, "UID FETCH 5 (UID)");
	RUN_UNTIL(barrier.waiting == 0);
	assert_true(barrier.refused && !barrier.lost);
	assert_string_equal(barrier.reason, "the remote server refused CREATE (NO: no room)");
	barrier_reset(&barrier);
	assert_false(barrier.refused);
	assert_null(barrier.reason);
}

static void refused_with_two_words(void **state)
{
	begin();
	will(LOCAL, "UID FETCH 5 (UID)", "BAD what?");
	(void)ask(&core.local, "UID FETCH 5 (UID)");
	RUN_UNTIL(barrier.waiting == 0);
	assert_string_equal(barrier.reason, "the local server refused UID FETCH (BAD: what?)");
}

static void somebody_takes_care(void **state)
{
	begin();
	takes_care = true;
	will(REMOTE, "CREATE box", "NO no room");
	(void)ask(&core.remote, "CREATE box");
	RUN_UNTIL(completed == 1);
	assert_false(barrier.refused);
	assert_null(barrier.reason);
	assert_true(request_ignore_refusal(NULL));
}

/* With the connection; the one that the server was at is named, as the barrier says. */
static void lost(void **state)
{
	begin();
	barrier.about = (struct suspect){.kind = SUSPECT_MAILBOX, .mailbox = 1};
	will(REMOTE, "NOOP", HANG_UP);
	(void)ask(&core.remote, "NOOP");
	(void)ask(&core.remote, "CHECK");
	(void)ask(&core.remote, "CREATE box");
	/* They come in one flight, and are not answered. */
	will(REMOTE, "CHECK", NO_ANSWER);
	will(REMOTE, "CREATE box", HANG_UP);
	RUN_UNTIL(barrier.waiting == 0);
	expect_events("accused:4:remote lost:remote");
	assert_true(barrier.lost);
	assert_false(barrier.refused); /* whatever takes no care of it */
	assert_int_equal(completed, 3);
	assert_int_equal(released, 3);
}

static void name_deed(const struct request *request, struct suspect *suspect)
{
	assert_int_equal(suspect->kind, SUSPECT_MAILBOX);
	assert_true(suspect->remote);
	suspect->kind = SUSPECT_DEED;
}

/* … or as the request says, that knows better. */
static void lost_by_name(void **state)
{
	begin();
	barrier.about = (struct suspect){.kind = SUSPECT_MAILBOX, .mailbox = 1};
	will(REMOTE, "NOOP", HANG_UP);
	ask(&core.remote, "NOOP")->name = name_deed;
	RUN_UNTIL(barrier.waiting == 0);
	expect_events("accused:5:remote lost:remote");
}

/* Nobody is accused for what we give up ourselves. */
static void cancelled(void **state)
{
	begin();
	will(REMOTE, "NOOP", NO_ANSWER);
	(void)ask(&core.remote, "NOOP");
	RUN_UNTIL(servers[REMOTE].held != NULL);
	side_disconnect(&core.remote);
	assert_int_equal(barrier.waiting, 0);
	assert_true(barrier.lost);
	expect_no_events();
}

/* Which requests a barrier waits for can be counted, for the check that none is missing. */
static void a_tally(void **state)
{
	begin();
	will(REMOTE, "NOOP", NO_ANSWER);
	will(REMOTE, "CHECK", OK);
	(void)ask(&core.remote, "NOOP");
	(void)ask(&core.remote, "CHECK");
	requests_tally(&core.remote);
	requests_tally(&core.local);
	assert_int_equal(barrier.found, 2);
	RUN_UNTIL(servers[REMOTE].held != NULL);
	answer(REMOTE, OK);
	RUN_UNTIL(barrier.waiting == 0);
	barrier.found = 0;
	requests_tally(&core.remote);
	assert_int_equal(barrier.found, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		BOTH(the_last_one_wakes),
		BOTH(each_one_wakes),
		BOTH(refused),
		BOTH(refused_with_two_words),
		BOTH(somebody_takes_care),
		BOTH(lost),
		BOTH(lost_by_name),
		BOTH(cancelled),
		BOTH(a_tally),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
