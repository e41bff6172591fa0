/* SPDX-License-Identifier: MIT */
/* pass/settle.c, dangling.c and late.c: what became of messages whose APPEND or MOVE was never
 * answered; pairs that an interrupted run left; and copies that arrive after they had been given
 * up. */
#include "tests/unit/engine-fixture.h"

#include "sync/pass/pass-private.h"
#include "sync/pass/pass.h"
#include "sync/state/in-step.h"

#define LOOKS "UID FETCH 50:* (UID INTERNALDATE RFC822.SIZE BODY.PEEK*"

static struct mailbox *box;
static struct run *run;

/* OPEN was answered with what the database has. */
static void begin(void)
{
	connect_sides();
	box = add_mailbox("box");
	run = still_run(box);
	run->local.told.snapshot = box->local.base;
	run->remote.told.snapshot = box->remote.base;
	run->local.told.uidnext = run->remote.told.uidnext = 50;
}

static void end(void)
{
	assert_null(run->end.failure);
	end_run(run);
}

static struct intent doubt(bool to_remote, uint32_t source_uid, const char *id)
{
	struct intent intent = {
		.mailbox = box->idx,
		.to_remote = to_remote,
		.source_uid = source_uid,
		.target_uidvalidity = 7,
		.target_uidnext = 50,
		.identity = identity_of(id),
	};

	assert_int_equal(intents_insert(core.db, &intent), 0);
	return intent;
}

/* A look, and what it comes to: true when another one is due. */
static bool look(const char *said_there)
{
	bool again;

	if (core.remote.session == NULL || client_last_view(side_client(&core.remote)) == NULL)
		will(REMOTE, "SELECT box", SELECTED(7, 50, 50, 3));
	will(REMOTE, LOOKS, said_there);
	assert_true(run_settle_look(run));
	run_answered(run);
	again = run_settle_looked(run);
	assert_int_equal(ev_is_active(&run->settling.pause) != 0, again);
	ev_timer_stop(loop.ev, &run->settling.pause);
	return again;
}

/* ">11" of those that were given up. */
static void assert_late(const char *expected)
{
	_cleanup_free_ struct intent *intents = NULL;
	size_t count = 0;

	assert_int_equal(late_load(core.db, box->idx, &intents, &count), 0);
	assert_intent_list(intents, count, expected);
}

static void nothing_in_doubt(void **state)
{
	begin();
	assert_false(run_settle_look(run));
	assert_false(said("Resuming"));
	end();
}

static void it_arrived(void **state)
{
	begin();
	(void)doubt(true, 11, "a");
	assert_false(look(MESSAGE(50, other, "") MESSAGE(51, a, "") OK));
	assert_pairs(box, "11=51");
	assert_intents(box, "");
	assert_late("");
	assert_true(said("Resuming interrupted sync for box: 1 message(s) in doubt"));
	end();
}

/* Two looks find the same: it is copied anew, and known in case that it arrives yet. */
static void it_did_not(void **state)
{
	begin();
	(void)doubt(true, 11, "a");
	assert_true(look(MESSAGE(50, other, "") OK));
	assert_intents(box, ">11"); /* after a pause */
	assert_false(look(MESSAGE(50, other, "") OK));
	assert_pairs(box, "");
	assert_intents(box, "");
	assert_late(">11");
	end();
}

/* While messages still arrive, it is looked again. */
static void they_arrive_one_by_one(void **state)
{
	begin();
	(void)doubt(true, 11, "a");
	(void)doubt(true, 12, "b");
	(void)doubt(true, 13, "c");
	assert_true(look(OK));
	assert_true(look(MESSAGE(50, a, "") OK));
	assert_true(look(MESSAGE(50, a, "") MESSAGE(51, b, "") OK));
	assert_intents(box, ">13");
	assert_false(look(MESSAGE(50, a, "") MESSAGE(51, b, "") OK));
	assert_pairs(box, "11=50 12=51");
	assert_late(">13");
	end();
}

