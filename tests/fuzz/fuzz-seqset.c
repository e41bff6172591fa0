/* SPDX-License-Identifier: MIT */
/*
 * An even first byte: operations, compared with an array of flags.  An odd one: a text, which must
 * survive being formatted and parsed again.
 */
#include <stdbool.h>

#include "sync/base/buf.h"
#include "sync/imap/seqset.h"
#include "tests/fuzz/fuzz.h"

enum { UNIVERSE = 256, MOST_EXPANDED = 5000 };

struct pair {
	struct seqset set;
	bool has[UNIVERSE];
};

static void check_pair(const struct pair *pair, uint32_t base)
{
	struct seqset_iter iter = {0};
	uint32_t uid;
	size_t count = 0;

	for (size_t i = 0; i < UNIVERSE; i++) {
		CHECK(seqset_contains(&pair->set, base + (uint32_t)i) == pair->has[i]);
		count += pair->has[i];
		if (pair->has[i])
			CHECK(seqset_next(&pair->set, &iter, &uid) && uid == base + i);
	}
	CHECK(!seqset_next(&pair->set, &iter, &uid));
	CHECK(seqset_count(&pair->set) == count);
	for (size_t i = 1; i < pair->set.count; i++)
		CHECK(pair->set.ranges[i].first - pair->set.ranges[i - 1].last > 1);
}

static void change_range(struct pair *pair, uint32_t base, bool add, uint8_t one, uint8_t other)
{
	if (add)
		CHECK(seqset_add_range(&pair->set, base + one, base + other));
	else
		seqset_remove_range(&pair->set, base + one, base + other);
	for (size_t i = one < other ? one : other; i <= (one < other ? other : one); i++)
		pair->has[i] = add;
}

static void combine(struct pair *pair, const struct pair *with, uint8_t how)
{
	if (how == 0)
		CHECK(seqset_add_set(&pair->set, &with->set));
	else if (how == 1)
		seqset_remove_set(&pair->set, &with->set);
	else
		seqset_intersect(&pair->set, &with->set);
	for (size_t i = 0; i < UNIVERSE; i++) {
		if (how == 0)
			pair->has[i] = pair->has[i] || with->has[i];
		else
			pair->has[i] = pair->has[i] && with->has[i] == (how == 2);
	}
}

static void operate(const uint8_t *data, size_t size, uint32_t base)
{
	struct pair pairs[2] = {0};

	while (size >= 3) {
		uint8_t what = fuzz_byte(&data, &size);
		uint8_t one = fuzz_byte(&data, &size), other = fuzz_byte(&data, &size);
		struct pair *pair = &pairs[what & 1];

		if ((what >> 1) % 5 < 2)
			change_range(pair, base, (what >> 1) % 5 == 0, one, other);
		else
			combine(pair, &pairs[one & 1], (uint8_t)((what >> 1) % 5 - 2));
		check_pair(pair, base);
	}
	seqset_done(&pairs[0].set);
	seqset_done(&pairs[1].set);
}

static void check_expanded(const struct seqset *set, struct slice text)
{
	uint32_t *uids = NULL;
	size_t count = 0;

	if (!seqset_expand(text, MOST_EXPANDED, &uids, &count))
		return;
	CHECK(count <= MOST_EXPANDED && seqset_count(set) <= count);
	for (size_t i = 0; i < count; i++)
		CHECK(seqset_contains(set, uids[i]));
	free(uids);
}

static void reparse(const struct seqset *set, size_t max)
{
	struct seqset again;
	size_t index = 0;

	seqset_init(&again);
	while (index < set->count) {
		struct buf out;
		size_t before = index;

		buf_init(&out, 64 << 20);
		seqset_format(set, &index, max, &out);
		CHECK(index > before && (buf_len(&out) <= max || index == before + 1));
		CHECK(seqset_parse(&again, (struct slice){buf_data(&out), buf_len(&out)}));
		buf_done(&out);
	}
	CHECK(again.count == set->count);
	for (size_t i = 0; i < set->count; i++)
		CHECK(again.ranges[i].first == set->ranges[i].first &&
			again.ranges[i].last == set->ranges[i].last);
	seqset_done(&again);
}

static void parse(const uint8_t *data, size_t size, size_t max)
{
	char *copy = fuzz_copy(data, size);
	struct slice text = {copy, size};
	struct seqset set;

	seqset_init(&set);
	if (seqset_parse(&set, text)) {
		CHECK(set.count > 0);
		check_expanded(&set, text);
		reparse(&set, max);
	} else {
		CHECK(set.count == 0);
	}
	seqset_done(&set);
	free(copy);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	uint8_t how = fuzz_byte(&data, &size);

	if (how % 2 == 1)
		parse(data, size, how);
	else
		operate(data, size, how % 4 == 0 ? 1 : UINT32_MAX - UNIVERSE + 1);
	return 0;
}
