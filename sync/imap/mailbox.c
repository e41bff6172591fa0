/* SPDX-License-Identifier: MIT */
#include "sync/imap/mailbox.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "sync/base/limits.h"
#include "sync/base/xalloc.h"

static const char inbox[] = "INBOX";

enum { INBOX_LEN = sizeof(inbox) - 1 };

static void replace(char *data, size_t len, char from, char to)
{
	for (size_t i = 0; i < len; i++)
		if (data[i] == from)
			data[i] = to;
}

/* RFC 3501 section 5.1, and the same for the levels below: they are INBOX's children. */
static void normalise_inbox(struct mailbox_name *name)
{
	if (name->len < INBOX_LEN || strncasecmp(name->data, inbox, INBOX_LEN) != 0)
		return;
	if (name->len == INBOX_LEN || name->data[INBOX_LEN] == '\0')
		memcpy(name->data, inbox, INBOX_LEN);
}

bool mailbox_from_wire(
	struct slice wire, char delimiter, const char *reference, struct mailbox_name *ret)
{
	size_t skip = strlen(reference);
	struct mailbox_name name;

	if (wire.len > LIMIT_MAILBOX_NAME || wire.len <= skip ||
		(skip > 0 && memcmp(wire.data, reference, skip) != 0))
		return false;
	for (size_t i = skip; i < wire.len; i++)
		if (wire.data[i] == '\0' || wire.data[i] == '\r' || wire.data[i] == '\n')
			return false;
	/* "foo/" is how some servers list a level that holds no messages (RFC 3501 6.3.3). */
	while (delimiter != '\0' && wire.len > skip && wire.data[wire.len - 1] == delimiter)
		wire.len--;
	if (wire.len == skip)
		return false;
	name.len = wire.len - skip;
	name.data = xmemdup0(wire.data + skip, name.len);
	if (delimiter != '\0')
		replace(name.data, name.len, delimiter, '\0');
	normalise_inbox(&name);
	*ret = name;
	return true;
}

char *mailbox_to_wire(const char *data, size_t len, char delimiter, const char *reference)
{
	size_t skip = strlen(reference);
	char *wire;

	if (delimiter == '\0' && memchr(data, '\0', len) != NULL)
		return NULL;
	if (delimiter != '\0' && memchr(data, delimiter, len) != NULL)
		return NULL;
	wire = xmalloc(skip + len + 1);
	memcpy(wire, reference, skip);
	memcpy(wire + skip, data, len);
	wire[skip + len] = '\0';
	replace(wire + skip, len, '\0', delimiter);
	return wire;
}

char *mailbox_for_person(const char *data, size_t len, char delimiter)
{
	char *text = xmemdup0(data, len);

	replace(text, len, '\0', delimiter != '\0' ? delimiter : '/');
	return text;
}

bool mailbox_name_equal(const char *one, size_t one_len, const char *other, size_t other_len)
{
	return one_len == other_len && memcmp(one, other, one_len) == 0;
}
