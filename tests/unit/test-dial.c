/* SPDX-License-Identifier: MIT */
#include "net-fixture.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>
#include <sys/un.h>

#include "sync/base/worker.h"
#include "sync/net/connector.h"
#include "sync/net/dial.h"
#include "sync/net/resolve.h"

struct caller {
	struct dial_handler handler;
	struct dial *dial;
	unsigned calls;
	int fd;
	char *reason;
	bool starting, free_inside;
};

static struct worker *worker;
static struct caller caller;
static int listener = -1;
static char port[8]; /* the listener's */

static void dialled(struct dial_handler *handler, int fd, const char *reason)
{
	struct caller *c = container_of(handler, struct caller, handler);

	assert_false(c->starting);
	assert_true((fd < 0) == (reason != NULL));
	c->calls++;
	c->fd = fd;
	c->reason = reason != NULL ? xstrdup(reason) : NULL;
	if (c->free_inside)
		c->dial = dial_free(c->dial);
}

static void listen_on_loopback(int backlog)
{
	struct sockaddr_in address = {.sin_family = AF_INET};
	socklen_t size = sizeof(address);

	address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	listener = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
	assert_int_equal(bind(listener, (struct sockaddr *)&address, size), 0);
	if (backlog >= 0)
		assert_int_equal(listen(listener, backlog), 0);
	assert_int_equal(getsockname(listener, (struct sockaddr *)&address, &size), 0);
	snprintf(port, sizeof(port), "%u", ntohs(address.sin_port));
}

static int setup(void **state)
{
	setup_loop(state);
	worker = worker_new(&loop);
	caller = (struct caller){.handler = {.dialled = dialled}, .fd = -1};
	return 0;
}

static int teardown(void **state)
{
	caller.dial = dial_free(caller.dial);
	if (caller.fd >= 0)
		close(caller.fd);
	free(caller.reason);
	if (listener >= 0)
		close(listener);
	listener = -1;
	worker = worker_free(worker);
	return teardown_loop(state);
}

static void start(const struct dial_options *options)
{
	caller.starting = true;
	caller.dial = dial_start(&loop, worker, options, &caller.handler);
	caller.starting = false;
	assert_int_equal(caller.calls, 0);
}

static void expect_connected(void)
{
	RUN_UNTIL(caller.calls > 0);
	if (caller.reason != NULL)
		fail_msg("%s", caller.reason);
	assert_true(caller.fd >= 0);
	run_ready();
	assert_int_equal(caller.calls, 1);
}

static void expect_failure(const char *reason)
{
	RUN_UNTIL(caller.calls > 0);
	assert_int_equal(caller.fd, -1);
	assert_string_equal(caller.reason, reason);
	run_ready();
	assert_int_equal(caller.calls, 1);
}

static void again(void **state)
{
	teardown(state);
	setup(state);
}

/* --- TCP --- */

static int accept_one(void)
{
	int fd;

	RUN_UNTIL((fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK)) >= 0);
	return fd;
}

static void connects(void **state)
{
	static const char *const hosts[] = {"127.0.0.1", "[127.0.0.1]", "localhost", "LOCALHOST."};

	for (size_t i = 0; i < ARRAY_LEN(hosts); i++) {
		listen_on_loopback(5);
		start(&(struct dial_options){.host = hosts[i], .port = port});
		expect_connected();
		close(accept_one());
		again(state);
	}
}

static void refused(void **state)
{
	_cleanup_free_ char *expected = NULL;

	listen_on_loopback(-1);
	expected = xasprintf("cannot connect to 127.0.0.1 port %s: connection refused", port);
	start(&(struct dial_options){.host = "127.0.0.1", .port = port});
	expect_failure(expected);
}

static void unknown_host(void **state)
{
	start(&(struct dial_options){.host = "x.invalid", .port = "imaps", .timeout_seconds = 20});
	RUN_UNTIL(caller.calls > 0);
	assert_int_equal(caller.fd, -1);
	assert_memory_equal(caller.reason, "cannot look up x.invalid: ", 26);
	assert_true(strlen(caller.reason) > 26);
}

/* What is in brackets is an address or nothing: it must not be asked of a name server. */
static void bracketed_name(void **state)
{
	start(&(struct dial_options){.host = "[localhost]", .port = "143"});
	expect_failure("cannot look up [localhost]: Name or service not known");
}

