/* SPDX-License-Identifier: MIT */
/*
 * From the former layout, in which NAME itself is the mailbox:
 *
 *	cur, new, tmp, dovecot-uidlist …	->	mailboxes/INBOX/Maildir/…
 *	Lists/C/cur …				->	mailboxes/Lists/C/Maildir/…
 *
 * Until all is moved, `mailboxes` is called ~mailboxes, since a mailbox may have that name.
 *
 * What belongs to a mailbox is moved one by one, and `cur`, by which a directory is known as a
 * mailbox, last.  So whatever is found when this begins anew is yet to be moved.
 */
#include "sync/config/mailfolder.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <fts.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "sync/base/buf.h"
#include "sync/base/folder.h"
#include "sync/base/limits.h"
#include "sync/base/xalloc.h"
#include "sync/config/mailfolder-private.h"

#define STAGE MAILFOLDER_STAGE
#define NEW_SUBSCRIPTIONS "~subscriptions"

/* Names of directories below one whose own is below PATH_MAX, with some escapes. */
enum { PATH_SIZE_MAX = 16 << 10 };

struct move {
	int fd; /* the folder */
	const char *path;
	dev_t device;
	char **ret_reason;
};

static int fail(struct move *move, int error, const char *what, const char *name)
{
	*move->ret_reason = xasprintf("the mail folder %s cannot be moved to its new layout: "
				      "%s %s/%s: %s",
		move->path, what, move->path, name, strerror(-error));
	return error;
}

/* Of a state that a person has to change. */
static int refuse(struct move *move, const char *name, const char *problem)
{
	*move->ret_reason =
		xasprintf("the mail folder %s cannot be moved to its new layout: %s/%s %s",
			move->path, move->path, name, problem);
	return -EEXIST;
}

/* --- Names --- */

/* As listescape does it: a level that is called like the directory with the mail. */
static void put_level(struct buf *text, const char *level)
{
	if (strcmp(level, MAILFOLDER_MAILDIR) == 0)
		(void)buf_printf(text, "\\%02x", (unsigned char)*level++);
	(void)buf_puts(text, level);
}

/* The level of the new layout that the directory `name` becomes, "" for the INBOX. */
static char *level_of(const char *name)
{
	_cleanup_free_ char *levels = xstrdup(*name != '\0' ? name : "INBOX");
	char *save = NULL;
	struct buf text;

	buf_init(&text, PATH_SIZE_MAX);
	(void)buf_puts(&text, STAGE);
	for (char *level = strtok_r(levels, "/", &save); level != NULL;
		level = strtok_r(NULL, "/", &save)) {
		(void)buf_putc(&text, '/');
		put_level(&text, level);
	}
	return buf_steal(&text);
}

/* Where its mail goes. */
static char *target_of(const char *name)
{
	_cleanup_free_ char *level = level_of(name);

	return xasprintf("%s/" MAILFOLDER_MAILDIR, level);
}

/* An entry of the directory `name`, "" for the folder itself. */
static char *within(const char *name, const char *entry)
{
	return xasprintf("%s%s%s", name, *name != '\0' ? "/" : "", entry);
}

/* Not a mailbox's, in the former layout, but a part of one. */
static bool is_part(const char *name)
{
	return strcmp(name, "cur") == 0 || strcmp(name, "new") == 0 || strcmp(name, "tmp") == 0;
}

static bool is_index_file(const char *name)
{
	static const char *const prefixes[] = {
		"dovecot.index", "dovecot-uidlist", "dovecot-keywords", "maildirfolder"};

	for (size_t i = 0; i < ARRAY_LEN(prefixes); i++)
		if (strncmp(name, prefixes[i], strlen(prefixes[i])) == 0)
			return true;
	return false;
}

/* --- The walk over what is in the former layout --- */

typedef int visit(struct move *move, const char *name);

/* Below the folder; "" for itself. */
static const char *name_of(const struct move *move, const FTSENT *entry)
{
	const char *name = entry->fts_path + strlen(move->path);

	return name + strspn(name, "/");
}

