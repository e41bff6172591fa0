/* SPDX-License-Identifier: MIT */
#include "imap-fixture.h"

#include "sync/base/limits.h"
#include "sync/imap/seqset.h"

/* The whole set as text; owned by the caller. */
static char *text_of(const struct seqset *set)
{
	struct buf out;
	size_t index = 0;

	buf_init(&out, 16 << 20);
	seqset_format(set, &index, SIZE_MAX, &out);
	assert_int_equal(index, set->count);
	return buf_steal(&out);
}

static void assert_set(const struct seqset *set, const char *expected)
{
	_cleanup_free_ char *text = text_of(set);

	assert_string_equal(text, expected);
}

static void parse_valid(void **state)
{
	static const struct {
		const char *text, *expected;
	} table[] = {
		{"1", "1"},
		{"2,4:7,9,12:15", "2,4:7,9,12:15"}, /* RFC 3501 section 9, less its "*" */
		{"7:4", "4:7"},
		{"1,2,3", "1:3"},
		{"3,2,1", "1:3"},
		{"5,1:2,3", "1:3,5"},
		{"1:10,2:3", "1:10"},
		{"2:3,1:10", "1:10"},
		{"1:2,4:5,3", "1:5"},
		{"4294967295", "4294967295"},
		{"1:4294967295", "1:4294967295"},
		{"4294967295,4294967294", "4294967294:4294967295"},
		{"007", "7"},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(table); i++) {
		struct seqset set;

		seqset_init(&set);
		assert_true(seqset_parse(&set, slice_of(table[i].text)));
		assert_set(&set, table[i].expected);
		seqset_done(&set);
	}
}

static void parse_invalid(void **state)
{
	static const char *const table[] = {"", "0", "1:0", "*", "1:*", ",", "1,", ",1", "1,,2",
		"1:", ":1", "1:2:3", "1 ", " 1", "a", "1a", "-1", "+1", "4294967296",
		"99999999999999999999", "1;2"};
	struct seqset set;

	(void)state;
	seqset_init(&set);
	assert_true(seqset_add(&set, 5));
	for (size_t i = 0; i < ARRAY_LEN(table); i++) {
		if (seqset_parse(&set, slice_of(table[i])))
			fail_msg("accepted: \"%s\"", table[i]);
		assert_set(&set, "5");
	}
	assert_false(seqset_parse(&set, (struct slice){0}));
	seqset_done(&set);
}

static void parse_adds(void **state)
{
	struct seqset set;

	(void)state;
	seqset_init(&set);
	assert_true(seqset_parse(&set, slice_of("10:20")));
	assert_true(seqset_parse(&set, slice_of("30,5,21")));
	assert_set(&set, "5,10:21,30");
	seqset_done(&set);
}

static void add_joins(void **state)
{
	static const struct {
		uint32_t first, last;
		const char *expected;
	} table[] = {
		{10, 20, "10:20"},
		{40, 50, "10:20,40:50"},
		{21, 21, "10:21,40:50"},
		{45, 45, "10:21,40:50"},
		{30, 25, "10:21,25:30,40:50"},
		{9, 9, "9:21,25:30,40:50"},
		{1, 1, "1,9:21,25:30,40:50"},
		{23, 38, "1,9:21,23:38,40:50"},
		{39, 39, "1,9:21,23:50"},
		{2, 4294967295, "1:4294967295"},
		{7, 7, "1:4294967295"},
	};
	struct seqset set;

	(void)state;
	seqset_init(&set);
	for (size_t i = 0; i < ARRAY_LEN(table); i++) {
		assert_true(seqset_add_range(&set, table[i].first, table[i].last));
		assert_set(&set, table[i].expected);
	}
	assert_int_equal(seqset_count(&set), 4294967295U);
	seqset_done(&set);
}

enum { UNIVERSE = 96 };

/* The same set the naive way. */
struct model {
	bool has[UNIVERSE];
};

/* Upper end of the number range or lower, so that both borders are met. */
static uint32_t uid_at(uint32_t base, size_t i)
{
	return base + (uint32_t)i;
}

static void assert_model(const struct seqset *set, const struct model *model, uint32_t base)
{
	struct seqset_iter iter = {0};
	uint64_t count = 0;
	uint32_t uid;

	for (size_t i = 0; i < UNIVERSE; i++) {
		count += model->has[i];
		assert_int_equal(seqset_contains(set, uid_at(base, i)), model->has[i]);
		if (model->has[i]) {
			assert_true(seqset_next(set, &iter, &uid));
			assert_int_equal(uid, uid_at(base, i));
		}
	}
	assert_false(seqset_next(set, &iter, &uid));
	assert_int_equal(seqset_count(set), count);
	for (size_t i = 1; i < set->count; i++)
		assert_true(set->ranges[i].first > set->ranges[i - 1].last + 1);
}

static void random_set(
	uint32_t *seed, uint32_t base, struct seqset *set, struct model *model, bool dense)
{
	for (size_t i = 0; i < UNIVERSE; i++) {
		model->has[i] = random_number(seed) % (dense ? 2 : 9) == 0;
		if (model->has[i])
			assert_true(seqset_add(set, uid_at(base, i)));
	}
}

