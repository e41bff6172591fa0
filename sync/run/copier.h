/* SPDX-License-Identifier: MIT */
/* What a run holds of its copies from one side (carry/copy.h). */
#ifndef INTERIMAP_RUN_COPIER_H
#define INTERIMAP_RUN_COPIER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "sync/core/items.h"

struct copy_message;
struct run_side;

enum {
	COPY_BATCH = 1000, /* messages of one pass */
	COPY_GROUP_MESSAGES = 128, /* messages of one FETCH, and of one MULTIAPPEND */
	COPY_GROUP_BYTES = 1 << 20,
};

struct copier {
	struct run_side *source;
	size_t next; /* the first item not yet asked for */
	size_t done; /* so many items are dealt with: what arrives behind it waits */
	struct copy_message
		*arriving; /* its body comes in now, or is complete and its response is not */
	struct copy_message *arrived; /* whole, to be appended together (utlist), by UID */
	size_t arrived_count;
	uint64_t arrived_bytes;
	unsigned fetches, appends; /* under way */
	uint64_t copied; /* messages */
	uint32_t lowest_left; /* lowest UID that stays uncopied, 0 if none */
	bool stopped; /* the target takes no more for now */
	bool waits_for_credit;
	int spool_error; /* of a body whose UID is not known yet */
};

#endif
