/* SPDX-License-Identifier: MIT */
#include "sync/engine/backoff.h"

#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "sync/base/xalloc.h"

static double in_seconds(double number, const char *unit)
{
	static const struct {
		const char *name;
		double seconds;
	} units[] = {
		{"ms", 0.001}, {"milli", 0.001}, {"s", 1}, {"m", 60}, {"h", 3600}, /* first fit */
	};

	for (size_t i = 0; i < ARRAY_LEN(units); i++)
		if (strncasecmp(unit, units[i].name, strlen(units[i].name)) == 0)
			return number * units[i].seconds;
	return 0;
}

double backoff_told(const char *words)
{
	static const char *const phrases[] = {"backoff time", "try again in", "retry in",
		"try again after", "retry after", "wait for"};
	const char *at = NULL;
	char *end;
	unsigned long number;
	double seconds;

	for (size_t i = 0; i < ARRAY_LEN(phrases) && at == NULL; i++) {
		at = strcasestr(words, phrases[i]);
		if (at != NULL)
			at += strlen(phrases[i]);
	}
	if (at == NULL)
		return 0;
	at += strspn(at, ": ");
	if (*at < '0' || *at > '9')
		return 0;
	number = strtoul(at, &end, 10);
	seconds = in_seconds((double)number, end + strspn(end, " "));
	return seconds < BACKOFF_TOLD_MAX ? seconds : BACKOFF_TOLD_MAX;
}
