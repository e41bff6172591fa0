/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "proxy/listener.h"
#include "proxy/session.h"
#include "sync/base/log.h"
#include "sync/base/loop.h"
#include "sync/base/xalloc.h"

struct fixture {
	struct loop loop;
	struct listener_handler handler;
	struct listener *listener;
	unsigned accepted;
	struct proxy_client last;
	char *reason;
	char directory[40];
	char *path;
};

static void on_accepted(struct listener_handler *handler, const struct proxy_client *client)
{
	struct fixture *fixture = container_of(handler, struct fixture, handler);

	fixture->accepted++;
	fixture->last = *client;
	assert_true((fcntl(client->own_fd, F_GETFL) & O_NONBLOCK) != 0);
	assert_true((fcntl(client->own_fd, F_GETFD) & FD_CLOEXEC) != 0);
	(void)close(client->own_fd);
}

static int setup(void **state)
{
	struct fixture *fixture = xcalloc(1, sizeof(*fixture));

	loop_init(&fixture->loop);
	fixture->handler.accepted = on_accepted;
	(void)stpcpy(fixture->directory, "/tmp/test-listener-XXXXXX");
	assert_non_null(mkdtemp(fixture->directory));
	fixture->path = xasprintf("%s/socket", fixture->directory);
	*state = fixture;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *fixture = *state;

	listener_free(fixture->listener);
	loop_done(&fixture->loop);
	(void)unlink(fixture->path);
	assert_int_equal(rmdir(fixture->directory), 0);
	free(fixture->path);
	free(fixture->reason);
	free(fixture);
	return 0;
}

/* Opens one configured address; true if it listens. */
static bool open_one(struct fixture *fixture, const char *value, bool tls)
{
	struct listener_options options = {.tls = tls};
	struct listen_address *addresses = NULL;

	assert_null(value_parse_listen(value, &addresses, &options.count));
	options.addresses = addresses;
	free(take(fixture->reason));
	fixture->listener =
		listener_new(&fixture->loop, &options, &fixture->handler, &fixture->reason);
	listen_addresses_free(addresses, options.count);
	return fixture->listener != NULL;
}

static bool open_unix(struct fixture *fixture)
{
	_cleanup_free_ char *value = xasprintf("unix:%s", fixture->path);

	return open_one(fixture, value, false);
}

static int connect_unix(const char *path)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	(void)stpcpy(address.sun_path, path);
	if (connect(fd, (struct sockaddr *)&address, sizeof(address)) == 0)
		return fd;
	(void)close(fd);
	return -1;
}

static void run_until_accepted(struct fixture *fixture, unsigned count)
{
	time_t limit = time(NULL) + 20;

	while (fixture->accepted < count) {
		ev_run(fixture->loop.ev, EVRUN_NOWAIT);
		assert_true(time(NULL) < limit);
	}
}

/* A port nobody uses now; its socket stays bound, without listening, when keep is given. */
static unsigned some_port(int *ret_keep)
{
	struct sockaddr_in address = {.sin_family = AF_INET};
	socklen_t len = sizeof(address);
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	assert_int_equal(bind(fd, (struct sockaddr *)&address, sizeof(address)), 0);
	assert_int_equal(getsockname(fd, (struct sockaddr *)&address, &len), 0);
	if (ret_keep != NULL) {
		assert_int_equal(listen(fd, 1), 0);
		*ret_keep = fd;
	} else {
		(void)close(fd);
	}
	return ntohs(address.sin_port);
}

static void test_tcp(void **state)
{
	struct fixture *fixture = *state;
	struct sockaddr_in address = {.sin_family = AF_INET};
	unsigned port = some_port(NULL);
	_cleanup_free_ char *value = xasprintf("127.0.0.1:%u", port);
	int fd;

	assert_true(open_one(fixture, value, true));
	address.sin_port = htons((uint16_t)port);
	address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_int_equal(connect(fd, (struct sockaddr *)&address, sizeof(address)), 0);
	run_until_accepted(fixture, 1);
	assert_true(fixture->last.is_local);
	assert_false(fixture->last.implicit_tls);
	(void)close(fd);
}

static void test_port_in_use(void **state)
{
	struct fixture *fixture = *state;
	int keep = -1;
	_cleanup_free_ char *value = xasprintf("127.0.0.1:%u", some_port(&keep));
	_cleanup_free_ char *expected =
		xasprintf("cannot listen on %s: Address already in use", value);

	assert_false(open_one(fixture, value, false));
	assert_string_equal(fixture->reason, expected);
	(void)close(keep);
}

