/* SPDX-License-Identifier: MIT */
/*
 * A dialogue between a mail client and the store, watched in pieces and whole: what is forwarded
 * and told must be the same, what is held must stay small, and each action that is announced has
 * one outcome.  The first byte says how the
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
#include "sync/deeds/action.h"
#include "sync/engine/hint.h"
#include "sync/imap/seqset.h"
#include "tests/fuzz/fuzz.h"

enum { KEPT = 8 << 20, OPEN = LIMIT_OBSERVED_COMMANDS + 1 };

struct run {
	struct hint_receiver receiver;
	struct action_receiver actions;
	uint64_t open[OPEN]; /* tickets without an outcome */
	size_t open_count;
	uint64_t last_ticket;
	struct observer *observer;
	struct capability_filter filter;
	struct buf up, down, told, held, head, unread;
	size_t step; /* 0: whole turns */
};

/* At most 5/2 times as long as what the client wrote, in modified UTF-7. */
static bool is_name(const char *name)
{
	for (const char *at = name; *at != '\0'; at++)
		if (*at < ' ' || *at > '~')
			return false;
	return *name != '\0' && strlen(name) <= 5 * LIMIT_OBSERVED_NAME / 2;
}

static void on_hint(struct hint_receiver *receiver, enum hint_kind kind, const char *mailbox)
{
	struct run *run = container_of(receiver, struct run, receiver);

	CHECK((mailbox == NULL) == (kind == HINT_TREE || kind == HINT_UNKNOWN));
	CHECK(mailbox == NULL || is_name(mailbox));
	CHECK(buf_printf(&run->told, "%d %s\n", (int)kind, mailbox != NULL ? mailbox : ""));
}

static void tell_action(struct run *run, const struct client_action *action, int result)
{
	bool has_target = action->kind <= ACTION_APPEND || action->kind == ACTION_RENAME;

	CHECK((action->mailbox == NULL) == (action->kind == ACTION_APPEND));
	CHECK((action->target != NULL) == has_target);
	CHECK(action->mailbox == NULL || is_name(action->mailbox));
	CHECK(action->target == NULL || is_name(action->target));
	CHECK(buf_printf(&run->told, "%d %d %s>%s\n", result, (int)action->kind,
		action->mailbox != NULL ? action->mailbox : "",
		action->target != NULL ? action->target : ""));
}

static void on_announced(
	struct action_receiver *actions, uint64_t ticket, const struct client_action *action)
{
	struct run *run = container_of(actions, struct run, actions);

	CHECK(ticket > run->last_ticket && run->open_count < OPEN);
	run->open[run->open_count++] = run->last_ticket = ticket;
	tell_action(run, action, -1);
}

static void on_outcome(struct action_receiver *actions, uint64_t ticket,
	const struct client_action *action, enum action_result result,
	const struct copied_uids *copied)
{
	struct run *run = container_of(actions, struct run, actions);
	_cleanup_free_ uint32_t *source = NULL, *target = NULL;
	size_t at = 0, count = 0, targets = 0;

	while (at < run->open_count && run->open[at] != ticket)
		at++;
	CHECK(at < run->open_count);
	run->open[at] = run->open[--run->open_count];
	tell_action(run, action, (int)result);
	if (copied == NULL)
		return;
	CHECK(result == ACTION_DONE && action->kind <= ACTION_COPY);
	CHECK(copied->uidvalidity > 0);
	CHECK(seqset_expand((struct slice){copied->source, strlen(copied->source)},
		LIMIT_COPIED_UIDS, &source, &count));
	CHECK(seqset_expand((struct slice){copied->target, strlen(copied->target)},
		LIMIT_COPIED_UIDS, &target, &targets));
	CHECK(count > 0 && count == targets);
	for (size_t i = 0; i < count; i++)
		CHECK(source[i] > 0 && target[i] > 0);
	CHECK(buf_printf(&run->told, "%u: %zu %u %u\n", copied->uidvalidity, count, source[0],
		target[count - 1]));
}

