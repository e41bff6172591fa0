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
	OPT_VERSION
};

static const struct option options[] = {
	{"config", required_argument, NULL, OPT_CONFIG},
	{"proxy", no_argument, NULL, OPT_PROXY},
	{"watch", optional_argument, NULL, OPT_WATCH},
	{"notify", no_argument, NULL, OPT_NOTIFY},
	{"allow-deletions", no_argument, NULL, OPT_ALLOW},
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

static bool check(const struct arguments *arguments)
{
	const char *wrong = NULL;

	if (arguments->help || arguments->version)
		return true;
	if (arguments->allow_deletions && arguments->mailboxes == NULL)
		wrong = "--allow-deletions needs the mailboxes it is meant for";
	else if (arguments->proxy && arguments->mailboxes != NULL)
		wrong = "--proxy takes no mailboxes: it serves the whole account";
	else if (arguments->proxy && arguments->allow_deletions)
		wrong = "--allow-deletions and --proxy do not go together";
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
	if (!good)
		(void)fputs("Try `interimap --help` for more information.\n", stderr);
	return good;
}
