/* SPDX-License-Identifier: MIT */
#include "sync/base/log.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>
#include <utlist.h>

#include "sync/base/buf.h"
#include "sync/base/printable.h"
#include "sync/base/xalloc.h"

static const char default_prefix[] = "%?n?%?m?%n(%m)&%n?: ?";

static struct {
	enum log_level level;
	bool quiet;
	int fd;
	const char *prefix;
	struct log_tap *taps; /* utlist */
} logger = {.level = LOG_LEVEL_INFO, .fd = -1, .prefix = default_prefix};

void log_set_level(enum log_level level)
{
	logger.level = level;
}

enum log_level log_get_level(void)
{
	return logger.level;
}

void log_set_quiet(bool quiet)
{
	logger.quiet = quiet;
}

static bool is_tapped(enum log_level level)
{
	const struct log_tap *tap;

	DL_FOREACH (logger.taps, tap)
		if (level <= tap->level)
			return true;
	return false;
}

bool log_is_debug(void)
{
	return logger.level >= LOG_LEVEL_DEBUG || is_tapped(LOG_LEVEL_DEBUG);
}

void log_add_tap(struct log_tap *tap)
{
	DL_APPEND(logger.taps, tap);
}

void log_remove_tap(struct log_tap *tap)
{
	struct log_tap *found;

	DL_FOREACH (logger.taps, found)
		if (found == tap)
			break;
	if (found != NULL)
		DL_DELETE(logger.taps, found);
}

int log_open_file(const char *path)
{
	int fd = open(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC | O_NOCTTY, 0600);

	if (fd < 0)
		return -errno;
	log_close_file();
	logger.fd = fd;
	return 0;
}

void log_close_file(void)
{
	if (logger.fd >= 0)
		(void)close(logger.fd);
	logger.fd = -1;
}

/* systemd's journal reads the priority from a "<n>" in front of a line, when stderr is connected to
 * it. */
static const char *journal_priority(enum log_level level)
{
	static const char *const priority[] = {"<3>", "<4>", "<5>", "<6>", "<7>"};
	static int connected = -1;

	if (connected < 0) {
		const char *stream = getenv("JOURNAL_STREAM");
		unsigned long long dev, ino;
		struct stat st;

		connected = stream != NULL && sscanf(stream, "%llu:%llu", &dev, &ino) == 2 &&
			    fstat(STDERR_FILENO, &st) == 0 && st.st_dev == dev && st.st_ino == ino;
	}
	return connected > 0 ? priority[level] : "";
}

void log_set_prefix(const char *format)
{
	logger.prefix = format != NULL ? format : default_prefix;
}

/* A prefix while it is expanded. */
struct expansion {
	const char *side, *mailbox; /* "" for none */
	struct buf out;
	unsigned skipped; /* open conditions from the first one on whose branch is not shown */
	bool mailbox_shown;
};

static void put(struct expansion *expansion, const char *text)
{
	if (expansion->skipped == 0)
		(void)buf_puts(&expansion->out, text);
}

/* What stands behind a "%"; returns its last character. */
static const char *expand_specifier(struct expansion *expansion, const char *at)
{
	if (at[0] == '?' && at[1] != '\0' && at[2] == '?') {
		const char *value = at[1] == 'n' ? expansion->side : expansion->mailbox;

		if (expansion->skipped > 0 || value[0] == '\0')
			expansion->skipped++;
		return at + 2;
	}
	if (*at == 'n') {
		put(expansion, expansion->side);
	} else if (*at == 'm') {
		put(expansion, expansion->mailbox);
		expansion->mailbox_shown |= expansion->skipped == 0;
	} else {
		put(expansion, "%");
	}
	return at;
}

/*
 * No stack is needed: in a branch that is shown "&" begins one that is not, and in one that is not
 * shown the conditions within only have to be counted.
 */
