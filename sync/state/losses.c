/* SPDX-License-Identifier: MIT */
#include "sync/state/losses.h"

#include <time.h>

#include "sync/state/db-private.h"
#include "sync/state/db.h"
#include "sync/state/schema.h"

enum { WINDOW_SECONDS = 3600, BURST_SECONDS = 60 };

/* What is older, or of a time to come after the clock was set back by more than that. */
static int forget_old(struct db *db)
{
	static const char sql[] = "DELETE FROM loss WHERE abs(?1 - time) > ?2";

	return db_run_with(db, sql, NUMBERS(time(NULL), WINDOW_SECONDS));
}

int losses_add(struct db *db, int64_t idx, bool remote, uint64_t messages)
{
	static const char sql[] =
		"INSERT INTO loss (mailbox,remote,time,messages) VALUES (?1,?2,?3,?4)";
	int r = schema_need(db, TABLE_LOSS);

	if (r == 0)
		r = forget_old(db);
	return r < 0 ? r
		     : db_run_with(db, sql, NUMBERS(idx, remote, time(NULL), (int64_t)messages));
}

static int count_lost(struct db *db, int64_t idx, bool remote, struct losses *ret)
{
	static const char sql[] =
		"SELECT total(messages),total(iif(abs(?1 - time) <= ?4, messages, 0)) FROM loss"
		" WHERE remote = ?2 AND (?3 = 0 OR mailbox = ?3) AND abs(?1 - time) <= ?5";
	sqlite3_stmt *statement;
	int r = schema_statement(db, TABLE_LOSS, sql, &statement);

	if (statement == NULL)
		return r;
	(void)sqlite3_bind_int64(statement, 1, time(NULL));
	(void)sqlite3_bind_int(statement, 2, remote);
	(void)sqlite3_bind_int64(statement, 3, idx);
	(void)sqlite3_bind_int64(statement, 4, BURST_SECONDS);
	(void)sqlite3_bind_int64(statement, 5, WINDOW_SECONDS);
	r = db_step(db, statement);
	if (r > 0) {
		ret->recent = (uint64_t)sqlite3_column_int64(statement, 0);
		ret->burst = (uint64_t)sqlite3_column_int64(statement, 1);
	}
	(void)sqlite3_reset(statement);
	return r < 0 ? r : 0;
}

static int count_held(struct db *db, bool remote, int64_t except, struct losses *ret)
{
	static const char sql[] =
		"SELECT total(messages) FROM hold WHERE remote = ?1 AND idx != ?2";
	sqlite3_stmt *statement;
	int r = schema_statement(db, TABLE_HOLD, sql, &statement);

	if (statement == NULL)
		return r;
	(void)sqlite3_bind_int(statement, 1, remote);
	(void)sqlite3_bind_int64(statement, 2, except);
	r = db_step(db, statement);
	if (r > 0)
		ret->held = (uint64_t)sqlite3_column_int64(statement, 0);
	(void)sqlite3_reset(statement);
	return r < 0 ? r : 0;
}

int losses_of_mailbox(struct db *db, int64_t idx, bool remote, struct losses *ret)
{
	*ret = (struct losses){0};
	return count_lost(db, idx, remote, ret);
}

int losses_of_side(struct db *db, bool remote, int64_t except, struct losses *ret)
{
	int r;

	*ret = (struct losses){0};
	r = count_lost(db, 0, remote, ret);
	return r < 0 ? r : count_held(db, remote, except, ret);
}

int losses_forget(struct db *db, int64_t idx, bool remote)
{
	static const char sql[] = "DELETE FROM loss WHERE mailbox = ?1 AND remote = ?2";

	return schema_run_with(db, TABLE_LOSS, sql, NUMBERS(idx, remote));
}

int holds_find(struct db *db, int64_t idx, bool remote, uint64_t *ret_messages)
{
	static const char sql[] = "SELECT messages FROM hold WHERE idx = ?1 AND remote = ?2";
	sqlite3_stmt *statement;
	int r = schema_statement(db, TABLE_HOLD, sql, &statement);

	if (statement == NULL)
		return r;
	(void)sqlite3_bind_int64(statement, 1, idx);
	(void)sqlite3_bind_int(statement, 2, remote);
	r = db_step(db, statement);
	if (r > 0)
		*ret_messages = (uint64_t)sqlite3_column_int64(statement, 0);
	(void)sqlite3_reset(statement);
	return r;
}

int holds_set(struct db *db, int64_t idx, bool remote, uint64_t messages)
{
	static const char sql[] =
		"INSERT OR REPLACE INTO hold (idx,remote,messages) VALUES (?1,?2,?3)";
	int r = schema_need(db, TABLE_HOLD);

	return r < 0 ? r : db_run_with(db, sql, NUMBERS(idx, remote, (int64_t)messages));
}

int holds_clear(struct db *db, int64_t idx, bool remote)
{
	static const char sql[] = "DELETE FROM hold WHERE idx = ?1 AND remote = ?2";

	return schema_run_with(db, TABLE_HOLD, sql, NUMBERS(idx, remote));
}
