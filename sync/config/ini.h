/* SPDX-License-Identifier: MIT */
/*
 * Strict reader of INI text: `[section]`, `name = value`, comment lines that begin with '#' or ';'.
 * White space around names and values is dropped; a value may hold anything else, '#', ';' and '='
 * included.  There are no continuation lines.  What does not fit is an error with file and line.
 */
#ifndef INTERIMAP_CONFIG_INI_H
#define INTERIMAP_CONFIG_INI_H

#include <stdbool.h>
#include <stddef.h>

struct ini_entry {
	const char *section; /* "" for the default section, before the first header */
	const char *name;
	char *value;
	unsigned line;
};

struct ini_section {
	char *name;
	unsigned line; /* of its first header; the default section has 0 */
};

struct ini {
	char *path; /* for messages */
	struct ini_section *sections;
	size_t section_count; /* the default section is always there, and first */
	struct ini_entry *entries;
	size_t entry_count;
	bool is_shared; /* group or others may read the file */
};

/*
 * 0; or -EINVAL and a sentence "path:line: …" in *ret_reason, which the caller frees.  A section
 * may be continued under a second header; an option may be given once in a section.
 */
int ini_parse(const char *path, const char *text, size_t len, struct ini **ret, char **ret_reason);
/* Also -errno when the file cannot be read, with a sentence that names it. */
int ini_load(const char *path, struct ini **ret, char **ret_reason);
/* Overwrites the values, since passwords are among them.  Accepts NULL. */
struct ini *ini_free(struct ini *ini);

/* NULL when it is not there.  Names are compared as they are. */
const struct ini_section *ini_section(const struct ini *ini, const char *name);
const struct ini_entry *ini_entry(const struct ini *ini, const char *section, const char *name);

#endif
