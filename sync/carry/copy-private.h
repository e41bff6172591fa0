/* SPDX-License-Identifier: MIT */
/* Between the two halves of a copy (copy.c, copy-append.c). */
#ifndef INTERIMAP_CARRY_COPY_PRIVATE_H
#define INTERIMAP_CARRY_COPY_PRIVATE_H

#include "sync/carry/copy.h"

struct spool;

struct copy_message {
	struct copier *copier;
	struct item *item; /* NULL until the UID is known */
	struct spool *spool;
	struct intent intent;
	const struct flags *flags; /* as appended */
	bool plain; /* without keywords, since it was refused with them */
	bool reserved; /* there is room for all of it here */
	bool appending; /* an APPEND has it */
	bool append_over; /* that was answered, while the body still arrives */
	bool body_over; /* the body has arrived, or never will */
	struct copy_message *prev, *next;
};

struct copy_message *copy_message_free(struct copy_message *message);
/* This UID stays uncopied. */
void copier_leave(struct copier *copier, uint32_t uid);

/* copy-append.c */
/* The message is there as a whole (its APPEND may have begun before): it is appended with the next
 * group. */
void copier_arrived(struct copier *copier, struct copy_message *message);
/* Appends what has arrived, as far as nothing is missing before it. */
void copier_append_arrived(struct copier *copier);
/* Begins the APPEND of a message that is still arriving. */
void copier_append_now(struct copier *copier, struct copy_message *message);

#endif
