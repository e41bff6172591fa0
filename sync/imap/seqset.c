/* SPDX-License-Identifier: MIT */
#include "sync/imap/seqset.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "sync/base/buf.h"
#include "sync/base/limits.h"
#include "sync/base/xalloc.h"

enum {
	INITIAL_RANGES = 8,
	RANGE_TEXT = sizeof(",4294967295:4294967295"), /* the longest range, and its NUL */
};

void seqset_init(struct seqset *set)
{
	*set = (struct seqset){0};
}

void seqset_done(struct seqset *set)
{
	free(set->ranges);
	seqset_init(set);
}

void seqset_clear(struct seqset *set)
{
	set->count = 0;
}

static void reserve(struct seqrange **ranges, size_t *size, size_t want)
{
	size_t n = *size > 0 ? *size : INITIAL_RANGES;

	if (want <= *size)
		return;
	while (n < want)
		n *= 2;
	*ranges = xreallocarray(*ranges, n, sizeof(**ranges));
	*size = n;
}

void seqset_copy(struct seqset *to, const struct seqset *from)
{
	if (to == from)
		return;
	reserve(&to->ranges, &to->size, from->count);
	if (from->count > 0)
		memcpy(to->ranges, from->ranges, from->count * sizeof(*from->ranges));
	to->count = from->count;
}

/* Whether the two overlap or touch, given that one->first <= other->first. */
static bool joins(struct seqrange one, struct seqrange other)
{
	return other.first <= one.last || other.first - one.last == 1;
}

