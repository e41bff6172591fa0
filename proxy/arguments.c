/* SPDX-License-Identifier: MIT */
#include "proxy/arguments.h"

#include <errno.h>
#include <getopt.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "sync/base/xalloc.h"
#include "sync/imap/utf7.h"

/* One option: sets `flag`, asks for a job, or is taken by parse(), with its value or NULL. */
struct entry {
	const char *name;
	int argument; /* no_argument … */
	size_t flag; /* offset of a bool; of no meaning with parse() or a job */
	enum job_kind job; /* JOB_SYNC: it asks for none */
	bool (*parse)(struct arguments *arguments, const char *value);
	char letter; /* or '\0' */
	const char *value, *help; /* for --help */
	const char *words; /* this and the next three are for shells: see struct argument_option */
	bool is_list, is_file, repeats;
};

enum { INTERVAL_MAX = 365 * 24 * 60 * 60 };

static const char digits[] = "0123456789";

static bool parse_interval(struct arguments *arguments, const char *text)
{
	unsigned long seconds;

	arguments->watch = true;
	if (text == NULL)
		return true;
	errno = 0;
	seconds = strtoul(text, NULL, 10);
	if (errno != 0 || *text == '\0' || text[strspn(text, digits)] != '\0' ||
		seconds > INTERVAL_MAX) {
		(void)fprintf(
			stderr, "interimap: --watch: \"%s\" is not a number of seconds\n", text);
		return false;
	}
	arguments->interval = (unsigned)seconds;
	return true;
}

