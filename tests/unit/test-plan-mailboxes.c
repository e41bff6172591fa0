/* SPDX-License-Identifier: MIT */
/* plan_mailboxes(): the rules one by one, then random trees that must agree after one pass. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "sync/base/buf.h"
#include "sync/base/xalloc.h"
#include "sync/plan/mailboxes.h"

static const char *const verbs[] = {
	[MAILBOX_SYNC] = "sync",
	[MAILBOX_CREATE_LOCAL] = "create-local",
	[MAILBOX_CREATE_REMOTE] = "create-remote",
	[MAILBOX_SUBSCRIBE_LOCAL] = "subscribe-local",
	[MAILBOX_SUBSCRIBE_REMOTE] = "subscribe-remote",
	[MAILBOX_UNSUBSCRIBE_LOCAL] = "unsubscribe-local",
	[MAILBOX_UNSUBSCRIBE_REMOTE] = "unsubscribe-remote",
	[MAILBOX_REMEMBER] = "remember",
	[MAILBOX_SET_SUBSCRIBED] = "set",
	[MAILBOX_MISSING_LOCAL] = "missing-local",
	[MAILBOX_MISSING_REMOTE] = "missing-remote",
};

/*
 * Lists are written as words: a name with '/' for the NUL, and after a ':' its marks: s subscribed,
 * n not selectable.
 */
struct parsed {
	char *text;
	struct plan_listed listed[16];
	struct plan_known known[16];
	size_t count;
};

static void parse(struct parsed *parsed, const char *text)
{
	memset(parsed, 0, sizeof(*parsed));
	parsed->text = xstrdup(text);
	char *rest;
	for (char *word = strtok_r(parsed->text, " ", &rest); word;
		word = strtok_r(NULL, " ", &rest)) {
		char *marks = strchr(word, ':');
		size_t len = marks ? (size_t)(marks - word) : strlen(word);
		bool subscribed = marks && strchr(marks, 's');
		bool selectable = !(marks && strchr(marks, 'n'));
		for (size_t i = 0; i < len; i++)
			if (word[i] == '/')
				word[i] = '\0';
		assert_true(parsed->count < ARRAY_LEN(parsed->listed));
		parsed->listed[parsed->count] =
			(struct plan_listed){word, len, selectable, subscribed};
		parsed->known[parsed->count++] = (struct plan_known){word, len, subscribed};
	}
}

static char *describe(const struct plan_mailbox *actions, size_t count)
{
	struct buf buf;
	buf_init(&buf, 1 << 16);
	for (size_t i = 0; i < count; i++) {
		const struct plan_mailbox *at = &actions[i];
		assert_true(buf_printf(&buf, "%s%s ", i ? ", " : "", verbs[at->action]));
		for (size_t n = 0; n < at->len; n++)
			assert_true(buf_putc(&buf, at->name[n] ? at->name[n] : '/'));
		if (at->action == MAILBOX_REMEMBER || at->action == MAILBOX_SET_SUBSCRIBED)
			assert_true(buf_puts(&buf, at->subscribed ? ":s" : ":"));
	}
	return buf_steal(&buf);
}

