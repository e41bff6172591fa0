/* SPDX-License-Identifier: MIT */
/*
 * Room on the disks of the embedded store.  Dovecot tells a full disk as "Internal error", and for
 * whatever it was asked just then; where its folders are we know, so we look ourselves.
 */
#ifndef INTERIMAP_CORE_ROOM_H
#define INTERIMAP_CORE_ROOM_H

#include <ev.h>
#include <stdint.h>

struct command;
struct core;

struct room {
	struct core *core;
	const char *const *folders; /* NULL-terminated, borrowed; NULL: nobody's that we can see */
	const char *full; /* the one of them that had none when last looked at, or NULL */
	uint64_t needed; /* bytes, by what was refused last */
	double pause; /* seconds to the next look */
	ev_timer look; /* until there is some again; only in a service */
};

void room_init(struct room *room, struct core *core, const char *const *folders);
/* Nobody looks any more. */
void room_stop(struct room *room);

/*
 * A command was answered by the store.  If it is refused with what may be for want of room, and
 * there is none, its code becomes OVERQUOTA (RFC 5530) and its text names the folder: so the
 * refusal is none of a message's own.  When there is room again, a service looks at everything.
 */
void room_explain(struct room *room, struct command *command);

/* For a connection that was lost; a sentence for a person that the caller frees, or NULL. */
char *room_sentence(struct room *room);

#endif
