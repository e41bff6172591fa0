/* SPDX-License-Identifier: MIT */
/*
 * What the remote server calls the mailboxes: MAILBOXID (RFC 8474 section 4), which a mailbox keeps
 * when it is renamed.  So a renaming that nobody told of is recognised.
 */
#ifndef INTERIMAP_STATE_MAILBOX_IDS_H
#define INTERIMAP_STATE_MAILBOX_IDS_H

#include <stdint.h>

struct db;

enum { MAILBOX_ID_LEN = 255 }; /* RFC 8474 section 7 */

/* Writes it only if it is another one than is known. */
int mailbox_ids_set(struct db *db, int64_t idx, const char *id);
/* 1: its identifier is known; 0: it is not. */
int mailbox_ids_has(struct db *db, int64_t idx);
/* 1 and *ret_idx; 0: nobody has it. */
int mailbox_ids_find(struct db *db, const char *id, int64_t *ret_idx);

#endif
