/* SPDX-License-Identifier: MIT */
/*
 * suspicion.h: which message, mailbox or deed costs the connection.  A server is simulated that
 * closes the connection over certain messages of a group that is fetched.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "sync/plan/suspicion.h"

static struct suspect messages(enum suspect_kind kind, uint32_t first, uint32_t last)
{
	struct suspect suspect = {.kind = kind, .mailbox = 1, .remote = true};

	assert_true(seqset_add_range(&suspect.uids, first, last));
	return suspect;
}

static void begin(struct suspicion *suspicion, uint32_t first, uint32_t last)
{
	*suspicion =
		(struct suspicion){.suspect = messages(SUSPECT_FETCH, first, last), .losses = 1};
}

static enum verdict add(struct suspicion *suspicion, uint32_t first, uint32_t last, bool alone)
{
	struct suspect suspect = messages(SUSPECT_FETCH, first, last);
	enum verdict verdict = suspicion_add(suspicion, &suspect, alone);

	suspect_done(&suspect);
	return verdict;
}

static bool is_of(const struct suspicion *suspicion, struct suspect suspect)
{
	bool same = suspicion_is_of(suspicion, &suspect);

	suspect_done(&suspect);
	return same;
}

/* Tries part after part, as the engine does, with a server that closes the connection over `bad`;
 * how many connections that took. */
static unsigned try_all(struct suspicion *suspicion, uint32_t bad, bool tells, bool *ret_proven)
{
	unsigned lost = 0;

	*ret_proven = false;
	for (unsigned tries = 0; tries < 1000; tries++) {
		struct seqset part;
		bool over;

		seqset_init(&part);
		suspicion_part(suspicion, &part);
		assert_false(seqset_is_empty(&part));
		if (seqset_contains(&part, bad)) {
			uint32_t last = part.ranges[part.count - 1].last;

			lost++;
			/* It answers in order, so that what is before the bad one was answered; or
			 * a whole APPEND is in doubt. */
			over = add(suspicion, tells ? bad : part.ranges[0].first, last, true) ==
			       VERDICT_PROVEN;
			*ret_proven = over;
		} else {
			over = suspicion_acquit(suspicion, &part);
		}
		seqset_done(&part);
		if (over)
			return lost;
	}
	fail();
	return lost;
}

static void test_one_loss_says_nothing(void **state)
{
	struct suspicion suspicion;

	begin(&suspicion, 7, 7);
	assert_false(suspicion_is_apart(&suspicion));
	assert_int_equal(add(&suspicion, 7, 7, false), VERDICT_APART);
	assert_true(suspicion_is_apart(&suspicion));
	/* However often it is lost, it is not proven as long as it was not by itself. */
	for (int i = 0; i < 10; i++)
		assert_int_equal(add(&suspicion, 7, 7, false), VERDICT_APART);
	assert_int_equal(add(&suspicion, 7, 7, true), VERDICT_PROVEN);
	suspect_done(&suspicion.suspect);
}

static void test_same_suspect(void **state)
{
	struct suspicion suspicion;

	begin(&suspicion, 10, 20);
	assert_true(is_of(&suspicion, messages(SUSPECT_FETCH, 20, 30)));
	assert_false(is_of(&suspicion, messages(SUSPECT_FETCH, 21, 30)));
	/* Read or appended, it is copied. */
	assert_true(is_of(&suspicion, messages(SUSPECT_APPEND, 12, 12)));
	assert_false(is_of(&suspicion,
		(struct suspect){.kind = SUSPECT_MAILBOX, .mailbox = 1, .remote = true}));
	suspect_done(&suspicion.suspect);
	suspicion.suspect = (struct suspect){.kind = SUSPECT_DEED, .deed = 3};
	assert_true(is_of(&suspicion, (struct suspect){.kind = SUSPECT_DEED, .deed = 3}));
	assert_false(is_of(&suspicion, (struct suspect){.kind = SUSPECT_DEED, .deed = 4}));
}

static void test_the_first_is_tried_first(void **state)
{
	struct suspicion suspicion;
	bool proven;

	begin(&suspicion, 1, 128);
	assert_int_equal(add(&suspicion, 77, 128, false), VERDICT_APART);
	assert_int_equal(try_all(&suspicion, 77, true, &proven), 1);
	assert_true(proven);
	assert_true(seqset_contains(&suspicion.suspect.uids, 77));
	suspect_done(&suspicion.suspect);
}

static void test_any_is_found(void **state)
{
	for (uint32_t bad = 1; bad <= 128; bad++) {
		struct suspicion suspicion;
		bool proven;

		begin(&suspicion, 1, 128);
		assert_int_equal(add(&suspicion, 1, 128, false), VERDICT_APART);
		assert_true(try_all(&suspicion, bad, false, &proven) <= 8);
		assert_true(proven);
		assert_int_equal(seqset_count(&suspicion.suspect.uids), 1);
		assert_true(seqset_contains(&suspicion.suspect.uids, bad));
		suspect_done(&suspicion.suspect);
	}
}

/* Both losses were the line's: each message is tried once more, and nothing is left. */
static void test_a_bad_line_proves_nothing(void **state)
{
	struct suspicion suspicion;
	bool proven;

	begin(&suspicion, 1, 50);
	assert_int_equal(add(&suspicion, 40, 90, false), VERDICT_APART);
	assert_int_equal(try_all(&suspicion, 1000, false, &proven), 0);
	assert_false(proven);
	suspect_done(&suspicion.suspect);
}

static void test_what_is_no_message(void **state)
{
	static const struct suspect mailbox = {.kind = SUSPECT_MAILBOX, .mailbox = 5},
				    move = {.kind = SUSPECT_MOVE, .mailbox = 5};
	struct suspicion suspicion = {.suspect = mailbox, .losses = 1};
	struct seqset none;

	seqset_init(&none);
	assert_int_equal(suspicion_add(&suspicion, &mailbox, false), VERDICT_APART);
	suspicion_part(&suspicion, &none);
	assert_true(seqset_is_empty(&none));
	assert_int_equal(suspicion_add(&suspicion, &mailbox, true), VERDICT_PROVEN);
	assert_true(suspicion_acquit(&suspicion, &none));
	suspicion = (struct suspicion){.suspect = move, .losses = 1};
	assert_int_equal(suspicion_add(&suspicion, &move, false), VERDICT_PROVEN);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_one_loss_says_nothing),
		cmocka_unit_test(test_same_suspect),
		cmocka_unit_test(test_the_first_is_tried_first),
		cmocka_unit_test(test_any_is_found),
		cmocka_unit_test(test_a_bad_line_proves_nothing),
		cmocka_unit_test(test_what_is_no_message),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
