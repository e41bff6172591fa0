/* SPDX-License-Identifier: MIT */
/*
 * Whatever a client sends, and whatever the store refuses of it: the store never sees a command
 * that would blind the observer.  The store here is a parser of its own, more lenient than any: it
 * takes much for a command, and whether the end of a line announces a literal, and whether it wants
 * it, it decides anew each time.  The first four bytes seed what it decides, and in which pieces
 * all is read; the others are what the client says.
 */
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "proxy/observer.h"
#include "sync/base/buf.h"
#include "sync/base/limits.h"
#include "sync/base/xalloc.h"
#include "tests/fuzz/fuzz.h"

enum { KEPT = 1 << 20, WORD = 200, STEPS = 20000 };

struct store {
	char line[2048]; /* what is longer has its end cut off */
	size_t len;
	uint64_t literal; /* bytes of it to come */
	bool goes_on; /* the line belongs to a command that has begun */
	bool skips; /* up to the end of the line: the command was refused */
	bool idles, cr_ends, returned;
	char tag[WORD], verb[WORD];
};

struct run {
	struct observer *observer;
	struct store store;
	struct buf held, up; /* from the client */
	struct buf head, down; /* from the store, not yet seen by the observer */
	uint32_t seed;
};

static unsigned decide(struct run *run, unsigned choices)
{
	run->seed = run->seed * 1664525 + 1013904223;
	return (run->seed >> 16) % choices;
}

/* The next word, cut at all that any server might take for a separator. */
static const char *take_word(const char *at, const char *end, char ret[WORD])
{
	static const char separators[] = " \t\r\n\"'(){}\\%,;";
	size_t n = 0;

	while (at < end && (*at == '\0' || strchr(separators, *at) != NULL))
		at++;
	while (at < end && *at != '\0' && strchr(separators, *at) == NULL) {
		if (n < WORD - 1)
			ret[n++] = *at;
		at++;
	}
	ret[n] = '\0';
	return at;
}

static void check_command(struct store *store)
{
	static const char *const blinding[] = {
		"COMPRESS", "STARTTLS", "AUTHENTICATE", "UNAUTHENTICATE"};
	const char *end = store->line + store->len;

	(void)take_word(take_word(store->line, end, store->tag), end, store->verb);
	for (size_t i = 0; i < ARRAY_LEN(blinding); i++)
		CHECK(strcasecmp(store->verb, blinding[i]) != 0);
}

static void answer(struct run *run)
{
	static const char *const statuses[] = {"OK", "NO", "BAD"};

	if (decide(run, 8) == 0)
		CHECK(buf_puts(&run->down, "* 1 FETCH (BODY[] {4}\r\n+ \r\n)\r\n"));
	CHECK(buf_printf(&run->down, "%s %s\r\n", run->store.tag, statuses[decide(run, 3)]));
}

/* "…{12}" or "…{12+}". */
static bool announces(const struct store *store, uint64_t *ret_size, bool *ret_waits)
{
	size_t at = store->len;
	uint64_t place = 1;

	*ret_size = 0;
	if (at == 0 || store->line[--at] != '}' || at == 0)
		return false;
	*ret_waits = store->line[at - 1] != '+';
	at -= !*ret_waits;
	for (; at > 0 && store->line[at - 1] >= '0' && store->line[at - 1] <= '9'; at--) {
		*ret_size += place * (unsigned)(store->line[at - 1] - '0');
		place *= 10;
		if (place > KEPT)
			return false;
	}
	return place > 1 && at > 0 && store->line[at - 1] == '{';
}

static void end_command(struct run *run)
{
	struct store *store = &run->store;

	store->goes_on = false;
	store->idles = strcasecmp(store->verb, "IDLE") == 0;
	if (store->idles)
		CHECK(buf_puts(&run->down, "+ idling\r\n"));
	else if (store->tag[0] != '\0')
		answer(run);
}

