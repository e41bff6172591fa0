/* SPDX-License-Identifier: MIT */
/*
 * Most values stay where the INI reader put them and are only pointed at; what has to be made
 * (paths, lists) is kept in the private part, so that freeing is the same for all of it.
 */
#include "sync/config/account.h"

#include <ctype.h>
#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#include "sync/base/xalloc.h"
#include "sync/config/ini.h"
#include "sync/config/options.h"
#include "sync/config/paths.h"

struct account_private {
	unsigned references;
	struct ini *ini;
	char **strings; /* made here, NULL-terminated */
	size_t string_count;
	char **auth[2]; /* of local and remote */
	char **list_select_opts;
	struct list_pattern *list_patterns;
	struct listen_address *listen;
	size_t warning_count;
};

struct account *account_free(struct account *account)
{
	struct account_private *private;

	if (account == NULL)
		return NULL;
	private = account->private;
	if (--private->references > 0)
		return NULL;
	for (size_t i = 0; i < private->string_count; i++)
		free(private->strings[i]);
	free(private->strings);
	value_words_free(private->auth[0]);
	value_words_free(private->auth[1]);
	value_words_free(private->list_select_opts);
	list_patterns_free(private->list_patterns, account->list_pattern_count);
	listen_addresses_free(private->listen, account->proxy.listen_count);
	value_words_free(account->warnings);
	(void)ini_free(private->ini);
	free(private);
	free(account);
	return NULL;
}

/* Keeps a string for the life of the account; NULL stays NULL. */
static const char *keep(struct account *account, char *own_string)
{
	struct account_private *private = account->private;

	if (own_string != NULL) {
		private->strings = xreallocarray(
			private->strings, private->string_count + 1, sizeof(*private->strings));
		private->strings[private->string_count++] = own_string;
	}
	return own_string;
}

__attribute__((format(printf, 2, 3))) static void warn(
	struct account *account, const char *fmt, ...)
{
	size_t *count = &account->private->warning_count;
	va_list ap;

	va_start(ap, fmt);
	account->warnings =
		xreallocarray(account->warnings, *count + 2, sizeof(*account->warnings));
	account->warnings[(*count)++] = xvasprintf(fmt, ap);
	account->warnings[*count] = NULL;
	va_end(ap);
}

struct account *account_ref(struct account *account)
{
	account->private->references++;
	return account;
}

void account_set_name(struct account *account, const char *name)
{
	account->name = keep(account, xstrdup(name));
	account->database_name = keep(account, xasprintf("%s/database", name));
	account->local.name = keep(account, xasprintf("%s/local", name));
	account->remote.name = keep(account, xasprintf("%s/remote", name));
}

static bool is_same(const char *one, const char *other)
{
	return one == other || (one != NULL && other != NULL && strcmp(one, other) == 0);
}

const char *account_other_store(const struct account *one, const struct account *other)
{
	const struct account_side *a = &one->local, *b = &other->local;

	if (a->type != b->type)
		return "type";
	if (a->type == ACCOUNT_MAILDIR)
		return is_same(a->path, b->path) ? NULL : "path";
	if (a->type == ACCOUNT_TUNNEL)
		return is_same(a->command, b->command) ? NULL : "command";
	if (strcasecmp(a->host, b->host) != 0)
		return "host";
	if (!is_same(a->port, b->port))
		return "port";
	return is_same(a->username, b->username) ? NULL : "username";
}

/* A complaint about an option, or about the section if it is not given there. */
__attribute__((format(printf, 5, 6))) static int refuse(const struct account *account,
	const char *section, const char *option, char **ret_reason, const char *fmt, ...)
{
	const struct ini *ini = account->private->ini;
	const struct ini_entry *entry = options_entry(ini, section, option);
	const struct ini_section *header = ini_section(ini, section);
	_cleanup_free_ char *sentence = NULL;
	unsigned line = entry != NULL ? entry->line : header != NULL ? header->line : 0;
	va_list ap;

	va_start(ap, fmt);
	sentence = xvasprintf(fmt, ap);
	va_end(ap);
	*ret_reason = line > 0 ? xasprintf("%s:%u: %s", ini->path, line, sentence)
			       : xasprintf("%s: %s", ini->path, sentence);
	return -EINVAL;
}

static int refuse_homeless(const struct account *account, char **ret_reason)
{
	return refuse(account, "", "", ret_reason,
		"there is no home directory: set HOME, or give absolute paths");
}

static const char *string(const struct account *account, const char *section, const char *name)
{
	return options_string(account->private->ini, section, name);
}

static bool yes(const struct account *account, const char *section, const char *name)
{
	return options_bool(account->private->ini, section, name);
}

