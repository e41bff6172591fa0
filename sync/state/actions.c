/* SPDX-License-Identifier: MIT */
#include "sync/state/actions.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "sync/base/xalloc.h"
#include "sync/state/db-private.h"
#include "sync/state/db.h"
#include "sync/state/schema.h"

/* Names are bytes. */
static void bind_bytes(sqlite3_stmt *statement, int column, const char *text)
{
	if (text != NULL)
		(void)sqlite3_bind_blob(statement, column, text, (int)strlen(text), SQLITE_STATIC);
}

int actions_insert(struct db *db, struct action *action)
{
	static const char sql[] = "INSERT INTO action (verb,certain,begun,mailbox,target,"
				  "uidvalidity,source_uids,target_uids,to_local) "
				  "VALUES (?1,?2,?3,?4,?5,?6,?7,?8,?9)";
	sqlite3_stmt *statement;
	int r = schema_need(db, TABLE_ACTION);

	if (r < 0)
		return r;
	statement = db_statement(db, sql);
	if (statement == NULL)
		return -EIO;
	(void)sqlite3_bind_text(statement, 1, action->verb, -1, SQLITE_STATIC);
	(void)sqlite3_bind_int(statement, 2, action->certain);
	(void)sqlite3_bind_int(statement, 3, action->begun);
	bind_bytes(statement, 4, action->mailbox);
	bind_bytes(statement, 5, action->target);
	(void)sqlite3_bind_int64(statement, 6, action->uidvalidity);
	(void)sqlite3_bind_text(statement, 7, action->source_uids, -1, SQLITE_STATIC);
	(void)sqlite3_bind_text(statement, 8, action->target_uids, -1, SQLITE_STATIC);
	(void)sqlite3_bind_int(statement, 9, action->to_local);
	r = db_run(db, statement);
	if (r == 0)
		action->id = sqlite3_last_insert_rowid(db->sqlite);
	return r;
}

/* A string without NUL, or NULL for none. */
static char *column_string(sqlite3_stmt *statement, int column)
{
	const void *bytes = sqlite3_column_blob(statement, column);
	size_t n = (size_t)sqlite3_column_bytes(statement, column);

	return bytes != NULL ? xmemdup0(bytes, n) : NULL;
}

static int read_action(struct db *db, sqlite3_stmt *statement, struct action *action)
{
	const char *verb = (const char *)sqlite3_column_text(statement, 1);

	*action = (struct action){
		.id = sqlite3_column_int64(statement, 0),
		.certain = sqlite3_column_int(statement, 2) != 0,
		.begun = sqlite3_column_int(statement, 3) != 0,
		.to_local = sqlite3_column_int(statement, 7) != 0,
	};
	(void)snprintf(action->verb, sizeof(action->verb), "%s", verb != NULL ? verb : "");
	if (sqlite3_column_int64(statement, 6) != 0 &&
		db_column_u32(db, statement, 6, &action->uidvalidity) < 0)
		return -EIO;
	action->mailbox = column_string(statement, 4);
	action->target = column_string(statement, 5);
	return 0;
}

int actions_load(struct db *db, struct action **ret_actions, size_t *ret_count)
{
	static const char sql[] = "SELECT id,verb,certain,begun,mailbox,target,uidvalidity,"
				  "to_local FROM action ORDER BY id";
	sqlite3_stmt *statement;
	struct action *actions = NULL;
	size_t count = 0;
	int r = schema_statement(db, TABLE_ACTION, sql, &statement);

	if (r < 0)
		return r;
	while (statement != NULL && (r = db_step(db, statement)) > 0) {
		actions = xgrow(actions, count, sizeof(*actions));
		r = read_action(db, statement, &actions[count]);
		if (r < 0) {
			(void)sqlite3_reset(statement);
			break;
		}
		count++;
	}
	if (r < 0) {
		actions_free(actions, count);
		return r;
	}
	*ret_actions = actions;
	*ret_count = count;
	return 0;
}

void actions_free(struct action *actions, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		free(actions[i].mailbox);
		free(actions[i].target);
		free(actions[i].source_uids);
		free(actions[i].target_uids);
	}
	free(actions);
}

int actions_load_uids(struct db *db, int64_t id, char **ret_source, char **ret_target)
{
	static const char sql[] = "SELECT source_uids,target_uids FROM action WHERE id = ?1";
	sqlite3_stmt *statement = db_statement(db, sql);
	int r;

	if (statement == NULL)
		return -EIO;
	(void)sqlite3_bind_int64(statement, 1, id);
	r = db_step(db, statement);
	if (r <= 0)
		return r < 0 ? r : -ENOENT;
	*ret_source = column_string(statement, 0);
	*ret_target = column_string(statement, 1);
	(void)sqlite3_reset(statement);
	return 0;
}

int actions_set_begun(struct db *db, int64_t id)
{
	static const char sql[] = "UPDATE action SET begun = 1 WHERE id = ?1";

	return db_run_with(db, sql, NUMBERS(id));
}

int actions_drop(struct db *db, int64_t id)
{
	static const char sql[] = "DELETE FROM action WHERE id = ?1";

	return db_run_with(db, sql, NUMBERS(id));
}
