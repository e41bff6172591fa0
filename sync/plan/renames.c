/* SPDX-License-Identifier: MIT */
#include "sync/plan/renames.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "sync/base/xalloc.h"
#include "sync/imap/mailbox.h"

static int compare(const void *one, const void *other)
{
	const struct plan_place *a = one, *b = other;

	return (a->uidvalidity > b->uidvalidity) - (a->uidvalidity < b->uidvalidity);
}

/* The end of those that have the UIDVALIDITY of the first. */
static size_t end_of_equal(const struct plan_place *places, size_t count, size_t first)
{
	size_t end = first + 1;

	while (end < count && places[end].uidvalidity == places[first].uidvalidity)
		end++;
	return end;
}

static bool is_renamed(const struct plan_place *known, const struct plan_place *listed)
{
	return known->uidvalidity != 0 && listed->uidnext >= known->uidnext &&
	       listed->highestmodseq >= known->highestmodseq &&
	       !mailbox_name_equal(known->name, known->len, listed->name, listed->len);
}

static void sort(struct plan_place *places, size_t count)
{
	if (count > 0)
		qsort(places, count, sizeof(*places), compare);
}

void plan_renames(struct plan_place *known, size_t known_count, struct plan_place *listed,
	size_t listed_count, struct plan_rename **ret, size_t *ret_count)
{
	struct plan_rename *renames = xcalloc(known_count, sizeof(*renames));
	size_t count = 0, next;

	sort(known, known_count);
	sort(listed, listed_count);
	for (size_t i = 0, j = 0; i < known_count && j < listed_count;) {
		int order = compare(&known[i], &listed[j]);
		size_t known_end = end_of_equal(known, known_count, i);

		if (order == 0) {
			next = end_of_equal(listed, listed_count, j);
			if (known_end == i + 1 && next == j + 1 &&
				is_renamed(&known[i], &listed[j]))
				renames[count++] =
					(struct plan_rename){.from = &known[i], .to = &listed[j]};
			j = next;
		}
		if (order <= 0)
			i = known_end;
		else
			j = end_of_equal(listed, listed_count, j);
	}
	*ret = renames;
	*ret_count = count;
}
