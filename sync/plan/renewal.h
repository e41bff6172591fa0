/* SPDX-License-Identifier: MIT */
/*
 * A mailbox whose UIDVALIDITY changed: is it the one that it was, with new UIDs (a server that lost
 * its index, a migration), or another one that has its name now?  Pure.
 */
#ifndef INTERIMAP_PLAN_RENEWAL_H
#define INTERIMAP_PLAN_RENEWAL_H

#include <stdbool.h>
#include <stdint.h>

enum renewal {
	RENEWAL_SAME, /* the same messages: they can be paired again */
	RENEWAL_OTHER, /* none of the messages that were paired is in it */
	RENEWAL_UNCLEAR, /* some are */
};

struct renewal_side {
	bool renewed; /* its UIDs are new */
	uint64_t paired; /* messages that have a pair, and are in it now; of no matter if renewed */
};

/* `pairs`: how many there were; `twins`: how many messages are on both sides, by Message-ID, size
 * and INTERNALDATE. */
enum renewal plan_renewal(const struct renewal_side *local, const struct renewal_side *remote,
	uint64_t pairs, uint64_t twins);

#endif
