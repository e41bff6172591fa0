/* SPDX-License-Identifier: MIT */
/*
 * What the server has told of one mailbox while it was selected (RFC 3501 section 6.3.1, RFC 7162
 * section 3.2.5).
 *
 * Commands are pipelined across mailboxes, so the responses between a SELECT's being sent and its
 * completion belong to the mailbox selected before until "[CLOSED]" comes (RFC 7162
 * section 3.2.11), and to the new one from there; client.c does that attribution.  A server that
 * omits [CLOSED] while a mailbox is selected cannot be told apart, and its connection is dropped.
 */
#ifndef INTERIMAP_IMAP_VIEW_H
#define INTERIMAP_IMAP_VIEW_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "sync/imap/response.h"
#include "sync/imap/seqset.h"

struct view {
	/* A FETCH for the mailbox, from whatever command or by the server's own accord (flags in
	 * response->atoms). */
	void (*fetched)(struct view *view, struct response *response);
	/* Messages gone: from QRESYNC's (EARLIER) or while selected. */
	void (*vanished)(struct view *view, const struct seqset *uids, bool earlier);

	/* The number of messages changed.  May be NULL, as the others. */
	void (*changed)(struct view *view);

	/* From the SELECT; valid when it has completed OK. */
	uint32_t uidvalidity, uidnext, exists;
	uint64_t highestmodseq;
	bool no_modseq; /* NOMODSEQ: cannot be synchronised */
	bool uids_not_sticky; /* UIDNOTSTICKY (RFC 4315 section 2): likewise */
	bool read_only;
	struct slice *permanent; /* PERMANENTFLAGS; copies, owned by the view */
	size_t permanent_count;
	bool has_permanent;
};

void view_done(struct view *view);

/* The client's: forgets what an earlier SELECT said. */
void view_reset(struct view *view);
/* Likewise: true if the response was about the mailbox. */
bool view_take(struct view *view, struct response *response);

#endif
