/* SPDX-License-Identifier: MIT */
#include "sync/state/in-step.h"

#include "sync/state/db-private.h"
#include "sync/state/db.h"
#include "sync/state/schema.h"

int in_step_load(struct db *db, int64_t idx, struct in_step *ret)
{
	static const char sql[] = "SELECT s.local,s.remote FROM settled s"
				  " JOIN local l ON l.idx = s.idx"
				  " AND l.UIDVALIDITY = s.local_uidvalidity"
				  " JOIN remote r ON r.idx = s.idx"
				  " AND r.UIDVALIDITY = s.remote_uidvalidity WHERE s.idx = ?1";
	sqlite3_stmt *statement;
	int r = schema_statement(db, TABLE_SETTLED, sql, &statement);

	*ret = (struct in_step){0};
	if (statement == NULL)
		return r;
	(void)sqlite3_bind_int64(statement, 1, idx);
	r = db_step(db, statement);
	if (r <= 0)
		return r;
	r = db_column_u32(db, statement, 0, &ret->local);
	if (r == 0)
		r = db_column_u32(db, statement, 1, &ret->remote);
	(void)sqlite3_reset(statement);
	return r;
}

static int forget(struct db *db, int64_t idx)
{
	static const char sql[] = "DELETE FROM settled WHERE idx = ?1";

	return schema_run_with(db, TABLE_SETTLED, sql, NUMBERS(idx));
}

int in_step_set(struct db *db, int64_t idx, const struct in_step *in_step)
{
	static const char sql[] = "INSERT OR REPLACE INTO settled"
				  " SELECT ?1,l.UIDVALIDITY,?2,r.UIDVALIDITY,?3"
				  " FROM local l JOIN remote r USING (idx) WHERE idx = ?1";
	int r;

	if (in_step->local == 0 && in_step->remote == 0)
		return forget(db, idx);
	r = schema_need(db, TABLE_SETTLED);
	return r < 0 ? r : db_run_with(db, sql, NUMBERS(idx, in_step->local, in_step->remote));
}
