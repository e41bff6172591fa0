/* SPDX-License-Identifier: MIT */
/* A response as one line of text, to compare it with what was expected. */
#ifndef INTERIMAP_TESTS_DESCRIBE_RESPONSE_H
#define INTERIMAP_TESTS_DESCRIBE_RESPONSE_H

#include <inttypes.h>
#include <stdbool.h>
#include <stdint.h>

#include "sync/base/buf.h"
#include "sync/base/xalloc.h"
#include "sync/imap/response.h"

static const char *const describe_codes[] = {
	[CODE_NONE] = "",
	[CODE_OTHER] = "OTHER",
	[CODE_ALERT] = "ALERT",
	[CODE_ALREADYEXISTS] = "ALREADYEXISTS",
	[CODE_APPENDLIMIT] = "APPENDLIMIT",
	[CODE_APPENDUID] = "APPENDUID",
	[CODE_AUTHENTICATIONFAILED] = "AUTHENTICATIONFAILED",
	[CODE_AUTHORIZATIONFAILED] = "AUTHORIZATIONFAILED",
	[CODE_BADEVENT] = "BADEVENT",
	[CODE_CANNOT] = "CANNOT",
	[CODE_CAPABILITY] = "CAPABILITY",
	[CODE_CLOSED] = "CLOSED",
	[CODE_COMPRESSIONACTIVE] = "COMPRESSIONACTIVE",
	[CODE_CONTACTADMIN] = "CONTACTADMIN",
	[CODE_COPYUID] = "COPYUID",
	[CODE_EXPIRED] = "EXPIRED",
	[CODE_HIGHESTMODSEQ] = "HIGHESTMODSEQ",
	[CODE_INUSE] = "INUSE",
	[CODE_LIMIT] = "LIMIT",
	[CODE_MAILBOXID] = "MAILBOXID",
	[CODE_MODIFIED] = "MODIFIED",
	[CODE_NOMODSEQ] = "NOMODSEQ",
	[CODE_NONEXISTENT] = "NONEXISTENT",
	[CODE_NOPERM] = "NOPERM",
	[CODE_NOTIFICATIONOVERFLOW] = "NOTIFICATIONOVERFLOW",
	[CODE_OVERQUOTA] = "OVERQUOTA",
	[CODE_PERMANENTFLAGS] = "PERMANENTFLAGS",
	[CODE_PRIVACYREQUIRED] = "PRIVACYREQUIRED",
	[CODE_READ_ONLY] = "READ-ONLY",
	[CODE_READ_WRITE] = "READ-WRITE",
	[CODE_SERVERBUG] = "SERVERBUG",
	[CODE_TOOBIG] = "TOOBIG",
	[CODE_TRYCREATE] = "TRYCREATE",
	[CODE_UIDNEXT] = "UIDNEXT",
	[CODE_UIDNOTSTICKY] = "UIDNOTSTICKY",
	[CODE_UIDVALIDITY] = "UIDVALIDITY",
	[CODE_UNAVAILABLE] = "UNAVAILABLE",
	[CODE_UNSEEN] = "UNSEEN",
};

static inline void describe_slice(struct buf *out, const char *label, struct slice slice)
{
	if (slice.data == NULL)
		return;
	buf_printf(out, " %s=<", label);
	for (size_t i = 0; i < slice.len; i++)
		buf_putc(out, slice.data[i] != '\0' ? slice.data[i] : '@');
	buf_putc(out, '>');
}

static inline void describe_number(struct buf *out, const char *label, bool present, uint64_t n)
{
	if (present)
		buf_printf(out, " %s=%" PRIu64, label, n);
}

static inline void describe_list(struct buf *out, const struct response_list *list)
{
	static const char *const attributes[] = {"Noselect", "NonExistent", "Noinferiors",
		"Subscribed", "Remote", "HasChildren", "HasNoChildren", "Trash", "Junk", "All",
		"Archive", "Drafts", "Flagged", "Sent", "NoAccess"};

	for (size_t i = 0; i < ARRAY_LEN(attributes); i++)
		if ((list->attributes & (1U << i)) != 0)
			buf_printf(out, " \\%s", attributes[i]);
	if (list->delimiter != '\0')
		buf_printf(out, " delimiter=%c", list->delimiter);
	describe_slice(out, "name", list->name);
	describe_slice(out, "old", list->old_name);
}

