/* SPDX-License-Identifier: MIT */
#include "sync/state/email-ids.h"

#include <errno.h>
#include <stdio.h>

#include "sync/state/db-private.h"
#include "sync/state/db.h"
#include "sync/state/schema.h"

int email_ids_insert(
	struct db *db, int64_t idx, uint32_t remote_uid, const struct email_id *email_id)
{
	static const char sql[] = "INSERT OR REPLACE INTO email (idx,rUID,id) VALUES (?1,?2,?3)";
	sqlite3_stmt *statement;
	int r;

	if (email_id->id[0] == '\0')
		return 0;
	r = schema_need(db, TABLE_EMAIL);
	if (r < 0)
		return r;
	statement = db_statement(db, sql);
	if (statement == NULL)
		return -EIO;
	(void)sqlite3_bind_int64(statement, 1, idx);
	(void)sqlite3_bind_int64(statement, 2, remote_uid);
	(void)sqlite3_bind_text(statement, 3, email_id->id, -1, SQLITE_STATIC);
	return db_run(db, statement);
}

int email_ids_find(struct db *db, int64_t idx, uint32_t remote_uid, struct email_id *ret)
{
	static const char sql[] = "SELECT id FROM email WHERE idx = ?1 AND rUID = ?2";
	sqlite3_stmt *statement;
	int r = schema_statement(db, TABLE_EMAIL, sql, &statement);

	*ret = (struct email_id){0};
	if (statement == NULL)
		return r;
	(void)sqlite3_bind_int64(statement, 1, idx);
	(void)sqlite3_bind_int64(statement, 2, remote_uid);
	r = db_step(db, statement);
	if (r <= 0)
		return r;
	(void)snprintf(ret->id, sizeof(ret->id), "%s", sqlite3_column_text(statement, 0));
	(void)sqlite3_reset(statement);
	return 0;
}

int email_ids_locate(
	struct db *db, const struct email_id *email_id, int64_t *ret_idx, struct uid_pair *ret_pair)
{
	static const char sql[] = "SELECT idx,lUID,rUID FROM email JOIN mapping USING (idx,rUID)"
				  " WHERE id = ?1 ORDER BY email.rowid DESC LIMIT 1";
	sqlite3_stmt *statement;
	int r = schema_statement(db, TABLE_EMAIL, sql, &statement);

	if (statement == NULL || email_id->id[0] == '\0')
		return r;
	(void)sqlite3_bind_text(statement, 1, email_id->id, -1, SQLITE_STATIC);
	r = db_step(db, statement);
	if (r <= 0)
		return r;
	*ret_idx = sqlite3_column_int64(statement, 0);
	r = db_column_u32(db, statement, 1, &ret_pair->local);
	if (r == 0)
		r = db_column_u32(db, statement, 2, &ret_pair->remote);
	(void)sqlite3_reset(statement);
	return r == 0 ? 1 : r;
}

int email_ids_delete(struct db *db, int64_t idx, uint32_t remote_uid)
{
	static const char sql[] = "DELETE FROM email WHERE idx = ?1 AND rUID = ?2";

	return schema_run_with(db, TABLE_EMAIL, sql, NUMBERS(idx, remote_uid));
}
