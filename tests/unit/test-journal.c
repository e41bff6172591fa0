/* SPDX-License-Identifier: MIT */
/* deeds/journal.c: what a client announces and what came of it, what of that waits in the database,
 * which deed is next, and which mailboxes are left alone meanwhile. */
#include "tests/unit/engine-fixture.h"

#include "sync/state/removals.h"

static struct mailbox *a, *b, *other;

static int begin(void **state)
{
	int r = setup(state);

	a = add_mailbox("a");
	b = add_mailbox("b");
	other = add_mailbox("other");
	run_ready();
	turns_taken = 0;
	return r;
}

static void announce_as(uint64_t ticket, enum action_kind kind, const char *from, const char *to)
{
	journal.receiver.announce(&journal.receiver, ticket,
		&(struct client_action){.kind = kind, .mailbox = from, .target = to});
}

static void outcome_of(uint64_t ticket, enum action_kind kind, const char *from, const char *to,
	enum action_result result, const struct copied_uids *copied)
{
	journal.receiver.outcome(&journal.receiver, ticket,
		&(struct client_action){.kind = kind, .mailbox = from, .target = to}, result,
		copied);
}

/* Done, and answered OK. */
static void act(enum action_kind kind, const char *from, const char *to)
{
	announce_as(1, kind, from, to);
	outcome_of(1, kind, from, to, ACTION_DONE, NULL);
}

static const struct copied_uids moved = {.uidvalidity = 7, .source = "5:7,3", .target = "11:13,20"};

static void a_move(void **state)
{
	struct deed *deed;

	announce_as(1, ACTION_MOVE, "a", "b");
	assert_int_equal(journal_hold(&journal, a), HOLD_ANNOUNCED);
	assert_int_equal(journal_hold(&journal, b), HOLD_ANNOUNCED);
	assert_int_equal(journal_hold(&journal, other), HOLD_NONE);
	assert_int_equal(a->runs.disturbed, 1);
	assert_int_equal(b->runs.disturbed, 1);
	assert_false(journal_holds_tree(&journal));
	assert_null(journal_next(&journal, true));
	assert_deeds("");
	outcome_of(1, ACTION_MOVE, "a", "b", ACTION_DONE, &moved);
	assert_deeds("MOVE a b 5:7,3 11:13,20"); /* in the order of the pairs */
	assert_int_equal(journal_hold(&journal, a), HOLD_DEED);
	assert_int_equal(journal_hold(&journal, b), HOLD_DEED);
	assert_int_equal(a->runs.disturbed, 2);
	assert_int_equal(b->runs.disturbed, 2);
	run_ready();
	assert_int_equal(turns_taken, 1); /* the engine is woken */
	deed = journal_next(&journal, false);
	assert_non_null(deed);
	assert_int_equal(deed->uidvalidity, 7);
	assert_true(deed->certain && !deed->to_local && !deed->begun);
	/* The replay takes it out of the database, and the journal forgets it. */
	assert_int_equal(actions_drop(core.db, deed->id), 0);
	journal_forget(&journal, deed);
	assert_int_equal(journal_hold(&journal, a), HOLD_NONE);
	assert_int_equal(a->runs.disturbed, 3);
	assert_int_equal(journal.deeds_count, 0);
}

/* What it moved away is no loss. */
static void a_move_is_a_removal(void **state)
{
	struct removal *removals;
	size_t count;

	announce_as(1, ACTION_MOVE, "a", "b");
	outcome_of(1, ACTION_MOVE, "a", "b", ACTION_DONE, &moved);
	announce_as(2, ACTION_COPY, "b", "a");
	outcome_of(2, ACTION_COPY, "b", "a", ACTION_DONE, &moved);
	assert_int_equal(removals_load(core.db, "a", &removals, &count), 0);
	assert_int_equal(count, 1);
	assert_string_equal(removals[0].uids, "3,5:7");
	removals_free(removals, count);
	assert_int_equal(removals_load(core.db, "b", &removals, &count), 0);
	assert_int_equal(count, 0);
	removals_free(removals, count);
}

