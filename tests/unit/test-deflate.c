/* SPDX-License-Identifier: MIT */
#include "net-fixture.h"

#include <zlib.h>

#include "certificates-fixture.h"
#include "sync/base/limits.h"
#include "sync/net/tls.h"

enum { MUCH = 10 << 20, DAY = 86400 };

static struct peer a, b;

static int setup(void **state)
{
	int fds[2];

	setup_loop(state);
	make_pair(fds);
	peer_init(&a, fds[0]);
	peer_init(&b, fds[1]);
	return 0;
}

static int teardown(void **state)
{
	peer_done(&a);
	peer_done(&b);
	return teardown_loop(state);
}

static void compress_both(void)
{
	assert_int_equal(stream_start_deflate(a.stream, NULL, 0), 0);
	assert_int_equal(stream_start_deflate(b.stream, NULL, 0), 0);
}

/* What deflate() makes of the data, in chunks of input that are each flushed; the caller frees it.
 */
static void *compress_raw(const void *data, size_t n, size_t *ret_size)
{
	z_stream stream = {0};
	size_t bound = n + n / 10 + 4096;
	unsigned char *out = xmalloc(bound);

	assert_int_equal(deflateInit2(&stream, 9, Z_DEFLATED, -15, 8, Z_DEFAULT_STRATEGY), Z_OK);
	stream.next_in = (unsigned char *)(uintptr_t)data;
	stream.avail_in = (unsigned)n;
	stream.next_out = out;
	stream.avail_out = (unsigned)bound;
	assert_int_equal(deflate(&stream, Z_SYNC_FLUSH), Z_OK);
	assert_int_equal(stream.avail_in, 0);
	*ret_size = bound - stream.avail_out;
	deflateEnd(&stream);
	return out;
}

static void much_both_ways(void **state)
{
	compress_both();
	a.to_send = b.to_send = MUCH;
	a.shutdown_at_end = b.shutdown_at_end = true;
	peer_write(&a);
	peer_write(&b);
	RUN_UNTIL(a.eof && b.eof);
	assert_int_equal(a.received, MUCH);
	assert_int_equal(b.received, MUCH);
	assert_int_equal(a.mismatch + b.mismatch, 0);
	assert_true(stream_bytes_sent(a.stream) < MUCH);
	assert_true(stream_is_drained(a.stream));
}

static void backpressure(void **state)
{
	compress_both();
	stream_want_read(b.stream, false);
	a.to_send = MUCH;
	peer_write(&a);
	run_ready();
	assert_true(a.sent < MUCH / 2);
	assert_false(stream_is_drained(a.stream));
	stream_want_read(b.stream, true);
	RUN_UNTIL(b.received == MUCH);
	assert_int_equal(b.mismatch, 0);
}

/* Output may wait in zlib until it is flushed, and then all of it must come out. */
static void flush(void **state)
{
	unsigned char data[100];

	for (size_t i = 0; i < sizeof(data); i++)
		data[i] = pattern(i);
	compress_both();
	assert_int_equal(stream_send(a.stream, data, 50), 50);
	assert_int_equal(stream_send(a.stream, data + 50, 50), 50);
	run_ready();
	assert_int_equal(b.received, 0);
	assert_false(stream_is_drained(a.stream));
	stream_flush(a.stream);
	assert_true(stream_is_drained(a.stream));
	RUN_UNTIL(b.received == 100);
	assert_int_equal(b.mismatch, 0);
	stream_flush(a.stream); /* nothing to say, nothing said */
	run_ready();
	assert_int_equal(stream_bytes_sent(a.stream), stream_bytes_received(b.stream));
	assert_true(stream_bytes_sent(a.stream) < 120);
}

static void one_byte_at_a_time(void **state)
{
	put_chopper(a.stream);
	put_chopper(b.stream);
	compress_both();
	a.to_send = b.to_send = 30000;
	a.shutdown_at_end = b.shutdown_at_end = true;
	peer_write(&a);
	peer_write(&b);
	RUN_UNTIL(a.eof && b.eof);
	assert_int_equal(a.received, 30000);
	assert_int_equal(b.received, 30000);
	assert_int_equal(a.mismatch + b.mismatch, 0);
}

/* Bytes that were read together with the OK are compressed input already. */
static void already_read(void **state)
{
	unsigned char data[3000];
	_cleanup_free_ void *compressed = NULL;
	size_t size;

	for (size_t i = 0; i < sizeof(data); i++)
		data[i] = pattern(i);
	compressed = compress_raw(data, sizeof(data), &size);
	b.chunk = 7;
	assert_int_equal(stream_start_deflate(b.stream, compressed, size / 2), 0);
	assert_int_equal(
		send(a.fd, (char *)compressed + size / 2, size - size / 2, 0), size - size / 2);
	RUN_UNTIL(b.received == sizeof(data));
	assert_int_equal(b.mismatch, 0);
}