static void apply_range(uint32_t *seed, uint32_t base, struct seqset *set, struct model *model)
{
	size_t one = random_number(seed) % UNIVERSE, other = random_number(seed) % UNIVERSE;
	bool add = random_number(seed) % 2 == 0;

	if (add)
		assert_true(seqset_add_range(set, uid_at(base, one), uid_at(base, other)));
	else
		seqset_remove_range(set, uid_at(base, one), uid_at(base, other));
	for (size_t i = one < other ? one : other; i <= (one < other ? other : one); i++)
		model->has[i] = add;
}

static void apply_set(uint32_t *seed, uint32_t base, struct seqset *set, struct model *model)
{
	unsigned what = random_number(seed) % 3;
	struct model with;
	struct seqset other;

	seqset_init(&other);
	random_set(seed, base, &other, &with, random_number(seed) % 2 == 0);
	if (what == 0)
		assert_true(seqset_add_set(set, &other));
	else if (what == 1)
		seqset_remove_set(set, &other);
	else
		seqset_intersect(set, &other);
	for (size_t i = 0; i < UNIVERSE; i++) {
		if (what == 0)
			model->has[i] = model->has[i] || with.has[i];
		else
			model->has[i] = model->has[i] && with.has[i] == (what == 2);
	}
	seqset_done(&other);
}

/* Random operations against a naive model, at both ends of the number range. */
static void operations(void **state)
{
	static const uint32_t bases[] = {1, UINT32_MAX - UNIVERSE + 1};
	uint32_t seed = 20260731;

	(void)state;
	for (size_t b = 0; b < ARRAY_LEN(bases); b++) {
		for (unsigned round = 0; round < 300; round++) {
			struct model model = {0};
			struct seqset set;

			seqset_init(&set);
			random_set(&seed, bases[b], &set, &model, true);
			for (unsigned i = 0; i < 12; i++) {
				if (random_number(&seed) % 2 == 0)
					apply_range(&seed, bases[b], &set, &model);
				else
					apply_set(&seed, bases[b], &set, &model);
				assert_model(&set, &model, bases[b]);
			}
			seqset_done(&set);
		}
	}
}

static void with_itself(void **state)
{
	struct seqset set, copy;

	(void)state;
	seqset_init(&set);
	seqset_init(&copy);
	assert_true(seqset_parse(&set, slice_of("1:3,7")));
	assert_true(seqset_add_set(&set, &set));
	seqset_intersect(&set, &set);
	seqset_copy(&set, &set);
	assert_set(&set, "1:3,7");
	seqset_copy(&copy, &set);
	seqset_remove_set(&set, &set);
	assert_true(seqset_is_empty(&set));
	assert_set(&copy, "1:3,7");
	seqset_copy(&copy, &set);
	assert_true(seqset_is_empty(&copy));
	seqset_done(&set);
	seqset_done(&copy);
}

/* All that LIMIT_UID_RANGES allows, in the worst order for a set that is kept sorted. */
static char *scattered(size_t count, bool descending)
{
	char *text = xmalloc(count * sizeof("4294967295,")), *at = text;

	for (size_t i = 0; i < count; i++) {
		size_t uid = 2 * (descending ? count - i : i + 1);
		char digits[24], *first = digits + sizeof(digits);

		for (; uid > 0; uid /= 10)
			*--first = (char)('0' + uid % 10);
		at = mempcpy(at, first, (size_t)(digits + sizeof(digits) - first));
		*at++ = ',';
	}
	at[-1] = '\0';
	return text;
}

static void limits(void **state)
{
	struct seqset set, other;

	(void)state;
	seqset_init(&set);
	seqset_init(&other);
	for (int descending = 0; descending < 2; descending++) {
		_cleanup_free_ char *most = scattered(LIMIT_UID_RANGES, descending);
		_cleanup_free_ char *more = scattered(LIMIT_UID_RANGES + 1, descending);

		seqset_clear(&set);
		assert_true(seqset_parse(&set, slice_of(most)));
		assert_int_equal(set.count, LIMIT_UID_RANGES);
		assert_true(seqset_contains(&set, 2 * LIMIT_UID_RANGES));
		assert_false(seqset_contains(&set, 2 * LIMIT_UID_RANGES - 1));
		assert_false(seqset_parse(&set, slice_of(more)));
		assert_int_equal(set.count, LIMIT_UID_RANGES);
	}
	assert_false(seqset_add(&set, 4 * LIMIT_UID_RANGES));
	assert_true(seqset_add(&set, 3)); /* joins 2 and 4 */
	assert_true(seqset_parse(&other, slice_of("4000000000,4000000002")));
	assert_false(seqset_add_set(&set, &other));
	assert_int_equal(set.count, LIMIT_UID_RANGES - 1);
	seqset_done(&set);
	seqset_done(&other);
}