/* A path option with ~ expanded (or as it is, which will not be found, without a home directory);
 * NULL if it is not given. */
static const char *path(struct account *account, const char *section, const char *name)
{
	const char *value = string(account, section, name);
	char *expanded = value != NULL ? path_expand(value) : NULL;

	return expanded != NULL ? keep(account, expanded) : value;
}

static char **upper_words(const char *value)
{
	char **words = value_words(value != NULL ? value : "");

	for (size_t i = 0; words[i] != NULL; i++) {
		for (char *c = words[i]; *c != '\0'; c++)
			*c = (char)toupper((unsigned char)*c);
	}
	return words;
}

static enum account_type type_of(const struct account *account, const char *section)
{
	static const struct {
		const char *name;
		enum account_type type;
	} types[] = {
		{"imap", ACCOUNT_IMAP},
		{"imaps", ACCOUNT_IMAPS},
		{"tunnel", ACCOUNT_TUNNEL},
		{"maildir", ACCOUNT_MAILDIR},
	};
	const char *name = string(account, section, "type");

	/* Only who says nothing about a local server gets the embedded store. */
	if (strcmp(section, "local") == 0 && ini_section(account->private->ini, section) == NULL)
		return ACCOUNT_MAILDIR;
	for (size_t i = 0; i < ARRAY_LEN(types); i++) {
		if (strcasecmp(types[i].name, name) == 0)
			return types[i].type;
	}
	return ACCOUNT_IMAPS;
}

static void load_tls(struct account *account, const char *section, struct tls_options *tls)
{
	if (options_entry(account->private->ini, section, "SSL_protocols") != NULL)
		warn(account,
			"%s: [%s] SSL_protocols is deprecated: use SSL_protocol_min and "
			"SSL_protocol_max",
			account->config_path, section);
	*tls = (struct tls_options){
		.verify = yes(account, section, "SSL_verify"),
		.ca_file = path(account, section, "SSL_CAfile"),
		.ca_path = path(account, section, "SSL_CApath"),
		.server_name = string(account, section, "SSL_hostname"),
		.protocols = string(account, section, "SSL_protocols"),
		.protocol_min = string(account, section, "SSL_protocol_min"),
		.protocol_max = string(account, section, "SSL_protocol_max"),
		.cipher_list = string(account, section, "SSL_cipherlist"),
		.cipher_suites = string(account, section, "SSL_ciphersuites"),
		.fingerprints = string(account, section, "SSL_fingerprint"),
	};
}

static void load_address(struct account *account, const char *section, struct account_side *side)
{
	size_t len;

	side->host = string(account, section, "host");
	side->port = string(account, section, "port");
	if (side->port == NULL)
		side->port = side->type == ACCOUNT_IMAP ? "143" : "993";
	len = strlen(side->host);
	side->tls_host = side->host[0] == '[' ? keep(account, xstrndup(side->host + 1, len - 2))
					      : side->host;
	side->proxy = string(account, section, "proxy");
}

/* What only OpenSSL can judge is judged here, each option alone, so that its line can be told. */
static int check_tls(struct account *account, const char *section, const struct tls_options *tls,
	char **ret_reason)
{
	const struct {
		const char *name;
		struct tls_options alone;
	} options[] = {
		{"SSL_protocols", {.protocols = tls->protocols}},
		{"SSL_protocol_min", {.protocol_min = tls->protocol_min}},
		{"SSL_protocol_max", {.protocol_max = tls->protocol_max}},
		{"SSL_cipherlist", {.cipher_list = tls->cipher_list}},
		{"SSL_ciphersuites", {.cipher_suites = tls->cipher_suites}},
		{"SSL_fingerprint", {.fingerprints = tls->fingerprints}},
	};

	for (size_t i = 0; i < ARRAY_LEN(options); i++) {
		_cleanup_free_ char *reason = NULL;

		if (options_entry(account->private->ini, section, options[i].name) == NULL)
			continue;
		(void)tls_free(tls_client_new(&options[i].alone, &reason));
		if (reason != NULL)
			return refuse(account, section, options[i].name, ret_reason, "%s: %s",
				options[i].name, reason);
	}
	return 0;
}

/*
 * The one of password, password-command and token-command that holds: of those that the section has
 * itself, else of those before any section.  Two in the same place contradict each other.
 */
static int load_secret(
	struct account *account, const char *section, struct account_side *side, char **ret_reason)
{
	const struct {
		const char *name;
		const char **ret;
	} options[] = {
		{"password", &side->password},
		{"password-command", &side->password_command},
		{"token-command", &side->token_command},
	};
	const char *const places[] = {section, ""};
	const char *found = NULL;

