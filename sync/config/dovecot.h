/* SPDX-License-Identifier: MIT */
/* Dovecot as it is installed on this machine, and a configuration in the language of its version.
 */
#ifndef INTERIMAP_CONFIG_DOVECOT_H
#define INTERIMAP_CONFIG_DOVECOT_H

#include "sync/base/buf.h"
#include "sync/config/mailfolder.h"

struct dovecot {
	char *imap; /* the path of its program `imap` */
	unsigned major, minor;
};

/*
 * Finds it, and looks whether it is one that we can configure and whose parts belong together.
 * Writes nothing anywhere.  0; or -errno, and a sentence in *ret_reason that the caller frees.
 */
int dovecot_find(struct dovecot *ret, char **ret_reason);
void dovecot_done(struct dovecot *dovecot);

/*
 * What `imap -c` is to read: for mail in the folder `path`, an absolute one without control
 * characters; `run` is a folder in which nothing of Dovecot's own listens.
 */
void dovecot_configure(const struct dovecot *dovecot, struct buf *text, const char *path,
	enum mailfolder_layout layout, const char *run);

#endif
