/* SPDX-License-Identifier: MIT */
/*
 * The options of the configuration file: one table says what each is called, where it may stand,
 * what it may be, and what it is otherwise.  interimap.conf(5) is checked against it.
 */
#ifndef INTERIMAP_CONFIG_OPTIONS_H
#define INTERIMAP_CONFIG_OPTIONS_H

#include <stdbool.h>
#include <stddef.h>

struct ini;
struct ini_entry;

enum option_sections {
	IN_DEFAULT = 1, /* before any section header */
	IN_LOCAL = 2,
	IN_REMOTE = 4,
	IN_PROXY = 8,
	IN_SERVERS = IN_LOCAL | IN_REMOTE,
	/* An option of a server may stand in the default section for both of them. */
	IN_ANY_SERVER = IN_DEFAULT | IN_SERVERS,
};

enum option_type {
	OPTION_STRING,
	OPTION_BOOL, /* YES or NO, in any case */
	OPTION_NUMBER, /* within min … max */
	OPTION_PATH, /* a leading ~/ is the home directory */
	OPTION_CHOICE, /* one of the words of `choices` */
	OPTION_CHOICES, /* some of them, separated by spaces */
};

struct option_entry {
	const char *name;
	enum option_sections sections;
	enum option_type type;
	const char *choices; /* space-separated; compared without regard to case */
	long min, max; /* of a number */
	bool may_be_empty;
	const char *fallback; /* NULL: none, or not a constant */
	const char *help; /* one line */
	/* A further check: NULL, or what is wrong (a sentence, the caller frees it). */
	char *(*check)(const char *value);
};

extern const struct option_entry options_table[];
extern const size_t options_count;

/* All of it: sections, names and values.  0, or -EINVAL and a sentence with file and line. */
int options_check(const struct ini *ini, char **ret_reason);

/*
 * The entry that holds for a section: its own, else for [local] and [remote] that of the default
 * section; NULL if neither has it.
 */
const struct ini_entry *options_entry(const struct ini *ini, const char *section, const char *name);
/* Its value, or the fallback of the table (which may be NULL).  Borrowed. */
const char *options_string(const struct ini *ini, const char *section, const char *name);
/* For options with a fallback; the values were checked before. */
bool options_bool(const struct ini *ini, const char *section, const char *name);
long options_number(const struct ini *ini, const char *section, const char *name);

#endif
