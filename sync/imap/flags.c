/* SPDX-License-Identifier: MIT */
/*
 * A list is an array of pointers to names, sorted by the name in lower case, and a name exists once
 * in its pool: so the bytes of the array are the key that makes equal lists the same object, and
 * unions and differences are merges of sorted arrays.
 *
 * The limits are for what comes from a server.  Lists derived from others are not refused, so that
 * callers need not handle it: there are no more of them than of pairs of those.
 */
#include "sync/imap/flags.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "sync/base/hash.h"

#include "sync/base/buf.h"
#include "sync/base/limits.h"
#include "sync/base/xalloc.h"

struct flag_name {
	UT_hash_handle hh; /* by folded */
	char *folded; /* lower case */
	char *spelling; /* as first seen */
};

struct flags {
	UT_hash_handle hh; /* by the bytes of names */
	struct flag_name **names;
	size_t count;
	char *text;
};

struct flag_pool {
	struct flag_name *names;
	struct flags *lists;
	const struct flags *empty;
	size_t bytes; /* of all lists and names, roughly */
};

static void free_list(struct flags *flags)
{
	free(flags->names);
	free(flags->text);
	free(flags);
}

/* The spellings with spaces between them; owned by the caller. */
static char *join(struct flag_name *const *names, size_t count)
{
	size_t len = 0;
	char *text, *at;

	for (size_t i = 0; i < count; i++)
		len += strlen(names[i]->spelling) + 1;
	at = text = xmalloc(len + 1);
	for (size_t i = 0; i < count; i++)
		at = stpcpy(i > 0 ? stpcpy(at, " ") : at, names[i]->spelling);
	*at = '\0';
	return text;
}

static struct flags *find_list(
	const struct flag_pool *pool, struct flag_name *const *names, size_t count)
{
	struct flags *flags = NULL;

	HASH_FIND(hh, pool->lists, names, count * sizeof(struct flag_name *), flags);
	return flags;
}

/* The list of these names, sorted and distinct, which need not exist yet. */
static const struct flags *get_list(
	struct flag_pool *pool, struct flag_name *const *names, size_t count)
{
	struct flags *flags;

	if (count == 0)
		return pool->empty;
	flags = find_list(pool, names, count);
	if (flags != NULL)
		return flags;
	flags = xcalloc(1, sizeof(*flags));
	flags->names = xreallocarray(NULL, count, sizeof(struct flag_name *));
	memcpy(flags->names, names, count * sizeof(struct flag_name *));
	flags->count = count;
	flags->text = join(names, count);
	HASH_ADD_KEYPTR(hh, pool->lists, flags->names, count * sizeof(struct flag_name *), flags);
	pool->bytes +=
		sizeof(*flags) + count * sizeof(struct flag_name *) + strlen(flags->text) + 1;
	return flags;
}

struct flag_pool *flag_pool_new(void)
{
	struct flag_pool *pool = xcalloc(1, sizeof(*pool));
	struct flags *empty = xcalloc(1, sizeof(*empty));

	empty->text = xstrdup("");
	pool->empty = empty;
	return pool;
}

struct flag_pool *flag_pool_free(struct flag_pool *pool)
{
	struct flags *flags, *next_list;
	struct flag_name *name, *next_name;

	if (pool == NULL)
		return NULL;
	HASH_ITER (hh, pool->lists, flags, next_list) {
		HASH_DEL(pool->lists, flags); /* NOLINT(clang-analyzer-unix.Malloc) */
		free_list(flags);
	}
	HASH_ITER (hh, pool->names, name, next_name) {
		HASH_DEL(pool->names, name); /* NOLINT(clang-analyzer-unix.Malloc) */
		free(name->folded);
		free(name->spelling);
		free(name);
	}
	free_list((struct flags *)pool->empty);
	free(pool);
	return NULL;
}

/* Lower case in ASCII, whatever the locale. */
static char *fold(struct slice atom)
{
	char *folded = slice_dup(atom);

	for (char *c = folded; *c != '\0'; c++)
		if (*c >= 'A' && *c <= 'Z')
			*c = (char)(*c - 'A' + 'a');
	return folded;
}

/*
 * RFC 3501 "flag" and "flag-perm", but for "]", which servers do let into keywords.  8-bit bytes
 * are in no flag: another server would refuse the whole command.
 */
static bool is_flag(struct slice atom)
{
	size_t i = 0;

	if (slice_is(atom, "\\*"))
		return true;
	if (atom.len > 0 && atom.data[0] == '\\')
		i++;
	if (i == atom.len || atom.len > LIMIT_FLAG_NAME)
		return false;
	for (; i < atom.len; i++)
		if (atom.data[i] <= ' ' || atom.data[i] >= 0x7f ||
			strchr("(){%*\"\\", atom.data[i]) != NULL)
			return false;
	return true;
}

/* The name of a flag, new or known; NULL when the pool is full. */
static struct flag_name *get_name(struct flag_pool *pool, struct slice atom)
{
	_cleanup_free_ char *folded = fold(atom);
	struct flag_name *name = NULL;

	HASH_FIND(hh, pool->names, folded, atom.len, name);
	if (name != NULL)
		return name;
	if (pool->bytes > LIMIT_FLAG_BYTES)
		return NULL;
	name = xcalloc(1, sizeof(*name));
	name->folded = take(folded);
	name->spelling = slice_dup(atom);
	HASH_ADD_KEYPTR(hh, pool->names, name->folded, atom.len, name);
	pool->bytes += sizeof(*name) + 2 * (atom.len + 1);
	return name;
}

static int compare_names(const void *one, const void *other)
{
	struct flag_name *const *a = one, *const *b = other;

	return strcmp((*a)->folded, (*b)->folded);
}