static void bad_port(void **state)
{
	static const char *const ports[] = {
		"0", "65536", "99999999999999999999", "", "-1", "imapz"};

	for (size_t i = 0; i < ARRAY_LEN(ports); i++) {
		_cleanup_free_ char *expected = xasprintf("unknown port \"%s\"", ports[i]);

		start(&(struct dial_options){.host = "127.0.0.1", .port = ports[i]});
		expect_failure(expected);
		again(state);
	}
	assert_int_equal(resolve_port("65535"), 65535);
	assert_int_equal(resolve_port("imaps"), 993);
}

static void no_host(void **state)
{
	start(&(struct dial_options){.port = "143"});
	expect_failure("there is no host to connect to");
}

/* One whose queue is full does not answer at all. */
static void fill_backlog(int fds[2])
{
	struct sockaddr_in address;
	socklen_t size = sizeof(address);

	assert_int_equal(getsockname(listener, (struct sockaddr *)&address, &size), 0);
	for (int i = 0; i < 2; i++) {
		fds[i] = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
		(void)connect(fds[i], (struct sockaddr *)&address, size);
	}
}

static void no_answer(void **state)
{
	_cleanup_free_ char *expected = NULL;
	int fds[2];

	listen_on_loopback(0);
	fill_backlog(fds);
	expected =
		xasprintf("cannot connect to 127.0.0.1 port %s: no answer within 1 second", port);
	start(&(struct dial_options){.host = "127.0.0.1", .port = port, .timeout_seconds = 1});
	expect_failure(expected);
	close(fds[0]);
	close(fds[1]);
}

static void freed_inside(void **state)
{
	listen_on_loopback(5);
	caller.free_inside = true;
	start(&(struct dial_options){.host = "127.0.0.1", .port = port});
	expect_connected();
	assert_null(caller.dial);
}

static void freed_midway(void **state)
{
	listen_on_loopback(5);
	start(&(struct dial_options){.host = "x.invalid", .port = "143"});
	run_ready();
	caller.dial = dial_free(caller.dial);
	start(&(struct dial_options){.host = "127.0.0.1", .port = port});
	caller.dial = dial_free(caller.dial);
	start(&(struct dial_options){.host = "127.0.0.1", .port = port});
	ev_run(loop.ev, EVRUN_NOWAIT);
	if (caller.calls == 0)
		caller.dial = dial_free(caller.dial);
	run_ready();
	assert_true(caller.calls <= 1);
	assert_null(dial_free(NULL));
}

/* --- Several addresses --- */

static struct task waiter;

static enum step wait_step(struct task *task)
{
	return STEP_WAIT;
}

static struct addrinfo entry(const struct sockaddr_in *address, struct addrinfo *next)
{
	return (struct addrinfo){.ai_family = AF_INET,
		.ai_socktype = SOCK_STREAM,
		.ai_addr = (struct sockaddr *)(uintptr_t)address,
		.ai_addrlen = sizeof(*address),
		.ai_next = next};
}

/* The second is tried while the first has not answered, and wins. */
static void first_address_is_silent(void **state)
{
	struct sockaddr_in silent, good;
	struct addrinfo second = entry(&good, NULL), first = entry(&silent, &second);
	socklen_t size = sizeof(silent);
	struct connector *connector;
	ev_tstamp start_time = ev_time();
	int fds[2], other, fd;

	task_init(&waiter, &loop, wait_step, NULL);
	listen_on_loopback(0);
	fill_backlog(fds);
	other = listener;
	getsockname(listener, (struct sockaddr *)&silent, &size);
	listen_on_loopback(5);
	getsockname(listener, (struct sockaddr *)&good, &size);
	connector = connector_start(&loop, &first, &waiter);
	RUN_UNTIL(connector_is_done(connector));
	assert_true(ev_time() - start_time >= 0.2);
	fd = connector_take(connector);
	assert_true(fd >= 0);
	assert_int_equal(getpeername(fd, (struct sockaddr *)&silent, &size), 0);
	assert_int_equal(silent.sin_port, good.sin_port);
	connector_free(connector);
	task_cancel(&waiter);
	close(fd);
	close(other);
	close(fds[0]);
	close(fds[1]);
}

