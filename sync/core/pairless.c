/* SPDX-License-Identifier: MIT */
#include "sync/core/pairless.h"

#include "sync/imap/seqset.h"
#include "sync/state/mapping.h"

struct count {
	const struct seqset *uids;
	bool remote;
	uint64_t pairs;
};

static bool count_pair(void *context, struct uid_pair pair)
{
	struct count *count = context;

	count->pairs += seqset_contains(count->uids, count->remote ? pair.remote : pair.local);
	return true;
}

int pairless_count(
	struct db *db, int64_t idx, bool remote, const struct seqset *uids, uint64_t *ret_count)
{
	struct count count = {.uids = uids, .remote = remote};
	int r = mapping_visit(db, idx, remote, 1, UINT32_MAX, count_pair, &count);

	*ret_count = seqset_count(uids) - count.pairs;
	return r;
}
