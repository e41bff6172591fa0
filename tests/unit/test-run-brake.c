/* SPDX-License-Identifier: MIT */
/* run/brake.c: which losses count, when a mailbox is held for them, and what ends that. */
#include "tests/unit/engine-fixture.h"

#include "sync/pass/pass-private.h"
#include "sync/pass/pass.h"
#include "sync/state/losses.h"
#include "sync/state/removals.h"

enum { PAIRS = 100 };

static struct mailbox *box;
static struct run *run;

/* A mailbox that may lose 10 messages, or 20 of 100. */
static void begin(const char *name)
{
	core.brake = (struct plan_brake){.count = 10, .percent = 20, .side_percent = 20};
	box = add_mailbox(name);
	for (uint32_t uid = 1; uid <= PAIRS; uid++)
		add_pair(box, uid, 200 + uid);
	run = still_run(box);
}

/* These pairs are to be taken apart, since their local messages are gone. */
static void lose(struct run *of, uint32_t count)
{
	free(of->pass.plan.unmap);
	of->pass.plan.unmap = xcalloc(count + 1, sizeof(*of->pass.plan.unmap));
	of->pass.plan.unmap_count = count;
	of->pass.has_plan = true;
	seqset_clear(&of->local.losses.gone);
	for (uint32_t i = 0; i < count; i++) {
		of->pass.plan.unmap[i] = (struct uid_pair){.local = 1 + i, .remote = 201 + i};
		(void)seqset_add(&of->local.losses.gone, 1 + i);
	}
}

static int held(bool remote)
{
	uint64_t messages;

	return holds_find(core.db, box->idx, remote, &messages) > 0 ? (int)messages : 0;
}

static void few(void **state)
{
	begin("box");
	lose(run, 20);
	assert_false(run_brake_holds(run));
	assert_int_equal(run->local.losses.counted, 20);
	assert_int_equal(run->remote.losses.counted, 0);
	assert_null(run->end.failure);
	assert_int_equal(held(false), 0);
	end_run(run);
}

static void many(void **state)
{
	begin("my box");
	lose(run, 21);
	assert_true(run_brake_holds(run));
	assert_string_equal(run->end.failure,
		"21 of 100 messages disappeared on the local side: nothing is deleted. If this is "
		"right, run `interimap --allow-deletions 'my box'`");
	assert_int_equal(held(false), 21);
	assert_true(box->result.held);
	assert_true(box->result.held_since > 0);
	end_run(run);
}

/* What went within the hour counts, too. */
static void little_by_little(void **state)
{
	begin("box");
	assert_int_equal(losses_add(core.db, box->idx, false, 20), 0);
	lose(run, 4); /* 24 of 120 */
	assert_false(run_brake_holds(run));
	lose(run, 5);
	assert_true(run_brake_holds(run));
	end_run(run);
}

/* It stays so, whatever is done in it; until the messages are back. */
static void once_held(void **state)
{
	begin("box");
	assert_int_equal(holds_set(core.db, box->idx, false, 30), 0);
	lose(run, 1);
	assert_true(run_brake_holds(run));
	end_run(run);
	run = still_run(box);
	lose(run, 0);
	run->pass.reread = true; /* it is looked at again */
	assert_false(run_brake_holds(run));
	assert_int_equal(held(false), 1);
	run->pass.reread = false;
	assert_int_equal(losses_add(core.db, box->idx, false, 20), 0);
	assert_false(run_brake_holds(run));
	assert_int_equal(held(false), 0);
	end_run(run);
}

static void not_with_the_brake_off(void **state)
{
	begin("box");
	core.brake.off = true;
	assert_int_equal(holds_set(core.db, box->idx, false, 30), 0);
	lose(run, 90);
	assert_false(run_brake_holds(run));
	end_run(run);
}

/* A person has asked for it. */
static void ordered(void **state)
{
	struct losses losses;

	begin("box");
	assert_int_equal(holds_set(core.db, box->idx, false, 30), 0);
	assert_int_equal(losses_add(core.db, box->idx, false, 20), 0);
	box->wishes.deletions = true;
	lose(run, 90);
	assert_false(run_brake_holds(run));
	assert_int_equal(run->local.losses.counted, 0);
	assert_int_equal(held(false), 0);
	assert_int_equal(losses_of_mailbox(core.db, box->idx, false, &losses), 0);
	assert_int_equal(losses.recent, 0);
	end_run(run);
}