static void all_addresses_fail(void **state)
{
	struct sockaddr_in refusing, impossible = {.sin_family = AF_INET, .sin_port = 1};
	struct addrinfo second = entry(&impossible, NULL), first = entry(&refusing, &second);
	socklen_t size = sizeof(refusing);
	struct connector *connector;

	impossible.sin_addr.s_addr = htonl(INADDR_BROADCAST); /* connect() fails at once */
	task_init(&waiter, &loop, wait_step, NULL);
	listen_on_loopback(-1);
	getsockname(listener, (struct sockaddr *)&refusing, &size);
	connector = connector_start(&loop, &first, &waiter);
	RUN_UNTIL(connector_is_done(connector));
	assert_int_equal(connector_take(connector), -1);
	assert_non_null(strstr(connector_reason(connector), "127.0.0.1: connection refused, "
							    "255.255.255.255: "));
	connector_free(connector);
	task_cancel(&waiter);
}

static void families_alternate(void **state)
{
	static const int families[] = {AF_INET6, AF_INET6, AF_INET6, AF_INET, AF_INET};
	static const size_t order[] = {0, 3, 1, 4, 2};
	struct addrinfo list[ARRAY_LEN(families)] = {0};
	_cleanup_free_ const struct addrinfo **found = NULL;
	size_t n;

	for (size_t i = 0; i < ARRAY_LEN(list); i++) {
		list[i].ai_family = families[i];
		list[i].ai_next = i + 1 < ARRAY_LEN(list) ? &list[i + 1] : NULL;
	}
	found = resolve_order(list, &n);
	assert_int_equal(n, ARRAY_LEN(order));
	for (size_t i = 0; i < n; i++)
		assert_ptr_equal(found[i], &list[order[i]]);
}

/* --- UNIX sockets --- */

static void unix_socket(void **state)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	char path[] = "/tmp/interimap-dial-XXXXXX";

	assert_non_null(mkdtemp(path));
	snprintf(address.sun_path, sizeof(address.sun_path), "%s/socket", path);
	listener = socket(AF_UNIX, SOCK_STREAM, 0);
	assert_int_equal(bind(listener, (struct sockaddr *)&address, sizeof(address)), 0);
	assert_int_equal(listen(listener, 1), 0);
	start(&(struct dial_options){.unix_path = address.sun_path});
	expect_connected();
	unlink(address.sun_path);
	rmdir(path);
}

static void no_unix_socket(void **state)
{
	char path[200];

	start(&(struct dial_options){.unix_path = "/nonexistent/socket"});
	expect_failure("cannot connect to /nonexistent/socket: no such file or directory");
	again(state);
	memset(path, 'a', sizeof(path));
	path[sizeof(path) - 1] = '\0';
	start(&(struct dial_options){.unix_path = path});
	RUN_UNTIL(caller.calls > 0);
	assert_non_null(strstr(caller.reason, "the path is too long"));
}

/* --- Tunnels --- */

static void expect_output(const char *expected)
{
	char data[256];
	ssize_t n;

	expect_connected();
	RUN_UNTIL((n = read(caller.fd, data, sizeof(data) - 1)) >= 0);
	data[n] = '\0';
	assert_string_equal(data, expected);
}

static void tunnel_command(void **state)
{
	static const struct {
		const char *command, *output;
	} cases[] = {
		{"  echo  one\ttwo ", "one two\n"}, {"echo $((1+2))", "3\n"},
		{"A_1=x sh -c 'echo $A_1'", "x\n"}, {"exec echo three", "three\n"},
		{"true", ""}, /* gone at once: the end of the stream */
	};

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		start(&(struct dial_options){.command = cases[i].command});
		expect_output(cases[i].output);
		again(state);
	}
}

static void tunnel_arguments(void **state)
{
	start(&(struct dial_options){
		.argv = (const char *const[]){"sh", "-c", "echo \"$1 $X\"", "sh", "a  b", NULL},
		.environment = (const char *const[]){"X=y", NULL},
		.null_stderr = true});
	expect_output("a  b y\n");
}

static void tunnel_fails(void **state)
{
	start(&(struct dial_options){.command = "interimap-no-such-program --x"});
	expect_failure("cannot run interimap-no-such-program: no such file or directory");
	again(state);
	start(&(struct dial_options){.command = " \t"});
	expect_failure("the tunnel command is empty");
}

/* --- Through a proxy --- */

static size_t read_some(int fd, char *data, size_t n)
{
	ssize_t got;

	RUN_UNTIL((got = read(fd, data, n)) > 0);
	return (size_t)got;
}

