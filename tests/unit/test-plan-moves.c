/* SPDX-License-Identifier: MIT */
/* plan_moves(): what is recognised as moved, and above all what is not. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "sync/base/xalloc.h"
#include "sync/imap/flags.h"
#include "sync/plan/moves.h"

enum { A = 1, B, C, MOST = 8 };

static struct flag_pool *pool;

struct lists {
	struct plan_traveller gone[MOST], arrived[MOST];
	size_t gone_count, arrived_count;
	size_t origins[MOST];
};

static struct plan_traveller message(int64_t mailbox, const char *name)
{
	static const uint8_t nothing[16];
	struct plan_traveller message = {
		.mailbox = mailbox, .digest = nothing, .size = 1000, .date = 77};
	static uint8_t digests[128][16];

	if (name != NULL) {
		message.named = true;
		message.digest = digests[(unsigned char)name[0] % 128];
		digests[(unsigned char)name[0] % 128][3] = (uint8_t)name[0];
	}
	message.flags = flags_empty(pool);
	return message;
}

static struct plan_traveller *gone(struct lists *lists, int64_t mailbox, const char *name)
{
	lists->gone[lists->gone_count] = message(mailbox, name);
	return &lists->gone[lists->gone_count++];
}

static struct plan_traveller *arrived(struct lists *lists, int64_t mailbox, const char *name)
{
	lists->arrived[lists->arrived_count] = message(mailbox, name);
	return &lists->arrived[lists->arrived_count++];
}

/* "0 - 2": the origins, "-" for none. */
static void assert_moves(struct lists *lists, const char *expected)
{
	char text[4 * MOST] = "";

	memset(lists->origins, 0x55, sizeof(lists->origins));
	plan_moves(lists->gone, lists->gone_count, lists->arrived, lists->arrived_count,
		lists->origins);
	for (size_t i = 0; i < lists->arrived_count; i++) {
		char word[3] = {i > 0 ? ' ' : '\0', '\0', '\0'};
		char *at = i > 0 ? word + 1 : word;

		*at = lists->origins[i] == PLAN_NOT_MOVED ? '-' : (char)('0' + lists->origins[i]);
		strcat(text, word);
	}
	assert_string_equal(text, expected);
}

static void nothing_at_all(void **state)
{
	struct lists lists = {0};

	assert_moves(&lists, "");
	(void)gone(&lists, A, "x");
	assert_moves(&lists, "");
	lists.gone_count = 0;
	(void)arrived(&lists, B, "x");
	assert_moves(&lists, "-");
}

static void one_by_one(void **state)
{
	struct lists lists = {0};

	(void)gone(&lists, A, "x");
	(void)gone(&lists, A, "y");
	(void)gone(&lists, B, "z");
	(void)arrived(&lists, C, "z");
	(void)arrived(&lists, B, "y");
	(void)arrived(&lists, C, "q");
	(void)arrived(&lists, C, "x");
	assert_moves(&lists, "2 1 - 0");
}

static void all_of_it_must_agree(void **state)
{
	struct lists lists = {0};
	struct plan_traveller *there;

	(void)gone(&lists, A, "x");
	there = arrived(&lists, B, "x");
	there->size++;
	assert_moves(&lists, "-");
	*there = message(B, "x");
	there->date--;
	assert_moves(&lists, "-");
	*there = message(B, "y");
	assert_moves(&lists, "-");
	*there = message(B, "x");
	assert_moves(&lists, "0");
}

/* Two different messages of one size may well come within a second. */
static void without_a_name(void **state)
{
	struct lists lists = {0};

	(void)gone(&lists, A, NULL);
	(void)arrived(&lists, B, NULL);
	assert_moves(&lists, "-");
}

static void within_one_mailbox(void **state)
{
	struct lists lists = {0};

	(void)gone(&lists, A, "x");
	(void)arrived(&lists, A, "x");
	assert_moves(&lists, "-");
}

static void twins_keep_their_order(void **state)
{
	struct lists lists = {0};

	(void)gone(&lists, A, "x");
	(void)gone(&lists, A, "y");
	(void)gone(&lists, A, "x");
	(void)arrived(&lists, B, "x");
	(void)arrived(&lists, B, "x");
	(void)arrived(&lists, B, "y");
	assert_moves(&lists, "0 2 1");
}