static void test_clear_text_off_loopback_is_refused(void **state)
{
	struct fixture *fixture = *state;
	_cleanup_free_ char *any = xasprintf("0.0.0.0:%u", some_port(NULL));
	_cleanup_free_ char *any6 = xasprintf("[::]:%u", some_port(NULL));

	assert_false(open_one(fixture, any, false));
	assert_non_null(strstr(fixture->reason, "clear text"));
	assert_false(open_one(fixture, any6, false));
	assert_non_null(strstr(fixture->reason, "clear text"));
	/* with a certificate it may be */
	assert_true(open_one(fixture, any, true));
}

static void test_one_bad_address_opens_none(void **state)
{
	struct fixture *fixture = *state;
	unsigned port = some_port(NULL);
	_cleanup_free_ char *value =
		xasprintf("127.0.0.1:%u unix:%s 192.0.2.1:%u", port, fixture->path, port);
	_cleanup_free_ char *first = xasprintf("127.0.0.1:%u", port);

	assert_false(open_one(fixture, value, true));
	assert_int_equal(access(fixture->path, F_OK), -1);
	assert_true(open_one(fixture, first, true));
}

static void test_unix_socket(void **state)
{
	struct fixture *fixture = *state;
	mode_t mask = umask(0);
	struct stat st;
	int fd;

	assert_true(open_unix(fixture));
	(void)umask(mask);
	assert_int_equal(lstat(fixture->path, &st), 0);
	assert_true(S_ISSOCK(st.st_mode));
	assert_int_equal(st.st_mode & 0777, 0600);
	fd = connect_unix(fixture->path);
	assert_true(fd >= 0);
	run_until_accepted(fixture, 1);
	assert_true(fixture->last.is_local);
	(void)close(fd);
	fixture->listener = listener_free(fixture->listener);
	assert_int_equal(access(fixture->path, F_OK), -1);
}

/* What a killed program left behind is replaced; a socket that answers, or another file, is not. */
static void test_old_unix_socket(void **state)
{
	struct fixture *fixture = *state;
	struct listener *first;
	struct stat st;
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	struct sockaddr_un address = {.sun_family = AF_UNIX};

	(void)stpcpy(address.sun_path, fixture->path);
	assert_int_equal(bind(fd, (struct sockaddr *)&address, sizeof(address)), 0);
	(void)close(fd);
	assert_true(open_unix(fixture));
	first = fixture->listener;
	assert_false(open_unix(fixture));
	assert_non_null(strstr(fixture->reason, "another program listens"));
	assert_int_equal(lstat(fixture->path, &st), 0); /* the first one's is still there */

	/* replaced by somebody else meanwhile: not ours to remove */
	assert_int_equal(unlink(fixture->path), 0);
	fd = open(fixture->path, O_CREAT | O_WRONLY | O_CLOEXEC, 0600);
	(void)close(fd);
	listener_free(first);
	assert_int_equal(access(fixture->path, F_OK), 0);
	assert_false(open_unix(fixture));
	assert_non_null(strstr(fixture->reason, "is no socket"));
}

static void test_long_path(void **state)
{
	struct fixture *fixture = *state;
	char value[300] = "unix:/tmp/";

	memset(value + 10, 'x', 200);
	assert_false(open_one(fixture, value, false));
	assert_non_null(strstr(fixture->reason, "too long"));
}

/* Changes the addresses; true if it listens on these. */
static bool change(struct fixture *fixture, const char *value, bool tls)
{
	struct listener_options options = {.tls = tls};
	struct listen_address *addresses = NULL;
	bool good;

	assert_null(value_parse_listen(value, &addresses, &options.count));
	options.addresses = addresses;
	free(take(fixture->reason));
	good = listener_change(fixture->listener, &options, &fixture->reason);
	listen_addresses_free(addresses, options.count);
	return good;
}

static bool answers(unsigned port)
{
	struct sockaddr_in address = {.sin_family = AF_INET,
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK),
		.sin_port = htons((uint16_t)port)};
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	bool good = connect(fd, (struct sockaddr *)&address, sizeof(address)) == 0;

	(void)close(fd);
	return good;
}

