/* SPDX-License-Identifier: MIT */
#include "sync/config/paths.h"

#include <pwd.h>
#include <stdlib.h>
#include <unistd.h>

#include "sync/base/xalloc.h"

static char *home_directory(void)
{
	const char *home = getenv("HOME");
	const struct passwd *user;

	if (home != NULL && home[0] == '/')
		return xstrdup(home);
	user = getpwuid(geteuid());
	return user != NULL && user->pw_dir[0] == '/' ? xstrdup(user->pw_dir) : NULL;
}

char *path_login_name(void)
{
	const struct passwd *user = getpwuid(geteuid());

	return user != NULL ? xstrdup(user->pw_name) : xasprintf("%u", (unsigned)geteuid());
}

char *path_expand(const char *path)
{
	_cleanup_free_ char *home = NULL;

	if (path[0] != '~' || (path[1] != '/' && path[1] != '\0'))
		return xstrdup(path);
	home = home_directory();
	return home != NULL ? xasprintf("%s%s", home, path + 1) : NULL;
}

/* By the specification a relative value of the variable is to be ignored. */
static char *base_directory(const char *variable, const char *below_home)
{
	const char *value = getenv(variable);
	_cleanup_free_ char *home = NULL;

	if (value != NULL && value[0] == '/')
		return xasprintf("%s/interimap", value);
	home = home_directory();
	return home != NULL ? xasprintf("%s/%s/interimap", home, below_home) : NULL;
}

/* Takes the directory. */
static char *in_directory(char *own_directory, const char *path)
{
	_cleanup_free_ char *directory = own_directory;
	_cleanup_free_ char *expanded = path_expand(path);

	if (expanded == NULL || expanded[0] == '/')
		return take(expanded);
	return directory != NULL ? xasprintf("%s/%s", directory, expanded) : NULL;
}

char *path_in_config(const char *path)
{
	return in_directory(base_directory("XDG_CONFIG_HOME", ".config"), path);
}

char *path_in_data(const char *path)
{
	return in_directory(base_directory("XDG_DATA_HOME", ".local/share"), path);
}

char *path_in_home(const char *path)
{
	return in_directory(home_directory(), path);
}

char *path_runtime_directory(void)
{
	const char *run = getenv("XDG_RUNTIME_DIR");

	if (run != NULL && run[0] == '/' && access(run, W_OK | X_OK) == 0)
		return xasprintf("%s/interimap", run);
	return path_lasting_directory();
}

char *path_lasting_directory(void)
{
	return path_in_data("store");
}

uint64_t path_hash(const char *path)
{
	uint64_t value = 14695981039346656037U; /* FNV-1a */

	for (const char *at = path; *at != '\0'; at++)
		value = (value ^ (unsigned char)*at) * 1099511628211U;
	return value;
}
