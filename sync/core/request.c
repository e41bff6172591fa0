/* SPDX-License-Identifier: MIT */
#include "sync/core/request.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "sync/base/loop.h"
#include "sync/base/xalloc.h"
#include "sync/core/core.h"
#include "sync/core/side.h"

void barrier_init(struct barrier *barrier, struct task *task)
{
	*barrier = (struct barrier){.task = task};
}

void barrier_done(struct barrier *barrier)
{
	assert(barrier->waiting == 0);
	free(take(barrier->reason));
}

void barrier_reset(struct barrier *barrier)
{
	free(take(barrier->reason));
	barrier->lost = barrier->refused = barrier->each = false;
}

/* The command's first word (or two, for UID commands) says what was refused; its arguments would
 * only be noise. */
static char *describe(const struct command *command)
{
	_cleanup_free_ char *text = command_describe(command);
	char *end = strchr(text, ' ');

	if (end != NULL && strncmp(text, "UID ", 4) == 0)
		end = strchr(end + 1, ' ');
	if (end != NULL)
		*end = '\0';
	return take(text);
}

static void note_refusal(struct barrier *barrier, const struct request *request)
{
	_cleanup_free_ char *verb = NULL, *reason = NULL;

	barrier->refused = true;
	if (barrier->reason != NULL)
		return;
	verb = describe(&request->command);
	reason = command_reason(&request->command);
	barrier->reason =
		xasprintf("the %s server refused %s (%s)", request->side->name, verb, reason);
}

static void accuse(const struct request *request)
{
	struct suspect suspect = request->barrier->about;

	suspect.remote = request->side->remote;
	seqset_init(&suspect.uids);
	if (request->name != NULL)
		request->name(request, &suspect);
	request->side->core->owner->accused(request->side->core, &suspect);
	suspect_done(&suspect);
}

static void complete(struct command *command)
{
	struct request *request = container_of(command, struct request, command);
	struct barrier *barrier = request->barrier;
	bool handled;

	if (command->was_oldest)
		accuse(request);
	/* Before anybody draws conclusions from it. */
	room_explain(&request->side->room, command);
	handled = request->completed != NULL && request->completed(request);
	if (command->outcome == OUTCOME_LOST || command->outcome == OUTCOME_CANCELLED)
		barrier->lost = true;
	else if (command->outcome != OUTCOME_OK && !handled)
		note_refusal(barrier, request);
	if (request->release != NULL)
		request->release(request);
	command_done(&request->command);
	free(request);
	assert(barrier->waiting > 0);
	barrier->waiting--;
	if (barrier->waiting == 0 || barrier->each)
		task_wake(barrier->task);
}

void *request_new(struct barrier *barrier, struct side *side, size_t size,
	bool (*completed)(struct request *))
{
	struct request *request = xcalloc(1, size);

	command_init(&request->command, complete);
	request->barrier = barrier;
	request->side = side;
	request->completed = completed;
	return request;
}

void request_submit(struct request *request)
{
	request->barrier->waiting++;
	client_submit(side_client(request->side), &request->command);
}

static void tally(const struct command *command, bool sent, void *context)
{
	if (command->complete == complete)
		container_of(command, struct request, command)->barrier->found++;
}

void requests_tally(struct side *side)
{
	if (side->session != NULL)
		client_each_command(side_client(side), tally, NULL);
}

bool request_ignore_refusal(struct request *request)
{
	return true;
}