/* One target, or several with commas between them. */
static bool parse_targets(struct arguments *arguments, const char *text)
{
	for (;;) {
		size_t len = strcspn(text, ",");

		if (len == 5 && strncmp(text, "local", len) == 0) {
			arguments->job.local = true;
		} else if (len == 6 && strncmp(text, "remote", len) == 0) {
			arguments->job.remote = true;
		} else if (len == 8 && strncmp(text, "database", len) == 0) {
			arguments->job.database = true;
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

static void ask_for(struct arguments *arguments, enum job_kind kind)
{
	arguments->jobs += arguments->job.kind != kind;
	arguments->job.kind = kind;
}

static bool parse_status(struct arguments *arguments, const char *text)
{
	ask_for(arguments, JOB_STATUS);
	arguments->json = text != NULL;
	if (text == NULL || strcmp(text, "json") == 0)
		return true;
	(void)fprintf(stderr, "interimap: --status: \"%s\" is no format: there is json\n", text);
	return false;
}

static bool take_config(struct arguments *arguments, const char *value)
{
	if (arguments->config_count == ARGUMENTS_CONFIGS) {
		(void)fprintf(stderr, "interimap: --config can be given %d times at most\n",
			ARGUMENTS_CONFIGS);
		return false;
	}
	arguments->configs[arguments->config_count++] = value;
	return true;
}

static bool take_debug(struct arguments *arguments, const char *value)
{
	arguments->debug++;
	return true;
}

#define FLAG(member) .flag = offsetof(struct arguments, member)

static const struct entry entries[] = {
	{"proxy", no_argument, FLAG(proxy), .value = "",
		.help = "serve mail clients on localhost, and keep synchronising"},
	{"watch", optional_argument, .parse = parse_interval, .value = "[=SECONDS]",
		.help = "keep synchronising, and look again at these intervals"},
	{"notify", no_argument, FLAG(notify), .value = "",
		.help = "keep synchronising, told of changes by the servers"},
	{"repair", no_argument, .job = JOB_REPAIR, .value = "",
		.help = "compare all messages with the database, and mend it"},
	{"delete", no_argument, .job = JOB_DELETE, .value = " MAILBOX ...",
		.help = "delete them on both servers and in the database"},
	{"rename", no_argument, .job = JOB_RENAME, .value = " SOURCE DEST",
		.help = "rename it, and what is below it, likewise"},
	{"verify", no_argument, .job = JOB_VERIFY, .value = " [MAILBOX ...]",
		.help = "compare both sides, and change nothing"},
	{"status", optional_argument, .parse = parse_status, .value = "[=json]",
		.help = "say how the service that is running gets on", .words = "json"},
	{"target", required_argument, .parse = parse_targets, .value = "=TARGET[,TARGET]",
		.help = "delete or rename only there: local, remote, database",
		.words = "local remote database", .is_list = true},
	{"allow-deletions", no_argument, FLAG(job.allow_deletions), .value = " MAILBOX ...",
		.help = "let an unusual mass of deletions there pass, once"},
	{"config", required_argument, .parse = take_config, .value = "=FILE",
		.help = "use this configuration file; with --proxy, several", .is_file = true,
		.repeats = true},
	{"quiet", no_argument, FLAG(quiet), .letter = 'q', .value = "",
		.help = "say only what is wrong"},
	{"debug", no_argument, .parse = take_debug, .value = "",
		.help = "say what goes over the wire (twice: passwords too)", .repeats = true},
	{"help", no_argument, FLAG(help), .letter = 'h', .value = "", .help = "this text"},
	{"version", no_argument, FLAG(version), .value = "", .help = "the version"},
};

void arguments_print_help(void)
{
	(void)fputs("Usage: interimap [OPTION ...] [MAILBOX ...]\n"
		    "       interimap [OPTION ...] --repair [MAILBOX ...]\n"
		    "       interimap [OPTION ...] --delete MAILBOX ...\n"
		    "       interimap [OPTION ...] --rename SOURCE DEST\n"
		    "       interimap [OPTION ...] --verify [MAILBOX ...]\n"
		    "       interimap [OPTION ...] --status[=json]\n"
		    "       interimap --proxy [OPTION ...]\n"
		    "Keep an IMAP account the same on two servers; with --proxy, serve it to mail "
		    "clients.\n"
		    "\n",
		stdout);
	for (size_t i = 0; i < ARRAY_LEN(entries); i++) {
		const struct entry *entry = &entries[i];
		char letter[] = {'-', entry->letter, ',', '\0'};
		_cleanup_free_ char *option = xasprintf("--%s%s", entry->name, entry->value);

		(void)printf("  %3s %-30s %s\n", entry->letter != '\0' ? letter : "", option,
			entry->help);
	}
	(void)fputs("\nSee interimap(1).\n", stdout);
}

bool arguments_option(size_t index, struct argument_option *ret)
{
	static const enum argument_value values[] = {
		[no_argument] = ARGUMENT_VALUE_NONE,
		[optional_argument] = ARGUMENT_VALUE_OPTIONAL,
		[required_argument] = ARGUMENT_VALUE_REQUIRED,
	};
	const struct entry *entry;

	if (index >= ARRAY_LEN(entries))
		return false;
	entry = &entries[index];
	*ret = (struct argument_option){
		.name = entry->name,
		.letter = entry->letter,
		.value = values[entry->argument],
		.words = entry->words,
		.is_list = entry->is_list,
		.is_file = entry->is_file,
		.repeats = entry->repeats,
		.help = entry->help,
	};
	return true;
}

/* getopt_long() takes abbreviations, which the options do not have: a later option would change
 * what they mean. */
static bool is_unknown(const char *word)
{
	size_t len = strcspn(word, "=");

	if (strncmp(word, "--", 2) != 0 || len <= 2)
		return false;
	for (size_t i = 0; i < ARRAY_LEN(entries); i++)
		if (strlen(entries[i].name) == len - 2 &&
			strncmp(entries[i].name, word + 2, len - 2) == 0)
			return false;
	return true;
}

static const struct entry *find(int option, int index)
{
	if (option == 0)
		return &entries[index];
	for (size_t i = 0; i < ARRAY_LEN(entries); i++)
		if (entries[i].letter != '\0' && entries[i].letter == option)
			return &entries[i];
	return NULL; /* getopt_long() has said why */
}

/* A value that may be left out is also taken from the next word, if that is a number: as the Perl
 * program does. */
static const char *value_of(const struct entry *entry, int argc, char *argv[])
{
	const char *next = optind < argc ? argv[optind] : "";

	if (entry->argument != optional_argument || optarg != NULL || *next == '\0' ||
		next[strspn(next, digits)] != '\0')
		return optarg;
	optind++;
	return next;
}

static bool take_option(struct arguments *arguments, const struct entry *entry, const char *value)
{
	if (entry->parse != NULL)
		return entry->parse(arguments, value);
	if (entry->job != JOB_SYNC)
		ask_for(arguments, entry->job);
	else
		*(bool *)((char *)arguments + entry->flag) = true;
	return true;
}

static size_t count_mailboxes(const struct job *job)
{
	size_t count = 0;

	while (job->mailboxes != NULL && job->mailboxes[count] != NULL)
		count++;
	return count;
}

/* What is wrong with the combination of options, or NULL. */
static const char *find_conflict(const struct arguments *arguments)
{
	const struct job *job = &arguments->job;
	size_t mailboxes = count_mailboxes(job);
	bool stays = arguments->proxy || arguments->watch || arguments->notify;
	bool changes = job->kind == JOB_DELETE || job->kind == JOB_RENAME;

	if (arguments->jobs + arguments->proxy > 1)
		return "only one of --repair, --delete, --rename, --verify, --status and --proxy "
		       "can be "
		       "given";
	if (stays && job->kind != JOB_SYNC)
		return "--repair, --delete, --rename, --verify and --status are done once: not "
		       "with --watch "
		       "or --notify";
	if (job->kind == JOB_STATUS && (mailboxes > 0 || job->allow_deletions))
		return "--status takes no mailboxes: it is about the whole account";
	if (job->kind == JOB_DELETE && mailboxes == 0)
		return "--delete needs the mailboxes to be deleted";
	if (job->kind == JOB_RENAME && mailboxes != 2)
		return "--rename needs the old and the new name";
	if ((job->local || job->remote || job->database) && !changes)
		return "--target goes with --delete or --rename";
	if (job->allow_deletions && (mailboxes == 0 || changes || job->kind == JOB_VERIFY))
		return "--allow-deletions needs the mailboxes it is meant for";
	if (arguments->proxy && mailboxes > 0)
		return "--proxy takes no mailboxes: it serves the whole account";
	if (arguments->config_count > 1 && !arguments->proxy)
		return "--config can be repeated with --proxy only: without it, one account at a "
		       "time";
	return NULL;
}

/* It would go out as it is, and no server could know what is meant. */
static bool check_names(const struct arguments *arguments)
{
	for (size_t i = 0; i < count_mailboxes(&arguments->job); i++) {
		const char *name = arguments->job.mailboxes[i];
		_cleanup_free_ char *utf7 = NULL;
		bool good = true;

		for (const char *at = name; *at != '\0'; at++)
			good = good && (unsigned char)*at < 0x80;
		if (good)
			continue;
		utf7 = utf7_from_utf8((struct slice){.data = name, .len = strlen(name)});
		(void)fprintf(stderr,
			utf7 != NULL ? "interimap: mailboxes are named in modified UTF-7: %s\n"
				     : "interimap: mailboxes are named in modified UTF-7, that is "
				       "in ASCII\n",
			utf7);
		return false;
	}
	return true;
}

static bool check(const struct arguments *arguments)
{
	const char *wrong = NULL;

	if (!arguments->help && !arguments->version)
		wrong = find_conflict(arguments);
	if (wrong != NULL)
		(void)fprintf(stderr, "interimap: %s\n", wrong);
	return wrong == NULL && check_names(arguments);
}

static bool take_options(struct arguments *arguments, int argc, char *argv[])
{
	struct option options[ARRAY_LEN(entries) + 1] = {0};

	for (size_t i = 0; i < ARRAY_LEN(entries); i++)
		options[i] =
			(struct option){.name = entries[i].name, .has_arg = entries[i].argument};
	for (;;) {
		int at = optind > 0 ? optind : 1, index = 0, option;
		const struct entry *entry;

		if (at < argc && is_unknown(argv[at])) {
			(void)fprintf(stderr, "interimap: unknown option '%s'\n", argv[at]);
			return false;
		}
		option = getopt_long(argc, argv, "+qh", options, &index);
		if (option < 0)
			return true;
		entry = find(option, index);
		if (entry == NULL || !take_option(arguments, entry, value_of(entry, argc, argv)))
			return false;
	}
}

bool arguments_parse(struct arguments *arguments, int argc, char *argv[])
{
	struct job *job = &arguments->job;
	bool good;

	*arguments = (struct arguments){0};
	good = take_options(arguments, argc, argv);
	if (optind < argc)
		arguments->job.mailboxes = (const char *const *)&argv[optind];
	good = good && check(arguments);
	if (!job->local && !job->remote && !job->database)
		job->local = job->remote = job->database = true;
	if (!good)
		(void)fputs("Try `interimap --help` for more information.\n", stderr);
	return good;
}

void arguments_say_first_steps(void)
{
	(void)fprintf(stderr,
		"To begin, put your account there, with a mode that lets nobody else read it:\n"
		"  [remote], host = SERVER, username = NAME, password = PASSWORD; one a line\n"
		"then run `interimap --proxy`; see interimap(1), and deploy/quickstart in the "
		"source\n");
}
