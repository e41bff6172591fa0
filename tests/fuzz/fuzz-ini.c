/* SPDX-License-Identifier: MIT */
/* Configuration files: the INI reader, and the options and accounts made of what it lets through.
 */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "sync/config/account.h"
#include "sync/config/ini.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct ini *ini = NULL;
	struct account *account = NULL;
	char *reason = NULL;

	if (ini_parse("config", (const char *)data, size, &ini, &reason) < 0) {
		/* A refusal is a sentence, and leaves nothing behind. */
		if (reason == NULL || strncmp(reason, "config:", 7) != 0 || ini != NULL)
			abort();
		free(reason);
		return 0;
	}
	for (size_t i = 0; i < ini->entry_count; i++) {
		const struct ini_entry *entry = &ini->entries[i];

		if (ini_entry(ini, entry->section, entry->name) != entry)
			abort();
	}
	(void)ini_free(ini);
	if (account_parse("config", (const char *)data, size, &account, &reason) < 0) {
		if (reason == NULL || account != NULL)
			abort();
		free(reason);
	}
	(void)account_free(account);
	return 0;
}
