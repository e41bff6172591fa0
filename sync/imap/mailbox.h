/* SPDX-License-Identifier: MIT */
/*
 * Mailbox names.  On the wire a name is modified UTF-7 with the server's hierarchy delimiter and
 * below a reference name; inside, and in the database, it is without the reference and with NUL in
 * place of the delimiter, so that it means the same on both sides. INBOX, in any case, is "INBOX"
 * (RFC 3501 section 5.1); so is its first level.
 */
#ifndef INTERIMAP_IMAP_MAILBOX_H
#define INTERIMAP_IMAP_MAILBOX_H

#include <stdbool.h>
#include <stddef.h>

#include "sync/imap/slice.h"

/* Owned by the caller: free(name->data).  data is followed by a NUL beyond len, but may hold NULs
 * itself. */
struct mailbox_name {
	char *data;
	size_t len;
};

/*
 * From the wire.  False for a name outside the reference, empty, longer than LIMIT_MAILBOX_NAME, or
 * holding a NUL, CR or LF.
 */
bool mailbox_from_wire(
	struct slice wire, char delimiter, const char *reference, struct mailbox_name *ret);

/*
 * To the wire, as a C string the caller frees; NULL when the name has levels but the server is flat
 * (delimiter '\0'), or when a level holds the server's delimiter as an ordinary character.
 */
char *mailbox_to_wire(const char *data, size_t len, char delimiter, const char *reference);

/* For a person: NULs shown as the given delimiter ('/' if it is '\0'). Owned by the caller. */
char *mailbox_for_person(const char *data, size_t len, char delimiter);

bool mailbox_name_equal(const char *one, size_t one_len, const char *other, size_t other_len);

#endif
