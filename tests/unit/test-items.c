/* SPDX-License-Identifier: MIT */
/* What a FETCH of metadata tells of a message, and by what two messages are the same. */
#include "imap-fixture.h"

#include "sync/core/items.h"
#include "sync/imap/flags.h"
#include "sync/imap/response.h"

static struct flag_pool *pool;
static struct items items;
static struct response response;
static char text[4096];

static int setup(void **state)
{
	pool = flag_pool_new();
	response_init(&response);
	return 0;
}

static int teardown(void **state)
{
	items_done(&items);
	response_done(&response);
	flag_pool_free(pool);
	return 0;
}

static void parse(const char *line)
{
	assert_true(strlen(line) < sizeof(text));
	strcpy(text, line);
	assert_true(response_parse(&response, text, strlen(text)));
}

#define HEADER "BODY[HEADER.FIELDS (MESSAGE-ID)] \"Message-ID: <a@b>\" "
#define WHOLE \
	"* 1 FETCH (UID 7 FLAGS (\\Seen x) INTERNALDATE \"17-Jul-1996 02:44:25 -0700\" " HEADER \
	"RFC822.SIZE 4286)"

static void test_item(void **state)
{
	const struct item *item;

	parse(WHOLE);
	assert_int_equal(items_add(&items, pool, &response), ITEM_TAKEN);
	items_sort(&items);
	item = items_find(&items, 7);
	assert_non_null(item);
	assert_string_equal(item->internaldate, "17-Jul-1996 02:44:25 -0700");
	assert_string_equal(flags_text(item->flags), "\\Seen x");
	assert_int_equal(item->identity.size, 4286);
	assert_int_equal(item->identity.date, 837596665);
	assert_false(item->arrived);
	assert_false(charge_is_due(&item->charge));
	assert_null(items_find(&items, 6));
}

static void test_every_part_is_needed(void **state)
{
	static const char *const lines[] = {
		"* 1 FETCH (FLAGS () INTERNALDATE \"17-Jul-1996 02:44:25 -0700\" " HEADER
		"RFC822.SIZE 1)",
		"* 1 FETCH (UID 7 INTERNALDATE \"17-Jul-1996 02:44:25 -0700\" " HEADER
		"RFC822.SIZE 1)",
		"* 1 FETCH (UID 7 FLAGS () " HEADER "RFC822.SIZE 1)",
		"* 1 FETCH (UID 7 FLAGS () INTERNALDATE \"17-Jul-1996 02:44:25 -0700\" "
		"RFC822.SIZE 1)",
		"* 1 FETCH (UID 7 FLAGS () INTERNALDATE \"17-Jul-1996 02:44:25 -0700\" " HEADER ")",
		"* 1 EXISTS",
	};

	for (size_t i = 0; i < ARRAY_LEN(lines); i++) {
		char line[512];

		/* a space before ")" is not IMAP */
		snprintf(line, sizeof(line), "%s", lines[i]);
		if (strstr(line, " )") != NULL)
			strcpy(strstr(line, " )"), ")");
		parse(line);
		assert_int_equal(items_add(&items, pool, &response), ITEM_LACKS);
	}
	assert_int_equal(items.count, 0);
}

/* A date that is none, or flags that no message may have, kept a message from being copied, and
 * with it all others: it is taken as well as it can be. */
static void test_odd(void **state)
{
	const struct item *item;

	parse("* 1 FETCH (UID 7 FLAGS (\\Seen \\* caf\303\251) INTERNALDATE \"nonsense\" " HEADER
	      "RFC822.SIZE 1)");
	assert_int_equal(items_add(&items, pool, &response), ITEM_TAKEN);
	item = &items.list[0];
	assert_string_equal(item->internaldate, INTERNALDATE_UNKNOWN);
	assert_int_equal(item->identity.date, 0);
	assert_string_equal(flags_text(item->flags), "\\* \\Seen");
	assert_int_equal(item->flags_left_out, 1);
}

static void add_uid(uint32_t uid, unsigned size)
{
	char line[512];

	snprintf(line, sizeof(line),
		"* 1 FETCH (UID %u FLAGS () INTERNALDATE \"17-Jul-1996 02:44:25 -0700\" " HEADER
		"RFC822.SIZE %u)",
		uid, size);
	parse(line);
	assert_int_equal(items_add(&items, pool, &response), ITEM_TAKEN);
}

static void test_sorted(void **state)
{
	add_uid(9, 1);
	add_uid(4294967295, 2);
	add_uid(3, 3);
	add_uid(9, 1);
	for (uint32_t uid = 100; uid < 200; uid++)
		add_uid(uid, uid);
	items_sort(&items);
	assert_int_equal(items.count, 103);
	assert_int_equal(items.list[0].uid, 3);
	assert_int_equal(items.list[1].uid, 9);
	assert_int_equal(items.list[102].uid, 4294967295);
	assert_int_equal(items_find(&items, 150)->identity.size, 150);
	items_clear(&items);
	assert_null(items_find(&items, 150));
}

/* --- Identity --- */

