/* SPDX-License-Identifier: MIT */
/* What must be true of every response that the parser accepts. */
#ifndef INTERIMAP_TESTS_CHECK_RESPONSE_H
#define INTERIMAP_TESTS_CHECK_RESPONSE_H

#include "sync/base/limits.h"
#include "sync/imap/response.h"
#include "tests/fuzz/fuzz.h"

static inline void check_within(struct slice slice, const char *text, size_t len)
{
	if (slice.data == NULL)
		CHECK(slice.len == 0);
	else
		CHECK(slice.data >= text && slice.data + slice.len <= text + len);
}

static inline void check_set(const struct seqset *set)
{
	for (size_t i = 0; i < set->count; i++) {
		CHECK(set->ranges[i].first > 0 && set->ranges[i].first <= set->ranges[i].last);
		CHECK(i == 0 || set->ranges[i].first - set->ranges[i - 1].last > 1);
		CHECK(i == 0 || set->ranges[i].first > set->ranges[i - 1].last);
	}
}

static inline void check_slices(const struct response *r, const char *text, size_t len)
{
	const struct slice slices[] = {r->tag, r->text, r->uids, r->source_uids, r->esearch_tag,
		r->object_id, r->list.name, r->list.old_name, r->status.name, r->fetch.internaldate,
		r->fetch.header, r->fetch.email_id};

	for (size_t i = 0; i < sizeof(slices) / sizeof(slices[0]); i++)
		check_within(slices[i], text, len);
	for (size_t i = 0; i < r->atoms_count; i++) {
		check_within(r->atoms[i], text, len);
		CHECK(r->atoms[i].len > 0);
	}
}

static inline void check_uids(struct slice text)
{
	uint32_t *uids = NULL;
	size_t count = 0;

	if (text.data == NULL || !seqset_expand(text, 1000, &uids, &count))
		return;
	for (size_t i = 0; i < count; i++)
		CHECK(uids[i] > 0);
	free(uids);
}

static inline void check_response(const struct response *r, const char *text, size_t len)
{
	check_slices(r, text, len);
	check_set(&r->set);
	check_uids(r->uids);
	check_uids(r->source_uids);
	CHECK(r->atoms_count <= LIMIT_ATOMS);
	if (r->type == RESPONSE_FETCH)
		CHECK(r->fetch.number > 0);
	if (r->type == RESPONSE_EXPUNGE)
		CHECK(r->number > 0);
	if (r->type == RESPONSE_VANISHED)
		CHECK(r->set.count > 0);
	if ((r->fetch.items & FETCH_UID) != 0)
		CHECK(r->fetch.uid > 0);
	if (r->type == RESPONSE_LIST)
		CHECK(r->list.name.data != NULL);
	if (r->type == RESPONSE_STATUS)
		CHECK(r->status.name.data != NULL);
	if (r->code == CODE_APPENDUID || r->code == CODE_COPYUID)
		CHECK(r->uidvalidity > 0 && r->uids.len > 0);
	if (r->tag.len > 0)
		CHECK(r->type == RESPONSE_CONDITION);
}

#endif
