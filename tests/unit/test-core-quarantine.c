/* SPDX-License-Identifier: MIT */
/* core/quarantine.c and core.c: what is refused is said once, written down, and tried again when its
 * time has come; and in which order mailboxes are run. */
#include "tests/unit/engine-fixture.h"

#include "sync/core/quarantine.h"

static struct mailbox *box;

static int begin(void **state)
{
	int r = setup(state);

	box = add_mailbox("box");
	run_ready();
	turns_taken = 0;
	return r;
}

static void note_row(enum quarantine_kind kind, bool remote, uint32_t uid)
{
	const struct quarantine row = {.kind = kind,
		.remote = remote,
		.uid = uid,
		.size = 50000,
		.name = (char *)"<a@b>",
		.words = (char *)"NO: too large"};

	assert_int_equal(quarantine_note(&core, box, &row), 1);
	assert_int_equal(quarantine_refresh(&core), 0);
}

/* "tries next": in seconds from now. */
static void assert_row(
	enum quarantine_kind kind, bool remote, uint32_t uid, unsigned tries, int64_t next)
{
	struct quarantine row = {.kind = kind, .mailbox = box->idx, .remote = remote, .uid = uid};
	int64_t from = time(NULL);

	assert_int_equal(quarantine_find(core.db, &row), 1);
	assert_int_equal(row.tries, tries);
	if (next == QUARANTINE_NEVER)
		assert_true(row.next == next);
	else
		assert_true(row.next >= from + next - 2 && row.next <= from + next);
	quarantine_done(&row);
}

/* Once, at whom it is the fault of; then after 10 minutes, an hour, 6 hours, and each day. */
static void the_pauses(void **state)
{
	static const int64_t pauses[] = {600, 3600, 21600, 86400, 86400};

	for (size_t i = 0; i < ARRAY_LEN(pauses); i++) {
		note_row(QUARANTINE_APPEND, false, 5);
		assert_row(QUARANTINE_APPEND, false, 5, (unsigned)i + 1, pauses[i]);
		assert_int_equal(box->left_out.rows, 1);
		assert_int_equal(said("remote(box): ERROR: the server does not take the message "
				      "with UID 5 of the local side, 50000 bytes, Message-ID <a@b> "
				      "(NO: too large): it is left out, and tried again in 10 "
				      "minutes"),
			i == 0);
		free(log_text);
		log_text = xstrdup("");
	}
}

static void at_fault(void **state)
{
	note_row(QUARANTINE_FETCH, true, 5);
	assert_true(said("remote(box): ERROR: the server does not give the message with UID 5,"));
	note_row(QUARANTINE_STORE, false, 6);
	assert_true(said("local(box): ERROR: the server does not take the flags of the message"));
	note_row(QUARANTINE_EXPUNGE, true, 7);
	assert_true(said("remote(box): ERROR: the server does not expunge the message with UID 7"));
	note_row(QUARANTINE_DOUBT, true, 8);
	assert_true(said("local(box): ERROR: the server took the message with UID 8 of the remote "
			 "side"));
	assert_true(said("(NO: too large): it is left alone"));
	assert_row(QUARANTINE_DOUBT, true, 8, 1, QUARANTINE_NEVER);
	assert_int_equal(box->left_out.rows, 4);
}

/* What it waits for; and not what was just tried. */
static void due(void **state)
{
	assert_false(quarantine_calls(box));
	note_row(QUARANTINE_APPEND, false, 5);
	assert_false(quarantine_calls(box));
	box->left_out.next = time(NULL) - 1;
	assert_true(quarantine_calls(box));
	quarantine_note_tried(box);
	assert_false(quarantine_calls(box));
	box->left_out_after = time(NULL);
	assert_true(quarantine_calls(box));
	box->left_out.next = QUARANTINE_NEVER;
	assert_false(quarantine_calls(box));
}