static void expand(struct expansion *expansion, const char *format)
{
	for (const char *at = format; *at != '\0'; at++) {
		if (*at == '%' && at[1] != '\0') {
			at = expand_specifier(expansion, at + 1);
		} else if (*at == '&' && expansion->skipped <= 1) {
			expansion->skipped = !expansion->skipped;
		} else if (*at == '?') {
			expansion->skipped -= expansion->skipped > 0;
		} else if (*at != '&') {
			if (*at == '\\' && at[1] != '\0' && strchr("&?\\", at[1]) != NULL)
				at++;
			put(expansion, (const char[]){*at, '\0'});
		}
	}
}

static char *prefix(const struct log_context *context)
{
	const char *side = context != NULL ? context->side : NULL;
	const char *mailbox = context != NULL ? context->mailbox : NULL;
	struct expansion expansion = {
		.side = side != NULL ? side : "",
		.mailbox = mailbox != NULL ? mailbox : "",
	};
	char *text;

	buf_init(&expansion.out, SIZE_MAX);
	expand(&expansion, logger.prefix);
	if (side == NULL && mailbox != NULL && !expansion.mailbox_shown) {
		(void)buf_puts(&expansion.out, mailbox);
		(void)buf_puts(&expansion.out, ": ");
	}
	text = xmemdup0(buf_data(&expansion.out), buf_len(&expansion.out));
	buf_done(&expansion.out);
	return text;
}

static void write_file(const char *line)
{
	struct timespec now;
	struct tm tm;
	char stamp[40];

	(void)clock_gettime(CLOCK_REALTIME, &now);
	localtime_r(&now.tv_sec, &tm);
	strftime(stamp, sizeof(stamp), "%Y-%m-%d %H:%M:%S", &tm);
	(void)dprintf(logger.fd, "%s.%03ld %s\n", stamp, now.tv_nsec / 1000000, line);
}

static char *make_line(enum log_level level, const struct log_context *context, const char *fmt,
	va_list ap) __attribute__((format(printf, 3, 0)));

static char *make_line(
	enum log_level level, const struct log_context *context, const char *fmt, va_list ap)
{
	static const char *const word[] = {"ERROR: ", "WARNING: ", "", "", ""};
	_cleanup_free_ char *head = prefix(context), *text = xvasprintf(fmt, ap);
	char *line = xasprintf("%s%s%s", head, word[level], text);

	printable_neutralise(line); /* what a peer sends ends up in messages */
	return line;
}

static bool is_wanted(enum log_level level)
{
	return level <= logger.level &&
	       (!logger.quiet || level <= LOG_LEVEL_WARNING || level == LOG_LEVEL_DEBUG);
}

/* Debug messages go to the log file alone if there is one.  A line is written at once, so that others
 * who write there do not come into it; fprintf() of newer C libraries does that in pieces. */
static void write_stderr(enum log_level level, const char *line)
{
	_cleanup_free_ char *whole = NULL;

	if (level == LOG_LEVEL_DEBUG && logger.fd >= 0)
		return;
	whole = xasprintf("%s%s\n", journal_priority(level), line);
	(void)fwrite(whole, 1, strlen(whole), stderr);
}

void log_write(enum log_level level, const struct log_context *context, const char *fmt, ...)
{
	_cleanup_free_ char *line = NULL;
	struct log_tap *tap;
	va_list ap;

	if (!is_wanted(level) && !is_tapped(level))
		return;
	va_start(ap, fmt);
	line = make_line(level, context, fmt, ap);
	va_end(ap);
	if (is_wanted(level)) {
		if (logger.fd >= 0)
			write_file(line);
		write_stderr(level, line);
	}
	DL_FOREACH (logger.taps, tap)
		if (level <= tap->level)
			tap->line(tap, level, context, line);
}

char *log_line(enum log_level level, const struct log_context *context, const char *fmt, ...)
{
	va_list ap;
	char *line;

	va_start(ap, fmt);
	line = make_line(level, context, fmt, ap);
	va_end(ap);
	return line;
}

void log_pass_on(enum log_level level, const char *line)
{
	_cleanup_free_ char *copy = xstrdup(line);

	if (!is_wanted(level))
		return;
	printable_neutralise(copy);
	if (level == LOG_LEVEL_DEBUG && logger.fd >= 0)
		write_file(copy);
	write_stderr(level, copy);
}
