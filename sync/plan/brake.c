/* SPDX-License-Identifier: MIT */
#include "sync/plan/messages.h"

bool plan_brake_holds(const struct plan_brake *brake, uint64_t deletions, uint64_t mailbox_size)
{
	if (brake->off || deletions == 0)
		return false;
	if (brake->count > 0 && deletions <= brake->count)
		return false;
	/* In a type that cannot overflow: both numbers may come from a peer. */
	return brake->percent == 0 || (unsigned __int128)deletions * 100 >
					      (unsigned __int128)mailbox_size * brake->percent;
}
