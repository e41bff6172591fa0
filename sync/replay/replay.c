/* SPDX-License-Identifier: MIT */
#include "sync/replay/replay.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "sync/base/xalloc.h"
#include "sync/core/core.h"
#include "sync/deeds/journal.h"
#include "sync/replay/replay-private.h"
#include "sync/state/actions.h"

struct replay_request *replay_request(
	struct replay *replay, struct side *side, bool (*completed)(struct request *))
{
	struct replay_request *request =
		request_new(&replay->barrier, side, sizeof(*request), completed);

	request->replay = replay;
	return request;
}

struct replay *replay_of(struct command *command)
{
	return container_of(command, struct replay_request, request.command)->replay;
}

enum step replay_next(struct replay *replay, int phase)
{
	replay->phase = phase;
	return replay->barrier.waiting > 0 ? STEP_WAIT : STEP_AGAIN;
}

bool replay_database_failed(struct replay *replay, int r)
{
	if (r >= 0)
		return false;
	replay->end = REPLAY_BROKEN;
	return true;
}

enum step replay_over(struct replay *replay, enum replay_end end)
{
	if (end == REPLAY_DONE &&
		replay_database_failed(replay, actions_drop(replay->core->db, replay->deed->id)))
		return STEP_DONE;
	replay->end = end;
	return STEP_DONE;
}

static bool is_known_renaming(const struct deed *deed)
{
	return deed->kind == ACTION_RENAME && deed->uidvalidity != 0;
}

enum step replay_refuse(struct replay *replay, const char *fmt, ...)
{
	struct deed *deed = replay->deed;
	_cleanup_free_ char *name = replay_display(replay, &deed->from);
	_cleanup_free_ char *text = NULL;
	va_list ap;

	va_start(ap, fmt);
	text = xvasprintf(fmt, ap);
	va_end(ap);
	if (!deed->said)
		log_error(SIDE_CONTEXT(replay->side, name), "%s", text);
	deed->said = true;
	free(deed->refusal);
	deed->refusal = take(text);
	/* Nobody waits for what was only seen, and the ordinary sync reports what comes of it.  But
	 * to that a mailbox that is known to have another name is a new one: it would be copied. */
	return replay_over(
		replay, deed->certain || is_known_renaming(deed) ? REPLAY_REFUSED : REPLAY_DONE);
}

int replay_begin(struct replay *replay)
{
	int r = 0;

	if (!replay->deed->begun)
		r = actions_set_begun(replay->core->db, replay->deed->id);
	if (r >= 0)
		replay->deed->begun = true;
	return r;
}

int replay_transact(struct replay *replay, int (*write)(void *replay))
{
	return db_transact(replay->core->db, write, replay);
}

static void on_status(struct status_request *status, const struct response_status *answer)
{
	const unsigned needed = STATUS_UIDVALIDITY | STATUS_UIDNEXT;
	struct replay_status *asked = container_of(status, struct replay_status, status);

	if ((answer->items & needed) == needed)
		asked->got(asked->replay, status->request.side, answer);
}

void replay_ask_status(struct replay *replay, struct side *side, const struct mailbox_name *name,
	void (*got)(struct replay *replay, struct side *side, const struct response_status *status),
	bool (*completed)(struct request *))
{
	struct replay_status *asked;
	struct status_request *status = status_request_new(&replay->barrier, side, name,
		"MESSAGES " STATUS_STATE, sizeof(*asked), on_status, completed);

	if (status == NULL)
		return;
	asked = container_of(status, struct replay_status, status);
	asked->replay = replay;
	asked->got = got;
	request_submit(&status->request);
}

struct replay_list {
	struct list_request list;
	struct replay *replay;
	struct mailbox_name root; /* owned */
	void (*got)(struct replay *replay, struct side *side, const struct response_list *line);
};

static bool on_listed(struct list_request *list, struct response *response)
{
	struct replay_list *asked = container_of(list, struct replay_list, list);
	struct side *side = list->request.side;
	struct mailbox_name name;
	bool is_below;

	if (response->type != RESPONSE_LIST || !side_read_name(side, response->list.name, &name))
		return false;
	is_below = name.len >= asked->root.len &&
		   memcmp(name.data, asked->root.data, asked->root.len) == 0;
	free(name.data);
	if (is_below)
		asked->got(asked->replay, side, &response->list);
	return is_below;
}

