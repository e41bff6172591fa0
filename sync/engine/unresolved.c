/* SPDX-License-Identifier: MIT */
#include "sync/engine/unresolved.h"

#include <stdlib.h>
#include <string.h>

#include "sync/base/xalloc.h"
#include "sync/engine/advice.h"
#include "sync/engine/engine-private.h"

static bool has_other_uidvalidity(const struct mailbox_side *side)
{
	return side->base.uidvalidity != 0 && side->seen.uidvalidity != 0 &&
	       side->base.uidvalidity != side->seen.uidvalidity;
}

/* Of a side whose storage may not be there, nobody is advised to forget anything. */
static bool is_missing(const struct mailbox *mailbox)
{
	return mailbox->missing != NULL && mailbox->missing_said &&
	       !mailbox_name_equal(mailbox->name, mailbox->len, "INBOX", 5);
}

bool is_unresolved(const struct engine *engine, const struct mailbox *mailbox)
{
	return is_missing(mailbox) ||
	       (mailbox->failed && (has_other_uidvalidity(&mailbox->local) ||
					   has_other_uidvalidity(&mailbox->remote))) ||
	       (engine->journal.deeds_count > 0 &&
		       journal_hold(&engine->journal, mailbox) == HOLD_REFUSED);
}

char *missing_advice(const struct engine *engine, const struct mailbox *mailbox)
{
	const char *other = mailbox->missing->remote ? "local" : "remote";
	_cleanup_free_ char *restore =
		advice(engine, "--target=database --delete", mailbox->display, NULL);
	_cleanup_free_ char *give_up = advice(engine, "--delete", mailbox->display, NULL);

	return xasprintf("To get it back, run `%s`: the next run makes it again from the %s "
			 "server. Only if it is meant to be gone, run `%s`, which deletes it on "
			 "the %s server as well, with all messages in it",
		restore, other, give_up, other);
}

static int by_name(const void *one, const void *other)
{
	return strcmp(*(const char *const *)one, *(const char *const *)other);
}

/* *ret_count: all of them; *ret_named: those that the command names. */
static char *advise(const struct engine *engine, size_t *ret_count, size_t *ret_named)
{
	_cleanup_free_ const char **names =
		xcalloc(HASH_COUNT(engine->mailboxes) + 1, sizeof(*names));
	const struct mailbox *mailbox;
	size_t count = 0;

	for (mailbox = engine->mailboxes; mailbox != NULL; mailbox = mailbox->hh.next)
		if (is_unresolved(engine, mailbox))
			names[count++] = mailbox->display;
	*ret_count = count;
	if (count < 2)
		return NULL;
	qsort(names, count, sizeof(*names), by_name);
	return advice_for_all(engine, "--target=database --delete", names, count, ret_named);
}

char *unresolved_advice(const struct engine *engine)
{
	size_t count, named;

	return advise(engine, &count, &named);
}

void unresolved_say(struct engine *engine)
{
	size_t count, named = 0;
	_cleanup_free_ char *command = advise(engine, &count, &named);
	char *before = take(engine->unresolved_said);
	bool is_said = before != NULL && command != NULL && strcmp(before, command) == 0;

	free(before);
	if (command != NULL && (!is_said || engine->order != NULL))
		log_error(ENGINE_CONTEXT(engine),
			"%zu mailboxes are not the same on both sides, for the reasons above, and "
			"wait for a decision. To resolve %s at once, without losing a message, "
			"run `%s`: the next run makes what one side lacks from the other, and puts "
			"together what both have",
			count, named < count ? "most of them" : "all of them", command);
	engine->unresolved_said = take(command);
}