/* One that stays is the same socket: who was waiting for accept() is not lost. */
static void test_addresses_change(void **state)
{
	struct fixture *fixture = *state;
	unsigned one = some_port(NULL), other = some_port(NULL);
	_cleanup_free_ char *before = xasprintf("127.0.0.1:%u unix:%s", one, fixture->path);
	_cleanup_free_ char *after = xasprintf("127.0.0.1:%u unix:%s", other, fixture->path);
	struct stat st, now;
	int fd;

	assert_true(open_one(fixture, before, false));
	assert_int_equal(lstat(fixture->path, &st), 0);
	fd = connect_unix(fixture->path);
	assert_true(change(fixture, after, false));
	assert_int_equal(lstat(fixture->path, &now), 0);
	assert_true(st.st_ino == now.st_ino);
	assert_true(!answers(one) && answers(other));
	run_until_accepted(fixture, 2);
	(void)close(fd);
	/* and one that does not stay is cleared away */
	*strchr(after, ' ') = '\0';
	assert_true(change(fixture, after, false));
	assert_int_equal(access(fixture->path, F_OK), -1);
	assert_true(answers(other));
}

static void test_a_change_that_fails_changes_nothing(void **state)
{
	struct fixture *fixture = *state;
	unsigned one = some_port(NULL), fresh = some_port(NULL), taken = 0;
	int holder = -1;
	_cleanup_free_ char *before = xasprintf("127.0.0.1:%u", one);
	_cleanup_free_ char *exposed = xasprintf("127.0.0.1:%u 0.0.0.0:%u", fresh, fresh);
	_cleanup_free_ char *after = NULL;

	taken = some_port(&holder);
	after = xasprintf("127.0.0.1:%u unix:%s 127.0.0.1:%u", fresh, fixture->path, taken);
	assert_true(open_one(fixture, before, false));
	assert_false(change(fixture, after, false));
	assert_non_null(strstr(fixture->reason, "cannot listen"));
	assert_int_equal(access(fixture->path, F_OK), -1);
	assert_true(answers(one) && !answers(fresh));
	assert_false(change(fixture, exposed, false));
	assert_non_null(strstr(fixture->reason, "clear text"));
	assert_true(answers(one) && !answers(fresh));
	(void)close(holder);
	assert_true(change(fixture, after, false));
	assert_true(!answers(one) && answers(fresh));
}

/* Off loopback, what was allowed with a certificate is not without it. */
static void test_the_certificate_is_taken_away(void **state)
{
	struct fixture *fixture = *state;
	unsigned port = some_port(NULL);
	_cleanup_free_ char *value = xasprintf("0.0.0.0:%u", port);

	assert_true(open_one(fixture, value, true));
	assert_false(change(fixture, value, false));
	assert_non_null(strstr(fixture->reason, "clear text"));
	assert_true(answers(port));
	assert_true(change(fixture, value, true));
}

/* Without descriptors the loop must rest, and go on as soon as there is one. */
static void test_no_descriptors(void **state)
{
	struct fixture *fixture = *state;
	struct rlimit old, none;
	int client, turns = 0;
	struct timespec before, after;

	assert_true(open_unix(fixture));
	client = connect_unix(fixture->path);
	assert_true(client >= 0);
	assert_int_equal(getrlimit(RLIMIT_NOFILE, &old), 0);
	none = (struct rlimit){.rlim_cur = 3, .rlim_max = old.rlim_max};
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &none), 0);
	(void)clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &before);
	for (int i = 0; i < 3; i++, turns++)
		ev_run(fixture->loop.ev, turns == 0 ? EVRUN_ONCE : EVRUN_NOWAIT);
	assert_int_equal(fixture->accepted, 0);
	/* it sleeps until its timer, which is a second away */
	ev_run(fixture->loop.ev, EVRUN_ONCE);
	(void)clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &after);
	assert_true(
		(after.tv_sec - before.tv_sec) * 1000 + (after.tv_nsec - before.tv_nsec) / 1000000 <
		500);
	assert_int_equal(fixture->accepted, 0);
	ev_run(fixture->loop.ev, EVRUN_NOWAIT); /* tries again, and pauses again */
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &old), 0);
	listener_resume(fixture->listener);
	run_until_accepted(fixture, 1);
	(void)close(client);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
		TEST(test_tcp),
		TEST(test_port_in_use),
		TEST(test_clear_text_off_loopback_is_refused),
		TEST(test_one_bad_address_opens_none),
		TEST(test_unix_socket),
		TEST(test_old_unix_socket),
		TEST(test_long_path),
		TEST(test_addresses_change),
		TEST(test_a_change_that_fails_changes_nothing),
		TEST(test_the_certificate_is_taken_away),
		TEST(test_no_descriptors),
	};

	log_set_level(LOG_LEVEL_ERROR);
	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
