/* SPDX-License-Identifier: MIT */
/*
 * The quarantine: messages, deeds of mail clients, and mailboxes that are left alone, each by
 * itself, since a side refuses them or a connection was lost over them.  They are tried again when
 * their time has come.  As a row remembers it, the stored UIDNEXT may go on past such a message.
 *
 * Rows of a mailbox go with it, and with its UIDVALIDITY (schema_drop_uids()).
 */
#ifndef INTERIMAP_STATE_QUARANTINE_H
#define INTERIMAP_STATE_QUARANTINE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct db;

/* What could not be done. */
enum quarantine_kind {
	QUARANTINE_APPEND, /* a message that the other side does not take */
	QUARANTINE_FETCH, /* a message that its own side does not give */
	QUARANTINE_DOUBT, /* a message that the other side took, and that is not recognised there */
	QUARANTINE_STORE, /* flags of a message that its own side does not take */
	QUARANTINE_EXPUNGE, /* a message that its own side does not expunge */
	QUARANTINE_DEED, /* what a mail client did, see actions.h */
	QUARANTINE_MAILBOX, /* a mailbox as a whole */
	QUARANTINE_KIND_COUNT,
};

/* Not by itself: only when a person asks for it. */
#define QUARANTINE_NEVER INT64_MAX

struct quarantine {
	int64_t id; /* set by the functions below */
	int64_t mailbox; /* mailboxes.idx; 0: of the account */
	enum quarantine_kind kind;
	bool remote; /* the side where the message or mailbox is */
	uint32_t uid; /* 0: of no message */
	int64_t deed; /* its number among the actions, or 0 */
	uint64_t size; /* bytes; 0: not known */
	char *name; /* owned: a Message-ID, or what was done; "" if not known.  As a server wrote
		       it: for printable.h */
	char *words; /* owned: the server's, or ours, that say why; likewise */
	unsigned tries; /* that came to nothing */
	int64_t since, next; /* seconds since 1970: the first try, the next one */
	char *mailbox_name; /* owned, by the functions that read: NUL for the delimiter; NULL */
	size_t mailbox_len;
};

/* As in the database, and in the status. */
const char *quarantine_kind_name(enum quarantine_kind kind);

/* (mailbox, kind, remote, uid, deed) are its key.  1: a new row; 0: in the place of the one that
 * was there; -EDQUOT: LIMIT_QUARANTINE rows are there, and it is not among them. */
int quarantine_put(struct db *db, struct quarantine *row);
/* Reads the row of that key into *row: 1, and the caller releases it; 0: there is none, and *row is
 * as it was. */
int quarantine_find(struct db *db, struct quarantine *row);
void quarantine_done(struct quarantine *row);
/* No error when it is gone already. */
int quarantine_delete(struct db *db, int64_t id);
/* Those of a mailbox (0: all), in the order of mailbox, side and UID. */
int quarantine_load(
	struct db *db, int64_t mailbox, struct quarantine **ret_rows, size_t *ret_count);
void quarantine_free(struct quarantine *rows, size_t count);

/* What there is of one mailbox, or of the account. */
struct quarantine_sum {
	int64_t mailbox; /* 0: of the account */
	uint64_t rows;
	int64_t next; /* the earliest */
};
/* In the order of `mailbox`; the caller frees the array. */
int quarantine_sums(struct db *db, struct quarantine_sum **ret_sums, size_t *ret_count);

#endif
