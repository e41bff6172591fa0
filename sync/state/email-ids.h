/* SPDX-License-Identifier: MIT */
/*
 * What the remote server calls messages that have a pair: EMAILID (RFC 8474 section 5.1), which is
 * the same for all copies of a message in the account.  Known only of those that came from there
 * since it is kept; and only where the server offers OBJECTID.  So a message that appears in one
 * mailbox is recognised as one that is, or was, in another.
 *
 * Rows go with their pairs (mapping_delete()), and count only as long as there is one.
 */
#ifndef INTERIMAP_STATE_EMAIL_IDS_H
#define INTERIMAP_STATE_EMAIL_IDS_H

#include <stdint.h>

#include "sync/state/mapping.h"

struct db;

/* Longer ones (RFC 8474 has up to 255 characters) are not kept. */
enum { EMAIL_ID_LEN = 63 };

struct email_id {
	char id[EMAIL_ID_LEN + 1]; /* "": not known */
};

/* Nothing is written for one that is not known. */
int email_ids_insert(
	struct db *db, int64_t idx, uint32_t remote_uid, const struct email_id *email_id);
/* Of one message; "" if it is not known. */
int email_ids_find(struct db *db, int64_t idx, uint32_t remote_uid, struct email_id *ret);
/* 1: a message that has a pair, the youngest of them; 0: there is none. */
int email_ids_locate(struct db *db, const struct email_id *email_id, int64_t *ret_idx,
	struct uid_pair *ret_pair);
/* The pair goes. */
int email_ids_delete(struct db *db, int64_t idx, uint32_t remote_uid);

#endif
