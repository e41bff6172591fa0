/* SPDX-License-Identifier: MIT */
#include "sync/config/dovecot.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "sync/base/shell.h"
#include "sync/base/xalloc.h"

#define SEARCHED "PATH=/usr/sbin:/usr/local/sbin:/usr/bin:/usr/local/bin; "

/* How a shell says that a program could not be run. */
enum { NOT_RUN = 126 };

static const char way_out[] = "give a [local] section with another local IMAP server";

static int refuse(int error, char **ret_reason, char *own_reason)
{
	*ret_reason = own_reason;
	return error;
}

/* --- What is installed --- */

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
static bool read_version(struct dovecot *dovecot)
{
	FILE *pipe = popen(SEARCHED "dovecot --version 2>/dev/null", "re");
	char text[64] = "";
	bool good;

	if (pipe == NULL)
		return false;
	good = fgets(text, sizeof(text), pipe) != NULL;
	(void)pclose(pipe);
	return good && sscanf(text, "%u.%u", &dovecot->major, &dovecot->minor) == 2;
}

static bool runs(const char *command)
{
	int status = system(command);

	return WIFEXITED(status) && WEXITSTATUS(status) < NOT_RUN;
}

/* It ends at the option that it does not know.  One that was made for other libraries than there
 * are does not come that far: the linker ends it with 127. */
static bool fits_its_libraries(const char *program)
{
	_cleanup_free_ char *word = shell_quote(program);
	_cleanup_free_ char *command = xasprintf("exec %s -Z </dev/null >/dev/null 2>&1", word);

	return runs(command);
}

static int check(struct dovecot *dovecot, char **ret_reason)
{
	if (!read_version(dovecot))
		return refuse(-ENOENT, ret_reason,
			xasprintf("%s is there, but \"dovecot --version\" says nothing: install "
				  "the package dovecot-core of the same version, or %s",
				dovecot->imap, way_out));
	if (dovecot->major != 2 || (dovecot->minor != 3 && dovecot->minor != 4))
		return refuse(-ENOTSUP, ret_reason,
			xasprintf("the embedded store needs Dovecot 2.3 or 2.4, and this machine "
				  "has %u.%u: %s",
				dovecot->major, dovecot->minor, way_out));
	/* `imap` has it read the configuration. */
	if (!runs(SEARCHED "command -v doveconf >/dev/null"))
		return refuse(-ENOENT, ret_reason,
			xasprintf("%s is there, but not the program doveconf, which it needs: "
				  "install the package dovecot-core, or %s",
				dovecot->imap, way_out));
	if (!fits_its_libraries(dovecot->imap))
		return refuse(-ELIBBAD, ret_reason,
			xasprintf("%s cannot be started with the libraries of Dovecot %u.%u that "
				  "are here: bring dovecot-core and dovecot-imapd to the same "
				  "version (apt-get install dovecot-core dovecot-imapd), or %s",
				dovecot->imap, dovecot->major, dovecot->minor, way_out));
	return 0;
}

int dovecot_find(struct dovecot *ret, char **ret_reason)
{
	int r;

	*ret = (struct dovecot){.imap = find_program()};
	if (ret->imap == NULL)
		return refuse(-ENOENT, ret_reason,
			xasprintf("the embedded store is Dovecot, which is not installed: install "
				  "the package dovecot-imapd, or %s",
				way_out));
	r = check(ret, ret_reason);
	if (r < 0)
		dovecot_done(ret);
	return r;
}

void dovecot_done(struct dovecot *dovecot)
{
	free(take(dovecot->imap));
}

/* --- Configuration: one function a version, since their languages differ --- */

/* Within double quotes.  '%' begins a variable; in 2.3, ':' an option, and both are doubled. */
static void put_path(struct buf *text, const char *path, const char *doubled)
{
	for (const char *at = path; *at != '\0'; at++) {
		if (strchr(doubled, *at) != NULL)
			(void)buf_putc(text, *at);
		if (*at == '"' || *at == '\\')
			(void)buf_putc(text, '\\');
		(void)buf_putc(text, *at);
	}
}

