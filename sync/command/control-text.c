/* SPDX-License-Identifier: MIT */
/* The status as a person reads it: what is as it should be takes a line, what is not one each. */
#include <inttypes.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "sync/base/printable.h"
#include "sync/base/xalloc.h"
#include "sync/command/control-status.h"
#include "sync/command/control-wire.h"

enum { TIME_SIZE = 40, DURATION_SIZE = 40 };

/* For printing; "" if there is none. */
static char *text_of(const json_t *object, const char *name)
{
	char *text = control_text_value(json_object_get(object, name));

	if (text == NULL)
		return xstrdup("");
	printable_neutralise(text); /* servers' words may be in it */
	return text;
}

static int64_t number_of(const json_t *object, const char *name)
{
	return json_integer_value(json_object_get(object, name));
}

static bool has(const json_t *object, const char *name)
{
	const json_t *value = json_object_get(object, name);

	return value != NULL && !json_is_null(value);
}

static bool is(const json_t *object, const char *name, const char *word)
{
	const char *value = json_string_value(json_object_get(object, name));

	return value != NULL && strcmp(value, word) == 0;
}

static const char *plural(int64_t count)
{
	return count == 1 ? "" : "es";
}

/* "2026-11-24 13:00:05", in the time zone of whoever asks. */
static void format_time(int64_t when, char ret[TIME_SIZE])
{
	time_t seconds = when;
	struct tm tm;

	if (localtime_r(&seconds, &tm) == NULL ||
		strftime(ret, TIME_SIZE, "%Y-%m-%d %H:%M:%S", &tm) == 0)
		(void)snprintf(ret, TIME_SIZE, "?");
}

/* In the largest unit that leaves a whole number of two digits or so. */
static void format_duration(int64_t seconds, char ret[DURATION_SIZE])
{
	if (seconds < 120)
		(void)snprintf(ret, DURATION_SIZE, "%" PRId64 " s", seconds > 0 ? seconds : 0);
	else if (seconds < 7200)
		(void)snprintf(ret, DURATION_SIZE, "%" PRId64 " min", seconds / 60);
	else if (seconds < 172800)
		(void)snprintf(ret, DURATION_SIZE, "%" PRId64 " h", seconds / 3600);
	else
		(void)snprintf(ret, DURATION_SIZE, "%" PRId64 " days", seconds / 86400);
}

/* --- Connections --- */

static void show_push(const json_t *side)
{
	if (is(side, "push", "notify"))
		(void)printf("connected, tells changes by itself (NOTIFY)\n");
	else if (is(side, "push", "idle"))
		(void)printf("connected, tells changes of the INBOX by itself (IDLE)\n");
	else
		(void)printf("connected, is asked for changes\n");
}

static void show_side(const json_t *status, const char *name)
{
	const json_t *side = json_object_get(status, name);
	_cleanup_free_ char *reason = text_of(side, "reason");
	char since[TIME_SIZE];

	(void)printf("%s: ", name);
	if (is(side, "state", "connected")) {
		show_push(side);
		return;
	}
	(void)printf("%s", is(side, "state", "connecting") ? "connecting" : "not connected");
	if (has(side, "since")) {
		format_time(number_of(side, "since"), since);
		(void)printf(is(side, "state", "connecting") ? ", without a connection since %s"
							     : " since %s",
			since);
	}
	(void)printf("%s%s\n", reason[0] != '\0' ? ": " : "", reason);
}

static void show_connections(const json_t *status)
{
	char duration[DURATION_SIZE];

	show_side(status, "local");
	show_side(status, "remote");
	if (has(status, "next_try")) {
		format_duration(number_of(status, "next_try") - time(NULL), duration);
		(void)printf("next try to connect: in %s\n", duration);
	}
	format_duration(number_of(status, "interval"), duration);
	(void)printf("everything is looked at every %s\n", duration);
}

/* --- What it is doing --- */

static void show_work(const json_t *status)
{
	int64_t actions = number_of(status, "actions_waiting");
	int64_t waiting = number_of(status, "commands_waiting");

	if (has(status, "clients"))
		(void)printf("mail clients connected: %" PRId64 "\n", number_of(status, "clients"));
	if (actions > 0)
		(void)printf("actions of mail clients that wait for the remote server: %" PRId64
			     "\n",
			actions);
	if (json_is_true(json_object_get(status, "command_running")))
		(void)printf("a command is being carried out\n");
	if (waiting > 0)
		(void)printf("commands that wait: %" PRId64 "\n", waiting);
}

static void show_waits(const json_t *status)
{
	const json_t *waits = json_object_get(status, "waits");

	for (size_t i = 0; i < json_array_size(waits); i++) {
		const json_t *wait = json_array_get(waits, i);
		_cleanup_free_ char *what = text_of(wait, "what");
		_cleanup_free_ char *name = text_of(wait, "name");
		_cleanup_free_ char *reason = text_of(wait, "for");
		char since[TIME_SIZE];

		(void)printf(
			"waiting: %s%s%s, for %s", what, name[0] != '\0' ? " " : "", name, reason);
		if (has(wait, "since")) {
			format_time(number_of(wait, "since"), since);
			(void)printf(", since %s", since);
		}
		(void)printf("\n");
	}
}

/* --- Mailboxes --- */

