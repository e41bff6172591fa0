/* SPDX-License-Identifier: MIT */
/* What a command asks of the service that holds the database. */
#ifndef INTERIMAP_COMMAND_CONTROL_REQUEST_H
#define INTERIMAP_COMMAND_CONTROL_REQUEST_H

#include <jansson.h>
#include <stdbool.h>

#include "sync/base/log.h"

enum control_command {
	CONTROL_SYNC,
	CONTROL_REPAIR,
	CONTROL_DELETE,
	CONTROL_RENAME,
	CONTROL_STATUS,
	CONTROL_VERIFY,
};

struct control_request {
	enum control_command command;
	const char *const *mailboxes; /* as on the command line, NULL-terminated; NULL: none */
	bool allow_deletions; /* CONTROL_SYNC and CONTROL_REPAIR */
	bool local, remote, database; /* CONTROL_DELETE and CONTROL_RENAME: where */
	enum log_level level; /* of the messages wanted */
};

/* The caller gives it back. */
json_t *control_request_object(const struct control_request *request);
/*
 * Everything is checked: 0; or -EINVAL with a sentence in *ret_reason, which the caller frees.
 * After 0 the caller releases the content with control_request_done().
 */
int control_request_parse(const json_t *object, struct control_request *ret, char **ret_reason);
void control_request_done(struct control_request *request);

#endif
