/* SPDX-License-Identifier: MIT */
#include "proxy/arguments.h"

#include <errno.h>
#include <getopt.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "sync/base/xalloc.h"

enum option_id {
	OPT_CONFIG = 256,
	OPT_PROXY,
	OPT_WATCH,
	OPT_NOTIFY,
	OPT_ALLOW,
	OPT_DEBUG,
	OPT_REPAIR,
	OPT_DELETE,
	OPT_RENAME,
	OPT_TARGET,
	OPT_VERSION
};

static const struct option options[] = {
	{"config", required_argument, NULL, OPT_CONFIG},
	{"proxy", no_argument, NULL, OPT_PROXY},
	{"watch", optional_argument, NULL, OPT_WATCH},
	{"notify", no_argument, NULL, OPT_NOTIFY},
	{"allow-deletions", no_argument, NULL, OPT_ALLOW},
	{"repair", no_argument, NULL, OPT_REPAIR},
	{"delete", no_argument, NULL, OPT_DELETE},
	{"rename", no_argument, NULL, OPT_RENAME},
	{"target", required_argument, NULL, OPT_TARGET},
	{"quiet", no_argument, NULL, 'q'},
	{"debug", no_argument, NULL, OPT_DEBUG},
	{"help", no_argument, NULL, 'h'},
	{"version", no_argument, NULL, OPT_VERSION},
	{0},
};

void arguments_print_help(void)
{
	(void)fputs(
		"Usage: interimap [OPTION ...] [MAILBOX ...]\n"
		"       interimap --proxy [OPTION ...]\n"
		"Keep an IMAP account the same on two servers; with --proxy, serve it to mail "
		"clients.\n"
		"\n"
		"      --proxy            serve mail clients on localhost, and keep synchronising\n"
		"      --watch[=SECONDS]  keep synchronising, and look again at these intervals\n"
		"      --notify           keep synchronising, told of changes by the servers "
		"(NOTIFY)\n"
		"      --allow-deletions MAILBOX ...\n"
		"                         let an unusual mass of deletions in MAILBOX pass, once\n"
		"      --config=FILE      use this configuration file\n"
		"      --repair           compare everything with the database, and mend it\n"
		"      --delete MAILBOX ...\n"
		"                         delete the mailboxes on both servers and in the "
		"database\n"
		"      --rename SOURCE DEST\n"
		"                         rename likewise\n"
		"      --target=local|remote|database\n"
		"                         delete or rename only there (may be repeated)\n"
		"  -q, --quiet            say only what is wrong\n"
		"      --debug            say what goes over the wire (twice: passwords too)\n"
		"  -h, --help             this text\n"
		"      --version          the version\n"
		"\n"
		"See interimap(1).\n",
		stdout);
}

static bool parse_interval(struct arguments *arguments, const char *text)
{
	char *end;
	unsigned long seconds;

	if (text == NULL)
		return true;
	errno = 0;
	seconds = strtoul(text, &end, 10);
	if (errno != 0 || end == text || *end != '\0' || text[0] == '-' || seconds == 0 ||
		seconds > 31536000) {
		(void)fprintf(
			stderr, "interimap: --watch: \"%s\" is not a number of seconds\n", text);
		return false;
	}
	arguments->interval = (unsigned)seconds;
	return true;
}

/* getopt_long() takes abbreviations, which the options do not have: a later option would change
 * what they mean. */
static bool is_abbreviated(const char *word)
{
	size_t len = strcspn(word, "=");

	if (strncmp(word, "--", 2) != 0 || len <= 2)
		return false;
	for (const struct option *option = options; option->name != NULL; option++)
		if (strlen(option->name) == len - 2 &&
			strncmp(option->name, word + 2, len - 2) == 0)
			return false;
	return true;
}

