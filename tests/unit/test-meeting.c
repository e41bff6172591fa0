/* SPDX-License-Identifier: MIT */
/* run/meeting.c: which runs wait for each other, for how long, and which messages were moved from one
 * to another. */
#include "tests/unit/engine-fixture.h"

#include "sync/carry/meeting.h"
#include "sync/carry/moved.h"
#include "sync/pass/pass-private.h"
#include "sync/pass/pass.h"

static struct mailbox *from, *to;
static struct run *loser, *taker;

static int begin(void **state)
{
	int r = setup(state);

	from = add_mailbox("from");
	to = add_mailbox("to");
	loser = still_run(from);
	taker = still_run(to);
	loser->local.told.snapshot = taker->local.told.snapshot = from->local.base;
	loser->remote.told.snapshot = taker->remote.told.snapshot = from->remote.base;
	loser->pass.first = taker->pass.first = false;
	return r;
}

static int end(void **state)
{
	end_run(taker);
	end_run(loser);
	return teardown(state);
}

/* OPEN has told that these are gone from the local side … */
static void lose(struct run *run, uint32_t first, uint32_t last)
{
	(void)seqset_add_range(&run->local.losses.gone, first, last);
	meeting_expect(run);
}

/* … and this is new there. */
static void gain(struct run *run, uint32_t uid, const char *id)
{
	struct items *items = &run->local.arrivals.items;

	items->list = xreallocarray(items->list, items->count + 1, sizeof(*items->list));
	items->size = items->count + 1;
	items->list[items->count++] = (struct item){
		.uid = uid, .identity = identity_of(id), .flags = flags_empty(core.flags)};
	run->local.told.exists = 1;
	run->local.told.snapshot.uidnext = uid + 1;
}

/* The pair of what is gone. */
static void offer(struct run *run, uint32_t uid, const char *id)
{
	struct offers *offers = &run->local.moves.offers;

	offers->list = xreallocarray(offers->list, offers->count + 1, sizeof(*offers->list));
	offers->list[offers->count++] = (struct offer){.uid = uid,
		.other_uid = 100 + uid,
		.identity = identity_of(id),
		.flags = flags_empty(core.flags),
		.identified = true};
}

static void nothing_to_wait_for(void **state)
{
	lose(loser, 1, 1);
	meeting_attend(loser);
	assert_int_equal(loser->attendance.state, ATTENDANCE_OVER);
	meeting_expect(taker);
	meeting_attend(taker); /* neither misses nor brings anything */
	assert_int_equal(taker->attendance.state, ATTENDANCE_OVER);
}

static void they_meet(void **state)
{
	gain(taker, 60, "a");
	meeting_expect(taker);
	lose(loser, 1, 1);
	meeting_attend(loser);
	assert_int_equal(loser->attendance.state, ATTENDANCE_WAITING);
	meeting_attend(taker);
	assert_int_equal(loser->attendance.state, ATTENDANCE_ASKING);
	assert_int_equal(taker->attendance.state, ATTENDANCE_ASKING);
	offer(loser, 1, "a");
	meeting_asked(loser);
	assert_int_equal(loser->attendance.state, ATTENDANCE_ASKED); /* until all have heard */
	meeting_asked(taker);
	assert_int_equal(taker->attendance.state, ATTENDANCE_MOVING);
	assert_int_equal(taker->local.moves.takes.count, 1);
	assert_ptr_equal(taker->local.moves.takes.list[0].from, loser);
	assert_int_equal(taker->local.moves.takes.list[0].offer.other_uid, 101);
	assert_int_equal(taker->local.moves.takes.list[0].item.uid, 60);
	assert_int_equal(loser->local.moves.takes.count, 0);
	assert_int_equal(loser->attendance.takers, 1);
	/* What is left is for each to decide, once nothing is taken any more. */
	meeting_moved(loser);
	assert_int_equal(loser->attendance.state, ATTENDANCE_MOVED);
	meeting_moved(taker);
	assert_int_equal(taker->attendance.state, ATTENDANCE_OVER);
	assert_int_equal(loser->attendance.state, ATTENDANCE_OVER);
}

static void not_the_same(void **state)
{
	gain(taker, 60, "a");
	meeting_expect(taker);
	lose(loser, 1, 2);
	meeting_attend(loser);
	meeting_attend(taker);
	offer(loser, 1, "other");
	offer(loser, 2, "a");
	loser->local.moves.offers.list[1].identified = false; /* nothing was told of it */
	meeting_asked(loser);
	meeting_asked(taker);
	assert_int_equal(taker->local.moves.takes.count, 0);
	assert_int_equal(loser->attendance.takers, 0);
}

/* It is known to be on its way; but new mail is not kept back for long. */
static void patience(void **state)
{
	gain(taker, 60, "a");
	meeting_expect(taker);
	lose(loser, 1, 1);
	meeting_attend(loser);
	run_ready();
	meeting_look(&runs.meeting);
	assert_int_equal(loser->attendance.state, ATTENDANCE_WAITING);
	pass_seconds(3);
	RUN_UNTIL(loser->attendance.state == ATTENDANCE_OVER);
}

/* The other side's losses are no matter. */
static void of_the_other_side(void **state)
{
	gain(taker, 60, "a");
	meeting_expect(taker);
	(void)seqset_add(&loser->remote.losses.gone, 101);
	meeting_expect(loser);
	meeting_attend(loser);
	assert_int_equal(loser->attendance.state, ATTENDANCE_OVER);
}

