/* SPDX-License-Identifier: MIT */
#include "sync/plan/suspicion.h"

/* A message is read and appended, one after the other: whichever costs the connection, it is the
 * copying of that message. */
static enum suspect_kind class_of(enum suspect_kind kind)
{
	return kind == SUSPECT_APPEND ? SUSPECT_FETCH : kind;
}

static bool is_about_messages(enum suspect_kind kind)
{
	return kind == SUSPECT_FETCH || kind == SUSPECT_APPEND;
}

void suspect_copy(struct suspect *to, const struct suspect *from)
{
	*to = *from;
	seqset_init(&to->uids);
	seqset_copy(&to->uids, &from->uids);
}

void suspect_done(struct suspect *suspect)
{
	seqset_done(&suspect->uids);
	*suspect = (struct suspect){0};
}

bool suspicion_is_of(const struct suspicion *suspicion, const struct suspect *suspect)
{
	const struct suspect *before = &suspicion->suspect;
	struct seqset both;
	bool common;

	if (class_of(before->kind) != class_of(suspect->kind) ||
		before->mailbox != suspect->mailbox || before->deed != suspect->deed ||
		before->remote != suspect->remote)
		return false;
	if (!is_about_messages(before->kind))
		return true;
	seqset_init(&both);
	seqset_copy(&both, &before->uids);
	seqset_intersect(&both, &suspect->uids);
	common = !seqset_is_empty(&both);
	seqset_done(&both);
	return common;
}

bool suspicion_is_apart(const struct suspicion *suspicion)
{
	return suspicion->losses >= SUSPICION_LOSSES;
}

enum verdict suspicion_add(struct suspicion *suspicion, const struct suspect *suspect, bool alone)
{
	suspicion->losses++;
	suspicion->suspect.kind = suspect->kind;
	seqset_intersect(&suspicion->suspect.uids, &suspect->uids);
	if (!suspicion_is_apart(suspicion))
		return VERDICT_NOTED;
	if (suspect->kind == SUSPECT_MOVE)
		return VERDICT_PROVEN; /* it can always be done in another way */
	return alone && seqset_count(&suspicion->suspect.uids) <= 1 ? VERDICT_PROVEN
								    : VERDICT_APART;
}

void suspicion_part(const struct suspicion *suspicion, struct seqset *ret_uids)
{
	const struct seqset *uids = &suspicion->suspect.uids;
	uint64_t left = suspicion->halves ? (seqset_count(uids) + 1) / 2 : 1;

	for (size_t i = 0; i < uids->count && left > 0; i++) {
		struct seqrange range = uids->ranges[i];
		uint64_t count = (uint64_t)range.last - range.first + 1;

		if (count > left)
			count = left;
		(void)seqset_add_range(ret_uids, range.first, range.first + (uint32_t)(count - 1));
		left -= count;
	}
}

bool suspicion_acquit(struct suspicion *suspicion, const struct seqset *uids)
{
	seqset_remove_set(&suspicion->suspect.uids, uids);
	suspicion->halves = true;
	return seqset_is_empty(&suspicion->suspect.uids);
}
