/* SPDX-License-Identifier: MIT */
#include "sync/core/subtree.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "sync/base/xalloc.h"
#include "sync/core/core.h"

bool subtree_has(const struct mailbox_name *root, const char *name, size_t len)
{
	bool inbox = mailbox_name_equal(root->data, root->len, "INBOX", 5);

	return len >= root->len && memcmp(name, root->data, root->len) == 0 &&
	       (len == root->len || (name[root->len] == '\0' && !inbox));
}

bool subtree_renamed(const struct mailbox_name *from, const struct mailbox_name *to,
	const char *name, size_t len, struct buf *ret)
{
	if (!subtree_has(from, name, len))
		return false;
	buf_init(ret, to->len + len);
	(void)buf_append(ret, to->data, to->len);
	(void)buf_append(ret, name + from->len, len - from->len);
	return true;
}

bool subtree_is_known(const struct core *core, const struct mailbox_name *root)
{
	struct mailbox *mailbox, *next;

	HASH_ITER (hh, core->mailboxes, mailbox, next)
		if (subtree_has(root, mailbox->name, mailbox->len))
			return true;
	return false;
}

static int by_length(const void *one, const void *other)
{
	const struct mailbox *const *a = one, *const *b = other;

	return ((*a)->len < (*b)->len) - ((*a)->len > (*b)->len);
}

/* The longest names first: what is renamed to a place below itself does not meet its children. */
static struct mailbox **members(
	struct core *core, const struct mailbox_name *root, size_t *ret_count)
{
	struct mailbox **list = xcalloc(HASH_COUNT(core->mailboxes) + 1, sizeof(struct mailbox *));
	struct mailbox *mailbox, *next;
	size_t count = 0;

	HASH_ITER (hh, core->mailboxes, mailbox, next)
		if (subtree_has(root, mailbox->name, mailbox->len))
			list[count++] = mailbox;
	qsort(list, count, sizeof(struct mailbox *), by_length);
	*ret_count = count;
	return list;
}

int subtree_rename_rows(struct core *core, const struct mailbox_name *from,
	const struct mailbox_name *to, struct buf *ret_taken)
{
	size_t count;
	_cleanup_free_ struct mailbox **list = members(core, from, &count);

	for (size_t i = 0; i < count; i++) {
		struct buf name;
		int r;

		if (!subtree_renamed(from, to, list[i]->name, list[i]->len, &name))
			continue;
		r = mailboxes_rename(core->db, list[i]->idx, buf_data(&name), buf_len(&name));
		if (r == -EEXIST)
			*ret_taken = name;
		else
			buf_done(&name);
		if (r < 0)
			return r;
	}
	return (int)count;
}

void subtree_rename_known(
	struct core *core, const struct mailbox_name *from, const struct mailbox_name *to)
{
	size_t count;
	_cleanup_free_ struct mailbox **list = members(core, from, &count);

	for (size_t i = 0; i < count; i++) {
		struct mailbox *mailbox = list[i];
		struct buf name;

		if (!subtree_renamed(from, to, mailbox->name, mailbox->len, &name))
			continue;
		HASH_DEL(core->mailboxes, mailbox);
		mailbox_set_name(mailbox, buf_data(&name), buf_len(&name), core->local.delimiter);
		HASH_ADD_KEYPTR(hh, core->mailboxes, mailbox->name, mailbox->len, mailbox);
		buf_done(&name);
	}
}