static inline void describe_status(struct buf *out, const struct response_status *s)
{
	describe_slice(out, "name", s->name);
	describe_number(out, "messages", s->items & STATUS_MESSAGES, s->messages);
	describe_number(out, "uidnext", s->items & STATUS_UIDNEXT, s->uidnext);
	describe_number(out, "uidvalidity", s->items & STATUS_UIDVALIDITY, s->uidvalidity);
	describe_number(out, "modseq", s->items & STATUS_HIGHESTMODSEQ, s->highestmodseq);
	describe_number(out, "appendlimit", s->items & STATUS_APPENDLIMIT, s->append_limit);
	describe_number(out, "unseen", s->items & STATUS_UNSEEN, s->unseen);
	describe_number(out, "recent", s->items & STATUS_RECENT, s->recent);
	if (s->items & STATUS_MAILBOXID)
		describe_slice(out, "mailboxid", s->mailbox_id);
}

static inline void describe_fetch(struct buf *out, const struct response_fetch *fetch)
{
	buf_printf(out, " %u", fetch->number);
	describe_number(out, "uid", fetch->items & FETCH_UID, fetch->uid);
	describe_number(out, "modseq", fetch->items & FETCH_MODSEQ, fetch->modseq);
	describe_number(out, "size", fetch->items & FETCH_SIZE, fetch->size);
	if (fetch->items & FETCH_INTERNALDATE)
		buf_printf(out, " date=%lld", (long long)fetch->date);
	if (fetch->items & FETCH_HEADER)
		describe_slice(out, "header", fetch->header);
	if (fetch->items & FETCH_EMAILID)
		describe_slice(out, "emailid", fetch->email_id);
	if (fetch->items & FETCH_FLAGS)
		buf_puts(out, " flags");
	if (fetch->items & FETCH_BODY)
		buf_puts(out, " body");
	if (fetch->items & FETCH_BODY_EMPTY)
		buf_puts(out, " empty");
}

/* What several types share, in so far as it is there. */
static inline void describe_common(struct buf *out, const struct response *r)
{
	size_t index = 0;

	describe_number(out, "number", r->number > 0, r->number);
	describe_number(out, "uidvalidity", r->uidvalidity > 0, r->uidvalidity);
	describe_number(out, "modseq", r->modseq > 0, r->modseq);
	if (!seqset_is_empty(&r->set)) {
		buf_puts(out, " set=");
		seqset_format(&r->set, &index, SIZE_MAX, out);
	}
	describe_slice(out, "source", r->source_uids);
	describe_slice(out, "uids", r->uids);
	describe_slice(out, "tag", r->esearch_tag);
	describe_slice(out, "id", r->object_id);
	buf_puts(out, r->earlier ? " earlier" : "");
	buf_puts(out, r->uid ? " UID" : "");
	for (size_t i = 0; i < r->atoms_count; i++)
		describe_slice(out, "", r->atoms[i]);
}

/* Owned by the caller. */
static inline char *describe_response(const struct response *r)
{
	static const char *const types[] = {"UNKNOWN", "+", "", "CAPABILITY", "ENABLED", "LIST",
		"STATUS", "SEARCH", "ESEARCH", "FLAGS", "EXISTS", "RECENT", "EXPUNGE", "VANISHED",
		"FETCH"};
	static const char *const conditions[] = {"OK", "NO", "BAD", "PREAUTH", "BYE"};
	struct buf out;

	buf_init(&out, 256 << 20);
	for (size_t i = 0; i < r->tag.len; i++)
		buf_putc(&out, r->tag.data[i]);
	buf_puts(&out, r->tag.len > 0 ? " " : "");
	buf_puts(&out, types[r->type]);
	if (r->type == RESPONSE_CONDITION)
		buf_printf(&out, "%s [%s]", conditions[r->condition], describe_codes[r->code]);
	if (r->type == RESPONSE_LIST)
		describe_list(&out, &r->list);
	if (r->type == RESPONSE_STATUS)
		describe_status(&out, &r->status);
	if (r->type == RESPONSE_FETCH)
		describe_fetch(&out, &r->fetch);
	describe_common(&out, r);
	if (r->text.len > 0)
		describe_slice(&out, "text", r->text);
	return buf_steal(&out);
}

#endif