/* Which kind is worth remembering, by how it ended. */
static void what_becomes_a_deed(void **state)
{
	static const struct {
		enum action_kind kind;
		const char *target;
		const char *done, *refused, *unknown;
	} cases[] = {
		{ACTION_MOVE, "b", "MOVE a b 5:7,3 11:13,20", "", ""},
		{ACTION_COPY, "b", "COPY a b 5:7,3 11:13,20", "", ""},
		{ACTION_CREATE, NULL, "CREATE a", "", ""},
		{ACTION_DELETE, NULL, "DELETE a", "", "DELETE a"},
		{ACTION_RENAME, "c", "RENAME a c", "", "RENAME a c"},
		{ACTION_SUBSCRIBE, NULL, "SUBSCRIBE a", "", ""},
		{ACTION_UNSUBSCRIBE, NULL, "UNSUBSCRIBE a", "", ""},
	};

	for (size_t i = 0; i < ARRAY_LEN(cases); i++)
		for (enum action_result result = ACTION_DONE; result <= ACTION_UNKNOWN; result++) {
			enum action_kind kind = cases[i].kind;
			const char *expected = result == ACTION_DONE	  ? cases[i].done
					       : result == ACTION_REFUSED ? cases[i].refused
									  : cases[i].unknown;
			bool copies = kind == ACTION_MOVE || kind == ACTION_COPY;
			struct deed *deed;

			announce_as(1, kind, "a", cases[i].target);
			outcome_of(1, kind, "a", cases[i].target, result, copies ? &moved : NULL);
			assert_deeds(expected);
			deed = journal_next(&journal, true);
			assert_int_equal(deed != NULL, expected[0] != '\0');
			if (deed == NULL)
				continue;
			/* Of what is not known to be done, the lists must tell. */
			assert_int_equal(deed->certain, result == ACTION_DONE);
			assert_ptr_equal(
				journal_next(&journal, false), result == ACTION_DONE ? deed : NULL);
			assert_int_equal(actions_drop(core.db, deed->id), 0);
			journal_forget(&journal, deed);
		}
}

static void not_told_which(void **state)
{
	announce_as(1, ACTION_MOVE, "a", "b");
	outcome_of(1, ACTION_MOVE, "a", "b", ACTION_DONE, NULL);
	announce_as(3, ACTION_APPEND, NULL, "b");
	assert_int_equal(journal_hold(&journal, b), HOLD_ANNOUNCED);
	assert_int_equal(journal_hold(&journal, a), HOLD_NONE);
	outcome_of(3, ACTION_APPEND, NULL, "b", ACTION_DONE, NULL);
	/* An outcome of nothing that was announced. */
	outcome_of(9, ACTION_DELETE, "a", NULL, ACTION_DONE, NULL);
	assert_deeds("");
	assert_int_equal(journal_hold(&journal, b), HOLD_NONE);
	assert_null(journal.announced);
}

/* A subscription concerns no messages; a renaming what is below, too. */
static void what_is_held(void **state)
{
	struct mailbox *below = add_mailbox("a/below");

	act(ACTION_SUBSCRIBE, "a", NULL);
	assert_int_equal(journal_hold(&journal, a), HOLD_NONE);
	assert_int_equal(a->runs.disturbed, 0);
	announce_as(1, ACTION_RENAME, "a", "c");
	assert_true(journal_holds_tree(&journal));
	assert_int_equal(journal_hold(&journal, a), HOLD_ANNOUNCED);
	assert_int_equal(journal_hold(&journal, below), HOLD_ANNOUNCED);
	assert_int_equal(below->runs.disturbed, 1);
	assert_int_equal(journal_hold(&journal, b), HOLD_NONE);
	outcome_of(1, ACTION_RENAME, "a", "c", ACTION_REFUSED, NULL);
	assert_false(journal_holds_tree(&journal));
	assert_int_equal(journal_hold(&journal, below), HOLD_NONE);
}

