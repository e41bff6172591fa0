/* SPDX-License-Identifier: MIT */
#include "sync/state/suspicions.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "sync/base/xalloc.h"
#include "sync/state/db-private.h"
#include "sync/state/db.h"
#include "sync/state/schema.h"

/* What cost a connection longer ago, and not since, was most likely not the cause. */
enum { KEPT_SECONDS = 7 * 24 * 3600 };

static int forget_old(struct db *db)
{
	static const char sql[] = "DELETE FROM suspicion WHERE abs(?1 - since) > ?2";

	return db_run_with(db, sql, NUMBERS(time(NULL), KEPT_SECONDS));
}

static int put(struct db *db, struct suspicion_row *row)
{
	static const char sql[] = "INSERT OR REPLACE INTO suspicion "
				  "(id,kind,idx,deed,remote,uids,losses,halves,since)"
				  " VALUES (?1,?2,?3,?4,?5,?6,?7,?8,?9) RETURNING id";
	sqlite3_stmt *statement;
	int r = schema_need(db, TABLE_SUSPICION);

	if (r == 0)
		r = forget_old(db);
	if (r < 0)
		return r;
	statement = db_statement(db, sql);
	if (statement == NULL)
		return -EIO;
	if (row->id != 0)
		(void)sqlite3_bind_int64(statement, 1, row->id);
	else
		(void)sqlite3_bind_null(statement, 1);
	(void)sqlite3_bind_int64(statement, 2, row->kind);
	if (row->mailbox != 0)
		(void)sqlite3_bind_int64(statement, 3, row->mailbox);
	else
		(void)sqlite3_bind_null(statement, 3);
	(void)sqlite3_bind_int64(statement, 4, row->deed);
	(void)sqlite3_bind_int(statement, 5, row->remote);
	(void)sqlite3_bind_text(statement, 6, row->uids, -1, SQLITE_STATIC);
	(void)sqlite3_bind_int64(statement, 7, row->losses);
	(void)sqlite3_bind_int(statement, 8, row->halves);
	(void)sqlite3_bind_int64(statement, 9, time(NULL));
	while ((r = db_step(db, statement)) > 0)
		row->id = sqlite3_column_int64(statement, 0);
	return r;
}

int suspicions_put(struct db *db, struct suspicion_row *row)
{
	bool own;
	int r = db_enter(db, &own);

	return r < 0 ? r : db_leave(db, own, put(db, row));
}

int suspicions_delete(struct db *db, int64_t id)
{
	static const char sql[] = "DELETE FROM suspicion WHERE id = ?1";

	return schema_run_with(db, TABLE_SUSPICION, sql, NUMBERS(id));
}

int suspicions_load(struct db *db, struct suspicion_row **ret_rows, size_t *ret_count)
{
	static const char sql[] = "SELECT id,kind,idx,deed,remote,uids,losses,halves FROM suspicion"
				  " WHERE abs(?1 - since) <= ?2 ORDER BY id";
	sqlite3_stmt *statement;
	int r = schema_statement(db, TABLE_SUSPICION, sql, &statement);

	*ret_rows = NULL;
	*ret_count = 0;
	if (statement == NULL)
		return r;
	(void)sqlite3_bind_int64(statement, 1, time(NULL));
	(void)sqlite3_bind_int64(statement, 2, KEPT_SECONDS);
	while ((r = db_step(db, statement)) > 0) {
		const char *uids = (const char *)sqlite3_column_text(statement, 5);

		*ret_rows = xgrow(*ret_rows, *ret_count, sizeof(**ret_rows));
		(*ret_rows)[(*ret_count)++] = (struct suspicion_row){
			.id = sqlite3_column_int64(statement, 0),
			.kind = (unsigned)sqlite3_column_int64(statement, 1),
			.mailbox = sqlite3_column_int64(statement, 2),
			.deed = sqlite3_column_int64(statement, 3),
			.remote = sqlite3_column_int(statement, 4) != 0,
			.uids = xstrdup(uids != NULL ? uids : ""),
			.losses = (unsigned)sqlite3_column_int64(statement, 6),
			.halves = sqlite3_column_int(statement, 7) != 0,
		};
	}
	return r;
}

void suspicions_free(struct suspicion_row *rows, size_t count)
{
	for (size_t i = 0; i < count; i++)
		free(rows[i].uids);
	free(rows);
}
