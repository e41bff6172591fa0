/* SPDX-License-Identifier: MIT */
/* carry/moves.c: what was moved on one side is moved on the other.  What answers come to
 * (moved-cases.h); what goes on to the next pass; who is told. */
#include "tests/unit/moved-cases.h"

#include "sync/carry/moves-wait.h"
#include "sync/carry/moves.h"
#include "sync/pass/pass-private.h"
#include "sync/pass/pass.h"

/* Two runs that have waited for each other: to the one the messages are gone, to the other they are
 * new. */
struct both {
	struct mailbox *from, *to;
	struct run *loser, *taker;
	struct run_side *side; /* of the taker: where they are new */
};

static void begin_both(struct both *both, bool remote)
{
	both->loser = still_run(both->from);
	both->taker = still_run(both->to);
	both->side = remote ? &both->taker->remote : &both->taker->local;
	both->side->other->told.snapshot = both->to->remote.base;
	both->side->moves.taken_list.list = xcalloc(3, sizeof(struct taken_message));
	both->side->moves.taken_list.count = 3;
	both->side->arrivals.items.list = xcalloc(3, sizeof(struct item));
	both->side->arrivals.items.count = both->side->arrivals.items.size = 3;
	for (uint32_t i = 0; i < 3; i++) {
		struct item *item = &both->side->arrivals.items.list[i];
		struct gone_message gone = {.uid = 1 + i, .other_uid = 101 + i};

		if (remote)
			gone = (struct gone_message){.uid = 101 + i, .other_uid = 1 + i};
		item->uid = 11 + i;
		item->flags = gone.flags = flags_empty(core.flags);
		item->identity.size = gone.identity.size = 100 + i;
		both->side->moves.taken_list.list[i] =
			(struct taken_message){.from = both->loser, .gone = gone, .item = *item};
	}
	both->loser->moves.takers = 1;
}

/* Sends, and writes down what was answered; false when there was nothing to be sent. */
static bool move(struct both *both)
{
	bool sent = run_moves_send(both->taker);

	if (!sent)
		return false;
	run_answered(both->taker);
	run_moves_sent(both->taker);
	return true;
}

static void end(struct both *both)
{
	end_run(both->taker);
	end_run(both->loser);
}

static void one_case(void **state)
{
	const struct moved_case *moved = *state;
	struct both both;

	moved_prepare(moved, &both.from, &both.to);
	moved_will(moved);
	begin_both(&both, false);
	assert_true(move(&both));
	moved_check(moved, both.from, both.to);
	moved_check_events(moved, "");
	assert_false(move(&both));
	assert_null(both.taker->end.failure);
	assert_int_equal(both.taker->pass.doubt, false);
	run_moves_done(both.taker);
	/* What is in doubt is neither copied nor behind UIDNEXT. */
	assert_int_equal(both.taker->pass.doubt, moved->intents[0] != '\0');
	assert_int_equal(both.side->moves.lowest,
		moved->intents[0] != '\0' ? strtoul(moved->intents + 1, NULL, 10) : 0);
	end(&both);
}

static const struct moved_case simple = {
	.answer = UNTAGGED("OK [COPYUID 7 101:103 61:63] moved") OK};
static const struct moved_case copied = {
	.copies = true, .answer = "OK [COPYUID 7 101:103 61:63] copied"};

static void what_is_left_to_do(void **state)
{
	struct both both;

	moved_prepare(&simple, &both.from, &both.to);
	moved_will(&simple);
	begin_both(&both, false);
	/* Read while it was moved. */
	both.side->moves.taken_list.list[1].item.flags =
		flags_intern(core.flags, &(struct slice){"\\Seen", 5}, 1);
	assert_true(move(&both));
	assert_int_equal(both.side->flags.carried.count, 1);
	assert_int_equal(both.side->flags.carried.list[0].uid, 12);
	assert_int_equal(both.side->other->flags.expected.count, 3);
	assert_int_equal(both.side->other->flags.expected.list[2].uid, 63);
	assert_int_equal(both.loser->local.losses.moved_away, 0);
	assert_true(both.loser->moves.any && both.taker->moves.any);
	assert_false(move(&both));
	run_moves_done(both.taker);
	assert_int_equal(both.side->arrivals.items.count, 0); /* none is copied */
	assert_true(both.taker->pass.again);
	assert_int_equal(both.loser->moves.takers, 0);
	end(&both);
}

