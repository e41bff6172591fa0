/* SPDX-License-Identifier: MIT */
#include "sync/state/intents.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "sync/base/xalloc.h"
#include "sync/state/db-private.h"
#include "sync/state/db.h"
#include "sync/state/schema.h"

/* Linux gives up a connection that does not get through after a quarter of an hour
 * (tcp_retries2); what it delivered by then is worked off. */
enum { LATE_SECONDS = 1200 };

int intents_insert(struct db *db, struct intent *intent)
{
	static const char sql[] =
		"INSERT INTO intent (idx,to_remote,source_uid,target_uidvalidity,target_uidnext,"
		"digest,size,date) VALUES (?1,?2,?3,?4,?5,?6,?7,?8)";
	sqlite3_stmt *statement;
	int r = schema_need(db, TABLE_INTENT);

	if (r < 0)
		return r;
	statement = db_statement(db, sql);
	if (statement == NULL)
		return -EIO;
	(void)sqlite3_bind_int64(statement, 1, intent->mailbox);
	(void)sqlite3_bind_int(statement, 2, intent->to_remote);
	(void)sqlite3_bind_int64(statement, 3, intent->source_uid);
	(void)sqlite3_bind_int64(statement, 4, intent->target_uidvalidity);
	(void)sqlite3_bind_int64(statement, 5, intent->target_uidnext);
	(void)sqlite3_bind_blob(statement, 6, intent->identity.digest,
		sizeof(intent->identity.digest), SQLITE_STATIC);
	(void)sqlite3_bind_int64(statement, 7, (int64_t)intent->identity.size);
	(void)sqlite3_bind_int64(statement, 8, intent->identity.date);
	r = db_run(db, statement);
	if (r == 0)
		intent->id = sqlite3_last_insert_rowid(db->sqlite);
	return r;
}

/* Numbers are used again, so a stale intent must not take away a younger one. */
int intents_drop(struct db *db, const struct intent *intent)
{
	static const char sql[] = "DELETE FROM intent WHERE id = ?1 AND idx = ?2"
				  " AND to_remote = ?3 AND source_uid = ?4";

	return schema_run_with(db, TABLE_INTENT, sql,
		NUMBERS(intent->id, intent->mailbox, intent->to_remote, intent->source_uid));
}

int intents_settle(struct db *db, const struct intent *intent, struct uid_pair pair)
{
	bool own;
	int r = db_enter(db, &own);

	if (r < 0)
		return r;
	r = mapping_insert(db, intent->mailbox, pair);
	if (r == 0)
		r = intents_drop(db, intent);
	return db_leave(db, own, r);
}

static int read_intent(struct db *db, sqlite3_stmt *statement, struct intent *intent)
{
	int r;

	*intent = (struct intent){
		.id = sqlite3_column_int64(statement, 0),
		.mailbox = sqlite3_column_int64(statement, 1),
		.to_remote = sqlite3_column_int(statement, 2) != 0,
		.identity.size = (uint64_t)sqlite3_column_int64(statement, 7),
		.identity.date = sqlite3_column_int64(statement, 8),
	};
	r = db_column_u32(db, statement, 3, &intent->source_uid);
	if (r == 0)
		r = db_column_u32(db, statement, 4, &intent->target_uidvalidity);
	if (r == 0)
		r = db_column_u32(db, statement, 5, &intent->target_uidnext);
	if (r == 0 && sqlite3_column_bytes(statement, 6) != sizeof(intent->identity.digest))
		r = db_refuse(db, -EIO, "the digest of an intent has the wrong length");
	if (r == 0)
		memcpy(intent->identity.digest, sqlite3_column_blob(statement, 6),
			sizeof(intent->identity.digest));
	return r;
}

/* Reads what the statement finds; it is one of those of this file, bound.  NULL: there is no
 * table. */
static int read_intents(
	struct db *db, sqlite3_stmt *statement, struct intent **ret_intents, size_t *ret_count)
{
	_cleanup_free_ struct intent *intents = NULL;
	size_t count = 0;
	int r = 0;

	while (statement != NULL && (r = db_step(db, statement)) > 0) {
		intents = xgrow(intents, count, sizeof(*intents));
		r = read_intent(db, statement, &intents[count++]);
		if (r < 0) {
			(void)sqlite3_reset(statement);
			break;
		}
	}
	if (r < 0)
		return r;
	*ret_intents = take(intents);
	*ret_count = count;
	return 0;
}

int intents_load(struct db *db, int64_t idx, struct intent **ret_intents, size_t *ret_count)
{
	static const char sql[] =
		"SELECT id,idx,to_remote,source_uid,target_uidvalidity,target_uidnext,"
		"digest,size,date FROM intent WHERE idx = ?1 OR ?1 = 0 ORDER BY id";
	sqlite3_stmt *statement;
	int r = schema_statement(db, TABLE_INTENT, sql, &statement);

	if (r < 0)
		return r;
	if (statement != NULL)
		(void)sqlite3_bind_int64(statement, 1, idx);
	return read_intents(db, statement, ret_intents, ret_count);
}

static int insert_late(struct db *db, const struct intent *intent)
{
	static const char sql[] =
		"INSERT INTO late (idx,to_remote,source_uid,target_uidvalidity,target_uidnext,"
		"digest,size,date,since) SELECT idx,to_remote,source_uid,target_uidvalidity,"
		"target_uidnext,digest,size,date,?2 FROM intent WHERE id = ?1";
	static const char old[] = "DELETE FROM late WHERE since <= ?1";
	int64_t now = time(NULL);
	int r = db_run_with(db, old, NUMBERS(now - LATE_SECONDS));

	return r < 0 ? r : db_run_with(db, sql, NUMBERS(intent->id, now));
}

int intents_lapse(struct db *db, const struct intent *intent)
{
	bool own = false;
	int r = schema_need(db, TABLE_LATE);

	if (r == 0)
		r = db_enter(db, &own);
	if (r < 0)
		return r;
	r = insert_late(db, intent);
	if (r == 0)
		r = intents_drop(db, intent);
	return db_leave(db, own, r);
}

int late_load(struct db *db, int64_t idx, struct intent **ret_intents, size_t *ret_count)
{
	static const char sql[] =
		"SELECT id,idx,to_remote,source_uid,target_uidvalidity,target_uidnext,"
		"digest,size,date FROM late WHERE idx = ?1 AND since > ?2 ORDER BY id";
	sqlite3_stmt *statement;
	int r = schema_statement(db, TABLE_LATE, sql, &statement);

	if (r < 0)
		return r;
	if (statement != NULL) {
		(void)sqlite3_bind_int64(statement, 1, idx);
		(void)sqlite3_bind_int64(statement, 2, time(NULL) - LATE_SECONDS);
	}
	return read_intents(db, statement, ret_intents, ret_count);
}

int late_drop(struct db *db, const struct intent *intent)
{
	static const char sql[] = "DELETE FROM late WHERE id = ?1";

	return db_run_with(db, sql, NUMBERS(intent->id));
}
