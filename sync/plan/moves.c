/* SPDX-License-Identifier: MIT */
/*
 * All messages are sorted so that those that may be the same stand together, first the gone ones
 * and then the others, each in order of mailbox and UID.  Each such group is then decided by
 * itself: once by EMAILID, and once more by identity for what is left.
 */
#include "sync/plan/moves.h"

#include <stdlib.h>
#include <string.h>

#include "sync/base/xalloc.h"

enum { DIGEST_LEN = 16 };

struct entry {
	const struct plan_traveller *message;
	bool arrived;
	size_t index; /* in its list */
};

struct matcher {
	struct entry *entries;
	size_t count;
	bool *taken; /* by the index of what is gone */
	size_t *origins;
	bool by_email_id; /* or by identity */
};

static int compare(uint64_t one, uint64_t other)
{
	return (one > other) - (one < other);
}

static int compare_signed(int64_t one, int64_t other)
{
	return (one > other) - (one < other);
}

/* What both ways have in common.  The date is part of it even where an EMAILID is known: the copy
 * on the other side keeps the one that it has. */
static int compare_name(const struct plan_traveller *one, const struct plan_traveller *other)
{
	int order = memcmp(one->digest, other->digest, DIGEST_LEN);

	return order != 0 ? order : compare_signed(one->date, other->date);
}

static int compare_email_ids(const struct plan_traveller *one, const struct plan_traveller *other)
{
	int order = strcmp(one->email_id, other->email_id);

	return order != 0 ? order : compare_name(one, other);
}

static int compare_identities(const struct plan_traveller *one, const struct plan_traveller *other)
{
	int order = compare_name(one, other);

	return order != 0 ? order : compare(one->size, other->size);
}

static int compare_places(const struct entry *one, const struct entry *other)
{
	int order;

	if (one->arrived != other->arrived)
		return one->arrived ? 1 : -1;
	order = compare_signed(one->message->mailbox, other->message->mailbox);
	return order != 0 ? order : compare(one->index, other->index);
}

static int by_email_id(const void *one, const void *other)
{
	const struct entry *a = one, *b = other;
	int order = compare_email_ids(a->message, b->message);

	return order != 0 ? order : compare_places(a, b);
}

static int by_identity(const void *one, const void *other)
{
	const struct entry *a = one, *b = other;
	int order = compare_identities(a->message, b->message);

	return order != 0 ? order : compare_places(a, b);
}

static bool is_same(
	const struct matcher *matcher, const struct entry *one, const struct entry *other)
{
	return (matcher->by_email_id ? compare_email_ids(one->message, other->message)
				     : compare_identities(one->message, other->message)) == 0;
}

static void add(
	struct matcher *matcher, const struct plan_traveller *message, bool arrived, size_t index)
{
	bool done = arrived ? matcher->origins[index] != PLAN_NOT_MOVED : matcher->taken[index];

	if (done || (matcher->by_email_id ? message->email_id == NULL : !message->named))
		return;
	matcher->entries[matcher->count++] =
		(struct entry){.message = message, .arrived = arrived, .index = index};
}

/* All of them stand in one mailbox. */
static bool share_mailbox(const struct entry *entries, size_t count)
{
	/* They are in order of it. */
	return entries[0].message->mailbox == entries[count - 1].message->mailbox;
}

static bool share_flags(const struct entry *entries, size_t count)
{
	for (size_t i = 1; i < count; i++)
		if (entries[i].message->flags != entries[0].message->flags)
			return false;
	return true;
}

static bool any_has_email_id(const struct entry *entries, size_t count)
{
	for (size_t i = 0; i < count; i++)
		if (entries[i].message->email_id != NULL)
			return true;
	return false;
}

/* A group: first those that are gone, then those that arrived. */
static bool is_sure(
	const struct matcher *matcher, const struct entry *gone, size_t gone_count, size_t count)
{
	const struct entry *arrived = gone + gone_count;

	if (gone_count == 0 || count != 2 * gone_count)
		return false;
	/* Where the server names both, and not as the same, they are not. */
	if (!matcher->by_email_id && any_has_email_id(gone, gone_count) &&
		any_has_email_id(arrived, gone_count))
		return false;
	return share_mailbox(gone, gone_count) && share_mailbox(arrived, gone_count) &&
	       gone[0].message->mailbox != arrived[0].message->mailbox &&
	       share_flags(gone, gone_count);
}

static void decide(struct matcher *matcher, const struct entry *entries, size_t count)
{
	size_t gone_count = 0;

	while (gone_count < count && !entries[gone_count].arrived)
		gone_count++;
	if (!is_sure(matcher, entries, gone_count, count))
		return;
	for (size_t i = 0; i < gone_count; i++) {
		matcher->taken[entries[i].index] = true;
		matcher->origins[entries[gone_count + i].index] = entries[i].index;
	}
}

static void match(struct matcher *matcher)
{
	size_t end;

	if (matcher->count > 1)
		qsort(matcher->entries, matcher->count, sizeof(*matcher->entries),
			matcher->by_email_id ? by_email_id : by_identity);
	for (size_t first = 0; first < matcher->count; first = end) {
		end = first + 1;
		while (end < matcher->count &&
			is_same(matcher, &matcher->entries[first], &matcher->entries[end]))
			end++;
		decide(matcher, matcher->entries + first, end - first);
	}
}

void plan_moves(const struct plan_traveller *gone, size_t gone_count,
	const struct plan_traveller *arrived, size_t arrived_count, size_t *ret_origins)
{
	struct matcher matcher = {
		.entries = xcalloc(gone_count + arrived_count + 1, sizeof(*matcher.entries)),
		.taken = xcalloc(gone_count + 1, sizeof(*matcher.taken)),
		.origins = ret_origins,
	};

	for (size_t i = 0; i < arrived_count; i++)
		ret_origins[i] = PLAN_NOT_MOVED;
	for (int way = 0; way < 2; way++) {
		matcher.by_email_id = way == 0;
		matcher.count = 0;
		for (size_t i = 0; i < gone_count; i++)
			add(&matcher, &gone[i], false, i);
		for (size_t i = 0; i < arrived_count; i++)
			add(&matcher, &arrived[i], true, i);
		match(&matcher);
	}
	free(matcher.entries);
	free(matcher.taken);
}
