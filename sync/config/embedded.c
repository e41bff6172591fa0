/* SPDX-License-Identifier: MIT */
/*
 * Dovecot's `imap` program, run directly with a configuration file, needs neither its master
 * process nor root.  Two things stand in the way, and are dealt with here:
 *
 *   It serves no mail to uid 0, whatever the configuration says.  For root it is started in a user
 *   namespace in which root has an ordinary number; on the disk the files are still root's.
 *
 *   It logs to standard error, and says when each connection ends.  That goes to a file.
 */
#include "sync/config/embedded.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <sched.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "sync/base/buf.h"
#include "sync/base/folder.h"
#include "sync/base/limits.h"
#include "sync/base/xalloc.h"
#include "sync/config/paths.h"

enum { ARGUMENTS = 12, VARIABLES = 4, CONFIGURATION_MAX = 64 << 10 };

struct embedded {
	char *program, *configuration, *log;
	char *home, *user, *log_variable;
	const char *argv[ARGUMENTS];
	const char *environment[VARIABLES];
};

static int refuse(int error, char **ret_reason, char *own_reason)
{
	*ret_reason = own_reason;
	return error;
}

/* --- Dovecot --- */

static char *find_program(void)
{
	static const char *const paths[] = {"/usr/lib/dovecot/imap", "/usr/libexec/dovecot/imap",
		"/usr/local/libexec/dovecot/imap", "/usr/local/lib/dovecot/imap"};

	for (size_t i = 0; i < ARRAY_LEN(paths); i++)
		if (access(paths[i], X_OK) == 0)
			return xstrdup(paths[i]);
	return NULL;
}

/* "2.3.19.1 (9b53102964)": false if nobody says. */
static bool read_version(unsigned *ret_major, unsigned *ret_minor)
{
	static const char command[] =
		"PATH=/usr/sbin:/usr/local/sbin:/usr/bin dovecot --version 2>/dev/null";
	FILE *pipe = popen(command, "re");
	char text[64] = "";
	unsigned major, minor;
	bool good;

	if (pipe == NULL)
		return false;
	good = fgets(text, sizeof(text), pipe) != NULL;
	(void)pclose(pipe);
	if (!good || sscanf(text, "%u.%u", &major, &minor) != 2)
		return false;
	*ret_major = major;
	*ret_minor = minor;
	return true;
}

/* --- Configuration --- */

/*
 * A path within mail_location, which is in double quotes: '%' begins a variable, and ':' an option.
 * The caller has refused control characters.
 */
static void put_path(struct buf *text, const char *path)
{
	for (const char *at = path; *at != '\0'; at++) {
		if (*at == '%' || *at == ':')
			(void)buf_putc(text, *at);
		if (*at == '"' || *at == '\\')
			(void)buf_putc(text, '\\');
		(void)buf_putc(text, *at);
	}
}

/* Maildir++ keeps all folders beside each other, as ".A.B"; a folder that has those stays so. */
static bool is_maildir_plus_plus(const char *path)
{
	DIR *directory = opendir(path);
	struct dirent *entry;
	bool found = false;

	if (directory == NULL)
		return false;
	while (!found && (entry = readdir(directory)) != NULL) {
		_cleanup_free_ char *cur = xasprintf("%s/cur", entry->d_name);
		struct stat st;

		if (entry->d_name[0] != '.' || strcmp(entry->d_name, ".") == 0 ||
			strcmp(entry->d_name, "..") == 0)
			continue;
		found = fstatat(dirfd(directory), cur, &st, 0) == 0 && S_ISDIR(st.st_mode);
	}
	(void)closedir(directory);
	return found;
}

/*
 * Folders as directories within each other, so that a name may be as long as a file name on every
 * level; listescape lets a name hold what is special in the file system.  The list index is what
 * NOTIFY stands on.  With no master process there is nobody to count a user's connections.
 */
