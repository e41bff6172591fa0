/* SPDX-License-Identifier: MIT */
/* The part of the manager is played by a datagram socket of the test. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "sync/base/loop.h"
#include "sync/base/notify.h"
#include "sync/base/xalloc.h"

struct fixture {
	struct loop loop;
	struct notify *notify;
	int manager;
	char directory[32];
	char *name; /* for $NOTIFY_SOCKET */
	char text[2000];
};

static void listen_at(struct fixture *fixture, const char *name)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	size_t len = strlen(name);

	memcpy(address.sun_path, name, len);
	if (name[0] == '@')
		address.sun_path[0] = '\0';
	fixture->manager = socket(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK, 0);
	assert_int_equal(bind(fixture->manager, (struct sockaddr *)&address,
				 (socklen_t)(offsetof(struct sockaddr_un, sun_path) + len)),
		0);
	fixture->name = xstrdup(name);
	assert_int_equal(setenv("NOTIFY_SOCKET", name, 1), 0);
}

static int setup(void **state)
{
	struct fixture *fixture = xcalloc(1, sizeof(*fixture));

	loop_init(&fixture->loop);
	fixture->manager = -1;
	(void)stpcpy(fixture->directory, "/tmp/test-notify-XXXXXX");
	assert_non_null(mkdtemp(fixture->directory));
	(void)unsetenv("NOTIFY_SOCKET");
	(void)unsetenv("WATCHDOG_USEC");
	(void)unsetenv("WATCHDOG_PID");
	*state = fixture;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *fixture = *state;

	notify_free(fixture->notify);
	if (fixture->manager >= 0)
		(void)close(fixture->manager);
	if (fixture->name != NULL && fixture->name[0] == '/')
		(void)unlink(fixture->name);
	assert_int_equal(rmdir(fixture->directory), 0);
	loop_done(&fixture->loop);
	free(fixture->name);
	free(fixture);
	return 0;
}

static void listen_at_path(struct fixture *fixture)
{
	_cleanup_free_ char *path = xasprintf("%s/socket", fixture->directory);

	listen_at(fixture, path);
}

/* The next datagram, "" if there is none. */
static const char *told(struct fixture *fixture)
{
	ssize_t n = recv(fixture->manager, fixture->text, sizeof(fixture->text) - 1, 0);

	fixture->text[n > 0 ? n : 0] = '\0';
	return fixture->text;
}

static void test_life(void **state)
{
	struct fixture *fixture = *state;

	listen_at_path(fixture);
	fixture->notify = notify_new(&fixture->loop);
	assert_true(notify_is_heard(fixture->notify));
	assert_null(getenv("NOTIFY_SOCKET"));
	notify_ready(fixture->notify);
	assert_string_equal(told(fixture), "READY=1");
	notify_stopping(fixture->notify);
	assert_string_equal(told(fixture), "STOPPING=1");
	assert_string_equal(told(fixture), "");
}

static void test_abstract_name(void **state)
{
	struct fixture *fixture = *state;
	_cleanup_free_ char *name = xasprintf("@%s", fixture->directory);

	listen_at(fixture, name);
	fixture->notify = notify_new(&fixture->loop);
	notify_ready(fixture->notify);
	assert_string_equal(told(fixture), "READY=1");
}

/* A server's words within a status can say nothing in our name. */
static void test_status(void **state)
{
	struct fixture *fixture = *state;

	listen_at_path(fixture);
	fixture->notify = notify_new(&fixture->loop);
	notify_status(fixture->notify, "one");
	assert_string_equal(told(fixture), "STATUS=one");
	notify_status(fixture->notify, "one");
	assert_string_equal(told(fixture), "");
	notify_status(fixture->notify, "two\nMAINPID=1");
	assert_string_equal(told(fixture), "STATUS=two?MAINPID=1");
	notify_status(fixture->notify, "one");
	assert_string_equal(told(fixture), "STATUS=one");
}

