/* SPDX-License-Identifier: MIT */
/* run/apply.c, store.c and copy.c: flags go to the other side, new messages too, and what the
 * database says of both sides afterwards, whatever was refused or left. */
#include "tests/unit/engine-fixture.h"

#include "sync/pass/pass-private.h"
#include "sync/pass/pass.h"
#include "sync/state/in-step.h"

#define CHANGED(uid, flags) UNTAGGED("1 FETCH (UID " #uid " FLAGS (" flags ") MODSEQ (55))")
#define STAYS SELECTED(7, 50, 60, 3)
#define REMOTE_STAYS SELECTED(7, 150, 60, 3)
#define STORES(uids, flags) "UID STORE " uids " (UNCHANGEDSINCE 60) FLAGS.SILENT (" flags ")"

static struct mailbox *box;

static void begin(uint32_t pairs)
{
	connect_sides();
	box = add_mailbox("box");
	set_uidnext(box, true, 150);
	for (uint32_t uid = 1; uid <= pairs; uid++)
		add_pair(box, uid, 100 + uid);
}

/* A look since that mod-sequence. */
static void will_open(int modseq, const char *local, const char *remote)
{
	_cleanup_free_ char *command = xasprintf("SELECT box (QRESYNC (7 %d))", modseq);
	_cleanup_free_ char *local_says = xasprintf("%s" STAYS, local);
	_cleanup_free_ char *remote_says = xasprintf("%s" REMOTE_STAYS, remote);

	will(LOCAL, command, local_says);
	will(REMOTE, command, remote_says);
}

static void run_on(const char *events)
{
	(void)begin_run(box);
	RUN_UNTIL(runs.count == 0);
	expect_events(events);
}

