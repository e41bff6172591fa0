/* SPDX-License-Identifier: MIT */
#include "sync/core/side.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "sync/base/limits.h"
#include "sync/base/loop.h"
#include "sync/base/xalloc.h"
#include "sync/config/account.h"
#include "sync/core/core.h"
#include "sync/imap/flags.h"
#include "sync/imap/mailbox.h"

enum {
	BYTES_SIZE = 24,
	SILENCES = 2, /* in a row that a server gets full time for; then … */
	PATIENCE_LESS = 30, /* … so many seconds, three times of … */
	PATIENCE_ROUND = 4, /* … as many */
};

static void on_ready(struct session_handler *handler)
{
	struct side *side = container_of(handler, struct side, handler);

	side->ready = true;
	side->ready_since = ev_now(side->core->loop->ev);
	side->core->owner->side_ready(side->core, side);
}

static void on_lost(
	struct session_handler *handler, enum session_failure failure, const char *reason)
{
	struct side *side = container_of(handler, struct side, handler);
	_cleanup_free_ char *room = room_sentence(&side->room), *both = NULL;

	side->ready = false;
	if (room != NULL)
		both = xasprintf("%s; %s", reason, room);
	side->core->owner->side_lost(side->core, side, failure, both != NULL ? both : reason);
}

static void on_untagged(struct session_handler *handler, struct response *response)
{
	struct side *side = container_of(handler, struct side, handler);

	side->core->owner->side_told(side->core, side, response);
}

void side_init(struct side *side, struct core *core, bool remote,
	const struct session_options *options, const struct account_side *account,
	const char *const *folders)
{
	*side = (struct side){
		.core = core,
		.name = account->name,
		.remote = remote,
		.options = options,
		.reference = account->list_reference,
		.handler = {.ready = on_ready, .lost = on_lost, .untagged = on_untagged},
		.compress = account->compress,
	};
	room_init(&side->room, core, folders);
}

/*
 * A server that is silent at the same point of each connection must not cost two minutes each time:
 * what has come meanwhile on either side waits as long.  But one that is honest and slower than
 * that must get to answer again, so the wait is a long one now and then.
 */
unsigned side_patience(const struct side *side)
{
	if (side->silences < SILENCES || side->silences % PATIENCE_ROUND == SILENCES - 1)
		return LIMIT_SILENCE_SECONDS;
	return PATIENCE_LESS;
}

void side_connect(struct side *side)
{
	side->ready = side->believed = side->idling = side->notified = side->overflowed = false;
	side->ready_since = 0;
	side->credit = (struct credit){0};
	side->session =
		session_new(side->core->loop, side->core->worker, side->options, &side->handler);
	client_set_patience(side_client(side), side_patience(side));
}

void side_disconnect(struct side *side)
{
	side->ready = false;
	side->session = session_free(side->session);
	view_done(&side->idle_view);
}

/* "810", "9.77K": as the original has it. */
static void format_bytes(uint64_t bytes, char ret[BYTES_SIZE])
{
	static const char units[] = "KMGTPE";
	double value = (double)bytes;
	size_t unit = 0;

	if (bytes < 1024) {
		(void)snprintf(ret, BYTES_SIZE, "%" PRIu64, bytes);
		return;
	}
	for (value /= 1024; value >= 1024 && unit + 2 < sizeof(units); unit++)
		value /= 1024;
	(void)snprintf(ret, BYTES_SIZE, "%.2f%c", value, units[unit]);
}

void side_say_traffic(const struct side *side)
{
	const struct stream *stream =
		side->session != NULL ? client_stream(session_client(side->session)) : NULL;
	char received[BYTES_SIZE], sent[BYTES_SIZE];

	if (stream == NULL)
		return;
	format_bytes(stream_bytes_received(stream), received);
	format_bytes(stream_bytes_sent(stream), sent);
	log_info(SIDE_CONTEXT(side, NULL), "IMAP traffic (bytes): recv %s sent %s", received, sent);
}

bool side_has(const struct side *side, const char *capability)
{
	return side->session != NULL && session_has(side->session, capability);
}

enum tier side_tier(const struct side *side)
{
	return side->session != NULL ? session_tier(side->session) : TIER_QRESYNC;
}

bool side_can_notify(const struct side *side)
{
	return side_has(side, "NOTIFY") && !side->overflowed;
}

uint64_t side_append_limit(const struct side *side, struct mailbox *mailbox)
{
	uint64_t bytes = side->session != NULL ? session_append_limit(side->session) : 0;

	if (bytes == 0)
		bytes = mailbox_side(mailbox, side->remote)->append_limit;
	return bytes > 0 ? bytes : UINT64_MAX;
}

void side_warn_dropped(const struct side *side, struct mailbox *mailbox, const struct flags *flags)
{
	if (mailbox->dropped_said[side->remote])
		return;
	mailbox->dropped_said[side->remote] = true;
	log_warning(SIDE_CONTEXT(side, mailbox->display), "the server cannot store these flags: %s",
		flags_text(flags));
}

bool side_read_name(const struct side *side, struct slice wire, struct mailbox_name *ret)
{
	return mailbox_from_wire(wire, side->delimiter, side->reference, ret);
}

char *side_wire_name(const struct side *side, const char *name, size_t len)
{
	return mailbox_to_wire(name, len, side->delimiter, side->reference);
}

void side_unselect(struct side *side, struct barrier *barrier)
{
	struct request *request;

	if (!client_selects(side_client(side)))
		return;
	/* The SELECT behind it, if any, says all that matters. */
	request = request_new(barrier, side, sizeof(*request), request_ignore_refusal);
	if (side_has(side, "UNSELECT")) {
		request->command.kind = COMMAND_UNSELECT;
		command_puts(&request->command, "UNSELECT");
	} else {
		command_leave(&request->command);
	}
	request_submit(request);
}

void side_select(
	struct side *side, struct barrier *barrier, struct view *view, const char *wire_name)
{
	struct request *request;

	if (client_last_view(side_client(side)) == view)
		return;
	side_unselect(side, barrier);
	request = request_new(barrier, side, sizeof(*request), NULL);
	command_select(&request->command, "SELECT", wire_name, view);
	request_submit(request);
}

void side_forget_view(struct side *side, struct view *view)
{
	if (side->session != NULL)
		client_forget_view(side_client(side), view);
}
