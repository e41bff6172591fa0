/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "proxy/router.h"
#include "sync/base/xalloc.h"
#include "sync/deeds/action.h"
#include "sync/engine/hint.h"

enum { ACCOUNTS = 3, TOLD_MAX = 400 };

struct account {
	struct hint_receiver hints;
	struct action_receiver actions;
	char told[TOLD_MAX];
};

struct fixture {
	struct router *router;
	struct account accounts[ACCOUNTS + 1];
};

static void tell(struct account *account, const char *what, const char *name, uint64_t ticket)
{
	size_t len = strlen(account->told);

	if (ticket > 0)
		(void)snprintf(account->told + len, TOLD_MAX - len, "%s %s%u;", what, name,
			(unsigned)ticket);
	else
		(void)snprintf(account->told + len, TOLD_MAX - len, "%s %s;", what,
			name != NULL ? name : "-");
}

static void on_hint(struct hint_receiver *receiver, enum hint_kind kind, const char *mailbox)
{
	static const char *const names[] = {"mailbox", "expunged", "tree", "unknown", "selected"};

	tell(container_of(receiver, struct account, hints), names[kind], mailbox, 0);
}

static void on_announce(
	struct action_receiver *receiver, uint64_t ticket, const struct client_action *action)
{
	tell(container_of(receiver, struct account, actions), "announce",
		action->mailbox != NULL ? action->mailbox : action->target, ticket);
}

static void on_outcome(struct action_receiver *receiver, uint64_t ticket,
	const struct client_action *action, enum action_result result,
	const struct copied_uids *copied)
{
	tell(container_of(receiver, struct account, actions), "outcome",
		action->mailbox != NULL ? action->mailbox : action->target, ticket);
}

static void on_removal(struct action_receiver *receiver, const struct client_removal *removal)
{
	tell(container_of(receiver, struct account, actions), "removal", removal->mailbox, 0);
}

static void join(struct fixture *fixture, size_t index, const char *reference, size_t who)
{
	struct account *account = &fixture->accounts[who];

	router_connect(fixture->router, index, reference, &account->hints, &account->actions);
}

static int setup(void **state)
{
	static const char *const references[ACCOUNTS] = {"", "Work/", "Work/Old/"};
	struct fixture *fixture = xcalloc(1, sizeof(*fixture));

	fixture->router = router_new(ACCOUNTS);
	for (size_t i = 0; i <= ACCOUNTS; i++) {
		fixture->accounts[i].hints.hint = on_hint;
		fixture->accounts[i].actions.announce = on_announce;
		fixture->accounts[i].actions.outcome = on_outcome;
		fixture->accounts[i].actions.removal = on_removal;
	}
	for (size_t i = 0; i < ACCOUNTS; i++)
		join(fixture, i, references[i], i);
	*state = fixture;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *fixture = *state;

	router_free(fixture->router);
	free(fixture);
	return 0;
}

/* What they were told since the last time. */
static void assert_told(struct fixture *fixture, const char *a, const char *b, const char *c)
{
	const char *const expected[ACCOUNTS] = {a, b, c};

	for (size_t i = 0; i < ACCOUNTS; i++) {
		assert_string_equal(fixture->accounts[i].told, expected[i]);
		fixture->accounts[i].told[0] = '\0';
	}
}

static void hint(struct fixture *fixture, enum hint_kind kind, const char *mailbox)
{
	struct hint_receiver *hints = router_hints(fixture->router);

	hints->hint(hints, kind, mailbox);
}

static void announce(
	struct fixture *fixture, uint64_t ticket, const char *mailbox, const char *target)
{
	struct action_receiver *actions = router_actions(fixture->router);
	_cleanup_free_ char *one = mailbox != NULL ? xstrdup(mailbox) : NULL;
	_cleanup_free_ char *other = target != NULL ? xstrdup(target) : NULL;
	const struct client_action action = {.kind = ACTION_MOVE, .mailbox = one, .target = other};

	actions->announce(actions, ticket, &action);
}

static void outcome(
	struct fixture *fixture, uint64_t ticket, const char *mailbox, const char *target)
{
	struct action_receiver *actions = router_actions(fixture->router);
	const struct client_action action = {
		.kind = ACTION_MOVE, .mailbox = mailbox, .target = target};

	actions->outcome(actions, ticket, &action, ACTION_DONE, NULL);
}

/* The only account that hears of a change in that mailbox, or -1. */
static int owner_of(struct fixture *fixture, const char *mailbox)
{
	int owner = -1;

	hint(fixture, HINT_MAILBOX, mailbox);
	for (size_t i = 0; i < ACCOUNTS; i++) {
		if (fixture->accounts[i].told[0] == '\0')
			continue;
		assert_int_equal(owner, -1);
		owner = (int)i;
		fixture->accounts[i].told[0] = '\0';
	}
	return owner;
}

