/* SPDX-License-Identifier: MIT */
/* carry/moves-copied.c: what was copied at a remote that names its messages (EMAILID) is copied in
 * the local store; and echo.c: what this program has expunged is no reason to expunge its pair. */
#include "tests/unit/engine-fixture.h"

#include "sync/carry/moves-wait.h"
#include "sync/carry/moves.h"
#include "sync/pass/pass-private.h"
#include "sync/pass/pass.h"
#include "sync/state/email-ids.h"

static struct mailbox *from, *box;
static struct run *run;

static const struct email_id email_a = {.id = "ma"}, email_b = {.id = "mb"};

/* The messages 101 and 102 of "from" are known by their names, and 60 and 61 are new in "box". */
static void begin(void)
{
	capabilities[REMOTE] = "OBJECTID";
	connect_sides();
	from = add_mailbox("from");
	box = add_mailbox("box");
	add_pair(from, 1, 101);
	add_pair(from, 2, 102);
	assert_int_equal(email_ids_insert(core.db, from->idx, 101, &email_a), 0);
	assert_int_equal(email_ids_insert(core.db, from->idx, 102, &email_b), 0);
	run = still_run(box);
	run->local.told.snapshot = box->local.base;
	run->remote.told.snapshot = box->remote.base;
	run->remote.arrivals.items.list = xcalloc(2, sizeof(struct item));
	run->remote.arrivals.items.count = run->remote.arrivals.items.size = 2;
	run->remote.arrivals.items.list[0] = (struct item){.uid = 60,
		.identity = identity_of("a"),
		.email_id = email_a,
		.flags = flags_empty(core.flags)};
	run->remote.arrivals.items.list[1] = (struct item){.uid = 61,
		.identity = identity_of("b"),
		.email_id = email_b,
		.flags = flags_empty(core.flags)};
}

/* What their pairs are. */
static void ask(int uidvalidity, const char *messages)
{
	_cleanup_free_ char *selected = xasprintf(
		UNTAGGED("3 EXISTS") UNTAGGED("OK [UIDVALIDITY %d] so")
			UNTAGGED("OK [UIDNEXT 50] so") UNTAGGED("OK [HIGHESTMODSEQ 50] so") OK,
		uidvalidity);

	will(LOCAL, "SELECT from", selected);
	will(LOCAL, "UID FETCH 1:2 (UID FLAGS *)", messages);
	assert_true(run_copies_ask(run));
	assert_false(run_copies_ask(run)); /* once in a pass */
	run_answered(run);
	run_copies_asked(run);
}

static void copied(void **state)
{
	begin();
	ask(7, MESSAGE(1, a, "") MESSAGE(2, b, "") OK);
	will(LOCAL, "SELECT from", SELECTED(7, 50, 50, 3));
	will(LOCAL, "UID COPY 1:2 box", "OK [COPYUID 7 1:2 50:51] copied");
	assert_true(run_moves_send(run));
	run_answered(run);
	run_moves_sent(run);
	expect_events("news:box");
	assert_pairs(from, "1=101 2=102");
	assert_pairs(box, "50=60 51=61");
	assert_intents(box, "");
	assert_false(run_moves_send(run));
	run_moves_done(run);
	assert_int_equal(run->remote.arrivals.items.count, 0);
	end_run(run);
}

/* Its pair has another content, or is gone: it is copied from the remote. */
static void not_the_same(void **state)
{
	begin();
	ask(7, MESSAGE(1, other, "") OK);
	assert_int_equal(run->remote.moves.taken_list.count, 0);
	assert_false(run_moves_send(run));
	run_moves_done(run);
	assert_int_equal(run->remote.arrivals.items.count, 2);
	end_run(run);
}

static void another_uidvalidity(void **state)
{
	begin();
	ask(8, MESSAGE(1, a, "") MESSAGE(2, b, "") OK);
	assert_int_equal(run->remote.moves.taken_list.count, 0);
	end_run(run);
}

/* One command cannot copy a message twice. */
static void twice(void **state)
{
	begin();
	run->remote.arrivals.items.list[1].email_id = email_a;
	will(LOCAL, "SELECT from", SELECTED(7, 50, 50, 3));
	will(LOCAL, "UID FETCH 1 (UID FLAGS *)", MESSAGE(1, a, "") OK);
	assert_true(run_copies_ask(run));
	run_answered(run);
	run_copies_asked(run);
	assert_int_equal(run->remote.moves.taken_list.count, 1);
	end_run(run);
}

static void nothing_to_ask(void **state)
{
	const struct client_action action = {.kind = ACTION_DELETE, .mailbox = "from"};

	begin();
	run->remote.arrivals.items.list[0].email_id = run->remote.arrivals.items.list[1].email_id =
		(struct email_id){.id = "unknown"};
	assert_false(run_copies_ask(run));
	run->pass.copies_sought = false;
	run->remote.arrivals.items.list[0].email_id = email_a;
	journal.receiver.announce(&journal.receiver, 1, &action); /* a client is at it */
	assert_false(run_copies_ask(run));
	assert_int_equal(run->remote.moves.taken_list.count, 0);
	from->presence.listed = false;
	run->pass.copies_sought = false;
	assert_false(run_copies_ask(run));
	end_run(run);
}

