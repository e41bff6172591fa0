/* SPDX-License-Identifier: MIT */
/* Which message became which, as a server says (COPYUID, RFC 4315 section 3). */
#ifndef INTERIMAP_CORE_COPYUID_H
#define INTERIMAP_CORE_COPYUID_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "sync/imap/slice.h"

struct copyuid {
	uint32_t *source, *target; /* owned; both ascend */
	size_t count;
};

/*
 * Reads it, if it can be true: as many on both sides, each once, at most `max`; new UIDs, from
 * `uidnext` on, in the order of those that were copied.  A server may copy in another order, but
 * then a list that is in disorder cannot be told from one that names the wrong messages: whoever is
 * told false looks at the messages themselves.
 */
bool copyuid_read(struct copyuid *ret, struct slice source, struct slice target, uint32_t uidnext,
	size_t max);
void copyuid_done(struct copyuid *copyuid);

#endif
