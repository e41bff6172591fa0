/* SPDX-License-Identifier: MIT */
/* deeds/suspects.c and suspects-judge.c: what is suspected after a loss, set apart after the second,
 * tried by itself, and put into the quarantine or acquitted. */
#include "tests/unit/engine-fixture.h"

#include "sync/core/quarantine.h"
#include "sync/state/quarantine.h"

static struct mailbox *box;

static struct suspect of_messages(enum suspect_kind kind, uint32_t first, uint32_t last)
{
	struct suspect suspect = {.kind = kind, .mailbox = box->idx, .remote = true};

	(void)seqset_add_range(&suspect.uids, first, last);
	return suspect;
}

/* The connection is lost over it, and both servers are reached again. */
static void lose_over(struct suspect suspect)
{
	suspects_accuse(&core, &suspect);
	suspects_note_loss(&core, "it went");
	suspects_connect(&core);
	assert_true(suspects_judge(&core) >= 0);
	suspect_done(&suspect);
}

static void lose_over_messages(uint32_t first, uint32_t last)
{
	lose_over(of_messages(SUSPECT_FETCH, first, last));
}

/* Which of 1 to 9 are not touched now: "3 4". */
static void assert_withheld(enum suspect_kind kind, const char *expected)
{
	struct seqset uids;
	struct buf out;
	_cleanup_free_ char *text = NULL;

	seqset_init(&uids);
	(void)seqset_add_range(&uids, 1, 9);
	suspects_withhold(&core, box, kind, true, &uids);
	buf_init(&out, 1000);
	for (uint32_t uid = 1; uid <= 9; uid++)
		if (!seqset_contains(&uids, uid))
			(void)buf_printf(&out, "%s%u", buf_len(&out) > 0 ? " " : "", uid);
	seqset_done(&uids);
	text = buf_steal(&out);
	assert_string_equal(text, expected);
	assert_int_equal(suspects_withhold_any(&core, box, kind, true), expected[0] != '\0');
}

/* "remote FETCH 5: it costs …", one a line. */
static void assert_rows(const char *expected)
{
	_cleanup_free_ char *text = NULL;
	struct quarantine *rows;
	struct buf out;
	size_t count;

	assert_int_equal(quarantine_load(core.db, 0, &rows, &count), 0);
	buf_init(&out, 1 << 20);
	for (size_t i = 0; i < count; i++)
		(void)buf_printf(&out, "%s%s %s %u: %s", i > 0 ? "\n" : "",
			rows[i].remote ? "remote" : "local", quarantine_kind_name(rows[i].kind),
			rows[i].uid, rows[i].words);
	quarantine_free(rows, count);
	text = buf_steal(&out);
	assert_string_equal(text, expected);
}

static int begin(void **state)
{
	int r = setup(state);

	box = add_mailbox("box");
	return r;
}

static void two_losses(void **state)
{
	lose_over_messages(3, 5);
	assert_withheld(SUSPECT_FETCH, "");
	assert_int_equal(suspects.count, 1);
	assert_false(suspects_try(&core));
	lose_over_messages(4, 9); /* what both were about */
	assert_withheld(SUSPECT_FETCH, "4 5");
	assert_withheld(SUSPECT_APPEND, "4 5"); /* it is their copying */
	assert_withheld(SUSPECT_MOVE, "");
	assert_rows("");
}

/* What is lost over one thing after the other is a bad line. */
static void over_different_things(void **state)
{
	lose_over_messages(1, 3);
	lose_over_messages(4, 6);
	lose_over((struct suspect){.kind = SUSPECT_MAILBOX, .mailbox = box->idx, .remote = true});
	lose_over((struct suspect){.kind = SUSPECT_MAILBOX, .mailbox = box->idx});
	assert_int_equal(suspects.count, 4);
	assert_withheld(SUSPECT_FETCH, "");
	assert_false(suspects_hold(&core, box, SUSPECT_MAILBOX));
}

/* It is judged once a connection, and nothing after an outage. */
static void excused(void **state)
{
	struct suspect suspect = of_messages(SUSPECT_FETCH, 1, 3);

	suspects_accuse(&core, &suspect);
	suspects_excuse(&core);
	suspects_connect(&core);
	assert_int_equal(suspects_judge(&core), 0);
	assert_int_equal(suspects.count, 0);
	suspects_accuse(&core, &suspect);
	assert_int_equal(suspects_judge(&core), 0); /* no new connection yet */
	assert_int_equal(suspects.count, 0);
	suspect_done(&suspect);
}