static const struct {
	const char *local, *remote, *known, *expected;
} cases[] = {
	{"", "", "", ""},
	/* Unknown */
	{"a", "a", "", "remember a:, sync a"},
	{"a", "", "", "create-remote a, remember a:, sync a"},
	{"", "a", "", "create-local a, remember a:, sync a"},
	{"a:s", "a:s", "", "remember a:s, sync a"},
	{"a:s", "a", "", "remember a:, subscribe-remote a, set a:s, sync a"},
	{"a", "a:s", "", "remember a:, subscribe-local a, set a:s, sync a"},
	{"a:s", "", "", "create-remote a, remember a:, subscribe-remote a, set a:s, sync a"},
	{"", "a:s", "", "create-local a, remember a:, subscribe-local a, set a:s, sync a"},
	/* Not selectable is absent; its subscription holds for what is created under that name. */
	{"a", "a:n", "", "create-remote a, remember a:, sync a"},
	{"a:s", "a:ns", "", "create-remote a, remember a:s, sync a"},
	{"a", "a:ns", "", "create-remote a, remember a:, subscribe-local a, set a:s, sync a"},
	{"a:ns", "a:n", "", ""},
	{"a:n", "", "", ""},
	/* Known */
	{"a", "a", "a", "sync a"},
	{"a:s", "a:s", "a:s", "sync a"},
	{"a:s", "a", "a", "subscribe-remote a, set a:s, sync a"},
	{"a", "a:s", "a", "subscribe-local a, set a:s, sync a"},
	{"a", "a:s", "a:s", "unsubscribe-remote a, set a:, sync a"},
	{"a:s", "a", "a:s", "unsubscribe-local a, set a:, sync a"},
	{"a:s", "a:s", "a", "set a:s, sync a"},
	{"a", "a", "a:s", "set a:, sync a"},
	/* Known and disappeared: never created again, never deleted */
	{"", "a", "a", "missing-local a"},
	{"a", "", "a:s", "missing-remote a"},
	{"a:n", "a", "a", "missing-local a"},
	{"a:s", "a:ns", "a", "missing-remote a"},
	{"", "", "a", ""},
	{"a:n", "a:ns", "a:s", ""},
	/* Order: INBOX first, parents before children, a sibling that sorts between them after */
	{"a/b a-b a INBOX/x INBOX A", "INBOX b A", "INBOX b A",
		"sync INBOX, sync A, create-remote INBOX/x, remember INBOX/x:, sync INBOX/x, "
		"create-remote a, remember a:, sync a, create-remote a/b, remember a/b:, "
		"sync a/b, create-remote a-b, remember a-b:, sync a-b, missing-local b"},
	/* "INBOX" is compared as it is: its other spellings do not get here, and "inbox/x" is no
	   child of it */
	{"a inbox", "a INBOX", "a",
		"create-local INBOX, remember INBOX:, sync INBOX, sync a, "
		"create-remote inbox, remember inbox:, sync inbox"},
	/* A name listed twice */
	{"a a:s", "a:s", "", "remember a:s, sync a"},
	{"a:n a", "a", "a a", "sync a"},
};

static void test_cases(void **state)
{
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct parsed local, remote, known;
		struct plan_mailbox *actions;
		size_t count;

		print_message("# %zu: %s\n", i, cases[i].expected);
		parse(&local, cases[i].local);
		parse(&remote, cases[i].remote);
		parse(&known, cases[i].known);
		plan_mailboxes(local.listed, local.count, remote.listed, remote.count, known.known,
			known.count, &actions, &count);
		char *text = describe(actions, count);
		assert_string_equal(text, cases[i].expected);
		free(text);
		free(actions);
		free(local.text);
		free(remote.text);
		free(known.text);
	}
}

enum { NAMES = 12 };

static const char *const tree[NAMES] = {
	"INBOX", "a", "a/b", "a/b/c", "a b", "a-b", "b", "b/a", "z", "z/\xff", "z/INBOX", "\x01"};

struct account {
	bool there[NAMES], selectable[NAMES], subscribed[NAMES];
};

static uint32_t random_below(uint64_t *seed, uint32_t limit)
{
	*seed ^= *seed << 13;
	*seed ^= *seed >> 7;
	*seed ^= *seed << 17;
	return (uint32_t)(*seed >> 20) % limit;
}

static size_t find(const struct plan_mailbox *action, char names[NAMES][16])
{
	for (size_t i = 0; i < NAMES; i++)
		if (strlen(tree[i]) == action->len &&
			memcmp(names[i], action->name, action->len) == 0)
			return i;
	fail_msg("an action for no mailbox");
	return 0;
}

