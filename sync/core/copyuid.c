/* SPDX-License-Identifier: MIT */
#include "sync/core/copyuid.h"

#include <stdlib.h>

#include "sync/base/xalloc.h"
#include "sync/imap/seqset.h"

struct copied {
	uint32_t source, target;
};

static int by_source(const void *one, const void *other)
{
	const struct copied *a = one, *b = other;

	return a->source < b->source ? -1 : a->source > b->source;
}

/* Servers list the sources in any order. */
static void sort(struct copyuid *copyuid)
{
	_cleanup_free_ struct copied *copied = xcalloc(copyuid->count, sizeof(*copied));

	for (size_t i = 0; i < copyuid->count; i++)
		copied[i] = (struct copied){copyuid->source[i], copyuid->target[i]};
	qsort(copied, copyuid->count, sizeof(*copied), by_source);
	for (size_t i = 0; i < copyuid->count; i++) {
		copyuid->source[i] = copied[i].source;
		copyuid->target[i] = copied[i].target;
	}
}

static bool ascends(const uint32_t *uids, size_t count)
{
	for (size_t i = 1; i < count; i++)
		if (uids[i] <= uids[i - 1])
			return false;
	return true;
}

bool copyuid_read(
	struct copyuid *ret, struct slice source, struct slice target, uint32_t uidnext, size_t max)
{
	size_t targets = 0;

	*ret = (struct copyuid){0};
	if (!seqset_expand(source, max, &ret->source, &ret->count) ||
		!seqset_expand(target, max, &ret->target, &targets) || targets != ret->count) {
		copyuid_done(ret);
		return false;
	}
	sort(ret);
	if (ascends(ret->source, ret->count) && ascends(ret->target, ret->count) &&
		ret->source[0] > 0 && ret->target[0] >= uidnext)
		return true;
	copyuid_done(ret);
	return false;
}

void copyuid_done(struct copyuid *copyuid)
{
	free(copyuid->source);
	free(copyuid->target);
	*copyuid = (struct copyuid){0};
}
