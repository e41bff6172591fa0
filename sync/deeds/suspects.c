/* SPDX-License-Identifier: MIT */
#include "sync/deeds/suspects.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <utlist.h>

#include "sync/base/buf.h"
#include "sync/base/limits.h"
#include "sync/base/xalloc.h"
#include "sync/core/core.h"
#include "sync/core/quarantine.h"
#include "sync/deeds/journal.h"
#include "sync/deeds/suspects-private.h"
#include "sync/state/suspicions.h"

void suspects_init(struct suspects *suspects, struct core *core)
{
	*suspects = (struct suspects){.core = core};
	core->suspects = suspects;
}

static void forget_all(struct suspects *suspects)
{
	for (size_t i = 0; i < suspects->count; i++)
		suspect_done(&suspects->list[i].suspicion.suspect);
	free(take(suspects->list));
	suspects->count = 0;
}

void suspects_done(struct suspects *suspects)
{
	forget_all(suspects);
	suspect_done(&suspects->accused);
	free(take(suspects->words));
}

/* --- The database --- */

static char *format_uids(const struct seqset *uids)
{
	enum { MOST = 12 + 22 * LIMIT_SUSPECT_RANGES };
	size_t index = 0;
	struct buf text;

	buf_init(&text, MOST);
	if (!seqset_is_empty(uids))
		seqset_format(uids, &index, MOST - 1, &text);
	return buf_steal(&text);
}

int suspects_keep(struct suspects *suspects, struct tracked *tracked)
{
	const struct suspect *suspect = &tracked->suspicion.suspect;
	_cleanup_free_ char *uids = format_uids(&suspect->uids);
	struct suspicion_row row = {
		.id = tracked->id,
		.kind = suspect->kind,
		.mailbox = suspect->mailbox,
		.deed = suspect->deed,
		.remote = suspect->remote,
		.uids = uids,
		.losses = tracked->suspicion.losses,
		.halves = tracked->suspicion.halves,
	};
	int r = suspicions_put(suspects->core->db, &row);

	tracked->id = row.id;
	return r;
}

struct tracked *suspects_add(struct suspects *suspects)
{
	suspects->list =
		xreallocarray(suspects->list, suspects->count + 1, sizeof(*suspects->list));
	suspects->list[suspects->count] = (struct tracked){0};
	return &suspects->list[suspects->count++];
}

static void drop(struct suspects *suspects, struct tracked *tracked)
{
	struct tracked *last = &suspects->list[suspects->count - 1];

	suspect_done(&tracked->suspicion.suspect);
	*tracked = *last;
	suspects->count--;
}

int suspects_drop(struct suspects *suspects, struct tracked *tracked)
{
	int r = suspicions_delete(suspects->core->db, tracked->id);

	if (suspects->trial == tracked->id)
		suspects->trial = 0;
	drop(suspects, tracked);
	return r;
}

static bool read_row(const struct suspicion_row *row, struct suspicion *ret)
{
	*ret = (struct suspicion){
		.suspect = {.kind = (enum suspect_kind)row->kind,
			.mailbox = row->mailbox,
			.deed = row->deed,
			.remote = row->remote},
		.losses = row->losses,
		.halves = row->halves,
	};
	return row->kind > SUSPECT_NONE && row->kind < SUSPECT_KIND_COUNT &&
	       (row->uids[0] == '\0' ||
		       seqset_parse(&ret->suspect.uids,
			       (struct slice){.data = row->uids, .len = strlen(row->uids)}));
}

int suspects_load(struct suspects *suspects)
{
	struct suspicion_row *rows;
	size_t count;
	int r = suspicions_load(suspects->core->db, &rows, &count);

	forget_all(suspects);
	for (size_t i = 0; i < count && r >= 0; i++) {
		struct suspicion suspicion;
		struct tracked *tracked;

		if (!read_row(&rows[i], &suspicion)) {
			suspect_done(&suspicion.suspect);
			continue;
		}
		tracked = suspects_add(suspects);
		tracked->id = rows[i].id;
		tracked->suspicion = suspicion;
	}
	suspicions_free(rows, count);
	return r;
}

struct mailbox *suspects_mailbox(const struct core *core, const struct suspect *suspect)
{
	struct mailbox *mailbox, *next;

	HASH_ITER (hh, core->mailboxes, mailbox, next)
		if (mailbox->idx == suspect->mailbox)
			return mailbox;
	return NULL;
}

/* --- What follows --- */

static bool is_copied(enum suspect_kind kind)
{
	return kind == SUSPECT_FETCH || kind == SUSPECT_APPEND;
}

