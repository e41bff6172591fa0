/* SPDX-License-Identifier: MIT */
/*
 * How long the answer to the oldest command may still be waited for.
 *
 * Silence uses patience up; bytes of the answer earn some, each a little, so that a slow line does
 * not matter, and a server that drips gets nowhere.  What may be none of the answer (a response
 * whose end has not come, "* OK Still here") holds the wait open too, but for
 * LIMIT_PROGRESS_SECONDS of one command at most.
 *
 * Times are those of the loop, in seconds.  Nothing is armed or called back here.
 */
#ifndef INTERIMAP_IMAP_PATIENCE_H
#define INTERIMAP_IMAP_PATIENCE_H

#include <stdbool.h>
#include <stdint.h>

struct patience {
	double most; /* of silence */
	double until; /* then it is over */
	double since; /* when the command became the oldest one */
	double unproven; /* seconds granted to it for what may be none of the answer … */
	double reading; /* … of them, for the response that is arriving */
	uint64_t bytes; /* of the answer */
	bool told; /* that it is being worked on */
};

/* Another command is the oldest one, or the first, or the server is ready for more of it. */
void patience_begin(struct patience *patience, double now);
/* Bytes of a command that have left this machine. */
void patience_sent(struct patience *patience, double now, uint64_t bytes);
/* Bytes of a message that was asked for. */
void patience_body(struct patience *patience, double now, uint64_t bytes);
/* Bytes of a response. Nobody knows yet for whom it is: one of the two below follows. */
void patience_reading(struct patience *patience, double now, uint64_t bytes);
/* It is (part of) an answer. */
void patience_proven(struct patience *patience);
/* It is not. */
void patience_dropped(struct patience *patience);
/* The server says that it is working (RFC 9585; RFC 3501 section 7.1.1 allows any text). */
void patience_told(struct patience *patience, double now);

/* Why it is over, one sentence without a full stop; owned by the caller.  what: "UID FETCH". */
char *patience_reason(const struct patience *patience, double now, const char *what);

#endif
