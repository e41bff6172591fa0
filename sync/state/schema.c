/* SPDX-License-Identifier: MIT */
/*
 * The tables of version 1 are those of the Perl interimap, word for word where it matters: either
 * program goes on from the other's file.  Our own tables are made when first needed and refer
 * to mailboxes(idx) ON DELETE CASCADE, so that the other program can still delete a mailbox.
 */
#include "sync/state/schema.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "sync/base/xalloc.h"
#include "sync/state/db-private.h"
#include "sync/state/db.h"

enum { SCHEMA_VERSION = 1 };

static const char create_tables[] =
	"CREATE TABLE mailboxes ("
	"idx INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT, "
	"mailbox BLOB COLLATE BINARY NOT NULL CHECK (mailbox != '') UNIQUE, "
	"subscribed BOOLEAN NOT NULL);"
	"CREATE TABLE local ("
	"idx INTEGER NOT NULL PRIMARY KEY REFERENCES mailboxes(idx), "
	"UIDVALIDITY UNSIGNED INT NOT NULL CHECK (UIDVALIDITY > 0), "
	"UIDNEXT UNSIGNED INT NOT NULL, "
	"HIGHESTMODSEQ UNSIGNED BIGINT NOT NULL);"
	"CREATE TABLE remote ("
	"idx INTEGER NOT NULL PRIMARY KEY REFERENCES mailboxes(idx), "
	"UIDVALIDITY UNSIGNED INT NOT NULL CHECK (UIDVALIDITY > 0), "
	"UIDNEXT UNSIGNED INT NOT NULL, "
	"HIGHESTMODSEQ UNSIGNED BIGINT NOT NULL);"
	"CREATE TABLE mapping ("
	"idx INTEGER NOT NULL REFERENCES mailboxes(idx), "
	"lUID UNSIGNED INT NOT NULL CHECK (lUID > 0), "
	"rUID UNSIGNED INT NOT NULL CHECK (rUID > 0), "
	"PRIMARY KEY (idx,lUID), UNIQUE (idx,rUID));"
	"PRAGMA user_version = 1;";

/*
 * Our own tables, each made when it is first needed: a row here and in `enum table` is all that one
 * takes.  Only we make them, and nobody else has the file open: so what has been found out is kept,
 * until a rollback may have taken the table along (schema_forget()).
 */