static void put_special_use(struct buf *text)
{
	static const char *const names[] = {"Drafts", "Sent", "Trash", "Junk"};

	for (size_t i = 0; i < ARRAY_LEN(names); i++)
		(void)buf_printf(text,
			"  mailbox %s {\n    special_use = \\%s\n    auto = no\n  }\n", names[i],
			names[i]);
}

/*
 * What both languages have.  The list index is what NOTIFY stands on.  With no master process there
 * is nobody to count a user's connections.
 */
static void put_common(struct buf *text, const char *run)
{
	(void)buf_printf(text,
		"base_dir = %s/none\n"
		"ssl = no\n"
		"first_valid_uid = 1\n"
		"first_valid_gid = 1\n"
		"mailbox_list_index = yes\n"
		"mailbox_idle_check_interval = 5 secs\n"
		"namespace inbox {\n"
		"  inbox = yes\n"
		"  separator = /\n",
		run);
	put_special_use(text);
	(void)buf_puts(text, "}\n"
			     "protocol imap {\n"
			     "  mail_max_userip_connections = 0\n"
			     "  imap_idle_notify_interval = 2 mins\n"
			     "}\n");
}

/* listescape lets a name hold what is special in the file system; its escape is '\'. */
static void put_2_3(struct buf *text, const char *path, enum mailfolder_layout layout)
{
	(void)buf_puts(text, "mail_location = \"maildir:");
	put_path(text, path, "%:");
	if (layout == MAILFOLDER_OURS)
		(void)buf_puts(text, ":LAYOUT=fs:MAILBOXDIR=" MAILFOLDER_MAILBOXES
				     ":DIRNAME=" MAILFOLDER_MAILDIR);
	(void)buf_puts(text, "\"\nmail_plugins = listescape\n");
}

/*
 * The first two lines say whose defaults hold, and by which version at least the mail must be
 * readable.  Every 2.4.x takes 2.4.0, so they never change: an update within 2.4 changes neither a
 * default nor what is on the disk.  Variables of the environment have to be named, since the
 * program that reads the configuration starts `imap` anew without the others.
 */
static void put_2_4(struct buf *text, const char *path, enum mailfolder_layout layout)
{
	(void)buf_puts(text, "dovecot_config_version = 2.4.0\n"
			     "dovecot_storage_version = 2.4.0\n"
			     "import_environment {\n"
			     "  USER = %{env:USER}\n"
			     "  HOME = %{env:HOME}\n"
			     "}\n"
			     "mail_driver = maildir\n"
			     "mail_path = \"");
	put_path(text, path, "%");
	(void)buf_puts(text, "\"\nmailbox_list_storage_escape_char = \"\\\\\"\n");
	if (layout == MAILFOLDER_MAILDIR_PLUS_PLUS) {
		(void)buf_puts(text, "mailbox_list_layout = maildir++\n");
		return;
	}
	/* 2.3 has the INBOX there by itself. */
	(void)buf_puts(text, "mailbox_list_layout = fs\n"
			     "mailbox_root_directory_name = " MAILFOLDER_MAILBOXES "\n"
			     "mailbox_directory_name = " MAILFOLDER_MAILDIR "\n"
			     "mail_inbox_path = \"");
	put_path(text, path, "%");
	(void)buf_puts(text, "/" MAILFOLDER_MAILBOXES "/INBOX/" MAILFOLDER_MAILDIR "\"\n");
}

void dovecot_configure(const struct dovecot *dovecot, struct buf *text, const char *path,
	enum mailfolder_layout layout, const char *run)
{
	(void)buf_puts(text, "# Written by interimap; changes are lost.\n");
	if (dovecot->minor == 3)
		put_2_3(text, path, layout);
	else
		put_2_4(text, path, layout);
	put_common(text, run);
}
