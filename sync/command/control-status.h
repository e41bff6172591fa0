/* SPDX-License-Identifier: MIT */
/* The answer to --status: one JSON object, whose members interimap(1) documents. */
#ifndef INTERIMAP_COMMAND_CONTROL_STATUS_H
#define INTERIMAP_COMMAND_CONTROL_STATUS_H

#include <jansson.h>
#include <stdbool.h>

struct engine_status;

/* Of a service; the caller gives it back.  clients: mail clients, -1 if it has no proxy. */
json_t *control_status_object(
	const struct engine_status *status, const char *database, long clients);

/* What can be told when there is no service: of the database, which is opened for it.  The caller
 * gives it back. */
json_t *control_status_alone(const char *database);

/* To standard output: as it is, or as text for a person. */
void control_status_print(const json_t *status, bool as_json);
/* The same of control_status_alone(). */
void control_status_print_alone(const char *database, bool as_json);

#endif