static void write_2_3(struct buf *text, const char *path, const char *run)
{
	(void)buf_printf(text,
		"# Written by interimap; changes are lost.\n"
		"base_dir = %s/none\n"
		"ssl = no\n"
		"first_valid_uid = 1\n"
		"first_valid_gid = 1\n"
		"mail_location = \"maildir:",
		run);
	put_path(text, path);
	(void)buf_puts(text, is_maildir_plus_plus(path) ? "\"\n" : ":LAYOUT=fs\"\n");
	(void)buf_puts(text, "mailbox_list_index = yes\n"
			     "mailbox_idle_check_interval = 5 secs\n"
			     "mail_plugins = listescape\n"
			     "namespace inbox {\n"
			     "  inbox = yes\n"
			     "  separator = /\n");
	for (size_t i = 0; i < 4; i++) {
		static const char *const names[] = {"Drafts", "Sent", "Trash", "Junk"};

		(void)buf_printf(text,
			"  mailbox %s {\n    special_use = \\%s\n    auto = no\n  }\n", names[i],
			names[i]);
	}
	(void)buf_puts(text, "}\n"
			     "protocol imap {\n"
			     "  mail_max_userip_connections = 0\n"
			     "  imap_idle_notify_interval = 2 mins\n"
			     "}\n");
}

/* One function a version: their languages differ. */
static int write_configuration(
	struct buf *text, const char *path, const char *run, char **ret_reason)
{
	unsigned major = 2, minor = 3;

	/* Without the main program, which nobody needs here, it is taken for the one we know. */
	(void)read_version(&major, &minor);
	if (major == 2 && minor == 3) {
		write_2_3(text, path, run);
		return 0;
	}
	return refuse(-ENOTSUP, ret_reason,
		xasprintf("the embedded store needs Dovecot 2.3, and this machine has %u.%u; "
			  "give a [local] section with another local IMAP server",
			major, minor));
}

/* --- Files --- */

/* Dovecot does what is written there: nobody else may have a hand in it. */
static int put_file(const char *path, const struct buf *text, char **ret_reason)
{
	_cleanup_close_ int folder = folder_open_parent(path, FOLDER_OURS, ret_reason);
	int r;

	if (folder < 0)
		return folder;
	r = folder_write_file(folder, strrchr(path, '/') + 1, buf_data(text), buf_len(text));
	if (r < 0)
		*ret_reason = xasprintf("cannot write %s: %s", path, strerror(-r));
	return r;
}

static int write_files(struct embedded *embedded, const char *path, char **ret_reason)
{
	_cleanup_free_ char *run = path_runtime_directory();
	struct buf text;
	int r;

	if (run == NULL)
		return refuse(-ENOENT, ret_reason, xstrdup("there is no home directory"));
	if (strpbrk(run, "\n\r#\"\\%") != NULL)
		return refuse(-EINVAL, ret_reason,
			xasprintf("the embedded store cannot keep its files in %s", run));
	/* One set of files a folder, so that accounts do not get in each other's way. */
	embedded->configuration = xasprintf("%s/dovecot-%016" PRIx64 ".conf", run, path_hash(path));
	embedded->log = xasprintf("%s/dovecot-%016" PRIx64 ".log", run, path_hash(path));
	buf_init(&text, CONFIGURATION_MAX);
	r = write_configuration(&text, path, run, ret_reason);
	if (r == 0)
		r = put_file(embedded->configuration, &text, ret_reason);
	buf_done(&text);
	return r;
}

/* --- The command --- */

static bool can_have_namespace(void)
{
	pid_t pid = access("/usr/bin/unshare", X_OK) == 0 ? fork() : -1;
	int status;

	if (pid == 0)
		_exit(unshare(CLONE_NEWUSER) < 0);
	if (pid < 0)
		return false;
	while (waitpid(pid, &status, 0) < 0)
		if (errno != EINTR)
			return false;
	return status == 0;
}

