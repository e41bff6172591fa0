/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "sync/base/log.h"
#include "sync/base/xalloc.h"

static char folder[] = "/tmp/test-log-XXXXXX";
static char file[64];
static int captured = -1; /* takes the place of stderr */

static int set_up(void **state)
{
	unsetenv("JOURNAL_STREAM");
	if (mkdtemp(folder) == NULL)
		return -1;
	(void)snprintf(file, sizeof(file), "%s/log", folder);
	captured = open(folder, O_TMPFILE | O_RDWR, 0600);
	return captured < 0 ? -1 : 0;
}

static int tear_down(void **state)
{
	log_close_file();
	(void)unlink(file);
	(void)rmdir(folder);
	return close(captured);
}

static int reset(void **state)
{
	log_set_level(LOG_LEVEL_INFO);
	log_set_quiet(false);
	log_set_prefix(NULL);
	log_close_file();
	(void)unlink(file);
	return 0;
}

static const char *read_all(int fd)
{
	static char text[8192];
	ssize_t n = pread(fd, text, sizeof(text) - 1, 0);

	assert_true(n >= 0);
	text[n] = '\0';
	return text;
}

/* What one message looks like on stderr. */
static const char *said(enum log_level level, const char *side, const char *mailbox)
{
	const struct log_context context = {.side = side, .mailbox = mailbox};
	int old = dup(STDERR_FILENO);

	assert_return_code(ftruncate(captured, 0), errno);
	assert_return_code(lseek(captured, 0, SEEK_SET), errno);
	dup2(captured, STDERR_FILENO);
	log_write(level, side != NULL || mailbox != NULL ? &context : NULL, "text %d", 1);
	dup2(old, STDERR_FILENO);
	close(old);
	return read_all(captured);
}

static const char *in_file(void)
{
	int fd = open(file, O_RDONLY);
	const char *text;

	assert_true(fd >= 0);
	text = read_all(fd);
	close(fd);
	return text;
}

static void assert_prefix(
	const char *format, const char *side, const char *mailbox, const char *expected)
{
	_cleanup_free_ char *line = xasprintf("%stext 1\n", expected);

	log_set_prefix(format);
	assert_string_equal(said(LOG_LEVEL_INFO, side, mailbox), line);
}

static void test_default_prefix(void **state)
{
	assert_prefix(NULL, NULL, NULL, "");
	assert_prefix(NULL, "local", NULL, "local: ");
	assert_prefix(NULL, "local", "a.b", "local(a.b): ");
	assert_string_equal(said(LOG_LEVEL_WARNING, "remote", "a"), "remote(a): WARNING: text 1\n");
	assert_string_equal(said(LOG_LEVEL_ERROR, NULL, NULL), "ERROR: text 1\n");
}

/* Without a side the default prefix is empty, but a refusal must name what it is about. */
static void test_mailbox_without_side_is_named(void **state)
{
	assert_prefix(NULL, NULL, "a", "a: ");
	assert_prefix("", NULL, "a", "a: ");
	assert_prefix("%?m?<%m>&-? ", NULL, "a", "<a> ");
	assert_prefix("%?n?%m&? ", NULL, "a", " a: ");
	assert_prefix("", "local", "a", "");
}

static void test_specifiers(void **state)
{
	assert_prefix("%n|%m|%%|", "local", "a", "local|a|%|");
	assert_prefix("%n|%m|", NULL, NULL, "||");
	assert_prefix("\\&\\?\\\\\\x", NULL, NULL, "&?\\\\x");
	assert_prefix("%m%m", "local", "%n\\", "%n\\%n\\");
}

