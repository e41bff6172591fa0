/* SPDX-License-Identifier: MIT */
#include "sync/config/options.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "sync/base/xalloc.h"
#include "sync/config/ini.h"
#include "sync/config/values.h"

/* clang-format off */
const struct option_entry options_table[] = {
	/* The account */
	{"database", IN_DEFAULT, OPTION_PATH,
		.help = "SQLite file that knows which message is which on both sides"},
	{"list-mailbox", IN_DEFAULT, OPTION_STRING, .fallback = "*", .check = value_check_patterns,
		.help = "patterns of the mailboxes to synchronize"},
	{"list-select-opts", IN_DEFAULT, OPTION_CHOICES,
		.choices = "SUBSCRIBED REMOTE RECURSIVEMATCH SPECIAL-USE",
		.help = "selection options of the LIST command"},
	{"ignore-mailbox", IN_DEFAULT, OPTION_STRING, .check = value_check_regex,
		.help = "regular expression of the mailboxes to leave out"},
	{"logfile", IN_DEFAULT, OPTION_PATH,
		.help = "file for messages and debug output"},
	{"log-prefix", IN_DEFAULT, OPTION_STRING, .may_be_empty = true,
		.fallback = "%?n?%?m?%n(%m)&%n?: ?", .check = value_check_log_prefix,
		.help = "what each message begins with"},
	{"max-deletions", IN_DEFAULT, OPTION_STRING, .check = value_check_max_deletions,
		.help = "how many messages may vanish from a mailbox at once: NO, a count, or a share"},
	{"adopt", IN_DEFAULT, OPTION_BOOL, .fallback = "YES",
		.help = "pair messages that are on both sides already instead of copying them"},

	/* A server */
	{"type", IN_DEFAULT | IN_REMOTE, OPTION_CHOICE, .choices = "imap imaps tunnel",
		.fallback = "imaps", .help = "how the server is reached"},
	{"type", IN_LOCAL, OPTION_CHOICE, .choices = "imap imaps tunnel maildir",
		.fallback = "imaps", .help = "how the local server is reached, or the embedded store"},
	{"path", IN_LOCAL, OPTION_PATH, .fallback = "~/Mail",
		.help = "directory of the embedded store"},
	{"host", IN_ANY_SERVER, OPTION_STRING, .fallback = "localhost", .check = value_check_host,
		.help = "host name or IP address of the server"},
	{"port", IN_ANY_SERVER, OPTION_STRING, .check = value_check_port,
		.help = "port number or service name of the server"},
	{"proxy", IN_ANY_SERVER, OPTION_STRING, .check = value_check_socks,
		.help = "SOCKS5 proxy on the way to the server"},
	{"command", IN_ANY_SERVER, OPTION_STRING,
		.help = "command that speaks IMAP, for type=tunnel"},
	{"null-stderr", IN_ANY_SERVER, OPTION_BOOL, .fallback = "NO",
		.help = "discard the error output of the command"},
	{"STARTTLS", IN_ANY_SERVER, OPTION_BOOL, .fallback = "YES",
		.help = "insist on TLS after connecting, for type=imap"},
	{"auth", IN_ANY_SERVER, OPTION_CHOICES,
		.choices = "PLAIN LOGIN EXTERNAL CRAM-MD5 SCRAM-SHA-1 SCRAM-SHA-256 "
			   "SCRAM-SHA-1-PLUS SCRAM-SHA-256-PLUS OAUTHBEARER XOAUTH2",
		.fallback = "PLAIN LOGIN", /* OAUTHBEARER XOAUTH2 with token-command */
		.help = "authentication mechanisms, by preference"},
	{"username", IN_ANY_SERVER, OPTION_STRING,
		.help = "user name at the server"},
	{"password", IN_ANY_SERVER, OPTION_STRING, .may_be_empty = true,
		.help = "password at the server"},
	{"password-command", IN_ANY_SERVER, OPTION_STRING, .check = value_check_command,
		.help = "command that prints the password at the server"},
	{"token-command", IN_ANY_SERVER, OPTION_STRING, .check = value_check_command,
		.help = "command that prints an access token (OAuth 2.0) for the server"},
	{"compress", IN_ANY_SERVER, OPTION_BOOL, /* NO for [local], YES for [remote] */
		.help = "compress the connection if the server can"},
	{"list-reference", IN_ANY_SERVER, OPTION_STRING, .may_be_empty = true, .fallback = "",
		.help = "reference name below which the mailboxes are"},
	{"SSL_protocols", IN_ANY_SERVER, OPTION_CHOICES,
		.choices = "SSLv2 SSLv3 TLSv1 TLSv1.1 TLSv1.2 TLSv1.3 "
			   "!SSLv2 !SSLv3 !TLSv1 !TLSv1.1 !TLSv1.2 !TLSv1.3",
		.help = "TLS versions to enable, or with ! to disable (deprecated)"},
	{"SSL_protocol_min", IN_ANY_SERVER, OPTION_CHOICE,
		.choices = "SSLv3 TLSv1 TLSv1.1 TLSv1.2 TLSv1.3", .help = "lowest TLS version"},
	{"SSL_protocol_max", IN_ANY_SERVER, OPTION_CHOICE,
		.choices = "SSLv3 TLSv1 TLSv1.1 TLSv1.2 TLSv1.3", .help = "highest TLS version"},
	{"SSL_cipherlist", IN_ANY_SERVER, OPTION_STRING,
		.help = "ciphers of TLS 1.2 and below"},
	{"SSL_ciphersuites", IN_ANY_SERVER, OPTION_STRING, .may_be_empty = true,
		.help = "cipher suites of TLS 1.3"},
	{"SSL_fingerprint", IN_ANY_SERVER, OPTION_STRING, .check = value_check_fingerprints,
		.help = "digests of acceptable public keys of the server"},
	{"SSL_verify", IN_ANY_SERVER, OPTION_BOOL, .fallback = "YES",
		.help = "verify the certificate of the server and its name"},
	{"SSL_CAfile", IN_ANY_SERVER, OPTION_PATH,
		.help = "file of trusted certificates"},
	{"SSL_CApath", IN_ANY_SERVER, OPTION_PATH,
		.help = "directory of trusted certificates"},
	{"SSL_hostname", IN_ANY_SERVER, OPTION_STRING, .may_be_empty = true,
		.help = "name sent in the TLS handshake; empty for none"},

	/* The proxy */
	{"listen", IN_PROXY, OPTION_STRING, .fallback = "127.0.0.1:1143 [::1]:1143",
		.check = value_check_listen, .help = "addresses and UNIX sockets to listen on"},
	{"username", IN_PROXY, OPTION_STRING, /* the user's login name */
		.help = "user name that mail clients log in with"},
	{"password", IN_PROXY, OPTION_STRING,
		.help = "password that mail clients log in with"},
	{"password-hash", IN_PROXY, OPTION_STRING, .check = value_check_hash,
		.help = "crypt(5) hash of that password"},
	{"SSL_cert", IN_PROXY, OPTION_PATH,
		.help = "certificate chain shown to mail clients"},
	{"SSL_key", IN_PROXY, OPTION_PATH,
		.help = "private key of that certificate"},
	{"max-clients", IN_PROXY, OPTION_NUMBER, .min = 1, .max = 10000, .fallback = "100",
		.help = "mail clients that may be connected at once"},
};
/* clang-format on */
const size_t options_count = ARRAY_LEN(options_table);