/* A command that takes long keeps the engine away for half a minute, and no longer. */
static void patience(void **state)
{
	announce_as(1, ACTION_DELETE, "a", NULL);
	pass_seconds(20);
	run_ready();
	assert_int_equal(journal_hold(&journal, a), HOLD_ANNOUNCED);
	turns_taken = 0;
	pass_seconds(11);
	RUN_UNTIL(turns_taken > 0);
	assert_int_equal(journal_hold(&journal, a), HOLD_NONE);
	assert_false(journal_holds_tree(&journal));
	outcome_of(1, ACTION_DELETE, "a", NULL, ACTION_DONE, NULL);
	assert_deeds("DELETE a");
}

/* What is behind a refused deed waits for it if it is about the same mailboxes. */
static void a_refusal(void **state)
{
	struct deed *first, *second, *third, *fourth;

	act(ACTION_RENAME, "a", "c");
	act(ACTION_DELETE, "c", NULL);
	announce_as(1, ACTION_MOVE, "a", "b");
	outcome_of(1, ACTION_MOVE, "a", "b", ACTION_DONE, &moved);
	act(ACTION_DELETE, "other", NULL);
	first = journal.deeds;
	second = first->next;
	third = second->next;
	fourth = third->next;
	assert_ptr_equal(journal_next(&journal, false), first);
	first->refused = true;
	first->refusal = xstrdup("NO such thing");
	assert_true(journal_is_held_up(&journal, second));
	/* Messages are left to the ordinary sync instead. */
	assert_true(journal_is_blocked(&journal, third));
	assert_false(journal_is_held_up(&journal, third));
	assert_false(journal_is_blocked(&journal, fourth));
	assert_ptr_equal(journal_next(&journal, false), third);
	assert_int_equal(journal_hold(&journal, a), HOLD_DEED); /* the third comes first */
	assert_int_equal(actions_drop(core.db, third->id), 0);
	journal_forget(&journal, third);
	assert_int_equal(journal_hold(&journal, a), HOLD_REFUSED);
	assert_int_equal(journal_hold(&journal, b), HOLD_NONE);
	assert_int_equal(journal_hold(&journal, other), HOLD_DEED);
	assert_string_equal(journal_refusal(&journal, a), "NO such thing");
	assert_non_null(strstr(journal_refusal(&journal, other), "waits for something else"));
	assert_true(journal_reserves(&journal, "a", 1));
	assert_true(journal_reserves(&journal, "c", 1));
	assert_false(journal_reserves(&journal, "other", 5));
	journal_retry(&journal);
	assert_ptr_equal(journal_next(&journal, false), first);
	assert_int_equal(journal_hold(&journal, a), HOLD_DEED);
}

/* Set apart since it may cost the connection: likewise. */
static void apart(void **state)
{
	act(ACTION_DELETE, "a", NULL);
	journal.deeds->apart = true;
	assert_null(journal_next(&journal, true));
	assert_int_equal(journal_hold(&journal, a), HOLD_REFUSED);
	journal_retry(&journal);
	assert_null(journal_next(&journal, true));
}

/* By another life of the program. */
static void loaded_again(void **state)
{
	_cleanup_free_ char *text = NULL;

	act(ACTION_RENAME, "a/below", "b/below");
	act(ACTION_SUBSCRIBE, "b/below", NULL);
	journal_unload(&journal);
	assert_null(journal_next(&journal, true));
	assert_int_equal(journal_load(&journal), 0);
	assert_int_equal(journal_load(&journal), 0); /* once */
	assert_int_equal(journal.deeds_count, 2);
	assert_true(said("2 action(s) wait to be done on the other side"));
	text = journal_describe(&journal, journal.deeds);
	assert_string_equal(text, "RENAME a/below");
	assert_true(mailbox_name_equal(
		journal.deeds->from.data, journal.deeds->from.len, "a\0below", 7));
	assert_true(journal.deeds->certain);
}

