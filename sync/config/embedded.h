/* SPDX-License-Identifier: MIT */
/*
 * The embedded store: Dovecot's own `imap` program on a folder of ours, one process a connection,
 * pre-authenticated on its standard input and output.  No daemon, port, password or privilege; what
 * several processes do to one mailbox they arrange among themselves, through index files and
 * inotify.
 */
#ifndef INTERIMAP_CONFIG_EMBEDDED_H
#define INTERIMAP_CONFIG_EMBEDDED_H

struct embedded;

/*
 * Finds Dovecot, makes the folder (mode 0700) and writes the private configuration.  May be called
 * more than once, by several processes.  0; or -errno, and a sentence in *ret_reason that the
 * caller frees.
 */
int embedded_prepare(const char *maildir_path, struct embedded **ret, char **ret_reason);
struct embedded *embedded_free(struct embedded *embedded);

/* For a tunnel (dial.h); NULL-terminated, borrowed. */
const char *const *embedded_argv(const struct embedded *embedded);
const char *const *embedded_environment(const struct embedded *embedded);

/* The mail, and the run folder; NULL-terminated, borrowed. */
const char *const *embedded_folders(const struct embedded *embedded);

/* Empties the file with what the processes have to say, when it has grown large. */
void embedded_trim_log(const struct embedded *embedded);

#endif
