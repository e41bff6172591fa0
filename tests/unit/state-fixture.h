/* SPDX-License-Identifier: MIT */
/* What the tests of sync/state share: cmocka, a directory of their own, databases in it. */
#ifndef INTERIMAP_TESTS_STATE_FIXTURE_H
#define INTERIMAP_TESTS_STATE_FIXTURE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "sync/base/xalloc.h"
#include "sync/state/db.h"
#include "sync/state/mailboxes.h"

struct fixture {
	char directory[64];
	char path[96]; /* of a database that is not there yet */
};

static inline int fixture_setup(void **state)
{
	struct fixture *fixture = xcalloc(1, sizeof(*fixture));

	(void)snprintf(
		fixture->directory, sizeof(fixture->directory), "/tmp/interimap-state-XXXXXX");
	if (mkdtemp(fixture->directory) == NULL)
		return -1;
	(void)snprintf(fixture->path, sizeof(fixture->path), "%s/state.db", fixture->directory);
	*state = fixture;
	return 0;
}

static inline int fixture_teardown(void **state)
{
	struct fixture *fixture = *state;
	_cleanup_free_ char *command = xasprintf("rm -rf '%s'", fixture->directory);
	int r = system(command);

	free(fixture);
	return r;
}

static inline struct db *fixture_open(const char *path)
{
	struct db *db = NULL;
	char *reason = NULL;
	int r = db_open(path, true, &db, &reason);

	if (r != 0)
		fail_msg("%s", reason);
	r = db_prepare_schema(db, '/', '/');
	if (r != 0)
		fail_msg("%s", db_error(db));
	return db;
}

static inline int64_t fixture_mailbox(struct db *db, const char *name)
{
	int64_t idx = 0;

	assert_int_equal(mailboxes_insert(db, name, strlen(name), true, &idx), 0);
	assert_true(idx > 0);
	return idx;
}

#define fixture_test(f) cmocka_unit_test_setup_teardown(f, fixture_setup, fixture_teardown)

#endif
