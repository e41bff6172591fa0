/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "proxy/auth.h"
#include "sync/base/limits.h"
#include "sync/base/loop.h"
#include "sync/base/worker.h"
#include "sync/base/xalloc.h"

struct fixture {
	struct loop loop;
	struct worker *worker;
	struct auth_handler handler;
	unsigned decisions;
	bool accepted;
	char directory[32];
	char *path;
};

static void on_decided(struct auth_handler *handler, bool accepted)
{
	struct fixture *fixture = container_of(handler, struct fixture, handler);

	fixture->decisions++;
	fixture->accepted = accepted;
	loop_stop(&fixture->loop);
}

static int setup(void **state)
{
	struct fixture *fixture = xcalloc(1, sizeof(*fixture));

	loop_init(&fixture->loop);
	fixture->worker = worker_new(&fixture->loop);
	fixture->handler.decided = on_decided;
	(void)stpcpy(fixture->directory, "/tmp/test-auth-XXXXXX");
	assert_non_null(mkdtemp(fixture->directory));
	fixture->path = xasprintf("%s/x.db.password", fixture->directory);
	*state = fixture;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *fixture = *state;

	worker_free(fixture->worker);
	loop_done(&fixture->loop);
	(void)unlink(fixture->path);
	assert_int_equal(rmdir(fixture->directory), 0); /* nothing else was left there */
	free(fixture->path);
	free(fixture);
	return 0;
}

static bool check(
	struct fixture *fixture, struct auth *auth, const char *user, const char *password)
{
	unsigned before = fixture->decisions;
	struct auth_check *attempt = auth_check_new(auth, user, password, &fixture->handler);

	assert_int_equal(fixture->decisions, before); /* not before it returned */
	loop_run(&fixture->loop);
	assert_int_equal(fixture->decisions, before + 1);
	auth_check_free(attempt);
	return fixture->accepted;
}

static void test_password(void **state)
{
	struct fixture *fixture = *state;
	struct auth *auth = auth_new(fixture->worker, "joe", "secret", NULL);

	assert_true(check(fixture, auth, "joe", "secret"));
	assert_false(check(fixture, auth, "joe", "secre"));
	assert_false(check(fixture, auth, "joe", "secrets"));
	assert_false(check(fixture, auth, "joe", ""));
	assert_false(check(fixture, auth, "Joe", "secret"));
	assert_false(check(fixture, auth, "", "secret"));
	auth_free(auth);
}

static void test_hashes(void **state)
{
	/* of "secret": SHA-512, bcrypt, yescrypt */
	static const char *const hashes[] = {
		"$6$saltsalt$"
		"TVLlQcbpFVof5W3Yz4DTP6gRstiNuHwwTt6GLc1E5n0U0aDehy0S5knV8wiOQSpT0Y77vwPZN.Pq."
		"H91p5hVO1",
		"$2b$05$abcdefghijklmnopqrstuuOQiyCxlgf/oeuTqixKmWdcYUh4Hjl0a",
		"$y$j9T$abcdefgh$IUWJt2doU4Kf6E/JP1UkAT3S5O3Q7SSA8SJirXIlEu9",
	};
	struct fixture *fixture = *state;

	for (size_t i = 0; i < ARRAY_LEN(hashes); i++) {
		struct auth *auth = auth_new(fixture->worker, "joe", NULL, hashes[i]);

		assert_true(check(fixture, auth, "joe", "secret"));
		assert_false(check(fixture, auth, "joe", "Secret"));
		assert_false(check(fixture, auth, "jim", "secret"));
		assert_false(check(fixture, auth, "joe", hashes[i]));
		auth_free(auth);
	}
}

/* The asker goes away; auth too, while a thread may still be at it. */
static void test_abandoned(void **state)
{
	struct fixture *fixture = *state;
	struct auth *auth = auth_new(fixture->worker, "joe", "secret", NULL);

	for (int i = 0; i < 20; i++) {
		auth_check_free(auth_check_new(auth, "joe", "secret", &fixture->handler));
		ev_run(fixture->loop.ev, EVRUN_NOWAIT);
	}
	auth_free(auth);
	fixture->worker = worker_free(fixture->worker);
	assert_int_equal(fixture->decisions, 0);
}

