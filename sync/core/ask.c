/* SPDX-License-Identifier: MIT */
#include "sync/core/ask.h"

#include <stdlib.h>

#include "sync/base/xalloc.h"
#include "sync/core/core.h"

static bool is_of(const struct side *side, const struct response_status *status,
	const struct mailbox_name *asked)
{
	struct mailbox_name name;
	bool same;

	if (!side_read_name(side, status->name, &name))
		return false;
	same = mailbox_name_equal(name.data, name.len, asked->data, asked->len);
	free(name.data);
	return same;
}

static bool on_status(struct command *command, struct response *response)
{
	struct status_request *status =
		container_of(command, struct status_request, request.command);

	if (response->type != RESPONSE_STATUS ||
		!is_of(status->request.side, &response->status, &status->name))
		return false;
	status->got(status, &response->status);
	return true;
}

static void release_name(struct request *request)
{
	free(container_of(request, struct status_request, request)->name.data);
}

struct status_request *status_request_new(struct barrier *barrier, struct side *side,
	const struct mailbox_name *name, const char *items, size_t size,
	void (*got)(struct status_request *status, const struct response_status *answer),
	bool (*completed)(struct request *request))
{
	_cleanup_free_ char *wire = side_wire_name(side, name->data, name->len);
	struct status_request *status;

	if (wire == NULL)
		return NULL;
	status = request_new(barrier, side, size, completed);
	status->name.data = xmemdup0(name->data, name->len);
	status->name.len = name->len;
	status->got = got;
	status->request.release = release_name;
	status->request.command.untagged = on_status;
	command_about(&status->request.command, "STATUS", wire, NULL);
	command_printf(&status->request.command, " (%s)", items);
	return status;
}

static bool on_list(struct command *command, struct response *response)
{
	struct list_request *list = container_of(command, struct list_request, request.command);
	struct side *side = list->request.side;

	if (response->type == RESPONSE_LIST && side->notified)
		side->core->owner->listed(side->core, side, &response->list);
	return list->got(list, response);
}

struct list_request *list_request_new(struct barrier *barrier, struct side *side, size_t size,
	bool (*got)(struct list_request *list, struct response *response),
	bool (*completed)(struct request *request))
{
	struct list_request *list = request_new(barrier, side, size, completed);

	list->got = got;
	list->request.command.untagged = on_list;
	return list;
}
