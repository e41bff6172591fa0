/* SPDX-License-Identifier: MIT */
/* Several files at once: what they must have in common, and what not. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "proxy/arguments.h"
#include "proxy/configuration.h"
#include "sync/base/xalloc.h"
#include "sync/config/account.h"

static const char remote[] = "[remote]\ntype = tunnel\ncommand = false\n";

struct fixture {
	char directory[40];
	struct arguments arguments;
	char *paths[4];
	struct configuration configuration;
	char *reason;
};

static int setup(void **state)
{
	struct fixture *fixture = xcalloc(1, sizeof(*fixture));

	(void)stpcpy(fixture->directory, "/tmp/test-configuration-XXXXXX");
	assert_non_null(mkdtemp(fixture->directory));
	*state = fixture;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *fixture = *state;
	_cleanup_free_ char *below = xasprintf("%s/other", fixture->directory);

	configuration_done(&fixture->configuration);
	for (size_t i = 0; i < ARRAY_LEN(fixture->paths); i++) {
		if (fixture->paths[i] != NULL)
			(void)unlink(fixture->paths[i]);
		free(fixture->paths[i]);
	}
	(void)rmdir(below);
	assert_int_equal(rmdir(fixture->directory), 0);
	free(fixture->reason);
	free(fixture);
	return 0;
}

/* One more file. */
static void add(struct fixture *fixture, const char *name, const char *text)
{
	char *path = xasprintf("%s/%s", fixture->directory, name);
	FILE *file = fopen(path, "we");

	assert_non_null(file);
	(void)fputs(text, file);
	(void)fputs(remote, file);
	assert_int_equal(fclose(file), 0);
	fixture->arguments.configs[fixture->arguments.config_count] = path;
	fixture->paths[fixture->arguments.config_count++] = path;
}

static bool load(struct fixture *fixture)
{
	return configuration_load(&fixture->arguments, &fixture->configuration, &fixture->reason);
}

/* Two files of which the second is refused, with a sentence that has these words and its name. */
static void assert_refused(
	struct fixture *fixture, const char *first, const char *second, const char *words)
{
	add(fixture, "first", first);
	add(fixture, "second", second);
	assert_false(load(fixture));
	if (strstr(fixture->reason, words) == NULL)
		fail_msg("no \"%s\" in: %s", words, fixture->reason);
	assert_non_null(strstr(fixture->reason, "/second"));
	assert_int_equal(fixture->configuration.count, 0);
}

static void test_one_has_no_name(void **state)
{
	struct fixture *fixture = *state;

	add(fixture, "one", "database = /x/1.db\n");
	assert_true(load(fixture));
	assert_int_equal(fixture->configuration.count, 1);
	assert_null(fixture->configuration.accounts[0]->name);
	assert_string_equal(fixture->configuration.accounts[0]->remote.name, "remote");
}

static void test_several_have(void **state)
{
	struct fixture *fixture = *state;
	_cleanup_free_ char *below = xasprintf("%s/other", fixture->directory);
	struct account **accounts;

	assert_int_equal(mkdir(below, 0700), 0);
	add(fixture, "home.conf",
		"database = /x/1.db\n[local]\ntype = maildir\npath = /m\n"
		"[proxy]\npassword = x\n");
	add(fixture, "work",
		"database = /x/2.db\n[local]\ntype = maildir\npath = /m\n"
		"list-reference = Work/\n");
	add(fixture, "other/work",
		"database = /x/3.db\n[local]\ntype = maildir\npath = /m\n"
		"list-reference = Old/\n");
	assert_true(load(fixture));
	accounts = fixture->configuration.accounts;
	assert_int_equal(fixture->configuration.count, 3);
	assert_string_equal(accounts[0]->name, "home");
	assert_string_equal(accounts[0]->remote.name, "home/remote");
	/* What is not enough to tell them apart is not used. */
	assert_string_equal(accounts[1]->name, fixture->paths[1]);
	assert_string_equal(accounts[2]->name, fixture->paths[2]);
}

static void test_another_store(void **state)
{
	assert_refused(*state, "database = /x/1.db\n[local]\ntype = maildir\npath = /m\n",
		"database = /x/2.db\n[local]\ntype = maildir\npath = /n\nlist-reference = W/\n",
		"another store");
}

static void test_another_kind_of_store(void **state)
{
	assert_refused(*state, "database = /x/1.db\n[local]\ntype = maildir\npath = /m\n",
		"database = /x/2.db\n[local]\ntype = tunnel\ncommand = x\nlist-reference = W/\n",
		"the option type differs");
}

static void test_the_same_place(void **state)
{
	assert_refused(*state,
		"database = /x/1.db\n[local]\ntype = tunnel\ncommand = x\nlist-reference = W/\n",
		"database = /x/2.db\n[local]\ntype = tunnel\ncommand = x\nlist-reference = W/\n",
		"list-reference");
}

static void test_the_same_database(void **state)
{
	assert_refused(*state, "database = /x/1.db\n[local]\ntype = tunnel\ncommand = x\n",
		"database = /x/1.db\n[local]\ntype = tunnel\ncommand = x\nlist-reference = W/\n",
		"set database");
}

static void test_a_second_proxy(void **state)
{
	assert_refused(*state, "database = /x/1.db\n[proxy]\n[local]\ntype = tunnel\ncommand = x\n",
		"database = /x/2.db\n[proxy]\n[local]\ntype = tunnel\ncommand = x\n"
		"list-reference = W/\n",
		"first configuration file only");
}

static void test_a_wrong_line(void **state)
{
	assert_refused(*state, "database = /x/1.db\n", "database = /x/2.db\nnonsense = 1\n",
		"/second:2: ");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
		TEST(test_one_has_no_name),
		TEST(test_several_have),
		TEST(test_another_store),
		TEST(test_another_kind_of_store),
		TEST(test_the_same_place),
		TEST(test_the_same_database),
		TEST(test_a_second_proxy),
		TEST(test_a_wrong_line),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
