/* SPDX-License-Identifier: MIT */
/*
 * Messages to the person who runs the program.  Only main, the commands, the rooms of the engine,
 * sessions and the proxy log above debug level; the other layers return a reason.  Never pass a
 * secret.
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
enum log_level log_get_level(void);
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

/*
 * A second receiver of all messages up to its level, whatever goes to stderr: somebody who waits
 * for what the program is doing.  The line has its prefix, no control characters and no line end;
 * it and the context (which may be NULL) are borrowed.  Nothing may be logged, and no receiver
 * removed, from within line().
 */
struct log_tap {
	struct log_tap *prev, *next; /* utlist */
	enum log_level level;
	void (*line)(struct log_tap *tap, enum log_level level, const struct log_context *context,
		const char *line);
};

void log_add_tap(struct log_tap *tap);
/* Harmless if it was not added. */
void log_remove_tap(struct log_tap *tap);
/* The line of a message, for one of them alone; the caller's. */
char *log_line(enum log_level level, const struct log_context *context, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));
/* A line as another process' tap got it: to stderr, as if it were our own.  Only debug messages go
 * to the log file, since that process writes the others to its own. */
void log_pass_on(enum log_level level, const char *line);

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
