/* SPDX-License-Identifier: MIT */
/* An account as the configuration file describes it: checked, with defaults and paths resolved. */
#ifndef INTERIMAP_CONFIG_ACCOUNT_H
#define INTERIMAP_CONFIG_ACCOUNT_H

#include <stdbool.h>
#include <stddef.h>

#include "sync/config/values.h"
#include "sync/net/tls.h"
#include "sync/plan/brake.h"

struct account_private;

enum account_type {
	ACCOUNT_IMAP, /* TCP; TLS after STARTTLS unless that is NO */
	ACCOUNT_IMAPS, /* TCP and TLS */
	ACCOUNT_TUNNEL, /* a command on a socket pair */
	ACCOUNT_MAILDIR, /* local only: the embedded store */
};

struct account_side {
	const char *name; /* for log lines: "local" or "remote", see account_set_name() */
	enum account_type type;
	const char *host; /* as written, possibly in square brackets */
	const char *tls_host; /* without them: what the certificate is matched against */
	const char *port;
	const char *proxy; /* socks5[h]://…, or NULL */
	const char *command; /* of a tunnel, else NULL */
	const char *path; /* of the embedded store, absolute, else NULL */
	bool null_stderr;
	bool starttls;
	bool compress;
	const char *const *auth; /* mechanisms in upper case, by preference, NULL-terminated */
	const char *username; /* or NULL */
	const char *password; /* or NULL; at most one of these three is set */
	const char *password_command, *token_command;
	const char *list_reference; /* "" for none */
	struct tls_options tls;
};

struct account_proxy {
	const struct listen_address *listen;
	size_t listen_count;
	const char *username; /* that clients log in with; the user's login name by default */
	const char *password; /* or NULL; never set together with the hash */
	const char *password_hash; /* or NULL */
	const char *cert, *key; /* both or neither */
	bool is_given; /* there is a section [proxy] */
	unsigned max_clients;
};

struct account {
	const char *name; /* for log lines, see account_set_name(); else NULL */
	const char *database_name; /* likewise, "database" */
	const char *config_path;
	const char *config_given; /* as account_load() was told it, or NULL: the default */
	const char *database; /* absolute */
	struct account_side local, remote;
	struct account_proxy proxy;
	const struct list_pattern *list_patterns;
	size_t list_pattern_count;
	const char *const *list_select_opts; /* in upper case, NULL-terminated */
	const char *ignore_mailbox; /* regular expression (PCRE), or NULL */
	const char *logfile; /* or NULL */
	const char *log_prefix;
	struct plan_brake max_deletions;
	bool adopt;
	char **warnings; /* sentences for the log, NULL-terminated */
	struct account_private *private;
};

/*
 * Reads the file: NULL for the default one, a relative path starts from $XDG_CONFIG_HOME/interimap.
 * 0; or -errno (-EINVAL for what is in it) and a sentence in *ret_reason, which the caller frees.
 * Everything in the account is borrowed from it.
 */
int account_load(const char *path, struct account **ret, char **ret_reason);
/* Whether the default one is there. */
bool account_has_default(void);
/* The same from text; `path` is for messages. */
int account_parse(
	const char *path, const char *text, size_t len, struct account **ret, char **ret_reason);
/*
 * One of several accounts in one process: log lines are to name it, "NAME", and its sides,
 * "NAME/remote".  Before the account is used.
 */
void account_set_name(struct account *account, const char *name);

/*
 * NULL if [local] of both describes the same store, apart from list-reference and from how the
 * connection is made; else the option that differs.
 */
const char *account_other_store(const struct account *one, const struct account *other);

/* Whoever uses an account beside its owner, and may do so for longer, takes a reference. */
struct account *account_ref(struct account *account);
/* Drops one; with the last one passwords are overwritten.  Accepts NULL. */
struct account *account_free(struct account *account);

#endif