/* All that was read, and nothing comes on the descriptor any more. */
static void only_already_read(void **state)
{
	unsigned char data[3000];
	_cleanup_free_ void *compressed = NULL;
	size_t size;

	for (size_t i = 0; i < sizeof(data); i++)
		data[i] = pattern(i);
	compressed = compress_raw(data, sizeof(data), &size);
	b.chunk = 7;
	assert_int_equal(stream_start_deflate(b.stream, compressed, size), 0);
	RUN_UNTIL(b.received == sizeof(data));
	assert_int_equal(b.mismatch, 0);
}

static void too_much_already_read(void **state)
{
	_cleanup_free_ char *data = xcalloc(LIMIT_READ + 1, 1);

	assert_int_equal(stream_start_deflate(b.stream, data, LIMIT_READ + 1), -EINVAL);
}

/* 64 MiB of zeros in 64 KiB: they come in portions, as they are asked for. */
static void bomb(void **state)
{
	enum { SIZE = 64 << 20 };
	_cleanup_free_ char *zeros = xcalloc(SIZE, 1);
	_cleanup_free_ char *compressed = NULL;
	size_t size;

	compressed = compress_raw(zeros, SIZE, &size);
	assert_true(size < 70000);
	compress_both();
	assert_int_equal(send(a.fd, compressed, size, 0), size);
	RUN_UNTIL(b.received == SIZE);
	assert_true(b.readables >= SIZE / 65536);
	assert_true(stream_bytes_received(b.stream) <= size);
}

/* Endless empty blocks give nothing to read, but must not keep the loop from others either. */
static void empty_blocks(void **state)
{
	static const unsigned char block[] = {0x00, 0x00, 0x00, 0xff, 0xff};
	unsigned char blocks[5 * 4000];

	for (size_t i = 0; i < sizeof(blocks); i++)
		blocks[i] = block[i % 5];
	compress_both();
	assert_int_equal(send(a.fd, blocks, sizeof(blocks), 0), sizeof(blocks));
	a.to_send = 10;
	peer_write(&a);
	RUN_UNTIL(b.received == 10);
	assert_int_equal(b.mismatch, 0);
}

static void garbage(void **state)
{
	compress_both();
	assert_int_equal(send(a.fd, "\xff\xff\xff\xff", 4, 0), 4);
	RUN_UNTIL(b.losts > 0);
	assert_string_equal(stream_error(b.stream), "received invalid compressed data");
	run_ready();
	assert_int_equal(b.losts, 1);
}

static void final_block(void **state)
{
	compress_both();
	assert_int_equal(send(a.fd, "\x03\x00", 2, 0), 2); /* the empty final block */
	RUN_UNTIL(b.eof);
	assert_int_equal(b.received, 0);
}

static void compress_at_up(struct peer *peer, enum stream_event event)
{
	if (event != STREAM_UP)
		return;
	peer->on_event = NULL;
	assert_int_equal(stream_start_deflate(peer->stream, NULL, 0), 0);
	peer_write(peer);
}

/* As it is in life: DEFLATE upon TLS, here on a line that gives a byte at a time or all at once. */
static void upon_tls(bool chopped, uint64_t size)
{
	char folder[] = "/tmp/interimap-deflate-XXXXXX";
	struct tls_options options = {.verify = true};
	struct tls_context *for_server, *for_client;
	struct certificate c;
	char *reason = NULL;

	assert_non_null(mkdtemp(folder));
	make_certificate(&c, folder,
		&(struct certificate_options){
			.name = "localhost", .from = -DAY, .to = DAY, .is_authority = true});
	options.ca_file = c.cert_file;
	for_server = tls_server_new(c.cert_file, c.key_file, &reason);
	for_client = tls_client_new(&options, &reason);
	assert_true(for_server != NULL && for_client != NULL);
	if (chopped) {
		put_chopper(a.stream);
		put_chopper(b.stream);
	}
	a.on_event = b.on_event = compress_at_up;
	a.to_send = b.to_send = size;
	a.shutdown_at_end = b.shutdown_at_end = true;
	stream_start_tls_client(a.stream, for_client, "localhost");
	stream_start_tls_server(b.stream, for_server);
	RUN_UNTIL(a.eof && b.eof);
	assert_int_equal(a.received, size);
	assert_int_equal(b.received, size);
	assert_int_equal(a.mismatch + b.mismatch + a.losts + b.losts, 0);
	tls_free(for_client);
	tls_free(for_server);
	free_certificate(&c);
	assert_int_equal(rmdir(folder), 0);
}

static void upon_tls_much(void **state)
{
	upon_tls(false, MUCH);
}

static void upon_tls_chopped(void **state)
{
	upon_tls(true, 30000);
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(much_both_ways),
		TEST(backpressure),
		TEST(flush),
		TEST(one_byte_at_a_time),
		TEST(already_read),
		TEST(only_already_read),
		TEST(too_much_already_read),
		TEST(bomb),
		TEST(empty_blocks),
		TEST(garbage),
		TEST(final_block),
		TEST(upon_tls_much),
		TEST(upon_tls_chopped),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
