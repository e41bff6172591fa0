/* SPDX-License-Identifier: MIT */
#include "sync/state/verified.h"

#include <errno.h>
#include <stdlib.h>

#include "sync/base/xalloc.h"
#include "sync/state/db-private.h"
#include "sync/state/db.h"
#include "sync/state/schema.h"

int verified_begin(struct db *db)
{
	static const char sql[] = "DELETE FROM temp.verified";
	sqlite3_stmt *statement;
	int r = schema_need(db, TABLE_VERIFIED);

	if (r < 0)
		return r;
	statement = db_statement(db, sql);
	return statement != NULL ? db_run(db, statement) : -EIO;
}

int verified_add(struct db *db, bool remote, uint32_t uid, const struct identity *identity,
	const char *flags)
{
	static const char sql[] =
		"INSERT OR REPLACE INTO temp.verified (remote,uid,digest,size,date,flags)"
		" VALUES (?1,?2,?3,?4,?5,?6)";
	sqlite3_stmt *statement = db_statement(db, sql);

	if (statement == NULL)
		return -EIO;
	(void)sqlite3_bind_int(statement, 1, remote);
	(void)sqlite3_bind_int64(statement, 2, uid);
	(void)sqlite3_bind_blob(
		statement, 3, identity->digest, sizeof(identity->digest), SQLITE_STATIC);
	(void)sqlite3_bind_int64(statement, 4, (int64_t)identity->size);
	(void)sqlite3_bind_int64(statement, 5, identity->date);
	(void)sqlite3_bind_text(statement, 6, flags, -1, SQLITE_STATIC);
	return db_run(db, statement);
}

/* A local message gets its mate, and that one the other way. */
static int find_mates(struct db *db, int64_t idx)
{
	static const char paired[] =
		"UPDATE temp.verified SET paired = 1, mate ="
		" (SELECT rUID FROM mapping WHERE idx = ?1 AND lUID = verified.uid)"
		" WHERE remote = 0 AND EXISTS (SELECT 1 FROM mapping m JOIN temp.verified o"
		" ON o.remote = 1 AND o.uid = m.rUID WHERE m.idx = ?1 AND m.lUID = verified.uid)";
	static const char identical[] =
		"WITH ranked AS MATERIALIZED (SELECT remote, uid, digest, size, date,"
		" row_number() OVER (PARTITION BY remote, digest, size, date ORDER BY uid) AS n"
		" FROM temp.verified WHERE mate IS NULL)"
		" UPDATE temp.verified SET mate = p.mate FROM"
		" (SELECT l.uid AS uid, r.uid AS mate FROM ranked l JOIN ranked r ON"
		" r.digest = l.digest AND r.size = l.size AND r.date = l.date AND r.n = l.n"
		" WHERE l.remote = 0 AND r.remote = 1) AS p"
		" WHERE verified.remote = 0 AND verified.uid = p.uid AND ?1 IS NOT NULL";
	static const char other_way[] =
		"UPDATE temp.verified SET paired = l.paired, mate = l.uid FROM temp.verified AS l"
		" WHERE verified.remote = 1 AND l.remote = 0 AND l.mate = verified.uid"
		" AND ?1 IS NOT NULL";
	/* The second step is not to take what the first one has paired. */
	const char *const steps[] = {paired, other_way, identical, other_way};
	int r = 0;

	for (size_t i = 0; i < ARRAY_LEN(steps) && r >= 0; i++)
		r = db_run_with(db, steps[i], NUMBERS(idx));
	return r;
}

#define MATES \
	" FROM temp.verified l JOIN temp.verified r ON r.remote = 1 AND r.uid = l.mate" \
	" WHERE l.remote = 0"
#define STRANGERS \
	" AND l.paired AND (l.digest <> r.digest OR (l.size <> r.size AND l.date <> r.date))"
#define FLAGS " AND l.flags <> r.flags"

