/* SPDX-License-Identifier: MIT */
/*
 * Dialogues between a client and a server go through the observer whole, byte by byte and split at
 * every place; what is told and the bytes that are forwarded must be the same each time.  A store
 * is played that asks for each literal with which the client does not wait.
 */
#ifndef INTERIMAP_TESTS_OBSERVER_FIXTURE_H
#define INTERIMAP_TESTS_OBSERVER_FIXTURE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "proxy/capabilities.h"
#include "proxy/observer.h"
#include "sync/base/buf.h"
#include "sync/base/limits.h"
#include "sync/base/xalloc.h"
#include "sync/deeds/action.h"
#include "sync/engine/hint.h"
#include "sync/imap/seqset.h"

/* One side speaks; 'C' or 'S' first. */
struct turn {
	char who;
	const char *bytes;
};

/* Actions are told as well, and what is selected; else only hints of changes. */
static bool tells_actions;

enum { RUN_OPEN = LIMIT_OBSERVED_COMMANDS + 2 };

/* The store does not ask by itself for a literal with which the client does not wait. */
static bool store_is_silent;

struct run {
	struct hint_receiver receiver;
	struct action_receiver actions;
	uint64_t open[RUN_OPEN]; /* tickets that are announced, oldest first, then 0 */
	uint64_t first_ticket; /* of this run; 0 before there is one */
	struct observer *observer;
	struct capability_filter filter;
	bool asks; /* the store wants the literal that it has been told of without its '+' */
	struct buf told, held, head, unread, up, down;
};

static inline void tell(struct run *run, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));

static inline void tell(struct run *run, const char *fmt, ...)
{
	_cleanup_free_ char *text = NULL;
	va_list ap;

	va_start(ap, fmt);
	text = xvasprintf(fmt, ap);
	va_end(ap);
	assert_true(buf_printf(&run->told, "%s%s", buf_len(&run->told) > 0 ? "," : "", text));
}

static inline void on_hint(struct hint_receiver *receiver, enum hint_kind kind, const char *mailbox)
{
	static const char *const names[] = {"mailbox", "expunged", "tree", "unknown", "selected"};
	struct run *run = container_of(receiver, struct run, receiver);

	if (kind == HINT_SELECTED && !tells_actions)
		return;
	tell(run, "%s%s%s", names[kind], mailbox != NULL ? " " : "",
		mailbox != NULL ? mailbox : "");
}

/* "1?move a>b": the first action of the run is announced. */
static inline void tell_action(
	struct run *run, uint64_t ticket, const char *what, const struct client_action *action)
{
	static const char *const names[] = {
		"move", "copy", "append", "create", "delete", "rename", "subscribe", "unsubscribe"};

	assert_int_equal(action->mailbox == NULL, action->kind == ACTION_APPEND);
	assert_int_equal(action->target != NULL,
		action->kind <= ACTION_APPEND || action->kind == ACTION_RENAME);
	tell(run, "%u%s%s %s%s%s", (unsigned)(ticket - run->first_ticket + 1), what,
		names[action->kind], action->mailbox != NULL ? action->mailbox : "",
		action->target != NULL ? ">" : "", action->target != NULL ? action->target : "");
}

static inline void on_announced(
	struct action_receiver *actions, uint64_t ticket, const struct client_action *action)
{
	struct run *run = container_of(actions, struct run, actions);
	size_t at = 0;

	if (run->first_ticket == 0)
		run->first_ticket = ticket;
	while (run->open[at] != 0)
		assert_int_not_equal(run->open[at++], ticket);
	assert_true(ticket >= run->first_ticket && at < RUN_OPEN - 1);
	run->open[at] = ticket;
	tell_action(run, ticket, "?", action);
}

