/* SPDX-License-Identifier: MIT */
#include "sync/base/utf8.h"

size_t utf8_decode(const char *text, size_t n, uint32_t *ret_point)
{
	static const uint32_t smallest[] = {0, 0x80, 0x800, 0x10000};
	unsigned char lead;
	uint32_t point;
	size_t more;

	if (n == 0)
		return 0;
	lead = (unsigned char)text[0];
	more = lead < 0x80 ? 0 : lead < 0xc0 ? 4 : lead < 0xe0 ? 1 : lead < 0xf0 ? 2 : 3;
	if (more == 4 || lead >= 0xf8 || n <= more)
		return 0;
	point = more == 0 ? lead : lead & 0x3fU >> more;
	for (size_t i = 1; i <= more; i++) {
		unsigned char byte = (unsigned char)text[i];

		if ((byte & 0xc0) != 0x80)
			return 0;
		point = point << 6 | (byte & 0x3f);
	}
	if (point < smallest[more] || point > 0x10ffff || (point >= 0xd800 && point <= 0xdfff))
		return 0;
	*ret_point = point;
	return more + 1;
}
