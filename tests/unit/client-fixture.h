/* SPDX-License-Identifier: MIT */
/*
 * A client whose server is the test (wire-fixture.h).  Every command that a test submits must have
 * completed exactly once when the test is over.
 */
#ifndef INTERIMAP_TESTS_CLIENT_FIXTURE_H
#define INTERIMAP_TESTS_CLIENT_FIXTURE_H

#include <stdio.h>
#include <utlist.h>

#include "sync/base/limits.h"
#include "sync/base/log.h"
#include "wire-fixture.h"

#include "sync/base/spool.h"
#include "sync/imap/client.h"
#include "sync/imap/command.h"
#include "sync/imap/view.h"

static struct client *client;
static char *lost_reason;
static bool free_when_lost;

/* A command of the test. */
struct probe {
	struct command command;
	const char *name;
	unsigned completions;
	void (*completed)(struct probe *probe); /* more to do then, or NULL */
	bool takes; /* FETCH responses */
	struct spool *spool; /* of the body that it was given last */
	bool submitting; /* the call of client_submit() has not returned yet */
	struct probe *prev, *next;
};

static struct probe *probes;

static const char *const outcome_words[] = {
	[OUTCOME_PENDING] = "PENDING",
	[OUTCOME_OK] = "OK",
	[OUTCOME_NO] = "NO",
	[OUTCOME_BAD] = "BAD",
	[OUTCOME_LOST] = "LOST",
	[OUTCOME_CANCELLED] = "CANCELLED",
};

static void probe_complete(struct command *command)
{
	struct probe *probe = container_of(command, struct probe, command);

	assert_false(probe->submitting);
	assert_int_equal(probe->completions, 0);
	probe->completions++;
	note("%s:%s", probe->name, outcome_words[command->outcome]);
	if (probe->completed != NULL)
		probe->completed(probe);
}

static bool probe_untagged(struct command *command, struct response *response)
{
	struct probe *probe = container_of(command, struct probe, command);

	if (!probe->takes || response->type != RESPONSE_FETCH)
		return false;
	if (probe->spool != NULL && spool_complete(probe->spool))
		note("body");
	note("%s<%u", probe->name, response->fetch.uid);
	return true;
}

static struct spool *probe_body(struct command *command, uint32_t uid, uint64_t size)
{
	struct probe *probe = container_of(command, struct probe, command);

	spool_free(probe->spool);
	probe->spool = spool_new(size);
	return probe->spool;
}

/* A command with this text, not yet submitted. */
static inline struct probe *prepare(const char *name, const char *text)
{
	struct probe *probe = xcalloc(1, sizeof(*probe));

	command_init(&probe->command, probe_complete);
	probe->command.untagged = probe_untagged;
	probe->name = name;
	command_puts(&probe->command, text);
	return probe;
}

static inline struct probe *submit(struct probe *probe)
{
	DL_APPEND(probes, probe);
	probe->submitting = true;
	client_submit(client, &probe->command);
	probe->submitting = false;
	return probe;
}

static inline struct probe *give(const char *name, const char *text)
{
	return submit(prepare(name, text));
}

/* Likewise, which asks for messages. */
static inline struct probe *give_fetch(const char *name, const char *text)
{
	struct probe *probe = prepare(name, text);

	probe->takes = true;
	probe->command.body = probe_body;
	return submit(probe);
}

static inline struct probe *give_kind(const char *name, const char *text, enum command_kind kind)
{
	struct probe *probe = prepare(name, text);

	probe->command.kind = kind;
	return submit(probe);
}

static inline struct probe *give_select(const char *name, const char *mailbox, struct view *view)
{
	struct probe *probe = prepare(name, "SELECT ");

	command_mailbox(&probe->command, mailbox);
	probe->command.kind = COMMAND_SELECT;
	probe->command.view = view;
	return submit(probe);
}

static void on_capabilities(struct client_owner *owner, const struct response *response)
{
	note("capabilities=%zu", response->atoms_count);
}

static void on_untagged(struct client_owner *owner, struct response *response)
{
	if (response->type == RESPONSE_FETCH)
		note("owner<%u", response->fetch.uid);
	else
		note("owner<type%d", response->type);
}

static void on_lost(struct client_owner *owner, const char *reason)
{
	assert_null(lost_reason);
	lost_reason = xstrdup(reason);
	note("lost");
	if (free_when_lost)
		client = client_free(client);
}

static struct client_owner owner = {
	.capabilities = on_capabilities,
	.untagged = on_untagged,
	.lost = on_lost,
};

/* The connection was dropped for this, and nothing else happened. */
static inline void expect_lost(const char *events, const char *reason)
{
	expect_events(events);
	assert_string_equal(lost_reason, reason);
}

static int set_up_client(bool slow)
{
	int fds[2];

	loop_init(&loop);
	wire_init(slow);
	make_pair(fds);
	wire_open(fds[0]);
	client = client_new(&loop, "remote", &owner);
	client_attach(client, fds[1]);
	lost_reason = NULL;
	free_when_lost = false;
	probes = NULL;
	return 0;
}

static inline int setup(void **state)
{
	return set_up_client(false);
}

static inline int setup_slow(void **state)
{
	return set_up_client(true);
}

static inline int teardown(void **state)
{
	struct probe *probe, *next;

	client = client_free(client);
	DL_FOREACH_SAFE (probes, probe, next) {
		assert_int_equal(probe->completions, 1);
		command_done(&probe->command);
		spool_free(probe->spool);
		free(probe);
	}
	free(lost_reason);
	wire_done();
	loop_done(&loop);
	return 0;
}

/* A test, with the server's bytes as they come and one at a time. */
#define BOTH(test) \
	cmocka_unit_test_setup_teardown(test, setup, teardown), \
	{ \
#test " (a byte at a time)", test, setup_slow, teardown, NULL \
	}

#endif