static bool has_mail(const struct move *move, const char *name)
{
	_cleanup_free_ char *cur = within(name, "cur");

	return mailfolder_has_directory(move->fd, cur);
}

/* Parts of a mailbox, and what is ours. */
static bool is_passed_over(const FTSENT *entry)
{
	return entry->fts_level > 0 &&
	       (is_part(entry->fts_name) || (entry->fts_level == 1 && entry->fts_name[0] == '~'));
}

static int visit_entry(struct move *move, FTS *walk, FTSENT *entry, visit *directory, visit *other)
{
	const char *name = name_of(move, entry);

	switch (entry->fts_info) {
	case FTS_D:
		return is_passed_over(entry) && fts_set(walk, entry, FTS_SKIP) < 0 ? -errno : 0;
	case FTS_DP:
		/* Behind all that is in it; those that are passed over come here too. */
		return is_passed_over(entry) ? 0 : directory(move, name);
	case FTS_DNR:
	case FTS_ERR:
	case FTS_NS:
		return fail(move, -entry->fts_errno, "cannot read", name);
	default:
		return other != NULL ? other(move, name) : 0;
	}
}

static int walk_mailboxes(struct move *move, visit *directory, visit *other)
{
	char *const roots[] = {(char *)move->path, NULL};
	FTS *walk = fts_open(roots, FTS_PHYSICAL | FTS_COMFOLLOW | FTS_NOCHDIR, NULL);
	FTSENT *entry;
	int r = walk != NULL ? 0 : fail(move, -errno, "cannot read", "");

	while (r == 0 && (errno = 0, entry = fts_read(walk)) != NULL)
		r = visit_entry(move, walk, entry, directory, other);
	if (walk != NULL)
		(void)fts_close(walk);
	return r;
}

/* --- What needs room, or may be refused --- */

static int make_levels(struct move *move, char *target)
{
	for (char *slash = strchr(target, '/');; slash = strchr(slash + 1, '/')) {
		if (slash != NULL)
			*slash = '\0';
		if (mkdirat(move->fd, target, 0700) < 0 && errno != EEXIST)
			return fail(move, -errno, "cannot make", target);
		if (slash == NULL)
			return 0;
		*slash = '/';
	}
}

static int prepare_directory(struct move *move, const char *name)
{
	_cleanup_free_ char *target = target_of(name);
	_cleanup_free_ char *cur = within(name, "cur");
	struct stat st, of_cur;

	if (!has_mail(move, name))
		return 0;
	if (fstatat(move->fd, *name != '\0' ? name : ".", &st, AT_SYMLINK_NOFOLLOW) < 0 ||
		fstatat(move->fd, cur, &of_cur, AT_SYMLINK_NOFOLLOW) < 0)
		return fail(move, -errno, "cannot read", name);
	if (!S_ISDIR(of_cur.st_mode) || st.st_dev != move->device || of_cur.st_dev != move->device)
		return refuse(move, cur,
			"is a symbolic link or on another file system: put the mail itself there");
	if (faccessat(move->fd, *name != '\0' ? name : ".", W_OK | X_OK, AT_EACCESS) < 0)
		return fail(move, -errno, "cannot write to", name);
	if (strcmp(name, "INBOX") == 0 && has_mail(move, ""))
		return refuse(move, name,
			"is a Maildir, and so is the folder itself: one of them must go elsewhere");
	return make_levels(move, target);
}

/* What is no directory. */
static int prepare_other(struct move *move, const char *name)
{
	static const char mailboxes[] = MAILFOLDER_MAILBOXES "/";
	const char *slash = strrchr(name, '/');

	if (has_mail(move, name)) /* as a link */
		return refuse(move, name, "is a symbolic link: put the mail itself there");
	if (strcmp(name, MAILFOLDER_MAILBOXES) == 0 ||
		(strncmp(name, mailboxes, strlen(mailboxes)) == 0 && !is_index_file(slash + 1)))
		return refuse(move, name, "is none of the store's files: move it elsewhere");
	return 0;
}