static void test_conditions(void **state)
{
	static const char both[] = "[%?n?N&n?%?m?M&m?] ";
	static const char nested[] = "%?n?a%?m?b&c?d&e%?m?f&g?h?.";

	assert_prefix(both, "local", "x", "[NM] ");
	assert_prefix(both, "local", NULL, "[Nm] ");
	assert_prefix(both, NULL, NULL, "[nm] ");
	assert_prefix(nested, "local", "x", "abd.");
	assert_prefix(nested, "local", NULL, "acd.");
	assert_prefix(nested, NULL, NULL, "egh.");
	assert_prefix(nested, NULL, "x", "efh.x: ");
	assert_prefix("%?m??%?m?&y?%?n?&?", "local", NULL, "y");
	assert_prefix("%?n?\\&\\??%?m?%%\\\\?", "local", NULL, "&?");
}

/* Three levels, all branches: what is skipped may hold whole conditions. */
static void test_skipped_conditions(void **state)
{
	static const char format[] = "%?m?%?n?%?m?1&2?&%?m?3&4??5&%?n?%?m?6&7?&%?m?8&9??0?";

	assert_prefix(format, "s", "m", "15");
	assert_prefix(format, "s", NULL, "70");
	assert_prefix(format, NULL, NULL, "90");
}

static void test_levels(void **state)
{
	assert_string_equal(said(LOG_LEVEL_DEBUG, NULL, NULL), "");
	log_set_quiet(true);
	assert_string_equal(said(LOG_LEVEL_INFO, NULL, NULL), "");
	assert_string_equal(said(LOG_LEVEL_NOTICE, NULL, NULL), "");
	assert_string_equal(said(LOG_LEVEL_WARNING, NULL, NULL), "WARNING: text 1\n");
	log_set_level(LOG_LEVEL_DEBUG);
	assert_string_equal(said(LOG_LEVEL_DEBUG, NULL, NULL), "text 1\n");
}

static void test_file(void **state)
{
	struct stat st;
	unsigned numbers[7];
	char end[64];

	assert_int_equal(log_open_file("/nowhere/log"), -ENOENT);
	assert_int_equal(log_open_file(file), 0);
	assert_return_code(stat(file, &st), errno);
	assert_int_equal(st.st_mode & 0777, 0600);
	assert_string_equal(said(LOG_LEVEL_INFO, "local", NULL), "local: text 1\n");
	assert_int_equal(
		sscanf(in_file(), "%u-%u-%u %u:%u:%u.%u %63[^\n]", &numbers[0], &numbers[1],
			&numbers[2], &numbers[3], &numbers[4], &numbers[5], &numbers[6], end),
		8);
	assert_string_equal(end, "local: text 1");
}

static void test_debug_goes_to_the_file_alone(void **state)
{
	log_set_level(LOG_LEVEL_DEBUG);
	assert_int_equal(log_open_file(file), 0);
	assert_string_equal(said(LOG_LEVEL_DEBUG, "local", NULL), "");
	assert_non_null(strstr(in_file(), " local: text 1\n"));
}

static void test_file_is_continued_and_as_quiet(void **state)
{
	assert_int_equal(log_open_file(file), 0);
	(void)said(LOG_LEVEL_INFO, "local", NULL);
	log_set_quiet(true);
	assert_int_equal(log_open_file(file), 0);
	assert_string_equal(said(LOG_LEVEL_INFO, "remote", NULL), "");
	assert_string_equal(said(LOG_LEVEL_ERROR, "proxy", NULL), "proxy: ERROR: text 1\n");
	assert_non_null(strstr(in_file(), " local: text 1\n"));
	assert_null(strstr(in_file(), "remote"));
	assert_non_null(strstr(in_file(), " proxy: ERROR: text 1\n"));
}

/* What a server says must not reach a terminal as it is. */
static void test_control_characters(void **state)
{
	assert_prefix(NULL, "local", "a\033[31m\r\n\177b", "local(a?[31m???b): ");
	assert_prefix(NULL, "local",
		"a\xc2\x9b\xe2\x80\xae\xff"
		"b",
		"local(a???b): ");
}

