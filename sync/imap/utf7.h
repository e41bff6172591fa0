/* SPDX-License-Identifier: MIT */
/* Modified UTF-7: how a mailbox name that is not ASCII is written (RFC 3501 section 5.1.3). */
#ifndef INTERIMAP_IMAP_UTF7_H
#define INTERIMAP_IMAP_UTF7_H

#include "sync/imap/slice.h"

/*
 * From UTF-8 (RFC 3629).  A string that the caller frees, at most 5/2 times as long; NULL when the
 * text is malformed or holds a control character.
 */
char *utf7_from_utf8(struct slice text);

#endif