/* What a server tells by itself may come in any order: for a moment. */
static void a_moment(void **state)
{
	options.stay = true;
	core.remote.notified = true;
	(void)seqset_add(&loser->remote.losses.gone, 101);
	meeting_expect(loser);
	meeting_expect(taker);
	meeting_attend(loser);
	assert_int_equal(loser->attendance.state, ATTENDANCE_WAITING);
	pass_seconds(1);
	RUN_UNTIL(loser->attendance.state == ATTENDANCE_OVER);
}

/* One to fifty new messages are mail, as far as is known; more were moved, perhaps, from a mailbox
 * that is told of next. */
static void many_arrivals(void **state)
{
	struct items *items = &taker->remote.arrivals.items;

	options.stay = true;
	core.remote.notified = true;
	taker->pass.first = true;
	taker->remote.told.exists = 1;
	taker->remote.told.snapshot.uidnext = 200;
	items->size = items->count = 49;
	items->list = xcalloc(100, sizeof(*items->list));
	meeting_expect(taker);
	meeting_attend(taker);
	assert_int_equal(taker->attendance.state, ATTENDANCE_OVER);
	items->size = items->count = 50;
	meeting_begin_pass(taker);
	meeting_expect(taker);
	meeting_attend(taker);
	assert_int_equal(taker->attendance.state, ATTENDANCE_WAITING);
	pass_seconds(1);
	run_ready();
	meeting_look(&runs.meeting);
	assert_int_equal(taker->attendance.state, ATTENDANCE_WAITING);
	(void)seqset_add_range(&loser->remote.losses.gone, 101, 150);
	meeting_expect(loser);
	meeting_attend(loser);
	assert_int_equal(taker->attendance.state, ATTENDANCE_ASKING);
	assert_int_equal(loser->attendance.state, ATTENDANCE_ASKING);
}

/* … and are copied when none is. */
static void many_arrivals_of_mail(void **state)
{
	struct items *items = &taker->remote.arrivals.items;

	options.stay = true;
	core.remote.notified = true;
	taker->pass.first = true;
	taker->remote.told.exists = 1;
	taker->remote.told.snapshot.uidnext = 200;
	items->size = items->count = 50;
	items->list = xcalloc(100, sizeof(*items->list));
	meeting_expect(taker);
	meeting_attend(taker);
	assert_int_equal(taker->attendance.state, ATTENDANCE_WAITING);
	pass_seconds(3);
	RUN_UNTIL(taker->attendance.state == ATTENDANCE_OVER);
}

static void one_ends(void **state)
{
	gain(taker, 60, "a");
	meeting_expect(taker);
	lose(loser, 1, 1);
	meeting_attend(loser);
	meeting_attend(taker);
	offer(loser, 1, "a");
	meeting_asked(loser);
	meeting_asked(taker);
	meeting_leave(loser);
	assert_null(taker->local.moves.takes.list[0].from); /* it is copied */
	assert_false(run_moved_send(taker));
	meeting_moved(taker);
	assert_int_equal(taker->attendance.state, ATTENDANCE_OVER);
}

/* … before it has heard: the other one goes on. */
static void one_ends_early(void **state)
{
	gain(taker, 60, "a");
	meeting_expect(taker);
	lose(loser, 1, 1);
	meeting_attend(loser);
	meeting_attend(taker);
	meeting_asked(loser);
	meeting_leave(taker);
	assert_int_equal(loser->attendance.state, ATTENDANCE_MOVING);
	assert_false(runs.meeting.held);
}

static void a_repair(void **state)
{
	loser->repair = loser->pass.first = true;
	lose(loser, 1, 1);
	assert_int_equal(loser->attendance.state, ATTENDANCE_OVER);
}

/* As many new messages are looked at as may have been moved. */
static void a_batch(void **state)
{
	meeting_expect(taker);
	assert_int_equal(meeting_batch(taker, false), COPY_BATCH);
	lose(loser, 1, 500);
	assert_int_equal(meeting_batch(taker, false), COPY_BATCH + 500);
	assert_int_equal(meeting_batch(taker, true), COPY_BATCH);
	/* It has not been heard of yet, and may have lost some. */
	loser->attendance.state = ATTENDANCE_AWAY;
	loser->pass.first = true;
	from->local.seen.highestmodseq = 60;
	assert_int_equal(meeting_batch(taker, false), 0);
	assert_true(taker->attendance.wants_losses);
	pass_seconds(3);
	run_ready();
	assert_int_equal(meeting_batch(taker, false), COPY_BATCH);
	assert_false(taker->attendance.wants_losses);
}

#define meeting_test(f) cmocka_unit_test_setup_teardown(f, begin, end)

int main(void)
{
	const struct CMUnitTest tests[] = {
		meeting_test(nothing_to_wait_for),
		meeting_test(they_meet),
		meeting_test(not_the_same),
		meeting_test(patience),
		meeting_test(of_the_other_side),
		meeting_test(a_moment),
		meeting_test(many_arrivals),
		meeting_test(many_arrivals_of_mail),
		meeting_test(one_ends),
		meeting_test(one_ends_early),
		meeting_test(a_repair),
		meeting_test(a_batch),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
