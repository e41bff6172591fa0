/* SPDX-License-Identifier: MIT */
#include "net-fixture.h"

#include <arpa/inet.h>
#include <netinet/in.h>

#include "sync/net/socks5.h"

static int server; /* the proxy's end of the connection */
static struct socks5_proxy proxy;
static struct socks5 *socks5;
static struct task waiter;
static unsigned woken;

static enum step wait_step(struct task *task)
{
	woken++;
	return STEP_WAIT;
}

static int setup(void **state)
{
	setup_loop(state);
	woken = 0;
	server = -1;
	task_init(&waiter, &loop, wait_step, NULL);
	return 0;
}

static int teardown(void **state)
{
	socks5 = socks5_free(socks5);
	task_cancel(&waiter);
	socks5_proxy_done(&proxy);
	if (server >= 0)
		close(server);
	return teardown_loop(state);
}

static void start(const char *url, const struct socks5_target *target)
{
	int fds[2];

	make_pair(fds);
	server = fds[1];
	assert_null(socks5_parse(url, &proxy));
	socks5 = socks5_start(&loop, fds[0], &proxy, target, &waiter);
	assert_int_equal(woken, 0);
}

static void start_name(const char *url)
{
	start(url, &(const struct socks5_target){.name = "imap.example", .port = 993});
}

/* Exactly these bytes are asked, and not more before there is an answer. */
static void expect(const void *question, size_t n)
{
	char data[1024];
	size_t have = 0;
	ssize_t got;

	while (have < n) {
		RUN_UNTIL((got = read(server, data + have, sizeof(data) - have)) >= 0);
		assert_true(got > 0);
		have += (size_t)got;
	}
	run_ready();
	assert_true(read(server, data + have, 1) < 0);
	assert_int_equal(have, n);
	assert_memory_equal(data, question, n);
}

/* One byte at a time. */
static void answer(const char *bytes, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		assert_int_equal(write(server, bytes + i, 1), 1);
		run_ready();
	}
}

static void expect_success(void)
{
	int fd;

	RUN_UNTIL(woken > 0);
	assert_true(socks5_is_done(socks5));
	fd = socks5_take(socks5);
	assert_true(fd >= 0);
	assert_int_equal(socks5_take(socks5), -1);
	close(fd);
}

static void expect_failure(const char *reason)
{
	RUN_UNTIL(woken > 0);
	assert_true(socks5_is_done(socks5));
	assert_int_equal(socks5_take(socks5), -1);
	assert_string_equal(socks5_reason(socks5), reason);
}

#define EXPECT(literal) expect(literal, sizeof(literal) - 1)
#define ANSWER(literal) answer(literal, sizeof(literal) - 1)

#define CONNECT_NAME "\5\1\0\3\14imap.example\3\341"

static void by_name(void **state)
{
	start_name("socks5h://localhost");
	EXPECT("\5\1\0");
	ANSWER("\5\0");
	EXPECT(CONNECT_NAME);
	ANSWER("\5\0\0\1\177\0\0\1\0\120");
	expect_success();
}

static void by_address(void **state)
{
	struct sockaddr_in in = {.sin_family = AF_INET};
	struct socks5_target target = {.address = (struct sockaddr *)&in, .port = 143};

	inet_pton(AF_INET, "192.0.2.1", &in.sin_addr);
	start("socks5://localhost", &target);
	EXPECT("\5\1\0");
	ANSWER("\5\0");
	EXPECT("\5\1\0\1\300\0\2\1\0\217");
	ANSWER("\5\0\0\4aaaabbbbccccdddd\0\120");
	expect_success();
}

static void by_address_of_version_6(void **state)
{
	struct sockaddr_in6 in = {.sin6_family = AF_INET6};
	struct socks5_target target = {.address = (struct sockaddr *)&in, .port = 143};

	inet_pton(AF_INET6, "2001:db8::1", &in.sin6_addr);
	start("socks5://localhost", &target);
	EXPECT("\5\1\0");
	ANSWER("\5\0");
	EXPECT("\5\1\0\4\x20\x01\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\1\0\217");
	ANSWER("\5\0\0\3\4abcd\0\120");
	expect_success();
}

/* A name of length 0 makes the shortest answer of all. */
static void shortest_answer(void **state)
{
	start_name("socks5h://localhost");
	EXPECT("\5\1\0");
	ANSWER("\5\0");
	EXPECT(CONNECT_NAME);
	ANSWER("\5\0\0\3\0\0\120");
	expect_success();
}

/* What comes after the proxy's answer is the server's greeting, and for another to read. */
static void leaves_the_greeting(void **state)
{
	char greeting[16];
	int fd;

	start_name("socks5h://localhost");
	EXPECT("\5\1\0");
	ANSWER("\5\0");
	EXPECT(CONNECT_NAME);
	assert_int_equal(write(server, "\5\0\0\1\177\0\0\1\0\120* OK\r\n", 16), 16);
	RUN_UNTIL(woken > 0);
	fd = socks5_take(socks5);
	assert_int_equal(read(fd, greeting, sizeof(greeting)), 6);
	assert_memory_equal(greeting, "* OK\r\n", 6);
	close(fd);
}

static void with_password(void **state)
{
	start_name("socks5h://alice:se@cr:et@localhost:1081");
	assert_int_equal(proxy.port, 1081);
	EXPECT("\5\2\0\2");
	ANSWER("\5\2");
	EXPECT("\1\5alice\10se@cr:et");
	ANSWER("\1\0");
	EXPECT(CONNECT_NAME);
	ANSWER("\5\0\0\1\177\0\0\1\0\120");
	expect_success();
}

