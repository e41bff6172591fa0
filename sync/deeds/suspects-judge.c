/* SPDX-License-Identifier: MIT */
/* What a lost connection says: who was accused, what becomes of it, and when that is enough. */
#include <errno.h>
#include <stdlib.h>
#include <time.h>
#include <utlist.h>

#include "sync/base/limits.h"
#include "sync/base/xalloc.h"
#include "sync/core/core.h"
#include "sync/core/quarantine.h"
#include "sync/deeds/journal.h"
#include "sync/deeds/suspects-private.h"

enum {
	/* Of a program that runs once: to find one message among 128 takes up to ten. */
	RETRIES_MAX = 60,
	/* … and what is lost over one thing after the other is a bad line. */
	RETRIES_FRESH = 3,
};

static bool is_about_messages(enum suspect_kind kind)
{
	return kind == SUSPECT_FETCH || kind == SUSPECT_APPEND;
}

void suspects_accuse(struct core *core, const struct suspect *suspect)
{
	struct suspects *suspects = core->suspects;

	/* What is lost with the other connection is lost because of that one. */
	if (suspect->kind == SUSPECT_NONE || suspects->accused.kind != SUSPECT_NONE)
		return;
	suspect_copy(&suspects->accused, suspect);
	if (is_about_messages(suspect->kind) && seqset_is_empty(&suspect->uids))
		suspects->accused.kind = SUSPECT_MAILBOX;
}

void suspects_excuse(struct core *core)
{
	suspect_done(&core->suspects->accused);
}

void suspects_note_loss(struct core *core, const char *reason)
{
	free(core->suspects->words);
	core->suspects->words = xstrdup(reason);
}

static struct tracked *find(struct suspects *suspects, const struct suspect *suspect)
{
	for (size_t i = 0; i < suspects->count; i++)
		if (suspicion_is_of(&suspects->list[i].suspicion, suspect))
			return &suspects->list[i];
	return NULL;
}

bool suspects_are_worth_a_retry(struct core *core)
{
	struct suspects *suspects = core->suspects;

	if (suspects->accused.kind == SUSPECT_NONE || suspects->retries >= RETRIES_MAX)
		return false;
	if (find(suspects, &suspects->accused) == NULL && suspects->fresh++ >= RETRIES_FRESH)
		return false;
	suspects->retries++;
	return true;
}

/* The one that says least gives way. */
static int make_room(struct suspects *suspects)
{
	for (size_t i = 0; i < suspects->count && suspects->count >= LIMIT_SUSPICIONS; i++)
		if (!suspicion_is_apart(&suspects->list[i].suspicion))
			return suspects_drop(suspects, &suspects->list[i]);
	return 0;
}

static int suspect_anew(struct suspects *suspects, const struct suspect *accused)
{
	struct tracked *tracked;
	int r = make_room(suspects);

	if (r < 0 || suspects->count >= LIMIT_SUSPICIONS)
		return r;
	tracked = suspects_add(suspects);
	suspect_copy(&tracked->suspicion.suspect, accused);
	tracked->suspicion.losses = 1;
	return suspects_keep(suspects, tracked);
}

static uint32_t first_uid(const struct suspect *suspect)
{
	return seqset_is_empty(&suspect->uids) ? 0 : suspect->uids.ranges[0].first;
}

static const enum quarantine_kind kinds[SUSPECT_KIND_COUNT] = {
	[SUSPECT_FETCH] = QUARANTINE_FETCH,
	[SUSPECT_APPEND] = QUARANTINE_APPEND,
	[SUSPECT_MAILBOX] = QUARANTINE_MAILBOX,
	[SUSPECT_DEED] = QUARANTINE_DEED,
};

static struct quarantine row_of(const struct suspect *suspect)
{
	return (struct quarantine){
		.mailbox = suspect->mailbox,
		.kind = kinds[suspect->kind],
		.remote = suspect->remote,
		.uid = first_uid(suspect),
		.deed = suspect->deed,
	};
}