static const struct {
	const char *name;
	enum option_sections bit;
} sections[] = {
	{"", IN_DEFAULT},
	{"local", IN_LOCAL},
	{"remote", IN_REMOTE},
	{"proxy", IN_PROXY},
};

/* 0 for an unknown section. */
static unsigned section_bit(const char *name)
{
	for (size_t i = 0; i < ARRAY_LEN(sections); i++) {
		if (strcmp(sections[i].name, name) == 0)
			return sections[i].bit;
	}
	return 0;
}

/* The option of that name in that section ("" for the default one), or NULL. */
static const struct option_entry *find_option(const char *section, const char *name)
{
	unsigned bit = section_bit(section);

	for (size_t i = 0; i < options_count; i++) {
		if ((options_table[i].sections & bit) != 0 &&
			strcmp(options_table[i].name, name) == 0)
			return &options_table[i];
	}
	return NULL;
}

static bool is_choice(const char *choices, const char *word, size_t len)
{
	for (const char *at = choices; *at != '\0'; at += strspn(at, " ")) {
		size_t n = strcspn(at, " ");

		if (n == len && strncasecmp(at, word, len) == 0)
			return true;
		at += n;
	}
	return false;
}

static char *check_choices(const struct option_entry *option, const char *value)
{
	const char *at = value;

	do {
		size_t n = option->type == OPTION_CHOICE ? strlen(at) : strcspn(at, " \t");

		if (!is_choice(option->choices, at, n))
			return xasprintf("%.*s is none of: %s", (int)n, at, option->choices);
		at += n;
		at += strspn(at, " \t");
	} while (*at != '\0');
	return NULL;
}

