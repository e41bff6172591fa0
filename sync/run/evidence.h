/* SPDX-License-Identifier: MIT */
/*
 * Why a message is expunged on a side.  Only run_expunge() sends what expunges one of a pair, and
 * it takes this; docs/reliability.md has the table of who may delete.
 */
#ifndef INTERIMAP_RUN_EVIDENCE_H
#define INTERIMAP_RUN_EVIDENCE_H

enum evidence {
	/* None: that is a defect of ours, and nothing is expunged. */
	EVIDENCE_NONE,
	/* The server of its pair reported it as gone since a mod-sequence that did not go back, and
	 * did not answer for it when asked again. */
	EVIDENCE_VANISHED,
	/* Its pair was made by a run that was interrupted before the server's mod-sequence was
	 * written down, and does not answer, asked twice. */
	EVIDENCE_ABSENT,
	/* The same as the first; and a client of the proxy is known to have expunged it. */
	EVIDENCE_CLIENT,
	/* It has no pair: it is a copy of ours that arrived after the message had been copied anew
	 * (late.c). */
	EVIDENCE_COPY,
	/* There was evidence before, and the server refused; a row of the quarantine remembers it,
	 * and its pair does not answer when asked once more (refused.c). */
	EVIDENCE_REMEMBERED,
	EVIDENCE_COUNT,
};

#endif
