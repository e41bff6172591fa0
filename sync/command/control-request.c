/* SPDX-License-Identifier: MIT */
#include "sync/command/control-request.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "sync/base/xalloc.h"
#include "sync/command/control-wire.h"

static const char *const commands[] = {
	[JOB_SYNC] = "sync",
	[JOB_REPAIR] = "repair",
	[JOB_DELETE] = "delete",
	[JOB_RENAME] = "rename",
	[JOB_VERIFY] = "verify",
	[JOB_STATUS] = "status",
};
static const char *const members[] = {
	"command", "mailboxes", "allow_deletions", "targets", "level"};

static void add_target(json_t *targets, bool wanted, const char *name)
{
	if (wanted)
		json_array_append_new(targets, json_string(name));
}

json_t *control_request_object(const struct control_request *request)
{
	const struct job *job = &request->job;
	json_t *mailboxes = json_array(), *targets = json_array();

	for (size_t i = 0; job->mailboxes != NULL && job->mailboxes[i] != NULL; i++)
		json_array_append_new(mailboxes, control_text(job->mailboxes[i]));
	add_target(targets, job->local, "local");
	add_target(targets, job->remote, "remote");
	add_target(targets, job->database, "database");
	return json_pack("{s:s, s:o, s:b, s:o, s:i}", "command", commands[job->kind], "mailboxes",
		mailboxes, "allow_deletions", job->allow_deletions, "targets", targets, "level",
		request->level);
}

static int refuse(char **ret_reason, char *own_reason)
{
	*ret_reason = own_reason;
	return -EINVAL;
}

static bool is_one_of(const char *name, const char *const *names, size_t count)
{
	for (size_t i = 0; i < count; i++)
		if (strcmp(name, names[i]) == 0)
			return true;
	return false;
}

/* What an older service would leave out unseen, it must not do. */
static int check_members(const json_t *object, char **ret_reason)
{
	void *at = json_object_iter((json_t *)object);

	for (; at != NULL; at = json_object_iter_next((json_t *)object, at)) {
		const char *name = json_object_iter_key(at);

		if (!is_one_of(name, members, ARRAY_LEN(members)))
			return refuse(ret_reason,
				xasprintf("the request has \"%.40s\", which this service does "
					  "not know",
					name));
	}
	return 0;
}

static int read_command(const json_t *value, struct control_request *ret, char **ret_reason)
{
	const char *name = json_string_value(value);

	for (size_t i = 0; name != NULL && i < ARRAY_LEN(commands); i++) {
		if (strcmp(name, commands[i]) != 0)
			continue;
		ret->job.kind = (enum job_kind)i;
		return 0;
	}
	return refuse(ret_reason, xstrdup("the request has no command that this service knows"));
}

static int read_mailboxes(const json_t *value, struct control_request *ret, char **ret_reason)
{
	size_t count = json_array_size(value);
	char **mailboxes;

	if (value != NULL && !json_is_array(value))
		return refuse(ret_reason, xstrdup("\"mailboxes\" is no list"));
	if (count == 0)
		return 0;
	mailboxes = xcalloc(count + 1, sizeof(*mailboxes));
	ret->job.mailboxes = (const char *const *)mailboxes;
	for (size_t i = 0; i < count; i++) {
		mailboxes[i] = control_text_value(json_array_get(value, i));
		if (mailboxes[i] == NULL)
			return refuse(ret_reason, xstrdup("\"mailboxes\" has what is no name"));
	}
	return 0;
}

static int read_targets(const json_t *value, struct control_request *ret, char **ret_reason)
{
	if (value != NULL && !json_is_array(value))
		return refuse(ret_reason, xstrdup("\"targets\" is no list"));
	for (size_t i = 0; i < json_array_size(value); i++) {
		const char *name = json_string_value(json_array_get(value, i));

		if (name != NULL && strcmp(name, "local") == 0)
			ret->job.local = true;
		else if (name != NULL && strcmp(name, "remote") == 0)
			ret->job.remote = true;
		else if (name != NULL && strcmp(name, "database") == 0)
			ret->job.database = true;
		else
			return refuse(ret_reason, xstrdup("\"targets\" has what is none"));
	}
	return 0;
}

static int read_options(const json_t *object, struct control_request *ret, char **ret_reason)
{
	const json_t *allow = json_object_get(object, "allow_deletions");
	const json_t *level = json_object_get(object, "level");
	json_int_t number = level != NULL ? json_integer_value(level) : LOG_LEVEL_INFO;

	if (allow != NULL && !json_is_boolean(allow))
		return refuse(ret_reason, xstrdup("\"allow_deletions\" is neither true nor false"));
	if ((level != NULL && !json_is_integer(level)) || number < LOG_LEVEL_ERROR ||
		number > LOG_LEVEL_DEBUG)
		return refuse(ret_reason, xstrdup("\"level\" is no number from 0 to 4"));
	ret->job.allow_deletions = json_is_true(allow);
	ret->level = (enum log_level)number;
	return 0;
}

/* As the command line is checked: a service trusts no caller in that. */
static int check(const struct job *job, char **ret_reason)
{
	bool changes = job->kind == JOB_DELETE || job->kind == JOB_RENAME;
	size_t count = 0;

	while (job->mailboxes != NULL && job->mailboxes[count] != NULL)
		count++;
	if (job->kind == JOB_STATUS && count > 0)
		return refuse(ret_reason, xstrdup("\"status\" takes no mailboxes"));
	if (job->kind == JOB_DELETE && count == 0)
		return refuse(ret_reason, xstrdup("\"delete\" needs mailboxes"));
	if (job->kind == JOB_RENAME && count != 2)
		return refuse(ret_reason, xstrdup("\"rename\" needs two mailboxes"));
	if (changes && !job->local && !job->remote && !job->database)
		return refuse(ret_reason, xstrdup("\"targets\" is empty"));
	if (job->allow_deletions &&
		(count == 0 || changes || job->kind == JOB_STATUS || job->kind == JOB_VERIFY))
		return refuse(ret_reason, xstrdup("\"allow_deletions\" has no meaning here"));
	return 0;
}

int control_request_parse(const json_t *object, struct control_request *ret, char **ret_reason)
{
	int r;

	*ret = (struct control_request){0};
	r = check_members(object, ret_reason);
	if (r == 0)
		r = read_command(json_object_get(object, "command"), ret, ret_reason);
	if (r == 0)
		r = read_mailboxes(json_object_get(object, "mailboxes"), ret, ret_reason);
	if (r == 0)
		r = read_targets(json_object_get(object, "targets"), ret, ret_reason);
	if (r == 0)
		r = read_options(object, ret, ret_reason);
	if (r == 0)
		r = check(&ret->job, ret_reason);
	if (r < 0)
		control_request_done(ret);
	return r;
}

void control_request_done(struct control_request *request)
{
	for (size_t i = 0; request->job.mailboxes != NULL && request->job.mailboxes[i] != NULL; i++)
		free((char *)request->job.mailboxes[i]);
	free((void *)request->job.mailboxes);
	request->job.mailboxes = NULL;
}
