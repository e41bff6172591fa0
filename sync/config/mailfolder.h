/* SPDX-License-Identifier: MIT */
/*
 * The folder in which the embedded store keeps the mail, and how it is laid out.  A mailbox is at
 *
 *	mailboxes/NAME/Maildir/{cur,new,tmp}		Lists/C is mailboxes/Lists/C/Maildir
 *
 * so that no name reaches the files beside `mailboxes` (subscriptions, indexes), nor those in a
 * Maildir.  In NAME, '\' and two hexadecimal digits stand for what a directory cannot be called.
 *
 *	~interimap		the layout, as one word
 *	~interimap.lock		locked by whoever uses the folder (flock, shared), or moves it
 *
 * No mailbox was ever kept in a directory whose name begins with '~'.
 *
 * Before that, a mailbox was the directory NAME itself, and INBOX the folder.  Such a folder is
 * moved over once, by mailfolder-move.c.
 */
#ifndef INTERIMAP_CONFIG_MAILFOLDER_H
#define INTERIMAP_CONFIG_MAILFOLDER_H

#define MAILFOLDER_MAILBOXES "mailboxes"
#define MAILFOLDER_MAILDIR "Maildir"

enum mailfolder_layout {
	MAILFOLDER_OURS,
	MAILFOLDER_MAILDIR_PLUS_PLUS, /* somebody's own Maildir, with its subfolders as ".A.B":
					 it stays as it is */
};

struct mailfolder {
	enum mailfolder_layout layout;
	int lock; /* a descriptor, or -1 */
};

/*
 * Makes the folder, or takes the one that is there, and brings it to the layout.  Files that are
 * not the store's are not touched.
 *
 * `configurations` (NULL-terminated paths) are what processes of the store are started with. Before
 * anything is moved they are removed, so that none can begin; and there must be none at work, nor
 * anybody else with the lock.  Waits some seconds for those that are about to end.
 *
 * 0; or -errno, and a sentence in *ret_reason that the caller frees.  An interrupted move goes on
 * at the next call.
 */
int mailfolder_open(const char *path, const char *const *configurations, struct mailfolder *ret,
	char **ret_reason);
void mailfolder_close(struct mailfolder *folder);

#endif
