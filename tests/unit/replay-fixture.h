/* SPDX-License-Identifier: MIT */
/* For the tests of replay/: deeds of mail clients, and what becomes of them. */
#ifndef INTERIMAP_TESTS_REPLAY_FIXTURE_H
#define INTERIMAP_TESTS_REPLAY_FIXTURE_H

#include "engine-fixture.h"

#include "sync/replay/replay.h"

#define STATUS_ITEMS " (MESSAGES UIDVALIDITY UIDNEXT HIGHESTMODSEQ)"
#define STATUS_OF(name, messages, uidvalidity, uidnext) \
	UNTAGGED("STATUS " name " (MESSAGES " #messages " UIDVALIDITY " #uidvalidity \
		 " UIDNEXT " #uidnext " HIGHESTMODSEQ 50)") \
	OK

static struct replay *replay;

static inline void on_over(struct core *core_, struct deed *deed, enum replay_end end)
{
	static const char *const ends[] = {
		[REPLAY_DONE] = "over",
		[REPLAY_REFUSED] = "refused",
		[REPLAY_LOST] = "lost",
		[REPLAY_BROKEN] = "broken",
	};

	note("%s", ends[end]);
	if (end == REPLAY_DONE)
		journal_forget(&journal, deed);
	replay = NULL;
	look_now();
}

/* A client of the local store has done it. */
static inline void act(
	enum action_kind kind, const char *from, const char *to, const struct copied_uids *copied)
{
	const struct client_action action = {.kind = kind, .mailbox = from, .target = to};

	journal.receiver.announce(&journal.receiver, 1, &action);
	journal.receiver.outcome(&journal.receiver, 1, &action, ACTION_DONE, copied);
}

/* The next deed, from beginning to end. */
static inline void replay_next_deed(const char *events)
{
	struct deed *deed = journal_next(&journal, true);

	assert_non_null(deed);
	replay = replay_new(&core, deed, on_over);
	RUN_UNTIL(replay == NULL);
	expect_events(events);
}

#endif
