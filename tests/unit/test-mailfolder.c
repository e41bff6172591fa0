/* SPDX-License-Identifier: MIT */
/*
 * A mailbox called "subscriptions" at the remote server became a directory where Dovecot keeps that
 * file, and every LIST of the local side was refused from then on; "cur" and others could not be
 * made.  So the layout changed, and folders of the former one are moved over: whatever ends that,
 * at whatever step.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "sync/base/xalloc.h"
#include "sync/config/mailfolder.h"

/* --- Steps: everything that changes the folder goes through here --- */

enum { NO_STEP = -1, KILLED = 77 };

static int steps_left = NO_STEP; /* before the one that fails or kills */
static int step_error; /* 0: kills */

static bool step_fails(void)
{
	if (steps_left < 0 || steps_left-- > 0)
		return false;
	if (step_error == 0)
		_exit(KILLED);
	errno = step_error;
	return true;
}

int renameat(int from_fd, const char *from, int to_fd, const char *to)
{
	return step_fails() ? -1 : (int)syscall(SYS_renameat2, from_fd, from, to_fd, to, 0);
}

int mkdirat(int fd, const char *name, mode_t mode)
{
	return step_fails() ? -1 : (int)syscall(SYS_mkdirat, fd, name, mode);
}

int unlinkat(int fd, const char *name, int flags)
{
	/* Nobody runs out of room by this. */
	if (step_error == 0 && step_fails())
		return -1;
	return (int)syscall(SYS_unlinkat, fd, name, flags);
}

/* What other processes have not written to the disk is no matter here. */
int syncfs(int fd)
{
	return step_fails() ? -1 : 0;
}

int fsync(int fd)
{
	return step_fails() ? -1 : 0;
}

/* --- The folder of a test --- */

static char base[] = "/tmp/test-mailfolder-XXXXXX";

static const char *const nobody[] = {"/nonexistent/dovecot-test.conf", NULL};

static void run(const char *format, ...) __attribute__((format(printf, 1, 2)));
static void run(const char *format, ...)
{
	_cleanup_free_ char *command = NULL, *in_base = NULL;
	va_list ap;

	va_start(ap, format);
	command = xvasprintf(format, ap);
	va_end(ap);
	in_base = xasprintf("cd %s && { %s; }", base, command);
	if (system(in_base) != 0)
		fail_msg("%s", in_base);
}

/* All directories and files with their content, by name; the caller's. */
static char *tree(void)
{
	_cleanup_free_ char *command = xasprintf(
		"cd %s/Mail && find . -name '~interimap.lock' -o -type d -printf '%%p/\\n' -o "
		"-type f -printf '%%p ' -exec md5sum -z {} + | tr '\\0' '\\n' | sort",
		base);
	FILE *pipe = popen(command, "re");
	char *text = xcalloc(1, 1 << 20);

	assert_non_null(pipe);
	assert_true(fread(text, 1, (1 << 20) - 1, pipe) > 0);
	assert_int_equal(pclose(pipe), 0);
	return text;
}

static int open_folder(enum mailfolder_layout *ret_layout, char **ret_reason)
{
	_cleanup_free_ char *path = xasprintf("%s/Mail", base);
	struct mailfolder folder;
	int r = mailfolder_open(path, nobody, &folder, ret_reason);

	if (r == 0) {
		*ret_layout = folder.layout;
		mailfolder_close(&folder);
	}
	return r;
}

static void opens(enum mailfolder_layout expected)
{
	_cleanup_free_ char *reason = NULL;
	enum mailfolder_layout layout = MAILFOLDER_OURS;

	if (open_folder(&layout, &reason) < 0)
		fail_msg("%s", reason);
	assert_int_equal(layout, expected);
}

static void refused(const char *words)
{
	_cleanup_free_ char *reason = NULL;
	enum mailfolder_layout layout;

	assert_true(open_folder(&layout, &reason) < 0);
	if (strstr(reason, words) == NULL || strstr(reason, base) == NULL ||
		strchr(reason, '\n') != NULL)
		fail_msg("\"%s\" says nothing of \"%s\"", reason, words);
}

