/* SPDX-License-Identifier: MIT */
#include "proxy/configuration.h"

#include <stdlib.h>
#include <string.h>

#include "proxy/arguments.h"
#include "sync/base/log.h"
#include "sync/base/xalloc.h"
#include "sync/config/account.h"

static bool refuse(char **ret_reason, char *own_reason)
{
	*ret_reason = own_reason;
	return false;
}

/* --- Names --- */

/* "home" for a path that ends in /home or /home.conf. */
static char *base_name(const char *path)
{
	const char *slash = strrchr(path, '/');
	const char *base = slash != NULL ? slash + 1 : path;
	size_t len = strlen(base);

	if (len > 5 && strcmp(base + len - 5, ".conf") == 0)
		len -= 5;
	return xstrndup(base, len);
}

static bool is_taken(const struct configuration *configuration, size_t index, const char *name)
{
	for (size_t i = 0; i < configuration->count; i++) {
		_cleanup_free_ char *other = base_name(configuration->accounts[i]->config_path);

		if (i != index && strcmp(name, other) == 0)
			return true;
	}
	return false;
}

static void name_all(struct configuration *configuration)
{
	for (size_t i = 0; i < configuration->count && configuration->count > 1; i++) {
		struct account *account = configuration->accounts[i];
		_cleanup_free_ char *name = base_name(account->config_path);

		account_set_name(
			account, is_taken(configuration, i, name) ? account->config_path : name);
	}
}

/* --- Several --- */

/* Of a pair, what keeps them from living side by side. */
static bool check_pair(const struct account *one, const struct account *other, char **ret_reason)
{
	const char *option = account_other_store(one, other);

	if (option != NULL)
		return refuse(ret_reason,
			xasprintf("%s: [local] describes another store than in %s (the option %s "
				  "differs): accounts that are served together share one",
				other->config_path, one->config_path, option));
	if (strcmp(one->local.list_reference, other->local.list_reference) == 0)
		return refuse(ret_reason,
			xasprintf("%s: [local] needs another list-reference than in %s, so that "
				  "each account has mailboxes of its own in the store",
				other->config_path, one->config_path));
	if (strcmp(one->database, other->database) == 0)
		return refuse(ret_reason,
			xasprintf("%s: the database is %s as in %s: set database in one of them",
				other->config_path, other->database, one->config_path));
	return true;
}

static bool check_all(const struct configuration *configuration, char **ret_reason)
{
	struct account **accounts = configuration->accounts;

	for (size_t i = 1; i < configuration->count; i++) {
		if (accounts[i]->proxy.is_given)
			return refuse(ret_reason,
				xasprintf("%s: a section [proxy] belongs into the first "
					  "configuration file only, which is %s",
					accounts[i]->config_path, accounts[0]->config_path));
		for (size_t j = 0; j < i; j++)
			if (!check_pair(accounts[j], accounts[i], ret_reason))
				return false;
	}
	return true;
}

/* --- Loading --- */

static bool load(
	const struct arguments *arguments, struct configuration *configuration, char **ret_reason)
{
	size_t count = arguments->config_count > 0 ? arguments->config_count : 1;

	configuration->accounts = xcalloc(count, sizeof(*configuration->accounts));
	for (size_t i = 0; i < count; i++) {
		struct account *account;

		if (account_load(arguments->configs[i], &account, ret_reason) < 0)
			return false;
		configuration->accounts[configuration->count++] = account;
		/* interimap(1): who debugs wants to see what the command says. */
		if (arguments->debug > 0)
			account->local.null_stderr = account->remote.null_stderr = false;
	}
	return check_all(configuration, ret_reason);
}

bool configuration_load(
	const struct arguments *arguments, struct configuration *ret, char **ret_reason)
{
	struct configuration configuration = {0};

	if (!load(arguments, &configuration, ret_reason)) {
		configuration_done(&configuration);
		return false;
	}
	name_all(&configuration);
	*ret = configuration;
	return true;
}

void configuration_done(struct configuration *configuration)
{
	for (size_t i = 0; i < configuration->count; i++)
		account_free(configuration->accounts[i]);
	free(take(configuration->accounts));
	configuration->count = 0;
}

bool configuration_set_log(const struct configuration *configuration, char **ret_reason)
{
	const struct account *first = configuration->accounts[0];
	int r = first->logfile != NULL ? log_open_file(first->logfile) : 0;

	if (r < 0)
		return refuse(ret_reason,
			xasprintf("cannot open the log file %s: %s", first->logfile, strerror(-r)));
	if (first->logfile == NULL)
		log_close_file();
	log_set_prefix(first->log_prefix);
	return true;
}

void configuration_say_warnings(const struct configuration *configuration)
{
	for (size_t i = 0; i < configuration->count; i++)
		for (char **at = configuration->accounts[i]->warnings; *at != NULL; at++)
			log_warning(NULL, "%s", *at);
}