static void end_line(struct run *run)
{
	struct store *store = &run->store;
	bool idled = store->idles, waits;
	uint64_t size;

	store->idles = false;
	if (idled)
		answer(run);
	/* Some run a command within IDLE, some do not. */
	if (store->skips || (idled && decide(run, 2) == 0)) {
		store->skips = false;
		return;
	}
	if (!store->goes_on)
		check_command(store);
	if (idled || !announces(store, &size, &waits)) {
		end_command(run);
	} else if (decide(run, 4) == 0) {
		store->goes_on = false;
		answer(run);
	} else {
		if (waits)
			CHECK(buf_puts(&run->down, "+ \r\n"));
		store->goes_on = true;
		store->literal = size;
	}
}

static void read_byte(struct run *run, char c)
{
	struct store *store = &run->store;

	if (store->literal > 0) {
		store->literal--;
		return;
	}
	if (c == '\n' || (store->cr_ends && store->returned)) {
		end_line(run);
		store->len = 0;
	} else if (decide(run, 64) == 0 && !store->skips && !store->idles && !store->goes_on &&
		   memchr(store->line, ' ', store->len) != NULL) {
		/* It has seen enough of it. */
		check_command(store);
		answer(run);
		store->skips = true;
	}
	store->returned = c == '\r';
	if (c != '\n' && c != '\r' && store->len < sizeof(store->line))
		store->line[store->len++] = c;
}

static void read_up(struct run *run, size_t n)
{
	for (; n > 0 && buf_len(&run->up) > 0; n--) {
		char c = *buf_data(&run->up);

		buf_consume(&run->up, 1);
		read_byte(run, c);
	}
}

/* What the observer has to say of it; returns how much of it could be used. */
static size_t write_up(struct run *run, const char *data, size_t n)
{
	enum observer_verdict verdict;
	size_t used = observer_client(run->observer, data, n, &verdict);

	if (verdict == OBSERVER_HOLD) {
		CHECK(buf_append(&run->held, data, used));
	} else if (verdict == OBSERVER_PASS) {
		CHECK(buf_append(&run->up, buf_data(&run->held), buf_len(&run->held)));
		CHECK(buf_append(&run->up, data, used));
	}
	if (verdict != OBSERVER_HOLD && verdict != OBSERVER_WAIT)
		buf_clear(&run->held);
	return used;
}

static void read_down(struct run *run, size_t n)
{
	enum observer_verdict verdict;

	if (n > buf_len(&run->down))
		n = buf_len(&run->down);
	if (n > 0)
		buf_consume(&run->down,
			observer_server(run->observer, buf_data(&run->down), n, true, &verdict));
}

static void converse(struct run *run, const char *data, size_t size)
{
	for (unsigned i = 0; i < STEPS; i++) {
		size_t n = 1 + decide(run, 40);

		switch (decide(run, 3)) {
		case 0:
			n = n < size ? n : size;
			n = n > 0 ? write_up(run, data, n) : 0;
			data += n;
			size -= n;
			break;
		case 1:
			read_up(run, n);
			break;
		default:
			read_down(run, n);
			break;
		}
		if (observer_failure(run->observer) != NULL)
			return; /* the relay goes no further */
		if (buf_len(&run->up) == 0 && buf_len(&run->down) == 0 &&
			(size == 0 || !observer_is_ready(run->observer)))
			return;
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct run run = {.observer = observer_new(NULL, NULL)};
	char *said;

	for (int i = 0; i < 4; i++)
		run.seed = run.seed << 8 | fuzz_byte(&data, &size);
	run.store.cr_ends = run.seed % 2 == 0;
	buf_init(&run.held, LIMIT_OBSERVED_HEAD);
	buf_init(&run.up, KEPT);
	buf_init(&run.down, KEPT);
	said = fuzz_copy(data, size);
	converse(&run, said, size);
	free(said);
	observer_free(run.observer);
	buf_done(&run.held);
	buf_done(&run.up);
	buf_done(&run.down);
	return 0;
}
