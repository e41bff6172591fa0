/* SPDX-License-Identifier: MIT */
/*
 * What goes over the control socket, either way: one JSON object a line.
 *
 *   caller   {"command": "sync", "mailboxes": ["INBOX"], …}    once; see control-request.h
 *   service  {"waiting": "it is synchronizing"}                it has not begun yet, and why
 *            {"begun": true}                                   now it has
 *            {"level": 2, "line": "…"}                         what the log says of it
 *            {"status": {…}}                                   see control-status.h
 *            {"done": true}                                    the last line: true if complete
 *            {"error": "…"}                                    the last line: it was not done
 *
 * Text that is not UTF-8 cannot be a JSON string, and is {"hex": "…"} in its place.
 */
#ifndef INTERIMAP_COMMAND_CONTROL_WIRE_H
#define INTERIMAP_COMMAND_CONTROL_WIRE_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

#include "sync/base/buf.h"

/* Lines as they come in, at any chunking. */
struct control_input {
	struct buf buf;
	size_t searched; /* bytes at the front that hold no line end */
};

void control_input_init(struct control_input *input, size_t max);
void control_input_done(struct control_input *input);
/* False: a line is longer than the maximum. */
bool control_input_feed(struct control_input *input, const void *data, size_t n);
/*
 * The next line: 1 and the object, which the caller gives back with json_decref(); 0 if it is not
 * there yet; -EINVAL and a sentence in *ret_reason, which the caller frees, if it is none.
 */
int control_input_next(struct control_input *input, json_t **ret, char **ret_reason);

/* Puts the object, which it gives back, as a line; false if it does not fit. */
bool control_put(struct buf *output, json_t *own_object);

/* A string, or null for NULL. */
json_t *control_text(const char *text);
/* The caller's; NULL if it is none. */
char *control_text_value(const json_t *value);

#endif