static void digest(const char *header, uint8_t ret[16])
{
	const struct response fetched = {
		.type = RESPONSE_FETCH,
		.fetch = {.items = FETCH_UID | FETCH_SIZE | FETCH_INTERNALDATE | FETCH_HEADER,
			.header = {.data = header, .len = strlen(header)}},
	};
	struct identity identity;

	assert_true(identity_from_fetch(&fetched, &identity));
	memcpy(ret, identity.digest, sizeof(identity.digest));
}

static void assert_same(const char *one, const char *other, bool same)
{
	uint8_t first[16], second[16];

	digest(one, first);
	digest(other, second);
	assert_int_equal(memcmp(first, second, sizeof(first)) == 0, same);
}

static void test_message_ids(void **state)
{
	const char *plain = "Message-ID: <a@b>\r\n\r\n";

	assert_same(plain, "message-id:<a@b>\r\n\r\n", true);
	assert_same(plain, "MESSAGE-ID: \t <a@b> \r\n", true);
	assert_same(plain, "Message-ID:\r\n <a@b>\r\n\r\n", true); /* folded differently */
	assert_same(plain, "Message-ID: <a\r\n\t@b>\r\n\r\n", true);
	assert_same(plain, "Message-ID: <a@b>\n\n", true);
	assert_same(plain, "Message-ID: <a@b>", true);
	assert_same(plain, "Subject: x\r\nMessage-ID: <a@b>\r\nMessage-ID: <c@d>\r\n", true);
	assert_same(plain, "Message-ID: <a@c>\r\n\r\n", false);
	assert_same(plain, "Message-ID: <A@b>\r\n\r\n", false); /* case counts in an identifier */
	assert_same(plain, "\r\n", false);
	assert_same(plain, "X-Message-ID: <a@b>\r\n", false);
	assert_same("\r\n", "", true); /* none is none */
	assert_same("", "Subject:\r\n Message-ID: <a@b>\r\n", true); /* no field of its own */
	assert_same("", "Message-ID", true);
	assert_same("", "Message-ID:", true);
}

static void test_whole_headers(void **state)
{
	uint8_t one[16], other[16];

	identity_digest_whole("a: b\r\n", 6, one);
	identity_digest_whole("a: b\n\n", 6, other);
	assert_memory_not_equal(one, other, sizeof(one));
	identity_digest_whole("a: b\r\n", 6, other);
	assert_memory_equal(one, other, sizeof(one));
}

static void test_identity_from_fetch(void **state)
{
	struct identity one, other;

	parse(WHOLE);
	assert_true(identity_from_fetch(&response, &one));
	/* the same instant in another zone */
	parse("* 1 FETCH (UID 9 INTERNALDATE \"17-Jul-1996 11:44:25 +0200\" " HEADER
	      "RFC822.SIZE 4286)");
	assert_true(identity_from_fetch(&response, &other));
	assert_memory_equal(one.digest, other.digest, sizeof(one.digest));
	assert_int_equal(one.date, other.date);
	assert_int_equal(one.size, other.size);
	parse("* 1 FETCH (UID 9 FLAGS ())");
	assert_false(identity_from_fetch(&response, &other));
	/* no such field: NIL from some servers */
	parse("* 1 FETCH (UID 9 INTERNALDATE \"17-Jul-1996 11:44:25 +0200\" "
	      "BODY[HEADER.FIELDS (MESSAGE-ID)] NIL RFC822.SIZE 4286)");
	assert_true(identity_from_fetch(&response, &other));
	assert_memory_not_equal(one.digest, other.digest, sizeof(one.digest));
}

#define TEST(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

static struct identity named(const char *name, uint64_t size, int64_t date)
{
	struct identity identity = {.size = size, .date = date};

	identity_digest_whole(name, strlen(name), identity.digest);
	return identity;
}

/* Two servers may count sizes differently, and one may have changed the date; another message is
 * told by its Message-ID, or by its size and date together. */
static void test_may_be_same(void **state)
{
	const struct {
		struct identity one, other;
		bool same;
	} cases[] = {
		{named("a", 100, 5), named("a", 100, 5), true},
		{named("a", 100, 5), named("a", 900, 9), true},
		{named("a", 100, 5), named("b", 100, 5), false},
		{named("", 160, 5), named("", 170, 5), true},
		{named("", 160, 5), named("", 171, 5), false},
		{named("", 160, 5), named("", 160, 6), true},
		{named("", 160, 5), named("", 161, 6), false},
		{named("a", 160, 5), named("", 161, 5), true},
		{named("a", 160, 5), named("", 161, 6), false},
	};

	for (size_t i = 0; i < ARRAY_LEN(cases); i++)
		assert_int_equal(
			identity_may_be_same(&cases[i].one, &cases[i].other), cases[i].same);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		TEST(test_item),
		TEST(test_every_part_is_needed),
		TEST(test_odd),
		TEST(test_sorted),
		TEST(test_message_ids),
		TEST(test_whole_headers),
		TEST(test_identity_from_fetch),
		cmocka_unit_test(test_may_be_same),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