/* The other mailbox expunges them, which deletes nothing. */
static void copies_are_moved_away(void **state)
{
	struct both both;

	moved_prepare(&copied, &both.from, &both.to);
	moved_will(&copied);
	begin_both(&both, false);
	assert_true(move(&both));
	assert_int_equal(both.loser->local.losses.moved_away, 3);
	(void)seqset_add_range(&both.loser->local.losses.gone, 1, 3);
	run_moves_over(both.loser);
	assert_true(both.loser->pass.again);
	assert_int_equal(seqset_count(&both.loser->local.losses.gone), 3);
	assert_false(both.loser->pass.reread);
	end(&both);
}

/* Where they are moved, what is gone beyond them is left to the next pass. */
static void the_rest_is_put_off(void **state)
{
	struct both both;

	moved_prepare(&simple, &both.from, &both.to);
	moved_will(&simple);
	add_pair(both.from, 4, 104);
	begin_both(&both, false);
	assert_true(move(&both));
	(void)seqset_add_range(&both.loser->local.losses.gone, 1, 4);
	run_moves_over(both.loser);
	assert_true(seqset_is_empty(&both.loser->local.losses.gone));
	assert_true(both.loser->pass.again && both.loser->pass.reread);
	end(&both);
}

static void a_refusal_ends_it(void **state)
{
	static const struct moved_case refused = {.answer = "NO not today"};
	struct both both;

	moved_prepare(&refused, &both.from, &both.to);
	moved_will(&refused);
	begin_both(&both, false);
	assert_true(move(&both));
	assert_true(both.side->moves.refused);
	assert_false(both.taker->barrier.refused); /* the run goes on */
	end(&both);
}

static void a_client_is_faster(void **state)
{
	struct both both;

	connect_sides();
	capabilities[REMOTE] = "MOVE";
	both.from = add_mailbox("from");
	both.to = add_mailbox("to");
	begin_both(&both, false);
	both.from->runs.disturbed++;
	assert_false(move(&both));
	assert_intents(both.to, "");
	assert_false(both.side->moves.taken_list.list[2].moved);
	run_moves_done(both.taker);
	assert_int_equal(both.side->arrivals.items.count, 3); /* they are copied */
	end(&both);
}

static void in_doubt_already(void **state)
{
	struct intent intent = {
		.to_remote = true, .source_uid = 12, .target_uidvalidity = 7, .target_uidnext = 50};
	struct both both;

	capabilities[REMOTE] = "MOVE";
	connect_sides();
	both.from = add_mailbox("from");
	both.to = add_mailbox("to");
	for (uint32_t uid = 1; uid <= 3; uid++)
		add_pair(both.from, uid, 100 + uid);
	intent.mailbox = both.to->idx;
	assert_int_equal(intents_insert(core.db, &intent), 0);
	will(REMOTE, "SELECT from", SELECTED(7, 104, 50, 3));
	will(REMOTE, "UID MOVE 101,103 to", UNTAGGED("OK [COPYUID 7 101,103 61:62] moved") OK);
	begin_both(&both, false);
	assert_true(move(&both));
	assert_pairs(both.from, "2=102");
	assert_pairs(both.to, "11=61 13=62");
	assert_intents(both.to, ">12");
	end(&both);
}

/* Moved at the remote, and so in the local store: whoever idles there is told. */
static void clients_are_told(void **state)
{
	struct both both;

	capabilities[LOCAL] = "MOVE";
	connect_sides();
	both.from = add_mailbox("from");
	both.to = add_mailbox("to");
	for (uint32_t uid = 1; uid <= 3; uid++)
		add_pair(both.from, uid, 100 + uid);
	will(LOCAL, "SELECT from", SELECTED(7, 4, 50, 3));
	will(LOCAL, "UID MOVE 1:3 to", UNTAGGED("OK [COPYUID 7 1:3 61:63] moved") OK);
	begin_both(&both, true);
	assert_true(move(&both));
	expect_events("news:to news:from");
	assert_pairs(both.from, "");
	assert_pairs(both.to, "61=11 62=12 63=13");
	end(&both);
}

