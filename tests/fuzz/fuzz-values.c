/* SPDX-License-Identifier: MIT */
/*
 * Values of the configuration that have a syntax of their own: what a check lets through can be
 * parsed, and a refusal is a sentence.  The first byte chooses the check, the rest is the value.
 */
#include "sync/config/values.h"
#include "tests/fuzz/fuzz.h"

static void patterns(const char *value)
{
	struct list_pattern *list = NULL;
	size_t count = 0;

	CHECK(value_parse_patterns(value, &list, &count) == NULL && count > 0);
	for (size_t i = 0; i < count; i++)
		CHECK(list[i].len > 0 && list[i].bytes[list[i].len] == '\0');
	list_patterns_free(list, count);
}

static void listens(const char *value)
{
	struct listen_address *list = NULL;
	size_t count = 0;

	CHECK(value_parse_listen(value, &list, &count) == NULL);
	for (size_t i = 0; i < count; i++) {
		CHECK((list[i].unix_path != NULL) == (list[i].host == NULL));
		CHECK((list[i].host != NULL) == (list[i].port != NULL));
		CHECK(list[i].host == NULL || strpbrk(list[i].host, "[]") == NULL);
	}
	listen_addresses_free(list, count);
}

static void max_deletions(const char *value)
{
	struct plan_brake brake = value_parse_max_deletions(value);

	CHECK(brake.percent <= 100 && brake.side_percent <= 100);
}

static const struct {
	char *(*check)(const char *value);
	void (*parse)(const char *value); /* NULL: elsewhere */
} values[] = {
	{value_check_patterns, patterns},
	{value_check_regex, NULL},
	{value_check_log_prefix, NULL},
	{value_check_max_deletions, max_deletions},
	{value_check_host, NULL},
	{value_check_port, NULL},
	{value_check_socks, NULL},
	{value_check_fingerprints, NULL},
	{value_check_listen, listens},
	{value_check_hash, NULL},
};

enum { COUNT = sizeof(values) / sizeof(values[0]) };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	size_t which = (size_t)fuzz_byte(&data, &size) % COUNT;
	size_t len = size > 0 ? strnlen((const char *)data, size) : 0;
	char *value = calloc(1, len + 1), *wrong;

	CHECK(value != NULL);
	if (len > 0)
		memcpy(value, data, len);
	wrong = values[which].check(value);
	if (wrong != NULL)
		CHECK(wrong[0] != '\0');
	else if (values[which].parse != NULL)
		values[which].parse(value);
	free(wrong);
	free(value);
	return 0;
}
