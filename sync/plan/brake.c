/* SPDX-License-Identifier: MIT */
#include "sync/plan/brake.h"

enum {
	/* An INBOX that loses more than so many within a minute, and nearly all it had, has lost
	 * too much, however small it was.  (Many people empty a small INBOX every day.) */
	INBOX_COUNT = 20,
	INBOX_PERCENT = 90,
};

/* In a type that cannot overflow: the numbers may come from a peer. */
static bool exceeds(uint64_t deletions, uint64_t size, unsigned percent)
{
	return (unsigned __int128)deletions * 100 > (unsigned __int128)size * percent;
}

static bool is_too_much(
	const struct plan_brake *brake, const struct plan_losses *losses, unsigned percent)
{
	uint64_t deletions = losses->now + losses->recent + losses->held;

	if (brake->count > 0 && deletions <= brake->count)
		return false;
	return percent == 0 || exceeds(deletions, losses->left + losses->recent, percent);
}

static bool empties(const struct plan_losses *losses)
{
	uint64_t deletions = losses->now + losses->burst;

	return deletions > INBOX_COUNT &&
	       exceeds(deletions, losses->left + losses->burst, INBOX_PERCENT);
}

/* What a mailbox loses alone is measured by its own size: it may hold nearly all that there is. */
static bool others_lose(const struct plan_losses *mailbox, const struct plan_losses *side)
{
	return side->held > 0 || side->recent > mailbox->recent;
}

enum plan_hold plan_brake(const struct plan_brake *brake, const struct plan_losses *mailbox,
	const struct plan_losses *side, bool is_inbox)
{
	if (brake->off || mailbox->now == 0)
		return PLAN_PASS;
	if (is_too_much(brake, mailbox, brake->percent) || (is_inbox && empties(mailbox)))
		return PLAN_HOLD_MAILBOX;
	return others_lose(mailbox, side) && is_too_much(brake, side, brake->side_percent)
		       ? PLAN_HOLD_SIDE
		       : PLAN_PASS;
}