static const struct {
	const char *name, *sql;
	bool refers; /* has a column idx that refers to mailboxes */
} tables[TABLE_COUNT] = {
	[TABLE_INTENT] = {"intent",
		"CREATE TABLE IF NOT EXISTS intent ("
		"id INTEGER NOT NULL PRIMARY KEY, "
		"idx INTEGER NOT NULL REFERENCES mailboxes(idx) ON DELETE CASCADE, "
		"to_remote BOOLEAN NOT NULL, "
		"source_uid UNSIGNED INT NOT NULL CHECK (source_uid > 0), "
		"target_uidvalidity UNSIGNED INT NOT NULL, "
		"target_uidnext UNSIGNED INT NOT NULL, "
		"digest BLOB NOT NULL, size UNSIGNED BIGINT NOT NULL, date BIGINT NOT NULL, "
		"UNIQUE (idx,to_remote,source_uid));",
		true},
	/* The columns of `intent`, and when it was given up (seconds since 1970). */
	[TABLE_LATE] = {"late",
		"CREATE TABLE IF NOT EXISTS late ("
		"id INTEGER NOT NULL PRIMARY KEY, "
		"idx INTEGER NOT NULL REFERENCES mailboxes(idx) ON DELETE CASCADE, "
		"to_remote BOOLEAN NOT NULL, "
		"source_uid UNSIGNED INT NOT NULL CHECK (source_uid > 0), "
		"target_uidvalidity UNSIGNED INT NOT NULL, "
		"target_uidnext UNSIGNED INT NOT NULL, "
		"digest BLOB NOT NULL, size UNSIGNED BIGINT NOT NULL, date BIGINT NOT NULL, "
		"since BIGINT NOT NULL);",
		true},
	/* AUTOINCREMENT: the order outlives those that are done. */
	[TABLE_ACTION] = {"action",
		"CREATE TABLE IF NOT EXISTS action ("
		"id INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT, "
		"verb TEXT NOT NULL, to_local BOOLEAN NOT NULL, "
		"certain BOOLEAN NOT NULL, begun BOOLEAN NOT NULL, "
		"mailbox BLOB NOT NULL, target BLOB, "
		"uidvalidity UNSIGNED INT NOT NULL, source_uids TEXT, target_uids TEXT);",
		false},
	/* What the remote server calls a message: see email-ids.h. */
	[TABLE_EMAIL] = {"email",
		"CREATE TABLE IF NOT EXISTS email ("
		"idx INTEGER NOT NULL REFERENCES mailboxes(idx) ON DELETE CASCADE, "
		"rUID UNSIGNED INT NOT NULL CHECK (rUID > 0), "
		"id TEXT NOT NULL, PRIMARY KEY (idx,rUID));"
		"CREATE INDEX IF NOT EXISTS email_id ON email (id);",
		true},
	/* What the remote server calls a mailbox: see mailbox-ids.h. */
	[TABLE_MAILBOX_ID] = {"mailbox_id",
		"CREATE TABLE IF NOT EXISTS mailbox_id ("
		"idx INTEGER NOT NULL PRIMARY KEY REFERENCES mailboxes(idx) ON DELETE CASCADE, "
		"id TEXT NOT NULL);",
		true},
	/* What we expunge ourselves: see echoes.h. */
	[TABLE_ECHO] = {"echo",
		"CREATE TABLE IF NOT EXISTS echo ("
		"idx INTEGER NOT NULL REFERENCES mailboxes(idx) ON DELETE CASCADE, "
		"remote BOOLEAN NOT NULL, uid UNSIGNED INT NOT NULL CHECK (uid > 0), "
		"other_uid UNSIGNED INT NOT NULL CHECK (other_uid > 0), since BIGINT NOT NULL, "
		"PRIMARY KEY (idx,remote,uid)) WITHOUT ROWID;",
		true},
	/* What was deleted for what had vanished: see losses.h.  It outlives the mailbox. */
	[TABLE_LOSS] = {"loss",
		"CREATE TABLE IF NOT EXISTS loss ("
		"mailbox INTEGER NOT NULL, remote BOOLEAN NOT NULL, time BIGINT NOT NULL, "
		"messages UNSIGNED BIGINT NOT NULL);",
		false},
	[TABLE_HOLD] = {"hold",
		"CREATE TABLE IF NOT EXISTS hold ("
		"idx INTEGER NOT NULL REFERENCES mailboxes(idx) ON DELETE CASCADE, "
		"remote BOOLEAN NOT NULL, messages UNSIGNED BIGINT NOT NULL, "
		"PRIMARY KEY (idx,remote)) WITHOUT ROWID;",
		true},
	/* What mail clients removed: see removals.h.  AUTOINCREMENT as for `action`. */
	[TABLE_REMOVAL] = {"removal",
		"CREATE TABLE IF NOT EXISTS removal ("
		"id INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT, mailbox BLOB NOT NULL, "
		"uids TEXT NOT NULL, messages BIGINT NOT NULL, since BIGINT NOT NULL);",
		false},
	/* Up to where the flags of pairs are known: see in-step.h. */
	[TABLE_SETTLED] = {"settled",
		"CREATE TABLE IF NOT EXISTS settled ("
		"idx INTEGER NOT NULL PRIMARY KEY REFERENCES mailboxes(idx) ON DELETE CASCADE, "
		"local_uidvalidity UNSIGNED INT NOT NULL, local UNSIGNED INT NOT NULL, "
		"remote_uidvalidity UNSIGNED INT NOT NULL, remote UNSIGNED INT NOT NULL);",
		true},
	/* What is left alone for a while: see quarantine.h.  idx is NULL for what is of no mailbox.
	 */
	[TABLE_QUARANTINE] = {"quarantine",
		"CREATE TABLE IF NOT EXISTS quarantine ("
		"id INTEGER NOT NULL PRIMARY KEY, "
		"idx INTEGER REFERENCES mailboxes(idx) ON DELETE CASCADE, "
		"kind TEXT NOT NULL, remote BOOLEAN NOT NULL, uid UNSIGNED INT NOT NULL, "
		"deed BIGINT NOT NULL, size UNSIGNED BIGINT NOT NULL, "
		"name TEXT NOT NULL, words TEXT NOT NULL, "
		"tries UNSIGNED INT NOT NULL, since BIGINT NOT NULL, next BIGINT NOT NULL);"
		"CREATE UNIQUE INDEX IF NOT EXISTS quarantine_key ON quarantine "
		"(ifnull(idx,0),kind,remote,uid,deed);",
		true},
	/* What may be the cause of lost connections: see suspicions.h. */
	[TABLE_SUSPICION] = {"suspicion",
		"CREATE TABLE IF NOT EXISTS suspicion ("
		"id INTEGER NOT NULL PRIMARY KEY, kind UNSIGNED INT NOT NULL, "
		"idx INTEGER REFERENCES mailboxes(idx) ON DELETE CASCADE, "
		"deed BIGINT NOT NULL, remote BOOLEAN NOT NULL, uids TEXT NOT NULL, "
		"losses UNSIGNED INT NOT NULL, halves BOOLEAN NOT NULL, since BIGINT NOT NULL);",
		true},
	/* Temporary: what adoption compares, see adopt.h. */
	[TABLE_LISTED] = {"listed",
		"CREATE TEMP TABLE IF NOT EXISTS listed ("
		"idx INTEGER NOT NULL, remote BOOLEAN NOT NULL, uid UNSIGNED INT NOT NULL, "
		"digest BLOB NOT NULL, size UNSIGNED BIGINT NOT NULL, date BIGINT NOT NULL, "
		"refined BLOB NOT NULL DEFAULT x'', "
		"PRIMARY KEY (idx,remote,uid)) WITHOUT ROWID;"
		"CREATE INDEX IF NOT EXISTS temp.listed_identity ON listed "
		"(idx,remote,digest,size,date,refined,uid);",
		false},
	/* Temporary: what --verify compares, see verified.h. */
	[TABLE_VERIFIED] = {"verified",
		"CREATE TEMP TABLE IF NOT EXISTS verified ("
		"remote BOOLEAN NOT NULL, uid UNSIGNED INT NOT NULL, "
		"digest BLOB NOT NULL, size UNSIGNED BIGINT NOT NULL, date BIGINT NOT NULL, "
		"flags TEXT NOT NULL, mate UNSIGNED INT, paired BOOLEAN NOT NULL DEFAULT 0, "
		"PRIMARY KEY (remote,uid)) WITHOUT ROWID;"
		"CREATE INDEX IF NOT EXISTS temp.verified_mate ON verified (remote,mate);",
		false},
};

