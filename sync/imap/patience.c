/* SPDX-License-Identifier: MIT */
#include "sync/imap/patience.h"

#include "sync/base/limits.h"
#include "sync/base/xalloc.h"

static double lesser(double a, double b)
{
	return a < b ? a : b;
}

static double seconds_of(uint64_t bytes)
{
	return (double)bytes / LIMIT_SLOW_RATE;
}

/* For what may be none of the answer; the seconds that were granted. */
static double grant(struct patience *patience, double now, double seconds)
{
	seconds = lesser(seconds, now + patience->most - patience->until);
	seconds = lesser(seconds, LIMIT_PROGRESS_SECONDS - patience->unproven);
	if (seconds < 0)
		seconds = 0;
	patience->until += seconds;
	patience->unproven += seconds;
	return seconds;
}

void patience_begin(struct patience *patience, double now)
{
	*patience = (struct patience){
		.most = patience->most, .since = now, .until = now + patience->most};
}

void patience_sent(struct patience *patience, double now, uint64_t bytes)
{
	patience->until = lesser(patience->until + seconds_of(bytes), now + patience->most);
}

void patience_body(struct patience *patience, double now, uint64_t bytes)
{
	patience->bytes += bytes;
	patience_sent(patience, now, bytes);
}

void patience_reading(struct patience *patience, double now, uint64_t bytes)
{
	patience->bytes += bytes;
	patience->reading += grant(patience, now, seconds_of(bytes));
}

void patience_proven(struct patience *patience)
{
	patience->unproven -= patience->reading;
	patience->reading = 0;
}

void patience_dropped(struct patience *patience)
{
	patience->until -= patience->reading;
	patience_proven(patience);
}

void patience_told(struct patience *patience, double now)
{
	patience->told = true;
	(void)grant(patience, now, patience->most);
}

char *patience_reason(const struct patience *patience, double now, const char *what)
{
	double seconds = now - patience->since;

	if (patience->told)
		return xasprintf(
			"no answer to %s within %.0f seconds, but for words", what, seconds);
	if (patience->bytes > 0)
		return xasprintf("the answer to %s does not get on: %llu bytes in %.0f seconds",
			what, (unsigned long long)patience->bytes, seconds);
	return xasprintf("no answer to %s within %.0f seconds", what, patience->most);
}
