/* SPDX-License-Identifier: MIT */
#include "proxy/accounts.h"

#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "proxy/arguments.h"
#include "proxy/configuration.h"
#include "proxy/router.h"
#include "sync/base/log.h"
#include "sync/base/xalloc.h"
#include "sync/command/sync.h"
#include "sync/config/account.h"

/* An account as one configuration has it. */
struct setup {
	struct account *account;
	char **foreign; /* list-references of the others, NULL-terminated */
	struct sync *sync; /* NULL: it cannot begin, or has ended */
};

/* One account, over all configurations. */
struct entry {
	struct accounts *accounts;
	size_t index;
	struct sync_owner owner;
	struct setup running, next;
};

struct accounts {
	struct accounts_options options;
	struct router *router;
	uint64_t turns; /* counts what begins and ends */
	size_t count;
	struct entry entries[];
};

/* --- One account --- */

static void setup_done(struct setup *setup)
{
	sync_free(setup->sync);
	for (char **at = setup->foreign; at != NULL && *at != NULL; at++)
		free(*at);
	free(setup->foreign);
	account_free(setup->account);
	*setup = (struct setup){0};
}

static void connect_router(struct entry *entry)
{
	const struct setup *setup = &entry->running;

	router_connect(entry->accounts->router, entry->index, setup->account->local.list_reference,
		setup->sync != NULL ? sync_hints(setup->sync) : NULL,
		setup->sync != NULL ? sync_actions(setup->sync) : NULL);
}

/* Its engine has begun: what goes along with a running account begins here. */
static void started(struct entry *entry)
{
	connect_router(entry);
	entry->accounts->turns++;
}

/* Its engine is about to be ended: what goes along with it ends here. */
static void stopping(struct entry *entry)
{
	if (entry->running.sync == NULL)
		return;
	router_connect(entry->accounts->router, entry->index,
		entry->running.account->local.list_reference, NULL, NULL);
	entry->accounts->turns++;
}

/* Those below whose list-references other accounts' mailboxes are. */
static char **make_foreign(const struct configuration *configuration, size_t index)
{
	char **foreign = xcalloc(configuration->count, sizeof(*foreign));
	size_t n = 0;

	for (size_t i = 0; i < configuration->count; i++)
		if (i != index)
			foreign[n++] = xstrdup(configuration->accounts[i]->local.list_reference);
	return foreign;
}

static bool prepare(
	struct entry *entry, const struct configuration *configuration, char **ret_reason)
{
	const struct accounts_options *options = &entry->accounts->options;
	const struct arguments *arguments = options->arguments;
	const bool lasting = arguments->watch || arguments->notify;
	struct setup *next = &entry->next;
	struct sync_options sync_options = {
		.job = arguments->job,
		.stay = lasting || arguments->proxy,
		.push = arguments->notify || arguments->proxy,
		.follow = arguments->proxy,
		.reconnect = arguments->proxy,
		.create = (!lasting && arguments->job.kind != JOB_VERIFY) || arguments->proxy,
		.interval = arguments->interval,
		.news = options->news,
		.clients = options->clients,
	};

	next->account = account_ref(configuration->accounts[entry->index]);
	next->foreign = make_foreign(configuration, entry->index);
	sync_options.foreign = (const char *const *)next->foreign;
	next->sync = sync_new(options->loop, options->worker, next->account, &sync_options,
		&entry->owner, entry->running.sync, ret_reason);
	return next->sync != NULL;
}

static void start(struct entry *entry)
{
	stopping(entry);
	if (entry->next.sync != NULL)
		sync_start(entry->next.sync, take(entry->running.sync));
	setup_done(&entry->running);
	entry->running = entry->next;
	entry->next = (struct setup){0};
	started(entry);
}

/* --- All of them --- */

static size_t count_running(const struct accounts *accounts)
{
	size_t count = 0;

	for (size_t i = 0; i < accounts->count; i++)
		count += accounts->entries[i].running.sync != NULL;
	return count;
}

