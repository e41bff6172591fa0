/* SPDX-License-Identifier: MIT */
#include "sync/core/quarantine.h"

#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "sync/base/limits.h"
#include "sync/base/xalloc.h"
#include "sync/core/advice.h"
#include "sync/core/core.h"

enum { MINUTE = 60, HOUR = 60 * MINUTE, DAY = 24 * HOUR };

/* What is not tried by the run that was begun for it is not what keeps a service busy. */
enum { BETWEEN_RUNS = 10 * MINUTE };

static const int64_t pauses[] = {10 * MINUTE, HOUR, 6 * HOUR, DAY};

int64_t quarantine_pause(unsigned tries)
{
	if (tries == 0)
		return 0;
	return pauses[tries <= ARRAY_LEN(pauses) ? tries - 1 : ARRAY_LEN(pauses) - 1];
}

bool quarantine_is_due(int64_t next, int64_t now)
{
	return next != QUARANTINE_NEVER && (next <= now || next > now + DAY);
}

bool refusal_is_general(const struct command *command)
{
	switch (command->code) {
	case CODE_AUTHENTICATIONFAILED:
	case CODE_AUTHORIZATIONFAILED:
	case CODE_CONTACTADMIN:
	case CODE_EXPIRED:
	case CODE_INUSE:
	case CODE_NONEXISTENT:
	case CODE_NOPERM:
	case CODE_OVERQUOTA:
	case CODE_PRIVACYREQUIRED:
	case CODE_READ_ONLY:
	case CODE_THROTTLED:
	case CODE_TRYCREATE:
	case CODE_UNAVAILABLE:
		return true;
	default:
		/* LIMIT is told of one message (its size, its flags) as well as of many, and the
		 * next one shows which.  SERVERBUG is: see is_general() of
		 * carry/copy-append.c. */
		return false;
	}
}

/* --- Writing it down, and saying so --- */

/* ", 50000 bytes, Message-ID <a@b>", as far as that is known. */
static char *describe(const struct quarantine *row)
{
	_cleanup_free_ char *size = NULL;

	if (row->size > 0)
		size = xasprintf(", %" PRIu64 " bytes", row->size);
	return xasprintf("%s%s%s", size != NULL ? size : "",
		row->name[0] != '\0' ? ", Message-ID " : "", row->name);
}

static const char *when(const struct quarantine *row)
{
	if (row->next == QUARANTINE_NEVER)
		return "it is left alone";
	switch (row->tries) {
	case 1:
		return "it is left out, and tried again in 10 minutes";
	case 2:
		return "it is left out, and tried again in an hour";
	case 3:
		return "it is left out, and tried again in 6 hours";
	default:
		return "it is left out, and tried again in 24 hours";
	}
}

/* Of whom it is said: the side that does not do what it should. */
static struct side *side_at_fault(struct core *core, const struct quarantine *row)
{
	bool remote = row->remote;

	if (row->kind == QUARANTINE_APPEND || row->kind == QUARANTINE_DOUBT)
		remote = !remote;
	return remote ? &core->remote : &core->local;
}

static char *sentence(const struct quarantine *row)
{
	_cleanup_free_ char *message = describe(row);
	const char *source = row->remote ? "remote" : "local";

	switch (row->kind) {
	case QUARANTINE_APPEND:
		return xasprintf("the server does not take the message with UID %" PRIu32
				 " of the %s side%s (%s)",
			row->uid, source, message, row->words);
	case QUARANTINE_DOUBT:
		return xasprintf("the server took the message with UID %" PRIu32
				 " of the %s side%s, and does not tell which one it is now (%s)",
			row->uid, source, message, row->words);
	case QUARANTINE_FETCH:
		return xasprintf("the server does not give the message with UID %" PRIu32 "%s (%s)",
			row->uid, message, row->words);
	case QUARANTINE_STORE:
		return xasprintf(
			"the server does not take the flags of the message with UID %" PRIu32
			"%s (%s)",
			row->uid, message, row->words);
	case QUARANTINE_EXPUNGE:
		return xasprintf("the server does not expunge the message with UID %" PRIu32
				 "%s (%s)",
			row->uid, message, row->words);
	case QUARANTINE_DEED:
		return xasprintf("the server does not do what a mail client did: %s (%s)",
			row->name, row->words);
	case QUARANTINE_MAILBOX:
		return xasprintf("the mailbox cannot be worked with (%s)", row->words);
	case QUARANTINE_KIND_COUNT:
		break;
	}
	abort();
}

/* Once; later only for those who look for it, and in the status. */
static void say(
	struct core *core, const struct mailbox *mailbox, const struct quarantine *row, bool new)
{
	const struct log_context *context =
		SIDE_CONTEXT(side_at_fault(core, row), mailbox != NULL ? mailbox->display : NULL);
	_cleanup_free_ char *what = sentence(row);

	if (new)
		log_error(context, "%s: %s", what, when(row));
	else
		log_debug(context, "%s, tried %u times so far: %s", what, row->tries, when(row));
}

static char *bounded(const char *text)
{
	return xmemdup0(
		text != NULL ? text : "", text != NULL ? strnlen(text, LIMIT_QUARANTINE_TEXT) : 0);
}