/* A process that dies at a step. */
static bool dies_at(int step)
{
	pid_t pid = fork();
	int status;

	assert_true(pid >= 0);
	if (pid == 0) {
		_cleanup_free_ char *reason = NULL;
		enum mailfolder_layout layout;

		steps_left = step;
		_exit(open_folder(&layout, &reason) < 0);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(
		WIFEXITED(status) && (WEXITSTATUS(status) == KILLED || WEXITSTATUS(status) == 0));
	return WEXITSTATUS(status) == KILLED;
}

static void put_mailbox(const char *name)
{
	run("mkdir -p 'Mail/%s'/cur 'Mail/%s'/new 'Mail/%s'/tmp && cd 'Mail/%s' && "
	    "for f in dovecot-uidlist new/1 cur/2:2,S; "
	    "do echo '%s' $f >$f; done",
		name, name, name, name, name);
}

static const struct {
	const char *former, *name;
} mailboxes[] = {{".", "INBOX"}, {"Lists/C", "Lists/C"}, {"Maildir", "\\4daildir"},
	{"mailboxes", "mailboxes"}, {".hidden", ".hidden"}};

/* As a former version left it, with neighbours; and as it has to be afterwards. */
static void make_templates(void)
{
	run("mkdir -m 700 Mail");
	for (size_t i = 0; i < ARRAY_LEN(mailboxes); i++)
		put_mailbox(mailboxes[i].former);
	run("cd Mail && echo 1 >dovecot-uidvalidity && echo 2 >dovecot.mailbox.log && "
	    "mkdir -p .notmuch/xapian Lists/notes && echo 4 >.notmuch/xapian/db && "
	    "echo 5 >Lists/notes/mine && echo 6 >notes.txt && mkdir empty");
	run("cp -a Mail moved && mv Mail former && mkdir moved/~mailboxes");
	run("cd former && echo 2 >dovecot.list.index.log && "
	    "printf 'V\\t2\\n\\nMaildir\\tMaildir\\nLists\\tC\\tdeep\\nMaildirs\\nx\\tMaildir' "
	    ">subscriptions");
	for (size_t i = 0; i < ARRAY_LEN(mailboxes); i++)
		run("cd moved && mkdir -p '~mailboxes/%s/Maildir' && cd '%s' && mv cur new tmp "
		    "$(find . -maxdepth 1 -type f ! -name dovecot-uidv* ! -name dovecot.m* "
		    "! -name notes.txt) \"$OLDPWD/~mailboxes/%s/Maildir\"",
			mailboxes[i].name, mailboxes[i].former, mailboxes[i].name);
	run("cd moved && rm -rf mailboxes Maildir .hidden Lists/C && mv ~mailboxes mailboxes "
	    "&& echo mailboxes >'~interimap' && "
	    "printf 'V\\t2\\n\\n\\\\4daildir\\t\\\\4daildir\\nLists\\tC\\tdeep\\nMaildirs\\n"
	    "x\\t\\\\4daildir' >subscriptions");
}

static void put_former(void)
{
	run("rm -rf Mail && cp -a former Mail");
}

static void check_moved(void)
{
	/* A file that was just being written when the program died is left under a name of its own.
	 */
	run("diff -r -x '~interimap.lock' -x '~*.new' moved Mail");
}

/* --- Tests --- */

static void a_new_one_is_made(void **state)
{
	run("rm -rf Mail");
	opens(MAILFOLDER_OURS);
	run("test -d Mail/mailboxes && test \"$(stat -c %%a Mail/mailboxes)\" = 700");
	run("cd Mail/mailboxes/INBOX/Maildir && rmdir cur new tmp"); /* they were there */
	opens(MAILFOLDER_OURS);
	run("rm -r Mail && mkdir -p -m 700 Mail/'~mailboxes'/INBOX"); /* as where it was cut off */
	opens(MAILFOLDER_OURS);
	run("test -d Mail/mailboxes/INBOX/Maildir/cur && ! test -e Mail/'~mailboxes'");
	run("rm Mail/'~interimap'"); /* and as where it was cut off next */
	opens(MAILFOLDER_OURS);
}

static void a_former_one_is_moved(void **state)
{
	_cleanup_free_ char *before = NULL, *after = NULL;

	put_former();
	opens(MAILFOLDER_OURS);
	check_moved();
	before = tree();
	opens(MAILFOLDER_OURS);
	after = tree();
	assert_string_equal(before, after);
}

static void one_that_dies_is_followed_by_one_that_ends_it(void **state)
{
	int step = 0;

	for (bool died = true; died; step++) {
		put_former();
		died = dies_at(step);
		if (died && step % 7 == 0) /* and again, soon after */
			(void)dies_at(2);
		opens(MAILFOLDER_OURS);
		check_moved();
	}
	assert_true(step > 40);
}

/* As on a full disk: what was begun is finished when there is room. */
static void one_that_fails_is_nothing_half(void **state)
{
	_cleanup_free_ char *mark = xasprintf("%s/Mail/~interimap", base);
	bool failed = true, was_moving = false;

	for (int step = 0; failed; step += was_moving ? 7 : 1) {
		_cleanup_free_ char *reason = NULL;
		enum mailfolder_layout layout;

		put_former();
		steps_left = step;
		step_error = ENOSPC;
		failed = open_folder(&layout, &reason) < 0;
		step_error = 0;
		steps_left = NO_STEP;
		if (failed && strstr(reason, strerror(ENOSPC)) == NULL)
			fail_msg("%s", reason);
		was_moving = access(mark, F_OK) == 0;
		if (!was_moving)
			run("diff -r -x '~interimap.lock' former Mail");
		opens(MAILFOLDER_OURS);
		check_moved();
	}
	assert_true(was_moving);
}

static void what_is_in_the_way_is_told_before_anything_is_moved(void **state)
{
	static const struct {
		const char *command, *words;
	} cases[] = {
		{"echo >mailboxes/mine", "mailboxes/mine is none of the store's files"},
		{"ln -s Lists/C link", "/link is a symbolic link"},
		{"rm -r Lists/C/cur && ln -s ../../cur Lists/C/cur",
			"Lists/C/cur is a symbolic link"},
		{"mkdir -p INBOX/cur", "/INBOX is a Maildir, and so is the folder itself"},
	};

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		_cleanup_free_ char *before = NULL, *after = NULL;

		put_former();
		run("cd Mail && %s", cases[i].command);
		before = tree();
		refused(cases[i].words);
		after = tree();
		assert_string_equal(before, after);
	}
}

