/* SPDX-License-Identifier: MIT */
/* What tests of plan_messages() ask of a plan. */
#ifndef INTERIMAP_TESTS_UNIT_PLAN_FIXTURE_H
#define INTERIMAP_TESTS_UNIT_PLAN_FIXTURE_H

#include "sync/plan/messages.h"

static inline bool operations_are_empty(const struct plan_operations *operations)
{
	return seqset_is_empty(&operations->expunge) && operations->stores_count == 0 &&
	       seqset_is_empty(&operations->need_flags);
}

/* Nothing to do on either side, and nothing needed. */
static inline bool plan_is_empty(const struct plan *plan)
{
	return operations_are_empty(&plan->local) && operations_are_empty(&plan->remote) &&
	       plan->unmap_count == 0;
}

#endif
