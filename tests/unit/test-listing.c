/* SPDX-License-Identifier: MIT */
/* What the LIST of one side said: names in both forms, attributes, STATUS, what is ignored. */
#include "imap-fixture.h"

#include "sync/base/limits.h"
#include "sync/tree/listing.h"

static struct listing listing;
static struct response response;
static char text[4096];

static int setup(void **state)
{
	response_init(&response);
	return 0;
}

static int teardown(void **state)
{
	listing_clear(&listing);
	response_done(&response);
	return 0;
}

static void hear(const char *line, char delimiter, const char *reference)
{
	assert_true(strlen(line) < sizeof(text));
	strcpy(text, line);
	assert_true(response_parse(&response, text, strlen(text)));
	listing_take(&listing, &response, delimiter, reference);
}

static struct listed *find(const char *name, size_t len)
{
	return listing_find(&listing, name, len);
}

static void test_names_and_attributes(void **state)
{
	hear("* LIST (\\HasChildren \\Subscribed) \"/\" inbox", '/', "");
	hear("* LIST (\\Noselect) \"/\" \"a/b c\"", '/', "");
	hear("* LIST (\\NonExistent \\Subscribed) \"/\" gone", '/', "");
	hear("* LIST (\\NoAccess) \"/\" secret", '/', "");
	assert_int_equal(HASH_COUNT(listing.entries), 4);
	assert_true(find("INBOX", 5)->attributes & LIST_SUBSCRIBED);
	assert_true(listed_is_selectable(find("INBOX", 5)));
	assert_non_null(find("a\0b c", 5));
	assert_false(listed_is_selectable(find("a\0b c", 5)));
	assert_false(listed_is_selectable(find("gone", 4)));
	assert_false(listed_is_selectable(find("secret", 6)));
	assert_null(find("a/b c", 5));
}

/* Another account's part of the store: "work" itself is a mailbox of ours. */
static void test_drop_below(void **state)
{
	hear("* LIST () \"/\" work", '/', "");
	hear("* LIST () \"/\" work/INBOX", '/', "");
	hear("* LIST () \"/\" work/a/b", '/', "");
	hear("* LIST () \"/\" workshop", '/', "");
	listing_drop_below(&listing, "work\0", 5);
	assert_int_equal(HASH_COUNT(listing.entries), 2);
	assert_non_null(find("work", 4));
	assert_non_null(find("workshop", 8));
}

static void test_reference(void **state)
{
	hear("* LIST () \".\" Mail.work.x", '.', "Mail.");
	hear("* LIST () \".\" Other.y", '.', "Mail.");
	assert_int_equal(HASH_COUNT(listing.entries), 1);
	assert_non_null(find("work\0x", 6));
}

/* "odd^x" was made on the other side, and every run after that failed. */
static void test_two_delimiters(void **state)
{
	hear("* LIST () \"/\" a/b", '/', "");
	hear("* LIST () \"^\" odd^x", '/', "");
	hear("* LIST () NIL odd/y", '/', "");
	hear("* LIST () NIL INBOX", '/', ""); /* no level, no matter */
	hear("* LIST () \"^\" plain", '/', "");
	assert_int_equal(HASH_COUNT(listing.entries), 3);
	assert_int_equal(listing.unusable, 2);
	assert_non_null(find("a\0b", 3));
}

/* LIST-EXTENDED may name a mailbox twice; nothing that was said is forgotten. */
static void test_named_twice(void **state)
{
	hear("* LIST (\\Subscribed) \"/\" a", '/', "");
	hear("* STATUS a (UIDVALIDITY 1 UIDNEXT 2 HIGHESTMODSEQ 3)", '/', "");
	hear("* LIST (\\Trash) \"/\" a", '/', "");
	assert_int_equal(HASH_COUNT(listing.entries), 1);
	assert_int_equal(find("a", 1)->attributes & (LIST_SUBSCRIBED | LIST_TRASH),
		LIST_SUBSCRIBED | LIST_TRASH);
	assert_int_equal(find("a", 1)->status.uidnext, 2);
}

