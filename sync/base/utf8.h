/* SPDX-License-Identifier: MIT */
/* UTF-8 from a peer, one character at a time. */
#ifndef INTERIMAP_BASE_UTF8_H
#define INTERIMAP_BASE_UTF8_H

#include <stddef.h>
#include <stdint.h>

/*
 * The character that `text` of n bytes begins with.  Its length in bytes, 1 to 4; or 0 if it does
 * not begin with one (RFC 3629 section 3: in its shortest form, no surrogates, up to U+10FFFF), or
 * n is 0.
 */
size_t utf8_decode(const char *text, size_t n, uint32_t *ret_point);

#endif
