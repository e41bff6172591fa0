/* SPDX-License-Identifier: MIT */
/*
 * The control socket was refused in a folder of somebody else, but the store's configuration was
 * written there all the same, and started: its owner could have Dovecot load what he liked.
 */
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
#include <sys/stat.h>
#include <unistd.h>

#include "sync/base/folder.h"
#include "sync/base/xalloc.h"

static char base[] = "/tmp/test-folder-XXXXXX";

enum { STRANGER = 65534 };

static char *in_base(const char *name)
{
	return xasprintf("%s/%s", base, name);
}

static void make(const char *name, mode_t mode)
{
	_cleanup_free_ char *path = in_base(name);

	assert_int_equal(mkdir(path, 0700), 0);
	assert_int_equal(chmod(path, mode), 0);
}

static void make_link(const char *target, const char *name)
{
	_cleanup_free_ char *path = in_base(name);

	assert_int_equal(symlink(target, path), 0);
}

static mode_t mode_of(const char *name)
{
	_cleanup_free_ char *path = in_base(name);
	struct stat st;

	assert_int_equal(lstat(path, &st), 0);
	return st.st_mode & 07777;
}

static void accepts(const char *name, enum folder_kind kind)
{
	_cleanup_free_ char *path = in_base(name), *reason = NULL;
	int fd = folder_open(path, kind, &reason);

	if (fd < 0)
		fail_msg("%s: %s", name, reason);
	(void)close(fd);
}

static void refuses(const char *name, enum folder_kind kind, int error, const char *words)
{
	_cleanup_free_ char *path = in_base(name), *reason = NULL;

	assert_int_equal(folder_open(path, kind, &reason), error);
	if (strstr(reason, words) == NULL || strstr(reason, base) == NULL)
		fail_msg("\"%s\" says nothing of \"%s\"", reason, words);
}

static void makes_what_is_missing(void **state)
{
	mode_t mask = umask(0);

	accepts("new/and/below", FOLDER_OURS);
	umask(mask);
	assert_int_equal(mode_of("new"), 0700);
	assert_int_equal(mode_of("new/and/below"), 0700);
	accepts("new/and/below/", FOLDER_OURS);
	accepts("new/./and/../and/below", FOLDER_OF_USER);
	refuses("nobody/there", FOLDER_OF_SERVICE, -ENOENT, "No such");
}

static void takes_what_is_ours(void **state)
{
	make("readable", 0755);
	accepts("readable", FOLDER_OF_USER);
	assert_int_equal(mode_of("readable"), 0755);
	accepts("readable", FOLDER_OURS);
	assert_int_equal(mode_of("readable"), 0700);
}

static void refuses_what_others_may_write_to(void **state)
{
	make("open", 0777);
	make("sticky", 01777);
	for (int kind = FOLDER_OURS; kind <= FOLDER_OF_SERVICE; kind++) {
		refuses("open", kind, -EPERM, "can be written to by others");
		refuses("sticky", kind, -EPERM, "can be written to by others");
	}
	refuses("open/below", FOLDER_OURS, -EPERM, "\"below\" is in a folder");
	assert_int_equal(mode_of("open"), 0777); /* what is in it may be anybody's */
	accepts("sticky/below", FOLDER_OURS);
}

static void follows_only_links_of_ours(void **state)
{
	make("target", 0700);
	make_link("target", "link");
	make_link("open", "link-to-open");
	make_link("loop", "loop");
	accepts("link", FOLDER_OF_USER);
	accepts("link/below", FOLDER_OURS);
	refuses("link", FOLDER_OURS, -EPERM, "symbolic link");
	refuses("link/", FOLDER_OURS, -EPERM, "symbolic link");
	refuses("link-to-open", FOLDER_OF_USER, -EPERM, "can be written to by others");
	refuses("loop", FOLDER_OF_USER, -ELOOP, "");
}

/* Needs root, who alone can make what is another's. */
static void refuses_what_is_anothers(void **state)
{
	_cleanup_free_ char *foreign = in_base("foreign"), *link = in_base("sticky/foreign-link");

	if (geteuid() != 0)
		return;
	make("foreign", 0755);
	assert_int_equal(chown(foreign, STRANGER, STRANGER), 0);
	refuses("foreign", FOLDER_OURS, -EPERM, "belongs to another user");
	refuses("foreign", FOLDER_OF_USER, -EPERM, "belongs to another user");
	refuses("foreign/below", FOLDER_OURS, -EPERM, "belongs to another user");
	accepts("foreign", FOLDER_OF_SERVICE); /* root asks whom it likes */
	make_link("../target", "sticky/foreign-link");
	assert_int_equal(lchown(link, STRANGER, STRANGER), 0);
	refuses("sticky/foreign-link", FOLDER_OF_USER, -EPERM, "belongs to another user");
}

static void writes_whole_files(void **state)
{
	_cleanup_free_ char *path = in_base("new/file"), *victim = in_base("victim"),
			    *reason = NULL;
	_cleanup_close_ int folder = folder_open_parent(path, FOLDER_OURS, &reason);
	char text[8] = "";
	struct stat st;

	assert_true(folder >= 0);
	/* What is in the way is replaced, not followed. */
	assert_int_equal(symlink(victim, path), 0);
	assert_int_equal(folder_write_file(folder, "file", "words", 5), 0);
	assert_int_equal(access(victim, F_OK), -1);
	assert_int_equal(mode_of("new/file"), 0600);
	{
		_cleanup_close_ int fd = openat(folder, "file", O_RDONLY | O_NOFOLLOW);

		assert_int_equal(read(fd, text, sizeof(text)), 5);
		assert_string_equal(text, "words");
	}
	assert_int_equal(mkdirat(folder, "directory", 0700), 0);
	assert_true(folder_write_file(folder, "directory", "words", 5) < 0);
	assert_int_equal(fstatat(folder, "directory", &st, 0), 0);
}

static int set_up(void **state)
{
	return mkdtemp(base) != NULL ? 0 : -1;
}

static int tear_down(void **state)
{
	_cleanup_free_ char *command = xasprintf("rm -rf %s", base);

	return system(command);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(makes_what_is_missing),
		cmocka_unit_test(takes_what_is_ours),
		cmocka_unit_test(refuses_what_others_may_write_to),
		cmocka_unit_test(follows_only_links_of_ours),
		cmocka_unit_test(refuses_what_is_anothers),
		cmocka_unit_test(writes_whole_files),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, set_up, tear_down);
}