static void test_reloading(void **state)
{
	struct fixture *fixture = *state;
	struct timespec before, after;
	unsigned long long usec;

	listen_at_path(fixture);
	fixture->notify = notify_new(&fixture->loop);
	(void)clock_gettime(CLOCK_MONOTONIC, &before);
	notify_reloading(fixture->notify);
	(void)clock_gettime(CLOCK_MONOTONIC, &after);
	assert_int_equal(sscanf(told(fixture), "RELOADING=1\nMONOTONIC_USEC=%llu", &usec), 1);
	assert_true(usec >= (unsigned long long)before.tv_sec * 1000000);
	assert_true(usec <= ((unsigned long long)after.tv_sec + 1) * 1000000);
}

/* Runs the loop for a while; how many signs of life came. */
static unsigned count_signs(struct fixture *fixture, double seconds)
{
	ev_tstamp end = ev_time() + seconds;
	unsigned count = 0;

	while (ev_time() < end) {
		ev_run(fixture->loop.ev, EVRUN_NOWAIT);
		while (strcmp(told(fixture), "WATCHDOG=1") == 0)
			count++;
	}
	return count;
}

static void test_watchdog(void **state)
{
	struct fixture *fixture = *state;
	_cleanup_free_ char *pid = xasprintf("%ld", (long)getpid());

	listen_at_path(fixture);
	assert_int_equal(setenv("WATCHDOG_USEC", "100000", 1), 0);
	assert_int_equal(setenv("WATCHDOG_PID", pid, 1), 0);
	fixture->notify = notify_new(&fixture->loop);
	assert_null(getenv("WATCHDOG_USEC"));
	assert_null(getenv("WATCHDOG_PID"));
	/* Every 50 ms; a busy machine may make it fewer. */
	assert_in_range(count_signs(fixture, 0.5), 3, 11);
}

static void test_no_watchdog(void **state)
{
	static const struct {
		const char *usec, *pid;
	} cases[] = {{NULL, NULL}, {"1000", "1"}, {"0", NULL}, {"-1000", NULL}, {"1000x", NULL},
		{"", NULL}, {"999999999999999999999999", NULL}};
	struct fixture *fixture = *state;

	listen_at_path(fixture);
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		assert_int_equal(setenv("NOTIFY_SOCKET", fixture->name, 1), 0);
		if (cases[i].usec != NULL)
			assert_int_equal(setenv("WATCHDOG_USEC", cases[i].usec, 1), 0);
		if (cases[i].pid != NULL)
			assert_int_equal(setenv("WATCHDOG_PID", cases[i].pid, 1), 0);
		fixture->notify = notify_new(&fixture->loop);
		assert_int_equal(count_signs(fixture, 0.05), 0);
		fixture->notify = notify_free(fixture->notify);
	}
}

/* Without the variable, with one of no use, with a manager that is gone: nothing happens. */
static void test_nobody(void **state)
{
	static const char *const names[] = {
		"", "@", "/", "relative", "vsock:2:1", "/nonexistent/s"};
	struct fixture *fixture = *state;
	char name_too_long[200];

	memset(name_too_long, 'x', sizeof(name_too_long) - 1);
	name_too_long[0] = '/';
	name_too_long[sizeof(name_too_long) - 1] = '\0';
	for (size_t i = 0; i < ARRAY_LEN(names) + 2; i++) {
		if (i > 0)
			assert_int_equal(
				setenv("NOTIFY_SOCKET",
					i <= ARRAY_LEN(names) ? names[i - 1] : name_too_long, 1),
				0);
		fixture->notify = notify_new(&fixture->loop);
		assert_false(notify_is_heard(fixture->notify));
		notify_ready(fixture->notify);
		notify_status(fixture->notify, "one");
		fixture->notify = notify_free(fixture->notify);
	}
	listen_at_path(fixture);
	fixture->notify = notify_new(&fixture->loop);
	(void)close(fixture->manager);
	fixture->manager = -1;
	notify_ready(fixture->notify);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_life, setup, teardown),
		cmocka_unit_test_setup_teardown(test_abstract_name, setup, teardown),
		cmocka_unit_test_setup_teardown(test_status, setup, teardown),
		cmocka_unit_test_setup_teardown(test_reloading, setup, teardown),
		cmocka_unit_test_setup_teardown(test_watchdog, setup, teardown),
		cmocka_unit_test_setup_teardown(test_no_watchdog, setup, teardown),
		cmocka_unit_test_setup_teardown(test_nobody, setup, teardown),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
