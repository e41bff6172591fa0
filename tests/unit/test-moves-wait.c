/* SPDX-License-Identifier: MIT */
/* carry/moves-wait.h, moves-match.h: which runs wait for each other, for how long, and which
 * messages were moved from one to another. */
#include "tests/unit/engine-fixture.h"

#include "sync/carry/moves-wait.h"
#include "sync/carry/moves.h"
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
	moves_wait_opened(run);
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
static void add_pair_of(struct run *run, uint32_t uid, const char *id)
{
	struct gone_list *gone = &run->local.moves.gone_list;

	gone->list = xreallocarray(gone->list, gone->count + 1, sizeof(*gone->list));
	gone->list[gone->count++] = (struct gone_message){.uid = uid,
		.other_uid = 100 + uid,
		.identity = identity_of(id),
		.flags = flags_empty(core.flags),
		.identified = true};
}

static void nothing_to_wait_for(void **state)
{
	lose(loser, 1, 1);
	moves_wait_begin(loser);
	assert_int_equal(loser->moves.state, MOVE_OVER);
	moves_wait_opened(taker);
	moves_wait_begin(taker); /* neither misses nor brings anything */
	assert_int_equal(taker->moves.state, MOVE_OVER);
}

static void one_takes_from_the_other(void **state)
{
	gain(taker, 60, "a");
	moves_wait_opened(taker);
	lose(loser, 1, 1);
	moves_wait_begin(loser);
	assert_int_equal(loser->moves.state, MOVE_WAITING);
	moves_wait_begin(taker);
	assert_int_equal(loser->moves.state, MOVE_ASKING);
	assert_int_equal(taker->moves.state, MOVE_ASKING);
	add_pair_of(loser, 1, "a");
	moves_wait_asked(loser);
	assert_int_equal(loser->moves.state, MOVE_ASKED); /* until all have heard */
	moves_wait_asked(taker);
	assert_int_equal(taker->moves.state, MOVE_MOVING);
	assert_int_equal(taker->local.moves.taken_list.count, 1);
	assert_ptr_equal(taker->local.moves.taken_list.list[0].from, loser);
	assert_int_equal(taker->local.moves.taken_list.list[0].gone.other_uid, 101);
	assert_int_equal(taker->local.moves.taken_list.list[0].item.uid, 60);
	assert_int_equal(loser->local.moves.taken_list.count, 0);
	assert_int_equal(loser->moves.takers, 1);
	/* What is left is for each to decide, once nothing is taken any more. */
	moves_wait_moved(loser);
	assert_int_equal(loser->moves.state, MOVE_MOVED);
	moves_wait_moved(taker);
	assert_int_equal(taker->moves.state, MOVE_OVER);
	assert_int_equal(loser->moves.state, MOVE_OVER);
}

static void not_the_same(void **state)
{
	gain(taker, 60, "a");
	moves_wait_opened(taker);
	lose(loser, 1, 2);
	moves_wait_begin(loser);
	moves_wait_begin(taker);
	add_pair_of(loser, 1, "other");
	add_pair_of(loser, 2, "a");
	loser->local.moves.gone_list.list[1].identified = false; /* nothing was told of it */
	moves_wait_asked(loser);
	moves_wait_asked(taker);
	assert_int_equal(taker->local.moves.taken_list.count, 0);
	assert_int_equal(loser->moves.takers, 0);
}

/* It is known to be on its way; but new mail is not kept back for long. */
static void patience(void **state)
{
	gain(taker, 60, "a");
	moves_wait_opened(taker);
	lose(loser, 1, 1);
	moves_wait_begin(loser);
	run_ready();
	moves_wait_opened(taker); /* they are looked at once more */
	assert_int_equal(loser->moves.state, MOVE_WAITING);
	pass_seconds(3);
	RUN_UNTIL(loser->moves.state == MOVE_OVER);
}

/* The other side's losses are no matter. */
static void of_the_other_side(void **state)
{
	gain(taker, 60, "a");
	moves_wait_opened(taker);
	(void)seqset_add(&loser->remote.losses.gone, 101);
	moves_wait_opened(loser);
	moves_wait_begin(loser);
	assert_int_equal(loser->moves.state, MOVE_OVER);
}

/* What a server tells by itself may come in any order: for a moment. */
static void a_moment(void **state)
{
	options.stay = true;
	core.remote.notified = true;
	(void)seqset_add(&loser->remote.losses.gone, 101);
	moves_wait_opened(loser);
	moves_wait_opened(taker);
	moves_wait_begin(loser);
	assert_int_equal(loser->moves.state, MOVE_WAITING);
	pass_seconds(1);
	RUN_UNTIL(loser->moves.state == MOVE_OVER);
}