static int table_exists(struct db *db, const char *name, bool *ret_exists)
{
	static const char sql[] = "SELECT 1 FROM sqlite_schema WHERE type = 'table' AND name = ?1 "
				  "UNION ALL SELECT 1 FROM sqlite_temp_schema "
				  "WHERE type = 'table' AND name = ?1";
	sqlite3_stmt *statement = db_statement(db, sql);
	int r;

	if (statement == NULL)
		return -EIO;
	(void)sqlite3_bind_text(statement, 1, name, -1, SQLITE_STATIC);
	r = db_step(db, statement);
	(void)sqlite3_reset(statement);
	if (r < 0)
		return r;
	*ret_exists = r > 0;
	return 0;
}

int schema_find(struct db *db, enum table table, bool *ret_exists)
{
	bool exists = db->presence[table] == TABLE_IS_THERE;
	int r;

	if (db->presence[table] == TABLE_IS_UNKNOWN) {
		r = table_exists(db, tables[table].name, &exists);
		if (r < 0)
			return r;
		db->presence[table] = exists ? TABLE_IS_THERE : TABLE_IS_MISSING;
	}
	*ret_exists = exists;
	return 0;
}

int schema_need(struct db *db, enum table table)
{
	int r = 0;

	if (db->presence[table] != TABLE_IS_THERE) {
		r = db_execute(db, tables[table].sql);
		db->presence[table] = r == 0 ? TABLE_IS_THERE : TABLE_IS_UNKNOWN;
	}
	return r;
}

