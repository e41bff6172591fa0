/* SPDX-License-Identifier: MIT */
#include "sync/core/core.h"

#include <stdarg.h>
#include <stdlib.h>
#include <time.h>
#include <utlist.h>

#include "sync/base/loop.h"
#include "sync/base/xalloc.h"
#include "sync/config/account.h"
#include "sync/core/quarantine.h"
#include "sync/imap/flags.h"

void core_init(struct core *core, struct loop *loop, struct worker *worker, struct task *task,
	const struct core_options *options, const struct core_owner *owner)
{
	const struct account *account = options->account;

	*core = (struct core){
		.owner = owner,
		.options = options,
		.loop = loop,
		.worker = worker,
		.task = task,
		.name = account->name,
		.database_name = account->database_name,
		.db = options->db,
		.flags = flag_pool_new(),
		.brake = account->max_deletions,
		.adopt = account->adopt,
	};
	side_init(
		&core->local, core, false, options->local, &account->local, options->local_folders);
	side_init(&core->remote, core, true, options->remote, &account->remote, NULL);
	quarantine_init(core);
}

void core_done(struct core *core)
{
	struct mailbox *mailbox, *next;

	quarantine_stop(core);
	room_stop(&core->local.room);
	room_stop(&core->remote.room);
	HASH_ITER (hh, core->mailboxes, mailbox, next) {
		HASH_DEL(core->mailboxes, mailbox);
		mailbox_free(mailbox);
	}
	flag_pool_free(core->flags);
}

struct mailbox *core_find_mailbox(struct core *core, const char *name, size_t len)
{
	struct mailbox *mailbox;

	HASH_FIND(hh, core->mailboxes, name, len, mailbox);
	return mailbox;
}

int core_add_mailbox(struct core *core, const char *name, size_t len, bool subscribed)
{
	struct mailbox_row row = {.name = (char *)name, .len = len, .subscribed = subscribed};
	struct mailbox *mailbox;
	int r = mailboxes_insert(core->db, name, len, subscribed, &row.idx);

	if (r < 0)
		return r;
	mailbox = mailbox_new(&row, core->local.delimiter);
	mailbox->subscribed = subscribed;
	HASH_ADD_KEYPTR(hh, core->mailboxes, mailbox->name, mailbox->len, mailbox);
	return 0;
}

void core_forget_mailbox(struct core *core, struct mailbox *mailbox)
{
	if (mailbox->runs.turn == TURN_QUEUED)
		DL_DELETE(core->queue, mailbox);
	HASH_DEL(core->mailboxes, mailbox);
	mailbox_free(mailbox);
}

void core_queue_mailbox(struct core *core, struct mailbox *mailbox)
{
	if (mailbox->runs.turn == TURN_RUNNING)
		mailbox->runs.again = true;
	if (mailbox->runs.turn != TURN_NONE || !mailbox->presence.listed)
		return;
	mailbox->runs.turn = TURN_QUEUED;
	mailbox->runs.queued_since = time(NULL);
	if (mailbox->runs.preferred)
		DL_PREPEND(core->queue, mailbox);
	else
		DL_APPEND(core->queue, mailbox);
	task_wake(core->task);
}

void core_prefer_mailbox(struct core *core, struct mailbox *mailbox)
{
	mailbox->runs.preferred = mailbox->runs.turn != TURN_NONE;
	if (mailbox->runs.turn == TURN_QUEUED) {
		DL_DELETE(core->queue, mailbox);
		DL_PREPEND(core->queue, mailbox);
		task_wake(core->task);
	}
}

void core_fail(struct core *core, const char *fmt, ...)
{
	_cleanup_free_ char *reason = NULL;
	va_list ap;

	va_start(ap, fmt);
	reason = xvasprintf(fmt, ap);
	va_end(ap);
	core->owner->failed(core, reason);
}

void core_database_failed(struct core *core)
{
	core->owner->failed(core, NULL);
}

void core_look_in(struct core *core, double seconds)
{
	core->owner->look_in(core, seconds);
}

bool core_looks_soon(const struct core *core)
{
	return core->owner->looks_soon(core);
}
