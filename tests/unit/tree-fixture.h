/* SPDX-License-Identifier: MIT */
/* For the tests of tree/: what both servers list, and what the database and the queue hold then. */
#ifndef INTERIMAP_TESTS_TREE_FIXTURE_H
#define INTERIMAP_TESTS_TREE_FIXTURE_H

#include "engine-fixture.h"

#define LIST_DELIMITER "LIST \"\" \"\""
#define LIST_PATTERNS(patterns) \
	"LIST \"\" (" patterns ") RETURN (SUBSCRIBED STATUS (UIDVALIDITY UIDNEXT HIGHESTMODSEQ))"
#define LISTED(name, attributes) \
	UNTAGGED("LIST (" attributes ") \"/\" " name) \
	UNTAGGED("STATUS " name " (UIDVALIDITY 7 UIDNEXT 50 HIGHESTMODSEQ 50)")
#define BARELY_LISTED(name, attributes) UNTAGGED("LIST (" attributes ") \"/\" " name)

/* Each side answers with these lines; `names`: of those that are asked for by name, or NULL. */
static inline void look_at(const char *names, const char *local, const char *remote)
{
	_cleanup_free_ char *command = xasprintf(LIST_PATTERNS("%s"), names != NULL ? names : "*");
	_cleanup_free_ char *local_says = xasprintf("%s" OK, local);
	_cleanup_free_ char *remote_says = xasprintf("%s" OK, remote);
	bool flat = core.remote.delimiter == '\0';

	will(LOCAL, LIST_DELIMITER, UNTAGGED("LIST (\\Noselect) \"/\" \"\"") OK);
	will(REMOTE, LIST_DELIMITER,
		flat			       ? UNTAGGED("LIST (\\Noselect) NIL \"\"") OK
		: core.remote.delimiter == '.' ? UNTAGGED("LIST (\\Noselect) \".\" \"\"") OK
					       : UNTAGGED("LIST (\\Noselect) \"/\" \"\"") OK);
	will(LOCAL, command, local_says);
	will(REMOTE, command, remote_says);
	tree_list(&tree, &core.local);
	tree_list(&tree, &core.remote);
	RUN_UNTIL(barrier.waiting == 0);
	if (tree_list_on(&tree))
		RUN_UNTIL(barrier.waiting == 0);
}

/* Decides, and does what follows; false: a list is not believed. */
static inline bool reconcile(void)
{
	enum tree_begun begun;

	if (tree_doubt(&tree))
		RUN_UNTIL(barrier.waiting == 0);
	assert_true(tree_prepare(&tree));
	begun = tree_begin(&tree);
	if (begun == TREE_ASKS) {
		RUN_UNTIL(barrier.waiting == 0);
		begun = tree_begin(&tree);
	}
	if (begun != TREE_BEGUN)
		return false;
	RUN_UNTIL(barrier.waiting == 0);
	assert_true(tree_end(&tree));
	return true;
}

/* "a+ b/c-": the database's, subscribed or not. */
static inline void assert_mailboxes(const char *expected)
{
	_cleanup_free_ char *text = NULL;
	struct mailbox_row *rows;
	struct buf out;
	size_t count;

	assert_int_equal(mailboxes_load(core.db, &rows, &count), 0);
	buf_init(&out, 1 << 20);
	for (size_t i = 0; i < count; i++) {
		_cleanup_free_ char *name = mailbox_for_person(rows[i].name, rows[i].len, '/');

		(void)buf_printf(
			&out, "%s%s%c", i > 0 ? " " : "", name, rows[i].subscribed ? '+' : '-');
	}
	mailbox_rows_free(rows, count);
	text = buf_steal(&out);
	assert_string_equal(text, expected);
}

/* "a b": in the order in which they are run. */
static inline void assert_queue(const char *expected)
{
	_cleanup_free_ char *text = NULL;
	const struct mailbox *mailbox;
	struct buf out;

	buf_init(&out, 1 << 20);
	DL_FOREACH (core.queue, mailbox)
		(void)buf_printf(&out, "%s%s", mailbox != core.queue ? " " : "", mailbox->display);
	text = buf_steal(&out);
	assert_string_equal(text, expected);
}

#endif