static void test_delays_grow_and_pass(void **state)
{
	struct fixture *fixture = *state;
	struct auth *auth = auth_new(fixture->worker, "joe", "secret", NULL);
	double now = 1000, last = 0, delay = 0, first = auth_delay(auth, now);

	assert_true(first > 0.1 && first < 2);
	for (int i = 0; i < 40; i++) {
		now += delay > 0 ? delay : first;
		delay = auth_delay(auth, now);
		assert_true(delay >= last && delay * 1000 <= LIMIT_LOGIN_DELAY_MS);
		last = delay;
	}
	assert_true(delay * 1000 >= LIMIT_LOGIN_DELAY_MS);
	assert_int_equal(auth_failures(auth), 41);
	assert_true(auth_delay(auth, 5000) <= first);
	auth_free(auth);
}

/* Those that come at once are answered one after the other: many connections guess no faster. */
static void test_delays_add_up(void **state)
{
	struct fixture *fixture = *state;
	struct auth *auth = auth_new(fixture->worker, "joe", "secret", NULL);
	double last = 0;

	for (int i = 0; i < 90; i++) {
		double delay = auth_delay(auth, 1000);

		assert_true(i == 0 || delay > last || delay == LIMIT_LOGIN_SECONDS);
		assert_true(delay <= LIMIT_LOGIN_SECONDS);
		last = delay;
	}
	assert_true(last == LIMIT_LOGIN_SECONDS);
	auth_free(auth);
}

static void test_generated_password(void **state)
{
	struct fixture *fixture = *state;
	char *first = NULL, *second = NULL, *reason = NULL;
	bool is_new = false;
	struct stat st;

	assert_int_equal(auth_stored_password(fixture->path, &first, &is_new, &reason), 0);
	assert_true(is_new);
	assert_int_equal(strlen(first), 27);
	assert_int_equal(stat(fixture->path, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0600);
	/* the same again */
	assert_int_equal(auth_stored_password(fixture->path, &second, &is_new, &reason), 0);
	assert_false(is_new);
	assert_string_equal(first, second);
	free(second);
	/* an empty file, as after a full disk, is none; another one comes */
	assert_int_equal(truncate(fixture->path, 0), 0);
	assert_int_equal(auth_stored_password(fixture->path, &second, &is_new, &reason), 0);
	assert_true(is_new);
	assert_string_not_equal(first, second);
	free(first);
	free(second);
	assert_null(reason);
}

static void assert_refused(struct fixture *fixture, int error)
{
	char *password = NULL, *reason = NULL;
	bool is_new = false;

	assert_int_equal(auth_stored_password(fixture->path, &password, &is_new, &reason), error);
	assert_null(password);
	assert_non_null(strstr(reason, fixture->path));
	free(reason);
}

static void test_unsafe_password_files(void **state)
{
	struct fixture *fixture = *state;
	char *password = NULL, *reason = NULL;
	bool is_new;

	assert_int_equal(auth_stored_password(fixture->path, &password, &is_new, &reason), 0);
	free(password);
	assert_int_equal(chmod(fixture->path, 0640), 0);
	assert_refused(fixture, -EPERM);
	assert_int_equal(unlink(fixture->path), 0);
	assert_int_equal(symlink("/etc/hostname", fixture->path), 0);
	assert_refused(fixture, -ELOOP);
	assert_int_equal(unlink(fixture->path), 0);
	assert_int_equal(mkfifo(fixture->path, 0600), 0);
	assert_refused(fixture, -EPERM);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
		TEST(test_password),
		TEST(test_hashes),
		TEST(test_abandoned),
		TEST(test_delays_grow_and_pass),
		TEST(test_delays_add_up),
		TEST(test_generated_password),
		TEST(test_unsafe_password_files),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