static void show_waiting(const json_t *mailbox)
{
	int64_t to_local = number_of(mailbox, "to_local");
	int64_t to_remote = number_of(mailbox, "to_remote");

	if (to_local > 0)
		(void)printf("; up to %" PRId64 " new to the local server", to_local);
	if (to_remote > 0)
		(void)printf("; up to %" PRId64 " new to the remote server", to_remote);
}

static void show_mailbox(const json_t *mailbox)
{
	_cleanup_free_ char *name = text_of(mailbox, "name");
	_cleanup_free_ char *state = text_of(mailbox, "state");
	_cleanup_free_ char *reason = text_of(mailbox, "reason");
	_cleanup_free_ char *resolve = text_of(mailbox, "resolve");

	(void)printf("%s: %s%s%s", state, name, reason[0] != '\0' ? ": " : "", reason);
	show_waiting(mailbox);
	/* The reason of some names the command already. */
	if (resolve[0] != '\0' && strstr(reason, resolve) == NULL)
		(void)printf("; see to it with `%s`", resolve);
	(void)printf("\n");
}

static void show_mailboxes(const json_t *status)
{
	const json_t *mailboxes = json_object_get(status, "mailboxes");
	size_t count = json_array_size(mailboxes), clean = 0;

	for (size_t i = 0; i < count; i++) {
		const json_t *mailbox = json_array_get(mailboxes, i);

		if (is(mailbox, "state", "clean"))
			clean++;
		else
			show_mailbox(mailbox);
	}
	(void)printf("clean: %zu mailbox%s\n", clean, plural((int64_t)clean));
}

/* --- What is left out of them --- */

static void show_next(const json_t *row)
{
	char duration[DURATION_SIZE];

	if (!has(row, "next_try")) {
		(void)printf("; not tried again by itself\n");
		return;
	}
	format_duration(number_of(row, "next_try") - time(NULL), duration);
	(void)printf(
		"; tried %" PRId64 " time(s), again in %s\n", number_of(row, "tries"), duration);
}

static void show_row(const json_t *row)
{
	_cleanup_free_ char *mailbox = text_of(row, "mailbox");
	_cleanup_free_ char *kind = text_of(row, "kind");
	_cleanup_free_ char *side = text_of(row, "side");
	_cleanup_free_ char *message = text_of(row, "message");
	_cleanup_free_ char *words = text_of(row, "words");

	(void)printf("left out (%s): ", kind);
	if (mailbox[0] != '\0')
		(void)printf("%s, ", mailbox);
	if (has(row, "uid"))
		(void)printf("UID %" PRId64 " of the %s side", number_of(row, "uid"), side);
	else
		(void)printf("%s side", side);
	if (has(row, "size"))
		(void)printf(", %" PRId64 " bytes", number_of(row, "size"));
	if (message[0] != '\0')
		(void)printf(", %s", message);
	(void)printf(": %s", words);
	show_next(row);
}

static void show_left_out(const json_t *status)
{
	enum { SHOWN = 100 }; /* --status=json has all of them */
	const json_t *rows = json_object_get(status, "left_out");
	size_t count = json_array_size(rows);

	for (size_t i = 0; i < count && i < SHOWN; i++)
		show_row(json_array_get(rows, i));
	if (count > SHOWN)
		(void)printf("left out: %zu others, see --status=json\n", count - SHOWN);
}

static void show_resolve(const json_t *status)
{
	_cleanup_free_ char *resolve = text_of(status, "resolve_all");

	if (resolve[0] != '\0')
		(void)printf("to resolve all of them without losing a message: `%s`\n", resolve);
}

/* --- All of it --- */

static void show_alone(const json_t *status)
{
	size_t count = json_array_size(json_object_get(status, "mailboxes"));
	_cleanup_free_ char *reason = text_of(status, "reason");
	char written[TIME_SIZE];

	(void)printf("no service is running that can be asked%s%s\n", reason[0] != '\0' ? ": " : "",
		reason);
	if (has(status, "written")) {
		format_time(number_of(status, "written"), written);
		(void)printf("the database was last changed at %s\n", written);
	}
	if (!has(status, "actions_waiting"))
		return;
	(void)printf("known: %zu mailbox%s\n", count, plural((int64_t)count));
	show_work(status);
	show_left_out(status);
}

static void show(const json_t *status)
{
	_cleanup_free_ char *version = text_of(status, "version");
	_cleanup_free_ char *database = text_of(status, "database");

	if (!json_is_true(json_object_get(status, "running"))) {
		(void)printf("%s: ", database);
		show_alone(status);
		return;
	}
	(void)printf("%s: interimap %s, process %" PRId64 "\n", database, version,
		number_of(status, "pid"));
	show_connections(status);
	show_work(status);
	show_waits(status);
	show_mailboxes(status);
	show_left_out(status);
	show_resolve(status);
}

void control_status_print(const json_t *status, bool as_json)
{
	if (as_json) {
		/* Nothing is lost, and no terminal obeys it. */
		(void)json_dumpf(status, stdout, JSON_INDENT(2) | JSON_ENSURE_ASCII);
		(void)printf("\n");
	} else {
		show(status);
	}
	(void)fflush(stdout);
}

void control_status_print_alone(const char *database, bool as_json)
{
	json_t *status = control_status_alone(database);

	control_status_print(status, as_json);
	json_decref(status);
}
