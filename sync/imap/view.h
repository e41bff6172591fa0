/* SPDX-License-Identifier: MIT */
/*
 * What the server has told of one mailbox while it was selected (RFC 3501 section 6.3.1, RFC 7162
 * section 3.2.5).
 *
 * Commands are pipelined across mailboxes, so the responses between a SELECT's being sent and its
 * completion belong to the mailbox selected before until "[CLOSED]" comes (RFC 7162
 * section 3.2.11), and to the new one from there; client-receive.c does that attribution.  A server
 * without QRESYNC does not send [CLOSED]: there the mailbox selected before is left by a command of
 * its own (UNSELECT, or command_leave()), and from the answer to that nothing is selected.  Where a
 * server sends none while a mailbox is selected, nobody could say what belongs where, and the
 * connection is dropped.
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

	/* From the SELECT; valid when it has completed OK.  `exists` is kept up to date. */
	uint32_t uidvalidity, uidnext, exists;
	uint64_t highestmodseq;
	bool no_modseq; /* NOMODSEQ: cannot be synchronised */
	bool uids_not_sticky; /* UIDNOTSTICKY (RFC 4315 section 2): likewise */
	bool read_only;
	struct slice *permanent; /* PERMANENTFLAGS; copies, owned by the view */
	size_t permanent_count;
	bool has_permanent;

	/*
	 * Since the SELECT completed: what a server without QRESYNC tells of messages that have gone
	 * (EXPUNGE, RFC 3501 section 7.4.1), one each; and whether it told another number of
	 * messages (EXISTS).  Whatever was counted since, or addressed by number, may be about
	 * another set of messages.
	 */
	uint32_t expunges;
	bool exists_changed;
};

void view_done(struct view *view);

/* The client's: forgets what an earlier SELECT said. */
void view_reset(struct view *view);
/* Likewise: the SELECT has completed OK, with this answer.  What came before it was of the SELECT, or
 * of the mailbox as it was selected before. */
void view_begin(struct view *view, struct response *response);
/* Likewise: true if the response was about the mailbox. */
bool view_take(struct view *view, struct response *response);

#endif
