/* SPDX-License-Identifier: MIT */
/*
 * Credentials: where they come from, by which mechanism they go out, and what a refusal means.  What
 * a command printed, and the server refused, may have ended meanwhile: the command is run once more,
 * is told so, and may print another one.  That is tried on the same connection, or, should the server
 * have closed that, on the next one (secret_source.state).  A second refusal is final.
 */
#include <stdlib.h>
#include <string.h>

#include "sync/base/log.h"
#include "sync/base/xalloc.h"
#include "sync/imap/bearer.h"
#include "sync/imap/session-private.h"

static bool has_token(const struct session *session)
{
	return session->options->source != NULL && session->options->source->kind == SECRET_TOKEN;
}

static const char *secret_of(const struct session *session)
{
	return session->options->source != NULL ? session->secret : session->options->password;
}

void session_forget_secret(struct session *session)
{
	session->request = secret_free(session->request);
	secret_wipe(take(session->secret));
}

/* --- What the server says to it --- */

static const char *advise(const struct session *session)
{
	if (session->options->source == NULL)
		return "check username and password";
	return has_token(session) ? "check username, and for whom and what the token-command gets "
				    "its tokens"
				  : "check username, and what the password-command prints";
}

static char *describe_refusal(const struct session *session, const struct command *command)
{
	_cleanup_free_ char *reason = command_reason(command);
	const char *error = session->sasl != NULL ? sasl_server_error(session->sasl) : NULL;

	return xasprintf("the login as \"%s\" was refused (%s%s%s): %s", session->options->username,
		reason, error != NULL ? "; its error: " : "", error != NULL ? error : "",
		advise(session));
}

static void refused(struct session *session, const struct command *command)
{
	struct secret_source *source = session->options->source;
	_cleanup_free_ char *refusal = describe_refusal(session, command);

	session->sasl = sasl_free(session->sasl);
	if (session_refusal(command) == SESSION_FAILURE_NETWORK) {
		_cleanup_free_ char *reason = command_reason(command);

		session_fail(session, SESSION_FAILURE_NETWORK, "the server takes no login now (%s)",
			reason);
	} else if (source == NULL || source->state == SECRET_RENEWED) {
		if (source != NULL)
			source->state = SECRET_UNTRIED;
		session_fail(session, SESSION_FAILURE_LOGIN, "%s", refusal);
	} else {
		source->state = SECRET_REJECTED;
		free(session->refusal);
		session->refusal = take(refusal);
		session_enter(session, STATE_SECRET);
	}
}

static void accepted(struct session *session, const struct command *command)
{
	if (session->sasl != NULL && !sasl_is_complete(session->sasl)) {
		session_fail(session, SESSION_FAILURE_REFUSED,
			sasl_proves_server(session->sasl)
				? "the server accepted the login without proving that it knows the "
				  "password"
				: "the server accepted the login before it was told who logs in");
	} else {
		session->authenticated = true;
		if (session->options->source != NULL)
			session->options->source->state = SECRET_UNTRIED;
		session_forget_secret(session);
		session_enter(session,
			command->code == CODE_CAPABILITY ? STATE_READY : STATE_CAPABILITY_NOW);
	}
	session->sasl = sasl_free(session->sasl);
}

static void complete(struct command *command)
{
	struct session *session = container_of(command, struct session, command);

	if (command->outcome == OUTCOME_OK)
		accepted(session, command);
	else if (command->outcome == OUTCOME_NO || command->outcome == OUTCOME_BAD)
		refused(session, command);
	else
		session->sasl = sasl_free(session->sasl);
}

/* --- Mechanisms --- */

static void proceed(struct command *command, struct slice text)
{
	struct session *session = container_of(command, struct session, command);
	_cleanup_free_ char *challenge = slice_dup(text);
	char *answer = NULL;
	int r = session->sasl != NULL ? sasl_step(session->sasl, challenge, &answer) : -1;

	if (r < 0) {
		/* RFC 3501 section 6.2.2: "*" ends the exchange, the server answers BAD. */
		log_debug((&(struct log_context){.side = session->options->name}),
			"the authentication was stopped here: %s", strerror(-r));
		client_answer(session->client, "*");
		return;
	}
	client_answer(session->client, answer);
	secret_wipe(answer);
}

/* 0: it is the name of a service. */
static unsigned port_number(const char *port)
{
	return port != NULL && port[strspn(port, "0123456789")] == '\0'
		       ? (unsigned)strtoul(port, NULL, 10)
		       : 0;
}