/* A service begins a run when it is due. */
static void at_rest(void **state)
{
	quarantine_wait(&core);
	assert_false(ev_is_active(&core.quarantine)); /* there is nothing */
	note_row(QUARANTINE_APPEND, false, 5);
	quarantine_wait(&core);
	assert_true(ev_is_active(&core.quarantine));
	assert_true(ev_timer_remaining(loop.ev, &core.quarantine) > 590);
	assert_true(ev_timer_remaining(loop.ev, &core.quarantine) < 602);
	box->left_out.next = time(NULL) + 10000;
	quarantine_wait(&core);
	assert_true(ev_timer_remaining(loop.ev, &core.quarantine) > 3590); /* an hour at most */
	assert_true(ev_timer_remaining(loop.ev, &core.quarantine) < 3602);
	/* The time is there when the timer ends. */
	box->left_out.next = time(NULL);
	quarantine_wait(&core);
	pass_seconds(2);
	RUN_UNTIL(box->runs.turn == TURN_QUEUED);
	assert_false(ev_is_active(&core.quarantine));
	/* What failed as a whole is looked at with all others. */
	box->result.failed = true;
	quarantine_wait(&core);
	assert_false(ev_is_active(&core.quarantine));
	box->result.failed = false;
	box->presence.listed = false;
	quarantine_wait(&core);
	assert_false(ev_is_active(&core.quarantine));
}

static void summed_up(void **state)
{
	quarantine_sum_up(&core);
	assert_false(core.incomplete);
	note_row(QUARANTINE_APPEND, false, 5);
	note_row(QUARANTINE_APPEND, false, 6);
	core.first_done = true;
	quarantine_sum_up(&core); /* a service says it once */
	assert_false(core.incomplete);
	core.ordered = true; /* of what was ordered, each time */
	quarantine_sum_up(&core);
	assert_false(core.incomplete);
	box->wishes.ordered = true;
	quarantine_sum_up(&core);
	assert_true(core.incomplete);
	assert_true(said("2 message(s) in 1 mailbox(es) are left out for now; `interimap --status` "
			 "names them and says why"));
}

static void general_refusals(void **state)
{
	static const enum response_code general[] = {CODE_OVERQUOTA, CODE_NOPERM, CODE_TRYCREATE,
		CODE_INUSE, CODE_UNAVAILABLE, CODE_READ_ONLY, CODE_THROTTLED};
	static const enum response_code of_one[] = {CODE_NONE, CODE_LIMIT, CODE_SERVERBUG};
	struct command command = {.outcome = OUTCOME_NO};

	for (size_t i = 0; i < ARRAY_LEN(general); i++) {
		command.code = general[i];
		assert_true(refusal_is_general(&command));
	}
	for (size_t i = 0; i < ARRAY_LEN(of_one); i++) {
		command.code = of_one[i];
		assert_false(refusal_is_general(&command));
	}
}

/* --- core.c --- */

static void the_queue(void **state)
{
	struct mailbox *second = add_mailbox("second"), *third = add_mailbox("third");

	core_queue_mailbox(&core, box);
	core_queue_mailbox(&core, second);
	core_queue_mailbox(&core, box); /* once */
	core_queue_mailbox(&core, third);
	run_ready();
	assert_int_equal(turns_taken, 1);
	assert_ptr_equal(core.queue, box);
	assert_ptr_equal(box->next, second);
	assert_null(third->next);
	/* A client opens one of them. */
	core_prefer_mailbox(&core, third);
	assert_ptr_equal(core.queue, third);
	assert_true(third->runs.preferred);
	run_ready();
	assert_int_equal(turns_taken, 2);
	/* One that is gone from a list is not run; nor is one twice at a time. */
	DL_DELETE(core.queue, second);
	second->runs.turn = TURN_NONE;
	second->presence.listed = false;
	core_queue_mailbox(&core, second);
	assert_int_equal(second->runs.turn, TURN_NONE);
	second->presence.listed = true;
	second->runs.turn = TURN_RUNNING;
	core_queue_mailbox(&core, second);
	assert_int_equal(second->runs.turn, TURN_RUNNING);
	assert_true(second->runs.again);
	second->runs.turn = TURN_NONE;
	core_prefer_mailbox(&core, second); /* nothing is to be done there */
	assert_false(second->runs.preferred);
	core_forget_mailbox(&core, third);
	assert_ptr_equal(core.queue, box);
	assert_null(find_mailbox("third"));
}

static void the_owner_is_told(void **state)
{
	core_look_in(&core, 1.5);
	core_fail(&core, "%d reasons", 2);
	core_database_failed(&core);
	expect_events("look:1.5 failed:2 reasons failed:database");
	assert_false(core_looks_soon(&core));
	looks_soon = true;
	assert_true(core_looks_soon(&core));
}

#define quarantine_test(f) cmocka_unit_test_setup_teardown(f, begin, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		quarantine_test(the_pauses),
		quarantine_test(at_fault),
		quarantine_test(due),
		quarantine_test(at_rest),
		quarantine_test(summed_up),
		quarantine_test(general_refusals),
		quarantine_test(the_queue),
		quarantine_test(the_owner_is_told),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
