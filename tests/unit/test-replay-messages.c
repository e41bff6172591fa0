/* SPDX-License-Identifier: MIT */
/* replay/messages.c: what a mail client moved or copied is moved or copied on the other side.  What
 * answers come to (moved-cases.h); what is asked before; and when it is left to the ordinary sync. */
#include "tests/unit/moved-cases.h"

#include "sync/replay/replay.h"

#define STATUS_ITEMS " (MESSAGES UIDVALIDITY UIDNEXT HIGHESTMODSEQ)"
#define STATUS_OF(name, uidvalidity, uidnext) \
	UNTAGGED("STATUS " name " (MESSAGES 3 UIDVALIDITY " #uidvalidity " UIDNEXT " #uidnext \
		 " HIGHESTMODSEQ 50)") \
	OK
#define IDENTITIES "UID FETCH * (UID INTERNALDATE RFC822.SIZE BODY.PEEK*"

static const char *const ends[] = {
	[REPLAY_DONE] = "over",
	[REPLAY_REFUSED] = "refused",
	[REPLAY_LOST] = "lost",
	[REPLAY_BROKEN] = "broken",
};

static struct replay *replay;

static void on_over(struct core *core_, struct deed *deed, enum replay_end end)
{
	note("%s", ends[end]);
	if (end == REPLAY_DONE)
		journal_settle(&journal, deed);
	replay = NULL;
}

/* A client of the local store has done it. */
static void act(enum action_kind kind, uint32_t first, uint32_t count)
{
	const struct client_action action = {.kind = kind, .mailbox = "from", .target = "to"};
	uint32_t source[8], target[8];
	const struct copied_uids uids = {
		.uidvalidity = 7, .source = source, .target = target, .count = count};

	for (uint32_t i = 0; i < count; i++) {
		source[i] = first + i;
		target[i] = 10 + first + i;
	}
	journal.receiver.announce(&journal.receiver, 1, &action);
	journal.receiver.outcome(&journal.receiver, 1, &action, ACTION_DONE, &uids);
}

static void begin(void)
{
	struct deed *deed = journal_next(&journal, false);

	assert_non_null(deed);
	replay = replay_new(&core, deed, on_over);
}

/* What is asked before anything is done: whether the mailboxes are those of the database, and what
 * the messages are. */
static void will_ask_first(void)
{
	will(REMOTE, "STATUS to" STATUS_ITEMS, STATUS_OF("to", 7, 50));
	will(LOCAL, "STATUS from" STATUS_ITEMS, STATUS_OF("from", 7, 4));
	will(LOCAL, "SELECT to", SELECTED(7, 14, 50, 3));
	will(LOCAL, IDENTITIES, MESSAGE(11, a, "") MESSAGE(12, b, "") MESSAGE(13, c, "") OK);
}

static void one_case(void **state)
{
	const struct moved_case *moved = *state;
	struct mailbox *from, *to;

	moved_prepare(moved, &from, &to);
	act(ACTION_MOVE, 1, 3);
	assert_deeds("MOVE from to 1:3 11:13");
	will_ask_first();
	moved_will(moved);
	begin();
	RUN_UNTIL(replay == NULL);
	moved_check_events(moved, "over ");
	moved_check(moved, from, to);
	assert_int_equal(to->replayed, moved->to[0] != '\0');
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
	act(ACTION_COPY, 1, 3);
	will_ask_first();
	will(REMOTE, "SELECT from", SELECTED(7, 104, 50, 3));
	will(REMOTE, "UID COPY 101:103 to", "OK [COPYUID 7 101:103 61:63] copied");
	begin();
	expect_events("over");
	assert_pairs(from, MOVED_NONE);
	assert_pairs(to, MOVED_ALL);
	assert_true(said("Copied 3 message(s) to to"));
}

/* A message is called the same wherever the remote server has it (RFC 8474 section 5.1).  What a
 * client moved lost that name, since only runs kept it. */
static void emailids_go_along(void **state)
{
	struct mailbox *from, *to;
	struct email email = {.id = "M6d99ac"};

	moved_prepare(&simple, &from, &to);
	assert_int_equal(emails_insert(core.db, from->idx, 102, &email), 0);
	act(ACTION_MOVE, 1, 3);
	will_ask_first();
	moved_will(&simple);
	begin();
	expect_events("over");
	assert_pairs(to, MOVED_ALL);
	assert_int_equal(emails_find(core.db, to->idx, 62, &email), 0);
	assert_string_equal(email.id, "M6d99ac");
	assert_int_equal(emails_find(core.db, to->idx, 61, &email), 0);
	assert_string_equal(email.id, "");
	assert_int_equal(emails_find(core.db, from->idx, 102, &email), 0);
	assert_string_equal(email.id, "");
}

