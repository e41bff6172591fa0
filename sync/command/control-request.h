/* SPDX-License-Identifier: MIT */
/* What a command asks of the service that holds the database. */
#ifndef INTERIMAP_COMMAND_CONTROL_REQUEST_H
#define INTERIMAP_COMMAND_CONTROL_REQUEST_H

#include <jansson.h>
#include <stdbool.h>

#include "sync/base/log.h"
#include "sync/core/job.h"

struct control_request {
	struct job job;
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
