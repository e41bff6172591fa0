/* SPDX-License-Identifier: MIT */
#include "sync/deeds/removals.h"

#include <stdlib.h>
#include <string.h>

#include "sync/base/buf.h"
#include "sync/base/hash.h"
#include "sync/base/limits.h"
#include "sync/base/xalloc.h"
#include "sync/deeds/action.h"
#include "sync/imap/seqset.h"
#include "sync/state/removals.h"

struct marks {
	char *mailbox; /* as on the wire */
	struct seqset uids;
	uint64_t others; /* marked by sequence number: only how many is known; UINT64_MAX: all */
	UT_hash_handle hh;
};

static uint64_t plus(uint64_t one, uint64_t other)
{
	return one > UINT64_MAX - other ? UINT64_MAX : one + other;
}

static uint64_t minus(uint64_t one, uint64_t other)
{
	if (one == UINT64_MAX)
		return one;
	return one > other ? one - other : 0;
}

/* "7" or "*", which is above all numbers. */
static bool read_number(const char **text, uint32_t *ret)
{
	char *end;
	unsigned long long number;

	if (**text == '*') {
		(*text)++;
		*ret = UINT32_MAX;
		return true;
	}
	if (**text < '1' || **text > '9')
		return false;
	number = strtoull(*text, &end, 10);
	*text = end;
	*ret = (uint32_t)number;
	return number <= UINT32_MAX;
}

/* A client's set (RFC 3501 section 9, sequence-set); false if it is none, or too much. */
static bool read_set(const char *text, struct seqset *set)
{
	for (;;) {
		uint32_t first, last;

		if (!read_number(&text, &first))
			return false;
		last = first;
		if (*text == ':' && (text++, !read_number(&text, &last)))
			return false;
		if (!seqset_add_range(set, first, last))
			return false;
		if (*text == '\0')
			return true;
		if (*text++ != ',')
			return false;
	}
}

/* How many messages sequence numbers name: all, if the last one is among them. */
static uint64_t count_numbers(const struct seqset *set)
{
	return seqset_contains(set, UINT32_MAX) ? UINT64_MAX : seqset_count(set);
}

static struct marks *find(struct removals *removals, const char *mailbox, bool make)
{
	struct marks *marks;

	HASH_FIND_STR(removals->marks, mailbox, marks);
	if (marks != NULL || !make || HASH_COUNT(removals->marks) >= LIMIT_MAILBOXES)
		return marks;
	marks = xcalloc(1, sizeof(*marks));
	marks->mailbox = xstrdup(mailbox);
	seqset_init(&marks->uids);
	HASH_ADD_KEYPTR(hh, removals->marks, marks->mailbox, strlen(marks->mailbox), marks);
	return marks;
}

static void forget(struct removals *removals, struct marks *marks)
{
	HASH_DEL(removals->marks, marks); /* NOLINT(clang-analyzer-unix.Malloc) */
	seqset_done(&marks->uids);
	free(marks->mailbox);
	free(marks);
}

static void mark(struct marks *marks, const struct seqset *set, bool by_uid)
{
	if (by_uid)
		(void)seqset_add_set(&marks->uids, set);
	else
		marks->others = plus(marks->others, count_numbers(set));
}

static void unmark(struct marks *marks, const struct seqset *set, bool by_uid)
{
	if (by_uid)
		seqset_remove_set(&marks->uids, set);
	else
		marks->others = minus(marks->others, count_numbers(set));
}

static int insert(struct db *db, const char *mailbox, const struct seqset *uids, uint64_t others)
{
	struct buf text;
	size_t index = 0;
	int r;

	if (seqset_is_empty(uids) && others == 0)
		return 0;
	buf_init(&text, 24 * (uids->count + 1));
	if (!seqset_is_empty(uids))
		seqset_format(uids, &index, 24 * uids->count, &text);
	(void)buf_putc(&text, '\0');
	r = removals_insert(db, mailbox, buf_data(&text), others);
	buf_done(&text);
	return r;
}

/* All that is marked; or of UID EXPUNGE (RFC 4315), what is among these. */
static int expunge(
	struct removals *removals, struct db *db, struct marks *marks, const struct seqset *set)
{
	struct seqset uids;
	uint64_t others = marks->others;
	int r;

	seqset_init(&uids);
	seqset_copy(&uids, &marks->uids);
	if (set != NULL) {
		seqset_intersect(&uids, set);
		if (others > seqset_count(set))
			others = seqset_count(set);
	}
	r = insert(db, marks->mailbox, &uids, others);
	seqset_remove_set(&marks->uids, &uids);
	marks->others = minus(marks->others, others);
	seqset_done(&uids);
	if (set == NULL || (seqset_is_empty(&marks->uids) && marks->others == 0))
		forget(removals, marks);
	return r;
}

int removals_note(struct removals *removals, struct db *db, const struct client_removal *removal)
{
	bool marks_any = removal->kind == REMOVAL_MARK;
	struct marks *marks = find(removals, removal->mailbox, marks_any);
	struct seqset set;
	int r = 0;

	if (marks == NULL)
		return 0;
	seqset_init(&set);
	if (removal->set != NULL && !read_set(removal->set, &set))
		seqset_clear(&set);
	else if (removal->kind == REMOVAL_MARK)
		mark(marks, &set, removal->by_uid);
	else if (removal->kind == REMOVAL_UNMARK)
		unmark(marks, &set, removal->by_uid);
	else
		r = expunge(removals, db, marks, removal->set != NULL ? &set : NULL);
	seqset_done(&set);
	return r;
}

void removals_add_marked(
	const struct removals *removals, const char *mailbox, struct seqset *uids, uint64_t *others)
{
	const struct marks *marks;

	HASH_FIND_STR(removals->marks, mailbox, marks);
	if (marks == NULL)
		return;
	(void)seqset_add_set(uids, &marks->uids);
	*others = plus(*others, marks->others);
}

int removals_note_moved(struct db *db, const char *mailbox, const struct copied_uids *copied)
{
	struct seqset set;
	int r;

	seqset_init(&set);
	(void)seqset_parse(
		&set, (struct slice){.data = copied->source, .len = strlen(copied->source)});
	r = insert(db, mailbox, &set, 0);
	seqset_done(&set);
	return r;
}

void removals_done(struct removals *removals)
{
	struct marks *marks, *next;

	HASH_ITER (hh, removals->marks, marks, next)
		forget(removals, marks);
}
