/* SPDX-License-Identifier: MIT */
#include "sync/plan/renewal.h"

/* So many messages that agree, or all of fewer, and this share of them, are no coincidence. */
enum { TWINS_MIN = 20, TWINS_PERCENT = 80 };

/* How many messages should be in it if it is the same. */
static uint64_t expected(
	const struct renewal_side *local, const struct renewal_side *remote, uint64_t pairs)
{
	if (!local->renewed)
		return local->paired;
	return remote->renewed ? pairs : remote->paired;
}

enum renewal plan_renewal(const struct renewal_side *local, const struct renewal_side *remote,
	uint64_t pairs, uint64_t twins)
{
	uint64_t before = expected(local, remote, pairs);
	uint64_t least = before < TWINS_MIN ? before : TWINS_MIN;

	/* Where nothing was paired, nothing can be mistaken for something else. */
	if (twins >= least &&
		(unsigned __int128)twins * 100 >= (unsigned __int128)before * TWINS_PERCENT)
		return RENEWAL_SAME;
	return twins == 0 ? RENEWAL_OTHER : RENEWAL_UNCLEAR;
}