/* Which is what cost the connection: it can be copied instead. */
static void the_connection_is_lost(void **state)
{
	static const struct moved_case lost = {.answer = HANG_UP};
	struct both both;

	moved_prepare(&lost, &both.from, &both.to);
	moved_will(&lost);
	begin_both(&both, false);
	assert_true(run_moves_send(both.taker));
	run_answered(both.taker);
	expect_events("accused:3:remote lost:remote");
	assert_true(both.taker->barrier.lost);
	assert_pairs(both.from, MOVED_NONE);
	assert_intents(both.to, MOVED_DOUBT); /* for the next run */
	end(&both);
}

/* --- From the SELECT on --- */

#define ASKED "UID FETCH 101 (UID FLAGS INTERNALDATE *)"

static void select_both(const char *from_says, const char *to_says)
{
	will(LOCAL, "SELECT from (QRESYNC (7 50))", from_says);
	will(LOCAL, "SELECT to (QRESYNC (7 50))", to_says);
	will(REMOTE, "SELECT from (QRESYNC (7 50))", SELECTED(7, 104, 50, 1));
	will(REMOTE, "SELECT to (QRESYNC (7 50))", SELECTED(7, 50, 50, 0));
}

static void whole_runs(void **state)
{
	struct mailbox *from, *to;

	capabilities[REMOTE] = "MOVE";
	connect_sides();
	from = add_mailbox("from");
	to = add_mailbox("to");
	from->remote.base.uidnext = 104;
	add_pair(from, 1, 101);
	select_both(UNTAGGED("VANISHED (EARLIER) 1") SELECTED(7, 50, 60, 0),
		UNTAGGED("1 FETCH (UID 50 FLAGS (\\Seen))") SELECTED(7, 51, 60, 1));
	will(LOCAL, "SELECT from", SELECTED(7, 50, 60, 0));
	will(LOCAL, "UID FETCH 1 (UID)", OK);
	will(LOCAL, "SELECT to", SELECTED(7, 51, 60, 1));
	will(LOCAL, "UID FETCH 50 (UID FLAGS *)", MESSAGE(50, a, "\\Seen") OK);
	will(REMOTE, "SELECT from", SELECTED(7, 104, 50, 1));
	will(REMOTE, ASKED, MESSAGE(101, a, "\\Seen") OK);
	will(REMOTE, "SELECT from", SELECTED(7, 104, 50, 1));
	will(REMOTE, "UID MOVE 101 to", UNTAGGED("OK [COPYUID 7 101 50] moved") OK);
	/* Each looks again, and finds nothing more. */
	will(LOCAL, "SELECT from (QRESYNC (7 60))", SELECTED(7, 50, 60, 0));
	will(LOCAL, "SELECT to (QRESYNC (7 60))", SELECTED(7, 51, 60, 1));
	will(REMOTE, "SELECT from (QRESYNC (7 50))", SELECTED(7, 104, 60, 0));
	will(REMOTE, "SELECT to (QRESYNC (7 50))", SELECTED(7, 51, 60, 1));
	(void)begin_run(from);
	(void)begin_run(to);
	RUN_UNTIL(runs.count == 0);
	expect_events("done:from done:to");
	assert_pairs(from, "");
	assert_pairs(to, "50=50");
	assert_intents(to, "");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		BOTH(what_is_left_to_do),
		BOTH(copies_are_moved_away),
		BOTH(the_rest_is_put_off),
		BOTH(a_refusal_ends_it),
		BOTH(a_client_is_faster),
		BOTH(in_doubt_already),
		BOTH(clients_are_told),
		BOTH(the_connection_is_lost),
		BOTH(whole_runs),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return run_moved_tests(one_case, tests, ARRAY_LEN(tests));
}
