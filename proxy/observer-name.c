/* SPDX-License-Identifier: MIT */
/*
 * Mailbox names in a client's commands.  One is passed on only if it surely means on the engine's
 * connection what it means here.
 */
#include <string.h>
#include <strings.h>

#include "proxy/observer-private.h"
#include "sync/base/xalloc.h"
#include "sync/imap/utf7.h"

/* ASTRING-CHAR of RFC 3501 section 9: a server that took any other might read on differently. */
static bool is_atom_char(char c)
{
	return c > ' ' && c < 0x7f && strchr("(){%*\"\\", c) == NULL;
}

bool observer_is_atom(const char *text, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (!is_atom_char(text[i]))
			return false;
	return n > 0;
}

char *observer_name(const struct observer *observer)
{
	const struct client_scan *client = &observer->client;
	struct slice name = {client->word.text, client->word.len};
	bool ascii = true, shifts = false;

	if (client->word.bad || name.len == 0)
		return NULL;
	for (size_t i = 0; i < name.len; i++) {
		unsigned char c = (unsigned char)name.data[i];

		if (c < ' ' || c == 0x7f)
			return NULL;
		ascii = ascii && c < 0x80;
		shifts = shifts || c == '&';
	}
	if (slice_is(name, "INBOX"))
		return xstrdup("INBOX");
	if (ascii && (!shifts || !observer->utf8_asked))
		return slice_dup(name);
	/* With UTF-8, servers differ in what '&' is (RFC 6855 section 3, RFC 9051 section 5.1). */
	return observer->utf8_enabled && !shifts ? utf7_from_utf8(name) : NULL;
}

bool observer_is_utf8_extension(const char *word)
{
	return strcasecmp(word, "UTF8=ACCEPT") == 0 || strcasecmp(word, "IMAP4rev2") == 0;
}