static void password_not_asked_for(void **state)
{
	start_name("socks5h://alice:secret@localhost");
	EXPECT("\5\2\0\2");
	ANSWER("\5\0");
	EXPECT(CONNECT_NAME);
}

static void wrong_password(void **state)
{
	start_name("socks5h://alice:secret@localhost");
	EXPECT("\5\2\0\2");
	ANSWER("\5\2");
	EXPECT("\1\5alice\6secret");
	ANSWER("\1\1");
	expect_failure("the proxy refused user name and password");
	assert_false(socks5_is_target_failure(socks5));
}

static void password_wanted(void **state)
{
	start_name("socks5h://localhost");
	EXPECT("\5\1\0");
	ANSWER("\5\2");
	expect_failure("the proxy wants a user name and password");
}

static void other_authentication(void **state)
{
	start_name("socks5h://a:b@localhost");
	EXPECT("\5\2\0\2");
	ANSWER("\5\377");
	expect_failure("the proxy wants an authentication that is not known here");
}

static void other_version(void **state)
{
	start_name("socks5h://localhost");
	EXPECT("\5\1\0");
	ANSWER("HTTP/1.0 400 Bad Request");
	expect_failure("the proxy does not speak SOCKS version 5");
}

static void refused(void **state)
{
	start_name("socks5h://localhost");
	EXPECT("\5\1\0");
	ANSWER("\5\0");
	EXPECT(CONNECT_NAME);
	ANSWER("\5\5\0\1\0\0\0\0\0\0");
	expect_failure("the proxy could not connect: connection refused");
	assert_true(socks5_is_target_failure(socks5));
}

static void refused_in_an_unknown_way(void **state)
{
	start_name("socks5h://localhost");
	EXPECT("\5\1\0");
	ANSWER("\5\0");
	EXPECT(CONNECT_NAME);
	ANSWER("\5\144\0\1\0");
	expect_failure("the proxy could not connect: code 100");
}

static void invalid_answer(void **state)
{
	start_name("socks5h://localhost");
	EXPECT("\5\1\0");
	ANSWER("\5\0");
	EXPECT(CONNECT_NAME);
	ANSWER("\5\0\0\7\0");
	expect_failure("the proxy sent an invalid answer");
}

static void closed(void **state)
{
	start_name("socks5h://localhost");
	EXPECT("\5\1\0");
	ANSWER("\5");
	assert_int_equal(shutdown(server, SHUT_RDWR), 0);
	expect_failure("the proxy closed the connection");
}

static void long_name(void **state)
{
	char name[257];

	memset(name, 'a', 256);
	name[256] = '\0';
	start("socks5h://localhost", &(struct socks5_target){.name = name, .port = 143});
	expect_failure("the host name is too long for the proxy");
}

static void freed_midway(void **state)
{
	start_name("socks5h://localhost");
	EXPECT("\5\1\0");
	ANSWER("\5");
	socks5 = socks5_free(socks5);
	run_ready();
	assert_int_equal(woken, 0);
	assert_null(socks5_free(NULL));
}

static void parse_good(void **state)
{
	assert_null(socks5_parse("socks5://[2001:db8::1]:1234", &proxy));
	assert_string_equal(proxy.host, "2001:db8::1");
	assert_int_equal(proxy.port, 1234);
	assert_false(proxy.proxy_resolves);
	assert_null(proxy.user);
	socks5_proxy_done(&proxy);
	assert_null(socks5_parse("socks5h://u:p@[::1]", &proxy));
	assert_string_equal(proxy.host, "::1");
	assert_int_equal(proxy.port, 1080);
	assert_true(proxy.proxy_resolves);
	assert_string_equal(proxy.user, "u");
	assert_string_equal(proxy.password, "p");
}

static void parse_bad(void **state)
{
	static const struct {
		const char *url, *reason;
	} cases[] = {
		{"localhost:1080", "the proxy is not of the form "
				   "PROTOCOL://[USER:PASSWORD@]HOST[:PORT]"},
		{"http://localhost",
			"unknown proxy protocol \"http\" (known are socks5 and socks5h)"},
		{"socks5hh://localhost",
			"unknown proxy protocol \"socks5hh\" (known are socks5 and socks5h)"},
		{"socks5://", "the proxy's HOST[:PORT] is not valid"},
		{"socks5://h:99999", "the proxy's HOST[:PORT] is not valid"},
		{"socks5://h:", "the proxy's HOST[:PORT] is not valid"},
		{"socks5://[::1", "the proxy's HOST[:PORT] is not valid"},
		{"socks5://[::1]x", "the proxy's HOST[:PORT] is not valid"},
		{"socks5://user@h", "the proxy's USER:PASSWORD needs 1 to 255 bytes each"},
		{"socks5://user:@h", "the proxy's USER:PASSWORD needs 1 to 255 bytes each"},
	};

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		_cleanup_free_ char *reason = socks5_parse(cases[i].url, &proxy);

		assert_non_null(reason);
		assert_string_equal(reason, cases[i].reason);
	}
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(by_name),
		TEST(by_address),
		TEST(by_address_of_version_6),
		TEST(shortest_answer),
		TEST(leaves_the_greeting),
		TEST(with_password),
		TEST(password_not_asked_for),
		TEST(wrong_password),
		TEST(password_wanted),
		TEST(other_authentication),
		TEST(other_version),
		TEST(refused),
		TEST(refused_in_an_unknown_way),
		TEST(invalid_answer),
		TEST(closed),
		TEST(long_name),
		TEST(freed_midway),
		TEST(parse_good),
		TEST(parse_bad),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
