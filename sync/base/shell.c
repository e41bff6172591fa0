/* SPDX-License-Identifier: MIT */
#include "sync/base/shell.h"

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#include "sync/base/buf.h"
#include "sync/base/printable.h"
#include "sync/base/xalloc.h"

static bool is_harmless(const char *word)
{
	static const char harmless[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
				       "0123456789%+,-./:=@_";

	/* zsh expands a word that begins with "=". */
	return *word != '\0' && *word != '=' && word[strspn(word, harmless)] == '\0';
}

static bool is_plain(unsigned char c)
{
	return c >= ' ' && c < 0x7f;
}

static void put_quoted(struct buf *out, const char *word)
{
	(void)buf_puts(out, "'");
	for (; *word != '\0'; word++) {
		if (*word == '\'')
			(void)buf_puts(out, "'\\''");
		else
			(void)buf_putc(out, *word);
	}
	(void)buf_puts(out, "'");
}

static void put_escaped(struct buf *out, const char *word)
{
	(void)buf_puts(out, "$'");
	for (; *word != '\0'; word++) {
		if (*word == '\'' || *word == '\\')
			(void)buf_printf(out, "\\%c", *word);
		else if (is_plain((unsigned char)*word))
			(void)buf_putc(out, *word);
		else /* three digits: one that follows is not taken for a part of it */
			(void)buf_printf(out, "\\%03o", (unsigned char)*word);
	}
	(void)buf_puts(out, "'");
}

char *shell_quote(const char *word)
{
	struct buf out;

	if (is_harmless(word))
		return xstrdup(word);
	buf_init(&out, SIZE_MAX);
	if (printable(word))
		put_quoted(&out, word);
	else
		put_escaped(&out, word);
	return buf_steal(&out);
}