static bool concerns(const struct suspect *suspect, const struct mailbox *mailbox,
	enum suspect_kind kind, bool remote)
{
	return suspect->mailbox == mailbox->idx && suspect->remote == remote &&
	       (suspect->kind == kind || (is_copied(kind) && is_copied(suspect->kind)));
}

/* What is not to be touched of it now. */
static void find_withheld(
	const struct suspects *suspects, const struct tracked *tracked, struct seqset *ret_uids)
{
	struct seqset part;

	seqset_init(ret_uids);
	if (!suspicion_is_apart(&tracked->suspicion))
		return;
	seqset_copy(ret_uids, &tracked->suspicion.suspect.uids);
	if (tracked->id != suspects->trial)
		return;
	seqset_init(&part);
	suspicion_part(&tracked->suspicion, &part);
	seqset_remove_set(ret_uids, &part);
	seqset_done(&part);
}

void suspects_withhold(const struct core *core, const struct mailbox *mailbox,
	enum suspect_kind kind, bool remote, struct seqset *uids)
{
	const struct suspects *suspects = core->suspects;

	for (size_t i = 0; i < suspects->count; i++) {
		const struct tracked *tracked = &suspects->list[i];
		struct seqset withheld;

		if (!concerns(&tracked->suspicion.suspect, mailbox, kind, remote))
			continue;
		find_withheld(suspects, tracked, &withheld);
		seqset_remove_set(uids, &withheld);
		seqset_done(&withheld);
	}
}

bool suspects_withhold_any(
	const struct core *core, const struct mailbox *mailbox, enum suspect_kind kind, bool remote)
{
	const struct suspects *suspects = core->suspects;
	bool any = false;

	for (size_t i = 0; i < suspects->count && !any; i++) {
		const struct tracked *tracked = &suspects->list[i];
		struct seqset withheld;

		if (!concerns(&tracked->suspicion.suspect, mailbox, kind, remote))
			continue;
		find_withheld(suspects, tracked, &withheld);
		any = !seqset_is_empty(&withheld);
		seqset_done(&withheld);
	}
	return any;
}

/* Without those that are suspected, messages would be taken to be on one side only. */
static bool is_to_be_adopted(const struct mailbox *mailbox)
{
	return mailbox->local.base.uidnext == 0 && mailbox->remote.base.uidnext == 0;
}

bool suspects_hold(const struct core *core, const struct mailbox *mailbox, enum suspect_kind kind)
{
	const struct suspects *suspects = core->suspects;

	for (size_t i = 0; i < suspects->count; i++) {
		const struct tracked *tracked = &suspects->list[i];
		const struct suspect *suspect = &tracked->suspicion.suspect;

		if (!suspicion_is_apart(&tracked->suspicion) || tracked->id == suspects->trial ||
			suspect->mailbox != mailbox->idx)
			continue;
		if (suspect->kind == kind || (kind == SUSPECT_MAILBOX && is_copied(suspect->kind) &&
						     is_to_be_adopted(mailbox)))
			return true;
	}
	return false;
}

int suspects_find_given_up(struct core *core, const struct mailbox *mailbox, char **ret_words)
{
	struct suspect suspect = {.kind = SUSPECT_MAILBOX, .mailbox = mailbox->idx};
	int r;

	if (mailbox->left_out.rows == 0)
		return 0;
	r = suspects_find_row(core, &suspect, ret_words);
	if (r != 0)
		return r;
	suspect.remote = true;
	return suspects_find_row(core, &suspect, ret_words);
}

/* It is done after all: no more of it in the quarantine. */
static int release(struct core *core, struct quarantine *row)
{
	int r = quarantine_find(core->db, row);

	if (r <= 0)
		return r;
	r = quarantine_delete(core->db, row->id);
	quarantine_done(row);
	return r < 0 ? r : quarantine_refresh(core);
}

static int release_mailbox(struct core *core, const struct mailbox *mailbox)
{
	int r = 0;

	for (int remote = 0; remote < 2 && r >= 0 && mailbox->left_out.rows > 0; remote++) {
		struct quarantine row = {
			.kind = QUARANTINE_MAILBOX, .mailbox = mailbox->idx, .remote = remote != 0};

		r = release(core, &row);
	}
	return r;
}

bool suspects_hold_deed(const struct core *core, const struct deed *deed)
{
	const struct suspects *suspects = core->suspects;

	for (size_t i = 0; i < suspects->count; i++) {
		const struct tracked *tracked = &suspects->list[i];

		if (suspicion_is_apart(&tracked->suspicion) && tracked->id != suspects->trial &&
			tracked->suspicion.suspect.deed == deed->id)
			return true;
	}
	return false;
}