/* How much could be used. */
static size_t watch_client(struct run *run, const char *data, size_t n)
{
	enum observer_verdict verdict;
	bool ready = observer_is_ready(run->observer);
	size_t used = observer_client(run->observer, data, n, &verdict);

	CHECK(verdict != OBSERVER_CAPABILITIES);
	CHECK((verdict == OBSERVER_WAIT) == !ready && (used == 0) == !ready && used <= n);
	if (!ready)
		return 0;
	if (verdict == OBSERVER_HOLD) {
		CHECK(buf_append(&run->held, data, used));
		return used;
	}
	if (verdict == OBSERVER_PASS)
		CHECK(buf_append(&run->up, buf_data(&run->held), buf_len(&run->held)) &&
			buf_append(&run->up, data, used));
	if (verdict == OBSERVER_REFUSE)
		CHECK(buf_printf(&run->up, "<%s %s>", observer_refused_tag(run->observer),
			observer_refusal(run->observer)));
	buf_clear(&run->held);
	return used;
}

/* What cannot be used now waits, and all behind it. */
static void watch_all(struct run *run, const char *data, size_t n)
{
	size_t at = 0, used = buf_len(&run->unread) == 0;

	while (at < n && used > 0)
		at += used = watch_client(run, data + at, n - at);
	CHECK(buf_append(&run->unread, data + at, n - at));
}

static void resume(struct run *run)
{
	size_t used = 1;

	while (buf_len(&run->unread) > 0 && used > 0) {
		used = watch_client(run, buf_data(&run->unread), buf_len(&run->unread));
		buf_consume(&run->unread, used);
	}
}

static size_t watch_server(struct run *run, const char *data, size_t n)
{
	enum observer_verdict verdict;
	size_t used = observer_server(run->observer, data, n, true, &verdict);

	CHECK(used > 0 && used <= n);
	CHECK(verdict != OBSERVER_REFUSE && verdict != OBSERVER_WAIT);
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

		if (is_client)
			watch_all(run, copy, n);
		for (size_t at = 0; at < n && !is_client;) {
			at += watch_server(run, copy + at, n - at);
			resume(run);
		}
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

static void on_removal(struct action_receiver *actions, const struct client_removal *removal)
{
	if (removal->mailbox == NULL)
		abort();
}

static void run_init(struct run *run, size_t step)
{
	*run = (struct run){.receiver.hint = on_hint,
		.actions = {.announce = on_announced, .outcome = on_outcome, .removal = on_removal},
		.step = step};
	buf_init(&run->up, KEPT);
	buf_init(&run->down, KEPT);
	buf_init(&run->told, KEPT);
	buf_init(&run->held, LIMIT_OBSERVED_HEAD);
	buf_init(&run->head, LIMIT_OBSERVED_HEAD);
	buf_init(&run->unread, KEPT);
	run->observer = observer_new(&run->receiver, &run->actions);
}

static void run_done(struct run *run)
{
	buf_done(&run->up);
	buf_done(&run->down);
	buf_done(&run->told);
	buf_done(&run->held);
	buf_done(&run->head);
	buf_done(&run->unread);
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
	bool failed;

	run_init(&whole, 0);
	run_init(&pieces, step > 0 ? step : 1);
	converse(&whole, data, size);
	converse(&pieces, data, size);
	CHECK(observer_between(whole.observer) == observer_between(pieces.observer));
	CHECK(observer_saw_bye(whole.observer) == observer_saw_bye(pieces.observer));
	CHECK(observer_failure(whole.observer) == observer_failure(pieces.observer));
	failed = observer_failure(whole.observer) != NULL;
	observer_free(whole.observer);
	observer_free(pieces.observer);
	CHECK(whole.open_count == 0 && pieces.open_count == 0);
	compare(&whole.up, &pieces.up);
	compare(&whole.down, &pieces.down);
	compare(&whole.told, &pieces.told);
	compare(&whole.held, &pieces.held);
	compare(&whole.head, &pieces.head);
	/* Of the byte with which it failed, nobody asks what became. */
	if (!failed)
		compare(&whole.unread, &pieces.unread);
	run_done(&whole);
	run_done(&pieces);
	return 0;
}