static size_t list(
	const struct account *account, char names[NAMES][16], struct plan_listed listed[NAMES])
{
	size_t count = 0;
	for (size_t i = NAMES; i-- > 0;)
		if (account->there[i])
			listed[count++] = (struct plan_listed){names[i], strlen(tree[i]),
				account->selectable[i], account->subscribed[i]};
	return count;
}

static void edit(struct account *account, uint64_t *seed)
{
	for (size_t i = 0; i < NAMES; i++) {
		if (random_below(seed, 4) == 0)
			account->subscribed[i] ^= true;
		if (i > 0 && random_below(seed, 5) == 0) {
			account->there[i] ^= true;
			account->selectable[i] = random_below(seed, 4) > 0;
		}
	}
}

/* Carries out the plan up to `stop` actions: a run may be interrupted anywhere. */
static void apply(const struct plan_mailbox *actions, size_t stop, char names[NAMES][16],
	struct account *local, struct account *remote, struct account *known)
{
	bool created[2][NAMES] = {{false}};
	for (size_t n = 0; n < stop; n++) {
		size_t i = find(&actions[n], names);
		switch (actions[n].action) {
		case MAILBOX_CREATE_LOCAL:
		case MAILBOX_CREATE_REMOTE: {
			bool there = actions[n].action == MAILBOX_CREATE_REMOTE;
			struct account *account = there ? remote : local;
			assert_false(account->there[i] && account->selectable[i]);
			assert_false(known->there[i]);
			for (size_t k = 0; k < i; k++) /* parents are listed before in `tree` */
				if (strncmp(tree[k], tree[i], strlen(tree[k])) == 0 &&
					tree[i][strlen(tree[k])] == '/')
					created[there][k] = true;
			assert_false(created[there][i]);
			account->there[i] = account->selectable[i] = true;
			break;
		}
		case MAILBOX_REMEMBER:
			assert_false(known->there[i]);
			known->there[i] = true;
			known->subscribed[i] = actions[n].subscribed;
			break;
		case MAILBOX_SET_SUBSCRIBED:
			assert_true(known->there[i]);
			known->subscribed[i] = actions[n].subscribed;
			break;
		case MAILBOX_SUBSCRIBE_LOCAL:
		case MAILBOX_UNSUBSCRIBE_LOCAL:
			local->subscribed[i] = actions[n].action == MAILBOX_SUBSCRIBE_LOCAL;
			break;
		case MAILBOX_SUBSCRIBE_REMOTE:
		case MAILBOX_UNSUBSCRIBE_REMOTE:
			remote->subscribed[i] = actions[n].action == MAILBOX_SUBSCRIBE_REMOTE;
			break;
		case MAILBOX_SYNC:
			assert_true(known->there[i]);
			assert_true(local->there[i] && local->selectable[i]);
			assert_true(remote->there[i] && remote->selectable[i]);
			break;
		case MAILBOX_MISSING_LOCAL:
			assert_false(local->there[i] && local->selectable[i]);
			break;
		case MAILBOX_MISSING_REMOTE:
			assert_false(remote->there[i] && remote->selectable[i]);
			break;
		}
	}
}

static size_t make(const struct account *local, const struct account *remote,
	const struct account *known, char names[NAMES][16], struct plan_mailbox **ret)
{
	struct plan_listed here[NAMES], there[NAMES];
	struct plan_known rows[NAMES];
	size_t here_count = list(local, names, here), there_count = list(remote, names, there);
	size_t rows_count = 0, count;
	for (size_t i = 0; i < NAMES; i++)
		if (known->there[i])
			rows[rows_count++] = (struct plan_known){
				names[i], strlen(tree[i]), known->subscribed[i]};
	plan_mailboxes(here, here_count, there, there_count, rows, rows_count, ret, &count);
	return count;
}

/*
 * What must hold when a pass is through.  Expected subscriptions: the side that differs from what
 * was known, or any for one that was not.
 */
