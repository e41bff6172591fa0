/* SPDX-License-Identifier: MIT */
#include "sync/core/credit.h"

#include "sync/base/limits.h"

/* A server that counts line ends differently, or estimates, has not lied. */
enum { TOLERANCE = 4096 };

static uint64_t price(const struct credit *credit, uint64_t declared)
{
	uint64_t bytes = declared > credit->least ? declared : credit->least;

	return bytes > 0 ? bytes : 1;
}

bool credit_covers(const struct credit *credit, uint64_t declared)
{
	return credit->used == 0 || (credit->used <= COPY_CREDIT &&
					    price(credit, declared) <= COPY_CREDIT - credit->used);
}

void credit_charge(struct credit *credit, struct charge *charge, uint64_t declared)
{
	*charge = (struct charge){.asked = price(credit, declared)};
	credit->used += charge->asked;
}

uint64_t credit_longest(uint64_t declared)
{
	if (declared > (UINT64_MAX - LIMIT_BODY_EXCESS) / LIMIT_BODY_FACTOR)
		return UINT64_MAX;
	return LIMIT_BODY_FACTOR * declared + LIMIT_BODY_EXCESS;
}

/* Others will be larger than declared as well: fewer are asked for at once. */
static void note_size(struct credit *credit, uint64_t declared, uint64_t size)
{
	if (size / 2 <= declared || size - declared < TOLERANCE)
		return;
	if (size > COPY_CREDIT / 2)
		size = COPY_CREDIT / 2;
	if (size > credit->least)
		credit->least = size;
}

enum body_verdict credit_body(
	struct credit *credit, struct charge *charge, uint64_t declared, uint64_t size)
{
	uint64_t beyond = size > charge->asked ? size - charge->asked : 0;

	note_size(credit, declared, size);
	if (size > credit_longest(declared))
		return BODY_TOO_LONG;
	if (credit->beyond > 0 && beyond > 0 && credit->beyond + beyond > COPY_CREDIT)
		return BODY_LATER;
	charge->beyond = beyond;
	credit->beyond += beyond;
	credit->used += beyond;
	return BODY_TAKE;
}

static void give_back(uint64_t *from, uint64_t bytes)
{
	*from -= bytes < *from ? bytes : *from;
}

void credit_release(struct credit *credit, struct charge *charge)
{
	give_back(&credit->used, charge->asked + charge->beyond);
	give_back(&credit->beyond, charge->beyond);
	*charge = (struct charge){0};
}
