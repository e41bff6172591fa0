/* SPDX-License-Identifier: MIT */
/*
 * Names from the wire and back.  The first byte is the delimiter, the second the length of the
 * reference, then the reference, then the name.
 */
#include <ctype.h>
#include <stdbool.h>

#include "sync/base/limits.h"
#include "sync/imap/mailbox.h"
#include "sync/imap/utf7.h"
#include "tests/fuzz/fuzz.h"

static void check_round(const struct mailbox_name *name, char delimiter, const char *reference)
{
	char *wire = mailbox_to_wire(name->data, name->len, delimiter, reference);
	struct mailbox_name again;

	CHECK(wire != NULL && strlen(wire) == strlen(reference) + name->len);
	CHECK(strlen(wire) > LIMIT_MAILBOX_NAME ||
		mailbox_from_wire(
			(struct slice){wire, strlen(wire)}, delimiter, reference, &again));
	CHECK(mailbox_name_equal(name->data, name->len, again.data, again.len));
	free(again.data);
	free(wire);
}

static void check_from_wire(const char *text, size_t size, char delimiter, const char *reference)
{
	struct mailbox_name name;
	char *person;

	if (!mailbox_from_wire((struct slice){text, size}, delimiter, reference, &name))
		return;
	CHECK(name.len > 0 && name.data[name.len] == '\0');
	CHECK(delimiter == '\0' || memchr(name.data, delimiter, name.len) == NULL);
	check_round(&name, delimiter, reference);
	person = mailbox_for_person(name.data, name.len, delimiter);
	CHECK(strlen(person) == name.len);
	free(person);
	free(name.data);
}

static void check_utf8(const char *text, size_t size)
{
	char *encoded = utf7_from_utf8((struct slice){text, size});

	if (encoded == NULL)
		return;
	CHECK(strlen(encoded) >= size / 4 * 3 && strlen(encoded) <= 5 * size / 2);
	for (const char *at = encoded; *at != '\0'; at++)
		CHECK(*at >= ' ' && *at <= '~');
	free(encoded);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char delimiter = (char)fuzz_byte(&data, &size);
	size_t skip = fuzz_byte(&data, &size) % 8;
	char reference[8] = {0};
	char *text, *wire;

	/* No server has a letter there; INBOX would be several levels. */
	if (isalnum((unsigned char)delimiter) || skip > size)
		return 0;
	memcpy(reference, data, skip);
	text = fuzz_copy(data, size);
	check_from_wire(text, size, delimiter, reference);
	check_from_wire(text + skip, size - skip, delimiter, "");
	check_utf8(text, size);
	/* Any bytes as a name from the database. */
	wire = mailbox_to_wire(text, size, delimiter, reference);
	CHECK(wire == NULL || strlen(wire) == strlen(reference) + size);
	free(wire);
	free(text);
	return 0;
}