/* \Trash, as the side says that lost nothing. */
static void disposable(void **state)
{
	begin("box");
	box->remote.disposable = true;
	lose(run, 90);
	assert_false(run_brake_holds(run));
	box->remote.disposable = false;
	box->local.disposable = true;
	assert_true(run_brake_holds(run));
	end_run(run);
}

static void by_clients(void **state)
{
	begin("box");
	assert_int_equal(removals_insert(core.db, "box", "1:30", 0), 0);
	assert_int_equal(removals_insert(core.db, "box", "", 5), 0);
	run_removals_load(run);
	assert_int_equal(seqset_count(&run->removals.uids), 30);
	assert_int_equal(run->removals.others, 5);
	lose(run, 55);
	assert_false(run_brake_holds(run));
	assert_int_equal(run->local.losses.counted, 20);
	lose(run, 56);
	assert_true(run_brake_holds(run));
	end_run(run);
}

/* It was told of after OPEN: it counts, and is there for the next pass. */
static void by_clients_meanwhile(void **state)
{
	struct removal *removals;
	size_t count;

	begin("box");
	assert_int_equal(removals_insert(core.db, "box", "1:5", 0), 0);
	run_removals_load(run);
	assert_int_equal(removals_insert(core.db, "box", "6:90", 0), 0);
	lose(run, 90);
	assert_false(run_brake_holds(run));
	assert_int_equal(run_removals_forget(run), 0);
	assert_int_equal(removals_load(core.db, "box", &removals, &count), 0);
	assert_int_equal(count, 1);
	assert_string_equal(removals[0].uids, "6:90");
	removals_free(removals, count);
	end_run(run);
}

/* What was marked, and may be expunged at this very moment. */
static void marked_by_clients(void **state)
{
	const struct client_removal mark = {
		.kind = REMOVAL_MARK, .mailbox = "box", .set = "1:90", .by_uid = true};

	begin("box");
	journal.receiver.removal(&journal.receiver, &mark);
	lose(run, 90);
	assert_false(run_brake_holds(run));
	end_run(run);
}

static void what_does_not_count(void **state)
{
	begin("box");
	lose(run, 90);
	(void)seqset_add_range(&run->remote.losses.gone, 201, 230); /* on both sides */
	(void)seqset_add_range(&run->local.losses.remembered, 31, 60); /* let pass before */
	run->local.losses.moved_away = 20; /* copied elsewhere */
	assert_false(run_brake_holds(run));
	assert_int_equal(run->local.losses.counted, 10);
	end_run(run);
}

/* Clients of the local store have no part in what is gone at the remote. */
static void at_the_remote(void **state)
{
	begin("box");
	(void)seqset_add_range(&run->removals.uids, 1, 300);
	assert_int_equal(removals_insert(core.db, "box", "1:300", 99), 0);
	lose(run, 21);
	seqset_clear(&run->local.losses.gone);
	(void)seqset_add_range(&run->remote.losses.gone, 201, 221);
	assert_true(run_brake_holds(run));
	assert_non_null(strstr(run->end.failure, "disappeared on the remote side"));
	assert_int_equal(held(true), 21);
	assert_int_equal(held(false), 0);
	end_run(run);
}

/* Each loses little, and all together much: 25 of 110. */
static void with_other_mailboxes(void **state)
{
	struct mailbox *small;
	struct run *other;

	begin("box");
	small = add_mailbox("small");
	for (uint32_t uid = 1; uid <= 10; uid++)
		add_pair(small, uid, 200 + uid);
	other = still_run(small);
	lose(other, 5);
	other->moves.state = MOVE_WAITING;
	lose(run, 20);
	assert_true(run_brake_holds(run));
	assert_non_null(strstr(run->end.failure, "with other mailboxes 25 of 110"));
	/* What is decided is among the losses; what is found elsewhere was moved. */
	end_run(run);
	run = still_run(box);
	assert_int_equal(holds_clear(core.db, box->idx, false), 0);
	lose(run, 20);
	other->local.told.snapshot.uidnext = box->local.base.uidnext + 5;
	assert_false(run_brake_holds(run));
	end_run(run);
	end_run(other);
}

#define brake_test(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		brake_test(few),
		brake_test(many),
		brake_test(little_by_little),
		brake_test(once_held),
		brake_test(not_with_the_brake_off),
		brake_test(ordered),
		brake_test(disposable),
		brake_test(by_clients),
		brake_test(by_clients_meanwhile),
		brake_test(marked_by_clients),
		brake_test(what_does_not_count),
		brake_test(at_the_remote),
		brake_test(with_other_mailboxes),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
