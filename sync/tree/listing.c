/* SPDX-License-Identifier: MIT */
#define PCRE2_CODE_UNIT_WIDTH 8
#include "sync/tree/listing.h"

#include <pcre2.h>
#include <stdlib.h>
#include <string.h>

#include "sync/base/limits.h"
#include "sync/base/xalloc.h"
#include "sync/imap/mailbox.h"

static void drop(struct listing *listing, struct listed *listed)
{
	HASH_DEL(listing->entries, listed); /* NOLINT(clang-analyzer-unix.Malloc) */
	free(listed->name);
	free(listed->mailbox_id);
	free(listed);
}

void listing_clear(struct listing *listing)
{
	struct listed *listed, *next;

	HASH_ITER (hh, listing->entries, listed, next)
		drop(listing, listed);
	*listing = (struct listing){0};
}

struct listed *listing_find(struct listing *listing, const char *name, size_t len)
{
	struct listed *listed;

	HASH_FIND(hh, listing->entries, name, len, listed);
	return listed;
}

static bool is_unusable(struct slice wire)
{
	for (size_t i = 0; i < wire.len; i++)
		if (wire.data[i] == '\0' || wire.data[i] == '\r' || wire.data[i] == '\n')
			return true;
	return wire.len > LIMIT_MAILBOX_NAME;
}

/* Names of one list that delimit their levels in two ways cannot be told on the other side. */
static bool is_delimited_otherwise(const struct response *response, char delimiter)
{
	struct slice name = response->list.name;
	char other = response->list.delimiter;

	if (other == delimiter || name.len == 0)
		return false;
	return (other != '\0' && memchr(name.data, other, name.len) != NULL) ||
	       (delimiter != '\0' && memchr(name.data, delimiter, name.len) != NULL);
}

/*
 * The same name again, perhaps told by NOTIFY between the lines.  That it is gone may be older than
 * the line that has it, or newer: the mailbox is asked for once more (doubt.c).  So may be what it
 * says of the subscription, which another list tells.
 */
static void note_again(struct listing *listing, struct listed *listed, unsigned attributes)
{
	const unsigned none = LIST_NOSELECT | LIST_NONEXISTENT | LIST_NOACCESS;

	if (((listed->attributes ^ attributes) & LIST_SUBSCRIBED) != 0)
		listing->ambiguous = true;
	if ((attributes & LIST_NONEXISTENT) && listed_is_selectable(listed)) {
		listed->status = (struct mailbox_state){0};
		return;
	}
	if ((attributes & none) == 0)
		listed->attributes &= ~none;
	listed->attributes |= attributes;
}

struct listed *listing_add(
	struct listing *listing, const char *name, size_t len, unsigned attributes)
{
	struct listed *listed;

	if (HASH_COUNT(listing->entries) >= LIMIT_MAILBOXES) {
		listing->overflow = true;
		return NULL;
	}
	listed = xcalloc(1, sizeof(*listed));
	listed->name = xmemdup0(name, len);
	listed->len = len;
	listed->attributes = attributes;
	HASH_ADD_KEYPTR(hh, listing->entries, listed->name, listed->len, listed);
	return listed;
}

static void take_list(struct listing *listing, const struct response *response, char delimiter,
	const char *reference)
{
	struct listed *listed;
	struct mailbox_name name;

	if (is_delimited_otherwise(response, delimiter)) {
		listing->unusable++;
		return;
	}
	if (!mailbox_from_wire(response->list.name, response->list.delimiter, reference, &name)) {
		listing->unusable += is_unusable(response->list.name);
		return;
	}
	listed = listing_find(listing, name.data, name.len);
	if (listed != NULL) {
		note_again(listing, listed, response->list.attributes);
		free(name.data);
		return;
	}
	(void)listing_add(listing, name.data, name.len, response->list.attributes);
	free(name.data);
}

void listed_take_status(struct listed *listed, const struct response_status *status)
{
	const unsigned needed = STATUS_UIDVALIDITY | STATUS_UIDNEXT | STATUS_HIGHESTMODSEQ;

	if ((status->items & needed) != needed)
		return;
	listed->status = (struct mailbox_state){
		.uidvalidity = status->uidvalidity,
		.uidnext = status->uidnext,
		.highestmodseq = status->highestmodseq,
	};
	if (status->items & STATUS_APPENDLIMIT)
		listed->append_limit = status->append_limit;
}

static void take_status(struct listing *listing, const struct response_status *status,
	char delimiter, const char *reference)
{
	struct mailbox_name name;
	struct listed *listed;

	if (!mailbox_from_wire(status->name, delimiter, reference, &name))
		return;
	listed = listing_find(listing, name.data, name.len);
	free(name.data);
	if (listed != NULL)
		listed_take_status(listed, status);
}

void listing_take(struct listing *listing, const struct response *response, char delimiter,
	const char *reference)
{
	if (response->type == RESPONSE_LIST)
		take_list(listing, response, delimiter, reference);
	else if (response->type == RESPONSE_STATUS)
		take_status(listing, &response->status, delimiter, reference);
}

static pcre2_code *compile(const char *regex)
{
	int error;
	PCRE2_SIZE offset;

	return pcre2_compile((PCRE2_SPTR)regex, PCRE2_ZERO_TERMINATED, 0, &error, &offset, NULL);
}

static bool matches(pcre2_code *code, pcre2_match_data *match, const char *name, size_t len)
{
	return pcre2_match(code, (PCRE2_SPTR)name, len, 0, 0, match, NULL) >= 0;
}

bool listing_ignore(struct listing *listing, const char *regex)
{
	pcre2_code *code = compile(regex);
	pcre2_match_data *match;
	struct listed *listed, *next;

	if (code == NULL)
		return false;
	match = pcre2_match_data_create_from_pattern(code, NULL);
	HASH_ITER (hh, listing->entries, listed, next)
		if (matches(code, match, listed->name, listed->len))
			drop(listing, listed);
	pcre2_match_data_free(match);
	pcre2_code_free(code);
	return true;
}

bool listing_is_ignored(const char *regex, const char *name, size_t len)
{
	pcre2_code *code = compile(regex);
	pcre2_match_data *match;
	bool ignored;

	if (code == NULL)
		return false;
	match = pcre2_match_data_create_from_pattern(code, NULL);
	ignored = matches(code, match, name, len);
	pcre2_match_data_free(match);
	pcre2_code_free(code);
	return ignored;
}

void listing_drop_below(struct listing *listing, const char *prefix, size_t len)
{
	struct listed *listed, *next;

	HASH_ITER (hh, listing->entries, listed, next)
		if (listed->len >= len && memcmp(listed->name, prefix, len) == 0)
			drop(listing, listed);
}
