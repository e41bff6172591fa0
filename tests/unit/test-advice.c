/* SPDX-License-Identifier: MIT */
/* core/advice.c: what a person is advised to run can be pasted into a shell as it is. */
#include "tests/unit/engine-fixture.h"

#include "sync/base/limits.h"
#include "sync/core/advice.h"

static void assert_advice(const char *name, const char *other, const char *expected)
{
	_cleanup_free_ char *text = advice(&core, "--rename", name, other);

	assert_string_equal(text, expected);
}

static void names(void **state)
{
	assert_advice(NULL, NULL, "interimap --rename");
	assert_advice("Work", NULL, "interimap --rename Work");
	assert_advice("Work", "Old/Work", "interimap --rename Work Old/Work");
	assert_advice("two words", NULL, "interimap --rename 'two words'");
	assert_advice("it's", NULL, "interimap --rename 'it'\\''s'");
	assert_advice("$(reboot)", "`id`", "interimap --rename '$(reboot)' '`id`'");
	assert_advice("", NULL, "interimap --rename ''");
	assert_advice("a\nb", NULL, "interimap --rename $'a\\012b'");
}

static void a_name_like_an_option(void **state)
{
	assert_advice("-rf", NULL, "interimap --rename -- -rf");
	assert_advice("a", "--all", "interimap --rename -- a --all");
	assert_advice("a-b", NULL, "interimap --rename a-b");
}

static void the_configuration(void **state)
{
	account.config_given = "my file";
	assert_advice("Work", NULL, "interimap '--config=my file' --rename Work");
	account.config_given = "work";
	assert_advice("-x", NULL, "interimap --config=work --rename -- -x");
}

/* At least one, and no more than a line should hold. */
static void many_names(void **state)
{
	char name[200];
	const char *list[LIMIT_ADVICE];
	_cleanup_free_ char *text = NULL, *one = NULL;
	size_t named = 0;

	memset(name, 'n', sizeof(name) - 1);
	name[sizeof(name) - 1] = '\0';
	for (size_t i = 0; i < ARRAY_LEN(list); i++)
		list[i] = name;
	text = advice_for_all(&core, "--delete", list, ARRAY_LEN(list), &named);
	assert_true(named > 1 && named < ARRAY_LEN(list));
	assert_true(strlen(text) >= LIMIT_ADVICE && strlen(text) < LIMIT_ADVICE + sizeof(name) + 1);
	assert_int_equal(strlen(text), strlen("interimap --delete") + named * sizeof(name));
	one = advice_for_all(&core, "--delete", list, 1, &named);
	assert_int_equal(named, 1);
}

static void a_missing_mailbox(void **state)
{
	struct mailbox *mailbox = add_mailbox("My box");
	_cleanup_free_ char *text = NULL;

	mailbox->presence.missing = &core.remote;
	text = missing_advice(&core, mailbox);
	assert_string_equal(text,
		"To get it back, run `interimap --target=database --delete 'My box'`: the next run "
		"makes it again from the local server. Only if it is meant to be gone, run "
		"`interimap --delete 'My box'`, which deletes it on the local server as well, with "
		"all messages in it");
}

#define advice_test(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		advice_test(names),
		advice_test(a_name_like_an_option),
		advice_test(the_configuration),
		advice_test(many_names),
		advice_test(a_missing_mailbox),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