/* What refers to a mailbox does so by UIDs, but for what the server calls the mailbox itself. */
int schema_drop_uids(struct db *db, int64_t idx)
{
	int r = 0;

	for (size_t i = 0; i < TABLE_COUNT && r >= 0; i++) {
		_cleanup_free_ char *sql = NULL;
		bool exists = false;

		if (!tables[i].refers || i == TABLE_MAILBOX_ID)
			continue;
		r = schema_find(db, (enum table)i, &exists);
		if (r < 0 || !exists)
			continue;
		sql = xasprintf("DELETE FROM %s WHERE idx = %lld", tables[i].name, (long long)idx);
		r = db_execute(db, sql);
	}
	return r;
}

void schema_forget(struct db *db)
{
	for (size_t i = 0; i < TABLE_COUNT; i++)
		db->presence[i] = TABLE_IS_UNKNOWN;
}

int schema_statement(struct db *db, enum table table, const char *sql, sqlite3_stmt **ret)
{
	bool exists;
	int r = schema_find(db, table, &exists);

	*ret = NULL;
	if (r < 0 || !exists)
		return r;
	*ret = db_statement(db, sql);
	return *ret != NULL ? 0 : -EIO;
}

int schema_run_with(struct db *db, enum table table, const char *sql, struct numbers numbers)
{
	bool exists;
	int r = schema_find(db, table, &exists);

	return r < 0 || !exists ? r : db_run_with(db, sql, numbers);
}

static int check_references(struct db *db)
{
	static const char sql[] = "SELECT count(*) FROM pragma_foreign_key_check";
	int64_t broken;
	int r = db_number(db, sql, &broken);

	if (r == 0 && broken > 0)
		r = db_refuse(db, -EINVAL, "%lld rows refer to nothing", (long long)broken);
	return r;
}

/* In a name of version 0: the delimiter becomes NUL, in place.  With two delimiters it is unknown
 * which of them was meant. */
static int convert_name(struct db *db, char *name, size_t len, char local, char remote)
{
	if (local != remote && ((local != '\0' && memchr(name, local, len) != NULL) ||
				       (remote != '\0' && memchr(name, remote, len) != NULL)))
		return db_refuse(db, -EINVAL,
			"the hierarchy delimiters differ and mailbox %s has one", name);
	for (size_t i = 0; i < len && local == remote && local != '\0'; i++) {
		if (name[i] == local)
			name[i] = '\0';
	}
	return 0;
}

static int copy_mailboxes(struct db *db, char local, char remote)
{
	static const char select[] =
		"SELECT idx, CAST(mailbox AS BLOB), subscribed FROM temp.old_mailboxes";
	static const char insert[] =
		"INSERT INTO mailboxes (idx,mailbox,subscribed) VALUES (?1,?2,?3)";
	sqlite3_stmt *from = db_statement(db, select), *to;
	int r;

	while ((r = db_step(db, from)) > 0) {
		size_t len = (size_t)sqlite3_column_bytes(from, 1);
		_cleanup_free_ char *name = xmemdup0(sqlite3_column_blob(from, 1), len);

		r = convert_name(db, name, len, local, remote);
		to = r == 0 ? db_statement(db, insert) : NULL;
		if (to != NULL) {
			(void)sqlite3_bind_int64(to, 1, sqlite3_column_int64(from, 0));
			(void)sqlite3_bind_blob(to, 2, name, (int)len, SQLITE_STATIC);
			(void)sqlite3_bind_int(to, 3, sqlite3_column_int(from, 2));
			r = db_run(db, to);
		} else if (r == 0) {
			r = -EIO;
		}
		if (r < 0)
			break;
	}
	if (from != NULL)
		(void)sqlite3_reset(from);
	return r;
}

/*
 * The old rows go through temporary tables, so that the new tables have their own names from the
 * start.  References are checked before and, since foreign keys are enforced, while inserting.
 */