/* "remote STORE 101" */
static void assert_rows(const char *expected)
{
	_cleanup_free_ char *text = NULL;
	struct quarantine *rows;
	struct buf out;
	size_t count;

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

/* "50 60": UIDNEXT and HIGHESTMODSEQ, as the database has them, and as they are known. */
static void assert_state(bool remote, uint32_t uidnext, uint64_t highestmodseq)
{
	struct mailbox_row *rows;
	size_t count;

	assert_int_equal(mailboxes_load(core.db, &rows, &count), 0);
	assert_int_equal(count, 1);
	for (int i = 0; i < 2; i++) {
		const struct mailbox_state *state = remote ? &rows[0].remote : &rows[0].local;

		if (i == 1)
			state = &mailbox_side(box, remote)->base;
		assert_int_equal(state->uidvalidity, 7);
		assert_int_equal(state->uidnext, uidnext);
		assert_int_equal(state->highestmodseq, highestmodseq);
	}
	mailbox_rows_free(rows, count);
}

/* --- Flags --- */

static void flags_go_over(void **state)
{
	begin(3);
	will_open(50, CHANGED(1, "\\Seen") CHANGED(2, "\\Seen"), CHANGED(103, "\\Flagged a"));
	will(REMOTE, STORES("101:102", "\\Seen"), OK);
	will(LOCAL, STORES("3", "\\Flagged a"), OK);
	/* The echoes of that are no changes. */
	will_open(60, CHANGED(3, "\\Flagged a"), CHANGED(101, "\\Seen") CHANGED(102, "\\Seen"));
	run_on("news:box done:box");
	assert_rows("");
	assert_state(false, 50, 60);
	assert_state(true, 150, 60);
	assert_true(said("remote(box): Updated flags of 2 UID(s) 101:102: (\\Seen)"));
}

/* Changed on both sides: what is not known to be one side's alone is the union. */
static void a_conflict(void **state)
{
	begin(1);
	will_open(50, CHANGED(1, "\\Seen"), CHANGED(101, "\\Flagged"));
	will(LOCAL, STORES("1", "\\Flagged \\Seen"), OK);
	will(REMOTE, STORES("101", "\\Flagged \\Seen"), OK);
	will_open(60, "", "");
	run_on("news:box done:box");
	assert_true(
		said("Conflicting flag update in box for local UID 1 (\\Seen) and remote UID 101 "
		     "(\\Flagged). Setting both to the union (\\Flagged \\Seen)"));
}

/* The mod-sequences stay, so that both changes come again. */
static void changed_meanwhile(void **state)
{
	begin(1);
	will_open(50, CHANGED(1, "\\Seen"), "");
	will(REMOTE, STORES("101", "\\Seen"), "OK [MODIFIED 101] it was changed");
	will_open(50, CHANGED(1, "\\Seen"), CHANGED(101, "\\Seen"));
	run_on("done:box");
	assert_state(false, 50, 60);
	assert_rows("");
}

static void flags_are_refused(void **state)
{
	begin(1);
	will_open(50, CHANGED(1, "\\Seen"), "");
	will(REMOTE, STORES("101", "\\Seen"), "NO never");
	will_open(60, "", "");
	run_on("done:box");
	assert_rows("remote STORE 101");
	assert_true(
		said("the server does not take the flags of the message with UID 101 (NO: never)"));
	assert_state(false, 50, 60);
}

/* Of one message among several. */
static void of_one_message(void **state)
{
	begin(2);
	will_open(50, CHANGED(1, "\\Seen") CHANGED(2, "\\Seen"), "");
	will(REMOTE, STORES("101:102", "\\Seen"), "NO not all");
	will(REMOTE, STORES("101", "\\Seen"), OK);
	will(REMOTE, STORES("102", "\\Seen"), "NO not that");
	will_open(60, "", "");
	run_on("done:box");
	assert_rows("remote STORE 102");
}

/* One of the keywords that are only allowed by "\*"; the others are stored all the same. */
static void one_keyword(void **state)
{
	begin(1);
	will_open(
		50, CHANGED(1, "\\Seen good bad"), UNTAGGED("OK [PERMANENTFLAGS (\\Seen \\*)] so"));
	will(REMOTE, STORES("101", "\\Seen bad good"), "NO what is that?");
	will(REMOTE, STORES("101", "\\Seen"), OK);
	will(REMOTE, "UID STORE 101 +FLAGS.SILENT (bad)", "NO not that");
	will(REMOTE, "UID STORE 101 +FLAGS.SILENT (good)", OK);
	will_open(60, "", CHANGED(101, "\\Seen good"));
	run_on("done:box");
	assert_rows("");
	assert_true(said("remote(box): WARNING: the server cannot store these flags: bad"));
}

/* The mailbox as a whole: nothing is to be found out. */
static void all_are_refused(void **state)
{
	begin(2);
	will_open(50, CHANGED(1, "\\Seen") CHANGED(2, "\\Seen"), "");
	will(REMOTE, STORES("101:102", "\\Seen"), "NO [NOPERM] you may not");
	will_open(60, "", "");
	run_on("done:box");
	assert_rows("remote STORE 101, remote STORE 102");
}

/* --- New messages --- */

/* One that is new in the local store, and what the remote answers to it. */
static void a_new_message(const char *appended)
{
	begin(0);
	will(LOCAL, "SELECT box (QRESYNC (7 50))", SELECTED(7, 51, 60, 1));
	will(REMOTE, "SELECT box (QRESYNC (7 50))", REMOTE_STAYS);
	will(LOCAL, "UID FETCH 50 (UID FLAGS *)", MESSAGE_OF(50, a, "\\Seen", 6) OK);
	will(LOCAL, "UID FETCH 50 (*BODY.PEEK[])", "* 1 FETCH (UID 50 BODY[] {6}\n|text\n|)\n" OK);
	will(REMOTE, "APPEND box (\\Seen) \"01-Jan-2020 00:00:00 +0000\" {6+}\r\ntext\r\n",
		appended);
}

static void it_is_appended(void **state)
{
	a_new_message("OK [APPENDUID 7 150] there");
	will(LOCAL, "SELECT box (QRESYNC (7 60))", SELECTED(7, 51, 60, 1));
	will(REMOTE, "SELECT box (QRESYNC (7 60))", SELECTED(7, 151, 60, 1));
	run_on("done:box");
	assert_pairs(box, "50=150");
	assert_intents(box, "");
	assert_state(false, 51, 60);
	assert_state(true, 151, 60);
}

/* By itself; the mailbox goes on. */
static void it_is_refused(void **state)
{
	a_new_message("NO it smells");
	/* The message matters more than its keywords, and all that may be left out of it. */
	run_on("done:box");
	assert_pairs(box, "");
	assert_intents(box, "");
	assert_rows("local APPEND 50");
	assert_state(false, 51, 60);
}

/* Nothing is remembered of it: UIDNEXT stays before it. */
static void there_is_no_room(void **state)
{
	a_new_message("NO [OVERQUOTA] full");
	run_on("stopped:box");
	assert_pairs(box, "");
	assert_rows("");
	assert_state(false, 50, 60);
	assert_true(box->remote.refusals == 1);
	assert_true(said("the remote server refused messages (NO: full)"));
}

/* Written down before it leaves. */
static void the_connection_is_lost(void **state)
{
	a_new_message(HANG_UP);
	run_on("accused:2:local lost:remote cut:box");
	assert_pairs(box, "");
	assert_intents(box, ">50");
	assert_state(false, 50, 50);
}

/* --- What COMMIT writes --- */

static struct run *still;

static void begin_commit(void)
{
	begin(0);
	still = still_run(box);
	still->local.told.snapshot = box->local.base;
	still->remote.told.snapshot = box->remote.base;
	still->local.told.snapshot.uidnext = still->local.told.uidnext = 60;
	still->local.told.snapshot.highestmodseq = still->remote.told.snapshot.highestmodseq = 70;
	still->remote.told.uidnext = 150;
}

static void commit(uint32_t uidnext, uint64_t highestmodseq)
{
	assert_true(run_commit(still));
	assert_state(false, uidnext, highestmodseq);
	end_run(still);
}

static void all_is_reached(void **state)
{
	begin_commit();
	commit(60, 70);
	assert_state(true, 150, 70);
}

static void to_be_read_again(void **state)
{
	begin_commit();
	still->pass.reread = true;
	commit(60, 50);
	assert_state(true, 150, 50);
}

static void one_is_left(void **state)
{
	struct in_step in_step;

	begin_commit();
	still->local.copier.lowest_left = 55;
	commit(55, 70);
	/* The pairs beyond it are in step. */
	assert_int_equal(in_step_load(core.db, box->idx, &in_step), 0);
	assert_int_equal(in_step.local, 60);
	assert_int_equal(in_step.remote, 150);
}

static void one_is_refused_and_not_remembered(void **state)
{
	begin_commit();
	(void)seqset_add(&still->local.left_out.refused, 51);
	(void)seqset_add(&still->local.left_out.quarantined, 51); /* that has a row */
	(void)seqset_add(&still->local.left_out.refused, 57);
	commit(57, 70);
}

static void one_is_withheld(void **state)
{
	begin_commit();
	still->local.left_out.lowest_withheld = 58;
	still->local.moves.lowest = 56;
	commit(56, 70);
}

/* What could not be expunged is to be found again as new. */
static void a_late_copy_stays(void **state)
{
	begin_commit();
	(void)seqset_add(&still->local.losses.late, 54);
	commit(60, 70);
	still = still_run(box);
	still->local.told.snapshot = box->local.base;
	still->remote.told.snapshot = box->remote.base;
	(void)seqset_add(&still->local.losses.late, 54);
	still->pass.reread = true;
	commit(54, 70);
}

/* But for that of which the other one was not expunged. */
static void pairs_go(void **state)
{
	begin_commit();
	add_pair(box, 1, 101);
	add_pair(box, 2, 102);
	still->pass.plan.unmap = xcalloc(2, sizeof(*still->pass.plan.unmap));
	still->pass.plan.unmap_count = 2;
	still->pass.has_plan = true;
	still->pass.plan.unmap[0] = (struct uid_pair){.local = 1, .remote = 101};
	still->pass.plan.unmap[1] = (struct uid_pair){.local = 2, .remote = 102};
	refusals_add(&still->remote.left_out.refusals, QUARANTINE_EXPUNGE,
		&(struct seqset){.ranges = (struct seqrange[]){{102, 102}}, .count = 1}, "NO");
	commit(60, 70);
	assert_pairs(box, "2=102");
	assert_rows("remote EXPUNGE 102");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		BOTH(flags_go_over),
		BOTH(a_conflict),
		BOTH(changed_meanwhile),
		BOTH(flags_are_refused),
		BOTH(of_one_message),
		BOTH(one_keyword),
		BOTH(all_are_refused),
		BOTH(it_is_appended),
		BOTH(it_is_refused),
		BOTH(there_is_no_room),
		BOTH(the_connection_is_lost),
		BOTH(all_is_reached),
		BOTH(to_be_read_again),
		BOTH(one_is_left),
		BOTH(one_is_refused_and_not_remembered),
		BOTH(one_is_withheld),
		BOTH(a_late_copy_stays),
		BOTH(pairs_go),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