static struct tracked *on_trial(struct suspects *suspects)
{
	for (size_t i = 0; i < suspects->count && suspects->trial != 0; i++)
		if (suspects->list[i].id == suspects->trial)
			return &suspects->list[i];
	return NULL;
}

/* Nothing came of it, and it is not tried again on this connection. */
static void end_trial(struct suspects *suspects)
{
	struct tracked *tracked = on_trial(suspects);

	if (tracked != NULL)
		tracked->tried = true;
	suspects->trial = 0;
}

static bool begin_trial(struct suspects *suspects, struct tracked *tracked)
{
	struct core *core = suspects->core;
	const struct suspect *suspect = &tracked->suspicion.suspect;
	struct mailbox *mailbox = suspects_mailbox(core, suspect);
	struct deed *deed = NULL;

	tracked->tried = true;
	if (suspect->kind == SUSPECT_MOVE)
		return false;
	if (suspect->kind == SUSPECT_DEED)
		DL_SEARCH_SCALAR(core->journal->deeds, deed, id, suspect->deed);
	if (deed == NULL && (mailbox == NULL || !mailbox->presence.listed ||
				    journal_holds(core->journal, mailbox)))
		return false;
	tracked->tried = false;
	suspects->trial = tracked->id;
	if (deed != NULL)
		deed->apart = false;
	else
		core_queue_mailbox(core, mailbox);
	return true;
}

bool suspects_try(struct core *core)
{
	struct suspects *suspects = core->suspects;

	end_trial(suspects);
	for (size_t i = 0; i < suspects->count; i++) {
		struct tracked *tracked = &suspects->list[i];

		if (!tracked->tried && suspicion_is_apart(&tracked->suspicion) &&
			begin_trial(suspects, tracked))
			return true;
	}
	return false;
}

/* What was tried is not the cause. */
static int acquit(struct suspects *suspects, struct tracked *tracked)
{
	struct seqset part;
	bool over;

	suspects->trial = 0;
	seqset_init(&part);
	suspicion_part(&tracked->suspicion, &part);
	over = suspicion_acquit(&tracked->suspicion, &part);
	seqset_done(&part);
	return over ? suspects_drop(suspects, tracked) : suspects_keep(suspects, tracked);
}

/* All of it was done, but for what is set apart. */
static int clear(struct suspects *suspects, const struct mailbox *mailbox)
{
	int r = 0;

	for (size_t i = suspects->count; i-- > 0 && r >= 0;) {
		struct tracked *tracked = &suspects->list[i];

		if (tracked->suspicion.suspect.mailbox == mailbox->idx &&
			!suspicion_is_apart(&tracked->suspicion))
			r = suspects_drop(suspects, tracked);
	}
	return r;
}

void suspects_note_run(struct core *core, struct mailbox *mailbox, bool complete)
{
	struct suspects *suspects = core->suspects;
	struct tracked *tracked = on_trial(suspects);
	bool tried = tracked != NULL && tracked->suspicion.suspect.mailbox == mailbox->idx;
	int r = complete ? release_mailbox(core, mailbox) : 0;

	if (tried && complete && r >= 0)
		r = acquit(suspects, tracked);
	else if (tried)
		end_trial(suspects);
	if (complete && r >= 0)
		r = clear(suspects, mailbox);
	if (r < 0)
		core_database_failed(core);
}

/* Nothing is held against it any more. */
static int forgive(struct suspects *suspects, const struct deed *deed)
{
	struct quarantine row = {
		.kind = QUARANTINE_DEED, .remote = !deed->to_local, .deed = deed->id};
	int r = release(suspects->core, &row);

	for (size_t i = suspects->count; i-- > 0 && r >= 0;)
		if (suspects->list[i].suspicion.suspect.deed == deed->id)
			r = suspects_drop(suspects, &suspects->list[i]);
	return r;
}

void suspects_note_replay(struct core *core, const struct deed *deed)
{
	if (forgive(core->suspects, deed) < 0)
		core_database_failed(core);
}

int suspects_retry_deeds(struct core *core)
{
	struct deed *deed;
	int r = 0;

	DL_FOREACH (core->journal->deeds, deed) {
		if (!deed->apart || r < 0)
			continue;
		deed->apart = false;
		r = forgive(core->suspects, deed);
	}
	return r;
}

void suspects_forget(struct core *core, const struct mailbox *mailbox)
{
	struct suspects *suspects = core->suspects;

	for (size_t i = suspects->count; i-- > 0;) {
		struct tracked *tracked = &suspects->list[i];

		if (tracked->suspicion.suspect.mailbox != mailbox->idx)
			continue;
		if (tracked->id == suspects->trial)
			suspects->trial = 0;
		drop(suspects, tracked);
	}
}
