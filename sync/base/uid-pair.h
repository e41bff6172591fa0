/* SPDX-License-Identifier: MIT */
/* One message on both sides: which UID here is which UID there. */
#ifndef INTERIMAP_BASE_UID_PAIR_H
#define INTERIMAP_BASE_UID_PAIR_H

#include <stdint.h>

struct uid_pair {
	uint32_t local, remote;
};

#endif