/* What the local store does not have any more is asked of the other side. */
static void some_are_identified_there(void **state)
{
	struct mailbox *from, *to;

	moved_prepare(&simple, &from, &to);
	act(ACTION_MOVE, 1, 3);
	will(REMOTE, "STATUS to" STATUS_ITEMS, STATUS_OF("to", 7, 50));
	will(LOCAL, "STATUS from" STATUS_ITEMS, STATUS_OF("from", 7, 4));
	will(LOCAL, "SELECT to", SELECTED(7, 14, 50, 1));
	will(LOCAL, IDENTITIES, MESSAGE(12, b, "") OK);
	will(REMOTE, "SELECT from", SELECTED(7, 104, 50, 2));
	will(REMOTE, "UID FETCH 101,103 *", MESSAGE(103, c, "") OK);
	will(REMOTE, "UID MOVE 102:103 to", UNTAGGED("OK [COPYUID 7 102:103 61:62] moved") OK);
	begin();
	expect_events("over");
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
	act(ACTION_MOVE, 1, 3);
	will_ask_first();
	moved_will(&simple);
	begin();
	expect_events("over");
	assert_pairs(from, "");
	assert_pairs(to, MOVED_ALL);
	assert_intents(to, "");
}

static void a_copy_not_again(void **state)
{
	struct mailbox *from, *to;

	moved_prepare(&simple, &from, &to);
	in_doubt_already(to);
	act(ACTION_COPY, 1, 3);
	will_ask_first();
	will(REMOTE, "SELECT from", SELECTED(7, 104, 50, 3));
	will(REMOTE, "UID COPY 101,103 to", "OK [COPYUID 7 101,103 61:62] copied");
	begin();
	expect_events("over");
	assert_pairs(to, "11=61 13=62");
	assert_intents(to, ">12");
}

static void the_connection_is_lost(void **state)
{
	static const struct moved_case lost = {.answer = HANG_UP};
	struct mailbox *from, *to;

	moved_prepare(&lost, &from, &to);
	act(ACTION_MOVE, 1, 3);
	will_ask_first();
	moved_will(&lost);
	begin();
	expect_events("accused:5:remote lost:remote lost");
	assert_pairs(from, MOVED_NONE);
	assert_intents(to, MOVED_DOUBT);
	assert_deeds("MOVE from to 1:3 11:13"); /* it is done on the next connection */
}

/* Nothing is sent but this, and the deed is over. */
static void is_left(const char *target_status, const char *source_status)
{
	struct mailbox *from, *to;

	moved_prepare(&simple, &from, &to);
	act(ACTION_MOVE, 1, 3);
	if (target_status != NULL) {
		will(REMOTE, "STATUS to" STATUS_ITEMS, target_status);
		will(LOCAL, "STATUS from" STATUS_ITEMS, source_status);
	}
	begin();
	expect_events("over");
	assert_pairs(from, MOVED_NONE);
	assert_pairs(to, "");
	assert_intents(to, "");
	assert_deeds("");
}

static void the_target_is_another(void **state)
{
	is_left(STATUS_OF("to", 8, 50), STATUS_OF("from", 7, 4));
}

static void the_target_is_gone(void **state)
{
	is_left("NO [NONEXISTENT] where?", STATUS_OF("from", 7, 4));
}

static void the_source_is_another(void **state)
{
	is_left(STATUS_OF("to", 7, 50), STATUS_OF("from", 8, 4));
}

/* Then nobody else can have its name. */
static void the_source_is_gone(void **state)
{
	struct mailbox *from, *to;

	moved_prepare(&simple, &from, &to);
	act(ACTION_MOVE, 1, 3);
	will(REMOTE, "STATUS to" STATUS_ITEMS, STATUS_OF("to", 7, 50));
	will(LOCAL, "STATUS from" STATUS_ITEMS, "NO [NONEXISTENT] where?");
	will(LOCAL, "SELECT to", SELECTED(7, 14, 50, 3));
	will(LOCAL, IDENTITIES, MESSAGE(11, a, "") MESSAGE(12, b, "") MESSAGE(13, c, "") OK);
	moved_will(&simple);
	begin();
	expect_events("over");
	assert_pairs(to, MOVED_ALL);
}

static void a_mailbox_is_not_known(void **state)
{
	struct mailbox *from, *to;

	moved_prepare(&simple, &from, &to);
	core_forget_mailbox(&core, to);
	act(ACTION_MOVE, 1, 3);
	begin();
	expect_events("over");
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