static int migrate_tables(struct db *db, char local, char remote)
{
	int r = check_references(db);

	if (r == 0)
		r = db_execute(db,
			"CREATE TEMP TABLE old_mailboxes AS SELECT * FROM main.mailboxes;"
			"CREATE TEMP TABLE old_local AS SELECT * FROM main.local;"
			"CREATE TEMP TABLE old_remote AS SELECT * FROM main.remote;"
			"CREATE TEMP TABLE old_mapping AS SELECT * FROM main.mapping;"
			"DROP TABLE main.mapping; DROP TABLE main.remote;"
			"DROP TABLE main.local; DROP TABLE main.mailboxes;");
	if (r == 0)
		r = db_execute(db, create_tables);
	if (r == 0)
		r = copy_mailboxes(db, local, remote);
	if (r == 0)
		r = db_execute(db,
			"INSERT INTO local (idx,UIDVALIDITY,UIDNEXT,HIGHESTMODSEQ) "
			"SELECT idx,UIDVALIDITY,UIDNEXT,HIGHESTMODSEQ FROM temp.old_local;"
			"INSERT INTO remote (idx,UIDVALIDITY,UIDNEXT,HIGHESTMODSEQ) "
			"SELECT idx,UIDVALIDITY,UIDNEXT,HIGHESTMODSEQ FROM temp.old_remote;"
			"INSERT INTO mapping (idx,lUID,rUID) "
			"SELECT idx,lUID,rUID FROM temp.old_mapping;");
	return r;
}

static int migrate(struct db *db, char local, char remote)
{
	int r = db_begin(db);

	if (r < 0)
		return r;
	r = migrate_tables(db, local, remote);
	if (r == -EEXIST || r == -EINVAL)
		r = db_refuse(db, -EINVAL, "cannot upgrade: %s", db_error(db));
	if (r == 0)
		r = db_commit(db);
	if (r < 0)
		db_rollback(db);
	if (r == 0)
		r = db_execute(db, "DROP TABLE temp.old_mailboxes; DROP TABLE temp.old_local;"
				   "DROP TABLE temp.old_remote; DROP TABLE temp.old_mapping;");
	return r;
}

/* By the name of the table, which those of its indices have, too. */
static bool is_our_own(const char *name)
{
	for (size_t i = 0; i < TABLE_COUNT; i++) {
		if (strcmp(name, tables[i].name) == 0)
			return true;
	}
	return strcmp(name, "sqlite_sequence") == 0; /* that of AUTOINCREMENT */
}

/* What mail clients do is written down from the first moment on, and this may be before the remote
 * server has been reached for the first time. */
static int refuse_others(struct db *db)
{
	static const char sql[] = "SELECT tbl_name FROM sqlite_schema";
	sqlite3_stmt *statement = db_statement(db, sql);
	const char *name;
	int r;

	while ((r = db_step(db, statement)) > 0) {
		name = (const char *)sqlite3_column_text(statement, 0);
		if (name == NULL || !is_our_own(name)) {
			(void)sqlite3_reset(statement);
			return db_refuse(db, -EINVAL, "this is the database of another program");
		}
	}
	return r;
}

static int create(struct db *db)
{
	bool own;
	int r = refuse_others(db);

	if (r == 0)
		r = db_enter(db, &own);
	if (r == 0)
		r = db_leave(db, own, db_execute(db, create_tables));
	return r;
}

/* The Perl program need not enforce our references when it deletes a mailbox. */
static int clean_references(struct db *db)
{
	bool exists;
	int r = 0;

	for (enum table table = 0; table < TABLE_COUNT && r == 0; table++) {
		_cleanup_free_ char *sql = NULL;

		if (!tables[table].refers)
			continue;
		r = schema_find(db, table, &exists);
		if (r < 0 || !exists)
			continue;
		sql = xasprintf("DELETE FROM %s WHERE idx NOT IN (SELECT idx FROM mailboxes)",
			tables[table].name);
		r = db_execute(db, sql);
	}
	return r;
}

int db_prepare_schema(struct db *db, char local_delimiter, char remote_delimiter)
{
	bool has_mailboxes = false;
	int64_t version;
	int r = db_number(db, "PRAGMA user_version", &version);

	if (r == 0)
		r = table_exists(db, "mailboxes", &has_mailboxes);
	if (r < 0)
		return r;
	if (version == 0 && !has_mailboxes)
		r = create(db);
	else if (version == 0)
		r = migrate(db, local_delimiter, remote_delimiter);
	else if (version != SCHEMA_VERSION)
		r = db_refuse(db, -ENOTSUP, "its version is %lld, only up to %d is known",
			(long long)version, SCHEMA_VERSION);
	else if (!has_mailboxes)
		r = db_refuse(db, -EINVAL, "this is the database of another program");
	if (r == 0)
		r = clean_references(db);
	return r == 0 ? version == 0 && has_mailboxes : r;
}