/* It is proven to cost the connection: left alone for a while.  1; or 0 if there is no room. */
static int give_up(struct suspects *suspects, const struct suspect *suspect)
{
	struct core *core = suspects->core;
	_cleanup_free_ char *words = xasprintf("it costs the connection: %s", suspects->words);
	_cleanup_free_ char *name = NULL;
	struct quarantine row = row_of(suspect);
	const struct deed *deed;
	int r;

	DL_SEARCH_SCALAR(core->journal->deeds, deed, id, suspect->deed);
	if (deed != NULL)
		name = journal_describe(core->journal, deed);

	row.name = name;
	row.words = words;
	r = quarantine_note(core, suspects_mailbox(core, suspect), &row);
	if (r <= 0)
		return r;
	return quarantine_refresh(core) < 0 ? -EIO : 1;
}

/* 1: it was in the quarantine, its time had come, and it has cost the connection once more;
 * whatever else was under way, it is given up at once. */
static int judge_known(struct suspects *suspects, const struct suspect *accused)
{
	struct quarantine row = row_of(accused);
	int r = accused->kind == SUSPECT_MOVE ? 0 : quarantine_find(suspects->core->db, &row);

	if (r <= 0)
		return r;
	quarantine_done(&row);
	return give_up(suspects, accused);
}

static int judge(struct suspects *suspects, const struct suspect *accused)
{
	struct tracked *tracked = find(suspects, accused);
	bool alone = tracked != NULL && tracked->id == suspects->trial;
	int r;

	if (tracked == NULL)
		return suspect_anew(suspects, accused);
	if (suspicion_add(&tracked->suspicion, accused, alone) != VERDICT_PROVEN ||
		accused->kind == SUSPECT_MOVE)
		return suspects_keep(suspects, tracked);
	r = give_up(suspects, &tracked->suspicion.suspect);
	return r > 0 ? suspects_drop(suspects, tracked) : r;
}

void suspects_connect(struct core *core)
{
	core->suspects->loaded = false;
}

int suspects_find_row(struct core *core, const struct suspect *suspect, char **ret_words)
{
	struct quarantine row = row_of(suspect);
	int r = quarantine_find(core->db, &row);

	if (r <= 0)
		return r;
	r = !quarantine_is_due(row.next, time(NULL));
	if (r > 0)
		*ret_words = xstrdup(row.words);
	quarantine_done(&row);
	return r;
}

/* Those about messages are left to the ordinary sync instead (replay/messages.c). */
static int set_apart(struct core *core, struct deed *deed)
{
	const struct suspect suspect = {
		.kind = SUSPECT_DEED, .deed = deed->id, .remote = !deed->to_local};
	_cleanup_free_ char *words = NULL;
	int r;

	if (deed_is_about_messages(deed))
		return 0;
	r = suspects_find_row(core, &suspect, &words);
	deed->apart = r > 0 || suspects_hold_deed(core, deed);
	if (words != NULL) {
		free(deed->refusal);
		deed->refusal = take(words);
	}
	return r;
}

static int set_deeds_apart(struct core *core)
{
	struct deed *deed;
	int r = 0;

	DL_FOREACH (core->journal->deeds, deed)
		if (r >= 0)
			r = set_apart(core, deed);
	return r;
}

/* What was accused counts. */
static int judge_accused(struct suspects *suspects)
{
	const struct suspect *accused = &suspects->accused;
	int r;

	if (accused->kind == SUSPECT_NONE)
		return 0;
	r = judge_known(suspects, accused);
	return r == 0 ? judge(suspects, accused) : r;
}

int suspects_judge(struct core *core)
{
	struct suspects *suspects = core->suspects;
	int r = 0;

	if (!suspects->loaded) {
		r = suspects_load(suspects);
		if (r >= 0)
			r = judge_accused(suspects);
		suspect_done(&suspects->accused);
		suspects->trial = 0;
		suspects->loaded = r >= 0;
	}
	return r < 0 ? r : set_deeds_apart(core);
}
