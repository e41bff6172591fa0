/* SPDX-License-Identifier: MIT */
/* replay/messages.c: what a mail client moved or copied is moved or copied on the other side.  What
 * answers come to (moved-cases.h); what is asked before; and when it is left to the ordinary sync. */
#include "tests/unit/moved-cases.h"

#include "tests/unit/replay-fixture.h"

#define IDENTITIES "UID FETCH * (UID INTERNALDATE RFC822.SIZE BODY.PEEK*"

/* 1 to 3 of "from" became 11 to 13 of "to". */
static void act_on_messages(enum action_kind kind)
{
	act(kind, "from", "to",
		&(struct copied_uids){.uidvalidity = 7, .source = "1:3", .target = "11:13"});
}

/* What is asked before anything is done: whether the mailboxes are those of the database, and what
 * the messages are. */
static void will_ask_first(void)
{
	will(REMOTE, "STATUS to" STATUS_ITEMS, STATUS_OF("to", 3, 7, 50));
	will(LOCAL, "STATUS from" STATUS_ITEMS, STATUS_OF("from", 3, 7, 4));
	will(LOCAL, "SELECT to", SELECTED(7, 14, 50, 3));
	will(LOCAL, IDENTITIES, MESSAGE(11, a, "") MESSAGE(12, b, "") MESSAGE(13, c, "") OK);
}

static void one_case(void **state)
{
	const struct moved_case *moved = *state;
	struct mailbox *from, *to;

	moved_prepare(moved, &from, &to);
	act_on_messages(ACTION_MOVE);
	assert_deeds("MOVE from to 1:3 11:13");
	will_ask_first();
	moved_will(moved);
	replay = replay_new(&core, journal_next(&journal, false), on_over);
	RUN_UNTIL(replay == NULL);
	moved_check_events(moved, "over ");
	moved_check(moved, from, to);
	assert_int_equal(to->runs.replayed, moved->to[0] != '\0');
	assert_int_equal(said("is copied there instead"), strstr(moved->answer, "NO ") != NULL);
	assert_deeds("");
}

static const struct moved_case simple = {
	.answer = UNTAGGED("OK [COPYUID 7 101:103 61:63] moved") OK};

/* A COPY leaves the pairs of the source, even where the server has MOVE. */
static void a_copy(void **state)
{
	struct mailbox *from, *to;

	moved_prepare(&simple, &from, &to);
	act_on_messages(ACTION_COPY);
	will_ask_first();
	will(REMOTE, "SELECT from", SELECTED(7, 104, 50, 3));
	will(REMOTE, "UID COPY 101:103 to", "OK [COPYUID 7 101:103 61:63] copied");
	replay_next_deed("over");
	assert_pairs(from, MOVED_NONE);
	assert_pairs(to, MOVED_ALL);
	assert_true(said("Copied 3 message(s) to to"));
}

/* A message is called the same wherever the remote server has it (RFC 8474 section 5.1).  What a
 * client moved lost that name, since only runs kept it. */
static void emailids_go_along(void **state)
{
	struct mailbox *from, *to;
	struct email_id email = {.id = "M6d99ac"};

	moved_prepare(&simple, &from, &to);
	assert_int_equal(email_ids_insert(core.db, from->idx, 102, &email), 0);
	act_on_messages(ACTION_MOVE);
	will_ask_first();
	moved_will(&simple);
	replay_next_deed("over");
	assert_pairs(to, MOVED_ALL);
	assert_int_equal(email_ids_find(core.db, to->idx, 62, &email), 0);
	assert_string_equal(email.id, "M6d99ac");
	assert_int_equal(email_ids_find(core.db, to->idx, 61, &email), 0);
	assert_string_equal(email.id, "");
	assert_int_equal(email_ids_find(core.db, from->idx, 102, &email), 0);
	assert_string_equal(email.id, "");
}

/* What the local store does not have any more is asked of the other side. */
static void some_are_identified_there(void **state)
{
	struct mailbox *from, *to;

	moved_prepare(&simple, &from, &to);
	act_on_messages(ACTION_MOVE);
	will(REMOTE, "STATUS to" STATUS_ITEMS, STATUS_OF("to", 3, 7, 50));
	will(LOCAL, "STATUS from" STATUS_ITEMS, STATUS_OF("from", 3, 7, 4));
	will(LOCAL, "SELECT to", SELECTED(7, 14, 50, 1));
	will(LOCAL, IDENTITIES, MESSAGE(12, b, "") OK);
	will(REMOTE, "SELECT from", SELECTED(7, 104, 50, 2));
	will(REMOTE, "UID FETCH 101,103 *", MESSAGE(103, c, "") OK);
	will(REMOTE, "UID MOVE 102:103 to", UNTAGGED("OK [COPYUID 7 102:103 61:62] moved") OK);
	replay_next_deed("over");
	assert_pairs(from, "1=101");
	assert_pairs(to, "12=61 13=62");
	assert_intents(to, "");
}

