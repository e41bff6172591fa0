/* SPDX-License-Identifier: MIT */
/* Where files of the user are (XDG Base Directory Specification). */
#ifndef INTERIMAP_CONFIG_PATHS_H
#define INTERIMAP_CONFIG_PATHS_H

#include <stdint.h>

/* All results are the caller's; NULL when there is no home directory to start from. */
/* A leading ~ or ~/ becomes the home directory; anything else is copied. */
char *path_expand(const char *path);
/* After that, a relative path starts from $XDG_CONFIG_HOME/interimap, $XDG_DATA_HOME/interimap, or
 * the home directory. */
char *path_in_config(const char *path);
char *path_in_data(const char *path);
char *path_in_home(const char *path);

/* Where files are that matter to running processes only: $XDG_RUNTIME_DIR/interimap if that
 * directory can be used, else below path_in_data().  It need not exist. */
char *path_runtime_directory(void);
/* The latter, which is the same for all processes of a user. */
char *path_lasting_directory(void);
/* Tells paths apart in file names of bounded length. */
uint64_t path_hash(const char *path);

/* The login name of the user who runs the program. */
char *path_login_name(void);

#endif
