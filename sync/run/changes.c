/* SPDX-License-Identifier: MIT */
#include "sync/run/changes.h"

#include <stdlib.h>

#include "sync/base/limits.h"
#include "sync/base/xalloc.h"

bool changes_add(struct changes *changes, uint32_t uid, const struct flags *flags)
{
	if (changes->count >= LIMIT_DELTA_CHANGES)
		return false;
	if (changes->count == changes->size) {
		changes->size = changes->size > 0 ? 2 * changes->size : 64;
		changes->list = xreallocarray(changes->list, changes->size, sizeof(*changes->list));
	}
	changes->list[changes->count++] = (struct plan_change){.uid = uid, .flags = flags};
	return true;
}

static int by_uid(const void *one, const void *other)
{
	const struct plan_change *a = one, *b = other;

	return a->uid < b->uid ? -1 : a->uid > b->uid;
}

static bool is_sorted(const struct changes *changes)
{
	for (size_t i = 1; i < changes->count; i++)
		if (changes->list[i - 1].uid >= changes->list[i].uid)
			return false;
	return true;
}

/* qsort() is not stable: which of two entries came last must be kept by hand. */
static void sort_stable(struct changes *changes)
{
	struct {
		struct plan_change change;
		size_t order;
	} * keyed;

	keyed = xcalloc(changes->count, sizeof(*keyed));
	for (size_t i = 0; i < changes->count; i++) {
		keyed[i].change = changes->list[i];
		keyed[i].order = i;
	}
	qsort(keyed, changes->count, sizeof(*keyed), by_uid);
	for (size_t i = 0, out = 0, count = changes->count; i < count; i++) {
		size_t last = i;

		while (i + 1 < count && keyed[i + 1].change.uid == keyed[last].change.uid) {
			i++;
			if (keyed[i].order > keyed[last].order)
				last = i;
		}
		changes->list[out++] = keyed[last].change;
		changes->count = out;
	}
	free(keyed);
}

void changes_sort(struct changes *changes)
{
	if (!is_sorted(changes))
		sort_stable(changes);
}

const struct flags *changes_find(const struct changes *changes, uint32_t uid)
{
	const struct plan_change key = {.uid = uid};
	const struct plan_change *found =
		changes->count == 0
			? NULL
			: bsearch(&key, changes->list, changes->count, sizeof(key), by_uid);

	return found != NULL ? found->flags : NULL;
}

void changes_remove(struct changes *changes, uint32_t uid)
{
	size_t kept = 0;

	if (changes_find(changes, uid) == NULL)
		return;
	for (size_t i = 0; i < changes->count; i++)
		if (changes->list[i].uid != uid)
			changes->list[kept++] = changes->list[i];
	changes->count = kept;
}

void changes_drop_echoes(struct changes *changes, const struct changes *expected)
{
	size_t kept = 0;

	for (size_t i = 0; i < changes->count; i++)
		if (changes_find(expected, changes->list[i].uid) != changes->list[i].flags)
			changes->list[kept++] = changes->list[i];
	changes->count = kept;
}

void changes_clear(struct changes *changes)
{
	changes->count = 0;
}

void changes_done(struct changes *changes)
{
	free(changes->list);
	*changes = (struct changes){0};
}
