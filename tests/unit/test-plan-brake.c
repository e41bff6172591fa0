/* SPDX-License-Identifier: MIT */
/* plan_brake(): when so much has vanished that a person is asked. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "sync/base/xalloc.h"
#include "sync/plan/brake.h"

static const struct plan_brake standard = {.count = 100, .percent = 50, .side_percent = 20};
static const struct plan_losses nothing = {.now = 1, .left = 1000000};

/* One mailbox among many messages. */
static void test_mailbox(void **state)
{
	static const struct {
		struct plan_brake brake;
		uint64_t deletions, size;
		bool holds;
	} cases[] = {
		{{.count = 100, .percent = 50}, 101, 200, true},
		{{.count = 100, .percent = 50}, 100, 150, false},
		{{.count = 100, .percent = 50}, 101, 202, false},
		{{.count = 100, .percent = 50}, 101, 201, true},
		{{.count = 100, .percent = 50}, 1000, 1000000, false},
		{{.off = true, .count = 100, .percent = 50}, 1000, 1000, false},
		{{.count = 10}, 11, 1000000, true},
		{{.count = 10}, 10, 10, false},
		{{.percent = 20, .side_percent = 20}, 1, 4, true},
		{{.percent = 20, .side_percent = 20}, 1, 5, false},
		{{.percent = 100, .side_percent = 100}, 5, 5, false},
		{{0}, 1, 1000, true},
		{{0}, 0, 0, false},
		{{.percent = 50, .side_percent = 50}, UINT64_MAX, UINT64_MAX, true},
		{{.percent = 100, .side_percent = 100}, UINT64_MAX, UINT64_MAX, false},
	};

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct plan_losses mailbox = {.now = cases[i].deletions, .left = cases[i].size};

		assert_int_equal(plan_brake(&cases[i].brake, &mailbox, &nothing, false),
			cases[i].holds ? PLAN_HOLD_MAILBOX : PLAN_PASS);
	}
}

/* Half of what is left, again and again: the share is that of what was there. */
static void test_recent(void **state)
{
	struct plan_losses mailbox = {.left = 3000};
	unsigned passes = 0;

	for (; mailbox.left > 1; passes++) {
		mailbox.now = mailbox.left / 2;
		if (plan_brake(&standard, &mailbox, &nothing, false) != PLAN_PASS)
			break;
		mailbox.recent += mailbox.now;
		mailbox.left -= mailbox.now;
	}
	assert_int_equal(passes, 1);
	assert_int_equal(mailbox.left, 1500);
}

static void test_side(void **state)
{
	static const struct {
		struct plan_losses side;
		enum plan_hold hold;
	} cases[] = {
		{{.now = 80, .left = 6400}, PLAN_PASS},
		{{.now = 80, .held = 3120, .left = 6400}, PLAN_HOLD_SIDE},
		{{.now = 80, .recent = 1280, .left = 5120}, PLAN_HOLD_SIDE},
		{{.now = 80, .recent = 1200, .left = 5200}, PLAN_PASS},
		{{.now = 80, .held = 20, .left = 110}, PLAN_PASS}, /* no more than a hundred */
	};
	static const struct plan_losses mailbox = {.now = 80, .left = 80};

	for (size_t i = 0; i < ARRAY_LEN(cases); i++)
		assert_int_equal(
			plan_brake(&standard, &mailbox, &cases[i].side, false), cases[i].hold);
}

/* An account that is one large mailbox may lose as much of it as any mailbox. */
static void test_alone(void **state)
{
	static const struct plan_losses mailbox = {.now = 110, .recent = 4, .left = 226};
	struct plan_losses side = mailbox;

	assert_int_equal(plan_brake(&standard, &mailbox, &side, false), PLAN_PASS);
	side.recent++;
	assert_int_equal(plan_brake(&standard, &mailbox, &side, false), PLAN_HOLD_SIDE);
}

static void test_inbox(void **state)
{
	static const struct {
		struct plan_losses inbox;
		bool holds;
	} cases[] = {
		{{.now = 99, .left = 100}, true},
		{{.now = 21, .left = 21}, true},
		{{.now = 20, .left = 20}, false},
		{{.now = 90, .left = 100}, false},
		{{.now = 1, .left = 10, .recent = 90, .burst = 90}, true},
		{{.now = 1, .left = 10, .recent = 90}, false},
	};

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		assert_int_equal(plan_brake(&standard, &cases[i].inbox, &nothing, true),
			cases[i].holds ? PLAN_HOLD_MAILBOX : PLAN_PASS);
		assert_int_equal(
			plan_brake(&standard, &cases[i].inbox, &nothing, false), PLAN_PASS);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_mailbox),
		cmocka_unit_test(test_recent),
		cmocka_unit_test(test_side),
		cmocka_unit_test(test_alone),
		cmocka_unit_test(test_inbox),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
