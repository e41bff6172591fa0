/* SPDX-License-Identifier: MIT */
/* Runs a fuzz target over the files of directories given as arguments, in the place of libFuzzer.
 */
#include <dirent.h>
#include <stdbool.h>
#include <stdio.h>

#include "sync/base/xalloc.h"
#include "tests/fuzz/fuzz.h"

enum { MOST_BYTES = 1 << 20 };

static bool run_file(const char *path)
{
	_cleanup_free_ uint8_t *data = xmalloc(MOST_BYTES);
	FILE *file = fopen(path, "rb");
	size_t size;

	if (file == NULL) {
		perror(path);
		return false;
	}
	size = fread(data, 1, MOST_BYTES, file);
	(void)fclose(file);
	/* Said before, so that the last line names the file that ended the program. */
	(void)printf("%s\n", path);
	(void)fflush(stdout);
	{
		_cleanup_free_ char *copy = fuzz_copy(data, size);

		LLVMFuzzerTestOneInput((const uint8_t *)copy, size);
	}
	return true;
}

static int skip_hidden(const struct dirent *entry)
{
	return entry->d_name[0] != '.';
}

/* Files run; -1 when one could not be read. */
static int run_directory(const char *path)
{
	struct dirent **entries = NULL;
	int n = scandir(path, &entries, skip_hidden, alphasort);
	bool ok = true;

	if (n < 0) {
		perror(path);
		return -1;
	}
	for (int i = 0; i < n; i++) {
		_cleanup_free_ char *name = xasprintf("%s/%s", path, entries[i]->d_name);

		ok = run_file(name) && ok;
		free(entries[i]);
	}
	free(entries);
	return ok ? n : -1;
}

int main(int argc, char **argv)
{
	int count = 0;

	for (int i = 1; i < argc; i++) {
		int n = run_directory(argv[i]);

		if (n < 0)
			return 1;
		count += n;
	}
	if (count == 0)
		(void)fprintf(stderr, "%s: no input\n", argv[0]);
	return count > 0 ? 0 : 1;
}