/* A service at rest finds so many new messages at the remote server. */
static void take_at_rest(size_t count)
{
	struct items *items = &taker->remote.arrivals.items;

	options.stay = true;
	core.remote.notified = true;
	taker->pass.first = true;
	taker->remote.told.exists = 1;
	taker->remote.told.snapshot.uidnext = 200;
	items->size = items->count = count;
	items->list = xreallocarray(items->list, count, sizeof(*items->list));
	memset(items->list, 0, count * sizeof(*items->list));
	moves_wait_opened(taker);
	moves_wait_begin(taker);
}

/* One to fifty new messages are mail, as far as is known; more were moved, perhaps, from a mailbox
 * that is told of next. */
static void many_arrivals(void **state)
{
	take_at_rest(49);
	assert_int_equal(taker->moves.state, MOVE_OVER);
	moves_wait_reset(taker);
	take_at_rest(50);
	assert_int_equal(taker->moves.state, MOVE_WAITING);
	pass_seconds(1);
	run_ready();
	moves_wait_opened(loser); /* … with nothing, so far */
	assert_int_equal(taker->moves.state, MOVE_WAITING);
	(void)seqset_add_range(&loser->remote.losses.gone, 101, 150);
	moves_wait_opened(loser);
	moves_wait_begin(loser);
	assert_int_equal(taker->moves.state, MOVE_ASKING);
	assert_int_equal(loser->moves.state, MOVE_ASKING);
}

/* … and are copied when none is. */
static void many_arrivals_of_mail(void **state)
{
	take_at_rest(50);
	assert_int_equal(taker->moves.state, MOVE_WAITING);
	pass_seconds(3);
	RUN_UNTIL(taker->moves.state == MOVE_OVER);
}

static void one_ends(void **state)
{
	gain(taker, 60, "a");
	moves_wait_opened(taker);
	lose(loser, 1, 1);
	moves_wait_begin(loser);
	moves_wait_begin(taker);
	add_pair_of(loser, 1, "a");
	moves_wait_asked(loser);
	moves_wait_asked(taker);
	moves_wait_leave(loser);
	assert_null(taker->local.moves.taken_list.list[0].from); /* it is copied */
	assert_false(run_moves_send(taker));
	moves_wait_moved(taker);
	assert_int_equal(taker->moves.state, MOVE_OVER);
}

/* … before it has heard: the other one goes on. */
static void one_ends_early(void **state)
{
	gain(taker, 60, "a");
	moves_wait_opened(taker);
	lose(loser, 1, 1);
	moves_wait_begin(loser);
	moves_wait_begin(taker);
	moves_wait_asked(loser);
	moves_wait_leave(taker);
	assert_int_equal(loser->moves.state, MOVE_MOVING);
	assert_false(runs.moves_wait.asking);
}

static void a_repair(void **state)
{
	loser->repair = loser->pass.first = true;
	lose(loser, 1, 1);
	assert_int_equal(loser->moves.state, MOVE_OVER);
}

/* As many new messages are looked at as may have been moved. */
static void a_batch(void **state)
{
	moves_wait_opened(taker);
	assert_int_equal(moves_wait_batch(taker, false), COPY_BATCH);
	lose(loser, 1, 500);
	assert_int_equal(moves_wait_batch(taker, false), COPY_BATCH + 500);
	assert_int_equal(moves_wait_batch(taker, true), COPY_BATCH);
	/* It has not been heard of yet, and may have lost some. */
	loser->moves.state = MOVE_UNKNOWN;
	loser->pass.first = true;
	from->local.seen.highestmodseq = 60;
	assert_int_equal(moves_wait_batch(taker, false), 0);
	assert_true(taker->moves.waits_for_counts);
	pass_seconds(3);
	run_ready();
	assert_int_equal(moves_wait_batch(taker, false), COPY_BATCH);
	assert_false(taker->moves.waits_for_counts);
}

#define wait_test(f) cmocka_unit_test_setup_teardown(f, begin, end)

int main(void)
{
	const struct CMUnitTest tests[] = {
		wait_test(nothing_to_wait_for),
		wait_test(one_takes_from_the_other),
		wait_test(not_the_same),
		wait_test(patience),
		wait_test(of_the_other_side),
		wait_test(a_moment),
		wait_test(many_arrivals),
		wait_test(many_arrivals_of_mail),
		wait_test(one_ends),
		wait_test(one_ends_early),
		wait_test(a_repair),
		wait_test(a_batch),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