static void release_root(struct request *request)
{
	free(container_of(request, struct replay_list, list.request)->root.data);
}

void replay_ask_list(struct replay *replay, struct side *side, const struct mailbox_name *name,
	void (*got)(struct replay *replay, struct side *side, const struct response_list *line))
{
	_cleanup_free_ char *wire = NULL;
	struct replay_list *asked;
	struct command *command;

	if (name->data != NULL)
		wire = side_wire_name(side, name->data, name->len);
	if (wire == NULL)
		return;
	asked = container_of(
		list_request_new(&replay->barrier, side, sizeof(*asked), on_listed, NULL),
		struct replay_list, list);
	asked->replay = replay;
	asked->root =
		(struct mailbox_name){.data = xmemdup0(name->data, name->len), .len = name->len};
	asked->got = got;
	asked->list.request.release = release_root;
	command = &asked->list.request.command;
	command_puts(command, "LIST \"\" (");
	command_astring(command, wire, strlen(wire));
	if (side->delimiter != '\0') {
		_cleanup_free_ char *below = xasprintf("%s%c*", wire, side->delimiter);

		command_puts(command, " ");
		command_astring(command, below, strlen(below));
	}
	command_puts(command, ")");
	request_submit(&asked->list.request);
}

char *replay_display(const struct replay *replay, const struct mailbox_name *name)
{
	return mailbox_for_person(name->data, name->len, replay->core->local.delimiter);
}

static enum step step(struct task *task)
{
	struct replay *replay = container_of(task, struct replay, task);
	enum step result = STEP_DONE;

	/* While commands are under way that point to us, there is nothing to decide. */
	if (replay->barrier.waiting > 0)
		return STEP_WAIT;
	if (replay->barrier.lost)
		replay->ending = true;
	if (replay->ending)
		replay->end = REPLAY_LOST;
	else
		result = replay->step(replay);
	return result;
}

static void replay_free(struct replay *replay)
{
	task_cancel(&replay->task);
	side_forget_view(replay->origin, &replay->origin_view);
	side_forget_view(replay->side, &replay->view);
	view_done(&replay->origin_view);
	view_done(&replay->view);
	replay_messages_done(replay);
	replay_tree_done(replay);
	barrier_done(&replay->barrier);
	free(replay);
}

static void over(struct task *task, enum step result)
{
	struct replay *replay = container_of(task, struct replay, task);

	replay->finished(replay->core, replay->deed, replay->end);
	replay_free(replay);
}

struct replay *replay_new(struct core *core, struct deed *deed,
	void (*finished)(struct core *core, struct deed *deed, enum replay_end end))
{
	bool of_messages = deed->kind == ACTION_MOVE || deed->kind == ACTION_COPY;
	struct replay *replay = xcalloc(1, sizeof(*replay));

	replay->core = core;
	replay->deed = deed;
	replay->origin = deed->to_local ? &core->remote : &core->local;
	replay->side = deed->to_local ? &core->local : &core->remote;
	replay->finished = finished;
	replay->step = of_messages ? replay_messages_step : replay_tree_step;
	task_init(&replay->task, core->loop, step, over);
	barrier_init(&replay->barrier, &replay->task);
	replay->barrier.about = (struct suspect){.kind = SUSPECT_DEED, .deed = deed->id};
	task_wake(&replay->task);
	return replay;
}

void replay_connection_lost(struct replay *replay)
{
	replay->ending = true;
	task_wake(&replay->task);
}

struct replay *replay_abandon(struct replay *replay)
{
	if (replay != NULL)
		replay_free(replay);
	return NULL;
}

const struct deed *replay_deed(const struct replay *replay)
{
	return replay->deed;
}

bool replay_is_woken(const struct replay *replay)
{
	return replay->task.queued;
}

struct barrier *replay_barrier(struct replay *replay)
{
	return &replay->barrier;
}
