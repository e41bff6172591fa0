/* SPDX-License-Identifier: MIT */
#include "sync/imap/backoff.h"

#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "sync/base/xalloc.h"

/* Refusals that say "later" (RFC 5530; THROTTLED is what Gmail and others say).  OVERQUOTA is about
 * bandwidth where nothing is stored. */
static const enum response_code codes[] = {
	CODE_UNAVAILABLE, CODE_INUSE, CODE_LIMIT, CODE_SERVERBUG, CODE_THROTTLED, CODE_OVERQUOTA};

enum meaning {
	LATER = 1, /* in a refusal, or at the end of a connection */
	SESSION_OVER = 2, /* at the end of a connection: what it was logged in with has ended */
};

static const struct {
	const char *words;
	unsigned meaning;
} texts[] = {
	/* Connections: Dovecot, Courier, Gmail, and others */
	{"maximum number of connections", LATER},
	{"too many simultaneous connections", LATER},
	{"too many concurrent connections", LATER},
	{"too many connections", LATER},
	/* Outlook, when it has no room for a session; it also says so to a wrong password, which
	 * cannot be told apart */
	{"user is authenticated but not connected", LATER},
	{"account is temporarily unavailable", LATER}, /* Arcor */
	{"temporary authentication failure", LATER}, /* Dovecot, whose backend is away */
	/* Rates */
	{"request is throttled", LATER}, /* Exchange */
	{"exceeded command or bandwidth limits", LATER}, /* Gmail */
	{"rate limit hit", LATER}, /* Yahoo */
	{"temporary system problem", LATER},
	/* The end of a token, or of a session */
	{"accesstokenexpired", SESSION_OVER}, /* Microsoft 365 */
	{"session expired", LATER | SESSION_OVER}, /* Gmail: "… please login again" */
	{"session invalidated", SESSION_OVER},
	{"token expired", SESSION_OVER},
	{"token has expired", SESSION_OVER},
};

static bool means(const char *words, enum meaning meaning)
{
	for (size_t i = 0; words != NULL && i < ARRAY_LEN(texts); i++)
		if ((texts[i].meaning & meaning) != 0 && strcasestr(words, texts[i].words) != NULL)
			return true;
	return false;
}

bool backoff_is_meant(enum response_code code, const char *words)
{
	for (size_t i = 0; i < ARRAY_LEN(codes); i++)
		if (codes[i] == code)
			return true;
	return means(words, LATER) || (words != NULL && backoff_told(words) > 0);
}

bool backoff_ends_session(const char *words)
{
	return means(words, SESSION_OVER);
}

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