/* Of several at one loss the first counts; and a command about no message, for its mailbox. */
static void who_is_accused(void **state)
{
	struct suspect first = of_messages(SUSPECT_FETCH, 1, 1);

	suspects_accuse(&core, &(struct suspect){.kind = SUSPECT_NONE});
	suspects_accuse(&core, &first);
	lose_over((struct suspect){.kind = SUSPECT_MAILBOX, .mailbox = box->idx});
	assert_int_equal(suspects.count, 1);
	suspect_done(&first);
	lose_over_messages(1, 1);
	assert_withheld(SUSPECT_FETCH, "1");
	lose_over((struct suspect){.kind = SUSPECT_FETCH, .mailbox = box->idx});
	lose_over((struct suspect){.kind = SUSPECT_MAILBOX, .mailbox = box->idx});
	assert_true(suspects_hold(&core, box, SUSPECT_MAILBOX));
}

/* When all else is done, the first one is tried alone; it costs the connection once more. */
static void the_first_one_is_it(void **state)
{
	lose_over_messages(3, 5);
	lose_over_messages(3, 5);
	assert_true(suspects_try(&core));
	assert_int_equal(box->runs.turn, TURN_QUEUED);
	assert_withheld(SUSPECT_FETCH, "4 5");
	lose_over_messages(3, 3);
	assert_rows("remote FETCH 3: it costs the connection: it went");
	assert_true(said("remote(box): ERROR: the server does not give the message with UID 3 (it "
			 "costs the connection: it went): it is left out"));
	assert_int_equal(box->left_out.rows, 1);
	assert_withheld(SUSPECT_FETCH, ""); /* the others are free */
	assert_int_equal(suspects.count, 0);
}

/* It was not: then halves, until one is left. */
static void in_halves(void **state)
{
	lose_over_messages(1, 5);
	lose_over_messages(1, 5);
	assert_true(suspects_try(&core));
	assert_withheld(SUSPECT_FETCH, "2 3 4 5");
	suspects_note_run(&core, box, true);
	assert_withheld(SUSPECT_FETCH, "2 3 4 5"); /* the first is acquitted */
	assert_true(suspects_try(&core));
	assert_withheld(SUSPECT_FETCH, "4 5"); /* half of what is left is tried */
	suspects_note_run(&core, box, true);
	assert_true(suspects_try(&core));
	assert_withheld(SUSPECT_FETCH, "5");
	suspects_note_run(&core, box, true);
	assert_true(suspects_try(&core));
	assert_withheld(SUSPECT_FETCH, "");
	suspects_note_run(&core, box, true);
	assert_false(suspects_try(&core));
	assert_int_equal(suspects.count, 0);
	assert_rows("");
}

/* A run that was not complete proves nothing, and it is not tried again on this connection. */
static void an_incomplete_run(void **state)
{
	lose_over_messages(1, 2);
	lose_over_messages(1, 2);
	assert_true(suspects_try(&core));
	suspects_note_run(&core, box, false);
	assert_withheld(SUSPECT_FETCH, "1 2");
	assert_false(suspects_try(&core));
	suspects_connect(&core);
	assert_int_equal(suspects_judge(&core), 0);
	assert_true(suspects_try(&core));
}

/* What was not set apart is cleared by a complete run. */
static void a_complete_run(void **state)
{
	lose_over_messages(1, 2);
	suspects_note_run(&core, box, false);
	assert_int_equal(suspects.count, 1);
	suspects_note_run(&core, box, true);
	assert_int_equal(suspects.count, 0);
	lose_over_messages(1, 2);
	assert_withheld(SUSPECT_FETCH, "");
}

/* It is in the database, for a program that runs once. */
static void another_life(void **state)
{
	lose_over_messages(1, 2);
	suspects_done(&suspects);
	suspects_init(&suspects, &core);
	lose_over_messages(2, 3);
	assert_withheld(SUSPECT_FETCH, "2");
}

static void a_mailbox(void **state)
{
	const struct suspect suspect = {
		.kind = SUSPECT_MAILBOX, .mailbox = box->idx, .remote = true};
	struct quarantine row = {.kind = QUARANTINE_MAILBOX, .mailbox = box->idx, .remote = true};
	char *words = NULL;

	lose_over(suspect);
	lose_over(suspect);
	assert_true(suspects_hold(&core, box, SUSPECT_MAILBOX));
	assert_true(suspects_try(&core));
	assert_false(suspects_hold(&core, box, SUSPECT_MAILBOX));
	lose_over(suspect);
	assert_rows("remote mailbox 0: it costs the connection: it went");
	assert_int_equal(suspects_find_given_up(&core, box, &words), 1);
	assert_string_equal(words, "it costs the connection: it went");
	free(words);
	/* Its time has come, and it works. */
	assert_int_equal(quarantine_find(core.db, &row), 1);
	row.next = 1;
	assert_int_equal(quarantine_put(core.db, &row), 0);
	quarantine_done(&row);
	assert_int_equal(suspects_find_given_up(&core, box, &words), 0);
	suspects_note_run(&core, box, true);
	assert_rows("");
	assert_int_equal(box->left_out.rows, 0);
}

