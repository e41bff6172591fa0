/* SPDX-License-Identifier: MIT */
#include "sync/net/reason.h"

#include <ctype.h>
#include <errno.h>
#include <string.h>

#include "sync/base/xalloc.h"

char *reason_errno(int error)
{
	char *text;

	switch (-error) {
	case EPIPE:
		return xstrdup("connection closed by the other side");
	case ETIMEDOUT:
		return xstrdup("no answer from the other side");
	case ECONNRESET:
		return xstrdup("connection reset by the other side");
	case EHOSTUNREACH:
		return xstrdup("host unreachable");
	default:
		text = xstrdup(strerror(-error));
		/* It goes into the middle of a sentence; but "RFS …" stays. */
		if (text[0] != '\0' && islower((unsigned char)text[1]))
			text[0] = (char)tolower((unsigned char)text[0]);
		return text;
	}
}
