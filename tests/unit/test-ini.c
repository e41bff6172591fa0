/* SPDX-License-Identifier: MIT */
/* The INI reader: what it takes, what it refuses and with which words. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <errno.h>
#include <sys/stat.h>
#include <unistd.h>

#include "sync/base/limits.h"
#include "sync/base/xalloc.h"
#include "sync/config/ini.h"

static struct ini *parse(const char *text)
{
	struct ini *ini = NULL;
	char *reason = NULL;

	if (ini_parse("c", text, strlen(text), &ini, &reason) != 0)
		fail_msg("%s", reason);
	return ini;
}

static void assert_value(
	const struct ini *ini, const char *section, const char *name, const char *value)
{
	const struct ini_entry *entry = ini_entry(ini, section, name);

	assert_non_null(entry);
	assert_string_equal(entry->value, value);
}

static void refused(const char *text, size_t len, const char *expected)
{
	struct ini *ini = NULL;
	char *reason = NULL;

	assert_int_equal(ini_parse("c", text, len, &ini, &reason), -EINVAL);
	assert_null(ini);
	assert_string_equal(reason, expected);
	free(reason);
}

#define REFUSED(text, expected) refused(text, sizeof(text) - 1, expected)

static void test_values(void **state)
{
	struct ini *ini = parse("a=1\n"
				"  b \t=  two words \t\r\n"
				"\n"
				"# a comment = no\n"
				"  ; another\n"
				"c = x # not a comment ; nor this\n"
				"d = e = f\n"
				"empty =\n"
				"quoted = \" x \"\n"
				"back = a\\\n"
				"[local]\n"
				"a = [z]\n"
				"[ two words ]\r\n"
				"\xc3\xa9 = \xff\n"
				"[local]\n"
				"last = line");

	assert_value(ini, "", "a", "1");
	assert_value(ini, "", "b", "two words");
	assert_value(ini, "", "c", "x # not a comment ; nor this");
	assert_value(ini, "", "d", "e = f");
	assert_value(ini, "", "empty", "");
	assert_value(ini, "", "quoted", "\" x \"");
	assert_value(ini, "", "back", "a\\");
	assert_value(ini, "local", "a", "[z]");
	assert_value(ini, "two words", "\xc3\xa9", "\xff");
	assert_value(ini, "local", "last", "line");
	assert_int_equal(ini->entry_count, 10);
	assert_int_equal(ini->section_count, 3);
	assert_int_equal(ini_entry(ini, "local", "last")->line, 16);
	assert_int_equal(ini_section(ini, "local")->line, 11);
	assert_int_equal(ini_section(ini, "")->line, 0);
	assert_null(ini_entry(ini, "local", "b"));
	assert_null(ini_entry(ini, "", "A"));
	assert_null(ini_section(ini, "remote"));
	assert_null(ini_free(ini));
	assert_null(ini_free(NULL));
}

static void test_empty(void **state)
{
	static const char *const texts[] = {"", "\n", "\r\n\r\n", " ", "#", ";\n#"};

	for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
		struct ini *ini = parse(texts[i]);

		assert_int_equal(ini->entry_count, 0);
		assert_int_equal(ini->section_count, 1);
		(void)ini_free(ini);
	}
}

static void test_refuses(void **state)
{
#define EXPECTED ": expected [section], name = value, or a comment that begins with # or ;"

	REFUSED("a = 1\nb\n", "c:2" EXPECTED);
	REFUSED("[", "c:1" EXPECTED);
	REFUSED("\n\n  more\n", "c:3" EXPECTED);
	REFUSED("\n = 1\n", "c:2: there is no name before '='");
	REFUSED("[x\n", "c:1: a section header must end with ']'");
	REFUSED("[x] # y\n", "c:1: a section header must end with ']'");
	REFUSED("[]\n", "c:1: a section needs a name");
	REFUSED("[ \t ]\n", "c:1: a section needs a name");
	REFUSED("a = 1\n\na = 1\n", "c:3: a is given a second time (first in line 1)");
	REFUSED("[x]\na = 1\n[y]\na = 1\n[x]\na = 2\n",
		"c:6: a is given a second time (first in line 2)");
	REFUSED("a = b\0c\n", "c:1: there is a control character (0x00)");
	REFUSED("\0", "c:1: there is a control character (0x00)");
	REFUSED("a = \033[31m", "c:1: there is a control character (0x1b)");
	REFUSED("# \x7f", "c:1: there is a control character (0x7f)");
}

static void test_limits(void **state)
{
	_cleanup_free_ char *expected = NULL;
	char *text = xcalloc(1, LIMIT_CONFIG_LINE + 2);
	char many[32 * (LIMIT_CONFIG_ENTRIES + 1)];
	size_t len = 0;
	struct ini *ini;

	memset(text, 'x', LIMIT_CONFIG_LINE);
	text[1] = '=';
	ini = parse(text);
	assert_int_equal(strlen(ini->entries[0].value), LIMIT_CONFIG_LINE - 2);
	(void)ini_free(ini);
	text[LIMIT_CONFIG_LINE] = 'x';
	expected = xasprintf("c:1: the line is longer than %d bytes", LIMIT_CONFIG_LINE);
	refused(text, LIMIT_CONFIG_LINE + 1, expected);
	free(text);

	for (int i = 0; i < LIMIT_CONFIG_ENTRIES; i++)
		len += (size_t)snprintf(many + len, sizeof(many) - len, "a%d = 1\n", i);
	ini = parse(many);
	assert_int_equal(ini->entry_count, LIMIT_CONFIG_ENTRIES);
	(void)ini_free(ini);
	(void)snprintf(many + len, sizeof(many) - len, "b = 1\n");
	free(take(expected));
	expected = xasprintf("c:%d: there are too many options", LIMIT_CONFIG_ENTRIES + 1);
	refused(many, strlen(many), expected);

	len = 0;
	for (int i = 0; i < LIMIT_CONFIG_ENTRIES; i++)
		len += (size_t)snprintf(many + len, sizeof(many) - len, "[a%d]\n", i);
	free(take(expected));
	expected = xasprintf("c:%d: there are too many sections", LIMIT_CONFIG_ENTRIES);
	refused(many, len, expected);
}

static void test_files(void **state)
{
	char path[] = "/tmp/interimap-ini-XXXXXX";
	_cleanup_free_ char *big = xcalloc(1, LIMIT_CONFIG_FILE);
	struct ini *ini = NULL;
	char *reason = NULL;
	int fd = mkstemp(path);

	assert_true(fd >= 0);
	assert_int_equal(write(fd, "a = b\n", 6), 6);
	assert_int_equal(ini_load(path, &ini, &reason), 0);
	assert_value(ini, "", "a", "b");
	assert_string_equal(ini->path, path);
	assert_false(ini->is_shared);
	(void)ini_free(ini);
	assert_int_equal(fchmod(fd, 0604), 0);
	assert_int_equal(ini_load(path, &ini, &reason), 0);
	assert_true(ini->is_shared);
	ini = ini_free(ini);
	memset(big, '\n', LIMIT_CONFIG_FILE);
	assert_int_equal(write(fd, big, LIMIT_CONFIG_FILE), LIMIT_CONFIG_FILE);
	assert_int_equal(ini_load(path, &ini, &reason), -EFBIG);
	assert_non_null(strstr(reason, path));
	free(reason);
	assert_int_equal(close(fd), 0);
	assert_int_equal(unlink(path), 0);
	assert_int_equal(ini_load(path, &ini, &reason), -ENOENT);
	assert_non_null(strstr(reason, "cannot read /tmp/interimap-ini-"));
	free(reason);
	assert_int_equal(ini_load("/tmp", &ini, &reason), -EISDIR);
	free(reason);
	assert_null(ini);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_values),
		cmocka_unit_test(test_empty),
		cmocka_unit_test(test_refuses),
		cmocka_unit_test(test_limits),
		cmocka_unit_test(test_files),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
