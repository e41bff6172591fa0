/* SPDX-License-Identifier: MIT */
#include "sync/base/printable.h"

#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "sync/base/utf8.h"
#include "sync/base/xalloc.h"

/* In order. */
static const struct {
	uint32_t first, last;
} hidden[] = {
	{0x00, 0x1f}, /* C0 */
	{0x7f, 0x9f}, /* DEL, C1: terminals that read UTF-8 obey U+009B as they do ESC [ */
	{0xad, 0xad}, /* soft hyphen */
	{0x61c, 0x61c}, /* Arabic letter mark */
	{0x115f, 0x1160}, /* Hangul fillers */
	{0x180e, 0x180e}, /* Mongolian vowel separator */
	{0x200b, 0x200f}, /* zero width, direction marks */
	{0x2028, 0x202e}, /* line and paragraph separator, embeddings and overrides */
	{0x2060, 0x206f}, /* word joiner, isolates, and what is deprecated */
	{0x3164, 0x3164}, /* Hangul filler */
	{0xfdd0, 0xfdef}, /* no characters */
	{0xfeff, 0xfeff}, /* zero width no-break space */
	{0xffa0, 0xffa0}, /* halfwidth Hangul filler */
	{0xfff9, 0xfffb}, /* interlinear annotation */
	{0xfffe, 0xffff}, /* no characters */
	{0xe0000, 0xe007f}, /* tags */
};

static bool is_hidden(uint32_t point)
{
	for (size_t i = 0; i < ARRAY_LEN(hidden) && point >= hidden[i].first; i++)
		if (point <= hidden[i].last)
			return true;
	return false;
}

/* Bytes of the character at the front that is shown as it is; 0 if it is not. */
static size_t shown(const char *text, size_t n, size_t *ret_skip)
{
	uint32_t point;
	size_t len = utf8_decode(text, n, &point);

	*ret_skip = len > 0 ? len : 1;
	return len > 0 && !is_hidden(point) ? len : 0;
}

void printable_neutralise(char *text)
{
	const char *from = text, *end = text + strlen(text);
	char *to = text;

	while (from < end) {
		size_t skip, len = shown(from, (size_t)(end - from), &skip);

		if (len > 0)
			memmove(to, from, len);
		else
			*to = '?';
		to += len > 0 ? len : 1;
		from += skip;
	}
	*to = '\0';
}

bool printable(const char *text)
{
	const char *end = text + strlen(text);
	size_t skip;

	for (; text < end; text += skip)
		if (shown(text, (size_t)(end - text), &skip) == 0)
			return false;
	return true;
}
