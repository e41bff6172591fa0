/* SPDX-License-Identifier: MIT */
#include "sync/imap/secret.h"

#include <stdlib.h>
#include <string.h>

#include "sync/base/child.h"
#include "sync/base/helper.h"
#include "sync/base/limits.h"
#include "sync/base/log.h"
#include "sync/base/printable.h"
#include "sync/base/xalloc.h"
#include "sync/net/tunnel.h"

struct secret {
	struct secret_source *source;
	struct secret_handler *handler;
	struct helper *helper;
	struct helper_handler helper_handler;
	char *value; /* what came of it */
};

void secret_wipe(char *own_secret)
{
	if (own_secret != NULL)
		explicit_bzero(own_secret, strlen(own_secret));
	free(own_secret);
}

const char *secret_noun(const struct secret_source *source)
{
	return source->kind == SECRET_TOKEN ? "token" : "password";
}

/* ` (it said: "…")`, unless that holds the secret, or nothing was said.  The caller's. */
static char *quote_said(const struct helper_result *result)
{
	_cleanup_free_ char *said = NULL, *line = NULL;

	if (result->said == NULL)
		return xstrdup("");
	line = xstrndup(result->printed, strcspn(result->printed, "\r\n"));
	if (*line != '\0' && strstr(result->said, line) != NULL) {
		explicit_bzero(line, strlen(line));
		return xstrdup(" (what it said holds what it printed, and is not shown)");
	}
	explicit_bzero(line, strlen(line));
	said = xstrdup(result->said);
	printable_neutralise(said);
	return xasprintf(" (it said: \"%s\")", said);
}

/* Why there is nothing that could be one; NULL if there is. */
static char *describe_end(const struct helper_result *result, const char *noun)
{
	switch (result->end) {
	case HELPER_EXITED:
		if (result->number == 0)
			return NULL;
		return xasprintf("the %s-command failed with exit status %d", noun, result->number);
	case HELPER_KILLED:
		return xasprintf("the %s-command was killed by signal %d (%s)", noun,
			result->number, strsignal(result->number));
	case HELPER_LATE:
		return xasprintf(
			"the %s-command did not end within %d seconds", noun, LIMIT_HELPER_SECONDS);
	case HELPER_VERBOSE:
		return xasprintf(
			"the %s-command printed more than %d bytes", noun, LIMIT_HELPER_OUTPUT);
	case HELPER_NOT_RUN:
		return xasprintf(
			"the %s-command cannot be run: %s", noun, strerror(result->number));
	}
	abort();
}

/* A password may be the first of several lines, as pass(1) and others keep it.  A token is printed
 * by programs that print nothing else, unless something is wrong. */
static const char *judge(const struct secret *secret, const struct helper_result *result)
{
	const char *printed = result->printed;
	size_t line = strcspn(printed, "\r\n");
	size_t rest = line + strspn(printed + line, "\r\n");

	if (memchr(printed, '\0', result->len) != NULL)
		return "printed a NUL byte";
	if (line == 0)
		return rest == result->len ? "printed nothing" : "printed an empty first line";
	if (secret->source->kind == SECRET_TOKEN && rest < result->len)
		return "printed more than one line";
	return NULL;
}

static const char *advise(const struct helper_result *result)
{
	if (result->end == HELPER_NOT_RUN)
		return "give its path, since it is looked for in /usr/bin and /bin only";
	return result->end == HELPER_LATE
		       ? "it must not ask anybody; try it in a shell, with </dev/null"
		       : "try it in a shell, with </dev/null";
}

/* The value, or a reason why there is none, which the caller frees. */
static char *take_result(struct secret *secret, const struct helper_result *result)
{
	const char *noun = secret_noun(secret->source), *wrong;
	_cleanup_free_ char *said = quote_said(result);
	_cleanup_free_ char *what = describe_end(result, noun);

	if (what == NULL) {
		wrong = judge(secret, result);
		if (wrong == NULL) {
			secret->value = xstrndup(result->printed, strcspn(result->printed, "\r\n"));
			return NULL;
		}
		what = xasprintf("the %s-command %s", noun, wrong);
	}
	return xasprintf("%s%s: %s", what, said, advise(result));
}

static void on_ended(struct helper_handler *handler, const struct helper_result *result)
{
	struct secret *secret = container_of(handler, struct secret, helper_handler);
	_cleanup_free_ char *reason = take_result(secret, result);
	bool hopeless = result->end == HELPER_NOT_RUN;

	if (secret->source->state == SECRET_REJECTED && reason == NULL)
		secret->source->state = SECRET_RENEWED;
	secret->helper = helper_free(secret->helper); /* with what it printed */
	secret->handler->fetched(secret->handler, secret->value, reason, hopeless);
}

struct secret *secret_fetch(
	struct loop *loop, struct secret_source *source, struct secret_handler *handler)
{
	struct secret *secret = xcalloc(1, sizeof(*secret));
	char **argv = tunnel_parse(source->command);
	const struct child_options options = {
		.argv = (const char *const *)argv,
		.environment = source->state == SECRET_REJECTED
				       ? (const char *const[]){"INTERIMAP_REJECTED=1", NULL}
				       : NULL,
	};

	secret->source = source;
	secret->handler = handler;
	secret->helper_handler.ended = on_ended;
	secret->helper = helper_new(loop, &options, LIMIT_HELPER_SECONDS, &secret->helper_handler);
	tunnel_free_strings(argv);
	return secret;
}

struct secret *secret_free(struct secret *secret)
{
	if (secret == NULL)
		return NULL;
	helper_free(secret->helper);
	secret_wipe(secret->value);
	free(secret);
	return NULL;
}

bool secret_is_attended(const struct secret *secret)
{
	return secret->helper != NULL && helper_is_attended(secret->helper);
}