/* But not for ever. */
static void they_never_end(void **state)
{
	unsigned looks = 0;

	begin();
	for (uint32_t i = 0; i < 30; i++) {
		_cleanup_free_ char *id = xasprintf("%u", i);

		(void)doubt(true, 11 + i, id);
	}
	for (bool again = true; again; looks++) {
		_cleanup_free_ char *one = xasprintf(
			"* 1 FETCH (UID %u INTERNALDATE \"01-Jan-2020 00:00:00 +0000\" RFC822.SIZE "
			"100 BODY[HEADER.FIELDS (MESSAGE-ID)] \"Message-ID: <%u>\")\n" OK,
			50 + looks, looks);

		again = look(one);
	}
	assert_int_equal(looks, 20);
	assert_intents(box, "");
	end();
}

/* Servers count sizes in their own ways; what is exactly the same goes first. */
static void nearly_the_same(void **state)
{
	begin();
	(void)doubt(true, 11, "a");
	assert_true(look(MESSAGE_OF(50, a, "", 107) OK));
	assert_pairs(box, "");
	assert_false(look(MESSAGE_OF(50, a, "", 107) MESSAGE_OF(51, a, "", 106) OK));
	assert_pairs(box, "11=51");
	end();
}

static void the_exact_one_first(void **state)
{
	struct intent intent;

	begin();
	intent = doubt(true, 11, "a");
	intent.source_uid = 12;
	intent.identity.size = 103;
	assert_int_equal(intents_insert(core.db, &intent), 0);
	assert_false(look(MESSAGE_OF(50, a, "", 103) MESSAGE_OF(51, a, "", 100) OK));
	assert_pairs(box, "11=51 12=50");
	end();
}

/* Each of two that are the same takes one. */
static void twice_the_same(void **state)
{
	begin();
	(void)doubt(true, 11, "a");
	(void)doubt(true, 12, "a");
	assert_false(look(MESSAGE(50, a, "") MESSAGE(51, a, "") MESSAGE(52, a, "") OK));
	assert_pairs(box, "11=50 12=51");
	end();
}

/* "50:*" also names the last message, where that is below. */
static void what_was_there_before(void **state)
{
	begin();
	(void)doubt(true, 11, "a");
	assert_true(look(MESSAGE(49, a, "") OK));
	assert_pairs(box, "");
	end();
}

static void it_has_a_pair_already(void **state)
{
	begin();
	add_pair(box, 5, 50);
	(void)doubt(true, 11, "a");
	assert_true(look(MESSAGE(50, a, "") OK));
	assert_pairs(box, "5=50");
	assert_intents(box, ">11");
	end();
}

/* That is another mailbox, which holds nothing of ours. */
static void another_uidvalidity(void **state)
{
	struct intent intent = {
		.to_remote = true, .source_uid = 11, .target_uidvalidity = 6, .target_uidnext = 50};

	begin();
	intent.mailbox = box->idx;
	assert_int_equal(intents_insert(core.db, &intent), 0);
	assert_false(run_settle_look(run));
	assert_intents(box, "");
	assert_late("");
	end();
}

/* Both ways in one flight. */
static void the_other_way(void **state)
{
	begin();
	(void)doubt(false, 101, "a");
	(void)doubt(true, 11, "a");
	will(LOCAL, "SELECT box", SELECTED(7, 50, 50, 3));
	will(LOCAL, LOOKS, MESSAGE(60, a, "") OK);
	assert_false(look(MESSAGE(70, a, "") OK));
	assert_pairs(box, "11=70 60=101");
	assert_intents(box, "");
	end();
}

/* The server said that it took it: whatever it made of it, it is there, or gone. */
static void taken_and_changed(void **state)
{
	const struct item item = {.uid = 11, .message_id = "<a>"};
	struct quarantine *rows;
	size_t count;

	begin();
	(void)doubt(true, 11, "a");
	assert_int_equal(run_quarantine_doubt(&run->local, &item), 0);
	assert_false(look(MESSAGE_OF(50, a, "", 500) OK));
	assert_pairs(box, "11=50");
	assert_int_equal(quarantine_load(core.db, box->idx, &rows, &count), 0);
	assert_int_equal(count, 0);
	quarantine_free(rows, count);
	end();
}