static void on_finished(struct sync_owner *owner, bool complete)
{
	struct entry *entry = container_of(owner, struct entry, owner);
	struct accounts *accounts = entry->accounts;

	if (count_running(accounts) == 1) {
		accounts->options.owner->finished(accounts->options.owner, complete);
		return;
	}
	log_error(&(const struct log_context){.side = entry->running.account->name},
		"this account has stopped, the others go on; SIGHUP makes it begin again");
	stopping(entry);
	entry->running.sync = sync_free(entry->running.sync);
}

struct accounts *accounts_new(const struct accounts_options *options, size_t count)
{
	struct accounts *accounts =
		xcalloc(1, sizeof(*accounts) + count * sizeof(*accounts->entries));

	accounts->options = *options;
	accounts->router = router_new(count);
	accounts->count = count;
	for (size_t i = 0; i < count; i++) {
		accounts->entries[i].accounts = accounts;
		accounts->entries[i].index = i;
		accounts->entries[i].owner.finished = on_finished;
	}
	return accounts;
}

struct accounts *accounts_free(struct accounts *accounts)
{
	if (accounts == NULL)
		return NULL;
	accounts_drop(accounts);
	for (size_t i = 0; i < accounts->count; i++) {
		stopping(&accounts->entries[i]);
		setup_done(&accounts->entries[i].running);
	}
	router_free(accounts->router);
	free(accounts);
	return NULL;
}

bool accounts_prepare(
	struct accounts *accounts, const struct configuration *configuration, char **ret_reason)
{
	bool any = false;

	for (size_t i = 0; i < accounts->count; i++) {
		struct entry *entry = &accounts->entries[i];
		_cleanup_free_ char *reason = NULL;

		if (prepare(entry, configuration, &reason)) {
			any = true;
			continue;
		}
		if (accounts->count == 1 || entry->running.sync != NULL) {
			*ret_reason = take(reason);
			accounts_drop(accounts);
			return false;
		}
		log_error(&(const struct log_context){.side = entry->next.account->name},
			"%s: it is left out until SIGHUP, the others go on", reason);
	}
	if (!any)
		*ret_reason = xstrdup("none of the accounts can begin");
	return any;
}

void accounts_start(struct accounts *accounts)
{
	for (size_t i = 0; i < accounts->count; i++)
		start(&accounts->entries[i]);
}

void accounts_drop(struct accounts *accounts)
{
	for (size_t i = 0; i < accounts->count; i++)
		setup_done(&accounts->entries[i].next);
}

struct hint_receiver *accounts_hints(struct accounts *accounts)
{
	return router_hints(accounts->router);
}

struct action_receiver *accounts_actions(struct accounts *accounts)
{
	return router_actions(accounts->router);
}

/* --- How they are getting on --- */

uint64_t accounts_summary_stamp(const struct accounts *accounts)
{
	uint64_t stamp = accounts->turns;

	for (size_t i = 0; i < accounts->count; i++) {
		const struct sync *sync = accounts->entries[i].running.sync;

		/* Numbers that differ in one place give results that do. */
		stamp = stamp * 1099511628211U ^ (sync != NULL ? sync_summary_stamp(sync) : 0);
	}
	return stamp;
}

static char *summarise(const struct setup *setup)
{
	return setup->sync != NULL ? sync_summary(setup->sync) : xstrdup("stopped, see the log");
}

char *accounts_summary(const struct accounts *accounts)
{
	char *first = summarise(&accounts->entries[0].running);
	bool alike = true;
	char *all = NULL;

	for (size_t i = 0; i < accounts->count; i++) {
		const struct setup *setup = &accounts->entries[i].running;
		_cleanup_free_ char *one = summarise(setup), *before = all;

		alike = alike && strcmp(one, first) == 0;
		all = xasprintf("%s%s%s: %s", before != NULL ? before : "",
			before != NULL ? "; " : "",
			setup->account->name != NULL ? setup->account->name : "", one);
	}
	free(alike ? all : first);
	return alike ? first : all;
}
