/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <fcntl.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "proxy/arguments.h"
#include "sync/base/xalloc.h"

enum { WORDS_MAX = ARGUMENTS_CONFIGS + 8 };

static char *words[WORDS_MAX];

/* Parses the words of a line; what is said goes nowhere. */
static bool parse(struct arguments *arguments, const char *line)
{
	static char text[1100];
	int argc = 1, old = dup(STDERR_FILENO), nowhere = open("/dev/null", O_WRONLY);
	bool good;

	(void)snprintf(text, sizeof(text), "%s", line);
	memset(words, 0, sizeof(words));
	words[0] = (char[]){"interimap"};
	for (char *word = strtok(text, " "); word != NULL && argc < WORDS_MAX - 1;
		word = strtok(NULL, " "))
		words[argc++] = word;
	optind = 0; /* begin anew: glibc's getopt(3) */
	dup2(nowhere, STDERR_FILENO);
	good = arguments_parse(arguments, argc, words);
	dup2(old, STDERR_FILENO);
	close(old);
	close(nowhere);
	return good;
}

static struct arguments parsed(const char *line)
{
	struct arguments arguments;

	if (!parse(&arguments, line))
		fail_msg("refused: %s", line);
	return arguments;
}

static void assert_mailboxes(const struct arguments *arguments, const char *first, size_t count)
{
	size_t found = 0;

	while (arguments->job.mailboxes != NULL && arguments->job.mailboxes[found] != NULL)
		found++;
	assert_int_equal(found, count);
	if (count > 0)
		assert_string_equal(arguments->job.mailboxes[0], first);
}

static void test_nothing(void **state)
{
	struct arguments arguments = parsed("");

	assert_null(arguments.job.mailboxes);
	assert_null(arguments.configs[0]);
	assert_true(arguments.job.local && arguments.job.remote && arguments.job.database);
	assert_false(arguments.watch || arguments.notify || arguments.proxy);
	assert_int_equal(arguments.job.kind, JOB_SYNC);
	assert_int_equal(arguments.debug, 0);
}

static void test_options_end_at_the_first_mailbox(void **state)
{
	struct arguments arguments = parsed("-q INBOX --debug -h");

	assert_true(arguments.quiet);
	assert_int_equal(arguments.debug, 0);
	assert_false(arguments.help);
	assert_mailboxes(&arguments, "INBOX", 3);
	arguments = parsed("--delete -- --debug");
	assert_mailboxes(&arguments, "--debug", 1);
	assert_int_equal(arguments.debug, 0);
}

static void test_bundles_and_values(void **state)
{
	struct arguments arguments = parsed("-qh");

	assert_true(arguments.quiet && arguments.help);
	assert_string_equal(parsed("--config=a=b").configs[0], "a=b");
	arguments = parsed("--config --quiet --debug --debug x");
	assert_string_equal(arguments.configs[0], "--quiet");
	assert_int_equal(arguments.debug, 2);
	assert_false(arguments.quiet);
	assert_mailboxes(&arguments, "x", 1);
}

static void test_several_configurations(void **state)
{
	struct arguments arguments = parsed("--proxy --config=a --config b");
	char line[1100] = "--proxy";

	assert_int_equal(arguments.config_count, 2);
	assert_string_equal(arguments.configs[0], "a");
	assert_string_equal(arguments.configs[1], "b");
	assert_false(parse(&arguments, "--config=a --config=b"));
	assert_false(parse(&arguments, "--notify --config=a --config=b"));
	for (int i = 0; i < ARGUMENTS_CONFIGS; i++)
		(void)strcat(line, " --config=x");
	assert_int_equal(parsed(line).config_count, ARGUMENTS_CONFIGS);
	assert_false(parse(&arguments, strcat(line, " --config=x")));
}

static void test_watch(void **state)
{
	struct arguments arguments = parsed("--watch");

	assert_true(arguments.watch);
	assert_int_equal(arguments.interval, 0);
	assert_int_equal(parsed("--watch=7").interval, 7);
	assert_int_equal(parsed("--watch=0").interval, 0);
	assert_int_equal(parsed("--watch=31536000 --notify").interval, 31536000);
	/* A number behind it is its value; anything else is not. */
	arguments = parsed("--watch 60 INBOX");
	assert_int_equal(arguments.interval, 60);
	assert_mailboxes(&arguments, "INBOX", 1);
	arguments = parsed("--watch 6x");
	assert_int_equal(arguments.interval, 0);
	assert_mailboxes(&arguments, "6x", 1);
	assert_true(parsed("--watch --quiet").quiet);
}

