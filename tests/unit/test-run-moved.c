/* SPDX-License-Identifier: MIT */
/* run/moved.c: what was moved on one side is moved on the other.  What answers come to
 * (moved-cases.h); what goes on to the next pass; who is told. */
#include "tests/unit/moved-cases.h"

#include "sync/carry/meeting.h"
#include "sync/carry/moved.h"
#include "sync/pass/pass-private.h"
#include "sync/pass/pass.h"

/* Two runs that have met: of the one the messages are gone, to the other they are new. */
struct met {
	struct mailbox *from, *to;
	struct run *loser, *taker;
	struct run_side *side; /* of the taker: where they are new */
};

static void meet(struct met *met, bool remote)
{
	met->loser = still_run(met->from);
	met->taker = still_run(met->to);
	met->side = remote ? &met->taker->remote : &met->taker->local;
	met->side->other->told.snapshot = met->to->remote.base;
	met->side->moves.takes.list = xcalloc(3, sizeof(struct take));
	met->side->moves.takes.count = 3;
	met->side->arrivals.items.list = xcalloc(3, sizeof(struct item));
	met->side->arrivals.items.count = met->side->arrivals.items.size = 3;
	for (uint32_t i = 0; i < 3; i++) {
		struct item *item = &met->side->arrivals.items.list[i];
		struct offer offer = {.uid = 1 + i, .other_uid = 101 + i};

		if (remote)
			offer = (struct offer){.uid = 101 + i, .other_uid = 1 + i};
		item->uid = 11 + i;
		item->flags = offer.flags = flags_empty(core.flags);
		item->identity.size = offer.identity.size = 100 + i;
		met->side->moves.takes.list[i] =
			(struct take){.from = met->loser, .offer = offer, .item = *item};
	}
	met->loser->attendance.takers = 1;
}

/* Sends, and writes down what was answered; false when there was nothing to be sent. */
static bool move(struct met *met)
{
	bool sent = run_moved_send(met->taker);

	if (!sent)
		return false;
	run_answered(met->taker);
	run_moved_sent(met->taker);
	return true;
}

static void end(struct met *met)
{
	end_run(met->taker);
	end_run(met->loser);
}

static void one_case(void **state)
{
	const struct moved_case *moved = *state;
	struct met met;

	moved_prepare(moved, &met.from, &met.to);
	moved_will(moved);
	meet(&met, false);
	assert_true(move(&met));
	moved_check(moved, met.from, met.to);
	moved_check_events(moved, "");
	assert_false(move(&met));
	assert_null(met.taker->end.failure);
	assert_int_equal(met.taker->pass.doubt, false);
	run_moved_done(met.taker);
	/* What is in doubt is neither copied nor behind UIDNEXT. */
	assert_int_equal(met.taker->pass.doubt, moved->intents[0] != '\0');
	assert_int_equal(met.side->moves.lowest,
		moved->intents[0] != '\0' ? strtoul(moved->intents + 1, NULL, 10) : 0);
	end(&met);
}

static const struct moved_case simple = {
	.answer = UNTAGGED("OK [COPYUID 7 101:103 61:63] moved") OK};
static const struct moved_case copied = {
	.copies = true, .answer = "OK [COPYUID 7 101:103 61:63] copied"};

static void what_is_left_to_do(void **state)
{
	struct met met;

	moved_prepare(&simple, &met.from, &met.to);
	moved_will(&simple);
	meet(&met, false);
	/* Read while it was moved. */
	met.side->moves.takes.list[1].item.flags =
		flags_intern(core.flags, &(struct slice){"\\Seen", 5}, 1);
	assert_true(move(&met));
	assert_int_equal(met.side->flags.carried.count, 1);
	assert_int_equal(met.side->flags.carried.list[0].uid, 12);
	assert_int_equal(met.side->other->flags.expected.count, 3);
	assert_int_equal(met.side->other->flags.expected.list[2].uid, 63);
	assert_int_equal(met.loser->local.losses.moved_away, 0);
	assert_true(met.loser->attendance.moved && met.taker->attendance.moved);
	assert_false(move(&met));
	run_moved_done(met.taker);
	assert_int_equal(met.side->arrivals.items.count, 0); /* none is copied */
	assert_true(met.taker->pass.again);
	assert_int_equal(met.loser->attendance.takers, 0);
	end(&met);
}