int verified_compare(struct db *db, int64_t idx, struct verified_counts *ret)
{
	static const char sql[] =
		"SELECT (SELECT count(*) FROM temp.verified WHERE remote = 0),"
		" (SELECT count(*) FROM temp.verified WHERE remote = 1),"
		" (SELECT count(*) FROM temp.verified WHERE remote = 0 AND mate IS NULL),"
		" (SELECT count(*) FROM temp.verified WHERE remote = 1 AND mate IS NULL),"
		" (SELECT count(*)" MATES FLAGS "), (SELECT count(*)" MATES STRANGERS "),"
		" (SELECT count(*)" MATES " AND NOT l.paired)";
	uint64_t *const members[] = {&ret->local, &ret->remote, &ret->only_local, &ret->only_remote,
		&ret->flags, &ret->strangers, &ret->unpaired};
	sqlite3_stmt *statement;
	int r = find_mates(db, idx);

	if (r < 0)
		return r;
	statement = db_statement(db, sql);
	if (statement == NULL)
		return -EIO;
	r = db_step(db, statement);
	if (r < 0)
		return r;
	for (size_t i = 0; i < ARRAY_LEN(members); i++)
		*members[i] = (uint64_t)sqlite3_column_int64(statement, (int)i);
	(void)sqlite3_reset(statement);
	return 0;
}

static char *column_text(sqlite3_stmt *statement, int column)
{
	const unsigned char *text = sqlite3_column_text(statement, column);

	return text != NULL ? xstrdup((const char *)text) : NULL;
}

static struct verified_message read_message(sqlite3_stmt *statement)
{
	return (struct verified_message){
		.local = (uint32_t)sqlite3_column_int64(statement, 0),
		.remote = (uint32_t)sqlite3_column_int64(statement, 1),
		.size = (uint64_t)sqlite3_column_int64(statement, 2),
		.local_flags = column_text(statement, 3),
		.remote_flags = column_text(statement, 4),
	};
}

int verified_list(struct db *db, enum verified_difference difference, uint32_t after, uint32_t max,
	struct verified_message **ret, size_t *ret_count)
{
	static const char *const sql[] = {
		[VERIFIED_ONLY_LOCAL] =
			"SELECT uid, 0, size, flags, NULL FROM temp.verified"
			" WHERE remote = 0 AND mate IS NULL AND uid > ?1 ORDER BY uid LIMIT ?2",
		[VERIFIED_ONLY_REMOTE] =
			"SELECT 0, uid, size, NULL, flags FROM temp.verified"
			" WHERE remote = 1 AND mate IS NULL AND uid > ?1 ORDER BY uid LIMIT ?2",
		[VERIFIED_FLAGS] = "SELECT l.uid, r.uid, l.size, l.flags, r.flags" MATES FLAGS
				   " AND l.uid > ?1 ORDER BY l.uid LIMIT ?2",
		[VERIFIED_STRANGERS] =
			"SELECT l.uid, r.uid, l.size, l.flags, r.flags" MATES STRANGERS
			" AND l.uid > ?1 ORDER BY l.uid LIMIT ?2",
	};
	sqlite3_stmt *statement = db_statement(db, sql[difference]);
	struct verified_message *messages = NULL;
	size_t count = 0;
	int r;

	if (statement == NULL)
		return -EIO;
	(void)sqlite3_bind_int64(statement, 1, after);
	(void)sqlite3_bind_int64(statement, 2, max);
	while ((r = db_step(db, statement)) > 0) {
		messages = xreallocarray(messages, count + 1, sizeof(*messages));
		messages[count++] = read_message(statement);
	}
	if (r < 0) {
		verified_messages_free(messages, count);
		return r;
	}
	*ret = messages;
	*ret_count = count;
	return 0;
}

void verified_messages_free(struct verified_message *messages, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		free(messages[i].local_flags);
		free(messages[i].remote_flags);
	}
	free(messages);
}