static void put_arguments(struct embedded *embedded, bool in_namespace)
{
	static const char *const shell[] = {
		"/bin/sh", "-c", "exec \"$@\" 2>>\"$INTERIMAP_STORE_LOG\"", "sh", NULL};
	static const char *const namespace[] = {
		"/usr/bin/unshare", "--user", "--map-user=1000", "--map-group=1000", NULL};
	const char *const program[] = {embedded->program, "-c", embedded->configuration, NULL};
	const char *const *const parts[] = {shell, in_namespace ? namespace : shell + 4, program};
	size_t n = 0;

	for (size_t i = 0; i < ARRAY_LEN(parts); i++)
		for (size_t j = 0; parts[i][j] != NULL; j++)
			embedded->argv[n++] = parts[i][j];
}

static int put_command(struct embedded *embedded, const char *path, char **ret_reason)
{
	_cleanup_free_ char *login = path_login_name();
	bool is_root = geteuid() == 0;

	embedded->program = find_program();
	if (embedded->program == NULL)
		return refuse(-ENOENT, ret_reason,
			xstrdup("the embedded store is Dovecot, which is not installed: install "
				"the package dovecot-imapd, or give a [local] section with "
				"another local IMAP server"));
	if (is_root && !can_have_namespace())
		return refuse(-EPERM, ret_reason,
			xstrdup("Dovecot serves no mail to root, and this system allows no user "
				"namespace: run interimap as an ordinary user"));
	put_arguments(embedded, is_root);
	embedded->user = xasprintf("USER=%s", login);
	/* Nothing is kept there, but it must be a directory that exists. */
	embedded->home = xasprintf("HOME=%s", path);
	embedded->log_variable = xasprintf("INTERIMAP_STORE_LOG=%s", embedded->log);
	embedded->environment[0] = embedded->user;
	embedded->environment[1] = embedded->home;
	embedded->environment[2] = embedded->log_variable;
	return 0;
}

int embedded_prepare(const char *maildir_path, struct embedded **ret, char **ret_reason)
{
	struct embedded *embedded;
	int r;

	for (const char *at = maildir_path; *at != '\0'; at++)
		if ((unsigned char)*at < ' ' || *at == 0x7f)
			return refuse(-EINVAL, ret_reason,
				xstrdup("the path of the mail folder holds a control character"));
	if (maildir_path[0] != '/' || strlen(maildir_path) >= PATH_MAX)
		return refuse(-EINVAL, ret_reason,
			xstrdup("the path of the mail folder must be absolute"));
	embedded = xcalloc(1, sizeof(*embedded));
	r = folder_open(maildir_path, FOLDER_OF_USER, ret_reason);
	if (r >= 0)
		r = close(r);
	if (r == 0)
		r = write_files(embedded, maildir_path, ret_reason);
	if (r == 0)
		r = put_command(embedded, maildir_path, ret_reason);
	if (r < 0) {
		embedded_free(embedded);
		return r;
	}
	embedded_trim_log(embedded);
	*ret = embedded;
	return 0;
}

struct embedded *embedded_free(struct embedded *embedded)
{
	if (embedded == NULL)
		return NULL;
	free(embedded->program);
	free(embedded->configuration);
	free(embedded->log);
	free(embedded->home);
	free(embedded->user);
	free(embedded->log_variable);
	free(embedded);
	return NULL;
}

const char *const *embedded_argv(const struct embedded *embedded)
{
	return embedded->argv;
}

const char *const *embedded_environment(const struct embedded *embedded)
{
	return embedded->environment;
}

const char *embedded_log(const struct embedded *embedded)
{
	return embedded->log;
}

void embedded_trim_log(const struct embedded *embedded)
{
	struct stat st;

	/* Writers append, so they go on at the new end. */
	if (lstat(embedded->log, &st) < 0 || !S_ISREG(st.st_mode) || st.st_size < LIMIT_STORE_LOG)
		return;
	if (truncate(embedded->log, 0) < 0)
		return; /* it is only a log */
}