static void taken_and_not_recognised(void **state)
{
	const struct item item = {.uid = 11, .message_id = "<a>"};

	begin();
	(void)doubt(true, 11, "a");
	assert_int_equal(run_quarantine_doubt(&run->local, &item), 0);
	assert_false(said("took the message"));
	assert_true(look(OK));
	assert_false(look(OK));
	assert_intents(box, "");
	assert_late(""); /* it is not copied anew */
	assert_true(seqset_contains(&run->local.left_out.alone, 11));
	assert_true(said("the server took the message with UID 11 of the local side"));
	end();
}

static void the_connection_is_lost(void **state)
{
	begin();
	(void)doubt(true, 11, "a");
	will(REMOTE, "SELECT box", SELECTED(7, 50, 50, 3));
	will(REMOTE, LOOKS, HANG_UP);
	assert_true(run_settle_look(run));
	run_answered(run);
	expect_events("accused:1:remote lost:remote");
	assert_true(run->barrier.lost);
	assert_intents(box, ">11");
	end();
}

/* --- Pairs that an interrupted run left --- */

static void pairs_beyond_uidnext(void **state)
{
	const struct flags *seen;

	begin();
	add_pair(box, 1, 10);
	add_pair(box, 11, 51);
	add_pair(box, 52, 12);
	add_pair(box, 53, 13);
	run->mailbox->local.base.uidnext = 52;
	seen = flags_intern(core.flags, &(struct slice){"\\Seen", 5}, 1);
	assert_true(changes_add(&run->local.told.changes, 52, seen)); /* OPEN has told */
	will(LOCAL, "SELECT box", SELECTED(7, 54, 50, 3));
	will(LOCAL, "UID FETCH 11,53 (UID FLAGS)", UNTAGGED("1 FETCH (UID 11 FLAGS (\\Seen))") OK);
	will(REMOTE, "SELECT box", SELECTED(7, 52, 50, 3));
	will(REMOTE, "UID FETCH 12:13,51 (UID FLAGS)",
		UNTAGGED("1 FETCH (UID 12 FLAGS ())") UNTAGGED("2 FETCH (UID 13 FLAGS ())")
			UNTAGGED("3 FETCH (UID 51 FLAGS ())") OK);
	assert_true(run_dangling_ask(run));
	run_answered(run);
	run_dangling_asked(run);
	assert_ptr_equal(changes_find(&run->local.told.changes, 11), seen);
	assert_non_null(changes_find(&run->remote.told.changes, 13));
	/* What did not answer is gone, as far as is known. */
	assert_true(seqset_contains(&run->local.losses.gone, 53));
	assert_true(seqset_contains(&run->local.losses.absent, 53));
	assert_int_equal(seqset_count(&run->local.losses.gone), 1);
	assert_true(seqset_is_empty(&run->remote.losses.gone));
	assert_true(said("Resuming interrupted sync for box"));
	end();
}

/* Up to there they are in step, although UIDNEXT stays behind. */
static void pairs_in_step(void **state)
{
	const struct mailbox_state behind = {.uidvalidity = 7, .uidnext = 40, .highestmodseq = 60};
	struct in_step reached;

	begin();
	add_pair(box, 55, 55);
	assert_int_equal(
		in_step_set(core.db, box->idx, &(struct in_step){.local = 60, .remote = 56}), 0);
	run_in_step_load(run);
	assert_int_equal(run_in_step_uidnext(&run->local), 60);
	assert_int_equal(run_in_step_uidnext(&run->remote), 56);
	assert_false(run_dangling_ask(run));
	/* Without mod-sequences no flags are known. */
	box->local.base.highestmodseq = 0;
	will(LOCAL, "SELECT box", SELECTED(7, 56, 50, 3));
	will(LOCAL, "UID FETCH 55 (UID FLAGS)", OK);
	will(REMOTE, "SELECT box", SELECTED(7, 56, 50, 3));
	will(REMOTE, "UID FETCH 55 (UID FLAGS)", OK);
	assert_true(run_dangling_ask(run));
	run_answered(run);
	/* It is written down where UIDNEXT is behind what OPEN told. */
	reached = run_in_step_reached(run, &box->remote.base, &behind);
	assert_true(reached.local == 50 && reached.remote == 50);
	reached = run_in_step_reached(run, &box->remote.base, &box->remote.base);
	assert_true(reached.local == 0 && reached.remote == 0);
	reached = run_in_step_reached(run, &box->local.base, &behind);
	assert_true(reached.local == 0 && reached.remote == 0);
	end();
}