/* … or not: then it is given up at once. */
static void a_mailbox_once_more(void **state)
{
	const struct suspect suspect = {.kind = SUSPECT_MAILBOX, .mailbox = box->idx};
	struct quarantine row = {
		.kind = QUARANTINE_MAILBOX, .mailbox = box->idx, .words = (char *)"before"};

	assert_int_equal(quarantine_note(&core, box, &row), 1);
	lose_over(suspect);
	assert_int_equal(suspects.count, 0);
	row = (struct quarantine){.kind = QUARANTINE_MAILBOX, .mailbox = box->idx};
	assert_int_equal(quarantine_find(core.db, &row), 1);
	assert_int_equal(row.tries, 2);
	quarantine_done(&row);
}

/* One that is to be adopted needs all of its messages at once. */
static void to_be_adopted(void **state)
{
	lose_over_messages(1, 2);
	lose_over_messages(1, 2);
	assert_false(suspects_hold(&core, box, SUSPECT_MAILBOX));
	box->local.base.uidnext = box->remote.base.uidnext = 0;
	assert_true(suspects_hold(&core, box, SUSPECT_MAILBOX));
}

/* What is moved can be copied instead: it is never tried again. */
static void a_move(void **state)
{
	const struct suspect suspect = {.kind = SUSPECT_MOVE, .mailbox = box->idx, .remote = true};

	lose_over(suspect);
	lose_over(suspect);
	assert_true(suspects_hold(&core, box, SUSPECT_MOVE));
	assert_false(suspects_hold(&core, box, SUSPECT_MAILBOX));
	assert_false(suspects_try(&core));
	lose_over(suspect);
	assert_rows("");
	suspects_forget(&core, box);
	assert_false(suspects_hold(&core, box, SUSPECT_MOVE));
}

static void a_deed(void **state)
{
	const struct client_action action = {.kind = ACTION_DELETE, .mailbox = "box"};
	struct suspect suspect = {.kind = SUSPECT_DEED, .remote = true};
	struct deed *deed;

	journal.receiver.announce(&journal.receiver, 1, &action);
	journal.receiver.outcome(&journal.receiver, 1, &action, ACTION_DONE, NULL);
	deed = journal.deeds;
	suspect.deed = deed->id;
	lose_over(suspect);
	assert_false(deed->apart);
	lose_over(suspect);
	assert_true(deed->apart);
	assert_true(suspects_hold_deed(&core, deed));
	assert_null(journal_next(&journal, true));
	assert_true(suspects_try(&core));
	assert_ptr_equal(journal_next(&journal, true), deed);
	lose_over(suspect);
	assert_rows("remote deed 0: it costs the connection: it went");
	assert_true(said("the server does not do what a mail client did: DELETE box"));
	assert_true(deed->apart);
	assert_string_equal(deed->refusal, "it costs the connection: it went");
	/* A person has acted. */
	assert_int_equal(suspects_retry_deeds(&core), 0);
	assert_false(deed->apart);
	assert_rows("");
	suspects_note_replay(&core, deed);
	assert_int_equal(suspects.count, 0);
}

/* Of a program that runs once. */
static void retries(void **state)
{
	struct suspect suspect = of_messages(SUSPECT_FETCH, 1, 1);

	assert_false(suspects_are_worth_a_retry(&core)); /* nobody was accused */
	for (uint32_t i = 0; i < 3; i++) {
		struct suspect fresh = of_messages(SUSPECT_FETCH, 10 + i, 10 + i);

		suspects_accuse(&core, &fresh);
		assert_true(suspects_are_worth_a_retry(&core));
		suspects_excuse(&core);
		suspect_done(&fresh);
	}
	suspects_accuse(&core, &suspect);
	assert_false(suspects_are_worth_a_retry(&core)); /* a bad line */
	lose_over_messages(1, 1);
	suspects_accuse(&core, &suspect);
	assert_true(suspects_are_worth_a_retry(&core)); /* it is suspected already */
	suspect_done(&suspect);
}

#define suspects_test(f) cmocka_unit_test_setup_teardown(f, begin, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		suspects_test(two_losses),
		suspects_test(over_different_things),
		suspects_test(excused),
		suspects_test(who_is_accused),
		suspects_test(the_first_one_is_it),
		suspects_test(in_halves),
		suspects_test(an_incomplete_run),
		suspects_test(a_complete_run),
		suspects_test(another_life),
		suspects_test(a_mailbox),
		suspects_test(a_mailbox_once_more),
		suspects_test(to_be_adopted),
		suspects_test(a_move),
		suspects_test(a_deed),
		suspects_test(retries),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
