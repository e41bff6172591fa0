/* SPDX-License-Identifier: MIT */
/* Flags by UID, collected in any order and then looked up. */
#ifndef INTERIMAP_RUN_CHANGES_H
#define INTERIMAP_RUN_CHANGES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "sync/plan/messages.h"

struct changes {
	struct plan_change *list;
	size_t count, size;
};

/* False when LIMIT_DELTA_CHANGES would be exceeded. */
bool changes_add(struct changes *changes, uint32_t uid, const struct flags *flags);
/* Sorts by UID; of several entries of one UID the last added stays. */
void changes_sort(struct changes *changes);
/* NULL if there is none.  Sorted ones only. */
const struct flags *changes_find(const struct changes *changes, uint32_t uid);
/* No error when it is not there; sorted ones only. */
void changes_remove(struct changes *changes, uint32_t uid);
/* Drops the entries that stand in `expected` with the same flags: echoes of our own commands.  Both
 * sorted. */
void changes_drop_echoes(struct changes *changes, const struct changes *expected);
void changes_clear(struct changes *changes);
void changes_done(struct changes *changes);

#endif
