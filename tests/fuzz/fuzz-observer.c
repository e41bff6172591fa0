/* SPDX-License-Identifier: MIT */
/*
 * A dialogue between a mail client and the store, watched in pieces and whole: what is forwarded
 * and hinted at must be the same, and what is held must stay small.  The first byte says how the
 * pieces are cut; then come turns, each of one byte (its highest bit: who speaks; the others: how
 * many bytes, and 0 a whole line) and what is said.
 */
#include <stdbool.h>
#include <string.h>

#include "proxy/capabilities.h"
#include "proxy/observer.h"
#include "sync/base/buf.h"
#include "sync/base/limits.h"
#include "sync/base/xalloc.h"
#include "sync/engine/hint.h"
#include "tests/fuzz/fuzz.h"

enum { KEPT = 8 << 20 };

struct run {
	struct hint_receiver receiver;
	struct observer *observer;
	struct capability_filter filter;
	struct buf up, down, hints, held, head;
	size_t step; /* 0: whole turns */
};

static void on_hint(struct hint_receiver *receiver, enum hint_kind kind, const char *mailbox)
{
	struct run *run = container_of(receiver, struct run, receiver);

	CHECK((mailbox == NULL) == (kind == HINT_TREE || kind == HINT_UNKNOWN));
	CHECK(mailbox == NULL || strlen(mailbox) <= LIMIT_OBSERVED_NAME);
	CHECK(buf_printf(&run->hints, "%d %s\n", (int)kind, mailbox != NULL ? mailbox : ""));
}

static size_t watch_client(struct run *run, const char *data, size_t n)
{
	enum observer_verdict verdict;
	size_t used = observer_client(run->observer, data, n, &verdict);

	CHECK(used > 0 && used <= n);
	CHECK(verdict != OBSERVER_CAPABILITIES);
	if (verdict == OBSERVER_HOLD) {
		CHECK(buf_append(&run->held, data, used));
		return used;
	}
	if (verdict == OBSERVER_PASS)
		CHECK(buf_append(&run->up, buf_data(&run->held), buf_len(&run->held)) &&
			buf_append(&run->up, data, used));
	if (verdict == OBSERVER_REFUSE)
		CHECK(buf_printf(&run->up, "<%s>", observer_refused_tag(run->observer)));
	buf_clear(&run->held);
	return used;
}

static size_t watch_server(struct run *run, const char *data, size_t n)
{
	enum observer_verdict verdict;
	size_t used = observer_server(run->observer, data, n, false, &verdict);

	CHECK(used > 0 && used <= n);
	CHECK(verdict != OBSERVER_REFUSE);
	if (verdict == OBSERVER_CAPABILITIES) {
		capability_filter_feed(&run->filter, data, used, &run->down);
		return used;
	}
	capability_filter_end(&run->filter, &run->down);
	if (verdict == OBSERVER_HOLD) {
		CHECK(buf_append(&run->head, data, used));
		return used;
	}
	if (verdict == OBSERVER_PASS)
		CHECK(buf_append(&run->down, buf_data(&run->head), buf_len(&run->head)) &&
			buf_append(&run->down, data, used));
	buf_clear(&run->head);
	return used;
}

static void speak(struct run *run, bool is_client, const uint8_t *data, size_t size)
{
	while (size > 0) {
		size_t n = run->step > 0 && run->step < size ? run->step : size;
		char *copy = fuzz_copy(data, n);

		for (size_t at = 0; at < n;)
			at += is_client ? watch_client(run, copy + at, n - at)
					: watch_server(run, copy + at, n - at);
		free(copy);
		data += n;
		size -= n;
	}
}

static void nudge(struct run *run, uint8_t turn)
{
	if (observer_idle_tag(run->observer, turn % 2 == 0 ? NULL : "x") != NULL)
		observer_await(run->observer, OBSERVER_IDLE_ENDED + turn / 2 % 2);
}

static void converse(struct run *run, const uint8_t *data, size_t size)
{
	while (size > 0) {
		uint8_t turn = fuzz_byte(&data, &size);
		size_t n = turn & 0x7f;
		const uint8_t *end;

		if (n == 0) {
			end = memchr(data, '\n', size);
			n = end != NULL ? (size_t)(end - data) + 1 : size;
		}
		if (n > size)
			n = size;
		if (n == 0x7f)
			nudge(run, fuzz_byte(&data, &size));
		if (n > size)
			n = size;
		speak(run, turn >= 0x80, data, n);
		data += n;
		size -= n;
	}
}

static void run_init(struct run *run, size_t step)
{
	*run = (struct run){.receiver.hint = on_hint, .step = step};
	buf_init(&run->up, KEPT);
	buf_init(&run->down, KEPT);
	buf_init(&run->hints, KEPT);
	buf_init(&run->held, LIMIT_OBSERVED_HEAD);
	buf_init(&run->head, LIMIT_OBSERVED_HEAD);
	run->observer = observer_new(&run->receiver, NULL);
}

static void run_done(struct run *run)
{
	buf_done(&run->up);
	buf_done(&run->down);
	buf_done(&run->hints);
	buf_done(&run->held);
	buf_done(&run->head);
}

static void compare(const struct buf *one, const struct buf *other)
{
	CHECK(buf_len(one) == buf_len(other));
	CHECK(memcmp(buf_data(one), buf_data(other), buf_len(one)) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	size_t step = fuzz_byte(&data, &size);
	struct run whole, pieces;

	run_init(&whole, 0);
	run_init(&pieces, step > 0 ? step : 1);
	converse(&whole, data, size);
	converse(&pieces, data, size);
	CHECK(observer_between(whole.observer) == observer_between(pieces.observer));
	CHECK(observer_saw_bye(whole.observer) == observer_saw_bye(pieces.observer));
	observer_free(whole.observer);
	observer_free(pieces.observer);
	compare(&whole.up, &pieces.up);
	compare(&whole.down, &pieces.down);
	compare(&whole.hints, &pieces.hints);
	compare(&whole.held, &pieces.held);
	compare(&whole.head, &pieces.head);
	run_done(&whole);
	run_done(&pieces);
	return 0;
}