/* One target, or several with commas between them. */
static bool parse_targets(struct arguments *arguments, const char *text)
{
	for (;;) {
		size_t len = strcspn(text, ",");

		if (len == 5 && strncmp(text, "local", len) == 0) {
			arguments->local = true;
		} else if (len == 6 && strncmp(text, "remote", len) == 0) {
			arguments->remote = true;
		} else if (len == 8 && strncmp(text, "database", len) == 0) {
			arguments->database = true;
		} else {
			(void)fprintf(stderr, "interimap: --target: invalid target \"%.*s\"\n",
				(int)len, text);
			return false;
		}
		if (text[len] == '\0')
			return true;
		text += len + 1;
	}
}

static bool take_option(struct arguments *arguments, int option)
{
	switch (option) {
	case OPT_CONFIG:
		arguments->config = optarg;
		return true;
	case OPT_PROXY:
		arguments->proxy = true;
		return true;
	case OPT_WATCH:
		arguments->watch = true;
		return parse_interval(arguments, optarg);
	case OPT_NOTIFY:
		arguments->notify = true;
		return true;
	case OPT_ALLOW:
		arguments->allow_deletions = true;
		return true;
	case OPT_REPAIR:
		arguments->repair = true;
		return true;
	case OPT_DELETE:
		arguments->delete = true;
		return true;
	case OPT_RENAME:
		arguments->rename = true;
		return true;
	case OPT_TARGET:
		return parse_targets(arguments, optarg);
	case OPT_DEBUG:
		arguments->debug++;
		return true;
	case OPT_VERSION:
		arguments->version = true;
		return true;
	case 'q':
		arguments->quiet = true;
		return true;
	case 'h':
		arguments->help = true;
		return true;
	default:
		return false;
	}
}

static size_t count_mailboxes(const struct arguments *arguments)
{
	size_t count = 0;

	while (arguments->mailboxes != NULL && arguments->mailboxes[count] != NULL)
		count++;
	return count;
}

/* What is wrong with the combination of options, or NULL. */
static const char *find_conflict(const struct arguments *arguments)
{
	size_t mailboxes = count_mailboxes(arguments);
	bool stays = arguments->proxy || arguments->watch || arguments->notify;
	bool changes = arguments->delete || arguments->rename;

	if (arguments->repair + arguments->delete + arguments->rename + arguments->proxy > 1)
		return "only one of --repair, --delete, --rename and --proxy can be given";
	if (stays && (arguments->repair || changes))
		return "--repair, --delete and --rename are done once: not with --watch or "
		       "--notify";
	if (arguments->delete &&mailboxes == 0)
		return "--delete needs the mailboxes to be deleted";
	if (arguments->rename && mailboxes != 2)
		return "--rename needs the old and the new name";
	if ((arguments->local || arguments->remote || arguments->database) && !changes)
		return "--target goes with --delete or --rename";
	if (arguments->allow_deletions && (mailboxes == 0 || changes))
		return "--allow-deletions needs the mailboxes it is meant for";
	if (arguments->proxy && mailboxes > 0)
		return "--proxy takes no mailboxes: it serves the whole account";
	return NULL;
}

static bool check(const struct arguments *arguments)
{
	const char *wrong = NULL;

	if (!arguments->help && !arguments->version)
		wrong = find_conflict(arguments);
	if (wrong != NULL)
		(void)fprintf(stderr, "interimap: %s\n", wrong);
	return wrong == NULL;
}

bool arguments_parse(struct arguments *arguments, int argc, char *argv[])
{
	bool good = true;

	*arguments = (struct arguments){0};
	for (;;) {
		int at = optind > 0 ? optind : 1, option;

		if (at < argc && is_abbreviated(argv[at])) {
			(void)fprintf(stderr, "interimap: unknown option '%s'\n", argv[at]);
			good = false;
			break;
		}
		option = getopt_long(argc, argv, "+qh", options, NULL);
		if (option < 0)
			break;
		good = take_option(arguments, option) && good;
	}
	if (optind < argc)
		arguments->mailboxes = (const char *const *)&argv[optind];
	good = good && check(arguments);
	if (!arguments->local && !arguments->remote && !arguments->database)
		arguments->local = arguments->remote = arguments->database = true;
	if (!good)
		(void)fputs("Try `interimap --help` for more information.\n", stderr);
	return good;
}
