/* SPDX-License-Identifier: MIT */
#include "sync/core/refusals.h"

#include <stdlib.h>

#include "sync/base/xalloc.h"

void refusals_add(struct refusals *refusals, enum quarantine_kind kind, const struct seqset *uids,
	const char *words)
{
	struct refusal *refusal;

	refusals->list =
		xreallocarray(refusals->list, refusals->count + 1, sizeof(*refusals->list));
	refusal = &refusals->list[refusals->count++];
	*refusal = (struct refusal){.kind = kind, .words = xstrdup(words)};
	seqset_init(&refusal->uids);
	seqset_copy(&refusal->uids, uids);
}

void refusals_clear(struct refusals *refusals)
{
	for (size_t i = 0; i < refusals->count; i++) {
		seqset_done(&refusals->list[i].uids);
		free(refusals->list[i].words);
	}
	free(refusals->list);
	*refusals = (struct refusals){0};
}
