/* SPDX-License-Identifier: MIT */
/*
 * Both sides are listed into one temporary table, whose index has the messages of a side in order
 * of identity and UID.  Pairing is then one merge of two cursors, as of two sorted files.
 */
#include "sync/state/adopt.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "sync/base/xalloc.h"
#include "sync/state/db-private.h"
#include "sync/state/db.h"
#include "sync/state/mapping.h"
#include "sync/state/schema.h"

int adopt_begin(struct db *db, int64_t idx)
{
	static const char sql[] = "DELETE FROM temp.listed WHERE idx = ?1";
	int r = schema_need(db, TABLE_LISTED);

	return r < 0 ? r : db_run_with(db, sql, NUMBERS(idx));
}

int adopt_add(
	struct db *db, int64_t idx, bool remote, uint32_t uid, const struct identity *identity)
{
	/* Listed twice (a server may repeat itself), the last answer holds. */
	static const char sql[] =
		"INSERT OR REPLACE INTO temp.listed (idx,remote,uid,digest,size,date)"
		" VALUES (?1,?2,?3,?4,?5,?6)";
	sqlite3_stmt *statement = db_statement(db, sql);

	if (statement == NULL)
		return -EIO;
	(void)sqlite3_bind_int64(statement, 1, idx);
	(void)sqlite3_bind_int(statement, 2, remote);
	(void)sqlite3_bind_int64(statement, 3, uid);
	(void)sqlite3_bind_blob(
		statement, 4, identity->digest, sizeof(identity->digest), SQLITE_STATIC);
	(void)sqlite3_bind_int64(statement, 5, (int64_t)identity->size);
	(void)sqlite3_bind_int64(statement, 6, identity->date);
	return db_run(db, statement);
}

int adopt_count(struct db *db, int64_t idx, bool remote, uint64_t *ret_listed, uint64_t *ret_mapped)
{
#define COUNT(side, column) \
	"SELECT count(*), count(m.idx) FROM temp.listed l" \
	" LEFT JOIN mapping m ON m.idx = l.idx AND m." column " = l.uid" \
	" WHERE l.idx = ?1 AND l.remote = " side
	static const char count_local[] = COUNT("0", "lUID");
	static const char count_remote[] = COUNT("1", "rUID");
#undef COUNT
	sqlite3_stmt *statement = db_statement(db, remote ? count_remote : count_local);
	int r;

	if (statement == NULL)
		return -EIO;
	(void)sqlite3_bind_int64(statement, 1, idx);
	r = db_step(db, statement);
	if (r < 0)
		return r;
	*ret_listed = (uint64_t)sqlite3_column_int64(statement, 0);
	*ret_mapped = (uint64_t)sqlite3_column_int64(statement, 1);
	(void)sqlite3_reset(statement);
	return 0;
}

int adopt_refine(struct db *db, int64_t idx, bool remote, uint32_t uid, const uint8_t digest[16])
{
	static const char sql[] = "UPDATE temp.listed SET refined = ?4"
				  " WHERE idx = ?1 AND remote = ?2 AND uid = ?3";
	sqlite3_stmt *statement = db_statement(db, sql);

	if (statement == NULL)
		return -EIO;
	(void)sqlite3_bind_int64(statement, 1, idx);
	(void)sqlite3_bind_int(statement, 2, remote);
	(void)sqlite3_bind_int64(statement, 3, uid);
	(void)sqlite3_bind_blob(statement, 4, digest, 16, SQLITE_STATIC);
	return db_run(db, statement);
}

int adopt_ambiguous(struct db *db, int64_t idx, bool remote, uint32_t after_uid, uint32_t max,
	uint32_t **ret_uids, uint32_t *ret_count)
{
#define SAME(side) \
	"FROM temp.listed o WHERE o.idx = ?1 AND o.remote = " side \
	" AND o.digest = a.digest AND o.size = a.size AND o.date = a.date"
	/* Without a counterpart there is nothing to mix up; with one, a second on either side. */
	static const char sql[] =
		"SELECT uid FROM temp.listed a WHERE idx = ?1 AND remote = ?2 AND uid > ?3"
		" AND EXISTS (SELECT 1 " SAME(
			"1 - ?2") ")"
				  " AND (EXISTS (SELECT 1 " SAME(
					  "?2") " AND o.uid <> a.uid)"
						" OR (SELECT count(*) FROM (SELECT 1 " SAME(
							"1 - ?2") " LIMIT 2)) > 1)"
								  " ORDER BY uid LIMIT ?4";
#undef SAME
	sqlite3_stmt *statement = db_statement(db, sql);
	_cleanup_free_ uint32_t *uids = NULL;
	uint32_t count = 0;
	int r;

	if (statement == NULL)
		return -EIO;
	(void)sqlite3_bind_int64(statement, 1, idx);
	(void)sqlite3_bind_int(statement, 2, remote);
	(void)sqlite3_bind_int64(statement, 3, after_uid);
	(void)sqlite3_bind_int64(statement, 4, max);
	while ((r = db_step(db, statement)) > 0) {
		uids = xgrow(uids, count, sizeof(*uids));
		uids[count++] = (uint32_t)sqlite3_column_int64(statement, 0);
	}
	if (r < 0)
		return r;
	*ret_uids = take(uids);
	*ret_count = count;
	return 0;
}

