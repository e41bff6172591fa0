/* SPDX-License-Identifier: MIT */
/*
 * Echoes: messages that we expunge ourselves, committed before the command leaves.  That such a
 * message has vanished, or is missing, says nothing about what anybody wants: it is never a reason
 * to expunge its pair.
 *
 * An echo outlives its pair until the next pass has looked for the pair on the other side once more
 * (pass/echo.c): a server that said falsely that it was gone is found out by that.
 */
#ifndef INTERIMAP_STATE_ECHOES_H
#define INTERIMAP_STATE_ECHOES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct db;

struct echo {
	bool remote; /* the side where it is expunged */
	uint32_t uid; /* there */
	uint32_t other_uid; /* its pair */
	bool paired; /* they are still a pair: the expunge is not known to have been done */
	bool done, apart; /* the caller's: the row goes, and its pair with it */
	bool old; /* noted more than 20 minutes ago: a dead connection cannot deliver it any more */
};

/* 1: noted; 0: it was before. */
int echoes_insert(struct db *db, int64_t idx, const struct echo *echo);
/* Those of a mailbox; the caller frees the array. */
int echoes_load(struct db *db, int64_t idx, struct echo **ret_echoes, size_t *ret_count);
/* No error when there is none. */
int echoes_delete(struct db *db, int64_t idx, const struct echo *echo);

#endif
