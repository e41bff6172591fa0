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
#include "sync/state/quarantine.h"

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

static json_t *waits_of(const struct engine_status *status)
{
	json_t *waits = json_array();

	for (size_t i = 0; i < status->wait_count; i++)
		json_array_append_new(waits,
			json_pack("{s:s, s:o, s:s, s:o}", "what", status->waits[i].what, "name",
				control_text(status->waits[i].name), "for", status->waits[i].reason,
				"since", time_or_null(status->waits[i].since)));
	return waits;
}

static json_t *left_out_object(const struct quarantine *row, const char *mailbox)
{
	return json_pack("{s:o, s:s, s:s, s:o, s:o, s:o, s:o, s:I, s:o, s:o}", "mailbox",
		control_text(mailbox), "kind", quarantine_kind_name(row->kind), "side",
		row->remote ? "remote" : "local", "uid",
		row->uid > 0 ? json_integer(row->uid) : json_null(), "size",
		row->size > 0 ? json_integer((json_int_t)row->size) : json_null(), "message",
		row->name[0] != '\0' ? control_text(row->name) : json_null(), "words",
		control_text(row->words), "tries", (json_int_t)row->tries, "first_try",
		time_or_null(row->since), "next_try",
		time_or_null(row->next != QUARANTINE_NEVER ? row->next : 0));
}

static json_t *left_out_array(const struct engine_status *status)
{
	json_t *array = json_array();

	for (size_t i = 0; i < status->left_out_count; i++)
		json_array_append_new(array,
			left_out_object(status->left_out[i].row, status->left_out[i].mailbox));
	return array;
}

json_t *control_status_object(
	const struct engine_status *status, const char *database, long clients)
{
	json_t *mailboxes = json_array();

	for (size_t i = 0; i < status->mailbox_count; i++)
		json_array_append_new(mailboxes, mailbox_object(&status->mailboxes[i]));
	return json_pack("{s:s, s:b, s:n, s:o, s:i, s:n, s:o, s:o, s:o, s:I, s:o, s:I, s:b, s:I, "
			 "s:I, s:o, s:o, s:o, s:o}",
		"version", INTERIMAP_VERSION, "running", 1, "reason", "database",
		control_text(database), "pid", (int)getpid(), "written", "local",
		side_object(&status->local), "remote", side_object(&status->remote), "next_try",
		time_or_null(status->next_try), "interval", (json_int_t)status->interval, "clients",
		count_or_null(clients), "actions_waiting", (json_int_t)status->actions_waiting,
		"command_running", status->ordered, "commands_waiting",
		(json_int_t)status->orders_waiting, "copied", (json_int_t)status->copied,
		"resolve_all", control_text(status->resolve), "mailboxes", mailboxes, "waits",
		waits_of(status), "left_out", left_out_array(status));
}

/* --- Of the database alone --- */

/* How the server delimits the levels, only the server tells. */
static char *known_name(const char *data, size_t len)
{
	char *name = xmemdup0(data, len);

	for (size_t i = 0; i < len; i++)
		if (name[i] == '\0')
			name[i] = '/';
	return name;
}

static json_t *row_object(const struct mailbox_row *row)
{
	_cleanup_free_ char *name = known_name(row->name, row->len);

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

static json_t *known_left_out(struct db *db)
{
	json_t *array = json_array();
	struct quarantine *rows = NULL;
	size_t count = 0;

	if (quarantine_load(db, 0, &rows, &count) < 0)
		return array;
	for (size_t i = 0; i < count; i++) {
		const struct quarantine *row = &rows[i];
		_cleanup_free_ char *name = NULL;

		if (row->mailbox_name != NULL)
			name = known_name(row->mailbox_name, row->mailbox_len);
		json_array_append_new(array, left_out_object(row, name));
	}
	quarantine_free(rows, count);
	return array;
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
				   "s:b, s:i, s:n, s:n, s:o, s:[], s:o}",
		"version", INTERIMAP_VERSION, "running", 0, "reason",
		control_text(reason_for(r, failed)), "database", control_text(database), "pid",
		"written", time_or_null(written), "local", "remote", "next_try", "interval",
		"clients", "actions_waiting", r < 0 ? json_null() : json_integer(count_actions(db)),
		"command_running", 0, "commands_waiting", 0, "copied", "resolve_all", "mailboxes",
		r < 0 ? json_array() : known_mailboxes(db), "waits", "left_out",
		r < 0 ? json_array() : known_left_out(db));

	db_close(db);
	return object;
}
