/* SPDX-License-Identifier: MIT */
#include "sync/engine/unresolved.h"

#include <stdlib.h>
#include <string.h>

#include "sync/base/xalloc.h"
#include "sync/core/advice.h"
#include "sync/engine/engine-private.h"

static bool has_other_uidvalidity(const struct mailbox_side *side)
{
	return side->base.uidvalidity != 0 && side->seen.uidvalidity != 0 &&
	       side->base.uidvalidity != side->seen.uidvalidity;
}

/* Of a side whose storage may not be there, nobody is advised to forget anything. */
static bool is_missing(const struct mailbox *mailbox)
{
	return mailbox->presence.missing != NULL && mailbox->presence.missing_said &&
	       !mailbox_name_equal(mailbox->name, mailbox->len, "INBOX", 5);
}

bool is_unresolved(const struct engine *engine, const struct mailbox *mailbox)
{
	return is_missing(mailbox) ||
	       (mailbox->result.failed && (has_other_uidvalidity(&mailbox->local) ||
						  has_other_uidvalidity(&mailbox->remote))) ||
	       (engine->journal.deeds_count > 0 &&
		       journal_hold(&engine->journal, mailbox) == HOLD_REFUSED);
}

static int by_name(const void *one, const void *other)
{
	return strcmp(*(const char *const *)one, *(const char *const *)other);
}

/* *ret_count: all of them; *ret_named: those that the command names. */
static char *advise(const struct engine *engine, size_t *ret_count, size_t *ret_named)
{
	_cleanup_free_ const char **names =
		xcalloc(HASH_COUNT(engine->core.mailboxes) + 1, sizeof(*names));
	const struct mailbox *mailbox;
	size_t count = 0;

	for (mailbox = engine->core.mailboxes; mailbox != NULL; mailbox = mailbox->hh.next)
		if (is_unresolved(engine, mailbox))
			names[count++] = mailbox->display;
	*ret_count = count;
	if (count < 2)
		return NULL;
	qsort(names, count, sizeof(*names), by_name);
	return advice_for_all(&engine->core, "--target=database --delete", names, count, ret_named);
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
	if (command != NULL && (!is_said || engine->orders.current != NULL))
		log_error(CORE_CONTEXT(&engine->core),
			"%zu mailboxes are not the same on both sides, for the reasons above, and "
			"wait for a decision. To resolve %s at once, without losing a message, "
			"run `%s`: the next run makes what one side lacks from the other, and puts "
			"together what both have",
			count, named < count ? "most of them" : "all of them", command);
	engine->unresolved_said = take(command);
}