struct tap {
	struct log_tap tap;
	char lines[256];
};

/* Each message is one write(), with all that is in it: glibc 2.41 makes several of an fprintf(). */
static void test_a_line_is_written_at_once(void **state)
{
	int pair[2], saved = dup(STDERR_FILENO);
	char line[4096];
	_cleanup_free_ char *text = xcalloc(1, 3001);
	ssize_t n;

	memset(text, 'x', 3000);
	assert_true(saved >= 0);
	assert_int_equal(socketpair(AF_UNIX, SOCK_DGRAM, 0, pair), 0);
	assert_true(dup2(pair[0], STDERR_FILENO) >= 0);
	log_warning(NULL, "%s", text);
	assert_true(dup2(saved, STDERR_FILENO) >= 0);
	n = recv(pair[1], line, sizeof(line), MSG_DONTWAIT);
	(void)close(saved);
	(void)close(pair[0]);
	(void)close(pair[1]);
	assert_int_equal(n, strlen("WARNING: ") + 3000 + 1);
	assert_int_equal(line[n - 1], '\n');
}

static void on_line(struct log_tap *tap_, enum log_level level, const struct log_context *context,
	const char *line)
{
	struct tap *tap = container_of(tap_, struct tap, tap);
	size_t len = strlen(tap->lines);

	(void)snprintf(tap->lines + len, sizeof(tap->lines) - len, "%d %s|", level, line);
}

/* What a tap wants is not what stderr gets, nor the other way round. */
static void test_taps(void **state)
{
	struct tap all = {.tap = {.level = LOG_LEVEL_DEBUG, .line = on_line}};
	struct tap few = {.tap = {.level = LOG_LEVEL_WARNING, .line = on_line}};
	char expected[64];

	assert_false(log_is_debug());
	log_add_tap(&all.tap);
	log_add_tap(&few.tap);
	/* Debug messages have to be made; the level is what it was. */
	assert_true(log_is_debug());
	assert_int_equal(log_get_level(), LOG_LEVEL_INFO);
	assert_string_equal(said(LOG_LEVEL_DEBUG, "local", NULL), "");
	log_set_quiet(true);
	assert_string_equal(said(LOG_LEVEL_ERROR, "local", NULL), "local: ERROR: text 1\n");
	log_remove_tap(&few.tap);
	log_remove_tap(&few.tap);
	assert_string_equal(said(LOG_LEVEL_INFO, NULL, NULL), "");
	log_remove_tap(&all.tap);
	assert_false(log_is_debug());
	assert_string_equal(said(LOG_LEVEL_INFO, NULL, NULL), "");
	(void)snprintf(expected, sizeof(expected), "%d local: ERROR: text 1|", LOG_LEVEL_ERROR);
	assert_string_equal(few.lines, expected);
	(void)snprintf(expected, sizeof(expected),
		"%d local: text 1|%d local: ERROR: text 1|%d text 1|", LOG_LEVEL_DEBUG,
		LOG_LEVEL_ERROR, LOG_LEVEL_INFO);
	assert_string_equal(all.lines, expected);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(test_default_prefix, reset),
		cmocka_unit_test_setup(test_mailbox_without_side_is_named, reset),
		cmocka_unit_test_setup(test_specifiers, reset),
		cmocka_unit_test_setup(test_conditions, reset),
		cmocka_unit_test_setup(test_skipped_conditions, reset),
		cmocka_unit_test_setup(test_levels, reset),
		cmocka_unit_test_setup(test_taps, reset),
		cmocka_unit_test_setup(test_file, reset),
		cmocka_unit_test_setup(test_debug_goes_to_the_file_alone, reset),
		cmocka_unit_test_setup(test_file_is_continued_and_as_quiet, reset),
		cmocka_unit_test_setup(test_control_characters, reset),
		cmocka_unit_test_setup(test_a_line_is_written_at_once, reset),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, set_up, tear_down);
}
