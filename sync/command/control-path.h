/* SPDX-License-Identifier: MIT */
/* Where the control socket of a database is. */
#ifndef INTERIMAP_COMMAND_CONTROL_PATH_H
#define INTERIMAP_COMMAND_CONTROL_PATH_H

/*
 * For the service: the path, the caller's; its directory is made.  NULL, with a sentence in
 * *ret_reason that the caller frees, if that cannot be, or it is another user's.
 */
char *control_path_prepare(const char *database, char **ret_reason);

/*
 * For a command: a connected descriptor that does not block; -ENOENT if no service has that
 * database; another -errno with a sentence in *ret_reason, which the caller frees.
 */
int control_path_connect(const char *database, char **ret_reason);

#endif
