/* SPDX-License-Identifier: MIT */
/*
 * The head of a client's command: tag and verb (RFC 3501 section 9).  Each line that is not within
 * a literal begins with one, or is the end of an IDLE.  What is not written as the grammar has it
 * is refused here, since the store might read it as another command than we do; and so are the
 * commands after which the store's stream is not what can be followed.
 */
#include <string.h>
#include <strings.h>

#include "proxy/observer-private.h"
#include "sync/base/xalloc.h"
#include "sync/imap/slice.h"

static const char logged_in[] = "BAD This is not available after the login.";

/* What is not listed may do anything. */
static const struct verb verbs[] = {
	{"APPEND", EFFECT_APPEND, 0, 1},
	{"AUTHENTICATE", EFFECT_NONE, 0, 0, logged_in},
	{"CAPABILITY", EFFECT_NONE, 0},
	{"CHECK", EFFECT_NONE, 0},
	{"CLOSE", EFFECT_CLOSE, 0},
	{"COMPRESS", EFFECT_NONE, 0, 0, "NO [CANNOT] compression is not available here"},
	{"COPY", EFFECT_COPY, 0, 2},
	{"CREATE", EFFECT_CREATE, 1, 0},
	{"DELETE", EFFECT_DELETE, 1, 0},
	{"ENABLE", EFFECT_ENABLE, 0},
	{"ESEARCH", EFFECT_NONE, 0},
	{"EXAMINE", EFFECT_EXAMINE, 1, 0},
	{"EXPUNGE", EFFECT_EXPUNGE, 0},
	{"FETCH", EFFECT_FETCH, 0},
	{"GETACL", EFFECT_NONE, 0},
	{"GETMETADATA", EFFECT_NONE, 0},
	{"GETQUOTA", EFFECT_NONE, 0},
	{"GETQUOTAROOT", EFFECT_NONE, 0},
	{"ID", EFFECT_NONE, 0},
	{"IDLE", EFFECT_IDLE, 0},
	{"LIST", EFFECT_NONE, 0},
	{"LISTRIGHTS", EFFECT_NONE, 0},
	{"LOGIN", EFFECT_NONE, 0},
	{"LOGOUT", EFFECT_NONE, 0},
	{"LSUB", EFFECT_NONE, 0},
	{"MOVE", EFFECT_MOVE, 0, 2},
	{"MYRIGHTS", EFFECT_NONE, 0},
	{"NAMESPACE", EFFECT_NONE, 0},
	{"NOOP", EFFECT_NONE, 0},
	{"NOTIFY", EFFECT_NONE, 0},
	{"RENAME", EFFECT_RENAME, 1, 2},
	{"REPLACE", EFFECT_REPLACE, 0, 2}, /* RFC 8508: removes here, appends there */
	{"SEARCH", EFFECT_NONE, 0},
	{"SELECT", EFFECT_SELECT, 1, 0},
	{"SETACL", EFFECT_NONE, 0},
	{"SETMETADATA", EFFECT_NONE, 0},
	{"SORT", EFFECT_NONE, 0},
	{"STARTTLS", EFFECT_NONE, 0, 0, logged_in},
	{"STATUS", EFFECT_NONE, 0},
	{"STORE", EFFECT_STORE, 0},
	{"SUBSCRIBE", EFFECT_SUBSCRIBE, 1, 0},
	{"THREAD", EFFECT_NONE, 0},
	{"UID", EFFECT_UID, 0},
	{"UNAUTHENTICATE", EFFECT_NONE, 0, 0, logged_in},
	{"UNSELECT", EFFECT_UNSELECT, 0},
	{"UNSUBSCRIBE", EFFECT_UNSUBSCRIBE, 1, 0},
	{"XLIST", EFFECT_NONE, 0},
};

static const char malformed[] = "BAD This is no command.";

/* Returns what the client has to hear if it is a command that must not reach the store, or NULL. */
static const char *find_verb(struct client_scan *client, struct slice name)
{
	client->effect = EFFECT_UNKNOWN;
	for (size_t i = 0; i < ARRAY_LEN(verbs); i++) {
		if (!slice_is(name, verbs[i].name))
			continue;
		client->effect = verbs[i].effect;
		client->mailbox_argument = verbs[i].mailbox;
		client->target_argument = verbs[i].target;
		return verbs[i].refusal;
	}
	return NULL;
}

