/* SPDX-License-Identifier: MIT */
/*
 * What a server answers to MOVE and COPY, and what is to come of it: the same whether a run found
 * out that messages were moved (carry/moves.c), or a mail client was seen to move them
 * (replay/messages.c).
 *
 * On the local side the messages 1 to 3 of "from" became 11 to 13 of "to".  On the remote side they
 * are 101 to 103, and "to" has UIDVALIDITY 7 and UIDNEXT 50.
 */
#ifndef INTERIMAP_TESTS_MOVED_CASES_H
#define INTERIMAP_TESTS_MOVED_CASES_H

#include "engine-fixture.h"

struct moved_case {
	const char *name;
	bool copies; /* the server has no MOVE */
	uint32_t paired; /* this remote UID of "to" has a pair already; or 0 */
	const char *answer;
	const char *from, *to, *intents; /* what the database holds then */
	const char *news; /* how many are said to be there now; or NULL */
	const char *events; /* that the owner is told of, with a space after each; or NULL */
};

#define MOVED_NONE "1=101 2=102 3=103"
#define MOVED_ALL "11=61 12=62 13=63"
#define MOVED_DOUBT ">11 >12 >13"

static const struct moved_case moved_cases[] = {
	{.name = "all are named",
		.answer = UNTAGGED("OK [COPYUID 7 101:103 61:63] moved") OK,
		.from = "",
		.to = MOVED_ALL,
		.intents = "",
		.news = " 3 message(s) to to"},
	{.name = "all are named in the answer itself",
		.answer = "OK [COPYUID 7 101:103 61:63] moved",
		.from = "",
		.to = MOVED_ALL,
		.intents = "",
		.news = " 3 message(s) to to"},
	{.name = "in another order",
		.answer = UNTAGGED("OK [COPYUID 7 103,101:102 63,61:62] moved") OK,
		.from = "",
		.to = MOVED_ALL,
		.intents = "",
		.news = " 3 message(s) to to"},
	{.name = "one was not there any more",
		.answer = UNTAGGED("OK [COPYUID 7 101,103 61:62] moved") OK,
		.from = "2=102",
		.to = "11=61 13=62",
		.intents = ">12",
		.news = " 2 message(s) to to"},
	{.name = "one more is named than was asked for",
		.answer = UNTAGGED("OK [COPYUID 7 101:104 61:64] moved") OK,
		.from = "",
		.to = MOVED_ALL,
		.intents = "",
		.news = " 3 message(s) to to"},
	{.name = "fewer new UIDs than old ones",
		.answer = UNTAGGED("OK [COPYUID 7 101:103 61:62] moved") OK,
		.from = MOVED_NONE,
		.to = "",
		.intents = MOVED_DOUBT},
	{.name = "a new UID twice",
		.answer = UNTAGGED("OK [COPYUID 7 101:103 61,61,62] moved") OK,
		.from = MOVED_NONE,
		.to = "",
		.intents = MOVED_DOUBT},
	{.name = "an old UID twice",
		.answer = UNTAGGED("OK [COPYUID 7 101,101,102 61:63] moved") OK,
		.from = MOVED_NONE,
		.to = "",
		.intents = MOVED_DOUBT},
	{.name = "no COPYUID", .answer = OK, .from = MOVED_NONE, .to = "", .intents = MOVED_DOUBT},
	{.name = "another UIDVALIDITY",
		.answer = UNTAGGED("OK [COPYUID 8 101:103 61:63] moved") OK,
		.from = MOVED_NONE,
		.to = "",
		.intents = MOVED_DOUBT},
	{.name = "UIDs that are not new",
		.answer = UNTAGGED("OK [COPYUID 7 101:103 48:50] moved") OK,
		.from = MOVED_NONE,
		.to = "",
		.intents = MOVED_DOUBT},
	{.name = "a UID that has a pair already",
		.paired = 62,
		.answer = UNTAGGED("OK [COPYUID 7 101:103 61:63] moved") OK,
		.from = "",
		.to = "9=62 11=61 13=63",
		.intents = "",
		.news = " 2 message(s) to to"},
	{.name = "refused: some may have been moved",
		.answer = "NO not today",
		.from = MOVED_NONE,
		.to = "",
		.intents = MOVED_DOUBT},
	{.name = "refused after the first",
		.answer = UNTAGGED("OK [COPYUID 7 101 61] moved") "NO that is enough",
		.from = "2=102 3=103",
		.to = "11=61",
		.intents = ">12 >13",
		.news = " 1 message(s) to to"},
	{.name = "without MOVE, copied",
		.copies = true,
		.answer = "OK [COPYUID 7 101:103 61:63] copied",
		.from = MOVED_NONE,
		.to = MOVED_ALL,
		.intents = "",
		.news = " 3 message(s) to to"},
	{.name = "without MOVE, one was not there any more",
		.copies = true,
		.answer = "OK [COPYUID 7 101,103 61:62] copied",
		.from = MOVED_NONE,
		.to = "11=61 13=62",
		.intents = ">12",
		.news = " 2 message(s) to to"},
	{.name = "without MOVE, no COPYUID",
		.copies = true,
		.answer = OK,
		.from = MOVED_NONE,
		.to = "",
		.intents = MOVED_DOUBT},
	{.name = "without MOVE, a COPYUID ahead of the answer",
		.copies = true,
		.answer = UNTAGGED("OK [COPYUID 7 101:103 61:63] copied") OK,
		.from = MOVED_NONE,
		.to = "",
		.intents = MOVED_DOUBT,
		.events = "told:remote "},
	{.name = "without MOVE, refused: nothing was copied",
		.copies = true,
		.answer = "NO not today",
		.from = MOVED_NONE,
		.to = "",
		.intents = ""},
};

