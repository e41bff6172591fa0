/* SPDX-License-Identifier: MIT */
/* run/expunge.c: by which evidence a message is expunged, what is written down before, and that its
 * pair stays when the server refuses, or does not report that it is gone. */
#include "tests/unit/engine-fixture.h"

#include "sync/pass/pass-private.h"
#include "sync/pass/pass.h"
#include "sync/state/losses.h"
#include "sync/state/removals.h"

/* --- By itself: the evidence --- */

/* A run whose plan wants all pairs of these local UIDs to be gone. */
static struct run *plan_to_unmap(struct mailbox *mailbox, uint32_t count)
{
	struct run *run = still_run(mailbox);

	run->pass.plan.unmap = xcalloc(count, sizeof(*run->pass.plan.unmap));
	run->pass.plan.unmap_count = count;
	run->pass.has_plan = true;
	for (uint32_t i = 0; i < count; i++) {
		run->pass.plan.unmap[i] = (struct uid_pair){.local = 1 + i, .remote = 101 + i};
		add_pair(mailbox, 1 + i, 101 + i);
	}
	return run;
}

static void assert_due(const struct run_side *side, enum evidence evidence, uint32_t uid)
{
	for (size_t i = 0; i < EVIDENCE_COUNT; i++) {
		if (i == evidence)
			assert_true(seqset_contains(&side->losses.due[i], uid));
		else
			assert_false(seqset_contains(&side->losses.due[i], uid));
	}
}

static uint64_t losses(const struct mailbox *mailbox, bool remote)
{
	struct losses found;

	assert_int_equal(losses_of_mailbox(core.db, mailbox->idx, remote, &found), 0);
	return found.recent;
}

static void each_evidence(void **state)
{
	struct mailbox *box = add_mailbox("box");
	struct run *run = plan_to_unmap(box, 5);

	(void)seqset_add_range(&run->local.losses.gone, 1, 4);
	(void)seqset_add_range(&run->local.told.vanished, 1, 2);
	(void)seqset_add(&run->removals.uids, 2);
	(void)seqset_add(&run->local.losses.absent, 3);
	(void)seqset_add(&run->local.losses.remembered, 4);
	(void)seqset_add(&run->remote.losses.gone, 105);
	(void)seqset_add(&run->remote.told.vanished, 105);
	run->local.losses.counted = 2; /* as the brake counts: not the one of the client … */
	run->remote.losses.counted = 1;
	assert_true(run_expunge_decide(run));
	assert_due(&run->remote, EVIDENCE_VANISHED, 101);
	assert_due(&run->remote, EVIDENCE_CLIENT, 102);
	assert_due(&run->remote, EVIDENCE_ABSENT, 103);
	assert_due(&run->remote, EVIDENCE_REMEMBERED, 104);
	assert_due(&run->local, EVIDENCE_VANISHED, 5);
	assert_true(run->pass.decided);
	assert_echoes(box, "local 5=105 remote 101=1 remote 102=2 remote 103=3 remote 104=4");
	assert_int_equal(losses(box, false), 2);
	assert_int_equal(losses(box, true), 1);
	assert_pairs(box, "1=101 2=102 3=103 4=104 5=105"); /* until they are gone */
	end_run(run);
}

/* A client of the local store has not expunged what vanished at the remote. */
static void of_the_other_side(void **state)
{
	struct mailbox *box = add_mailbox("box");
	struct run *run = plan_to_unmap(box, 1);

	(void)seqset_add(&run->remote.losses.gone, 101);
	(void)seqset_add(&run->remote.told.vanished, 101);
	(void)seqset_add(&run->removals.uids, 101);
	assert_true(run_expunge_decide(run));
	assert_due(&run->local, EVIDENCE_VANISHED, 1);
	end_run(run);
}

static void gone_on_both_sides(void **state)
{
	struct mailbox *box = add_mailbox("box");
	struct run *run = plan_to_unmap(box, 1);

	(void)seqset_add(&run->local.losses.gone, 1);
	(void)seqset_add(&run->remote.losses.gone, 101);
	run->local.losses.counted = 1;
	assert_true(run_expunge_decide(run));
	assert_echoes(box, "");
	assert_int_equal(losses(box, false), 0);
	assert_false(run_expunge(&run->local) || run_expunge(&run->remote)); /* nothing is sent */
	end_run(run);
}

/* What was decided before is counted once. */
static void decided_again(void **state)
{
	struct mailbox *box = add_mailbox("box");
	struct run *run = plan_to_unmap(box, 2);
	const struct echo echo = {.remote = true, .uid = 101, .other_uid = 1};

	assert_int_equal(echoes_insert(core.db, box->idx, &echo), 1);
	(void)seqset_add_range(&run->local.losses.gone, 1, 2);
	(void)seqset_add_range(&run->local.told.vanished, 1, 2);
	run->local.losses.counted = 2;
	assert_true(run_expunge_decide(run));
	assert_int_equal(losses(box, false), 1);
	end_run(run);
}