	for (size_t i = 0; i < ARRAY_LEN(places) && found == NULL; i++) {
		for (size_t j = 0; j < ARRAY_LEN(options); j++) {
			const struct ini_entry *entry =
				ini_entry(account->private->ini, places[i], options[j].name);

			if (entry == NULL)
				continue;
			if (found != NULL)
				return refuse(account, places[i], options[j].name, ret_reason,
					"either %s or %s, not both", found, options[j].name);
			found = options[j].name;
			*options[j].ret = entry->value;
		}
	}
	return 0;
}

static bool is_bearer(const char *mechanism)
{
	return strcmp(mechanism, "OAUTHBEARER") == 0 || strcmp(mechanism, "XOAUTH2") == 0;
}

/* A token is good for some mechanisms, and a password for the others. */
static int load_auth(
	struct account *account, const char *section, struct account_side *side, char **ret_reason)
{
	bool remote = strcmp(section, "remote") == 0;
	bool is_given = options_entry(account->private->ini, section, "auth") != NULL;
	const char *value = string(account, section, "auth");
	bool usable = false;

	if (!is_given && side->token_command != NULL)
		value = "OAUTHBEARER XOAUTH2";
	side->auth = (const char *const *)(account->private->auth[remote] = upper_words(value));
	for (size_t i = 0; side->auth[i] != NULL; i++)
		usable |= is_bearer(side->auth[i]) == (side->token_command != NULL);
	if (usable)
		return 0;
	return refuse(account, section, "auth", ret_reason,
		side->token_command != NULL
			? "auth: token-command needs OAUTHBEARER or XOAUTH2"
			: "auth: OAUTHBEARER and XOAUTH2 need the option token-command");
}

static int load_side(
	struct account *account, const char *section, struct account_side *side, char **ret_reason)
{
	bool remote = strcmp(section, "remote") == 0;
	int r;

	side->name = section;
	side->type = type_of(account, section);
	load_address(account, section, side);
	side->null_stderr = yes(account, section, "null-stderr");
	side->starttls = yes(account, section, "STARTTLS");
	side->compress = options_entry(account->private->ini, section, "compress") != NULL
				 ? yes(account, section, "compress")
				 : remote;
	side->username = string(account, section, "username");
	r = load_secret(account, section, side, ret_reason);
	if (r == 0)
		r = load_auth(account, section, side, ret_reason);
	if (r < 0)
		return r;
	side->list_reference = string(account, section, "list-reference");
	load_tls(account, section, &side->tls);
	if (side->type == ACCOUNT_TUNNEL) {
		side->command = string(account, section, "command");
		if (side->command == NULL)
			return refuse(account, section, "type", ret_reason,
				"[%s] with type=tunnel needs the option command", section);
	} else if (side->type == ACCOUNT_MAILDIR) {
		side->path = keep(account, path_in_home(string(account, section, "path")));
		if (side->path == NULL)
			return refuse_homeless(account, ret_reason);
	} else {
		return check_tls(account, section, &side->tls, ret_reason);
	}
	return 0;
}

static int load_listen(struct account *account, char **ret_reason)
{
	struct account_proxy *proxy = &account->proxy;
	struct listen_address *addresses = NULL;
	size_t count = 0;
	_cleanup_free_ char *wrong =
		value_parse_listen(string(account, "proxy", "listen"), &addresses, &count);

	if (wrong != NULL)
		return refuse(account, "proxy", "listen", ret_reason, "listen: %s", wrong);
	proxy->listen = account->private->listen = addresses;
	proxy->listen_count = count;
	for (size_t i = 0; i < count; i++) {
		char *unix_path = addresses[i].unix_path;

		if (unix_path == NULL)
			continue;
		addresses[i].unix_path = path_expand(unix_path);
		free(unix_path);
		if (addresses[i].unix_path == NULL)
			return refuse_homeless(account, ret_reason);
	}
	return 0;
}

static int load_proxy(struct account *account, char **ret_reason)
{
	struct account_proxy *proxy = &account->proxy;
	int r = load_listen(account, ret_reason);

	if (r < 0)
		return r;
	proxy->is_given = ini_section(account->private->ini, "proxy") != NULL;
	proxy->username = string(account, "proxy", "username");
	if (proxy->username == NULL)
		proxy->username = keep(account, path_login_name());
	proxy->password = string(account, "proxy", "password");
	proxy->password_hash = string(account, "proxy", "password-hash");
	proxy->cert = path(account, "proxy", "SSL_cert");
	proxy->key = path(account, "proxy", "SSL_key");
	proxy->max_clients =
		(unsigned)options_number(account->private->ini, "proxy", "max-clients");
	if (proxy->password != NULL && proxy->password_hash != NULL)
		return refuse(account, "proxy", "password-hash", ret_reason,
			"either password or password-hash, not both");
	if ((proxy->cert == NULL) != (proxy->key == NULL))
		return refuse(account, "proxy", proxy->cert != NULL ? "SSL_cert" : "SSL_key",
			ret_reason, "SSL_cert and SSL_key belong together");
	return 0;
}

