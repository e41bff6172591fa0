/* SPDX-License-Identifier: MIT */
#include "sync/state/quarantine.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "sync/base/limits.h"
#include "sync/base/xalloc.h"
#include "sync/state/db-private.h"
#include "sync/state/db.h"
#include "sync/state/schema.h"

static const char *const kinds[] = {
	"APPEND", "FETCH", "doubt", "STORE", "EXPUNGE", "deed", "mailbox"};

static_assert(ARRAY_LEN(kinds) == QUARANTINE_KIND_COUNT, "one name each");

const char *quarantine_kind_name(enum quarantine_kind kind)
{
	return kinds[kind];
}

static bool read_kind(const char *name, enum quarantine_kind *ret)
{
	for (size_t i = 0; i < ARRAY_LEN(kinds); i++)
		if (name != NULL && strcmp(name, kinds[i]) == 0) {
			*ret = (enum quarantine_kind)i;
			return true;
		}
	return false;
}

/* Parameters 1 to 5. */
static void bind_key(sqlite3_stmt *statement, const struct quarantine *row)
{
	if (row->mailbox != 0)
		(void)sqlite3_bind_int64(statement, 1, row->mailbox);
	else
		(void)sqlite3_bind_null(statement, 1);
	(void)sqlite3_bind_text(statement, 2, kinds[row->kind], -1, SQLITE_STATIC);
	(void)sqlite3_bind_int(statement, 3, row->remote);
	(void)sqlite3_bind_int64(statement, 4, row->uid);
	(void)sqlite3_bind_int64(statement, 5, row->deed);
}

/* Its id, if it is there: 1. */
static int find_id(struct db *db, struct quarantine *row)
{
	static const char sql[] = "SELECT id FROM quarantine WHERE ifnull(idx,0) = ifnull(?1,0)"
				  " AND kind = ?2 AND remote = ?3 AND uid = ?4 AND deed = ?5";
	sqlite3_stmt *statement;
	int r = schema_statement(db, TABLE_QUARANTINE, sql, &statement);

	if (statement == NULL)
		return r;
	bind_key(statement, row);
	r = db_step(db, statement);
	if (r > 0)
		row->id = sqlite3_column_int64(statement, 0);
	(void)sqlite3_reset(statement);
	return r;
}

/* Parameters 6 to 11. */
static void bind_value(sqlite3_stmt *statement, const struct quarantine *row)
{
	(void)sqlite3_bind_int64(statement, 6, (int64_t)row->size);
	(void)sqlite3_bind_text(
		statement, 7, row->name != NULL ? row->name : "", -1, SQLITE_STATIC);
	(void)sqlite3_bind_text(
		statement, 8, row->words != NULL ? row->words : "", -1, SQLITE_STATIC);
	(void)sqlite3_bind_int64(statement, 9, row->tries);
	(void)sqlite3_bind_int64(statement, 10, row->since);
	(void)sqlite3_bind_int64(statement, 11, row->next);
}

static int insert(struct db *db, struct quarantine *row)
{
	static const char sql[] =
		"INSERT INTO quarantine (idx,kind,remote,uid,deed,size,name,words,tries,since,next)"
		" VALUES (?1,?2,?3,?4,?5,?6,?7,?8,?9,?10,?11)";
	sqlite3_stmt *statement;
	int64_t rows;
	int r = db_number(db, "SELECT count(*) FROM quarantine", &rows);

	if (r < 0)
		return r;
	if (rows >= LIMIT_QUARANTINE)
		return -EDQUOT;
	statement = db_statement(db, sql);
	if (statement == NULL)
		return -EIO;
	bind_key(statement, row);
	bind_value(statement, row);
	r = db_run(db, statement);
	if (r == 0)
		row->id = sqlite3_last_insert_rowid(db->sqlite);
	return r < 0 ? r : 1;
}

static int update(struct db *db, const struct quarantine *row)
{
	static const char sql[] =
		"UPDATE quarantine SET size = ?6, name = ?7, words = ?8, tries = ?9, since = ?10,"
		" next = ?11 WHERE id = ?12";
	sqlite3_stmt *statement = db_statement(db, sql);

	if (statement == NULL)
		return -EIO;
	bind_value(statement, row);
	(void)sqlite3_bind_int64(statement, 12, row->id);
	return db_run(db, statement);
}

int quarantine_put(struct db *db, struct quarantine *row)
{
	int r = schema_need(db, TABLE_QUARANTINE);

	if (r == 0)
		r = find_id(db, row);
	if (r < 0)
		return r;
	return r > 0 ? update(db, row) : insert(db, row);
}

