/* SPDX-License-Identifier: MIT */
/*
 * The three lists are sorted together by name and read once.  NUL, the delimiter, is the smallest
 * byte, so a parent comes right before its children; INBOX goes first, since that is where new mail
 * is waited for.
 */
#include "sync/plan/mailboxes.h"

#include <stdlib.h>
#include <string.h>

#include "sync/base/xalloc.h"

enum origin { ORIGIN_LOCAL, ORIGIN_REMOTE, ORIGIN_KNOWN };

struct entry {
	const char *name;
	size_t len;
	enum origin origin;
	bool selectable, subscribed;
};

/* All that is known of one name. */
struct mailbox {
	const char *name;
	size_t len;
	bool local, remote, known; /* it is there */
	bool local_subscribed, remote_subscribed, known_subscribed;
};

struct list {
	struct plan_mailbox *actions;
	size_t count;
};

static bool is_inbox(const struct entry *entry)
{
	return entry->len == 5 && memcmp(entry->name, "INBOX", 5) == 0;
}

static int compare_names(const struct entry *one, const struct entry *other)
{
	size_t shorter = one->len < other->len ? one->len : other->len;
	int order = shorter ? memcmp(one->name, other->name, shorter) : 0;
	return order ? order : (one->len > other->len) - (one->len < other->len);
}

static int compare_entries(const void *one, const void *other)
{
	int order = is_inbox(other) - is_inbox(one);
	return order ? order : compare_names(one, other);
}

static size_t add_listed(struct entry *entries, size_t at, enum origin origin,
	const struct plan_listed *listed, size_t count)
{
	for (size_t i = 0; i < count; i++)
		entries[at++] = (struct entry){.name = listed[i].name,
			.len = listed[i].len,
			.origin = origin,
			.selectable = listed[i].selectable,
			.subscribed = listed[i].subscribed};
	return at;
}

/* Puts the entries of one name together; a server may have listed it several times. */
static struct mailbox combine(const struct entry *entries, size_t count)
{
	struct mailbox mailbox = {.name = entries->name, .len = entries->len};
	for (size_t i = 0; i < count; i++) {
		const struct entry *entry = &entries[i];
		switch (entry->origin) {
		case ORIGIN_LOCAL:
			mailbox.local |= entry->selectable;
			mailbox.local_subscribed |= entry->subscribed;
			break;
		case ORIGIN_REMOTE:
			mailbox.remote |= entry->selectable;
			mailbox.remote_subscribed |= entry->subscribed;
			break;
		case ORIGIN_KNOWN:
			mailbox.known = true;
			mailbox.known_subscribed |= entry->subscribed;
			break;
		}
	}
	return mailbox;
}

static void add(struct list *list, enum plan_mailbox_action action, const struct mailbox *mailbox,
	bool subscribed)
{
	list->actions = xgrow(list->actions, list->count, sizeof(*list->actions));
	list->actions[list->count++] = (struct plan_mailbox){
		.action = action,
		.name = mailbox->name,
		.len = mailbox->len,
		.subscribed = subscribed,
	};
}

static void subscribe(struct list *list, const struct mailbox *mailbox, bool subscribed)
{
	if (mailbox->local_subscribed != subscribed)
		add(list, subscribed ? MAILBOX_SUBSCRIBE_LOCAL : MAILBOX_UNSUBSCRIBE_LOCAL, mailbox,
			subscribed);
	if (mailbox->remote_subscribed != subscribed)
		add(list, subscribed ? MAILBOX_SUBSCRIBE_REMOTE : MAILBOX_UNSUBSCRIBE_REMOTE,
			mailbox, subscribed);
}

static void decide_unknown(struct list *list, const struct mailbox *mailbox)
{
	if (!mailbox->local && !mailbox->remote)
		return;
	/*
	 * A subscription may outlive its mailbox (RFC 3501 section 6.3.6), and then holds for one
	 * that is created under the same name: it counts even on the side where the mailbox is not.
	 */
	bool subscribed = mailbox->local_subscribed || mailbox->remote_subscribed;
	bool agreed = mailbox->local_subscribed == mailbox->remote_subscribed;
	if (!mailbox->local)
		add(list, MAILBOX_CREATE_LOCAL, mailbox, subscribed);
	if (!mailbox->remote)
		add(list, MAILBOX_CREATE_REMOTE, mailbox, subscribed);
	/*
	 * Were it remembered as subscribed before both sides are, an interruption or a refused
	 * SUBSCRIBE would look like an unsubscription next time.
	 */
	add(list, MAILBOX_REMEMBER, mailbox, subscribed && agreed);
	subscribe(list, mailbox, subscribed);
	if (!agreed)
		add(list, MAILBOX_SET_SUBSCRIBED, mailbox, subscribed);
	add(list, MAILBOX_SYNC, mailbox, subscribed);
}

static void decide_known(struct list *list, const struct mailbox *mailbox)
{
	if (!mailbox->local && !mailbox->remote)
		return;
	if (!mailbox->local || !mailbox->remote) {
		add(list, mailbox->local ? MAILBOX_MISSING_REMOTE : MAILBOX_MISSING_LOCAL, mailbox,
			mailbox->known_subscribed);
		return;
	}
	bool changed = mailbox->local_subscribed != mailbox->known_subscribed ||
		       mailbox->remote_subscribed != mailbox->known_subscribed;
	bool subscribed = mailbox->known_subscribed ^ changed;
	subscribe(list, mailbox, subscribed);
	if (changed)
		add(list, MAILBOX_SET_SUBSCRIBED, mailbox, subscribed);
	add(list, MAILBOX_SYNC, mailbox, subscribed);
}

void plan_mailboxes(const struct plan_listed *local, size_t local_count,
	const struct plan_listed *remote, size_t remote_count, const struct plan_known *known,
	size_t known_count, struct plan_mailbox **ret, size_t *ret_count)
{
	size_t count = local_count + remote_count + known_count;
	struct entry *entries = xreallocarray(NULL, count ? count : 1, sizeof(*entries));
	struct list list = {0};

	size_t at = add_listed(entries, 0, ORIGIN_LOCAL, local, local_count);
	at = add_listed(entries, at, ORIGIN_REMOTE, remote, remote_count);
	for (size_t i = 0; i < known_count; i++)
		entries[at++] = (struct entry){.name = known[i].name,
			.len = known[i].len,
			.origin = ORIGIN_KNOWN,
			.subscribed = known[i].subscribed};
	qsort(entries, count, sizeof(*entries), compare_entries);

	for (size_t first = 0, next; first < count; first = next) {
		for (next = first + 1; next < count; next++)
			if (compare_names(&entries[first], &entries[next]) != 0)
				break;
		struct mailbox mailbox = combine(&entries[first], next - first);
		if (mailbox.known)
			decide_known(&list, &mailbox);
		else
			decide_unknown(&list, &mailbox);
	}
	free(entries);
	*ret = list.actions;
	*ret_count = list.count;
}