/* What the row is now, after what it was; its strings are the caller's. */
static int put(struct core *core, struct quarantine *row, bool *ret_new)
{
	struct quarantine before = *row;
	int64_t now = time(NULL);
	int r = quarantine_find(core->db, &before);

	if (r < 0)
		return r;
	*ret_new = r == 0 || before.tries == 0; /* run_quarantine_doubt() says nothing yet */
	row->tries = r > 0 && before.tries < UINT32_MAX ? before.tries + 1 : 1;
	row->since = r > 0 ? before.since : now;
	row->next = row->kind == QUARANTINE_DOUBT ? QUARANTINE_NEVER
						  : now + quarantine_pause(row->tries);
	if (r > 0)
		quarantine_done(&before);
	return quarantine_put(core->db, row);
}

int quarantine_note(
	struct core *core, const struct mailbox *mailbox, const struct quarantine *refused)
{
	_cleanup_free_ char *name = bounded(refused->name), *words = bounded(refused->words);
	struct quarantine row = *refused;
	bool new = false;
	int r;

	row.mailbox = mailbox != NULL ? mailbox->idx : 0;
	row.name = name;
	row.words = words;
	r = put(core, &row, &new);
	if (r == -EDQUOT)
		return 0;
	if (r < 0)
		return r;
	say(core, mailbox, &row, new);
	return 1;
}

/* --- What there is --- */

static int by_mailbox(const void *one, const void *other)
{
	const struct quarantine_sum *a = one, *b = other;

	return a->mailbox < b->mailbox ? -1 : a->mailbox > b->mailbox;
}

int quarantine_refresh(struct core *core)
{
	_cleanup_free_ struct quarantine_sum *sums = NULL;
	struct mailbox *mailbox, *next;
	size_t count = 0;
	int r = quarantine_sums(core->db, &sums, &count);

	if (r < 0)
		return r;
	HASH_ITER (hh, core->mailboxes, mailbox, next) {
		const struct quarantine_sum key = {.mailbox = mailbox->idx}, *found = NULL;

		if (count > 0)
			found = bsearch(&key, sums, count, sizeof(*sums), by_mailbox);
		mailbox->left_out = found != NULL ? *found : key;
	}
	return 0;
}

bool quarantine_calls(const struct mailbox *mailbox)
{
	int64_t now = time(NULL);

	return mailbox->left_out.rows > 0 && quarantine_is_due(mailbox->left_out.next, now) &&
	       quarantine_is_due(mailbox->left_out_after, now);
}

void quarantine_note_tried(struct mailbox *mailbox)
{
	mailbox->left_out_after = time(NULL) + BETWEEN_RUNS;
}

/* --- When it is due --- */

/* A mailbox whose run failed is looked at with all others. */
static bool is_awaited(const struct mailbox *mailbox)
{
	return mailbox->presence.listed && !mailbox->result.failed && mailbox->left_out.rows > 0 &&
	       mailbox->left_out.next != QUARANTINE_NEVER;
}

static void on_due(struct ev_loop *ev, ev_timer *timer, int revents)
{
	struct core *core = container_of(timer, struct core, quarantine);
	struct mailbox *mailbox, *next;

	HASH_ITER (hh, core->mailboxes, mailbox, next)
		if (is_awaited(mailbox) && quarantine_calls(mailbox))
			core_queue_mailbox(core, mailbox);
	if (core->queue == NULL)
		quarantine_wait(core);
}

void quarantine_init(struct core *core)
{
	ev_init(&core->quarantine, on_due);
}

void quarantine_wait(struct core *core)
{
	/* The clock of the database may be set while this timer runs. */
	int64_t now = time(NULL), wait = HOUR;
	struct mailbox *mailbox, *next;
	bool any = false;

	HASH_ITER (hh, core->mailboxes, mailbox, next) {
		int64_t due = mailbox->left_out.next;

		if (!is_awaited(mailbox))
			continue;
		any = true;
		if (mailbox->left_out_after > due)
			due = mailbox->left_out_after;
		if (quarantine_is_due(due, now))
			wait = 1;
		else if (due - now < wait)
			wait = due - now;
	}
	ev_timer_stop(core->loop->ev, &core->quarantine);
	if (!any)
		return;
	ev_timer_set(&core->quarantine, (double)wait, 0.);
	ev_timer_start(core->loop->ev, &core->quarantine);
}

void quarantine_stop(struct core *core)
{
	ev_timer_stop(core->loop->ev, &core->quarantine);
}

void quarantine_sum_up(struct core *core)
{
	struct mailbox *mailbox, *next;
	_cleanup_free_ char *command = NULL;
	uint64_t rows = 0;
	unsigned mailboxes = 0;

	if (core->first_done && !core->ordered)
		return;
	HASH_ITER (hh, core->mailboxes, mailbox, next) {
		if (!mailbox->presence.listed || mailbox->left_out.rows == 0 ||
			(core->ordered && !mailbox->wishes.ordered))
			continue;
		rows += mailbox->left_out.rows;
		mailboxes++;
	}
	if (rows == 0)
		return;
	core->incomplete = true;
	command = advice(core, "--status", NULL, NULL);
	log_error(CORE_CONTEXT(core),
		"%" PRIu64
		" message(s) in %u mailbox(es) are left out for now; `%s` names them and "
		"says why",
		rows, mailboxes, command);
}