/* Maildirs that no store ever served. */
static void what_is_somebody_elses_stays(void **state)
{
	run("rm -rf Mail && mkdir -m 700 Mail");
	put_mailbox("archive/2010");
	opens(MAILFOLDER_OURS);
	run("cd Mail && test -f archive/2010/new/1 && test -d mailboxes");
	run("rm -rf Mail && mkdir -p -m 700 Mail/mailboxes && echo >Mail/mailboxes/mine");
	refused("mailboxes is in the way");
	run("test \"$(ls -A Mail | tr '\\n' ' ')\" = 'mailboxes ~interimap.lock '");
}

/* With subfolders or without, served or not; and it stays one when it has been served. */
static void somebodys_maildir_stays_one(void **state)
{
	for (int i = 0; i < 4; i++) {
		run("rm -rf Mail && mkdir -m 700 Mail");
		put_mailbox(".");
		if (i > 0)
			put_mailbox(".Sent");
		if (i > 1)
			run("touch Mail/dovecot.list.index.log");
		if (i > 2)
			put_mailbox(".Sent.2010");
		run("cp -a Mail before");
		opens(MAILFOLDER_MAILDIR_PLUS_PLUS);
		run("touch Mail/dovecot.list.index.log before/dovecot.list.index.log");
		opens(MAILFOLDER_MAILDIR_PLUS_PLUS);
		run("rm Mail/'~interimap' Mail/'~interimap.lock' && diff -r before Mail && "
		    "rm -r before");
	}
}

static void one_that_lost_its_mark_is_known(void **state)
{
	_cleanup_free_ char *before = NULL, *after = NULL;

	put_former();
	opens(MAILFOLDER_OURS);
	run("rm Mail/'~interimap' && touch Mail/dovecot.list.index.log");
	before = tree();
	opens(MAILFOLDER_OURS);
	after = tree();
	assert_string_equal(before, after);
}