/* Sorts, and drops what is there twice.  Returns how many are left. */
static size_t sort_names(struct flag_name **names, size_t count)
{
	size_t kept = 0;

	if (count > 0)
		qsort(names, count, sizeof(*names), compare_names);
	for (size_t i = 0; i < count; i++)
		if (kept == 0 || names[kept - 1] != names[i])
			names[kept++] = names[i];
	return kept;
}

bool flag_pool_is_large(const struct flag_pool *pool)
{
	return HASH_COUNT(pool->lists) > LIMIT_FLAG_LISTS / 2 || pool->bytes > LIMIT_FLAG_BYTES / 2;
}

const struct flags *flags_intern(struct flag_pool *pool, const struct slice *atoms, size_t count)
{
	_cleanup_free_ struct flag_name **names = NULL;
	size_t kept = 0;
	bool full;

	if (count > LIMIT_FLAGS_PER_MESSAGE)
		return NULL;
	names = xcalloc(count + 1, sizeof(struct flag_name *));
	for (size_t i = 0; i < count; i++) {
		if (!is_flag(atoms[i]))
			return NULL;
		if (slice_is(atoms[i], "\\Recent"))
			continue;
		names[kept] = get_name(pool, atoms[i]);
		if (names[kept++] == NULL)
			return NULL;
	}
	kept = sort_names(names, kept);
	full = HASH_COUNT(pool->lists) >= LIMIT_FLAG_LISTS || pool->bytes > LIMIT_FLAG_BYTES;
	if (full && kept > 0)
		return find_list(pool, names, kept);
	return get_list(pool, names, kept);
}

const struct flags *flags_intern_usable(
	struct flag_pool *pool, const struct slice *atoms, size_t count, size_t *ret_left_out)
{
	_cleanup_free_ struct slice *usable = xcalloc(count + 1, sizeof(*usable));
	size_t kept = 0;

	for (size_t i = 0; i < count && kept < LIMIT_FLAGS_PER_MESSAGE; i++)
		if (is_flag(atoms[i]))
			usable[kept++] = atoms[i];
	*ret_left_out = count - kept;
	return flags_intern(pool, usable, kept);
}

const struct flags *flags_all_permanent(struct flag_pool *pool)
{
	static const char *const names[] = {
		"\\Answered", "\\Flagged", "\\Deleted", "\\Seen", "\\Draft", "\\*"};
	struct slice atoms[ARRAY_LEN(names)];

	for (size_t i = 0; i < ARRAY_LEN(names); i++)
		atoms[i] = (struct slice){.data = names[i], .len = strlen(names[i])};
	return flags_intern(pool, atoms, ARRAY_LEN(names));
}

const struct flags *flags_empty(struct flag_pool *pool)
{
	return pool->empty;
}

/* Which names of two lists a merge keeps. */
enum merge { MERGE_UNION, MERGE_MINUS };

static const struct flags *merge(struct flag_pool *pool, const struct flags *one,
	const struct flags *other, enum merge which)
{
	_cleanup_free_ struct flag_name **names =
		xcalloc(one->count + other->count + 1, sizeof(struct flag_name *));
	size_t i = 0, j = 0, kept = 0;

	while (i < one->count || j < other->count) {
		int order = i == one->count	? 1
			    : j == other->count ? -1
						: compare_names(&one->names[i], &other->names[j]);

		if (which == MERGE_UNION || order < 0)
			names[kept++] = order <= 0 ? one->names[i] : other->names[j];
		i += order <= 0;
		j += order >= 0;
	}
	return get_list(pool, names, kept);
}

const struct flags *flags_union(
	struct flag_pool *pool, const struct flags *one, const struct flags *other)
{
	return merge(pool, one, other, MERGE_UNION);
}

const struct flags *flags_minus(
	struct flag_pool *pool, const struct flags *flags, const struct flags *other)
{
	return merge(pool, flags, other, MERGE_MINUS);
}

const struct flags *flags_storable(
	struct flag_pool *pool, const struct flags *flags, const struct flags *permanent)
{
	_cleanup_free_ struct flag_name **names =
		xcalloc(flags->count + 1, sizeof(struct flag_name *));
	bool open = flags_contain(permanent, "\\*");
	size_t kept = 0;

	for (size_t i = 0; i < flags->count; i++) {
		const char *folded = flags->names[i]->folded;

		/* "\*" is about keywords; it is no flag itself (RFC 3501 section 7.1). */
		if (strcmp(folded, "\\*") != 0 &&
			(flags_contain(permanent, folded) || (open && folded[0] != '\\')))
			names[kept++] = flags->names[i];
	}
	return get_list(pool, names, kept);
}

bool flags_contain(const struct flags *flags, const char *flag)
{
	size_t low = 0, high = flags->count;

	while (low < high) {
		size_t middle = low + (high - low) / 2;
		int order = strcasecmp(flags->names[middle]->folded, flag);

		if (order == 0)
			return true;
		if (order < 0)
			low = middle + 1;
		else
			high = middle;
	}
	return false;
}

bool flags_are_empty(const struct flags *flags)
{
	return flags->count == 0;
}

const char *flags_text(const struct flags *flags)
{
	return flags->text;
}

const struct flags *flags_system(struct flag_pool *pool, const struct flags *flags)
{
	static const char *const names[] = {
		"\\Answered", "\\Flagged", "\\Deleted", "\\Seen", "\\Draft"};
	struct slice atoms[ARRAY_LEN(names)];
	size_t count = 0;

	for (size_t i = 0; i < ARRAY_LEN(names); i++)
		if (flags_contain(flags, names[i]))
			atoms[count++] = (struct slice){.data = names[i], .len = strlen(names[i])};
	return count > 0 ? flags_intern(pool, atoms, count) : flags_empty(pool);
}