/* The other mailbox expunges them, which deletes nothing. */
static void copies_are_moved_away(void **state)
{
	struct met met;

	moved_prepare(&copied, &met.from, &met.to);
	moved_will(&copied);
	meet(&met, false);
	assert_true(move(&met));
	assert_int_equal(met.loser->local.losses.moved_away, 3);
	(void)seqset_add_range(&met.loser->local.losses.gone, 1, 3);
	run_moved_over(met.loser);
	assert_true(met.loser->pass.again);
	assert_int_equal(seqset_count(&met.loser->local.losses.gone), 3);
	assert_false(met.loser->pass.reread);
	end(&met);
}

/* Where they are moved, what is gone beyond them is left to the next pass. */
static void the_rest_is_put_off(void **state)
{
	struct met met;

	moved_prepare(&simple, &met.from, &met.to);
	moved_will(&simple);
	add_pair(met.from, 4, 104);
	meet(&met, false);
	assert_true(move(&met));
	(void)seqset_add_range(&met.loser->local.losses.gone, 1, 4);
	run_moved_over(met.loser);
	assert_true(seqset_is_empty(&met.loser->local.losses.gone));
	assert_true(met.loser->pass.again && met.loser->pass.reread);
	end(&met);
}

static void a_refusal_ends_it(void **state)
{
	static const struct moved_case refused = {.answer = "NO not today"};
	struct met met;

	moved_prepare(&refused, &met.from, &met.to);
	moved_will(&refused);
	meet(&met, false);
	assert_true(move(&met));
	assert_true(met.side->moves.refused);
	assert_false(met.taker->barrier.refused); /* the run goes on */
	end(&met);
}

static void a_client_is_faster(void **state)
{
	struct met met;

	connect_sides();
	capabilities[REMOTE] = "MOVE";
	met.from = add_mailbox("from");
	met.to = add_mailbox("to");
	meet(&met, false);
	met.from->runs.disturbed++;
	assert_false(move(&met));
	assert_intents(met.to, "");
	assert_false(met.side->moves.takes.list[2].moved);
	run_moved_done(met.taker);
	assert_int_equal(met.side->arrivals.items.count, 3); /* they are copied */
	end(&met);
}

static void in_doubt_already(void **state)
{
	struct intent intent = {
		.to_remote = true, .source_uid = 12, .target_uidvalidity = 7, .target_uidnext = 50};
	struct met met;

	capabilities[REMOTE] = "MOVE";
	connect_sides();
	met.from = add_mailbox("from");
	met.to = add_mailbox("to");
	for (uint32_t uid = 1; uid <= 3; uid++)
		add_pair(met.from, uid, 100 + uid);
	intent.mailbox = met.to->idx;
	assert_int_equal(intents_insert(core.db, &intent), 0);
	will(REMOTE, "SELECT from", SELECTED(7, 104, 50, 3));
	will(REMOTE, "UID MOVE 101,103 to", UNTAGGED("OK [COPYUID 7 101,103 61:62] moved") OK);
	meet(&met, false);
	assert_true(move(&met));
	assert_pairs(met.from, "2=102");
	assert_pairs(met.to, "11=61 13=62");
	assert_intents(met.to, ">12");
	end(&met);
}

/* Moved at the remote, and so in the local store: whoever idles there is told. */
static void clients_are_told(void **state)
{
	struct met met;

	capabilities[LOCAL] = "MOVE";
	connect_sides();
	met.from = add_mailbox("from");
	met.to = add_mailbox("to");
	for (uint32_t uid = 1; uid <= 3; uid++)
		add_pair(met.from, uid, 100 + uid);
	will(LOCAL, "SELECT from", SELECTED(7, 4, 50, 3));
	will(LOCAL, "UID MOVE 1:3 to", UNTAGGED("OK [COPYUID 7 1:3 61:63] moved") OK);
	meet(&met, true);
	assert_true(move(&met));
	expect_events("news:to news:from");
	assert_pairs(met.from, "");
	assert_pairs(met.to, "61=11 62=12 63=13");
	end(&met);
}

/* Which is what cost the connection: it can be copied instead. */
static void the_connection_is_lost(void **state)
{
	static const struct moved_case lost = {.answer = HANG_UP};
	struct met met;

	moved_prepare(&lost, &met.from, &met.to);
	moved_will(&lost);
	meet(&met, false);
	assert_true(run_moved_send(met.taker));
	run_answered(met.taker);
	expect_events("accused:3:remote lost:remote");
	assert_true(met.taker->barrier.lost);
	assert_pairs(met.from, MOVED_NONE);
	assert_intents(met.to, MOVED_DOUBT); /* for the next run */
	end(&met);
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