/* Both mailboxes, as they are before the command; the sides are connected. */
static inline void moved_prepare(
	const struct moved_case *moved, struct mailbox **ret_from, struct mailbox **ret_to)
{
	capabilities[REMOTE] = moved->copies ? "OBJECTID" : "MOVE OBJECTID";
	connect_sides();
	*ret_from = add_mailbox("from");
	*ret_to = add_mailbox("to");
	for (uint32_t uid = 1; uid <= 3; uid++)
		add_pair(*ret_from, uid, 100 + uid);
	if (moved->paired != 0)
		add_pair(*ret_to, 9, moved->paired);
}

/* The command itself. */
static inline void moved_will(const struct moved_case *moved)
{
	will(REMOTE, "SELECT from", SELECTED(7, 104, 50, 3));
	will(REMOTE, moved->copies ? "UID COPY 101:103 to" : "UID MOVE 101:103 to", moved->answer);
}

static inline void moved_check(
	const struct moved_case *moved, const struct mailbox *from, const struct mailbox *to)
{
	assert_pairs(from, moved->from);
	assert_pairs(to, moved->to);
	assert_intents(to, moved->intents);
	if (moved->news != NULL)
		assert_true(said(moved->news));
	else
		assert_false(said("message(s) to to"));
}

/* What happened is that, and no more. */
static inline void moved_check_events(const struct moved_case *moved, const char *more)
{
	_cleanup_free_ char *expected =
		xasprintf("%s%s", moved->events != NULL ? moved->events : "", more);
	_cleanup_free_ char *events = NULL;

	run_ready();
	events = xmemdup0(buf_data(&wire.events), buf_len(&wire.events));
	assert_string_equal(events, expected);
}

/* Each case is a test, and so is each of the others. */
static inline int run_moved_tests(
	void (*test)(void **state), const struct CMUnitTest *others, size_t others_count)
{
	enum { CASES = 2 * ARRAY_LEN(moved_cases), MOST = CASES + 50 };
	struct CMUnitTest tests[MOST];

	assert_true(others_count <= MOST - CASES);
	for (size_t i = 0; i < CASES; i++)
		tests[i] = (struct CMUnitTest){
			.name = moved_cases[i / 2].name,
			.test_func = test,
			.setup_func = i % 2 == 0 ? setup : setup_slow,
			.teardown_func = teardown,
			.initial_state = (void *)&moved_cases[i / 2],
		};
	memcpy(tests + CASES, others, others_count * sizeof(*others));
	return _cmocka_run_group_tests("moved", tests, CASES + others_count, NULL, NULL);
}

#endif
