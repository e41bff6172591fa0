/* SPDX-License-Identifier: MIT */
/* How an engine is getting on, in one short sentence: for a service manager's status line. */
#ifndef INTERIMAP_ENGINE_SUMMARY_H
#define INTERIMAP_ENGINE_SUMMARY_H

#include <stdint.h>

struct engine;

/* Another number than before when the sentence may be another one; costs nothing to ask. */
uint64_t engine_summary_stamp(const struct engine *engine);
/* Without the account's name; the caller's. */
char *engine_summary(const struct engine *engine);

#endif
