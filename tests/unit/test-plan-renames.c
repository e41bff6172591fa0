/* SPDX-License-Identifier: MIT */
/* plan_renames(): what has another name now, and what only seems to. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "sync/plan/renames.h"

enum { MOST = 8 };

struct lists {
	struct plan_place known[MOST], listed[MOST];
	size_t known_count, listed_count;
};

static struct plan_place place(const char *name, uint32_t uidvalidity)
{
	return (struct plan_place){.name = name,
		.len = strlen(name),
		.uidvalidity = uidvalidity,
		.uidnext = 10,
		.highestmodseq = 100};
}

static void known(struct lists *lists, const char *name, uint32_t uidvalidity)
{
	lists->known[lists->known_count++] = place(name, uidvalidity);
}

static struct plan_place *listed(struct lists *lists, const char *name, uint32_t uidvalidity)
{
	lists->listed[lists->listed_count] = place(name, uidvalidity);
	return &lists->listed[lists->listed_count++];
}

/* "a>b c>d", by UIDVALIDITY. */
static void assert_renames(struct lists *lists, const char *expected)
{
	struct plan_rename *renames;
	size_t count;
	char text[64] = "";

	plan_renames(lists->known, lists->known_count, lists->listed, lists->listed_count, &renames,
		&count);
	for (size_t i = 0; i < count; i++) {
		size_t len = strlen(text);

		(void)snprintf(text + len, sizeof(text) - len, "%s%s>%s", i > 0 ? " " : "",
			renames[i].from->name, renames[i].to->name);
	}
	free(renames);
	assert_string_equal(text, expected);
}

static void test_nothing(void **state)
{
	struct lists lists = {0};

	assert_renames(&lists, "");
	known(&lists, "a", 1);
	known(&lists, "new here", 0);
	listed(&lists, "a", 1);
	listed(&lists, "b", 2);
	listed(&lists, "without a status", 0);
	assert_renames(&lists, "");
}

static void test_renamed(void **state)
{
	struct lists lists = {0};

	known(&lists, "a", 1);
	known(&lists, "b", 2);
	known(&lists, "gone", 3);
	listed(&lists, "c", 1);
	listed(&lists, "b", 2);
	assert_renames(&lists, "a>c");
}

static void test_swapped(void **state)
{
	struct lists lists = {0};

	known(&lists, "b", 2);
	known(&lists, "a", 1);
	listed(&lists, "a", 2);
	listed(&lists, "b", 1);
	assert_renames(&lists, "a>b b>a");
}

/* Servers that have the same UIDVALIDITY everywhere say nothing by it. */
static void test_not_unique(void **state)
{
	struct lists lists = {0};

	known(&lists, "a", 1);
	known(&lists, "b", 1);
	listed(&lists, "c", 1);
	assert_renames(&lists, "");
	lists.known_count = 1;
	assert_renames(&lists, "a>c");
	listed(&lists, "d", 1);
	assert_renames(&lists, "");
}

/* What went back is not the same one, but a restored or another one. */
static void test_went_back(void **state)
{
	struct lists lists = {0};

	known(&lists, "a", 1);
	listed(&lists, "c", 1)->uidnext = 9;
	assert_renames(&lists, "");
	lists.listed[0] = place("c", 1);
	lists.listed[0].highestmodseq = 99;
	assert_renames(&lists, "");
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_nothing),
		cmocka_unit_test(test_renamed),
		cmocka_unit_test(test_swapped),
		cmocka_unit_test(test_not_unique),
		cmocka_unit_test(test_went_back),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