static void test_commands(void **state)
{
	struct arguments arguments = parsed("--repair");

	assert_int_equal(arguments.job.kind, JOB_REPAIR);
	assert_null(arguments.job.mailboxes);
	assert_mailboxes((arguments = parsed("--repair a b"), &arguments), "a", 2);
	arguments = parsed("--delete a");
	assert_int_equal(arguments.job.kind, JOB_DELETE);
	arguments = parsed("--rename a b");
	assert_int_equal(arguments.job.kind, JOB_RENAME);
	assert_mailboxes(&arguments, "a", 2);
	assert_int_equal(parsed("--delete --delete a").job.kind, JOB_DELETE);
	assert_int_equal(parsed("--verify").job.kind, JOB_VERIFY);
}

static void test_status(void **state)
{
	struct arguments arguments = parsed("--status");

	assert_true(arguments.job.kind == JOB_STATUS && !arguments.json);
	arguments = parsed("--status=json --config x");
	assert_true(arguments.job.kind == JOB_STATUS && arguments.json);
	assert_int_equal(parsed("--quiet --status").job.kind, JOB_STATUS);
}

static void test_targets(void **state)
{
	struct arguments arguments = parsed("--target=local --delete a");

	assert_true(arguments.job.local && !arguments.job.remote && !arguments.job.database);
	arguments = parsed("--delete --target=database,remote a");
	assert_true(!arguments.job.local && arguments.job.remote && arguments.job.database);
	arguments = parsed("--target local --target remote --target local --rename a b");
	assert_true(arguments.job.local && arguments.job.remote && !arguments.job.database);
	arguments = parsed("--target=local,remote,database --delete a");
	assert_true(arguments.job.local && arguments.job.remote && arguments.job.database);
}

static void test_help_beats_conflicts(void **state)
{
	assert_true(parsed("--help --delete").help);
	assert_true(parsed("--version --rename x").version);
}

static void test_refused(void **state)
{
	static const char *const lines[] = {"--nothing", "--qui", "--conf=x", "--rep", "-x", "-qx",
		"--quiet=1", "--notify=1", "--no-notify", "--QUIET", "-quiet", "--config",
		"--watch=", "--watch=x", "--watch=1.5", "--watch=1s", "--watch=-1", "--watch=+1",
		"--watch=31536001", "--watch=99999999999999999999", "--target",
		"--target=", "--target=,", "--target=local,", "--target=local,,remote --delete a",
		"--target=LOCAL --delete a", "--target=loc --delete a", "--target=local",
		"--target=local a", "--target=local --repair", "--delete", "--rename", "--rename a",
		"--rename a b c", "--delete --rename a b", "--repair --delete a",
		"--repair --rename a b", "--repair --watch", "--repair --notify",
		"--delete --watch=5 a", "--rename --notify a b", "--proxy a", "--proxy --repair",
		"--proxy --delete a", "--allow-deletions", "--allow-deletions --delete a",
		"--proxy --allow-deletions", "--status=", "--status=xml", "--status=JSON",
		"--status json", "--status 1", "--status a", "--status --repair",
		"--status --delete a", "--status --proxy", "--status --watch", "--status --notify",
		"--status --target=local", "--status --allow-deletions a", "--verify --repair",
		"--verify --watch", "--verify --proxy", "--verify --target=local",
		"--verify --allow-deletions a", "Entw\xc3\xbcrfe", "--delete a \xe9"};

	for (size_t i = 0; i < ARRAY_LEN(lines); i++) {
		struct arguments arguments;

		if (parse(&arguments, lines[i]))
			fail_msg("taken: %s", lines[i]);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_nothing),
		cmocka_unit_test(test_options_end_at_the_first_mailbox),
		cmocka_unit_test(test_bundles_and_values),
		cmocka_unit_test(test_several_configurations),
		cmocka_unit_test(test_watch),
		cmocka_unit_test(test_commands),
		cmocka_unit_test(test_status),
		cmocka_unit_test(test_targets),
		cmocka_unit_test(test_help_beats_conflicts),
		cmocka_unit_test(test_refused),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