static struct sasl *new_sasl(const struct session *session, const char *mechanism)
{
	struct sasl_options options = {
		.username = session->options->username,
		.password = has_token(session) ? NULL : secret_of(session),
		.token = has_token(session) ? secret_of(session) : NULL,
		.host = session->options->tls_host,
		.port = port_number(session->options->dial.port),
	};

	(void)stream_channel_binding(client_stream(session->client), &options.binding_type,
		&options.binding_data, &options.binding_size);
	return sasl_new(mechanism, &options);
}

/* AUTHENTICATE with this mechanism, or false when it cannot be used here. */
static bool try_sasl(struct session *session, const char *mechanism)
{
	_cleanup_free_ char *capability = xasprintf("AUTH=%s", mechanism);
	struct command *command;
	char *initial = NULL;

	if (!session_has(session, capability))
		return false;
	session->sasl = new_sasl(session, mechanism);
	if (session->sasl == NULL)
		return false;
	command = session_command(session, complete);
	command->proceed = proceed;
	command_printf(command, "AUTHENTICATE %s", mechanism);
	if (session_has(session, "SASL-IR") && sasl_client_first(session->sasl) &&
		sasl_step(session->sasl, NULL, &initial) == 0) {
		command_puts(command, " ");
		command_secret_text(command, initial[0] != '\0' ? initial : "=");
		secret_wipe(initial);
	}
	client_submit(session->client, command);
	return true;
}

static bool try_login(struct session *session)
{
	struct command *command;

	if (session_has(session, "LOGINDISABLED") || has_token(session))
		return false;
	command = session_command(session, complete);
	command_puts(command, "LOGIN ");
	command_secret(command, session->options->username);
	command_puts(command, " ");
	command_secret(command, secret_of(session));
	client_submit(session->client, command);
	return true;
}

void session_authenticate(struct session *session)
{
	const char *const *mechanism = session->options->mechanisms;
	const char *offered = session_capabilities(session);

	for (; mechanism != NULL && *mechanism != NULL; mechanism++) {
		/* The LOGIN command says the same in one message less than the mechanism of that
		 * name. */
		if (strcasecmp(*mechanism, "LOGIN") == 0 && try_login(session))
			return;
		if (try_sasl(session, *mechanism))
			return;
	}
	session_fail(session, SESSION_FAILURE_REFUSED,
		"the server offers none of the configured authentication mechanisms (it offers: "
		"%.*s)",
		(int)strlen(offered) - 1, offered); /* a space ends it */
}

/* --- The secret --- */

static bool is_token(const char *secret)
{
	const struct sasl_options options = {.username = "", .token = secret};

	return bearer_is_valid(&options);
}

static void on_fetched(
	struct secret_handler *handler, const char *secret, const char *reason, bool hopeless)
{
	struct session *session = container_of(handler, struct session, secret_handler);
	const char *noun = secret_noun(session->options->source);
	bool same =
		secret != NULL && session->secret != NULL && strcmp(secret, session->secret) == 0;

	secret_wipe(take(session->secret));
	session->secret = secret != NULL ? xstrdup(secret) : NULL;
	if (reason != NULL) {
		session_fail(session, hopeless ? SESSION_FAILURE_REFUSED : SESSION_FAILURE_NETWORK,
			"%s", reason);
	} else if (same) {
		session->options->source->state = SECRET_UNTRIED;
		session_fail(session, SESSION_FAILURE_LOGIN, "%s (the %s-command has no other one)",
			session->refusal, noun);
	} else if (has_token(session) && !is_token(session->secret)) {
		session_fail(session, SESSION_FAILURE_NETWORK,
			"the token-command printed characters that no token has: try it in a "
			"shell, with </dev/null");
	} else {
		session_enter(session, STATE_AUTHENTICATE);
	}
	session->request = secret_free(session->request);
}

void session_fetch_secret(struct session *session)
{
	log_debug((&(struct log_context){.side = session->options->name}),
		"running the %s-command%s", secret_noun(session->options->source),
		session->refusal != NULL ? " once more" : "");
	session->secret_handler.fetched = on_fetched;
	session->request =
		secret_fetch(session->loop, session->options->source, &session->secret_handler);
}

void session_begin_login(struct session *session)
{
	bool nobody = session->options->username == NULL;
	bool has_secret = session->options->source != NULL || session->options->password != NULL;

	if (nobody || !has_secret)
		session_fail(session, SESSION_FAILURE_REFUSED,
			"the server wants a login, but no %s configured",
			!nobody	     ? "password is"
			: has_secret ? "username is"
				     : "username and password are");
	else
		session_enter(session,
			session->options->source != NULL ? STATE_SECRET : STATE_AUTHENTICATE);
}
