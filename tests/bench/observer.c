/* SPDX-License-Identifier: MIT */
/*
 * How fast the observer looks at what a store says: a FETCH of 200 MB of messages of SIZE bytes, in
 * pieces as the relay reads them, and as warm.  Prints the nanoseconds of processor time for a
 * megabyte.
 */
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "proxy/observer.h"
#include "sync/base/buf.h"
#include "sync/base/limits.h"
#include "sync/base/xalloc.h"

enum { SIZE = 4000, MESSAGES = 15, TIMES = 3500 };

static void fill(struct buf *stream)
{
	char body[SIZE];

	for (size_t i = 0; i < SIZE; i++)
		body[i] = i % 72 == 70 ? '\r' : i % 72 == 71 ? '\n' : 'x';
	for (unsigned i = 1; i <= MESSAGES; i++) {
		(void)buf_printf(stream, "* %u FETCH (UID %u FLAGS (\\Seen) BODY[] {%d}\r\n", i,
			i + 1000, SIZE);
		(void)buf_append(stream, body, SIZE);
		(void)buf_puts(stream, ")\r\n");
	}
}

static double processor_seconds(void)
{
	struct timespec now;

	(void)clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
	return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

int main(void)
{
	struct observer *observer = observer_new(NULL, NULL);
	enum observer_verdict verdict;
	struct buf piece;
	double begin;

	buf_init(&piece, LIMIT_RELAY);
	fill(&piece);
	begin = processor_seconds();
	for (unsigned i = 0; i < TIMES; i++) {
		size_t used = observer_server(
			observer, buf_data(&piece), buf_len(&piece), false, &verdict);

		if (used != buf_len(&piece) || verdict != OBSERVER_PASS)
			abort();
	}
	printf("%.0f\n",
		(processor_seconds() - begin) * 1e9 / ((double)buf_len(&piece) * TIMES / 1e6));
	if (!observer_between(observer))
		abort();
	buf_done(&piece);
	observer_free(observer);
	return 0;
}