static void twins_of_which_one_is_missing(void **state)
{
	struct lists lists = {0};

	(void)gone(&lists, A, "x");
	(void)gone(&lists, A, "x");
	(void)arrived(&lists, B, "x");
	assert_moves(&lists, "-");
	(void)arrived(&lists, B, "x");
	assert_moves(&lists, "0 1");
	(void)arrived(&lists, B, "x");
	assert_moves(&lists, "- - -");
}

static void twins_of_several_mailboxes(void **state)
{
	struct lists lists = {0};

	(void)gone(&lists, A, "x");
	(void)gone(&lists, C, "x");
	(void)arrived(&lists, B, "x");
	(void)arrived(&lists, B, "x");
	assert_moves(&lists, "- -");
	lists.gone[1].mailbox = A;
	assert_moves(&lists, "0 1");
	lists.arrived[1].mailbox = C;
	assert_moves(&lists, "- -");
}

static void twins_with_other_flags(void **state)
{
	struct slice seen = {.data = "\\Seen", .len = 5};
	struct lists lists = {0};

	(void)gone(&lists, A, "x");
	gone(&lists, A, "x")->flags = flags_intern(pool, &seen, 1);
	arrived(&lists, B, "x")->flags = flags_intern(pool, &seen, 1);
	(void)arrived(&lists, B, "x");
	assert_moves(&lists, "- -");
	lists.gone[0].flags = lists.gone[1].flags;
	assert_moves(&lists, "0 1");
}

static void email_ids_make_sure(void **state)
{
	struct lists lists = {0};

	/* No Message-ID, and a server that counts bytes in another way. */
	gone(&lists, A, NULL)->email_id = "M1";
	gone(&lists, A, NULL)->email_id = "M2";
	lists.gone[1].size = 7;
	arrived(&lists, B, NULL)->email_id = "M2";
	arrived(&lists, B, NULL)->email_id = "M3";
	arrived(&lists, B, NULL)->email_id = "M1";
	assert_moves(&lists, "1 - 0");
	/* The copy on the other side keeps its date. */
	lists.arrived[0].date++;
	assert_moves(&lists, "- - 0");
}

static void email_ids_that_differ(void **state)
{
	struct lists lists = {0};

	gone(&lists, A, "x")->email_id = "M1";
	arrived(&lists, B, "x")->email_id = "M2";
	assert_moves(&lists, "-");
	lists.gone[0].email_id = NULL;
	assert_moves(&lists, "0");
	lists.gone[0].email_id = "M1";
	lists.arrived[0].email_id = NULL;
	assert_moves(&lists, "0");
}

/* Moved to one place and copied to another: which one was moved is not known. */
static void email_id_in_two_places(void **state)
{
	struct lists lists = {0};

	gone(&lists, A, "x")->email_id = "M1";
	arrived(&lists, B, "x")->email_id = "M1";
	arrived(&lists, C, "x")->email_id = "M1";
	assert_moves(&lists, "- -");
}

static void many(void **state)
{
	enum { COUNT = 100000 };
	struct plan_traveller *gone = xcalloc(COUNT, sizeof(*gone));
	struct plan_traveller *arrived = xcalloc(COUNT, sizeof(*arrived));
	size_t *origins = xcalloc(COUNT, sizeof(*origins));

	for (size_t i = 0; i < COUNT; i++) {
		gone[i] = message(A, "x");
		gone[i].size = i;
		arrived[COUNT - 1 - i] = message(B, "x");
		arrived[COUNT - 1 - i].size = i;
	}
	plan_moves(gone, COUNT, arrived, COUNT, origins);
	for (size_t i = 0; i < COUNT; i++)
		assert_int_equal(origins[i], COUNT - 1 - i);
	free(gone);
	free(arrived);
	free(origins);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(nothing_at_all),
		cmocka_unit_test(one_by_one),
		cmocka_unit_test(all_of_it_must_agree),
		cmocka_unit_test(without_a_name),
		cmocka_unit_test(within_one_mailbox),
		cmocka_unit_test(twins_keep_their_order),
		cmocka_unit_test(twins_of_which_one_is_missing),
		cmocka_unit_test(twins_of_several_mailboxes),
		cmocka_unit_test(twins_with_other_flags),
		cmocka_unit_test(email_ids_make_sure),
		cmocka_unit_test(email_ids_that_differ),
		cmocka_unit_test(email_id_in_two_places),
		cmocka_unit_test(many),
	};
	int failed;

	cmocka_set_message_output(CM_OUTPUT_TAP);
	pool = flag_pool_new();
	failed = cmocka_run_group_tests(tests, NULL, NULL);
	flag_pool_free(pool);
	return failed;
}
