/* SPDX-License-Identifier: MIT */
/* Both mailbox lists, and what the database knows. */
#include <stdlib.h>
#include <string.h>

#include "sync/base/limits.h"
#include "sync/base/xalloc.h"
#include "sync/config/account.h"
#include "sync/config/values.h"
#include "sync/core/ask.h"
#include "sync/core/quarantine.h"
#include "sync/imap/mailbox.h"
#include "sync/tree/tree-private.h"

/*
 * The delimiter of the hierarchy is told by LIST "" "", for a name that is none (RFC 3501 section
 * 6.3.8).  Most servers leave it empty, Gmail does not.
 */
static bool on_delimiter(struct list_request *list, struct response *response)
{
	const struct response_list *line = &response->list;

	if (response->type != RESPONSE_LIST ||
		(line->name.len > 0 &&
			(!(line->attributes & LIST_NOSELECT) || list_line_is_told(line))))
		return false;
	list->request.side->delimiter = line->delimiter;
	return true;
}

static bool on_listed(struct list_request *list, struct response *response)
{
	struct side *side = list->request.side;

	if (response->type != RESPONSE_LIST && response->type != RESPONSE_STATUS)
		return false;
	listing_take(side_listing(side), response, side->delimiter, side->reference);
	return true;
}

static bool listed(struct request *request)
{
	struct side *side = request->side;

	if (request->command.outcome == OUTCOME_OK)
		side_listing(side)->complete = true;
	return false;
}

static void list_delimiter(struct side *side)
{
	struct list_request *list = list_request_new(
		side->core->tree->barrier, side, sizeof(*list), on_delimiter, NULL);
	struct command *command = &list->request.command;

	command_puts(command, "LIST ");
	command_mailbox(command, side->reference);
	command_puts(command, " \"\"");
	request_submit(&list->request);
}

/* For the delimiter in a pattern, where a server has none: it fits no name.  (A NUL may not go out,
 * RFC 3501 section 9.) */
enum { NO_NAME = '\1' };

static char *replace(const char *pattern, size_t len, char from, char to)
{
	char *copy = xmemdup0(pattern, len);

	for (size_t i = 0; i < len; i++)
		if (copy[i] == from)
			copy[i] = to != '\0' ? to : NO_NAME;
	return copy;
}

static void add_pattern(struct list_pattern **patterns, size_t *count, char *own_bytes, size_t len)
{
	*patterns = xreallocarray(*patterns, *count + 1, sizeof(**patterns));
	(*patterns)[(*count)++] = (struct list_pattern){.bytes = own_bytes, .len = len};
}

/* Names on the command line are written with the local delimiter. */
static void add_names(struct side *side, struct list_pattern **patterns, size_t *count)
{
	const char *const *names = side->core->asked.mailboxes;
	char local_delimiter = side->core->local.delimiter;

	for (size_t i = 0; names[i] != NULL; i++) {
		size_t len = strlen(names[i]);
		char *pattern = replace(names[i], len,
			local_delimiter != '\0' ? local_delimiter : NO_NAME, side->delimiter);

		add_pattern(patterns, count, pattern, len);
		/* A rename takes the children along. */
		if (i == 0 && side->core->asked.kind == JOB_RENAME && side->delimiter != '\0')
			add_pattern(patterns, count, xasprintf("%s%c*", pattern, side->delimiter),
				len + 2);
	}
}

/* What to ask the server for; configured patterns have NUL for the delimiter. */
static struct list_pattern *make_patterns(struct side *side, size_t *ret_count)
{
	const char *const *names = side->core->asked.mailboxes;
	const struct account *account = side->core->options->account;
	struct list_pattern *patterns = NULL;
	size_t count = 0;

	if (names != NULL)
		add_names(side, &patterns, &count);
	for (size_t i = 0; names == NULL && i < account->list_pattern_count; i++)
		add_pattern(&patterns, &count,
			replace(account->list_patterns[i].bytes, account->list_patterns[i].len,
				'\0', side->delimiter),
			account->list_patterns[i].len);
	if (count == 0)
		add_pattern(&patterns, &count, xstrdup("*"), 1);
	*ret_count = count;
	return patterns;
}

