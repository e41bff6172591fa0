/* SPDX-License-Identifier: MIT */
#include "sync/state/mailboxes.h"

#include <errno.h>
#include <limits.h>
#include <stdlib.h>

#include "sync/base/xalloc.h"
#include "sync/state/db-private.h"
#include "sync/state/db.h"
#include "sync/state/schema.h"

static int read_state(
	struct db *db, sqlite3_stmt *statement, int column, struct mailbox_state *state)
{
	int r = db_column_u32(db, statement, column, &state->uidvalidity);

	if (r == 0)
		r = db_column_u32(db, statement, column + 1, &state->uidnext);
	/* The unsigned value is kept as two's complement: SQLite knows signed integers only. */
	state->highestmodseq = (uint64_t)sqlite3_column_int64(statement, column + 2);
	return r;
}

static int read_row(struct db *db, sqlite3_stmt *statement, struct mailbox_row *row)
{
	row->idx = sqlite3_column_int64(statement, 0);
	row->len = (size_t)sqlite3_column_bytes(statement, 1);
	row->name = xmemdup0(sqlite3_column_blob(statement, 1), row->len);
	row->subscribed = sqlite3_column_int(statement, 2) != 0;
	/* A missing row gives NULLs, which read as 0. */
	return read_state(db, statement, 3, &row->local) < 0 ||
			       read_state(db, statement, 6, &row->remote) < 0
		       ? -EIO
		       : 0;
}

int mailboxes_load(struct db *db, struct mailbox_row **ret_rows, size_t *ret_count)
{
	static const char sql[] =
		"SELECT m.idx, CAST(m.mailbox AS BLOB), m.subscribed,"
		" l.UIDVALIDITY, l.UIDNEXT, l.HIGHESTMODSEQ,"
		" r.UIDVALIDITY, r.UIDNEXT, r.HIGHESTMODSEQ FROM mailboxes m"
		" LEFT JOIN local l USING (idx) LEFT JOIN remote r ON r.idx = m.idx ORDER BY m.idx";
	sqlite3_stmt *statement = db_statement(db, sql);
	struct mailbox_row *rows = NULL;
	size_t count = 0;
	int r;

	while ((r = db_step(db, statement)) > 0) {
		rows = xgrow(rows, count, sizeof(*rows));
		r = read_row(db, statement, &rows[count++]);
		if (r < 0) {
			(void)sqlite3_reset(statement);
			break;
		}
	}
	if (r < 0) {
		mailbox_rows_free(rows, count);
		return r;
	}
	*ret_rows = rows;
	*ret_count = count;
	return 0;
}

void mailbox_rows_free(struct mailbox_row *rows, size_t count)
{
	for (size_t i = 0; i < count; i++)
		free(rows[i].name);
	free(rows);
}

/* The CHECK of the table compares with a text and so never holds for a blob. */
static int check_name(struct db *db, size_t len)
{
	return len > 0 && len <= INT_MAX ? 0 : db_refuse(db, -EINVAL, "empty mailbox name");
}

int mailboxes_insert(struct db *db, const char *name, size_t len, bool subscribed, int64_t *ret_idx)
{
	static const char sql[] = "INSERT INTO mailboxes (mailbox,subscribed) VALUES (?1,?2)";
	sqlite3_stmt *statement;
	int r = check_name(db, len);

	if (r < 0)
		return r;
	statement = db_statement(db, sql);
	if (statement == NULL)
		return -EIO;
	(void)sqlite3_bind_blob(statement, 1, name, (int)len, SQLITE_STATIC);
	(void)sqlite3_bind_int(statement, 2, subscribed);
	r = db_run(db, statement);
	if (r == 0)
		*ret_idx = sqlite3_last_insert_rowid(db->sqlite);
	return r;
}

/* What comes of a statement that changes the row of one mailbox. */
static int changed_one(struct db *db, int r)
{
	if (r == 0 && sqlite3_changes(db->sqlite) == 0)
		r = db_refuse(db, -ENOENT, "unknown mailbox");
	return r;
}

int mailboxes_set_subscribed(struct db *db, int64_t idx, bool subscribed)
{
	static const char sql[] = "UPDATE mailboxes SET subscribed = ?2 WHERE idx = ?1";

	return changed_one(db, db_run_with(db, sql, NUMBERS(idx, subscribed)));
}

int mailboxes_rename(struct db *db, int64_t idx, const char *name, size_t len)
{
	static const char sql[] = "UPDATE mailboxes SET mailbox = ?2 WHERE idx = ?1";
	sqlite3_stmt *statement;
	int r = check_name(db, len);

	if (r < 0)
		return r;
	statement = db_statement(db, sql);
	if (statement == NULL)
		return -EIO;
	(void)sqlite3_bind_int64(statement, 1, idx);
	(void)sqlite3_bind_blob(statement, 2, name, (int)len, SQLITE_STATIC);
	return changed_one(db, db_run(db, statement));
}

int mailboxes_delete(struct db *db, int64_t idx)
{
	static const char mapping[] = "DELETE FROM mapping WHERE idx = ?1";
	static const char local[] = "DELETE FROM local WHERE idx = ?1";
	static const char remote[] = "DELETE FROM remote WHERE idx = ?1";
	static const char mailbox[] = "DELETE FROM mailboxes WHERE idx = ?1"; /* and our own */
	const char *const sql[] = {mapping, local, remote, mailbox};
	bool own;
	int r = db_enter(db, &own);

	if (r < 0)
		return r;
	for (size_t i = 0; i < ARRAY_LEN(sql) && r == 0; i++)
		r = db_run_with(db, sql[i], NUMBERS(idx));
	return db_leave(db, own, r);
}

int mailboxes_forget_uids(struct db *db, int64_t idx)
{
	static const char sql[] = "DELETE FROM mapping WHERE idx = ?1";
	int r = db_run_with(db, sql, NUMBERS(idx));

	return r == 0 ? schema_drop_uids(db, idx) : r;
}

int mailboxes_set_state(struct db *db, int64_t idx, bool remote, const struct mailbox_state *state)
{
#define SET_STATE(table) \
	"INSERT INTO " table " (idx,UIDVALIDITY,UIDNEXT,HIGHESTMODSEQ) VALUES (?1,?2,?3,?4)" \
	" ON CONFLICT (idx) DO UPDATE SET UIDVALIDITY = excluded.UIDVALIDITY," \
	" UIDNEXT = excluded.UIDNEXT, HIGHESTMODSEQ = excluded.HIGHESTMODSEQ"
	static const char set_local[] = SET_STATE("local");
	static const char set_remote[] = SET_STATE("remote");
#undef SET_STATE

	return db_run_with(db, remote ? set_remote : set_local,
		NUMBERS(idx, state->uidvalidity, state->uidnext, (int64_t)state->highestmodseq));
}