static void a_newer_one_is_refused(void **state)
{
	_cleanup_free_ char *before = NULL, *after = NULL;

	run("rm -rf Mail && mkdir -m 700 Mail && echo something >Mail/'~interimap'");
	before = tree();
	refused("belongs to a newer one");
	after = tree();
	assert_string_equal(before, after);
}

static void one_that_is_read_only_is_told(void **state)
{
	_cleanup_free_ char *before = NULL, *after = NULL;

	if (geteuid() == 0) /* who may write everywhere */
		return;
	put_former();
	run("chmod 500 Mail/Lists/C");
	before = tree();
	refused("Lists/C: Permission denied");
	after = tree();
	run("chmod 700 Mail/Lists/C");
	assert_string_equal(before, after);
	run("chmod 500 Mail");
	refused("Permission denied");
	run("chmod 700 Mail");
	opens(MAILFOLDER_OURS);
	check_moved();
}

/* Several begin at once: one moves, and the others wait for it. */
static void several_at_once(void **state)
{
	enum { PROCESSES = 3 };
	pid_t pids[PROCESSES];
	int status;

	put_former();
	for (int i = 0; i < PROCESSES; i++) {
		pids[i] = fork();
		assert_true(pids[i] >= 0);
		if (pids[i] == 0) {
			_cleanup_free_ char *reason = NULL;
			enum mailfolder_layout layout;

			_exit(open_folder(&layout, &reason) < 0);
		}
	}
	for (int i = 0; i < PROCESSES; i++) {
		assert_int_equal(waitpid(pids[i], &status, 0), pids[i]);
		assert_int_equal(status, 0);
	}
	check_moved();
}

/* A process that a former version started: no lock, but its configuration on the command line. */
static void nothing_is_moved_under_a_process(void **state)
{
	_cleanup_free_ char *configuration = xasprintf("%s/dovecot-test.conf", base);
	_cleanup_free_ char *path = xasprintf("%s/Mail", base), *reason = NULL, *number = NULL;
	_cleanup_free_ char *before = NULL, *after = NULL;
	struct mailfolder folder;
	pid_t pid;
	int status;

	put_former();
	run("touch dovecot-test.conf");
	before = tree();
	pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		execl("/bin/sh", "sh", "-c", "kill -STOP $$", "imap", "-c", configuration, NULL);
		_exit(1);
	}
	/* It stops when it is what its command line says. */
	assert_int_equal(waitpid(pid, &status, WUNTRACED), pid);
	assert_true(WIFSTOPPED(status));
	assert_int_equal(
		mailfolder_open(path, (const char *const[]){configuration, NULL}, &folder, &reason),
		-EBUSY);
	number = xasprintf("process %d uses it", (int)pid);
	if (strstr(reason, number) == NULL)
		fail_msg("%s", reason);
	after = tree();
	assert_string_equal(before, after);
	run("test ! -e dovecot-test.conf"); /* nor can another one begin */
	assert_int_equal(kill(pid, SIGKILL), 0);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	opens(MAILFOLDER_OURS);
	check_moved();
}

static int set_up(void **state)
{
	if (mkdtemp(base) == NULL)
		return -1;
	make_templates();
	return 0;
}

static int tear_down(void **state)
{
	_cleanup_free_ char *command = xasprintf("rm -rf %s", base);

	return system(command);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_new_one_is_made),
		cmocka_unit_test(a_former_one_is_moved),
		cmocka_unit_test(one_that_dies_is_followed_by_one_that_ends_it),
		cmocka_unit_test(one_that_fails_is_nothing_half),
		cmocka_unit_test(what_is_in_the_way_is_told_before_anything_is_moved),
		cmocka_unit_test(what_is_somebody_elses_stays),
		cmocka_unit_test(somebodys_maildir_stays_one),
		cmocka_unit_test(one_that_lost_its_mark_is_known),
		cmocka_unit_test(a_newer_one_is_refused),
		cmocka_unit_test(one_that_is_read_only_is_told),
		cmocka_unit_test(several_at_once),
		cmocka_unit_test(nothing_is_moved_under_a_process),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, set_up, tear_down);
}