/* A row that this program has not written is left out: 0. */
static int read_row(struct db *db, sqlite3_stmt *statement, struct quarantine *ret)
{
	const char *name = (const char *)sqlite3_column_text(statement, 7);
	const char *words = (const char *)sqlite3_column_text(statement, 8);
	int64_t tries = sqlite3_column_int64(statement, 9);
	struct quarantine row = {
		.id = sqlite3_column_int64(statement, 0),
		.mailbox = sqlite3_column_int64(statement, 1),
		.remote = sqlite3_column_int(statement, 3) != 0,
		.deed = sqlite3_column_int64(statement, 5),
		.size = (uint64_t)sqlite3_column_int64(statement, 6),
		.tries = tries < 0 || tries > INT32_MAX ? INT32_MAX : (unsigned)tries,
		.since = sqlite3_column_int64(statement, 10),
		.next = sqlite3_column_int64(statement, 11),
	};
	int r = db_column_u32(db, statement, 4, &row.uid);

	if (r < 0)
		return r;
	if (!read_kind((const char *)sqlite3_column_text(statement, 2), &row.kind))
		return 0;
	row.name = xstrdup(name != NULL ? name : "");
	row.words = xstrdup(words != NULL ? words : "");
	if (sqlite3_column_type(statement, 12) != SQLITE_NULL) {
		row.mailbox_len = (size_t)sqlite3_column_bytes(statement, 12);
		row.mailbox_name = xmemdup0(sqlite3_column_blob(statement, 12), row.mailbox_len);
	}
	*ret = row;
	return 1;
}

#define COLUMNS \
	"SELECT q.id,ifnull(q.idx,0),q.kind,q.remote,q.uid,q.deed,q.size,q.name,q.words,q.tries," \
	"q.since,q.next,m.mailbox FROM quarantine q LEFT JOIN mailboxes m ON m.idx = q.idx "

int quarantine_find(struct db *db, struct quarantine *row)
{
	static const char sql[] =
		COLUMNS "WHERE ifnull(q.idx,0) = ifnull(?1,0) AND q.kind = ?2 AND q.remote = ?3"
			" AND q.uid = ?4 AND q.deed = ?5";
	sqlite3_stmt *statement;
	int r = schema_statement(db, TABLE_QUARANTINE, sql, &statement);

	if (statement == NULL)
		return r;
	bind_key(statement, row);
	r = db_step(db, statement);
	if (r > 0)
		r = read_row(db, statement, row);
	(void)sqlite3_reset(statement);
	return r;
}

void quarantine_done(struct quarantine *row)
{
	free(take(row->name));
	free(take(row->words));
	free(take(row->mailbox_name));
}

int quarantine_delete(struct db *db, int64_t id)
{
	static const char sql[] = "DELETE FROM quarantine WHERE id = ?1";

	return schema_run_with(db, TABLE_QUARANTINE, sql, NUMBERS(id));
}

int quarantine_load(struct db *db, int64_t mailbox, struct quarantine **ret_rows, size_t *ret_count)
{
	static const char sql[] =
		COLUMNS "WHERE q.idx = ?1 OR ?1 = 0 ORDER BY q.idx,q.remote,q.uid,q.id";
	struct quarantine *rows = NULL;
	size_t count = 0;
	sqlite3_stmt *statement;
	int r = schema_statement(db, TABLE_QUARANTINE, sql, &statement);

	*ret_rows = NULL;
	*ret_count = 0;
	if (statement == NULL)
		return r;
	(void)sqlite3_bind_int64(statement, 1, mailbox);
	while ((r = db_step(db, statement)) > 0) {
		rows = xgrow(rows, count, sizeof(*rows));
		r = read_row(db, statement, &rows[count]);
		if (r < 0)
			break;
		count += r > 0;
	}
	(void)sqlite3_reset(statement);
	if (r < 0) {
		quarantine_free(rows, count);
		return r;
	}
	*ret_rows = rows;
	*ret_count = count;
	return 0;
}

void quarantine_free(struct quarantine *rows, size_t count)
{
	for (size_t i = 0; i < count; i++)
		quarantine_done(&rows[i]);
	free(rows);
}

int quarantine_sums(struct db *db, struct quarantine_sum **ret_sums, size_t *ret_count)
{
	static const char sql[] = "SELECT ifnull(idx,0) AS of, count(*), min(next) FROM quarantine"
				  " GROUP BY of ORDER BY of";
	struct quarantine_sum *sums = NULL;
	size_t count = 0;
	sqlite3_stmt *statement;
	int r = schema_statement(db, TABLE_QUARANTINE, sql, &statement);

	*ret_sums = NULL;
	*ret_count = 0;
	if (statement == NULL)
		return r;
	while ((r = db_step(db, statement)) > 0) {
		sums = xgrow(sums, count, sizeof(*sums));
		sums[count++] = (struct quarantine_sum){
			.mailbox = sqlite3_column_int64(statement, 0),
			.rows = (uint64_t)sqlite3_column_int64(statement, 1),
			.next = sqlite3_column_int64(statement, 2),
		};
	}
	(void)sqlite3_reset(statement);
	if (r < 0) {
		free(sums);
		return r;
	}
	*ret_sums = sums;
	*ret_count = count;
	return 0;
}
