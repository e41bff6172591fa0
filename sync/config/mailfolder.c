/* SPDX-License-Identifier: MIT */
#include "sync/config/mailfolder.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "sync/base/folder.h"
#include "sync/base/limits.h"
#include "sync/base/xalloc.h"
#include "sync/config/mailfolder-private.h"

#define LOCK MAILFOLDER_MARK ".lock"
#define STAGE MAILFOLDER_STAGE
#define INBOX "/INBOX"
#define MAILDIR "/" MAILFOLDER_MAILDIR

enum { PAUSE_MS = 50, MARK_MAX = 64, COMMAND_LINE_MAX = 4096 };

enum state { FRESH, FORMER, MOVING, OURS, PLUS_PLUS, UNKNOWN };

struct opening {
	const char *path;
	const char *const *configurations;
	int fd; /* the folder */
	int lock; /* -1 where there can be none */
	char **ret_reason;
};

static int fail(struct opening *opening, int error, char *own_reason)
{
	*opening->ret_reason = own_reason;
	return error;
}

/* --- What is there --- */

bool mailfolder_has_directory(int folder, const char *name)
{
	struct stat st;

	return fstatat(folder, name, &st, 0) == 0 && S_ISDIR(st.st_mode);
}

bool mailfolder_has_file(int folder, const char *name)
{
	struct stat st;

	return fstatat(folder, name, &st, AT_SYMLINK_NOFOLLOW) == 0 && S_ISREG(st.st_mode);
}

int mailfolder_put_mark(int folder, const char *path, const char *mark, char **ret_reason)
{
	_cleanup_free_ char *text = xasprintf("%s\n", mark);
	int r = folder_write_file(folder, MAILFOLDER_MARK, text, strlen(text));

	if (r < 0)
		*ret_reason =
			xasprintf("cannot write %s/" MAILFOLDER_MARK ": %s", path, strerror(-r));
	return r;
}

