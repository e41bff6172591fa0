/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "sync/base/hash.h"
#include "sync/base/xalloc.h"

enum { NAMES = 5000, LENGTH = 24, LONGEST = 40 };

struct name {
	uint8_t bytes[LENGTH];
	UT_hash_handle hh;
};

/* The key and input of SipHash's own vectors; these values are SipHash-1-3's, as others have them.
 */
static void vectors(void **state)
{
	uint8_t key[16], input[16];

	(void)state;
	for (uint8_t i = 0; i < 16; i++)
		key[i] = input[i] = i;
	assert_int_equal(hash_siphash13(key, input, 0), 0xabac0158050fc4dcU);
	assert_int_equal(hash_siphash13(key, input, 1), 0xc9f49bf37d57ca93U);
	assert_int_equal(hash_siphash13(key, input, 8), 0x369095118d299a8eU);
}

static uint32_t load(const uint8_t *at)
{
	return at[0] | (uint32_t)at[1] << 8 | (uint32_t)at[2] << 16 | (uint32_t)at[3] << 24;
}

static void store(uint8_t *at, uint32_t word)
{
	for (int i = 0; i < 4; i++)
		at[i] = (uint8_t)(word >> 8 * i);
}

/*
 * uthash's own function (Jenkins') adds 12 bytes to a state that is known, and mixes it.  Whatever
 * the first 12 bytes are, the next 12 can bring it to where all others are.
 */
static void collide(struct name *name, uint32_t number)
{
	uint32_t a = 0x9e3779b9, b = 0x9e3779b9, c = 0xfeedbeef;

	memset(name->bytes, 'x', LENGTH);
	store(name->bytes, number);
	a += load(name->bytes);
	b += load(name->bytes + 4);
	c += load(name->bytes + 8);
	HASH_JEN_MIX(a, b, c);
	store(name->bytes + 12, 0x41414141 - a);
	store(name->bytes + 16, 0x42424242 - b);
	store(name->bytes + 20, 0x43434343 - c);
}

/* A list of 3 MB with names that were made to collide cost 62 s instead of 0.4. */
static void names_made_to_collide(void **state)
{
	struct name *names = xcalloc(NAMES, sizeof(*names)), *table = NULL;
	unsigned jenkins = 0, other, longest = 0;

	(void)state;
	for (uint32_t i = 0; i < NAMES; i++) {
		collide(&names[i], i);
		HASH_JEN(names[i].bytes, LENGTH, other);
		if (i == 0)
			jenkins = other;
		assert_int_equal(other, jenkins);
		HASH_ADD(hh, table, bytes, LENGTH, &names[i]);
	}
	assert_int_equal(HASH_COUNT(table), NAMES);
	for (unsigned i = 0; i < table->hh.tbl->num_buckets; i++)
		if (table->hh.tbl->buckets[i].count > longest)
			longest = table->hh.tbl->buckets[i].count;
	assert_in_range(longest, 1, LONGEST);
	HASH_CLEAR(hh, table);
	free(names);
}

/* The key is not the same twice: what collides in one process does not in another. */
static void key_is_random(void **state)
{
	static const uint8_t zero[16];

	(void)state;
	assert_int_not_equal(hash_bytes("INBOX", 5), (uint32_t)hash_siphash13(zero, "INBOX", 5));
	assert_int_equal(hash_bytes("INBOX", 5), hash_bytes("INBOX", 5));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(vectors),
		cmocka_unit_test(names_made_to_collide),
		cmocka_unit_test(key_is_random),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
