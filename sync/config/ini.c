/* SPDX-License-Identifier: MIT */
#include "sync/config/ini.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "sync/base/buf.h"
#include "sync/base/limits.h"
#include "sync/base/xalloc.h"

struct ini *ini_free(struct ini *ini)
{
	if (ini == NULL)
		return NULL;
	for (size_t i = 0; i < ini->entry_count; i++) {
		explicit_bzero(ini->entries[i].value, strlen(ini->entries[i].value));
		free(ini->entries[i].value);
		free((char *)ini->entries[i].name);
	}
	for (size_t i = 0; i < ini->section_count; i++)
		free(ini->sections[i].name);
	free(ini->entries);
	free(ini->sections);
	free(ini->path);
	free(ini);
	return NULL;
}

const struct ini_section *ini_section(const struct ini *ini, const char *name)
{
	for (size_t i = 0; i < ini->section_count; i++) {
		if (strcmp(ini->sections[i].name, name) == 0)
			return &ini->sections[i];
	}
	return NULL;
}

const struct ini_entry *ini_entry(const struct ini *ini, const char *section, const char *name)
{
	for (size_t i = 0; i < ini->entry_count; i++) {
		const struct ini_entry *entry = &ini->entries[i];

		if (strcmp(entry->section, section) == 0 && strcmp(entry->name, name) == 0)
			return entry;
	}
	return NULL;
}

static bool is_space(char c)
{
	return c == ' ' || c == '\t' || c == '\r' || c == '\v' || c == '\f';
}

struct line {
	const char *text;
	size_t len;
	unsigned number;
};

static struct line trim(struct line line)
{
	while (line.len > 0 && is_space(line.text[0])) {
		line.text++;
		line.len--;
	}
	while (line.len > 0 && is_space(line.text[line.len - 1]))
		line.len--;
	return line;
}

__attribute__((format(printf, 4, 5))) static int refuse(
	const struct ini *ini, const struct line *line, char **ret_reason, const char *fmt, ...)
{
	_cleanup_free_ char *sentence = NULL;
	va_list ap;

	va_start(ap, fmt);
	sentence = xvasprintf(fmt, ap);
	va_end(ap);
	*ret_reason = xasprintf("%s:%u: %s", ini->path, line->number, sentence);
	return -EINVAL;
}

/* The name is borrowed by entries, so the array holds pointers that stay where they are. */
static const char *add_section(struct ini *ini, char *own_name, unsigned line)
{
	const struct ini_section *known = ini_section(ini, own_name);

	if (known != NULL) {
		free(own_name);
		return known->name;
	}
	ini->sections =
		xreallocarray(ini->sections, ini->section_count + 1, sizeof(*ini->sections));
	ini->sections[ini->section_count++] = (struct ini_section){own_name, line};
	return own_name;
}

static int parse_header(
	struct ini *ini, const struct line *line, const char **section, char **ret_reason)
{
	struct line name = {line->text + 1, line->len - 2, line->number};

	if (line->text[line->len - 1] != ']')
		return refuse(ini, line, ret_reason, "a section header must end with ']'");
	name = trim(name);
	if (name.len == 0)
		return refuse(ini, line, ret_reason, "a section needs a name");
	if (ini->section_count == LIMIT_CONFIG_ENTRIES)
		return refuse(ini, line, ret_reason, "there are too many sections");
	*section = add_section(ini, xstrndup(name.text, name.len), line->number);
	return 0;
}

static int parse_entry(
	struct ini *ini, const struct line *line, const char *section, char **ret_reason)
{
	const char *equals = memchr(line->text, '=', line->len);
	struct line name, value;
	_cleanup_free_ char *copy = NULL;