static char *check_number(const struct option_entry *option, const char *value)
{
	char *end;
	long number;

	errno = 0;
	number = strtol(value, &end, 10);
	if (errno != 0 || *end != '\0' || strspn(value, "0123456789") != strlen(value) ||
		number < option->min || number > option->max)
		return xasprintf("it must be a number from %ld to %ld", option->min, option->max);
	return NULL;
}

/* What is wrong with the value, or NULL.  The value itself is not repeated: it may be a secret. */
static char *check_value(const struct option_entry *option, const char *value)
{
	char *wrong = NULL;

	if (value[0] == '\0')
		return option->may_be_empty ? NULL : xstrdup("it must not be empty");
	switch (option->type) {
	case OPTION_BOOL:
		if (!is_choice("YES NO", value, strlen(value)))
			wrong = xstrdup("it must be YES or NO");
		break;
	case OPTION_NUMBER:
		wrong = check_number(option, value);
		break;
	case OPTION_CHOICE:
	case OPTION_CHOICES:
		wrong = check_choices(option, value);
		break;
	case OPTION_STRING:
	case OPTION_PATH:
		break;
	}
	return wrong == NULL && option->check != NULL ? option->check(value) : wrong;
}

/* Where an option belongs that is not allowed where it stands; NULL for an unknown one. */
static char *describe_place(const char *name)
{
	unsigned places = 0;
	char *text = NULL;

	for (size_t i = 0; i < options_count; i++) {
		if (strcmp(options_table[i].name, name) == 0)
			places |= options_table[i].sections;
	}
	if ((places & IN_DEFAULT) != 0)
		return xstrdup("before any section");
	for (size_t i = 0; i < ARRAY_LEN(sections); i++) {
		char *longer;

		if ((places & sections[i].bit) == 0)
			continue;
		longer = xasprintf("%s%s[%s]", text != NULL ? text : "in ",
			text != NULL ? " or " : "", sections[i].name);
		free(text);
		text = longer;
	}
	return text;
}

static int check_entry(const struct ini *ini, const struct ini_entry *entry, char **ret_reason)
{
	const struct option_entry *option = find_option(entry->section, entry->name);
	_cleanup_free_ char *place = NULL, *wrong = NULL;

	if (option == NULL) {
		place = describe_place(entry->name);
		*ret_reason = place == NULL ? xasprintf("%s:%u: unknown option %s", ini->path,
						      entry->line, entry->name)
					    : xasprintf("%s:%u: the option %s belongs %s",
						      ini->path, entry->line, entry->name, place);
		return -EINVAL;
	}
	wrong = check_value(option, entry->value);
	if (wrong == NULL)
		return 0;
	*ret_reason = xasprintf("%s:%u: %s: %s", ini->path, entry->line, entry->name, wrong);
	return -EINVAL;
}

int options_check(const struct ini *ini, char **ret_reason)
{
	int r = 0;

	for (size_t i = 0; i < ini->section_count; i++) {
		if (section_bit(ini->sections[i].name) != 0)
			continue;
		*ret_reason = xasprintf("%s:%u: unknown section [%s]", ini->path,
			ini->sections[i].line, ini->sections[i].name);
		return -EINVAL;
	}
	for (size_t i = 0; i < ini->entry_count && r == 0; i++)
		r = check_entry(ini, &ini->entries[i], ret_reason);
	return r;
}

const struct ini_entry *options_entry(const struct ini *ini, const char *section, const char *name)
{
	const struct ini_entry *entry = ini_entry(ini, section, name);

	if (entry == NULL && (section_bit(section) & IN_SERVERS) != 0)
		entry = ini_entry(ini, "", name);
	return entry;
}

const char *options_string(const struct ini *ini, const char *section, const char *name)
{
	const struct ini_entry *entry = options_entry(ini, section, name);
	const struct option_entry *option = find_option(section, name);

	assert(option != NULL);
	return entry != NULL ? entry->value : option->fallback;
}

bool options_bool(const struct ini *ini, const char *section, const char *name)
{
	const char *value = options_string(ini, section, name);

	assert(value != NULL);
	return strcasecmp(value, "YES") == 0;
}

long options_number(const struct ini *ini, const char *section, const char *name)
{
	const char *value = options_string(ini, section, name);

	assert(value != NULL);
	return strtol(value, NULL, 10);
}
