/* SPDX-License-Identifier: MIT */
/* The entry point that libFuzzer and driver.c call, and how a target takes its input apart. */
#ifndef INTERIMAP_TESTS_FUZZ_H
#define INTERIMAP_TESTS_FUZZ_H

#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* assert() can be compiled out; a finding must not. */
#define CHECK(condition) \
	do { \
		if (!(condition)) \
			abort(); \
	} while (0)

/* The next byte; 0 at the end. */
static inline uint8_t fuzz_byte(const uint8_t **data, size_t *size)
{
	if (*size == 0)
		return 0;
	--*size;
	return *(*data)++;
}

/* A copy in a block of exactly its size, so that a byte too far is found; the caller frees it. */
static inline char *fuzz_copy(const void *data, size_t size)
{
	char *copy = calloc(1, size > 0 ? size : 1);

	CHECK(copy != NULL);
	if (size > 0)
		memcpy(copy, data, size);
	return copy;
}

#endif