static void put_selection(struct command *command, const struct side *side)
{
	const struct account *account = side->core->options->account;

	if (side->core->asked.mailboxes != NULL || account->list_select_opts == NULL ||
		account->list_select_opts[0] == NULL)
		return;
	command_puts(command, "(");
	for (size_t i = 0; account->list_select_opts[i] != NULL; i++)
		command_printf(command, "%s%s", i > 0 ? " " : "", account->list_select_opts[i]);
	command_puts(command, ") ");
}

/* One LIST with as many of the patterns as a line may hold; how many that are. */
static size_t list_some(struct side *side, const struct list_pattern *patterns, size_t count)
{
	enum { TAIL = 200 };
	struct list_request *list =
		list_request_new(side->core->tree->barrier, side, sizeof(*list), on_listed, listed);
	struct command *command = &list->request.command;
	size_t done = 0;

	command_puts(command, "LIST ");
	put_selection(command, side);
	command_mailbox(command, side->reference);
	command_puts(command, " (");
	do {
		if (done > 0)
			command_puts(command, " ");
		command_astring(command, patterns[done].bytes, patterns[done].len);
		done++;
	} while (done < count &&
		 command_line_length(command) + 2 * patterns[done].len + TAIL < LIMIT_COMMAND_LINE);
	command_printf(command, ") RETURN (SUBSCRIBED%s",
		side_has(side, "SPECIAL-USE") ? " SPECIAL-USE" : "");
	/* Without it, doubt.c asks for each mailbox. */
	if (side_has(side, "LIST-STATUS"))
		command_printf(command, " STATUS (" STATUS_STATE "%s)",
			/* So, without a number, if mailboxes have limits of their own. */
			side_has(side, "APPENDLIMIT") ? " APPENDLIMIT" : "");
	command_puts(command, ")");
	request_submit(&list->request);
	return done;
}

static void list_mailboxes(struct side *side)
{
	size_t count, done = 0;
	struct list_pattern *patterns = make_patterns(side, &count);

	listing_clear(side_listing(side));
	side_listing(side)->asked = true;
	while (done < count)
		done += list_some(side, patterns + done, count - done);
	list_patterns_free(patterns, count);
}

/* Whether a pattern depends on a delimiter, which then must be known before. */
static bool patterns_need_delimiter(const struct tree *tree)
{
	const struct account *account = tree->core->options->account;

	if (tree->core->asked.mailboxes != NULL)
		return true;
	for (size_t i = 0; i < account->list_pattern_count; i++)
		if (memchr(account->list_patterns[i].bytes, '\0', account->list_patterns[i].len) !=
			NULL)
			return true;
	return false;
}

void tree_list(struct tree *tree, struct side *side)
{
	list_delimiter(side);
	if (patterns_need_delimiter(tree))
		listing_clear(side_listing(
			side)); /* tree_list_on() goes on when both delimiters are known */
	else
		list_mailboxes(side);
}

bool tree_list_on(struct tree *tree)
{
	if (tree->local.asked && tree->remote.asked)
		return false;
	list_mailboxes(&tree->core->local);
	list_mailboxes(&tree->core->remote);
	return true;
}

static int load_known(struct tree *tree)
{
	struct mailbox_row *rows = NULL;
	size_t count = 0;
	int r = mailboxes_load(tree->core->db, &rows, &count);

	if (r < 0)
		return r;
	for (size_t i = 0; i < count; i++) {
		struct mailbox *mailbox = core_find_mailbox(tree->core, rows[i].name, rows[i].len);

		if (mailbox == NULL) {
			mailbox = mailbox_new(&rows[i], tree->core->local.delimiter);
			HASH_ADD_KEYPTR(
				hh, tree->core->mailboxes, mailbox->name, mailbox->len, mailbox);
		}
		mailbox->subscribed = rows[i].subscribed;
	}
	mailbox_rows_free(rows, count);
	return quarantine_refresh(tree->core);
}

/* RFC 3501 knows flat name spaces; a hierarchy cannot be told in one. */
static bool check_hierarchies(struct tree *tree)
{
	if ((tree->core->local.delimiter == '\0') == (tree->core->remote.delimiter == '\0'))
		return true;
	core_fail(tree->core,
		"the %s server has a flat list of mailboxes, the %s server a hierarchy: they "
		"cannot be kept the same",
		tree->core->local.delimiter == '\0' ? "local" : "remote",
		tree->core->local.delimiter == '\0' ? "remote" : "local");
	return false;
}

