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
#include "sync/config/dovecot.h"
#include "sync/config/mailfolder.h"
#include "sync/config/paths.h"

enum { ARGUMENTS = 12, VARIABLES = 4, FOLDERS = 3, CONFIGURATION_MAX = 64 << 10 };

struct embedded {
	struct dovecot dovecot;
	struct mailfolder folder;
	char *configuration, *other_configuration, *log;
	char *home, *user, *log_variable;
	const char *argv[ARGUMENTS];
	const char *environment[VARIABLES];
	char *path, *run;
	const char *folders[FOLDERS];
};

static int refuse(int error, char **ret_reason, char *own_reason)
{
	*ret_reason = own_reason;
	return error;
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

/* One set of files a mail folder, so that accounts do not get in each other's way. */
static int name_files(
	struct embedded *embedded, const char *path, const char *run, char **ret_reason)
{
	_cleanup_free_ char *lasting = path_lasting_directory();

	if (run == NULL || lasting == NULL)
		return refuse(-ENOENT, ret_reason, xstrdup("there is no home directory"));
	if (strpbrk(run, "\n\r#\"\\%") != NULL)
		return refuse(-EINVAL, ret_reason,
			xasprintf("the embedded store cannot keep its files in %s", run));
	embedded->configuration = xasprintf("%s/dovecot-%016" PRIx64 ".conf", run, path_hash(path));
	embedded->other_configuration =
		xasprintf("%s/dovecot-%016" PRIx64 ".conf", lasting, path_hash(path));
	embedded->log = xasprintf("%s/dovecot-%016" PRIx64 ".log", run, path_hash(path));
	return 0;
}

static int write_files(struct embedded *embedded, const char *path, char **ret_reason)
{
	const char *run = embedded->run = path_runtime_directory();
	struct buf text;
	int r = name_files(embedded, path, run, ret_reason);

	if (r == 0)
		r = mailfolder_open(path,
			(const char *const[]){
				embedded->configuration, embedded->other_configuration, NULL},
			&embedded->folder, ret_reason);
	if (r < 0)
		return r;
	buf_init(&text, CONFIGURATION_MAX);
	dovecot_configure(&embedded->dovecot, &text, path, embedded->folder.layout, run);
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
	const char *const program[] = {embedded->dovecot.imap, "-c", embedded->configuration, NULL};
	const char *const *const parts[] = {shell, in_namespace ? namespace : shell + 4, program};
	size_t n = 0;

	for (size_t i = 0; i < ARRAY_LEN(parts); i++)
		for (size_t j = 0; parts[i][j] != NULL; j++)
			embedded->argv[n++] = parts[i][j];
}

static void put_command(struct embedded *embedded, const char *path)
{
	_cleanup_free_ char *login = path_login_name();

	put_arguments(embedded, geteuid() == 0);
	embedded->user = xasprintf("USER=%s", login);
	/* Nothing is kept there, but it must be a directory that exists. */
	embedded->home = xasprintf("HOME=%s", path);
	embedded->log_variable = xasprintf("INTERIMAP_STORE_LOG=%s", embedded->log);
	embedded->environment[0] = embedded->user;
	embedded->environment[1] = embedded->home;
	embedded->environment[2] = embedded->log_variable;
}

/* What needs no look at the mail folder comes first: nothing is written if it fails. */
static int check_system(struct embedded *embedded, char **ret_reason)
{
	int r = dovecot_find(&embedded->dovecot, ret_reason);

	if (r == 0 && geteuid() == 0 && !can_have_namespace())
		r = refuse(-EPERM, ret_reason,
			xstrdup("Dovecot serves no mail to root, and this system allows no user "
				"namespace: run interimap as an ordinary user"));
	return r;
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
	embedded->folder.lock = -1;
	r = check_system(embedded, ret_reason);
	if (r == 0)
		r = write_files(embedded, maildir_path, ret_reason);
	if (r < 0) {
		embedded_free(embedded);
		return r;
	}
	put_command(embedded, maildir_path);
	embedded->path = xstrdup(maildir_path);
	embedded->folders[0] = embedded->path;
	embedded->folders[1] = embedded->run;
	embedded_trim_log(embedded);
	*ret = embedded;
	return 0;
}

struct embedded *embedded_free(struct embedded *embedded)
{
	if (embedded == NULL)
		return NULL;
	dovecot_done(&embedded->dovecot);
	mailfolder_close(&embedded->folder);
	free(embedded->configuration);
	free(embedded->other_configuration);
	free(embedded->log);
	free(embedded->home);
	free(embedded->user);
	free(embedded->log_variable);
	free(embedded->path);
	free(embedded->run);
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

const char *const *embedded_folders(const struct embedded *embedded)
{
	return embedded->folders;
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
