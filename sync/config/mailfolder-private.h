/* SPDX-License-Identifier: MIT */
#ifndef INTERIMAP_CONFIG_MAILFOLDER_PRIVATE_H
#define INTERIMAP_CONFIG_MAILFOLDER_PRIVATE_H

#include <stdbool.h>

#define MAILFOLDER_MARK "~interimap"
#define MAILFOLDER_STAGE "~mailboxes" /* MAILFOLDER_MAILBOXES, while it is made */

/* What the mark says. */
#define MAILFOLDER_MARK_OURS "mailboxes"
#define MAILFOLDER_MARK_PLUS_PLUS "maildir++"
#define MAILFOLDER_MARK_MOVING "moving"

int mailfolder_put_mark(int folder, const char *path, const char *mark, char **ret_reason);

bool mailfolder_has_directory(int folder, const char *name);
bool mailfolder_has_file(int folder, const char *name);

/*
 * Brings a folder with the former layout to ours, as the only one who is at work in it; `go_on` if
 * its mark says that this has begun.  All that needs room on the disk comes first, and leaves the
 * folder as it was if it fails.  Then each step is a rename, and is found done when it is begun
 * anew.
 */
int mailfolder_move(int folder, const char *path, bool go_on, char **ret_reason);

/* Whether there are mailboxes in the former layout, other than the INBOX and any whose name begins
 * with a dot. */
bool mailfolder_has_plain_mailboxes(const char *path);

#endif
