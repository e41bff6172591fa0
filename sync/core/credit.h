/* SPDX-License-Identifier: MIT */
/*
 * How many bytes of bodies one side may be asked for: those asked for and not yet done with on
 * the other side are at most COPY_CREDIT, or one larger message.
 *
 * What is asked for can only be reckoned with the sizes that the server declares.  So each body is
 * looked at once more when its real size is announced, and what a server has not declared has a
 * credit of its own: what goes beyond it is not taken now, but asked for again when there is room.
 */
#ifndef INTERIMAP_CORE_CREDIT_H
#define INTERIMAP_CORE_CREDIT_H

#include <stdbool.h>
#include <stdint.h>

enum {
	COPY_CREDIT =
		2 << 20, /* bytes asked for and not yet appended, all mailboxes of one direction */
};

/* Of one side; {0} at the beginning of a connection. */
struct credit {
	uint64_t used; /* charged in all */
	uint64_t beyond; /* of it, what was not declared */
	uint64_t least; /* a message is charged as much as this: the server has told less than there
			   was */
};

/* Of one message; {0} while it was not asked for. */
struct charge {
	uint64_t asked, beyond; /* bytes */
};

enum body_verdict {
	BODY_TAKE,
	BODY_LATER, /* skip it; it can be asked for again */
	BODY_TOO_LONG, /* far beyond what was declared: nobody may take it */
};

/* Whether a message of this declared size can be asked for now. */
bool credit_covers(const struct credit *credit, uint64_t declared);
/* It is asked for. */
void credit_charge(struct credit *credit, struct charge *charge, uint64_t declared);
static inline bool charge_is_due(const struct charge *charge)
{
	return charge->asked > 0;
}
/* The longest body that is taken for this declared size. */
uint64_t credit_longest(uint64_t declared);
/* Its body begins, of `size` bytes; TAKE charges the rest.  It was charged. */
enum body_verdict credit_body(
	struct credit *credit, struct charge *charge, uint64_t declared, uint64_t size);
/* It is done with, or will not come.  Harmless if nothing is due. */
void credit_release(struct credit *credit, struct charge *charge);

#endif
