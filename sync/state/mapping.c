/* SPDX-License-Identifier: MIT */
#include "sync/state/mapping.h"

#include <errno.h>

#include "sync/base/xalloc.h"
#include "sync/state/db-private.h"
#include "sync/state/db.h"
#include "sync/state/email-ids.h"

/* In ascending order of the UID on one side; both are answered by an index. */
static const char range_local[] = "SELECT lUID,rUID FROM mapping"
				  " WHERE idx = ?1 AND lUID BETWEEN ?2 AND ?3 ORDER BY lUID";
static const char range_remote[] = "SELECT lUID,rUID FROM mapping"
				   " WHERE idx = ?1 AND rUID BETWEEN ?2 AND ?3 ORDER BY rUID";

int mapping_insert(struct db *db, int64_t idx, struct uid_pair pair)
{
	static const char sql[] = "INSERT INTO mapping (idx,lUID,rUID) VALUES (?1,?2,?3)";

	return db_run_with(db, sql, NUMBERS(idx, pair.local, pair.remote));
}

int mapping_delete(struct db *db, int64_t idx, struct uid_pair pair)
{
	static const char sql[] = "DELETE FROM mapping WHERE idx = ?1 AND lUID = ?2 AND rUID = ?3";

	int r = email_ids_delete(db, idx, pair.remote);

	return r == 0 ? db_run_with(db, sql, NUMBERS(idx, pair.local, pair.remote)) : r;
}

static int read_pair(struct db *db, sqlite3_stmt *statement, struct uid_pair *pair)
{
	int r = db_column_u32(db, statement, 0, &pair->local);

	return r == 0 ? db_column_u32(db, statement, 1, &pair->remote) : r;
}

/* What was appended before an error stays out of *count. */
static int collect(struct db *db, sqlite3_stmt *statement, struct uid_pair **pairs, size_t *count)
{
	size_t used = *count;
	int r;

	while ((r = db_step(db, statement)) > 0) {
		*pairs = xgrow(*pairs, used, sizeof(**pairs));
		r = read_pair(db, statement, &(*pairs)[used++]);
		if (r < 0) {
			(void)sqlite3_reset(statement);
			break;
		}
	}
	if (r == 0)
		*count = used;
	return r;
}

static void bind_range(sqlite3_stmt *statement, int64_t idx, uint32_t first, uint32_t last)
{
	(void)sqlite3_bind_int64(statement, 1, idx);
	(void)sqlite3_bind_int64(statement, 2, first);
	(void)sqlite3_bind_int64(statement, 3, last);
}

int mapping_in_range(struct db *db, int64_t idx, bool remote, uint32_t first, uint32_t last,
	struct uid_pair **pairs, size_t *count)
{
	sqlite3_stmt *statement = db_statement(db, remote ? range_remote : range_local);

	if (statement == NULL)
		return -EIO;
	bind_range(statement, idx, first, last);
	return collect(db, statement, pairs, count);
}

/* With a statement of its own, since visit() may well look up other pairs. */
int mapping_visit(struct db *db, int64_t idx, bool remote, uint32_t first, uint32_t last,
	bool (*visit)(void *context, struct uid_pair pair), void *context)
{
	sqlite3_stmt *statement;
	struct uid_pair pair;
	int r, result;

	result = sqlite3_prepare_v2(
		db->sqlite, remote ? range_remote : range_local, -1, &statement, NULL);
	if (result != SQLITE_OK)
		return db_fail(db, result);
	bind_range(statement, idx, first, last);
	while ((r = db_step(db, statement)) > 0) {
		r = read_pair(db, statement, &pair);
		if (r < 0 || !visit(context, pair))
			break;
	}
	(void)sqlite3_finalize(statement);
	return r;
}

int mapping_dangling(struct db *db, int64_t idx, uint32_t local_uidnext, uint32_t remote_uidnext,
	struct uid_pair **pairs, size_t *count)
{
	static const char sql[] = "SELECT lUID,rUID FROM mapping"
				  " WHERE idx = ?1 AND (lUID >= ?2 OR rUID >= ?3) ORDER BY lUID";
	sqlite3_stmt *statement = db_statement(db, sql);

	if (statement == NULL)
		return -EIO;
	bind_range(statement, idx, local_uidnext, remote_uidnext);
	return collect(db, statement, pairs, count);
}

int mapping_count(struct db *db, int64_t idx, uint64_t *ret_count)
{
	static const char sql[] = "SELECT count(*) FROM mapping WHERE idx = ?1";
	sqlite3_stmt *statement = db_statement(db, sql);
	int r;

	if (statement == NULL)
		return -EIO;
	(void)sqlite3_bind_int64(statement, 1, idx);
	r = db_step(db, statement);
	if (r < 0)
		return r;
	*ret_count = (uint64_t)sqlite3_column_int64(statement, 0);
	(void)sqlite3_reset(statement);
	return 0;
}

int mapping_count_all(struct db *db, uint64_t *ret_count)
{
	int64_t count;
	int r = db_number(db, "SELECT count(*) FROM mapping", &count);

	if (r == 0)
		*ret_count = (uint64_t)count;
	return r;
}