enum { COLUMN_UID, COLUMN_DIGEST, COLUMN_REFINED, COLUMN_SIZE, COLUMN_DATE };

static int compare_blobs(sqlite3_stmt *a, sqlite3_stmt *b, int column)
{
	int a_len = sqlite3_column_bytes(a, column), b_len = sqlite3_column_bytes(b, column);
	int common = a_len < b_len ? a_len : b_len;
	int order = common > 0 ? memcmp(sqlite3_column_blob(a, column),
					 sqlite3_column_blob(b, column), (size_t)common)
			       : 0;

	return order != 0 ? order : (a_len > b_len) - (a_len < b_len);
}

static int compare_numbers(sqlite3_stmt *a, sqlite3_stmt *b, int column)
{
	int64_t a_value = sqlite3_column_int64(a, column),
		b_value = sqlite3_column_int64(b, column);

	return (a_value > b_value) - (a_value < b_value);
}

/* As the index orders them. */
static int compare_identities(sqlite3_stmt *a, sqlite3_stmt *b)
{
	int order = compare_blobs(a, b, COLUMN_DIGEST);

	if (order == 0)
		order = compare_numbers(a, b, COLUMN_SIZE);
	if (order == 0)
		order = compare_numbers(a, b, COLUMN_DATE);
	if (order == 0)
		order = compare_blobs(a, b, COLUMN_REFINED);
	return order;
}

/* Steps whichever cursor is behind, both after a pair, until one is at its end. */
static int merge(
	struct db *db, int64_t idx, sqlite3_stmt *local, sqlite3_stmt *remote, uint64_t *count)
{
	int r = db_step(db, local);

	if (r > 0)
		r = db_step(db, remote);
	while (r > 0) {
		int order = compare_identities(local, remote);

		if (order == 0) {
			struct uid_pair pair = {
				.local = (uint32_t)sqlite3_column_int64(local, COLUMN_UID),
				.remote = (uint32_t)sqlite3_column_int64(remote, COLUMN_UID),
			};

			r = mapping_insert(db, idx, pair);
			if (r < 0)
				break;
			++*count;
		}
		r = order <= 0 ? db_step(db, local) : 1;
		if (r > 0 && order >= 0)
			r = db_step(db, remote);
	}
	(void)sqlite3_reset(local);
	(void)sqlite3_reset(remote);
	return r;
}

static int pair_listed(struct db *db, int64_t idx, uint64_t *count)
{
#define CURSOR(side, column) \
	"SELECT uid,digest,refined,size,date FROM temp.listed" \
	" WHERE idx = ?1 AND remote = " side " AND NOT EXISTS" \
	" (SELECT 1 FROM mapping m WHERE m.idx = ?1 AND m." column " = listed.uid)" \
	" ORDER BY digest, size, date, refined, uid"
	static const char local_sql[] = CURSOR("0", "lUID");
	static const char remote_sql[] = CURSOR("1", "rUID");
#undef CURSOR
	sqlite3_stmt *local = db_statement(db, local_sql), *remote = db_statement(db, remote_sql);

	if (local == NULL || remote == NULL)
		return -EIO;
	(void)sqlite3_bind_int64(local, 1, idx);
	(void)sqlite3_bind_int64(remote, 1, idx);
	return merge(db, idx, local, remote, count);
}

int adopt_pair(struct db *db, int64_t idx, uint64_t *ret_count)
{
	uint64_t count = 0;
	bool own = false;
	int r = schema_need(db, TABLE_LISTED);

	if (r == 0)
		r = db_enter(db, &own);
	if (r < 0)
		return r;
	r = pair_listed(db, idx, &count);
	if (r == 0)
		r = adopt_begin(db, idx);
	r = db_leave(db, own, r);
	if (r == 0)
		*ret_count = count;
	return r;
}
