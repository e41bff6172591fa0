/* SPDX-License-Identifier: MIT */
#include "sync/core/items.h"

#include <openssl/evp.h>
#include <stdlib.h>
#include <string.h>

#include "sync/base/buf.h"
#include "sync/base/xalloc.h"
#include "sync/imap/flags.h"
#include "sync/imap/response.h"

void identity_digest_whole(const char *header, size_t len, uint8_t ret_digest[16])
{
	uint8_t whole[EVP_MAX_MD_SIZE];

	if (EVP_Digest(header, len, whole, NULL, EVP_sha256(), NULL) != 1)
		abort();
	memcpy(ret_digest, whole, 16);
}

/* The value of the Message-ID field, without the white space by which servers fold and unfold it
 * differently. */
static void put_message_id(struct buf *value, const char *header, size_t len)
{
	static const char name[] = "message-id:";
	bool inside = false;

	for (size_t i = 0; i < len;) {
		const char *line = header + i;
		const char *end = memchr(line, '\n', len - i);
		size_t n = end != NULL ? (size_t)(end - line) + 1 : len - i;
		bool folded = n > 0 && (line[0] == ' ' || line[0] == '\t');
		size_t from = 0;

		if (inside && !folded)
			return;
		if (!folded && n >= sizeof(name) - 1 &&
			strncasecmp(line, name, sizeof(name) - 1) == 0) {
			inside = true;
			from = sizeof(name) - 1;
		}
		for (size_t j = from; inside && j < n; j++)
			if (strchr(" \t\r\n", line[j]) == NULL)
				(void)buf_putc(value, line[j]);
		i += n;
	}
}

/* Of the Message-ID field in a header; of nothing if there is none. */
static void digest(const char *header, size_t len, uint8_t ret_digest[16])
{
	struct buf value;

	buf_init(&value, len);
	put_message_id(&value, header, len);
	identity_digest_whole(buf_data(&value), buf_len(&value), ret_digest);
	buf_done(&value);
}

bool identity_is_named(const struct identity *identity)
{
	uint8_t nothing[sizeof(identity->digest)];

	identity_digest_whole("", 0, nothing);
	return memcmp(identity->digest, nothing, sizeof(nothing)) != 0;
}

static uint64_t apart(uint64_t one, uint64_t other)
{
	return one > other ? one - other : other - one;
}

bool identity_may_be_same(const struct identity *one, const struct identity *other)
{
	if (identity_is_named(one) && identity_is_named(other))
		return memcmp(one->digest, other->digest, sizeof(one->digest)) == 0;
	if (one->date != other->date)
		return one->size == other->size;
	return apart(one->size, other->size) <= one->size / 16;
}

static void take_date(struct item *item, const struct response *response)
{
	struct slice date = response->fetch.internaldate;

	if (date.len == 0 || date.len > INTERNALDATE_LEN)
		date = (struct slice){
			.data = INTERNALDATE_UNKNOWN, .len = strlen(INTERNALDATE_UNKNOWN)};
	memcpy(item->internaldate, date.data, date.len);
}

static void take_message_id(struct item *item, const struct response *response)
{
	struct buf value;
	size_t len;

	if (response->fetch.header.data == NULL)
		return;
	buf_init(&value, response->fetch.header.len);
	put_message_id(&value, response->fetch.header.data, response->fetch.header.len);
	len = buf_len(&value) < MESSAGE_ID_SHOWN ? buf_len(&value) : MESSAGE_ID_SHOWN;
	memcpy(item->message_id, buf_data(&value), len);
	buf_done(&value);
}

bool identity_from_fetch(const struct response *response, struct identity *ret)
{
	const unsigned needed = FETCH_UID | FETCH_SIZE | FETCH_INTERNALDATE | FETCH_HEADER;

	if (response->type != RESPONSE_FETCH || (response->fetch.items & needed) != needed)
		return false;
	ret->size = response->fetch.size;
	ret->date = response->fetch.date;
	digest(response->fetch.header.data != NULL ? response->fetch.header.data : "",
		response->fetch.header.len, ret->digest);
	return true;
}

enum item_result items_add(
	struct items *items, struct flag_pool *pool, const struct response *response)
{
	struct item item = {.uid = response->fetch.uid};

	if (!identity_from_fetch(response, &item.identity) ||
		!(response->fetch.items & FETCH_FLAGS))
		return ITEM_LACKS;
	take_date(&item, response);
	take_message_id(&item, response);
	if ((response->fetch.items & FETCH_EMAILID) && response->fetch.email_id.len <= EMAIL_ID_LEN)
		memcpy(item.email_id.id, response->fetch.email_id.data,
			response->fetch.email_id.len);
	item.flags = flags_intern_usable(
		pool, response->atoms, response->atoms_count, &item.flags_left_out);
	if (item.flags == NULL)
		return ITEM_TOO_MUCH;
	if (items->count == items->size) {
		items->size = items->size > 0 ? 2 * items->size : 16;
		items->list = xreallocarray(items->list, items->size, sizeof(*items->list));
	}
	items->list[items->count++] = item;
	return ITEM_TAKEN;
}

static int by_uid(const void *one, const void *other)
{
	const struct item *a = one, *b = other;

	return a->uid < b->uid ? -1 : a->uid > b->uid;
}

void items_sort(struct items *items)
{
	size_t kept = 0;

	if (items->count > 0)
		qsort(items->list, items->count, sizeof(*items->list), by_uid);
	for (size_t i = 0; i < items->count; i++)
		if (kept == 0 || items->list[kept - 1].uid != items->list[i].uid)
			items->list[kept++] = items->list[i];
	items->count = kept;
}

struct item *items_find(const struct items *items, uint32_t uid)
{
	const struct item key = {.uid = uid};

	if (items->count == 0)
		return NULL;
	return bsearch(&key, items->list, items->count, sizeof(key), by_uid);
}

void items_clear(struct items *items)
{
	items->count = 0;
}

void items_done(struct items *items)
{
	free(items->list);
	*items = (struct items){0};
}