/* Of a run that was interrupted; a MOVE may be sent again, and a COPY must not. */
static void in_doubt_already(struct mailbox *to)
{
	struct intent intent = {.mailbox = to->idx,
		.to_remote = true,
		.source_uid = 12,
		.target_uidvalidity = 7,
		.target_uidnext = 50};

	assert_int_equal(intents_insert(core.db, &intent), 0);
}

static void a_move_again(void **state)
{
	struct mailbox *from, *to;

	moved_prepare(&simple, &from, &to);
	in_doubt_already(to);
	act_on_messages(ACTION_MOVE);
	will_ask_first();
	moved_will(&simple);
	replay_next_deed("over");
	assert_pairs(from, "");
	assert_pairs(to, MOVED_ALL);
	assert_intents(to, "");
}

static void a_copy_not_again(void **state)
{
	struct mailbox *from, *to;

	moved_prepare(&simple, &from, &to);
	in_doubt_already(to);
	act_on_messages(ACTION_COPY);
	will_ask_first();
	will(REMOTE, "SELECT from", SELECTED(7, 104, 50, 3));
	will(REMOTE, "UID COPY 101,103 to", "OK [COPYUID 7 101,103 61:62] copied");
	replay_next_deed("over");
	assert_pairs(to, "11=61 13=62");
	assert_intents(to, ">12");
}

static void the_connection_is_lost(void **state)
{
	static const struct moved_case lost = {.answer = HANG_UP};
	struct mailbox *from, *to;

	moved_prepare(&lost, &from, &to);
	act_on_messages(ACTION_MOVE);
	will_ask_first();
	moved_will(&lost);
	replay_next_deed("accused:5:remote lost:remote lost");
	assert_pairs(from, MOVED_NONE);
	assert_intents(to, MOVED_DOUBT);
	assert_deeds("MOVE from to 1:3 11:13"); /* it is done on the next connection */
}

/* Nothing is sent but this, and the deed is over. */
static void is_left(const char *target_status, const char *source_status)
{
	struct mailbox *from, *to;

	moved_prepare(&simple, &from, &to);
	act_on_messages(ACTION_MOVE);
	if (target_status != NULL) {
		will(REMOTE, "STATUS to" STATUS_ITEMS, target_status);
		will(LOCAL, "STATUS from" STATUS_ITEMS, source_status);
	}
	replay_next_deed("over");
	assert_pairs(from, MOVED_NONE);
	assert_pairs(to, "");
	assert_intents(to, "");
	assert_deeds("");
}

static void the_target_is_another(void **state)
{
	is_left(STATUS_OF("to", 3, 8, 50), STATUS_OF("from", 3, 7, 4));
}

static void the_target_is_gone(void **state)
{
	is_left("NO [NONEXISTENT] where?", STATUS_OF("from", 3, 7, 4));
}

static void the_source_is_another(void **state)
{
	is_left(STATUS_OF("to", 3, 7, 50), STATUS_OF("from", 3, 8, 4));
}

/* Then nobody else can have its name. */
static void the_source_is_gone(void **state)
{
	struct mailbox *from, *to;

	moved_prepare(&simple, &from, &to);
	act_on_messages(ACTION_MOVE);
	will(REMOTE, "STATUS to" STATUS_ITEMS, STATUS_OF("to", 3, 7, 50));
	will(LOCAL, "STATUS from" STATUS_ITEMS, "NO [NONEXISTENT] where?");
	will(LOCAL, "SELECT to", SELECTED(7, 14, 50, 3));
	will(LOCAL, IDENTITIES, MESSAGE(11, a, "") MESSAGE(12, b, "") MESSAGE(13, c, "") OK);
	moved_will(&simple);
	replay_next_deed("over");
	assert_pairs(to, MOVED_ALL);
}

static void a_mailbox_is_not_known(void **state)
{
	struct mailbox *from, *to;

	moved_prepare(&simple, &from, &to);
	core_forget_mailbox(&core, to);
	act_on_messages(ACTION_MOVE);
	replay_next_deed("over");
	assert_deeds("");
	assert_pairs(from, MOVED_NONE);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		BOTH(a_copy),
		BOTH(emailids_go_along),
		BOTH(some_are_identified_there),
		BOTH(a_move_again),
		BOTH(a_copy_not_again),
		BOTH(the_connection_is_lost),
		BOTH(the_target_is_another),
		BOTH(the_target_is_gone),
		BOTH(the_source_is_another),
		BOTH(the_source_is_gone),
		BOTH(a_mailbox_is_not_known),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return run_moved_tests(one_case, tests, ARRAY_LEN(tests));
}
