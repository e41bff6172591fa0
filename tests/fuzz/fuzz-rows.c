/* SPDX-License-Identifier: MIT */
/*
 * Rows of our own tables as somebody else may have left them: what the program reads of them is
 * within its types, or an error.  The first line names the table; each further one is a column: 'i'
 * and a number, 't' and text, 'b' and bytes, anything else NULL.
 */
#include "sync/base/limits.h"
#include "sync/imap/seqset.h"
#include "sync/state/actions.h"
#include "sync/state/db-private.h"
#include "sync/state/db.h"
#include "sync/state/mailboxes.h"
#include "sync/state/quarantine.h"
#include "sync/state/removals.h"
#include "tests/fuzz/fuzz.h"

static struct db *open_database(void)
{
	struct db *db = NULL;
	char *reason = NULL;
	int64_t idx;

	CHECK(db_open(":memory:", true, &db, &reason) == 0);
	CHECK(db_prepare_schema(db, '/', '/') == 0);
	CHECK(mailboxes_insert(db, "INBOX", 5, true, &idx) == 0 && idx == 1);
	CHECK(schema_need(db, TABLE_ACTION) == 0);
	CHECK(schema_need(db, TABLE_QUARANTINE) == 0);
	CHECK(schema_need(db, TABLE_REMOVAL) == 0);
	return db;
}

static void bind(sqlite3_stmt *statement, int column, const char *line, size_t n)
{
	char number[24] = "";

	if (n == 0)
		return;
	switch (*line) {
	case 'i':
		memcpy(number, line + 1, n - 1 < sizeof(number) ? n - 1 : sizeof(number) - 1);
		(void)sqlite3_bind_int64(statement, column, strtoll(number, NULL, 10));
		break;
	case 't':
		(void)sqlite3_bind_text(statement, column, line + 1, (int)n - 1, SQLITE_TRANSIENT);
		break;
	case 'b':
		(void)sqlite3_bind_blob(statement, column, line + 1, (int)n - 1, SQLITE_TRANSIENT);
		break;
	default:
		break;
	}
}

/* The length of the next line; *ret_next is behind its end. */
static size_t next_line(const char *at, const char *end, const char **ret_next)
{
	const char *newline = at < end ? memchr(at, '\n', (size_t)(end - at)) : NULL;

	*ret_next = newline != NULL ? newline + 1 : end;
	return (size_t)((newline != NULL ? newline : end) - at);
}

/* A row that the table itself refuses is none. */
static void insert(struct db *db, const char *sql, const char *at, const char *end)
{
	sqlite3_stmt *statement = db_statement(db, sql);

	CHECK(statement != NULL);
	for (int column = 1; column <= sqlite3_bind_parameter_count(statement); column++) {
		const char *next;
		size_t n = next_line(at, end, &next);

		bind(statement, column, at, n);
		at = next;
	}
	(void)db_run(db, statement);
}

/* As a replay does (replay/messages.c). */
static void check_uids(const char *text)
{
	uint32_t *uids = NULL;
	size_t count = 0;

	if (text != NULL && seqset_expand((struct slice){.data = text, .len = strlen(text)},
				    LIMIT_COPIED_UIDS, &uids, &count))
		for (size_t i = 0; i < count; i++)
			CHECK(uids[i] != 0);
	free(uids);
}

static void check_actions(struct db *db)
{
	struct action *actions = NULL;
	size_t count = 0;

	if (actions_load(db, &actions, &count) < 0)
		return;
	for (size_t i = 0; i < count; i++) {
		char *source = NULL, *target = NULL;

		CHECK(strnlen(actions[i].verb, sizeof(actions[i].verb)) <= ACTION_VERB_LEN);
		CHECK(actions_load_uids(db, actions[i].id, &source, &target) == 0);
		check_uids(source);
		check_uids(target);
		free(source);
		free(target);
		CHECK(actions_set_begun(db, actions[i].id) == 0);
		CHECK(actions_drop(db, actions[i].id) == 0);
	}
	actions_free(actions, count);
	CHECK(actions_load(db, &actions, &count) == 0 && count == 0);
}

static void check_quarantine(struct db *db)
{
	struct quarantine_sum *sums = NULL;
	struct quarantine *rows = NULL;
	size_t count = 0;

	CHECK(quarantine_sums(db, &sums, &count) == 0 && count <= 1);
	free(sums);
	if (quarantine_load(db, 0, &rows, &count) < 0)
		return;
	for (size_t i = 0; i < count; i++) {
		CHECK(rows[i].kind < QUARANTINE_KIND_COUNT);
		CHECK(rows[i].name != NULL && rows[i].words != NULL);
		CHECK((rows[i].mailbox == 0) == (rows[i].mailbox_name == NULL));
		CHECK(quarantine_kind_name(rows[i].kind) != NULL);
		CHECK(quarantine_put(db, &rows[i]) >= 0);
		CHECK(quarantine_delete(db, rows[i].id) == 0);
	}
	quarantine_free(rows, count);
}

static void check_removals(struct db *db)
{
	struct removal *removals = NULL;
	size_t count = 0;

	if (removals_load(db, "INBOX", &removals, &count) < 0)
		return;
	for (size_t i = 0; i < count; i++) {
		struct seqset set;

		seqset_init(&set);
		if (seqset_parse(&set, (struct slice){.data = removals[i].uids,
					       .len = strlen(removals[i].uids)}))
			CHECK(seqset_count(&set) > 0 && !seqset_contains(&set, 0));
		seqset_done(&set);
	}
	removals_free(removals, count);
}

static const struct {
	const char *name, *insert, *empty;
	void (*check)(struct db *db);
} tables[] = {
	{"action",
		"INSERT INTO action (id,verb,to_local,certain,begun,mailbox,target,uidvalidity,"
		"source_uids,target_uids) VALUES (?1,?2,?3,?4,?5,?6,?7,?8,?9,?10)",
		"DELETE FROM action", check_actions},
	{"quarantine",
		"INSERT INTO quarantine (id,idx,kind,remote,uid,deed,size,name,words,tries,since,"
		"next) VALUES (?1,?2,?3,?4,?5,?6,?7,?8,?9,?10,?11,?12)",
		"DELETE FROM quarantine", check_quarantine},
	{"removal", "INSERT INTO removal (id,mailbox,uids,messages,since) VALUES (?1,?2,?3,?4,?5)",
		"DELETE FROM removal", check_removals},
};

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct db *db;
	const char *at = (const char *)data, *end = at + size, *next;
	size_t n = next_line(at, end, &next);

	if (db == NULL)
		db = open_database();
	for (size_t i = 0; i < sizeof(tables) / sizeof(tables[0]); i++) {
		if (n != strlen(tables[i].name) || memcmp(at, tables[i].name, n) != 0)
			continue;
		insert(db, tables[i].insert, next, end);
		tables[i].check(db);
		CHECK(db_execute(db, tables[i].empty) == 0);
	}
	return 0;
}
