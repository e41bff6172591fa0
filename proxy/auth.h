/* SPDX-License-Identifier: MIT */
/*
 * Who may log in to the proxy: one user name with a password, or the crypt(5) hash of one.  Checks
 * run in a worker thread (a good hash takes its time), always do the same work whether or not the
 * user name is right, and compare in constant time.
 */
#ifndef INTERIMAP_PROXY_AUTH_H
#define INTERIMAP_PROXY_AUTH_H

#include <stdbool.h>
#include <stddef.h>

struct auth;
struct auth_check;
struct worker;

struct auth_handler {
	/* Once, from the loop. */
	void (*decided)(struct auth_handler *handler, bool accepted);
};

/* Copies the strings.  Exactly one of password and hash is given. */
struct auth *auth_new(
	struct worker *worker, const char *username, const char *password, const char *hash);
/* Checks under way go on; their handlers must be gone, see auth_check_free(). */
struct auth *auth_free(struct auth *auth);

/* Copies user and password, and wipes its copies. */
struct auth_check *auth_check_new(
	struct auth *auth, const char *user, const char *password, struct auth_handler *handler);
/* Before or after it was decided; no callback follows.  Accepts NULL. */
struct auth_check *auth_check_free(struct auth_check *check);

/*
 * How long the answer to a wrong password is to be delayed, in seconds.  Wrong ones are answered
 * one after the other, on whatever connections they came, with a pause between two that grows with
 * their number lately; LIMIT_LOGIN_SECONDS at most.  `now` is in seconds and only compared with
 * itself.
 */
double auth_delay(struct auth *auth, double now);
/* Wrong ones lately, for the log. */
unsigned auth_failures(const struct auth *auth);

/*
 * The password that was generated earlier and is kept in the file, which only the user may read; or
 * a new one, which is put there.  0, or -errno and a sentence in *ret_reason (the caller's, as is
 * the password).
 */
int auth_stored_password(
	const char *path, char **ret_password, bool *ret_is_new, char **ret_reason);

#endif