static void test_the_longest_reference_owns(void **state)
{
	struct fixture *fixture = *state;

	assert_int_equal(owner_of(fixture, "INBOX"), 0);
	assert_int_equal(owner_of(fixture, "Work"), 0);
	assert_int_equal(owner_of(fixture, "Workshop"), 0);
	assert_int_equal(owner_of(fixture, "Work/INBOX"), 1);
	assert_int_equal(owner_of(fixture, "Work/Older"), 1);
	assert_int_equal(owner_of(fixture, "Work/Old/a/b"), 2);
	/* without the one that owns what is left */
	join(fixture, 0, "Home/", 0);
	assert_int_equal(owner_of(fixture, "INBOX"), -1);
	hint(fixture, HINT_MAILBOX, "INBOX");
	announce(fixture, 1, "INBOX", NULL);
	assert_told(fixture, "", "", "");
}

static void test_hints(void **state)
{
	struct fixture *fixture = *state;

	hint(fixture, HINT_MAILBOX, "INBOX");
	hint(fixture, HINT_EXPUNGED, "Work/a");
	hint(fixture, HINT_SELECTED, "Work/Old/b");
	assert_told(fixture, "mailbox INBOX;", "expunged Work/a;", "selected Work/Old/b;");
	hint(fixture, HINT_TREE, "Work/a");
	hint(fixture, HINT_UNKNOWN, NULL);
	assert_told(fixture, "tree Work/a;unknown -;", "tree Work/a;unknown -;",
		"tree Work/a;unknown -;");
}

static void test_actions(void **state)
{
	struct fixture *fixture = *state;

	announce(fixture, 1, "Work/a", "Work/b");
	announce(fixture, 2, "x", NULL);
	announce(fixture, 3, NULL, "Work/Old/y");
	assert_told(fixture, "announce x2;", "announce Work/a1;", "announce Work/Old/y3;");
	outcome(fixture, 2, "x", NULL);
	outcome(fixture, 1, "Work/a", "Work/b");
	outcome(fixture, 1, "Work/a", "Work/b"); /* once */
	assert_told(fixture, "outcome x2;", "outcome Work/a1;", "");
}

/* From one account to another: each sees its half, by the hints that follow. */
static void test_what_concerns_two_is_told_to_neither(void **state)
{
	struct fixture *fixture = *state;

	announce(fixture, 1, "Work/a", "b");
	announce(fixture, 2, "Work/a", "Work/Old/a");
	outcome(fixture, 1, "Work/a", "b");
	outcome(fixture, 2, "Work/a", "Work/Old/a");
	assert_told(fixture, "", "", "");
}

/* The configuration is read again while a client waits for an answer. */
static void test_a_new_receiver_hears_of_what_is_under_way(void **state)
{
	struct fixture *fixture = *state;
	struct account *last = &fixture->accounts[ACCOUNTS];

	announce(fixture, 1, "Work/a", "Work/b");
	announce(fixture, 2, "Work/c", "Work/d");
	announce(fixture, 3, "x", NULL);
	assert_told(fixture, "announce x3;", "announce Work/a1;announce Work/c2;", "");
	router_connect(fixture->router, 1, "Work/", NULL, NULL);
	outcome(fixture, 1, "Work/a", "Work/b");
	announce(fixture, 4, "Work/e", NULL);
	hint(fixture, HINT_MAILBOX, "Work/a");
	assert_told(fixture, "", "", "");
	join(fixture, 1, "Work/", ACCOUNTS);
	assert_string_equal(last->told, "announce Work/c2;");
	outcome(fixture, 2, "Work/c", "Work/d");
	outcome(fixture, 4, "Work/e", NULL);
	assert_string_equal(last->told, "announce Work/c2;outcome Work/c2;");
	assert_told(fixture, "", "", "");
	outcome(fixture, 3, "x", NULL);
	assert_told(fixture, "outcome x3;", "", "");
}

static void test_what_is_not_its_own_any_more(void **state)
{
	struct fixture *fixture = *state;

	announce(fixture, 1, "Work/a", NULL);
	assert_told(fixture, "", "announce Work/a1;", "");
	join(fixture, 1, "Job/", 1);
	outcome(fixture, 1, "Work/a", NULL);
	assert_told(fixture, "", "", "");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
		TEST(test_the_longest_reference_owns),
		TEST(test_hints),
		TEST(test_actions),
		TEST(test_what_concerns_two_is_told_to_neither),
		TEST(test_a_new_receiver_hears_of_what_is_under_way),
		TEST(test_what_is_not_its_own_any_more),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
