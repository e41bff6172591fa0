/* SPDX-License-Identifier: MIT */
/*
 * Messages to the person who runs the program.  Only main, the commands, the engine, sessions and
 * the proxy log above debug level; the layers below return a reason.  Never pass a secret.
 */
#ifndef INTERIMAP_BASE_LOG_H
#define INTERIMAP_BASE_LOG_H

#include <stdbool.h>

enum log_level {
	LOG_LEVEL_ERROR,
	LOG_LEVEL_WARNING,
	LOG_LEVEL_NOTICE,
	LOG_LEVEL_INFO,
	LOG_LEVEL_DEBUG
};

/* What a message is about; either may be NULL.  Shown as the prefix says, by default
 * "side(mailbox): " or "side: ". */
struct log_context {
	const char *side; /* "local", "remote", "database", "proxy" … */
	const char *mailbox; /* as the user writes it */
};

/*
 * Messages up to `level` go to stderr.  With quiet set, only warnings and errors
 * do, and debug messages.  Debug
 * messages go to the log file alone if there is one.
 */
void log_set_level(enum log_level level);
void log_set_quiet(bool quiet);
bool log_is_debug(void);

/* Also write to this file (opened for appending, mode 0600), each line with a time stamp.  -errno
 * on failure. */
int log_open_file(const char *path);
void log_close_file(void);

/*
 * The format of the prefix (log-prefix in interimap.conf(5)), which has been checked; borrowed.
 * NULL: the default one.  A mailbox that it does not show is named all the same when a message is
 * about no side.
 */
void log_set_prefix(const char *format);

void log_write(enum log_level level, const struct log_context *context, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

#define log_error(context, ...) log_write(LOG_LEVEL_ERROR, (context), __VA_ARGS__)
#define log_warning(context, ...) log_write(LOG_LEVEL_WARNING, (context), __VA_ARGS__)
#define log_notice(context, ...) log_write(LOG_LEVEL_NOTICE, (context), __VA_ARGS__)
#define log_info(context, ...) log_write(LOG_LEVEL_INFO, (context), __VA_ARGS__)
#define log_debug(context, ...) \
	do { \
		if (log_is_debug()) \
			log_write(LOG_LEVEL_DEBUG, (context), __VA_ARGS__); \
	} while (0)

#endif