/* Maildir++ keeps all folders beside each other, as ".A.B". */
static bool has_dot_folders(int folder)
{
	int fd = openat(folder, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *directory = fd >= 0 ? fdopendir(fd) : NULL;
	struct dirent *entry;
	bool found = false;

	if (directory == NULL)
		return false;
	while (!found && (entry = readdir(directory)) != NULL) {
		_cleanup_free_ char *cur = xasprintf("%s/cur", entry->d_name);

		found = entry->d_name[0] == '.' && strcmp(entry->d_name, ".") != 0 &&
			strcmp(entry->d_name, "..") != 0 && mailfolder_has_directory(folder, cur);
	}
	(void)closedir(directory);
	return found;
}

/*
 * A folder without a mark.  Dovecot leaves its list index wherever it has been; where it has not, a
 * Maildir is somebody's own, and so is one with dot folders only.  One that has lost its mark, when
 * it was copied, is known by its INBOX.
 */
static enum state guess(const struct opening *opening)
{
	static const char inbox[] = MAILFOLDER_MAILBOXES INBOX MAILDIR "/cur";
	bool was_served = mailfolder_has_file(opening->fd, "dovecot.list.index.log") ||
			  mailfolder_has_file(opening->fd, "dovecot-uidvalidity");
	bool has_folders = has_dot_folders(opening->fd);

	if (mailfolder_has_directory(opening->fd, inbox))
		return OURS;
	if (has_folders && !(was_served && mailfolder_has_plain_mailboxes(opening->path)))
		return PLUS_PLUS;
	if (was_served)
		return FORMER;
	return mailfolder_has_directory(opening->fd, "cur") ? PLUS_PLUS : FRESH;
}

static enum state look(const struct opening *opening)
{
	static const struct {
		const char *mark;
		enum state state;
	} marks[] = {{MAILFOLDER_MARK_OURS "\n", OURS}, {MAILFOLDER_MARK_PLUS_PLUS "\n", PLUS_PLUS},
		{MAILFOLDER_MARK_MOVING "\n", MOVING}};
	char text[MARK_MAX] = "";
	_cleanup_close_ int fd =
		openat(opening->fd, MAILFOLDER_MARK, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);

	if (fd < 0)
		return errno == ENOENT ? guess(opening) : UNKNOWN;
	if (read(fd, text, sizeof(text) - 1) < 0)
		return UNKNOWN;
	for (size_t i = 0; i < ARRAY_LEN(marks); i++)
		if (strcmp(text, marks[i].mark) == 0)
			return marks[i].state;
	return UNKNOWN;
}

/* --- Who is at work there --- */

/* Whether one of a process's arguments is a file with this name. */
static bool has_argument(const char *pid, const char *name)
{
	_cleanup_free_ char *path = xasprintf("/proc/%s/cmdline", pid);
	_cleanup_close_ int fd = open(path, O_RDONLY | O_CLOEXEC);
	char text[COMMAND_LINE_MAX + 1];
	ssize_t n = fd >= 0 ? read(fd, text, COMMAND_LINE_MAX) : -1;

	if (n <= 0)
		return false;
	text[n] = '\0';
	for (const char *word = text; word < text + n; word += strlen(word) + 1) {
		const char *slash = strrchr(word, '/');

		if (strcmp(slash != NULL ? slash + 1 : word, name) == 0)
			return true;
	}
	return false;
}

/*
 * The number of a process of the store, as *ret_pid, or NULL.  Those that an earlier version of
 * this program started hold no lock; but what a process of the store was started with is named
 * after the path of the mail folder.
 */
static int find_process(const struct opening *opening, char **ret_pid)
{
	/* There is at least one.  NOLINTNEXTLINE(clang-analyzer-core.NonNullParamChecker) */
	const char *name = strrchr(opening->configurations[0], '/') + 1;
	DIR *directory = opendir("/proc");
	struct dirent *entry;

	*ret_pid = NULL;
	if (directory == NULL)
		return -errno;
	while (*ret_pid == NULL && (entry = readdir(directory)) != NULL)
		if (entry->d_name[0] >= '1' && entry->d_name[0] <= '9' &&
			has_argument(entry->d_name, name))
			*ret_pid = xstrdup(entry->d_name);
	(void)closedir(directory);
	return 0;
}

static void pause_briefly(void)
{
	(void)nanosleep(&(const struct timespec){.tv_nsec = PAUSE_MS * 1000000L}, NULL);
}

/* Waits until no process of the store is left, and none can begin. */
static int be_alone(struct opening *opening)
{
	_cleanup_free_ char *pid = NULL;
	int r;

	for (const char *const *file = opening->configurations; *file != NULL; file++)
		if (unlink(*file) < 0 && errno != ENOENT && errno != ENOTDIR)
			return fail(opening, -errno,
				xasprintf("cannot remove %s: %s", *file, strerror(errno)));
	for (int waited = 0; waited <= LIMIT_STORE_MOVE_MS; waited += PAUSE_MS) {
		free(take(pid));
		r = find_process(opening, &pid);
		if (r < 0)
			return fail(opening, r,
				xasprintf("the mail folder %s is to be moved to a new layout, but "
					  "/proc cannot be read, to see who uses it: %s",
					opening->path, strerror(-r)));
		if (pid == NULL)
			return 0;
		pause_briefly();
	}
	return fail(opening, -EBUSY,
		xasprintf("the mail folder %s is to be moved to a new layout, but process %s uses "
			  "it: stop the interimap that started that, and start this one again",
			opening->path, pid));
}

/* --- The lock --- */

/* Where files cannot be locked, the look at the processes has to do. */
static int take_lock(const struct opening *opening, int operation)
{
	while (opening->lock >= 0 && flock(opening->lock, operation) < 0) {
		if (errno == EWOULDBLOCK)
			return -EBUSY;
		if (errno != EINTR)
			return 0;
	}
	return 0;
}

static int open_lock(struct opening *opening)
{
	opening->lock = openat(
		opening->fd, LOCK, O_RDWR | O_CREAT | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC, 0600);
	/* What can only be read has nobody who moves it. */
	if (opening->lock < 0 && errno != EROFS && errno != EACCES)
		return fail(opening, -errno,
			xasprintf("cannot write %s/" LOCK ": %s", opening->path, strerror(errno)));
	return 0;
}

/* --- Opening --- */

/*
 * With an INBOX: left to Dovecot, two processes that find none both make it, and one of them says
 * "already exists" to its client, or dies of a deadlock of their locks (2.3.19, now and then).
 */
static int make_mailboxes(struct opening *opening)
{
	static const char *const directories[] = {STAGE, STAGE INBOX, STAGE INBOX MAILDIR,
		STAGE INBOX MAILDIR "/tmp", STAGE INBOX MAILDIR "/new", STAGE INBOX MAILDIR "/cur"};
	int r = 0;

	for (size_t i = 0; i < ARRAY_LEN(directories) && r == 0; i++)
		if (mkdirat(opening->fd, directories[i], 0700) < 0 && errno != EEXIST)
			r = -errno;
	if (r == 0 && renameat(opening->fd, STAGE, opening->fd, MAILFOLDER_MAILBOXES) < 0)
		r = -errno;
	return r == 0 ? 0
		      : fail(opening, r,
				xasprintf("cannot make %s/" MAILFOLDER_MAILBOXES ": %s",
					opening->path, strerror(-r)));
}

static int make(struct opening *opening)
{
	int r;

	/* What is there may stay if it is empty. */
	if (unlinkat(opening->fd, MAILFOLDER_MAILBOXES, AT_REMOVEDIR) < 0 && errno != ENOENT)
		return fail(opening, -errno,
			errno == ENOTEMPTY || errno == ENOTDIR
				? xasprintf("%s/" MAILFOLDER_MAILBOXES
					    " is in the way, and nothing that interimap made: "
					    "choose another path",
					  opening->path)
				: xasprintf("cannot make %s/" MAILFOLDER_MAILBOXES ": %s",
					  opening->path, strerror(errno)));
	r = make_mailboxes(opening);
	return r < 0 ? r
		     : mailfolder_put_mark(opening->fd, opening->path, MAILFOLDER_MARK_OURS,
			       opening->ret_reason);
}

/* As the only one who is here. */
static int prepare(struct opening *opening)
{
	enum state state = look(opening);
	int r;

	switch (state) {
	case FRESH:
		return make(opening);
	case FORMER:
	case MOVING:
		r = be_alone(opening);
		return r < 0 ? r
			     : mailfolder_move(opening->fd, opening->path, state == MOVING,
				       opening->ret_reason);
	case PLUS_PLUS:
		return mailfolder_put_mark(
			opening->fd, opening->path, MAILFOLDER_MARK_PLUS_PLUS, opening->ret_reason);
	case OURS:
	case UNKNOWN:
		break;
	}
	return 0;
}

static bool is_prepared(const struct opening *opening)
{
	enum state state = look(opening);

	return state == OURS || state == UNKNOWN ||
	       (state == PLUS_PLUS && mailfolder_has_file(opening->fd, MAILFOLDER_MARK));
}

/* Ends with the lock shared, so that nobody moves what is in use.  Who finds others there who are
 * about to prepare it waits for them. */
static int lock_and_prepare(struct opening *opening)
{
	int r;

	for (int waited = 0; waited <= LIMIT_STORE_MOVE_MS; waited += PAUSE_MS) {
		(void)take_lock(opening, LOCK_SH);
		if (is_prepared(opening))
			return 0;
		if (take_lock(opening, LOCK_EX | LOCK_NB) == 0) {
			r = prepare(opening);
			(void)take_lock(opening, LOCK_SH);
			return r;
		}
		pause_briefly();
	}
	return fail(opening, -EBUSY,
		xasprintf("another interimap is about to use the mail folder %s: try again",
			opening->path));
}

static int finish(struct opening *opening, struct mailfolder *ret)
{
	switch (look(opening)) {
	case OURS:
		ret->layout = MAILFOLDER_OURS;
		return 0;
	case PLUS_PLUS:
		ret->layout = MAILFOLDER_MAILDIR_PLUS_PLUS;
		return 0;
	default:
		return fail(opening, -ENOTSUP,
			xasprintf("%s/" MAILFOLDER_MARK " says nothing that this version of "
				  "interimap knows: the mail folder belongs to a newer one; "
				  "install that, or choose another path",
				opening->path));
	}
}

int mailfolder_open(const char *path, const char *const *configurations, struct mailfolder *ret,
	char **ret_reason)
{
	struct opening opening = {.path = path,
		.configurations = configurations,
		.lock = -1,
		.ret_reason = ret_reason};
	int r;

	opening.fd = folder_open(path, FOLDER_OF_USER, ret_reason);
	if (opening.fd < 0)
		return opening.fd;
	r = open_lock(&opening);
	if (r == 0)
		r = lock_and_prepare(&opening);
	if (r == 0)
		r = finish(&opening, ret);
	(void)close(opening.fd);
	ret->lock = opening.lock;
	if (r < 0)
		mailfolder_close(ret);
	return r;
}

void mailfolder_close(struct mailfolder *folder)
{
	if (folder->lock >= 0)
		(void)close(folder->lock);
	folder->lock = -1;
}