void observer_find_uid_verb(struct client_scan *client)
{
	const char *refusal =
		find_verb(client, (struct slice){client->word.text, client->word.len});

	client->by_uid = true;
	switch (client->effect) {
	case EFFECT_FETCH:
	case EFFECT_STORE:
	case EFFECT_EXPUNGE:
	case EFFECT_COPY:
	case EFFECT_MOVE:
	case EFFECT_REPLACE:
		return;
	case EFFECT_NONE: /* SEARCH, SORT, THREAD */
		if (refusal == NULL)
			return;
		/* fall through */
	default:
		client->effect = EFFECT_UNKNOWN;
		break;
	}
}

/* The tag of RFC 3501 section 9, as far as we keep it. */
static bool is_tag(struct slice word)
{
	return word.len <= LIMIT_OBSERVED_TAG && observer_is_atom(word.data, word.len) &&
	       memchr(word.data, '+', word.len) == NULL;
}

/* No command has other characters in its name. */
static bool is_verb(struct slice word)
{
	for (size_t i = 0; i < word.len; i++) {
		char c = word.data[i], lower = (char)(c | 0x20);

		if ((lower < 'a' || lower > 'z') && (c < '0' || c > '9') &&
			(c == '\0' || strchr("-._", c) == NULL))
			return false;
	}
	return word.len > 0;
}

static struct slice cut_word(struct slice *line)
{
	const char *end = memchr(line->data, ' ', line->len);
	struct slice word = {line->data, end != NULL ? (size_t)(end - line->data) : line->len};
	size_t used = word.len + (end != NULL);

	*line = (struct slice){line->data + used, line->len - used};
	return word;
}

static struct slice without_line_end(struct slice line)
{
	while (line.len > 0 && (line.data[line.len - 1] == '\r' || line.data[line.len - 1] == '\n'))
		line.len--;
	return line;
}

/*
 * What the client says while it idles is one line, DONE.  Any other word a server answers with BAD;
 * in whether it would run a command, servers differ.
 */
static void end_idle(struct observer *observer)
{
	struct client_scan *client = &observer->client;
	struct slice line = without_line_end((struct slice){client->word.text, client->word.len});

	if (line.len < client->word.len && (line.len == 0 || observer_is_atom(line.data, line.len)))
		observer_idle_ended(observer);
	else
		observer_fail(observer, "it sends a command within IDLE");
	observer_start_command(client);
}

static void read_head(struct client_scan *client)
{
	bool is_cut = client->spaces < 2 && client->word.text[client->word.len - 1] != '\n';
	struct slice line = without_line_end((struct slice){client->word.text, client->word.len});
	struct slice tag = cut_word(&line), verb = cut_word(&line);

	client->effect = EFFECT_NONE;
	client->refusal = malformed;
	if (!is_tag(tag))
		return;
	memcpy(client->tag, tag.data, tag.len);
	client->tag[client->tag_len = tag.len] = '\0';
	if (is_cut || !is_verb(verb))
		return;
	client->refusal = find_verb(client, verb);
	/* Of what follows, some servers would read nothing, and say "+" all the same. */
	if (client->effect == EFFECT_IDLE && client->spaces > 1)
		client->refusal = "BAD IDLE has no arguments.";
}

/* A head is whole at the space behind the verb, at the end of the line, or when it is too long. */
static bool is_whole(struct client_scan *client, char c)
{
	client->spaces += c == ' ';
	return c == '\n' || client->spaces == 2 || client->word.len == LIMIT_OBSERVED_HEAD;
}

size_t observer_head(
	struct observer *observer, const char *data, size_t n, enum observer_verdict *ret_verdict)
{
	struct client_scan *client = &observer->client;
	bool whole = false;
	size_t at = 0;

	while (at < n && !whole) {
		client->word.text[client->word.len++] = data[at];
		whole = is_whole(client, data[at++]);
	}
	*ret_verdict = whole ? OBSERVER_PASS : OBSERVER_HOLD;
	if (!whole)
		return at;
	if (observer->idle_tag[0] != '\0') {
		end_idle(observer);
		if (observer->failure != NULL)
			*ret_verdict = OBSERVER_DROP;
		return at;
	}
	read_head(client);
	client->state = CLIENT_ARGUMENTS;
	if (client->refusal != NULL)
		*ret_verdict = observer_head_refused(observer);
	else
		observer_head_passed(observer);
	return at;
}