static void through_proxy_by_name(void **state)
{
	_cleanup_free_ char *url = NULL;
	char data[64];
	int fd;

	listen_on_loopback(5);
	url = xasprintf("socks5h://127.0.0.1:%s", port);
	start(&(struct dial_options){.host = "imap.example", .port = "imap", .proxy = url});
	fd = accept_one();
	assert_int_equal(read_some(fd, data, sizeof(data)), 3);
	assert_int_equal(write(fd, "\5\0", 2), 2);
	assert_int_equal(read_some(fd, data, sizeof(data)), 19);
	assert_memory_equal(data, "\5\1\0\3\14imap.example\0\217", 19);
	assert_int_equal(write(fd, "\5\0\0\1\0\0\0\0\0\0hello", 15), 15);
	expect_connected();
	assert_int_equal(read(caller.fd, data, sizeof(data)), 5);
	close(fd);
}

/* Each address of the target gets a connection of its own. */
static void proxy_refuses_first_address(void **state)
{
	_cleanup_free_ char *url = NULL;
	char first[64], second[64];
	size_t n;
	int fd;

	listen_on_loopback(5);
	url = xasprintf("socks5://127.0.0.1:%s", port);
	start(&(struct dial_options){.host = "localhost", .port = "143", .proxy = url});
	fd = accept_one();
	read_some(fd, first, sizeof(first));
	assert_int_equal(write(fd, "\5\0", 2), 2);
	n = read_some(fd, first, sizeof(first));
	assert_int_equal(first[3], n == 10 ? 1 : 4); /* an address, not a name */
	assert_int_equal(write(fd, "\5\4\0\1\0\0\0\0\0\0", 10), 10);
	close(fd);
	fd = accept_one();
	read_some(fd, second, sizeof(second));
	assert_int_equal(write(fd, "\5\0", 2), 2);
	read_some(fd, second, sizeof(second));
	assert_true(second[3] != first[3]);
	assert_int_equal(write(fd, "\5\4\0\1\0\0\0\0\0\0", 10), 10);
	expect_failure("cannot connect to localhost port 143: the proxy could not connect: host "
		       "unreachable");
	close(fd);
}

static void literal_through_resolving_proxy(void **state)
{
	_cleanup_free_ char *url = NULL;
	char data[64];
	int fd;

	listen_on_loopback(5);
	url = xasprintf("socks5h://127.0.0.1:%s", port);
	start(&(struct dial_options){.host = "[2001:db8::1]", .port = "143", .proxy = url});
	fd = accept_one();
	read_some(fd, data, sizeof(data));
	assert_int_equal(write(fd, "\5\0", 2), 2);
	assert_int_equal(read_some(fd, data, sizeof(data)), 22);
	assert_int_equal(data[3], 4);
	close(fd);
	expect_failure("cannot connect to [2001:db8::1] port 143: the proxy closed the connection");
}

static void proxy_is_down(void **state)
{
	_cleanup_free_ char *url = NULL, *expected = NULL;

	listen_on_loopback(-1);
	url = xasprintf("socks5h://127.0.0.1:%s", port);
	expected = xasprintf(
		"cannot connect to the proxy 127.0.0.1 port %s: connection refused", port);
	start(&(struct dial_options){.host = "imap.example", .port = "143", .proxy = url});
	expect_failure(expected);
}

/* Nothing is connected to, and no name asked for. */
static void unknown_proxy_protocol(void **state)
{
	start(&(struct dial_options){
		.host = "imap.example", .port = "143", .proxy = "http://127.0.0.1:1"});
	expect_failure("unknown proxy protocol \"http\" (known are socks5 and socks5h)");
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(connects),
		TEST(refused),
		TEST(unknown_host),
		TEST(bracketed_name),
		TEST(bad_port),
		TEST(no_host),
		TEST(no_answer),
		TEST(freed_inside),
		TEST(freed_midway),
		TEST(first_address_is_silent),
		TEST(all_addresses_fail),
		TEST(families_alternate),
		TEST(unix_socket),
		TEST(no_unix_socket),
		TEST(tunnel_command),
		TEST(tunnel_arguments),
		TEST(tunnel_fails),
		TEST(through_proxy_by_name),
		TEST(proxy_refuses_first_address),
		TEST(literal_through_resolving_proxy),
		TEST(proxy_is_down),
		TEST(unknown_proxy_protocol),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
