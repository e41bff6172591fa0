/* SPDX-License-Identifier: MIT */
#include "sync/state/echoes.h"

#include <errno.h>
#include <stdlib.h>
#include <time.h>

#include "sync/base/xalloc.h"
#include "sync/state/db-private.h"
#include "sync/state/db.h"
#include "sync/state/schema.h"

/* As long as what was given up may arrive late (intents.c). */
enum { OLD_SECONDS = 1200 };

int echoes_insert(struct db *db, int64_t idx, const struct echo *echo)
{
	static const char sql[] = "INSERT OR IGNORE INTO echo (idx,remote,uid,other_uid,since)"
				  " VALUES (?1,?2,?3,?4,?5)";
	int r = schema_need(db, TABLE_ECHO);

	if (r == 0)
		r = db_run_with(db, sql,
			NUMBERS(idx, echo->remote, echo->uid, echo->other_uid, time(NULL)));
	return r < 0 ? r : sqlite3_changes(db->sqlite);
}

static int read_echo(struct db *db, sqlite3_stmt *statement, struct echo *ret)
{
	int r;

	*ret = (struct echo){0};
	r = db_column_u32(db, statement, 1, &ret->uid);

	ret->remote = sqlite3_column_int(statement, 0) != 0;
	ret->paired = sqlite3_column_int(statement, 3) != 0;
	ret->old = sqlite3_column_int64(statement, 4) < time(NULL) - OLD_SECONDS;
	return r == 0 ? db_column_u32(db, statement, 2, &ret->other_uid) : r;
}

int echoes_load(struct db *db, int64_t idx, struct echo **ret_echoes, size_t *ret_count)
{
	static const char sql[] =
		"SELECT remote,uid,other_uid,EXISTS (SELECT 1 FROM mapping WHERE mapping.idx = ?1"
		" AND lUID = iif(remote, other_uid, uid) AND rUID = iif(remote, uid, other_uid)),"
		"since FROM echo WHERE idx = ?1 ORDER BY uid";
	struct echo *echoes = NULL;
	size_t count = 0;
	sqlite3_stmt *statement;
	int r = schema_statement(db, TABLE_ECHO, sql, &statement);

	*ret_echoes = NULL;
	*ret_count = 0;
	if (statement == NULL)
		return r;
	(void)sqlite3_bind_int64(statement, 1, idx);
	while ((r = db_step(db, statement)) > 0) {
		echoes = xgrow(echoes, count, sizeof(*echoes));
		r = read_echo(db, statement, &echoes[count]);
		if (r < 0)
			break;
		count++;
	}
	(void)sqlite3_reset(statement);
	if (r < 0) {
		free(echoes);
		return r;
	}
	*ret_echoes = echoes;
	*ret_count = count;
	return 0;
}

int echoes_delete(struct db *db, int64_t idx, const struct echo *echo)
{
	static const char sql[] = "DELETE FROM echo WHERE idx = ?1 AND remote = ?2 AND uid = ?3";

	return schema_run_with(db, TABLE_ECHO, sql, NUMBERS(idx, echo->remote, echo->uid));
}
