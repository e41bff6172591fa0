/* SPDX-License-Identifier: MIT */
/* What a side refuses to do to messages of its own, in one pass, until COMMIT writes it down. */
#ifndef INTERIMAP_CORE_REFUSALS_H
#define INTERIMAP_CORE_REFUSALS_H

#include <stddef.h>

#include "sync/imap/seqset.h"
#include "sync/state/quarantine.h"

struct refusal {
	enum quarantine_kind kind; /* QUARANTINE_STORE or QUARANTINE_EXPUNGE */
	struct seqset uids;
	char *words; /* the server's, or ours, that say why */
};

struct refusals {
	struct refusal *list;
	size_t count;
};

/* Copies both. */
void refusals_add(struct refusals *refusals, enum quarantine_kind kind, const struct seqset *uids,
	const char *words);
void refusals_clear(struct refusals *refusals);

#endif