/* Index of the first range that ends at or after uid. */
static size_t find(const struct seqset *set, uint32_t uid)
{
	size_t low = 0, high = set->count;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (set->ranges[middle].last < uid)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

/* Puts n ranges in place of those from..to (exclusive). */
static void splice(
	struct seqset *set, size_t from, size_t to, const struct seqrange *ranges, size_t n)
{
	size_t tail = set->count - to;

	reserve(&set->ranges, &set->size, from + n + tail);
	memmove(set->ranges + from + n, set->ranges + to, tail * sizeof(*ranges));
	if (n > 0)
		memcpy(set->ranges + from, ranges, n * sizeof(*ranges));
	set->count = from + n + tail;
}

bool seqset_add_range(struct seqset *set, uint32_t first, uint32_t last)
{
	struct seqrange range = {first < last ? first : last, first < last ? last : first};
	size_t from, to;

	assert(range.first > 0);
	if (set->count > 0 && range.first >= set->ranges[set->count - 1].first)
		from = set->count - joins(set->ranges[set->count - 1], range);
	else
		from = find(set, range.first > 1 ? range.first - 1 : range.first);
	for (to = from; to < set->count; to++) {
		struct seqrange *at = &set->ranges[to];

		if (at->first > range.last && at->first - range.last > 1)
			break;
		range.first = at->first < range.first ? at->first : range.first;
		range.last = at->last > range.last ? at->last : range.last;
	}
	if (from == to && set->count >= LIMIT_UID_RANGES)
		return false;
	splice(set, from, to, &range, 1);
	return true;
}

bool seqset_add(struct seqset *set, uint32_t uid)
{
	return seqset_add_range(set, uid, uid);
}

/* Appends to ranges sorted by their first, joining it to the last where they meet. */
static void append(struct seqrange *ranges, size_t *count, struct seqrange range)
{
	struct seqrange *last = *count > 0 ? &ranges[*count - 1] : NULL;

	if (last != NULL && joins(*last, range)) {
		if (range.last > last->last)
			last->last = range.last;
	} else {
		ranges[(*count)++] = range;
	}
}

/* Takes the array as the new content of the set. */
static void replace(struct seqset *set, struct seqrange *own_ranges, size_t count, size_t size)
{
	free(set->ranges);
	*set = (struct seqset){.ranges = own_ranges, .count = count, .size = size};
}

/* A merge of two sorted arrays.  False, nothing changed, when over the limit. */
static bool merge(struct seqset *set, const struct seqrange *other, size_t other_count)
{
	size_t size = set->count + other_count, count = 0, i = 0, j = 0;
	struct seqrange *ranges = xreallocarray(NULL, size, sizeof(*ranges));

	while (i < set->count || j < other_count) {
		bool mine = j == other_count ||
			    (i < set->count && set->ranges[i].first <= other[j].first);

		append(ranges, &count, mine ? set->ranges[i++] : other[j++]);
	}
	if (count > LIMIT_UID_RANGES) {
		free(ranges);
		return false;
	}
	replace(set, ranges, count, size);
	return true;
}

static bool add_sorted(struct seqset *set, const struct seqrange *other, size_t other_count)
{
	if (other_count == 0)
		return true;
	if (other_count == 1)
		return seqset_add_range(set, other[0].first, other[0].last);
	return merge(set, other, other_count);
}

bool seqset_add_set(struct seqset *set, const struct seqset *other)
{
	return set == other || add_sorted(set, other->ranges, other->count);
}

void seqset_remove_range(struct seqset *set, uint32_t first, uint32_t last)
{
	uint32_t low = first < last ? first : last, high = first < last ? last : first;
	size_t from = find(set, low), to = from, kept = 0;
	struct seqrange rest[2];

	while (to < set->count && set->ranges[to].first <= high)
		to++;
	if (from == to)
		return;
	if (set->ranges[from].first < low)
		rest[kept++] = (struct seqrange){set->ranges[from].first, low - 1};
	if (set->ranges[to - 1].last > high)
		rest[kept++] = (struct seqrange){high + 1, set->ranges[to - 1].last};
	splice(set, from, to, rest, kept);
}

void seqset_remove_set(struct seqset *set, const struct seqset *other)
{
	size_t size = set->count + other->count, count = 0, j = 0;
	struct seqrange *ranges;

	if (set->count == 0 || other->count == 0)
		return;
	ranges = xreallocarray(NULL, size, sizeof(*ranges));
	for (size_t i = 0; i < set->count; i++) {
		struct seqrange left = set->ranges[i];
		bool gone = false;

		while (j < other->count && other->ranges[j].last < left.first)
			j++;
		for (; j < other->count && other->ranges[j].first <= left.last; j++) {
			struct seqrange hole = other->ranges[j];

			if (hole.first > left.first)
				ranges[count++] = (struct seqrange){left.first, hole.first - 1};
			gone = hole.last >= left.last;
			if (gone)
				break; /* the hole may go on into the next range */
			left.first = hole.last + 1;
		}
		if (!gone)
			ranges[count++] = left;
	}
	replace(set, ranges, count, size);
}

void seqset_intersect(struct seqset *set, const struct seqset *other)
{
	size_t size = set->count + other->count, count = 0, i = 0, j = 0;
	struct seqrange *ranges;

	if (set->count == 0 || set == other)
		return;
	ranges = xreallocarray(NULL, size, sizeof(*ranges));
	while (i < set->count && j < other->count) {
		struct seqrange one = set->ranges[i], two = other->ranges[j];
		struct seqrange both = {one.first > two.first ? one.first : two.first,
			one.last < two.last ? one.last : two.last};

		if (both.first <= both.last)
			ranges[count++] = both;
		if (one.last < two.last)
			i++;
		else
			j++;
	}
	replace(set, ranges, count, size);
}

bool seqset_contains(const struct seqset *set, uint32_t uid)
{
	size_t at = find(set, uid);

	return at < set->count && set->ranges[at].first <= uid;
}

void seqset_halve(const struct seqset *set, struct seqset *lower, struct seqset *upper)
{
	uint64_t left = seqset_count(set) / 2;

	for (size_t i = 0; i < set->count; i++) {
		const struct seqrange *range = &set->ranges[i];
		uint64_t length = (uint64_t)range->last - range->first + 1;
		uint64_t low = length < left ? length : left;

		if (low > 0)
			(void)seqset_add_range(
				lower, range->first, (uint32_t)(range->first + low - 1));
		if (low < length)
			(void)seqset_add_range(upper, (uint32_t)(range->first + low), range->last);
		left -= low;
	}
}

uint64_t seqset_count(const struct seqset *set)
{
	uint64_t n = 0;

	for (size_t i = 0; i < set->count; i++)
		n += (uint64_t)set->ranges[i].last - set->ranges[i].first + 1;
	return n;
}

bool seqset_next(const struct seqset *set, struct seqset_iter *iter, uint32_t *ret_uid)
{
	const struct seqrange *range;

	if (iter->range >= set->count)
		return false;
	range = &set->ranges[iter->range];
	*ret_uid = (uint32_t)(range->first + iter->offset);
	iter->offset++;
	if (*ret_uid == range->last) {
		iter->range++;
		iter->offset = 0;
	}
	return true;
}

void seqset_builder_init(struct seqset_builder *builder)
{
	*builder = (struct seqset_builder){.sorted = true};
}

void seqset_builder_done(struct seqset_builder *builder)
{
	free(builder->ranges);
	seqset_builder_init(builder);
}

static int compare_first(const void *one, const void *other)
{
	const struct seqrange *a = one, *b = other;

	return a->first < b->first ? -1 : a->first > b->first;
}

/* Sorts and joins what there is. */
static void compact(struct seqset_builder *builder)
{
	size_t count = 0;

	if (builder->sorted)
		return;
	qsort(builder->ranges, builder->count, sizeof(*builder->ranges), compare_first);
	for (size_t i = 0; i < builder->count; i++)
		append(builder->ranges, &count, builder->ranges[i]);
	builder->count = count;
	builder->sorted = true;
}

/*
 * Twice the limit may be held unsorted.  When that is full, compacting either frees half of it or
 * shows that the limit is exceeded, so that a hostile order cannot make it sort again and again.
 */
bool seqset_builder_add(struct seqset_builder *builder, uint32_t first, uint32_t last)
{
	struct seqrange range = {first < last ? first : last, first < last ? last : first};

	assert(range.first > 0);
	if (builder->count >= 2 * (size_t)LIMIT_UID_RANGES) {
		compact(builder);
		if (builder->count > LIMIT_UID_RANGES)
			return false;
	}
	reserve(&builder->ranges, &builder->size, builder->count + 1);
	if (builder->count > 0 && range.first < builder->ranges[builder->count - 1].first) {
		builder->ranges[builder->count++] = range;
		builder->sorted = false;
	} else {
		append(builder->ranges, &builder->count, range);
	}
	return true;
}

bool seqset_builder_finish(struct seqset_builder *builder, struct seqset *set)
{
	bool ok;

	compact(builder);
	ok = builder->count <= LIMIT_UID_RANGES && add_sorted(set, builder->ranges, builder->count);
	seqset_builder_done(builder);
	return ok;
}

/* nz-number at *at, which is advanced. */
static bool parse_number(const char **at, const char *end, uint32_t *ret)
{
	uint64_t n = 0;
	const char *p = *at;

	while (p < end && *p >= '0' && *p <= '9') {
		n = n * 10 + (uint64_t)(*p++ - '0');
		if (n > UINT32_MAX)
			return false;
	}
	if (p == *at || n == 0)
		return false;
	*at = p;
	*ret = (uint32_t)n;
	return true;
}

/* One element of a set and the comma after it, as written.  False when malformed. */
static bool parse_element(const char **at, const char *end, struct seqrange *ret)
{
	struct seqrange range;

	if (!parse_number(at, end, &range.first))
		return false;
	range.last = range.first;
	if (*at < end && **at == ':') {
		++*at;
		if (!parse_number(at, end, &range.last))
			return false;
	}
	if (*at < end) {
		if (**at != ',' || *at + 1 == end)
			return false;
		++*at;
	}
	*ret = range;
	return true;
}

bool seqset_parse(struct seqset *set, struct slice text)
{
	const char *at = text.data, *end;
	struct seqset_builder builder;
	bool ok = true;

	if (text.len == 0)
		return false;
	end = text.data + text.len;
	seqset_builder_init(&builder);
	while (ok && at < end) {
		struct seqrange range;

		ok = parse_element(&at, end, &range) &&
		     seqset_builder_add(&builder, range.first, range.last);
	}
	ok = ok && seqset_builder_finish(&builder, set);
	seqset_builder_done(&builder);
	return ok;
}

bool seqset_expand(struct slice text, size_t max, uint32_t **ret_uids, size_t *ret_count)
{
	_cleanup_free_ uint32_t *uids = NULL;
	const char *at = text.data, *end;
	size_t count = 0, size = 0;

	if (text.len == 0)
		return false;
	end = text.data + text.len;
	while (at < end) {
		struct seqrange range;
		uint32_t first, last;

		if (!parse_element(&at, end, &range))
			return false;
		first = range.first < range.last ? range.first : range.last;
		last = range.first < range.last ? range.last : range.first;
		if ((uint64_t)last - first >= max - count)
			return false;
		if (count + (last - first) + 1 > size) {
			size = 2 * (count + (last - first) + 1);
			uids = xreallocarray(uids, size, sizeof(*uids));
		}
		for (uint64_t uid = first; uid <= last; uid++)
			uids[count++] = (uint32_t)uid;
	}
	*ret_uids = take(uids);
	*ret_count = count;
	return true;
}

void seqset_format(const struct seqset *set, size_t *index, size_t max_bytes, struct buf *out)
{
	size_t used = 0;
	char text[RANGE_TEXT];

	while (*index < set->count) {
		struct seqrange range = set->ranges[*index];
		const char *comma = used > 0 ? "," : "";
		int n;

		if (range.first == range.last)
			n = snprintf(text, sizeof(text), "%s%u", comma, range.first);
		else
			n = snprintf(text, sizeof(text), "%s%u:%u", comma, range.first, range.last);
		if (used > 0 && used + (size_t)n > max_bytes)
			return;
		if (!buf_append(out, text, (size_t)n))
			abort(); /* UIDs must not get lost in silence: the caller's buffer is too
				    small */
		used += (size_t)n;
		++*index;
	}
}