/* The names of subscribed mailboxes, level by level, with what has to be escaped now. */
static void put_subscriptions(struct buf *text, const char *old, size_t size)
{
	for (const char *at = old, *end = old + size; at < end;) {
		const char *begin = at;
		_cleanup_free_ char *level = NULL;

		while (at < end && strchr("\t\n/", *at) == NULL)
			at++;
		level = xstrndup(begin, (size_t)(at - begin));
		put_level(text, level);
		if (at < end)
			(void)buf_putc(text, *at++);
	}
}

static int read_file(int folder, const char *name, struct buf *text)
{
	_cleanup_close_ int fd = openat(folder, name, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
	char *room;
	ssize_t n;

	if (fd < 0)
		return -errno;
	while ((room = buf_reserve(text, BUFSIZ)) != NULL && (n = read(fd, room, BUFSIZ)) != 0) {
		if (n < 0)
			return -errno;
		buf_commit(text, (size_t)n);
	}
	return room != NULL ? 0 : -EFBIG;
}

static int prepare_subscriptions(struct move *move)
{
	struct buf old, text;
	int r;

	/* What stood there instead, in a folder that could not be used any more, was a mailbox. */
	if (!mailfolder_has_file(move->fd, "subscriptions"))
		return 0;
	buf_init(&old, LIMIT_STORE_SUBSCRIPTIONS);
	buf_init(&text, 2 * LIMIT_STORE_SUBSCRIPTIONS);
	r = read_file(move->fd, "subscriptions", &old);
	if (r == 0) {
		put_subscriptions(&text, buf_data(&old), buf_len(&old));
		r = folder_write_file(move->fd, NEW_SUBSCRIPTIONS, buf_data(&text), buf_len(&text));
	}
	buf_done(&old);
	buf_done(&text);
	return r < 0 ? fail(move, r, "cannot write", NEW_SUBSCRIPTIONS) : 0;
}

static int prepare(struct move *move)
{
	struct stat st;
	int r;

	if (fstat(move->fd, &st) < 0)
		return fail(move, -errno, "cannot read", "");
	move->device = st.st_dev;
	if (mkdirat(move->fd, STAGE, 0700) < 0 && errno != EEXIST)
		return fail(move, -errno, "cannot make", STAGE);
	r = walk_mailboxes(move, prepare_directory, prepare_other);
	if (r == 0)
		r = prepare_subscriptions(move);
	if (r == 0)
		r = mailfolder_put_mark(
			move->fd, move->path, MAILFOLDER_MARK_MOVING, move->ret_reason);
	return r;
}

/* Nothing has been moved there yet: directories that are empty. */
static void undo(struct move *move)
{
	_cleanup_free_ char *stage = xasprintf("%s/" STAGE, move->path);
	char *const roots[] = {stage, NULL};
	FTS *walk = fts_open(roots, FTS_PHYSICAL | FTS_NOCHDIR, NULL);
	FTSENT *entry;

	while (walk != NULL && (entry = fts_read(walk)) != NULL)
		if (entry->fts_info == FTS_DP && rmdir(entry->fts_path) < 0)
			break; /* the next attempt uses it */
	if (walk != NULL)
		(void)fts_close(walk);
	(void)unlinkat(move->fd, NEW_SUBSCRIPTIONS, 0);
}

/* --- The moves --- */

static int move_entry(struct move *move, const char *name, const char *target, const char *entry)
{
	_cleanup_free_ char *from = within(name, entry);
	_cleanup_free_ char *to = xasprintf("%s/%s", target, entry);
	struct stat st;

	/* Nobody else is here, so that this is no race. */
	if (fstatat(move->fd, to, &st, AT_SYMLINK_NOFOLLOW) == 0)
		return refuse(move, from, "is at its new place already: move one of them away");
	if (renameat(move->fd, from, move->fd, to) < 0)
		return fail(move, -errno, "cannot move", from);
	return 0;
}

static int move_index_files(struct move *move, const char *name, const char *target)
{
	int fd = openat(move->fd, *name != '\0' ? name : ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *directory = fd >= 0 ? fdopendir(fd) : NULL;
	struct dirent *entry;
	int r = 0;

	if (directory == NULL)
		return fail(move, -errno, "cannot read", name);
	while (r == 0 && (entry = readdir(directory)) != NULL)
		if (is_index_file(entry->d_name) &&
			mailfolder_has_file(dirfd(directory), entry->d_name))
			r = move_entry(move, name, target, entry->d_name);
	(void)closedir(directory);
	return r;
}

static int move_mailbox(struct move *move, const char *name)
{
	static const char *const parts[] = {"new", "tmp", "cur"};
	_cleanup_free_ char *target = target_of(name);
	int r = move_index_files(move, name, target);

	for (size_t i = 0; r == 0 && i < ARRAY_LEN(parts); i++) {
		_cleanup_free_ char *part = within(name, parts[i]);

		if (mailfolder_has_directory(move->fd, part))
			r = move_entry(move, name, target, parts[i]);
	}
	return r;
}

/* Then the directory goes, if it is one of a mailbox, or above one, and nothing else is in it. */
static int move_directory(struct move *move, const char *name)
{
	_cleanup_free_ char *level = level_of(name);
	int r = has_mail(move, name) ? move_mailbox(move, name) : 0;

	if (r == 0 && *name != '\0' && mailfolder_has_directory(move->fd, level))
		(void)unlinkat(move->fd, name, AT_REMOVEDIR);
	return r;
}

/* --- The end --- */

/* Dovecot makes it anew, from what it finds. */
static void remove_list_index(struct move *move)
{
	static const char *const names[] = {"dovecot.list.index", "dovecot.list.index.log",
		"dovecot.list.index.log.2", "dovecot.list.index.cache"};

	for (size_t i = 0; i < ARRAY_LEN(names); i++)
		(void)unlinkat(move->fd, names[i], 0);
}

static int finish(struct move *move)
{
	remove_list_index(move);
	if (renameat(move->fd, NEW_SUBSCRIPTIONS, move->fd, "subscriptions") < 0 && errno != ENOENT)
		return fail(move, -errno, "cannot move", NEW_SUBSCRIPTIONS);
	if (syncfs(move->fd) < 0)
		return fail(move, -errno, "cannot write", "");
	if (renameat(move->fd, STAGE, move->fd, MAILFOLDER_MAILBOXES) == 0)
		return 0;
	if (errno == ENOTEMPTY || errno == EEXIST)
		return refuse(move, MAILFOLDER_MAILBOXES,
			"holds what is none of the store's: move it elsewhere");
	return fail(move, -errno, "cannot move", STAGE);
}

int mailfolder_move(int folder, const char *path, bool go_on, char **ret_reason)
{
	struct move move = {.fd = folder, .path = path, .ret_reason = ret_reason};
	int r = 0;

	if (!go_on) {
		r = prepare(&move);
		if (r < 0)
			undo(&move);
	}
	/* Its last step but one is the renaming of that. */
	if (r == 0 && mailfolder_has_directory(folder, STAGE)) {
		r = walk_mailboxes(&move, move_directory, NULL);
		if (r == 0)
			r = finish(&move);
	}
	return r < 0 ? r : mailfolder_put_mark(folder, path, MAILFOLDER_MARK_OURS, ret_reason);
}

/* --- Telling it from others --- */

bool mailfolder_has_plain_mailboxes(const char *path)
{
	char *const roots[] = {(char *)path, NULL};
	FTS *walk = fts_open(roots, FTS_PHYSICAL | FTS_COMFOLLOW | FTS_NOCHDIR, NULL);
	bool found = false;
	FTSENT *entry;

	while (walk != NULL && !found && (entry = fts_read(walk)) != NULL) {
		if (entry->fts_info == FTS_D &&
			(is_passed_over(entry) ||
				(entry->fts_level == 1 && entry->fts_name[0] == '.')))
			(void)fts_set(walk, entry, FTS_SKIP);
		found = entry->fts_level > 1 && strcmp(entry->fts_name, "dovecot-uidlist") == 0;
	}
	if (walk != NULL)
		(void)fts_close(walk);
	return found;
}