/* "1=move a>b(7 1-4 2-5)": done, with pairs of UIDs; '!' refused; '~' unknown. */
static inline void on_outcome(struct action_receiver *actions, uint64_t ticket,
	const struct client_action *action, enum action_result result,
	const struct copied_uids *copied)
{
	static const char *const results[] = {"=", "!", "~"};
	struct run *run = container_of(actions, struct run, actions);
	_cleanup_free_ uint32_t *source = NULL, *target = NULL;
	size_t at = 0, count = 0, targets = 0;

	while (run->open[at] != ticket)
		assert_int_not_equal(run->open[at++], 0);
	memmove(run->open + at, run->open + at + 1, (RUN_OPEN - at - 1) * sizeof(*run->open));
	tell_action(run, ticket, results[result], action);
	if (copied == NULL)
		return;
	assert_int_equal(result, ACTION_DONE);
	assert_true(seqset_expand((struct slice){copied->source, strlen(copied->source)},
		LIMIT_COPIED_UIDS, &source, &count));
	assert_true(seqset_expand(
		(struct slice){copied->target, strlen(copied->target)}, count, &target, &targets));
	assert_int_equal(count, targets);
	assert_true(buf_printf(&run->told, "(%u", copied->uidvalidity));
	for (size_t i = 0; i < count && i < 10; i++)
		assert_true(buf_printf(&run->told, " %u-%u", source[i], target[i]));
	assert_true(buf_putc(&run->told, ')'));
}

/* "mark a 5:7", "unmark", "expunge"; "uid" before the set, and "-" for none. */
static bool tells_removals;

static inline void on_removal(struct action_receiver *actions, const struct client_removal *removal)
{
	static const char *const kinds[] = {"mark", "unmark", "expunge"};

	if (tells_removals)
		tell(container_of(actions, struct run, actions), "%s %s %s%s", kinds[removal->kind],
			removal->mailbox, removal->by_uid ? "uid " : "",
			removal->set != NULL ? removal->set : "-");
}

static inline void run_init(struct run *run)
{
	*run = (struct run){.receiver = {.hint = on_hint},
		.actions = {
			.announce = on_announced, .outcome = on_outcome, .removal = on_removal}};
	buf_init(&run->told, 1 << 20);
	buf_init(&run->held, LIMIT_OBSERVED_HEAD);
	buf_init(&run->head, LIMIT_OBSERVED_HEAD);
	buf_init(&run->unread, 1 << 20);
	buf_init(&run->up, 1 << 20);
	buf_init(&run->down, 4 << 20);
	run->observer = observer_new(&run->receiver, tells_actions ? &run->actions : NULL);
}

static inline void run_done(struct run *run)
{
	run->observer = observer_free(run->observer);
	assert_int_equal(run->open[0], 0);
	buf_done(&run->told);
	buf_done(&run->held);
	buf_done(&run->head);
	buf_done(&run->unread);
	buf_done(&run->up);
	buf_done(&run->down);
}

/* As far as it can be used now. */
static inline size_t feed(struct run *run, const char *data, size_t n)
{
	enum observer_verdict verdict;
	size_t at = 0;

	while (at < n) {
		size_t used = observer_client(run->observer, data + at, n - at, &verdict);

		if (verdict == OBSERVER_WAIT) {
			assert_int_equal(used, 0);
			break;
		}
		assert_in_range(used, 1, n - at);
		if (verdict == OBSERVER_HOLD) {
			assert_true(buf_append(&run->held, data + at, used));
		} else if (verdict == OBSERVER_PASS) {
			assert_true(
				buf_append(&run->up, buf_data(&run->held), buf_len(&run->held)));
			assert_true(buf_append(&run->up, data + at, used));
			buf_clear(&run->held);
		} else {
			buf_clear(&run->held);
			run->asks = data[at] == '+' && !store_is_silent;
		}
		if (verdict == OBSERVER_REFUSE)
			assert_true(buf_printf(&run->up, "<%s %.3s>",
				observer_refused_tag(run->observer),
				observer_refusal(run->observer)));
		at += used;
	}
	return at;
}

static inline void take_verdict(
	struct run *run, enum observer_verdict verdict, const char *data, size_t n)
{
	if (verdict == OBSERVER_CAPABILITIES) {
		capability_filter_feed(&run->filter, data, n, &run->down);
		return;
	}
	capability_filter_end(&run->filter, &run->down);
	if (verdict == OBSERVER_HOLD) {
		assert_true(buf_append(&run->head, data, n));
		return;
	}
	if (verdict == OBSERVER_PASS) {
		assert_true(buf_append(&run->down, buf_data(&run->head), buf_len(&run->head)));
		assert_true(buf_append(&run->down, data, n));
	} else {
		assert_int_equal(verdict, OBSERVER_DROP);
	}
	buf_clear(&run->head);
}

