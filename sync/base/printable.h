/* SPDX-License-Identifier: MIT */
/*
 * What may be shown to a person.  Names of mailboxes, words of servers and Message-IDs come from a
 * peer: nothing of them may command a terminal, or make a line read as something that it is not.
 *
 * All that the program shows goes through here: the log (log.c), the status, and what a client of
 * the proxy is told in a server's words.  Who makes a command for a shell calls it for the name
 * first.
 */
#ifndef INTERIMAP_BASE_PRINTABLE_H
#define INTERIMAP_BASE_PRINTABLE_H

#include <stdbool.h>

/*
 * Puts one "?" in the place of each control character (C0, DEL, and C1 as RFC 3629 writes it), each
 * byte that is not UTF-8, each character that is not seen itself but changes how the text around it
 * is (direction marks and overrides, line and paragraph separators, zero width, tags), and each
 * that is no character at all.  In place; the text does not get longer.
 */
void printable_neutralise(char *text);

/* Whether printable_neutralise() would change nothing. */
bool printable(const char *text);

#endif