/* More ranges than the limit, which turn out to be few: the builder compacts on the way. */
static void builder_compacts(void **state)
{
	struct seqset_builder builder;
	struct seqset set;

	(void)state;
	seqset_init(&set);
	seqset_builder_init(&builder);
	for (uint32_t i = 0; i < 3 * (uint32_t)LIMIT_UID_RANGES; i++)
		assert_true(seqset_builder_add(&builder, 1000 - 2 * (i % 500), 1000));
	assert_true(seqset_builder_finish(&builder, &set));
	assert_set(&set, "2:1000");
	assert_true(seqset_builder_finish(&builder, &set));
	assert_set(&set, "2:1000");
	seqset_builder_done(&builder);
	seqset_done(&set);
}

static void expand(void **state)
{
	static const struct {
		const char *text;
		size_t count;
		uint32_t uids[6];
	} table[] = {
		{"7", 1, {7}},
		{"304,319:320", 3, {304, 319, 320}}, /* RFC 4315 section 3 */
		{"5:3,9,1", 5, {3, 4, 5, 9, 1}},
		{"4294967294:4294967295", 2, {4294967294, 4294967295}},
		{"2,2", 2, {2, 2}},
	};
	uint32_t *uids = NULL;
	size_t count = 0;

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(table); i++) {
		assert_true(seqset_expand(slice_of(table[i].text), 6, &uids, &count));
		assert_int_equal(count, table[i].count);
		assert_memory_equal(uids, table[i].uids, count * sizeof(*uids));
		free(uids);
	}
	uids = NULL;
	assert_true(seqset_expand(slice_of("1:4"), 4, &uids, &count));
	free(uids);
	uids = NULL;
	assert_false(seqset_expand(slice_of("1:5"), 4, &uids, &count));
	assert_false(seqset_expand(slice_of("1:2,4:6"), 4, &uids, &count));
	assert_false(seqset_expand(slice_of("1:4294967295"), 4, &uids, &count));
	assert_false(seqset_expand(slice_of("1"), 0, &uids, &count));
	assert_false(seqset_expand(slice_of(""), 4, &uids, &count));
	assert_false(seqset_expand(slice_of("1:2,"), 4, &uids, &count));
	assert_false(seqset_expand(slice_of("1,*"), 4, &uids, &count));
	assert_null(uids);
	assert_int_equal(count, 4);
}

/* Commands are split by it: every range once, none over the limit unless alone. */
static void format_splits(void **state)
{
	static const char text[] = "1,3:5,100:200,1000,4000000000:4000000001,4294967295";
	struct seqset set;

	(void)state;
	seqset_init(&set);
	assert_true(seqset_parse(&set, slice_of(text)));
	for (size_t max = 0; max <= sizeof(text); max++) {
		struct seqset all;
		size_t index = 0;

		seqset_init(&all);
		while (index < set.count) {
			struct buf out;
			size_t before = index;
			_cleanup_free_ char *part = NULL;

			buf_init(&out, 100);
			seqset_format(&set, &index, max, &out);
			assert_true(index > before);
			part = buf_steal(&out);
			assert_true(strlen(part) <= max || index == before + 1);
			assert_true(seqset_parse(&all, slice_of(part)));
		}
		assert_set(&all, text);
		seqset_done(&all);
	}
	seqset_done(&set);
}

static void iterate_empty(void **state)
{
	struct seqset set;
	struct seqset_iter iter = {0};
	uint32_t uid;

	(void)state;
	seqset_init(&set);
	assert_false(seqset_next(&set, &iter, &uid));
	assert_false(seqset_contains(&set, 1));
	assert_int_equal(seqset_count(&set), 0);
	seqset_remove_range(&set, 1, UINT32_MAX);
	assert_true(seqset_is_empty(&set));
	seqset_done(&set);
}

static void halve(void **state)
{
	static const struct {
		const char *text, *lower, *upper;
	} table[] = {
		{"7", "", "7"},
		{"7,9", "7", "9"},
		{"1:9", "1:4", "5:9"},
		{"1:2,4,7:9", "1:2,4", "7:9"},
		{"1,3:8,10", "1,3:5", "6:8,10"},
		{"1:4294967295", "1:2147483647", "2147483648:4294967295"},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(table); i++) {
		struct seqset set, lower, upper;

		seqset_init(&set);
		seqset_init(&lower);
		seqset_init(&upper);
		assert_true(seqset_parse(&set, slice_of(table[i].text)));
		seqset_halve(&set, &lower, &upper);
		assert_set(&set, table[i].text);
		assert_set(&lower, table[i].lower);
		assert_set(&upper, table[i].upper);
		seqset_done(&set);
		seqset_done(&lower);
		seqset_done(&upper);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(parse_valid),
		cmocka_unit_test(parse_invalid),
		cmocka_unit_test(parse_adds),
		cmocka_unit_test(add_joins),
		cmocka_unit_test(operations),
		cmocka_unit_test(with_itself),
		cmocka_unit_test(halve),
		cmocka_unit_test(limits),
		cmocka_unit_test(builder_compacts),
		cmocka_unit_test(expand),
		cmocka_unit_test(format_splits),
		cmocka_unit_test(iterate_empty),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