	if (equals == NULL)
		return refuse(ini, line, ret_reason,
			"expected [section], name = value, or a comment that begins with # or ;");
	name = trim((struct line){line->text, (size_t)(equals - line->text), 0});
	value = trim((struct line){equals + 1, line->len - (size_t)(equals - line->text) - 1, 0});
	if (name.len == 0)
		return refuse(ini, line, ret_reason, "there is no name before '='");
	copy = xstrndup(name.text, name.len);
	if (ini_entry(ini, section, copy) != NULL)
		return refuse(ini, line, ret_reason, "%s is given a second time (first in line %u)",
			copy, ini_entry(ini, section, copy)->line);
	if (ini->entry_count == LIMIT_CONFIG_ENTRIES)
		return refuse(ini, line, ret_reason, "there are too many options");
	ini->entries = xreallocarray(ini->entries, ini->entry_count + 1, sizeof(*ini->entries));
	ini->entries[ini->entry_count++] = (struct ini_entry){
		section, take(copy), xstrndup(value.text, value.len), line->number};
	return 0;
}

/* Control characters would end up in commands and log lines.  The line itself is not shown: it may
 * hold a password. */
static int check_bytes(const struct ini *ini, const struct line *line, char **ret_reason)
{
	if (line->len > LIMIT_CONFIG_LINE)
		return refuse(ini, line, ret_reason, "the line is longer than %d bytes",
			LIMIT_CONFIG_LINE);
	for (size_t i = 0; i < line->len; i++) {
		unsigned char c = (unsigned char)line->text[i];

		if ((c < 0x20 && !is_space(line->text[i])) || c == 0x7f)
			return refuse(
				ini, line, ret_reason, "there is a control character (0x%02x)", c);
	}
	return 0;
}

static int parse_line(struct ini *ini, struct line line, const char **section, char **ret_reason)
{
	int r = check_bytes(ini, &line, ret_reason);

	line = trim(line);
	if (r < 0 || line.len == 0 || line.text[0] == '#' || line.text[0] == ';')
		return r;
	/* "[" alone is not yet a header: what ends it is looked for behind it. */
	if (line.text[0] == '[' && line.len > 1)
		return parse_header(ini, &line, section, ret_reason);
	return parse_entry(ini, &line, *section, ret_reason);
}

int ini_parse(const char *path, const char *text, size_t len, struct ini **ret, char **ret_reason)
{
	struct ini *ini = xcalloc(1, sizeof(*ini));
	const char *section;
	size_t at = 0;
	int r = 0;

	ini->path = xstrdup(path);
	section = add_section(ini, xstrdup(""), 0);
	for (unsigned number = 1; r == 0 && at < len; number++) {
		const char *end = memchr(text + at, '\n', len - at);
		size_t n = end != NULL ? (size_t)(end - (text + at)) : len - at;

		r = parse_line(ini, (struct line){text + at, n, number}, &section, ret_reason);
		at += n + 1;
	}
	if (r < 0)
		(void)ini_free(ini);
	else
		*ret = ini;
	return r;
}

/* Everything up to the limit; a pipe will do as well as a file. */
static int read_all(int fd, struct buf *buf)
{
	for (;;) {
		char *room = buf_reserve(buf, 4096);
		ssize_t n;

		if (room == NULL)
			return -EFBIG;
		n = read(fd, room, 4096);
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return n < 0 ? -errno : 0;
		buf_commit(buf, (size_t)n);
	}
}

int ini_load(const char *path, struct ini **ret, char **ret_reason)
{
	_cleanup_close_ int fd = open(path, O_RDONLY | O_CLOEXEC);
	struct stat status = {0};
	struct buf buf;
	int r = 0;

	buf_init(&buf, LIMIT_CONFIG_FILE);
	if (fd < 0 || fstat(fd, &status) < 0)
		r = -errno;
	if (r == 0)
		r = read_all(fd, &buf);
	if (r < 0)
		*ret_reason = xasprintf("cannot read %s: %s", path, strerror(-r));
	else
		r = ini_parse(path, buf_data(&buf), buf_len(&buf), ret, ret_reason);
	if (r == 0)
		(*ret)->is_shared =
			S_ISREG(status.st_mode) && (status.st_mode & (S_IRGRP | S_IROTH)) != 0;
	buf_wipe(&buf);
	return r;
}