/* Seen on one side: looked up again before it is done on the other. */
static void seen(void **state)
{
	struct mailbox_name from = name_of("a"), to = name_of("c");

	journal_note(&journal, ACTION_DELETE, true, &from, NULL);
	journal_note_of(&journal, ACTION_RENAME, false, &from, &to, 99);
	assert_deeds("DELETE a\nRENAME a c");
	assert_true(journal.deeds->to_local && !journal.deeds->certain);
	assert_false(journal.deeds->next->to_local);
	assert_int_equal(journal.deeds->next->uidvalidity, 99);
	assert_null(journal_next(&journal, false));
	assert_ptr_equal(journal_next(&journal, true), journal.deeds);
	assert_int_equal(a->runs.disturbed, 2);
	run_ready();
	assert_int_equal(turns_taken, 1);
	free(from.data);
	free(to.data);
}

static int drop_a(void *context)
{
	struct mailbox_name *name = context;

	return journal_drop(&journal, name);
}

/* A mailbox is forgotten, and with it all that concerns it. */
static void dropped(void **state)
{
	struct mailbox_name name = name_of("a");

	act(ACTION_RENAME, "a", "c");
	act(ACTION_DELETE, "b", NULL);
	assert_int_equal(db_transact(core.db, drop_a, &name), 0);
	journal_dropped(&journal, true);
	assert_deeds("DELETE b");
	assert_int_equal(journal.deeds_count, 1);
	free(name.data);
}

static void not_dropped(void **state)
{
	struct mailbox_name name = name_of("a");

	act(ACTION_RENAME, "a", "c");
	assert_int_equal(db_begin(core.db), 0);
	assert_int_equal(journal_drop(&journal, &name), 0);
	db_rollback(core.db);
	journal_dropped(&journal, false);
	assert_deeds("RENAME a c");
	assert_int_equal(journal.deeds_count, 1);
	assert_false(journal.deeds->dropped);
	free(name.data);
}

static void assert_present(const char *now)
{
	struct mailbox_name name = name_of("a"), present;

	present = journal_present_name(journal.deeds, &name);
	if (now == NULL)
		assert_null(present.data);
	else
		assert_true(mailbox_name_equal(present.data, present.len, now, strlen(now)));
	free(present.data);
	free(name.data);
}

static void present_names(void **state)
{
	struct mailbox_name c = name_of("c"), d = name_of("d");

	act(ACTION_CREATE, "a", NULL); /* from here on */
	assert_present("a");
	act(ACTION_RENAME, "b", "x");
	act(ACTION_RENAME, "a", "c");
	assert_present("c");
	journal_note(&journal, ACTION_RENAME, true, &c, &d); /* at the remote */
	assert_present("c");
	act(ACTION_DELETE, "a", NULL);
	assert_present("c");
	act(ACTION_DELETE, "c", NULL);
	assert_present(NULL);
	free(c.data);
	free(d.data);
}

/* Outside of what is ours there is nothing to be held, and the deed is about the other one. */
static void outside_the_reference(void **state)
{
	core.local.reference = "mine/";
	announce_as(1, ACTION_MOVE, "mine/a", "theirs/b");
	assert_int_equal(journal_hold(&journal, a), HOLD_ANNOUNCED);
	assert_int_equal(journal_hold(&journal, b), HOLD_NONE);
	outcome_of(1, ACTION_MOVE, "mine/a", "theirs/b", ACTION_REFUSED, NULL);
	assert_int_equal(journal_hold(&journal, a), HOLD_NONE);
}

#define journal_test(f) cmocka_unit_test_setup_teardown(f, begin, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		journal_test(a_move),
		journal_test(a_move_is_a_removal),
		journal_test(what_becomes_a_deed),
		journal_test(not_told_which),
		journal_test(what_is_held),
		journal_test(patience),
		journal_test(a_refusal),
		journal_test(apart),
		journal_test(loaded_again),
		journal_test(seen),
		journal_test(dropped),
		journal_test(not_dropped),
		journal_test(present_names),
		journal_test(outside_the_reference),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