/*
 * The default is named after the remote host, also of a tunnel if one is given; this is what the
 * Perl program does, whose man page mentions the local host as well.
 */
static int load_database(struct account *account, char **ret_reason)
{
	const char *given = string(account, "", "database");
	_cleanup_free_ char *name = NULL;

	if (given == NULL)
		name = xasprintf("%s.db", account->remote.host);
	account->database = keep(account, path_in_data(given != NULL ? given : name));
	return account->database != NULL ? 0 : refuse_homeless(account, ret_reason);
}

static int load_general(struct account *account, char **ret_reason)
{
	struct account_private *private = account->private;
	_cleanup_free_ char *wrong = value_parse_patterns(string(account, "", "list-mailbox"),
		&private->list_patterns, &account->list_pattern_count);

	if (wrong != NULL)
		return refuse(account, "", "list-mailbox", ret_reason, "list-mailbox: %s", wrong);
	account->list_patterns = private->list_patterns;
	private->list_select_opts = upper_words(string(account, "", "list-select-opts"));
	account->list_select_opts = (const char *const *)private->list_select_opts;
	account->ignore_mailbox = string(account, "", "ignore-mailbox");
	account->logfile = path(account, "", "logfile");
	account->log_prefix = string(account, "", "log-prefix");
	account->max_deletions = value_parse_max_deletions(string(account, "", "max-deletions"));
	account->adopt = yes(account, "", "adopt");
	return load_database(account, ret_reason);
}

static bool holds_password(const struct ini *ini)
{
	for (size_t i = 0; i < ini->entry_count; i++) {
		const struct ini_entry *entry = &ini->entries[i];

		if (strncmp(entry->name, "password", 8) == 0 && entry->value[0] != '\0' &&
			strcmp(entry->name, "password-command") != 0)
			return true;
		if (strcmp(entry->name, "proxy") == 0 && strchr(entry->value, '@') != NULL)
			return true;
	}
	return false;
}

static int load_all(struct account *account, char **ret_reason)
{
	const struct ini *ini = account->private->ini;
	int r = options_check(ini, ret_reason);

	if (r == 0 && ini_section(ini, "remote") == NULL)
		r = refuse(account, "", "", ret_reason, "there is no section [remote]");
	if (r == 0)
		r = load_side(account, "local", &account->local, ret_reason);
	if (r == 0)
		r = load_side(account, "remote", &account->remote, ret_reason);
	if (r == 0)
		r = load_proxy(account, ret_reason);
	if (r == 0)
		r = load_general(account, ret_reason);
	if (r == 0 && ini->is_shared && holds_password(ini))
		warn(account, "%s holds a password and can be read by others: chmod go= it",
			ini->path);
	return r;
}

/* Takes the INI text. */
static int load(struct ini *own_ini, struct account **ret, char **ret_reason)
{
	struct account *account = xcalloc(1, sizeof(*account));
	int r;

	account->private = xcalloc(1, sizeof(*account->private));
	account->private->references = 1;
	account->private->ini = own_ini;
	account->database_name = "database";
	account->config_path = own_ini->path;
	account->warnings = xcalloc(1, sizeof(*account->warnings));
	r = load_all(account, ret_reason);
	if (r < 0)
		(void)account_free(account);
	else
		*ret = account;
	return r;
}

int account_parse(
	const char *file, const char *text, size_t len, struct account **ret, char **ret_reason)
{
	struct ini *ini;
	int r = ini_parse(file, text, len, &ini, ret_reason);

	return r < 0 ? r : load(ini, ret, ret_reason);
}

int account_load(const char *file, struct account **ret, char **ret_reason)
{
	_cleanup_free_ char *resolved = path_in_config(file != NULL ? file : "config");
	struct ini *ini;
	int r;

	if (resolved == NULL) {
		*ret_reason = xstrdup("there is no home directory: set HOME or --config");
		return -ENOENT;
	}
	r = ini_load(resolved, &ini, ret_reason);
	if (r == 0)
		r = load(ini, ret, ret_reason);
	if (r < 0)
		return r;
	if (file != NULL)
		(*ret)->config_given = keep(*ret, xstrdup(file));
	return 0;
}

bool account_has_default(void)
{
	_cleanup_free_ char *path = path_in_config("config");

	return path != NULL && (access(path, F_OK) == 0 || errno != ENOENT);
}
