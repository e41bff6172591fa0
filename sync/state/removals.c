/* SPDX-License-Identifier: MIT */
#include "sync/state/removals.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "sync/base/xalloc.h"
#include "sync/state/db-private.h"
#include "sync/state/db.h"
#include "sync/state/schema.h"

/* Of a mailbox that no run has looked at since, nobody will ask any more. */
enum { KEPT_SECONDS = 90 * 24 * 3600 };

static int forget_old(struct db *db)
{
	static const char sql[] = "DELETE FROM removal WHERE since < ?1";

	return db_run_with(db, sql, NUMBERS(time(NULL) - KEPT_SECONDS));
}

static int insert(struct db *db, const char *mailbox, const char *uids, uint64_t messages)
{
	static const char sql[] =
		"INSERT INTO removal (mailbox,uids,messages,since) VALUES (?1,?2,?3,?4)";
	sqlite3_stmt *statement;
	int r = schema_need(db, TABLE_REMOVAL);

	if (r == 0)
		r = forget_old(db);
	if (r < 0)
		return r;
	statement = db_statement(db, sql);
	if (statement == NULL)
		return -EIO;
	(void)sqlite3_bind_blob(statement, 1, mailbox, (int)strlen(mailbox), SQLITE_STATIC);
	(void)sqlite3_bind_text(statement, 2, uids, -1, SQLITE_STATIC);
	(void)sqlite3_bind_int64(statement, 3, (int64_t)messages);
	(void)sqlite3_bind_int64(statement, 4, time(NULL));
	return db_run(db, statement);
}

int removals_insert(struct db *db, const char *mailbox, const char *uids, uint64_t messages)
{
	bool own;
	int r = db_enter(db, &own);

	return r < 0 ? r : db_leave(db, own, insert(db, mailbox, uids, messages));
}

int removals_load(
	struct db *db, const char *mailbox, struct removal **ret_removals, size_t *ret_count)
{
	static const char sql[] =
		"SELECT id,uids,messages FROM removal WHERE mailbox = ?1 ORDER BY id";
	sqlite3_stmt *statement;
	int r = schema_statement(db, TABLE_REMOVAL, sql, &statement);

	*ret_removals = NULL;
	*ret_count = 0;
	if (statement == NULL)
		return r;
	(void)sqlite3_bind_blob(statement, 1, mailbox, (int)strlen(mailbox), SQLITE_STATIC);
	while ((r = db_step(db, statement)) > 0) {
		const char *uids = (const char *)sqlite3_column_text(statement, 1);

		*ret_removals = xgrow(*ret_removals, *ret_count, sizeof(**ret_removals));
		(*ret_removals)[(*ret_count)++] = (struct removal){
			.id = sqlite3_column_int64(statement, 0),
			.uids = xstrdup(uids != NULL ? uids : ""),
			.messages = (uint64_t)sqlite3_column_int64(statement, 2),
		};
	}
	return r;
}

void removals_free(struct removal *removals, size_t count)
{
	for (size_t i = 0; i < count; i++)
		free(removals[i].uids);
	free(removals);
}

int removals_forget(struct db *db, const char *mailbox, int64_t last)
{
	static const char sql[] = "DELETE FROM removal WHERE mailbox = ?1 AND id <= ?2";
	sqlite3_stmt *statement;
	int r = schema_statement(db, TABLE_REMOVAL, sql, &statement);

	if (statement == NULL)
		return r;
	(void)sqlite3_bind_blob(statement, 1, mailbox, (int)strlen(mailbox), SQLITE_STATIC);
	(void)sqlite3_bind_int64(statement, 2, last);
	return db_run(db, statement);
}