/* It has no pair, and so nobody loses anything. */
static void a_copy_that_was_late(void **state)
{
	struct mailbox *box;
	struct run *run;

	connect_sides();
	box = add_mailbox("box");
	run = plan_to_unmap(box, 0);
	(void)seqset_add(&run->remote.losses.late, 60);
	assert_true(run_expunge_decide(run));
	assert_due(&run->remote, EVIDENCE_COPY, 60);
	assert_echoes(box, "");
	will(REMOTE, "SELECT box", SELECTED(7, 61, 50, 3));
	will(REMOTE, "UID STORE 60 +FLAGS.SILENT (\\Deleted)", OK);
	will(REMOTE, "UID EXPUNGE 60", "NO not that");
	assert_true(run_expunge(&run->remote));
	run_answered(run);
	assert_true(run->pass.reread); /* it is new again for the next run */
	assert_int_equal(run->remote.losses.refused.count, 0);
	end_run(run);
}

/* --- In a run --- */

#define STORES(set) "UID STORE " set " +FLAGS.SILENT (\\Deleted)"
#define EXPUNGES(set) "UID EXPUNGE " set
#define STAYS SELECTED(7, 50, 60, 3)
#define REMOTE_STAYS SELECTED(7, 150, 60, 3)

static struct mailbox *box;

/* The first pass, up to what is sent: all of these have vanished from the local side. */
static void vanish(const char *set, uint32_t count)
{
	_cleanup_free_ char *gone = xasprintf(UNTAGGED("VANISHED (EARLIER) %s") STAYS, set);
	_cleanup_free_ char *confirm = xasprintf("UID FETCH %s (UID)", set);

	connect_sides();
	box = add_mailbox("box");
	set_uidnext(box, true, 150);
	for (uint32_t uid = 1; uid <= count; uid++)
		add_pair(box, uid, 100 + uid);
	will(LOCAL, "SELECT box (QRESYNC (7 50))", gone);
	will(LOCAL, confirm, OK);
	will(REMOTE, "SELECT box (QRESYNC (7 50))", REMOTE_STAYS);
}

/* A pass that finds nothing. */
static void pass(const char *sought)
{
	will(LOCAL, "SELECT box (QRESYNC (7 60))", STAYS);
	if (sought != NULL)
		will(LOCAL, sought, OK);
	will(REMOTE, "SELECT box (QRESYNC (7 60))", REMOTE_STAYS);
}

static void run_on(const char *events)
{
	if (runs.list == NULL)
		(void)begin_run(box);
	RUN_UNTIL(runs.count == 0);
	expect_events(events);
}

/* "EXPUNGE 102 103" */
static void assert_rows(const char *expected)
{
	_cleanup_free_ char *text = NULL;
	struct quarantine *rows = NULL;
	size_t count = 0;
	struct buf out;

	assert_int_equal(quarantine_load(core.db, box->idx, &rows, &count), 0);
	buf_init(&out, 1 << 20);
	for (size_t i = 0; i < count; i++)
		(void)buf_printf(&out, "%s%s %s %u", i > 0 ? ", " : "",
			rows[i].remote ? "remote" : "local", quarantine_kind_name(rows[i].kind),
			rows[i].uid);
	quarantine_free(rows, count);
	text = buf_steal(&out);
	assert_string_equal(text, expected);
}

static void one_message(void **state)
{
	vanish("1", 2);
	will(REMOTE, STORES("101"), OK);
	will(REMOTE, EXPUNGES("101"), NO_ANSWER);
	(void)begin_run(box);
	RUN_UNTIL(servers[REMOTE].held != NULL);
	/* Written down before the command leaves. */
	assert_echoes(box, "remote 101=1");
	assert_pairs(box, "1=101 2=102");
	assert_int_equal(losses(box, false), 1);
	answer(REMOTE, UNTAGGED("VANISHED 101") OK);
	/* The next pass looks for the pair of what was expunged once more. */
	pass("UID FETCH 1 (UID)");
	run_on("done:box");
	assert_pairs(box, "2=102");
	assert_echoes(box, "");
	assert_rows("");
	assert_int_equal(box->remote.base.highestmodseq, 60);
}

/* Of what the server took back, nothing is deleted. */
static void it_is_there_after_all(void **state)
{
	connect_sides();
	box = add_mailbox("box");
	set_uidnext(box, true, 150);
	add_pair(box, 1, 101);
	will(LOCAL, "SELECT box (QRESYNC (7 50))", UNTAGGED("VANISHED (EARLIER) 1") STAYS);
	will(LOCAL, "UID FETCH 1 (UID)", UNTAGGED("1 FETCH (UID 1)") OK);
	will(REMOTE, "SELECT box (QRESYNC (7 50))", REMOTE_STAYS);
	run_on("done:box");
	assert_pairs(box, "1=101");
	assert_echoes(box, "");
	assert_true(said("reported 1 message(s) as gone that are there"));
}

/* It answers OK and reports nothing: the pair stays, and it is done once more; then it is as good
 * as refused. */