/* --- What arrives late --- */

/* A message that is new on the remote side, in this pass. */
static void arrive(uint32_t uid, const char *id)
{
	struct items *items = &run->remote.arrivals.items;

	items->list = xreallocarray(items->list, items->count + 1, sizeof(*items->list));
	items->size = items->count + 1;
	items->list[items->count++] = (struct item){.uid = uid, .identity = identity_of(id)};
}

static void give_up(uint32_t source_uid, const char *id)
{
	const struct intent intent = doubt(true, source_uid, id);

	assert_int_equal(intents_lapse(core.db, &intent), 0);
}

static void late_copies(void **state)
{
	begin();
	add_pair(box, 11, 51); /* copied anew */
	give_up(11, "a");
	give_up(12, "b"); /* about to be */
	run->local.arrivals.items.list = xcalloc(1, sizeof(struct item));
	run->local.arrivals.items.count = run->local.arrivals.items.size = 1;
	run->local.arrivals.items.list[0] = (struct item){.uid = 12, .identity = identity_of("b")};
	arrive(52, "new");
	arrive(53, "b");
	arrive(54, "a");
	arrive(55, "a"); /* of each at most one */
	run_late_find(run);
	assert_int_equal(run->remote.arrivals.items.count, 2);
	assert_int_equal(run->remote.arrivals.items.list[0].uid, 52);
	assert_int_equal(run->remote.arrivals.items.list[1].uid, 55);
	assert_int_equal(run->local.arrivals.items.count, 1);
	assert_int_equal(seqset_count(&run->remote.losses.late), 2);
	assert_true(seqset_contains(&run->remote.losses.late, 53));
	assert_true(seqset_contains(&run->remote.losses.late, 54));
	assert_true(said("2 message(s) of an interrupted copy arrived after"));
	assert_late(">11 >12");
	assert_int_equal(run_late_write(run), 0);
	assert_late("");
	end();
}

/* Only what was found is forgotten. */
static void not_late(void **state)
{
	struct intent other;

	begin();
	add_pair(box, 11, 51);
	give_up(11, "a");
	add_pair(box, 12, 61);
	give_up(12, "gone");
	(void)seqset_add(
		&run->remote.losses.gone, 61); /* moved away and back: the only one, perhaps */
	give_up(13, "nowhere"); /* neither paired nor about to be copied */
	add_pair(box, 14, 62);
	other = doubt(true, 14, "void");
	other.target_uidvalidity = 6;
	assert_int_equal(intents_drop(core.db, &other), 0);
	assert_int_equal(intents_insert(core.db, &other), 0);
	assert_int_equal(intents_lapse(core.db, &other), 0);
	arrive(49, "a"); /* it was there before */
	arrive(52, "gone");
	arrive(53, "nowhere");
	arrive(54, "void");
	arrive(55, "a");
	run->remote.arrivals.items.list[4].identity.size++;
	run_late_find(run);
	assert_int_equal(run->remote.arrivals.items.count, 5);
	assert_true(seqset_is_empty(&run->remote.losses.late));
	assert_int_equal(run_late_write(run), 0);
	assert_late(">11 >12 >13 >14");
	/* Where a side went back, nobody knows which message a UID was. */
	arrive(56, "a");
	run->local.told.went_back = true;
	run_late_find(run);
	assert_int_equal(run->remote.arrivals.items.count, 6);
	run->local.told.went_back = false;
	run_late_find(run);
	assert_int_equal(run->remote.arrivals.items.count, 5);
	end();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		BOTH(nothing_in_doubt),
		BOTH(it_arrived),
		BOTH(it_did_not),
		BOTH(they_arrive_one_by_one),
		BOTH(they_never_end),
		BOTH(nearly_the_same),
		BOTH(the_exact_one_first),
		BOTH(twice_the_same),
		BOTH(what_was_there_before),
		BOTH(it_has_a_pair_already),
		BOTH(another_uidvalidity),
		BOTH(the_other_way),
		BOTH(taken_and_changed),
		BOTH(taken_and_not_recognised),
		BOTH(the_connection_is_lost),
		BOTH(pairs_beyond_uidnext),
		BOTH(pairs_in_step),
		BOTH(late_copies),
		BOTH(not_late),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
