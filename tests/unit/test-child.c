/* SPDX-License-Identifier: MIT */
#include "net-fixture.h"

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <sys/stat.h>

#include "sync/base/child.h"

static char output[65536];

/* Runs the arguments to their end; what they wrote is in `output`. */
static void run_child(const char *const *argv, const char *const *environment)
{
	const struct child_options options = {.argv = argv, .environment = environment};
	size_t have = 0;
	ssize_t n = -1;
	pid_t pid;
	int fd;

	pid = child_spawn(&loop, &options, &fd);
	assert_true(pid > 0);
	assert_true(fcntl(fd, F_GETFL) & O_NONBLOCK);
	assert_true(fcntl(fd, F_GETFD) & FD_CLOEXEC);
	assert_int_equal(shutdown(fd, SHUT_WR), 0);
	while (n != 0) {
		RUN_UNTIL((n = read(fd, output + have, sizeof(output) - 1 - have)) >= 0);
		have += (size_t)n;
	}
	output[have] = '\0';
	close(fd);
	RUN_UNTIL(kill(pid, 0) < 0); /* reaped: not even a zombie is left */
	assert_int_equal(errno, ESRCH);
}

static void run_shell(const char *script)
{
	run_child((const char *const[]){"sh", "-c", script, NULL}, NULL);
}

static void echoes(void **state)
{
	const struct child_options options = {.argv = (const char *const[]){"cat", NULL}};
	char answer[16];
	ssize_t n;
	int fd;

	assert_true(child_spawn(&loop, &options, &fd) > 0);
	assert_int_equal(write(fd, "hello", 5), 5);
	RUN_UNTIL((n = read(fd, answer, sizeof(answer))) > 0);
	assert_int_equal(n, 5);
	assert_memory_equal(answer, "hello", 5);
	close(fd); /* ends it */
}

static void environment(void **state)
{
	setenv("IFS", "x", 1);
	setenv("CDPATH", "/tmp", 1);
	setenv("ENV", "/nonexistent", 1);
	setenv("BASH_ENV", "/nonexistent", 1);
	setenv("PATH", "/tmp:/usr/bin", 1);
	setenv("KEPT", "1", 1);
	setenv("REPLACED", "old", 1);
	run_child((const char *const[]){"env", NULL},
		(const char *const[]){"REPLACED=new", "ADDED=2", NULL});
	setenv("PATH", "/usr/bin:/bin", 1);
	assert_non_null(strstr(output, "PATH=/usr/bin:/bin\n"));
	assert_null(strstr(output, "CDPATH="));
	assert_null(strstr(output, "\nIFS="));
	assert_null(strstr(output, "\nENV="));
	assert_null(strstr(output, "BASH_ENV="));
	assert_non_null(strstr(output, "KEPT=1\n"));
	assert_non_null(strstr(output, "REPLACED=new\n"));
	assert_null(strstr(output, "REPLACED=old"));
	assert_non_null(strstr(output, "ADDED=2\n"));
}

/* Not even a descriptor that lacks close-on-exec. */
static void descriptors(void **state)
{
	int fd = open("/dev/null", O_RDONLY);
	int high = fcntl(fd, F_DUPFD, 300);

	assert_true(fd >= 0 && high >= 300);
	run_shell("for f in /proc/$$/fd/*; do echo ${f##*/}; done");
	/* The shell's own redirections aside, these are all. */
	assert_non_null(strstr(output, "0\n1\n2\n"));
	assert_null(strstr(output, "300\n"));
	close(fd);
	close(high);
}

static void signals(void **state)
{
	sigset_t blocked, old;
	unsigned long long mask = 0, ignored = 0;
	void (*was)(int) = signal(SIGPIPE, SIG_IGN);

	sigemptyset(&blocked);
	sigaddset(&blocked, SIGTERM);
	sigprocmask(SIG_BLOCK, &blocked, &old);
	run_child((const char *const[]){"grep", "-E", "Sig(Blk|Ign)", "/proc/self/status", NULL},
		NULL);
	sigprocmask(SIG_SETMASK, &old, NULL);
	signal(SIGPIPE, was);
	assert_int_equal(sscanf(output, "SigBlk: %llx SigIgn: %llx", &mask, &ignored), 2);
	assert_int_equal(mask, 1ULL << (SIGINT - 1));
	assert_int_equal(ignored & 0x7fffffff, 0); /* two above are the C library's own */
}

static void null_stderr(void **state)
{
	struct child_options options = {
		.argv = (const char *const[]){"readlink", "/proc/self/fd/2", NULL},
		.null_stderr = true};
	char answer[64];
	ssize_t n;
	int fd;

	assert_true(child_spawn(&loop, &options, &fd) > 0);
	RUN_UNTIL((n = read(fd, answer, sizeof(answer))) > 0);
	assert_int_equal(n, 10);
	assert_memory_equal(answer, "/dev/null\n", 10);
	close(fd);
}

static int spawn_error(const char *program)
{
	const char *const argv[] = {program, NULL};
	const struct child_options options = {.argv = argv};
	int fd = -2;
	pid_t pid = child_spawn(&loop, &options, &fd);

	assert_int_equal(fd, -2); /* untouched on failure */
	return pid;
}

static void failures(void **state)
{
	char path[] = "/tmp/interimap-child-XXXXXX";
	int fd = mkstemp(path);

	assert_int_equal(spawn_error("interimap-no-such-program"), -ENOENT);
	assert_int_equal(spawn_error("/nonexistent/program"), -ENOENT);
	assert_int_equal(spawn_error(""), -ENOENT);
	assert_int_equal(spawn_error(NULL), -EINVAL);
	assert_int_equal(spawn_error("/tmp"), -EACCES);
	assert_int_equal(fchmod(fd, 0600), 0);
	assert_int_equal(spawn_error(path), -EACCES);
	close(fd);
	unlink(path);
}

/* A child alone does not keep the loop. */
static void does_not_keep_the_loop(void **state)
{
	const struct child_options options = {.argv = (const char *const[]){"cat", NULL}};
	int fd;

	assert_true(child_spawn(&loop, &options, &fd) > 0);
	ev_run(loop.ev, 0);
	close(fd);
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, setup_loop, teardown_loop)
	const struct CMUnitTest tests[] = {
		TEST(echoes),
		TEST(environment),
		TEST(descriptors),
		TEST(signals),
		TEST(null_stderr),
		TEST(failures),
		TEST(does_not_keep_the_loop),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