static void check(const struct account *local, const struct account *remote,
	const struct account *known, const struct account before[3])
{
	for (size_t i = 0; i < NAMES; i++) {
		bool was[2], now[2];
		for (size_t side = 0; side < 2; side++) {
			const struct account *at = side ? remote : local;
			was[side] = before[side].there[i] && before[side].selectable[i];
			now[side] = at->there[i] && at->selectable[i];
		}
		if (before[2].there[i]) {
			assert_int_equal(now[0], was[0]);
			assert_int_equal(now[1], was[1]);
		} else {
			assert_int_equal(now[0], was[0] || was[1]);
			assert_int_equal(now[1], was[0] || was[1]);
		}
		if (!now[0] || !now[1])
			continue;
		/* What is not listed has no subscription that could be seen. */
		bool here = before[0].there[i] && before[0].subscribed[i];
		bool there = before[1].there[i] && before[1].subscribed[i];
		bool row = before[2].subscribed[i];
		bool expected = !before[2].there[i] ? here || there : here != row ? here : there;
		assert_int_equal(local->subscribed[i], expected);
		assert_int_equal(remote->subscribed[i], expected);
		assert_int_equal(known->subscribed[i], expected);
		assert_true(known->there[i]);
	}
}

/* A subscription of what is not listed cannot be seen; a server forgets it here, to keep the model
 * simple. */
static void forget(struct account *account)
{
	for (size_t i = 0; i < NAMES; i++)
		if (!account->there[i])
			account->subscribed[i] = false;
}

static void test_histories(void **state)
{
	char names[NAMES][16];
	uint64_t seed = 0x9E3779B97F4A7C15U;
	for (size_t i = 0; i < NAMES; i++) {
		snprintf(names[i], sizeof(names[i]), "%s", tree[i]);
		for (char *at = names[i]; (at = strchr(at, '/'));)
			*at++ = '\0';
	}
	for (int history = 0; history < 300; history++) {
		struct account local = {.there = {true}, .selectable = {true}};
		struct account remote = local, known = {{false}};
		for (int round = 0; round < 8; round++) {
			edit(&local, &seed);
			edit(&remote, &seed);
			forget(&local);
			forget(&remote);
			struct account before[] = {local, remote, known};
			struct plan_mailbox *actions;
			size_t count = make(&local, &remote, &known, names, &actions);
			size_t stop = random_below(&seed, (uint32_t)count + 1);
			apply(actions, stop, names, &local, &remote, &known);
			free(actions);
			/* Interrupted there; the next pass ends where the whole one would have. */
			count = make(&local, &remote, &known, names, &actions);
			apply(actions, count, names, &local, &remote, &known);
			free(actions);
			check(&local, &remote, &known, before);

			count = make(&local, &remote, &known, names, &actions);
			for (size_t i = 0; i < count; i++)
				assert_true(actions[i].action == MAILBOX_SYNC ||
					    actions[i].action == MAILBOX_MISSING_LOCAL ||
					    actions[i].action == MAILBOX_MISSING_REMOTE);
			free(actions);
		}
	}
}

static void test_many(void **state)
{
	enum { MANY = 100000 };
	struct plan_listed *listed = xcalloc(MANY, sizeof(*listed));
	struct plan_mailbox *actions;
	size_t count;

	for (size_t i = 0; i < MANY; i++) {
		char *name = xasprintf("folder%05zu", i * 7919 % MANY);
		listed[i] = (struct plan_listed){name, strlen(name), true, false};
	}
	/* The first half is there, the second half is not. */
	plan_mailboxes(listed, MANY, listed, MANY / 2, NULL, 0, &actions, &count);
	assert_int_equal(count, MANY / 2 * 2 + MANY / 2 * 3);
	free(actions);
	for (size_t i = 0; i < MANY; i++)
		free((char *)listed[i].name);
	free(listed);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_cases),
		cmocka_unit_test(test_histories),
		cmocka_unit_test(test_many),
	};
	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
