/* SPDX-License-Identifier: MIT */
#include "sync/core/room.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdlib.h>
#include <sys/statvfs.h>

#include "sync/base/limits.h"
#include "sync/base/xalloc.h"
#include "sync/core/core.h"
#include "sync/imap/command.h"

enum { PAUSE_FIRST = 2, PAUSE_LONGEST = 60 };

static bool is_full(const char *folder, uint64_t needed)
{
	struct statvfs at;

	if (statvfs(folder, &at) < 0)
		return false;
	/* Some file systems count no files, and say that they have none. */
	return (at.f_files > 0 && at.f_favail < LIMIT_STORE_FILES) ||
	       (uint64_t)at.f_bavail * at.f_frsize < LIMIT_STORE_ROOM + needed;
}

static const char *find_full(const struct room *room, uint64_t needed)
{
	for (size_t i = 0; room->folders != NULL && room->folders[i] != NULL; i++)
		if (is_full(room->folders[i], needed))
			return room->folders[i];
	return NULL;
}

static char *sentence(const char *folder)
{
	return xasprintf("there is no room left in the folder %s: make some on its disk", folder);
}

/* --- Until there is room again --- */

static void wait(struct room *room)
{
	ev_timer_stop(room->core->loop->ev, &room->look);
	ev_timer_set(&room->look, room->pause, 0.);
	ev_timer_start(room->core->loop->ev, &room->look);
}

static void note(struct room *room, const char *folder, uint64_t needed)
{
	room->full = folder;
	room->needed = needed;
	if (!room->core->options->stay || ev_is_active(&room->look))
		return;
	room->pause = PAUSE_FIRST;
	wait(room);
}

/* What was refused for that is tried at once, instead of after the pauses for refusals. */
static void go_on(struct core *core)
{
	struct mailbox *mailbox, *next;

	HASH_ITER (hh, core->mailboxes, mailbox, next)
		mailbox->local.refusals = 0;
	core->owner->has_room(core);
}

static void on_look(struct ev_loop *ev, ev_timer *timer, int revents)
{
	struct room *room = container_of(timer, struct room, look);
	const char *full = find_full(room, room->needed);

	if (full != NULL) {
		room->full = full;
		room->pause = room->pause * 2 < PAUSE_LONGEST ? room->pause * 2 : PAUSE_LONGEST;
		wait(room);
		return;
	}
	log_notice(SIDE_CONTEXT(&room->core->local, NULL), "there is room again in the folder %s",
		take(room->full));
	go_on(room->core);
}

void room_init(struct room *room, struct core *core, const char *const *folders)
{
	*room = (struct room){.core = core, .folders = folders};
	ev_init(&room->look, on_look);
}

void room_stop(struct room *room)
{
	ev_timer_stop(room->core->loop->ev, &room->look);
}

/* --- What the store says --- */

/* Dovecot's codes for a full disk; a refusal with another one, or none, has another reason. */
static bool may_be_for_room(const struct command *command)
{
	return command->outcome == OUTCOME_NO &&
	       (command->code == CODE_SERVERBUG || command->code == CODE_OVERQUOTA ||
		       command->code == CODE_UNAVAILABLE);
}

void room_explain(struct room *room, struct command *command)
{
	uint64_t needed;
	const char *folder;

	if (room->folders == NULL || !may_be_for_room(command))
		return;
	needed = command_spooled(command);
	folder = find_full(room, needed);
	if (folder == NULL)
		return;
	free(command->text);
	command->text = sentence(folder);
	command->code = CODE_OVERQUOTA;
	note(room, folder, needed);
}

char *room_sentence(struct room *room)
{
	const char *folder = find_full(room, 0);

	return folder != NULL ? sentence(folder) : NULL;
}
