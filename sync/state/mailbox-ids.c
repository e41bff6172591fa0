/* SPDX-License-Identifier: MIT */
#include "sync/state/mailbox-ids.h"

#include <errno.h>

#include "sync/state/db-private.h"
#include "sync/state/db.h"
#include "sync/state/schema.h"

int mailbox_ids_find(struct db *db, const char *id, int64_t *ret_idx)
{
	static const char sql[] = "SELECT idx FROM mailbox_id WHERE id = ?1 LIMIT 2";
	sqlite3_stmt *statement;
	int r = schema_statement(db, TABLE_MAILBOX_ID, sql, &statement);

	if (statement == NULL)
		return r;
	(void)sqlite3_bind_text(statement, 1, id, -1, SQLITE_STATIC);
	r = db_step(db, statement);
	if (r <= 0)
		return r;
	*ret_idx = sqlite3_column_int64(statement, 0);
	/* What two have is of no use. */
	r = db_step(db, statement);
	(void)sqlite3_reset(statement);
	return r < 0 ? r : r == 0;
}

int mailbox_ids_has(struct db *db, int64_t idx)
{
	static const char sql[] = "SELECT 1 FROM mailbox_id WHERE idx = ?1";
	sqlite3_stmt *statement;
	int r = schema_statement(db, TABLE_MAILBOX_ID, sql, &statement);

	if (statement == NULL)
		return r;
	(void)sqlite3_bind_int64(statement, 1, idx);
	r = db_step(db, statement);
	(void)sqlite3_reset(statement);
	return r;
}

int mailbox_ids_set(struct db *db, int64_t idx, const char *id)
{
	static const char sql[] = "INSERT INTO mailbox_id (idx,id) VALUES (?1,?2)"
				  " ON CONFLICT (idx) DO UPDATE SET id = excluded.id"
				  " WHERE id != excluded.id";
	sqlite3_stmt *statement;
	int r = schema_need(db, TABLE_MAILBOX_ID);

	if (r < 0)
		return r;
	statement = db_statement(db, sql);
	if (statement == NULL)
		return -EIO;
	(void)sqlite3_bind_int64(statement, 1, idx);
	(void)sqlite3_bind_text(statement, 2, id, -1, SQLITE_STATIC);
	return db_run(db, statement);
}