/* With NOTIFY, what is told may come between the lines of a list: that a mailbox is gone does not
 * make it gone if it was listed, but takes away its STATUS, so that it is asked for again. */
static void test_told_within(void **state)
{
	hear("* LIST () \"/\" a", '/', "");
	hear("* STATUS a (UIDVALIDITY 1 UIDNEXT 2 HIGHESTMODSEQ 3)", '/', "");
	hear("* LIST (\\NonExistent) \"/\" a", '/', "");
	assert_true(listed_is_selectable(find("a", 1)));
	assert_int_equal(find("a", 1)->status.uidvalidity, 0);
	hear("* LIST (\\NonExistent) \"/\" b", '/', "");
	hear("* LIST (\\Subscribed) \"/\" b", '/', "");
	assert_true(listed_is_selectable(find("b", 1)));
	assert_true(find("b", 1)->attributes & LIST_SUBSCRIBED);
}

static void test_status(void **state)
{
	hear("* LIST () \"/\" a/b", '/', "");
	hear("* LIST () \"/\" c", '/', "");
	hear("* STATUS a/b (HIGHESTMODSEQ 18446744073709551615 UIDVALIDITY 4294967295 UIDNEXT 7)",
		'/', "");
	hear("* STATUS c (UIDVALIDITY 1 UIDNEXT 2)", '/', ""); /* not all that was asked for */
	hear("* STATUS unknown (UIDVALIDITY 1 UIDNEXT 2 HIGHESTMODSEQ 3)", '/', "");
	assert_int_equal(find("a\0b", 3)->status.uidvalidity, 4294967295);
	assert_int_equal(find("a\0b", 3)->status.uidnext, 7);
	assert_true(find("a\0b", 3)->status.highestmodseq == UINT64_MAX);
	assert_int_equal(find("c", 1)->status.uidvalidity, 0);
	assert_int_equal(HASH_COUNT(listing.entries), 2);
}

static void test_other_responses(void **state)
{
	hear("* 3 EXISTS", '/', "");
	hear("* OK done", '/', "");
	assert_null(listing.entries);
}

static void test_ignored(void **state)
{
	hear("* LIST () \"/\" virtual", '/', "");
	hear("* LIST () \"/\" virtual/all", '/', "");
	hear("* LIST () \"/\" virtually", '/', "");
	assert_true(listing_ignore(&listing, "^virtual(?:\\x00|$)"));
	assert_int_equal(HASH_COUNT(listing.entries), 1);
	assert_non_null(find("virtually", 9));
	assert_true(listing_ignore(&listing, "nothing"));
	assert_int_equal(HASH_COUNT(listing.entries), 1);
	assert_false(listing_ignore(&listing, "("));
	assert_int_equal(HASH_COUNT(listing.entries), 1);
}

static void test_limit(void **state)
{
	char line[64];

	for (int i = 0; i < LIMIT_MAILBOXES; i++) {
		snprintf(line, sizeof(line), "* LIST () \"/\" m%d", i);
		hear(line, '/', "");
	}
	assert_false(listing.overflow);
	hear("* LIST (\\Trash) \"/\" m0", '/', ""); /* known: no more than before */
	assert_false(listing.overflow);
	hear("* LIST () \"/\" another", '/', "");
	assert_true(listing.overflow);
	assert_int_equal(HASH_COUNT(listing.entries), LIMIT_MAILBOXES);
	listing_clear(&listing);
	assert_false(listing.overflow);
	assert_null(listing.entries);
}

#define TEST(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(void)
{
	static const struct CMUnitTest tests[] = {
		TEST(test_names_and_attributes),
		TEST(test_reference),
		TEST(test_drop_below),
		TEST(test_two_delimiters),
		TEST(test_named_twice),
		TEST(test_told_within),
		TEST(test_status),
		TEST(test_other_responses),
		TEST(test_ignored),
		TEST(test_limit),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