static void refused(void **state)
{
	begin();
	ask(7, MESSAGE(1, a, "") MESSAGE(2, b, "") OK);
	will(LOCAL, "SELECT from", SELECTED(7, 50, 50, 3));
	will(LOCAL, "UID COPY 1:2 box", "NO never");
	assert_true(run_moves_send(run));
	run_answered(run);
	run_moves_sent(run);
	assert_pairs(box, "");
	assert_intents(box, ""); /* nothing was copied */
	assert_true(run->remote.moves.refused);
	run_moves_done(run);
	assert_int_equal(run->remote.arrivals.items.count, 2);
	expect_no_events();
	end_run(run);
}

/* --- echo.c --- */

static void note_echo(bool remote, uint32_t uid, uint32_t other_uid)
{
	const struct echo echo = {.remote = remote, .uid = uid, .other_uid = other_uid};

	assert_int_equal(echoes_insert(core.db, box->idx, &echo), 1);
}

static void begin_echoes(void)
{
	connect_sides();
	box = add_mailbox("box");
	run = still_run(box);
	run->local.told.snapshot = box->local.base;
	run->remote.told.snapshot = box->remote.base;
}

/* The pair is out of the database, and is looked for once more. */
static void it_is_gone(void **state)
{
	begin_echoes();
	note_echo(true, 20, 10);
	run_echoes_load(run);
	will(LOCAL, "UID FETCH 10 (UID)", OK);
	run_echoes_ask(&run->local);
	run_echoes_ask(&run->remote);
	run_answered(run);
	run_echoes_judge(run);
	assert_true(run_echoes_any(run));
	assert_int_equal(run_echoes_write(run), 0);
	assert_echoes(box, "");
	assert_int_equal(run->local.told.snapshot.uidnext, 50);
	assert_false(run->pass.again);
	end_run(run);
}

/* The server that had said that it is gone has changed its mind. */
static void it_is_there_after_all(void **state)
{
	begin_echoes();
	note_echo(true, 20, 10);
	run_echoes_load(run);
	will(LOCAL, "UID FETCH 10 (UID)", UNTAGGED("3 FETCH (UID 10)") OK);
	run_echoes_ask(&run->local);
	run_answered(run);
	run_echoes_judge(run);
	assert_int_equal(run->local.told.snapshot.uidnext, 10); /* it is new again */
	assert_true(run->pass.again);
	assert_true(
		said("local(box): WARNING: the server had reported 1 message(s) as gone that are "
		     "there after all: they are copied again"));
	assert_int_equal(run_echoes_write(run), 0);
	assert_echoes(box, "");
	end_run(run);
}

/* Gone because of ourselves, and its pair is not. */
static void still_a_pair(void **state)
{
	begin_echoes();
	add_pair(box, 10, 20);
	add_pair(box, 11, 21);
	add_pair(box, 12, 22);
	note_echo(true, 20, 10);
	note_echo(true, 21, 11);
	note_echo(true, 22, 12);
	run_echoes_load(run);
	run_echoes_ask(&run->local); /* nothing: they are a pair */
	assert_int_equal(run->barrier.waiting, 0);
	(void)seqset_add_range(&run->remote.losses.gone, 20, 21);
	(void)seqset_add(&run->local.losses.gone, 11);
	run_echoes_judge(run);
	assert_false(seqset_contains(&run->remote.losses.gone, 20));
	assert_true(
		seqset_contains(&run->remote.losses.gone, 21)); /* both are gone: that is over */
	assert_int_equal(run->local.told.snapshot.uidnext, 10);
	assert_int_equal(run_echoes_write(run), 0);
	assert_pairs(box, "11=21 12=22");
	assert_echoes(box, "remote 21=11 remote 22=12");
	end_run(run);
}

/* A client of the local store has expunged it as well: that counts. */
static void by_a_client_too(void **state)
{
	begin_echoes();
	add_pair(box, 10, 20);
	note_echo(false, 10, 20);
	run_echoes_load(run);
	(void)seqset_add(&run->local.losses.gone, 10);
	(void)seqset_add(&run->removals.uids, 10);
	run_echoes_judge(run);
	assert_true(seqset_contains(&run->local.losses.gone, 10));
	assert_int_equal(run->remote.told.snapshot.uidnext, 50);
	end_run(run);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		BOTH(copied),
		BOTH(not_the_same),
		BOTH(another_uidvalidity),
		BOTH(twice),
		BOTH(nothing_to_ask),
		BOTH(refused),
		BOTH(it_is_gone),
		BOTH(it_is_there_after_all),
		BOTH(still_a_pair),
		BOTH(by_a_client_too),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
