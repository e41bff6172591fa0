/* SPDX-License-Identifier: MIT */
#include "sync/command/control-status.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "sync/base/xalloc.h"
#include "sync/command/control-wire.h"
#include "sync/engine/status.h"
#include "sync/state/actions.h"
#include "sync/state/db.h"
#include "sync/state/mailboxes.h"

static json_t *time_or_null(time_t when)
{
	return when > 0 ? json_integer(when) : json_null();
}

static json_t *count_or_null(int64_t count)
{
	return count >= 0 ? json_integer(count) : json_null();
}

static json_t *side_object(const struct status_side *side)
{
	static const char *const states[] = {"disconnected", "connecting", "connected"};

	return json_pack("{s:s, s:o, s:o, s:o}", "state", states[side->state], "push",
		side->state == SIDE_CONNECTED ? json_string(status_push_name(side->push))
					      : json_null(),
		"since", time_or_null(side->since), "reason", control_text(side->reason));
}

static json_t *mailbox_object(const struct status_mailbox *mailbox)
{
	return json_pack("{s:o, s:s, s:o, s:o, s:o, s:o, s:o}", "name", control_text(mailbox->name),
		"state", status_state_name(mailbox->state), "in_step",
		time_or_null(mailbox->in_step), "to_local", count_or_null(mailbox->to_local),
		"to_remote", count_or_null(mailbox->to_remote), "reason",
		control_text(mailbox->reason), "resolve", control_text(mailbox->resolve));
}

json_t *control_status_object(
	const struct engine_status *status, const char *database, long clients)
{
	json_t *mailboxes = json_array();

	for (size_t i = 0; i < status->mailbox_count; i++)
		json_array_append_new(mailboxes, mailbox_object(&status->mailboxes[i]));
	return json_pack("{s:s, s:b, s:n, s:o, s:i, s:n, s:o, s:o, s:o, s:I, s:o, s:I, s:b, s:I, "
			 "s:I, s:o}",
		"version", INTERIMAP_VERSION, "running", 1, "reason", "database",
		control_text(database), "pid", (int)getpid(), "written", "local",
		side_object(&status->local), "remote", side_object(&status->remote), "next_try",
		time_or_null(status->next_try), "interval", (json_int_t)status->interval, "clients",
		count_or_null(clients), "actions_waiting", (json_int_t)status->actions_waiting,
		"command_running", status->ordered, "commands_waiting",
		(json_int_t)status->orders_waiting, "copied", (json_int_t)status->copied,
		"mailboxes", mailboxes);
}

/* --- Of the database alone --- */

static json_t *row_object(const struct mailbox_row *row)
{
	_cleanup_free_ char *name = xmemdup0(row->name, row->len);

	/* How the server delimits the levels, only the server tells. */
	for (size_t i = 0; i < row->len; i++)
		if (name[i] == '\0')
			name[i] = '/';
	return json_pack("{s:o, s:s, s:n, s:n, s:n, s:n, s:n}", "name", control_text(name), "state",
		"unknown", "in_step", "to_local", "to_remote", "reason", "resolve");
}

/* A database without tables is one that no run has got far with. */
static json_t *known_mailboxes(struct db *db)
{
	json_t *mailboxes = json_array();
	struct mailbox_row *rows = NULL;
	size_t count = 0;

	if (mailboxes_load(db, &rows, &count) < 0)
		return mailboxes;
	for (size_t i = 0; i < count; i++)
		json_array_append_new(mailboxes, row_object(&rows[i]));
	mailbox_rows_free(rows, count);
	return mailboxes;
}

static int64_t count_actions(struct db *db)
{
	struct action *actions = NULL;
	size_t count = 0;

	if (actions_load(db, &actions, &count) < 0)
		return 0;
	actions_free(actions, count);
	return (int64_t)count;
}

/* When something was last changed: what is in the write-ahead log is not in the file yet. */
static time_t last_written(const char *database)
{
	_cleanup_free_ char *log = xasprintf("%s-wal", database);
	struct stat st;
	time_t when = stat(database, &st) == 0 ? st.st_mtime : 0;

	return stat(log, &st) == 0 && st.st_size > 0 && st.st_mtime > when ? st.st_mtime : when;
}

static const char *reason_for(int r, const char *failed)
{
	if (r == -ENOENT)
		return "nothing has been synchronized yet";
	return r < 0 ? failed : NULL;
}

json_t *control_status_alone(const char *database)
{
	_cleanup_free_ char *failed = NULL;
	struct db *db = NULL;
	time_t written = last_written(database);
	int r = db_open(database, false, &db, &failed);
	json_t *object = json_pack("{s:s, s:b, s:o, s:o, s:n, s:o, s:n, s:n, s:n, s:n, s:n, s:o, "
				   "s:b, s:i, s:n, s:o}",
		"version", INTERIMAP_VERSION, "running", 0, "reason",
		control_text(reason_for(r, failed)), "database", control_text(database), "pid",
		"written", time_or_null(written), "local", "remote", "next_try", "interval",
		"clients", "actions_waiting", r < 0 ? json_null() : json_integer(count_actions(db)),
		"command_running", 0, "commands_waiting", 0, "copied", "mailboxes",
		r < 0 ? json_array() : known_mailboxes(db));

	db_close(db);
	return object;
}