static inline void server(struct run *run, const char *data, size_t n)
{
	enum observer_verdict verdict;

	while (n > 0) {
		bool stop = buf_len(&run->unread) > 0;
		size_t used = observer_server(run->observer, data, n, stop, &verdict);

		assert_in_range(used, 1, n);
		take_verdict(run, verdict, data, used);
		data += used;
		n -= used;
		if (stop)
			buf_consume(&run->unread,
				feed(run, buf_data(&run->unread), buf_len(&run->unread)));
	}
}

static inline void client(struct run *run, const char *data, size_t n)
{
	size_t used = buf_len(&run->unread) == 0 ? feed(run, data, n) : 0;

	assert_true(buf_append(&run->unread, data + used, n - used));
	while (run->asks && buf_len(&run->unread) > 0) {
		run->asks = false;
		server(run, "+ go on\r\n", 9);
	}
}

static inline void speak(struct run *run, const struct turn *turn, size_t from, size_t to)
{
	if (from < to)
		(turn->who == 'C' ? client : server)(run, turn->bytes + from, to - from);
}

static inline void assert_buf(struct buf *buf, const char *expected)
{
	if (buf_len(buf) != strlen(expected) ||
		memcmp(buf_data(buf), expected, strlen(expected)) != 0)
		fail_msg("got '%.*s' instead of '%s'",
			buf_len(buf) < 2000 ? (int)buf_len(buf) : 2000, buf_data(buf), expected);
}

/* Every turn in pieces of `step` bytes, except that turn `split` is cut once, at `cut`. */
static inline void play(const struct turn *turns, size_t step, size_t split, size_t cut,
	const char *told, const char *up, const char *down)
{
	struct run run;

	run_init(&run);
	for (size_t i = 0; turns[i].who != '\0'; i++) {
		size_t len = strlen(turns[i].bytes);

		if (i == split) {
			speak(&run, &turns[i], 0, cut);
			speak(&run, &turns[i], cut, len);
			continue;
		}
		for (size_t at = 0; at < len; at += step)
			speak(&run, &turns[i], at, at + step < len ? at + step : len);
	}
	assert_buf(&run.told, told);
	if (up != NULL)
		assert_buf(&run.up, up);
	if (down != NULL)
		assert_buf(&run.down, down);
	run_done(&run);
}

static inline void check_streams(
	const struct turn *turns, const char *told, const char *up, const char *down)
{
	play(turns, SIZE_MAX / 2, SIZE_MAX, 0, told, up, down);
	play(turns, 1, SIZE_MAX, 0, told, up, down);
	play(turns, 3, SIZE_MAX, 0, told, up, down);
	for (size_t i = 0; turns[i].who != '\0'; i++)
		for (size_t cut = 1; cut < strlen(turns[i].bytes); cut++)
			play(turns, SIZE_MAX / 2, i, cut, told, up, down);
}

/* Of {n+} the '+' is left out. */
static inline void put_client(struct buf *up, const char *text)
{
	for (const char *at = text; *at != '\0'; at++) {
		const char *before = at;

		while (before > text && before[-1] >= '0' && before[-1] <= '9')
			before--;
		if (*at != '+' || before == at || before == text || before[-1] != '{')
			assert_true(buf_putc(up, *at));
	}
}

/* As check_streams(), for a dialogue in which nothing else may be altered. */
static inline void check(const struct turn *turns, const char *told)
{
	struct buf up, down;

	buf_init(&up, 1 << 20);
	buf_init(&down, 1 << 20);
	for (size_t i = 0; turns[i].who != '\0'; i++)
		if (turns[i].who == 'C')
			put_client(&up, turns[i].bytes);
		else
			assert_true(buf_puts(&down, turns[i].bytes));
	assert_true(buf_putc(&up, '\0') && buf_putc(&down, '\0'));
	check_streams(turns, told, buf_data(&up), buf_data(&down));
	buf_done(&up);
	buf_done(&down);
}

#define DIALOGUE(...) ((const struct turn[]){__VA_ARGS__, {'\0', NULL}})
#define C(bytes) \
	{ \
		'C', bytes \
	}
#define S(bytes) \
	{ \
		'S', bytes \
	}
#define SELECTED C("s SELECT a/b\r\n"), S("* 3 EXISTS\r\ns OK [READ-WRITE] done\r\n")

#endif