static void say_unusable(struct tree *tree, const struct side *side, size_t count)
{
	if (count == 0)
		return;
	tree->core->incomplete = true;
	if (!tree->core->first_done || tree->core->ordered)
		log_error(SIDE_CONTEXT(side, NULL),
			"left alone: %zu mailbox(es) whose name is too long, holds a line break, "
			"or has "
			"another hierarchy delimiter than the others",
			count);
}

/* What the names of another account's mailboxes begin with, if we see any of them. */
static bool foreign_prefix(const struct tree *tree, const char *reference, struct mailbox_name *ret)
{
	size_t skip = strlen(tree->core->local.reference), len = strlen(reference);

	if (len <= skip || strncmp(reference, tree->core->local.reference, skip) != 0)
		return false;
	*ret = (struct mailbox_name){
		.data = xmemdup0(reference + skip, len - skip), .len = len - skip};
	for (size_t i = 0; i < ret->len; i++)
		if (ret->data[i] == tree->core->local.delimiter)
			ret->data[i] = '\0';
	return true;
}

/* Of both lists: what the remote server has under such a name would be made in their place. */
static void leave_to_others(struct tree *tree)
{
	struct mailbox_name prefix;

	for (const char *const *at = tree->core->options->foreign; at != NULL && *at != NULL;
		at++) {
		if (!foreign_prefix(tree, *at, &prefix))
			continue;
		listing_drop_below(&tree->local, prefix.data, prefix.len);
		listing_drop_below(&tree->remote, prefix.data, prefix.len);
		free(prefix.data);
	}
}

bool tree_is_foreign(const struct tree *tree, const struct mailbox_name *name)
{
	struct mailbox_name prefix;
	bool foreign = false;

	for (const char *const *at = tree->core->options->foreign;
		at != NULL && *at != NULL && !foreign; at++) {
		if (!foreign_prefix(tree, *at, &prefix))
			continue;
		foreign =
			name->len >= prefix.len && memcmp(name->data, prefix.data, prefix.len) == 0;
		free(prefix.data);
	}
	return foreign;
}

static bool asks_for_all(const struct account *account)
{
	for (size_t i = 0; i < account->list_pattern_count; i++)
		if (account->list_patterns[i].len == 1 && account->list_patterns[i].bytes[0] == '*')
			return true;
	return account->list_pattern_count == 0;
}

bool tree_is_in_scope(const struct tree *tree, const struct mailbox_name *name)
{
	const struct core_options *options = tree->core->options;
	const struct account *account = options->account;

	return options->job.mailboxes == NULL && asks_for_all(account) &&
	       (account->list_select_opts == NULL || account->list_select_opts[0] == NULL) &&
	       (account->ignore_mailbox == NULL ||
		       !listing_is_ignored(account->ignore_mailbox, name->data, name->len)) &&
	       !tree_is_foreign(tree, name);
}

static bool prepare_schema(struct tree *tree)
{
	int r = 0;

	if (!tree->schema_ready)
		r = db_prepare_schema(
			tree->core->db, tree->core->local.delimiter, tree->core->remote.delimiter);
	if (r > 0)
		log_info(DATABASE_CONTEXT(tree->core), "Upgraded from version 0");
	tree->schema_ready |= r >= 0;
	return r >= 0;
}

bool tree_prepare(struct tree *tree)
{
	const char *ignore = tree->core->options->account->ignore_mailbox;

	if (!check_hierarchies(tree))
		return false;
	if (tree->local.overflow || tree->remote.overflow) {
		core_fail(tree->core, "the %s server lists more than %d mailboxes",
			tree->local.overflow ? tree->core->local.name : tree->core->remote.name,
			LIMIT_MAILBOXES);
		return false;
	}
	say_unusable(tree, &tree->core->local, tree->local.unusable);
	say_unusable(tree, &tree->core->remote, tree->remote.unusable);
	if (!prepare_schema(tree)) {
		core_database_failed(tree->core);
		return false;
	}
	if (tree->core->asked.mailboxes == NULL && ignore != NULL &&
		(!listing_ignore(&tree->local, ignore) || !listing_ignore(&tree->remote, ignore))) {
		core_fail(tree->core, "ignore-mailbox cannot be applied: it is too large");
		return false;
	}
	leave_to_others(tree);
	if (load_known(tree) < 0) {
		core_database_failed(tree->core);
		return false;
	}
	return true;
}
