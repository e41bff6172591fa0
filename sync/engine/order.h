/* SPDX-License-Identifier: MIT */
/*
 * An order to an engine that stays: what a command would do with the account, done by the one that
 * holds its database.  Orders are carried out one after the other, each from a rest: the lists are
 * looked at again as the command would, and what follows from them is done.
 */
#ifndef INTERIMAP_ENGINE_ORDER_H
#define INTERIMAP_ENGINE_ORDER_H

#include <stdbool.h>
#include <time.h>

#include "sync/base/log.h"
#include "sync/core/job.h"

struct engine;

/* Everything in it is the caller's, and must stay until done(), or until it is withdrawn. */
struct engine_order {
	struct job job; /* not JOB_STATUS */

	enum log_level level; /* of the messages wanted */
	/* What is said about it, as log.h has it; from within a message to the log. */
	void (*line)(struct engine_order *order, enum log_level level, const char *line);
	/* Its turn has come. */
	void (*begun)(struct engine_order *order);
	/* Once, from the loop; the engine does not use it any more.  complete: nothing of it is
	 * left undone.  If there is no connection, it fails with a line that says why. */
	void (*done)(struct engine_order *order, bool complete);

	time_t since; /* it waits */
	struct engine_order *prev, *next; /* those that wait (utlist) */
};

/* Never calls back before it returns. */
void engine_order_submit(struct engine *engine, struct engine_order *order);
/* Takes it back if it has not begun, without done(); false if it is under way. */
bool engine_order_withdraw(struct engine *engine, struct engine_order *order);
/* What an order that is not begun waits for, as a part of a sentence ("it is connecting"). */
const char *engine_order_waits_for(const struct engine *engine);

#endif
