/* SPDX-License-Identifier: MIT */
#include "sync/imap/utf7.h"

#include <stdint.h>

#include "sync/base/buf.h"
#include "sync/base/utf8.h"

struct encoder {
	struct buf out;
	uint32_t bits; /* the last `count` of them are not yet written */
	unsigned count;
	bool shifted; /* between '&' and '-' */
};

/* '/' is a hierarchy delimiter, hence ','. */
static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+,";

/* `out` has room for the longest result. */
static void put(struct encoder *encoder, char c)
{
	(void)buf_putc(&encoder->out, c);
}

static void put_unit(struct encoder *encoder, uint32_t unit)
{
	if (!encoder->shifted)
		put(encoder, '&');
	encoder->shifted = true;
	encoder->bits = encoder->bits << 16 | unit;
	encoder->count += 16;
	while (encoder->count >= 6) {
		encoder->count -= 6;
		put(encoder, digits[encoder->bits >> encoder->count & 0x3f]);
	}
}

static void end_shift(struct encoder *encoder)
{
	if (!encoder->shifted)
		return;
	if (encoder->count > 0)
		put(encoder, digits[encoder->bits << (6 - encoder->count) & 0x3f]);
	put(encoder, '-');
	encoder->shifted = false;
	encoder->count = 0;
}

static void put_point(struct encoder *encoder, uint32_t point)
{
	if (point >= 0x10000) {
		/* two halves, as in UTF-16 */
		put_unit(encoder, 0xd800 | (point - 0x10000) >> 10);
		put_unit(encoder, 0xdc00 | ((point - 0x10000) & 0x3ff));
	} else if (point >= 0x80) {
		put_unit(encoder, point);
	} else {
		end_shift(encoder);
		put(encoder, (char)point);
		if (point == '&')
			put(encoder, '-');
	}
}

/* Takes one character from the front. */
static bool take_point(struct slice *text, uint32_t *ret_point)
{
	size_t n = utf8_decode(text->data, text->len, ret_point);

	text->data += n;
	text->len -= n;
	return n > 0;
}

char *utf7_from_utf8(struct slice text)
{
	struct encoder encoder = {0};
	uint32_t point;

	/* The worst is one character of two bytes among ASCII: "&AOk-". */
	buf_init(&encoder.out, 5 * text.len / 2 + 1);
	while (text.len > 0) {
		/* Controls of both sets; RFC 5198 section 2 forbids the second as well. */
		if (!take_point(&text, &point) || point < 0x20 || (point >= 0x7f && point < 0xa0)) {
			buf_done(&encoder.out);
			return NULL;
		}
		put_point(&encoder, point);
	}
	end_shift(&encoder);
	return buf_steal(&encoder.out);
}
