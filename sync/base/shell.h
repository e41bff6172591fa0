/* SPDX-License-Identifier: MIT */
/*
 * Words for a shell, in what a person is advised to run.  Names of mailboxes come from a server:
 * "interimap --delete $(id)" would be a trap for whoever pastes it.
 */
#ifndef INTERIMAP_BASE_SHELL_H
#define INTERIMAP_BASE_SHELL_H

/*
 * One word: as it is if that is harmless; else in 'single quotes'; or, if it is not
 * printable (printable.h), in ASCII as $'…', which bash, zsh, ksh and POSIX.1-2024 read as what it
 * was.  So what is shown is always what is run.  The caller's.
 */
char *shell_quote(const char *word);

#endif
