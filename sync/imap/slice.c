/* SPDX-License-Identifier: MIT */
#include "sync/imap/slice.h"

#include <string.h>
#include <strings.h>

#include "sync/base/xalloc.h"

bool slice_is(struct slice slice, const char *string)
{
	return slice.len == strlen(string) &&
	       (slice.len == 0 || strncasecmp(slice.data, string, slice.len) == 0);
}

char *slice_dup(struct slice slice)
{
	return xmemdup0(slice.len > 0 ? slice.data : "", slice.len);
}