static void not_reported(void **state)
{
	vanish("1", 2);
	will(REMOTE, STORES("101"), OK);
	will(REMOTE, EXPUNGES("101"), OK);
	/* The changes are told once more. */
	will(LOCAL, "SELECT box (QRESYNC (7 50))", UNTAGGED("VANISHED (EARLIER) 1") STAYS);
	will(LOCAL, "UID FETCH 1 (UID)", OK);
	will(REMOTE, "SELECT box (QRESYNC (7 50))", REMOTE_STAYS);
	will(REMOTE, STORES("101"), OK);
	will(REMOTE, EXPUNGES("101"), OK);
	pass(NULL);
	run_on("done:box");
	assert_pairs(box, "1=101 2=102");
	assert_rows("remote EXPUNGE 101");
	assert_true(said("it answered OK, and the message is still there"));
	assert_int_equal(losses(box, false), 1);
}

static void reported_the_second_time(void **state)
{
	vanish("1", 2);
	will(REMOTE, STORES("101"), OK);
	will(REMOTE, EXPUNGES("101"), OK);
	will(LOCAL, "SELECT box (QRESYNC (7 50))", UNTAGGED("VANISHED (EARLIER) 1") STAYS);
	will(LOCAL, "UID FETCH 1 (UID)", OK);
	will(REMOTE, "SELECT box (QRESYNC (7 50))", REMOTE_STAYS);
	will(REMOTE, STORES("101"), OK);
	will(REMOTE, EXPUNGES("101"), UNTAGGED("VANISHED 101") OK);
	pass("UID FETCH 1 (UID)");
	run_on("done:box");
	assert_pairs(box, "2=102");
	assert_rows("");
}

static void refused(void **state)
{
	vanish("1", 2);
	will(REMOTE, STORES("101"), "NO not that");
	will(REMOTE, EXPUNGES("101"), "NO not that");
	pass(NULL);
	run_on("done:box");
	assert_pairs(box, "1=101 2=102");
	assert_rows("remote EXPUNGE 101");
	assert_true(said("does not expunge the message with UID 101 (NO: not that)"));
	assert_int_equal(box->local.base.highestmodseq, 60); /* the row remembers it */
}

/* Which one of several it is about is found out in halves. */
static void one_of_several_is_refused(void **state)
{
	vanish("1:3", 3);
	will(REMOTE, STORES("101:103"), OK);
	will(REMOTE, EXPUNGES("101:103"), "NO not all of them");
	will(REMOTE, STORES("101"), OK);
	will(REMOTE, EXPUNGES("101"), UNTAGGED("VANISHED 101") OK);
	will(REMOTE, STORES("102:103"), OK);
	will(REMOTE, EXPUNGES("102:103"), "NO not all of them");
	will(REMOTE, STORES("102"), OK);
	will(REMOTE, EXPUNGES("102"), "NO not that");
	will(REMOTE, STORES("103"), OK);
	will(REMOTE, EXPUNGES("103"), UNTAGGED("VANISHED 103") OK);
	pass("UID FETCH 1,3 (UID)");
	run_on("done:box");
	assert_pairs(box, "2=102");
	assert_rows("remote EXPUNGE 102");
}

/* Nothing is to be found out where the refusal is about more than a message. */
static void all_are_refused(void **state)
{
	vanish("1:3", 3);
	will(REMOTE, STORES("101:103"), "NO [NOPERM] you may not");
	will(REMOTE, EXPUNGES("101:103"), "NO [NOPERM] you may not");
	pass(NULL);
	run_on("done:box");
	assert_pairs(box, "1=101 2=102 3=103");
	assert_rows("remote EXPUNGE 101, remote EXPUNGE 102, remote EXPUNGE 103");
}

/* Some are reported before the refusal. */
static void some_went_before_the_refusal(void **state)
{
	vanish("1:2", 2);
	will(REMOTE, STORES("101:102"), OK);
	will(REMOTE, EXPUNGES("101:102"), UNTAGGED("VANISHED 101") "NO not that");
	pass("UID FETCH 1 (UID)");
	run_on("done:box");
	assert_pairs(box, "2=102");
	assert_rows("remote EXPUNGE 102");
}

static void the_connection_is_lost(void **state)
{
	vanish("1", 2);
	will(REMOTE, STORES("101"), OK);
	will(REMOTE, EXPUNGES("101"), HANG_UP);
	run_on("accused:4:remote lost:remote cut:box");
	assert_pairs(box, "1=101 2=102");
	assert_echoes(box, "remote 101=1"); /* that it is gone says nothing */
	assert_rows("");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		BOTH(each_evidence),
		BOTH(of_the_other_side),
		BOTH(gone_on_both_sides),
		BOTH(decided_again),
		BOTH(a_copy_that_was_late),
		BOTH(one_message),
		BOTH(it_is_there_after_all),
		BOTH(not_reported),
		BOTH(reported_the_second_time),
		BOTH(refused),
		BOTH(one_of_several_is_refused),
		BOTH(all_are_refused),
		BOTH(some_went_before_the_refusal),
		BOTH(the_connection_is_lost),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
