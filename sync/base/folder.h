/* SPDX-License-Identifier: MIT */
/*
 * Folders in which nobody else can put, change or exchange anything: the only way to make, or to
 * take, a folder for what the program writes and believes again later (the store's configuration,
 * the control socket, the password file, the database, the mail).
 *
 * Every level of the path is looked at through the descriptor of the level above: each belongs to
 * the user or to root, and others may write to none of them, unless it is sticky, like /tmp, and
 * not the last.  (Others are not the members of the user's own private group, if there are no other
 * members.)  So nobody else can exchange any part of the path afterwards either, and it may be
 * handed to programs that know paths only.
 *
 * Spools need no such folder: their files have no name (spool.c).
 */
#ifndef INTERIMAP_BASE_FOLDER_H
#define INTERIMAP_BASE_FOLDER_H

#include <stddef.h>

enum folder_kind {
	FOLDER_OURS, /* the program's alone: mode 0700, made so if it was readable, no symbolic
			link */
	FOLDER_OF_USER, /* where the user wants it: may be a link of his own, others may read */
	FOLDER_OF_SERVICE, /* of somebody whom we want to ask: root may ask everybody */
};

/*
 * A descriptor of the folder.  What is missing of a path is made, with mode 0700, unless somebody
 * is to be asked there.  A relative path starts from the current folder, which is taken as it is.
 * -errno on failure, -EPERM if the folder is refused, with a sentence in *ret_reason that the
 * caller frees: it names the folder and, if it is refused, the way out.
 */
int folder_open(const char *path, enum folder_kind kind, char **ret_reason);
/* The same for the folder that holds `path`. */
int folder_open_parent(const char *path, enum folder_kind kind, char **ret_reason);

/* A file with mode 0600, whole or not at all, on the disk when this returns.  One that is there is
 * replaced.  -errno on failure. */
int folder_write_file(int folder, const char *name, const void *data, size_t len);

#endif
