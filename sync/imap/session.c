/* SPDX-License-Identifier: MIT */
/*
 * The dialogue up to the authenticated state is three functions: on_dialled()/on_untagged() (what
 * happened), the completions (what an answer means in this state), and session_enter() (what is sent
 * on entering a state).  Its end is a task: whoever is told then may do anything, even free the
 * session.
 */
#include <assert.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "sync/base/limits.h"
#include "sync/base/log.h"
#include "sync/base/xalloc.h"
#include "sync/imap/backoff.h"
#include "sync/imap/session-private.h"

void session_fail(struct session *session, enum session_failure failure, const char *fmt, ...)
{
	_cleanup_free_ char *reason = NULL;
	va_list ap;

	va_start(ap, fmt);
	reason = xvasprintf(fmt, ap);
	va_end(ap);
	session->failure = failure;
	client_fail(session->client, "%s", reason);
}

/* RFC 7889 section 4: as a capability, it is about all mailboxes. */
static uint64_t read_append_limit(const struct session *session)
{
	const char *limit = strstr(session->capabilities, "APPENDLIMIT=");

	return limit != NULL ? strtoull(limit + strlen("APPENDLIMIT="), NULL, 10) : 0;
}

static void on_capabilities(struct client_owner *owner, const struct response *response)
{
	struct session *session = container_of(owner, struct session, owner);
	struct buf text;

	buf_init(&text, LIMIT_RESPONSE);
	(void)buf_putc(&text, ' ');
	for (size_t i = 0; i < response->atoms_count && i < LIMIT_CAPABILITIES; i++) {
		(void)buf_append(&text, response->atoms[i].data, response->atoms[i].len);
		(void)buf_putc(&text, ' ');
	}
	free(session->capabilities);
	session->capabilities = buf_steal(&text);
	for (char *c = session->capabilities; *c != '\0'; c++)
		if (*c >= 'a' && *c <= 'z')
			*c = (char)(*c - 'a' + 'A');
	session->append_limit = read_append_limit(session);
	client_set_literal_mode(session->client, session_has(session, "LITERAL+")   ? LITERAL_PLUS
						 : session_has(session, "LITERAL-") ? LITERAL_MINUS
										    : LITERAL_SYNC);
}

/* At a level that --quiet does not hide. */
static void on_alert(struct client_owner *owner, struct slice text)
{
	struct session *session = container_of(owner, struct session, owner);
	const char *shown = alerts_take(&session->alerts, text);

	if (shown != NULL)
		log_warning((&(struct log_context){.side = session->options->name}),
			"the server says: %s", shown);
}

static void forget_capabilities(struct session *session)
{
	free(take(session->capabilities));
	session->append_limit = 0;
	client_set_literal_mode(session->client, LITERAL_SYNC);
}

bool session_has(const struct session *session, const char *capability)
{
	size_t len = strlen(capability);
	const char *at = session->capabilities;

	while (at != NULL && (at = strcasestr(at, capability)) != NULL) {
		if (at[-1] == ' ' && at[len] == ' ')
			return true;
		at += len;
	}
	return false;
}

enum tier session_tier(const struct session *session)
{
	return TIER_QRESYNC;
}

const char *session_capabilities(const struct session *session)
{
	return session->capabilities != NULL ? session->capabilities + 1 : "";
}

uint64_t session_append_limit(const struct session *session)
{
	return session->append_limit;
}

struct command *session_command(struct session *session, void (*complete)(struct command *))
{
	if (session->command_used)
		command_done(&session->command);
	command_init(&session->command, complete);
	session->command.kind = COMMAND_ALONE;
	session->command_used = true;
	return &session->command;
}

/* What follows once the capabilities are known. */
static void proceed_with_capabilities(struct session *session)
{
	bool needs_tls = session->options->security == SESSION_STARTTLS && !session->tls;

	if (session->authenticated)
		session_enter(session, STATE_READY);
	else if (!needs_tls && !session_has(session, "IMAP4rev1"))
		/* RFC 3501 section 6.1.1.  Nothing that is not IMAP gets to see the password. */
		session_fail(session, SESSION_FAILURE_REFUSED,
			"the server does not speak IMAP4rev1 (it offers: %.*s)",
			(int)strlen(session_capabilities(session)) - 1,
			session_capabilities(session));
	else if (!needs_tls)
		session_begin_login(session);
	else if (session_has(session, "STARTTLS"))
		session_enter(session, STATE_STARTTLS);
	else
		session_fail(session, SESSION_FAILURE_REFUSED,
			"the server does not offer STARTTLS (\"STARTTLS = NO\" would send the "
			"password in clear text)");
}

enum session_failure session_refusal(const struct command *command)
{
	return command->outcome != OUTCOME_OK && backoff_is_meant(command->code, command->text)
		       ? SESSION_FAILURE_NETWORK
		       : SESSION_FAILURE_REFUSED;
}

static void capability_complete(struct command *command)
{
	struct session *session = container_of(command, struct session, command);

	if (command->outcome == OUTCOME_OK && session->capabilities != NULL) {
		proceed_with_capabilities(session);
	} else if (command->outcome == OUTCOME_NO || command->outcome == OUTCOME_BAD ||
		   command->outcome == OUTCOME_OK) {
		_cleanup_free_ char *reason = command_reason(command);

		session_fail(session, session_refusal(command),
			"the server does not tell its capabilities (%s)", reason);
	}
}

static void starttls_complete(struct command *command)
{
	struct session *session = container_of(command, struct session, command);

	if (command->outcome == OUTCOME_OK) {
		client_start_tls(
			session->client, session->options->tls, session->options->tls_host);
		session->tls = true;
		/* RFC 3501 section 6.2.1: what was said in clear text does not count. */
		forget_capabilities(session);
		session_enter(session, STATE_CAPABILITY);
	} else if (command->outcome == OUTCOME_NO || command->outcome == OUTCOME_BAD) {
		_cleanup_free_ char *reason = command_reason(command);

		session_fail(
			session, session_refusal(command), "STARTTLS was refused (%s)", reason);
	}
}

/* What continuous synchronisation stands on; false and a failure that names what is missing. */
static bool check_extensions(struct session *session)
{
	static const char *const needed[] = {
		"IMAP4rev1", "ENABLE", "QRESYNC", "UIDPLUS", "LIST-EXTENDED"};
	struct buf missing;
	bool complete;

	buf_init(&missing, 1024);
	for (size_t i = 0; i < ARRAY_LEN(needed); i++)
		if (!session_has(session, needed[i]))
			(void)buf_printf(
				&missing, "%s%s", buf_len(&missing) > 0 ? ", " : "", needed[i]);
	if (!session_has(session, "LIST-STATUS") && !session_has(session, "NOTIFY"))
		(void)buf_printf(
			&missing, "%sLIST-STATUS (or NOTIFY)", buf_len(&missing) > 0 ? ", " : "");
	complete = buf_len(&missing) == 0;
	if (!complete)
		session_fail(session, SESSION_FAILURE_REFUSED,
			"the server lacks what synchronisation needs: %.*s", (int)buf_len(&missing),
			buf_data(&missing));
	buf_done(&missing);
	return complete;
}

static bool on_enabled(struct command *command, struct response *response)
{
	struct session *session = container_of(command, struct session, enable);

	if (response->type != RESPONSE_ENABLED)
		return false;
	for (size_t i = 0; i < response->atoms_count; i++)
		if (slice_is(response->atoms[i], "QRESYNC"))
			session->enabled = true;
	return true;
}

/* Nothing that depends on the lists behind it, such as a CREATE, has gone out yet. */
static void enable_complete(struct command *command)
{
	struct session *session = container_of(command, struct session, enable);

	if (command->outcome == OUTCOME_NO || command->outcome == OUTCOME_BAD) {
		_cleanup_free_ char *reason = command_reason(command);

		session_fail(session, session_refusal(command),
			"the server does not enable QRESYNC (%s)", reason);
	} else if (command->outcome == OUTCOME_OK && !session->enabled) {
		/* RFC 5161 section 3.1: what it cannot enable it leaves out, and answers OK. */
		session_fail(session, SESSION_FAILURE_REFUSED,
			"the server does not enable QRESYNC, although it offers it");
	}
}

/* ENABLE goes out with the first commands of the owner, in one flight. */
static enum step become_ready(struct task *task)
{
	struct session *session = container_of(task, struct session, ready);

	ev_timer_stop(session->loop->ev, &session->deadline);
	free(take(session->refusal));
	if (session->command_used)
		command_done(&session->command); /* with the credentials, if it was the login */
	session->command_used = false;
	if (session->options->enable_qresync) {
		if (!check_extensions(session))
			return STEP_WAIT;
		command_init(&session->enable, enable_complete);
		session->enable_used = true;
		session->enable.untagged = on_enabled;
		command_puts(&session->enable, "ENABLE QRESYNC");
		client_submit(session->client, &session->enable);
	}
	session->handler->ready(session->handler);
	return STEP_WAIT;
}

void session_enter(struct session *session, enum state state)
{
	struct command *command;

	session->state = state;
	ev_timer_again(session->loop->ev, &session->deadline);
	switch (state) {
	case STATE_DIALLING:
	case STATE_GREETING:
	case STATE_LOST:
		break;
	case STATE_CAPABILITY:
	case STATE_CAPABILITY_NOW:
		command = session_command(session, capability_complete);
		command_puts(command, "CAPABILITY");
		client_submit(session->client, command);
		break;
	case STATE_STARTTLS:
		command = session_command(session, starttls_complete);
		command_puts(command, "STARTTLS");
		client_submit(session->client, command);
		break;
	case STATE_SECRET:
		ev_timer_stop(session->loop->ev, &session->deadline); /* it has one of its own */
		session_fetch_secret(session);
		break;
	case STATE_AUTHENTICATE:
		session_authenticate(session);
		break;
	case STATE_READY:
		task_wake(&session->ready);
		break;
	}
}

static void greeted(struct session *session, const struct response *response)
{
	bool preauth = response->condition == CONDITION_PREAUTH;

	if (response->type != RESPONSE_CONDITION ||
		(response->condition != CONDITION_OK && !preauth)) {
		session_fail(session, SESSION_FAILURE_NETWORK, "the server did not greet: %.*s",
			(int)response->text.len, response->text.data);
		return;
	}
	if (preauth && session->options->security == SESSION_STARTTLS) {
		/* RFC 9051 section 11.1: STARTTLS is not possible any more, whoever made it so. */
		session_fail(session, SESSION_FAILURE_REFUSED,
			"the server is logged in before TLS began, which would leave the "
			"connection in clear text (\"STARTTLS = NO\" would accept that)");
		return;
	}
	session->authenticated = preauth;
	if (session->capabilities != NULL)
		proceed_with_capabilities(session);
	else
		session_enter(session, STATE_CAPABILITY);
}

static void on_untagged(struct client_owner *owner, struct response *response)
{
	struct session *session = container_of(owner, struct session, owner);

	if (session->state == STATE_GREETING)
		greeted(session, response);
	else if (session->state == STATE_READY && session->handler->untagged != NULL)
		session->handler->untagged(session->handler, response);
}

/* Its token has ended, most likely: Gmail says so in words of its own, or closes without any. */
static bool has_expired(const struct session *session, const char *reason)
{
	const struct secret_source *source = session->options->source;

	if (session->failure != SESSION_FAILURE_NETWORK || !client_was_ended(session->client))
		return false;
	if (backoff_ends_session(reason))
		return true;
	return source != NULL && source->kind == SECRET_TOKEN &&
	       !backoff_is_meant(CODE_NONE, reason);
}

static void on_lost(struct client_owner *owner, const char *reason)
{
	struct session *session = container_of(owner, struct session, owner);
	const char *why = reason;

	task_cancel(&session->ready);
	ev_timer_stop(session->loop->ev, &session->deadline);
	session_forget_secret(session);
	if (client_was_silent(session->client)) {
		session->failure = SESSION_FAILURE_SILENT;
	} else if (session->state == STATE_READY) {
		if (has_expired(session, reason))
			session->failure = SESSION_FAILURE_EXPIRED;
	} else if (session->refusal != NULL && client_was_ended(session->client)) {
		/* It ends the connection with the login that it refuses: the next one will do. */
		session->failure = SESSION_FAILURE_EXPIRED;
		why = session->refusal;
	}
	session->state = STATE_LOST;
	session->handler->lost(session->handler, session->failure, why);
}

static void on_dialled(struct dial_handler *handler, int fd, const char *reason)
{
	struct session *session = container_of(handler, struct session, dial_handler);

	if (fd < 0) {
		session_fail(session, SESSION_FAILURE_UNREACHABLE, "%s", reason);
		return;
	}
	client_attach(session->client, fd);
	if (session->options->keepalive)
		stream_set_keepalive(
			client_stream(session->client), true, LIMIT_UNACKNOWLEDGED_SECONDS * 1000);
	if (session->options->security == SESSION_TLS) {
		client_start_tls(
			session->client, session->options->tls, session->options->tls_host);
		session->tls = true;
	}
	session_enter(session, STATE_GREETING);
}

static const char *waits_for(const struct session *session)
{
	struct stream *stream = client_stream(session->client);

	if (stream != NULL && stream_is_handshaking(stream))
		return "end of the TLS handshake";
	switch (session->state) {
	case STATE_DIALLING:
		return "connection";
	case STATE_GREETING:
		return "greeting";
	case STATE_STARTTLS:
		return "answer to STARTTLS";
	case STATE_AUTHENTICATE:
		return "answer to the login";
	case STATE_CAPABILITY:
	case STATE_CAPABILITY_NOW:
		return "answer to CAPABILITY";
	case STATE_SECRET:
	case STATE_READY:
	case STATE_LOST:
		break;
	}
	return "answer";
}

/* Of each step, whatever comes meanwhile. */
static void on_deadline(struct ev_loop *ev, ev_timer *timer, int revents)
{
	struct session *session = container_of(timer, struct session, deadline);

	ev_timer_stop(ev, timer);
	session_fail(session, SESSION_FAILURE_NETWORK, "no %s within %d seconds",
		waits_for(session), LIMIT_GREETING_SECONDS);
}

struct session *session_new(struct loop *loop, struct worker *worker,
	const struct session_options *options, struct session_handler *handler)
{
	struct session *session = xcalloc(1, sizeof(*session));

	session->loop = loop;
	session->options = options;
	session->handler = handler;
	session->owner = (struct client_owner){.capabilities = on_capabilities,
		.alert = on_alert,
		.untagged = on_untagged,
		.lost = on_lost};
	session->dial_handler.dialled = on_dialled;
	session->client = client_new(loop, options->name, &session->owner);
	task_init(&session->ready, loop, become_ready, NULL);
	ev_init(&session->deadline, on_deadline);
	session->deadline.repeat = LIMIT_GREETING_SECONDS;
	session_enter(session, STATE_DIALLING);
	session->dial = dial_start(loop, worker, &options->dial, &session->dial_handler);
	return session;
}

struct session *session_free(struct session *session)
{
	if (session == NULL)
		return NULL;
	session->state = STATE_LOST;
	task_cancel(&session->ready);
	ev_timer_stop(session->loop->ev, &session->deadline);
	session->dial = dial_free(session->dial);
	session->client = client_free(session->client);
	if (session->command_used)
		command_done(&session->command);
	if (session->enable_used)
		command_done(&session->enable);
	if (session->compress_used)
		command_done(&session->compress);
	if (session->logout_used)
		command_done(&session->logout);
	sasl_free(session->sasl);
	session_forget_secret(session);
	free(session->refusal);
	alerts_done(&session->alerts);
	free(session->capabilities);
	free(session);
	return NULL;
}

bool session_is_attended(const struct session *session)
{
	enum client_wait wait = client_waits_for(session->client);

	if (wait == CLIENT_WOKEN || session->ready.queued)
		return true;
	switch (session->state) {
	case STATE_DIALLING:
		return dial_is_under_way(session->dial);
	case STATE_SECRET:
		return session->request != NULL && secret_is_attended(session->request);
	case STATE_READY:
		return wait != CLIENT_STUCK && wait != CLIENT_CONNECTS;
	case STATE_LOST:
		return true; /* its owner was told */
	default:
		return ev_is_active(&session->deadline);
	}
}

struct client *session_client(struct session *session)
{
	return session->client;
}

static void compress_complete(struct command *command)
{
	struct session *session = container_of(command, struct session, compress);

	if (command->outcome == OUTCOME_OK) {
		client_start_deflate(session->client);
	} else if (command->outcome == OUTCOME_NO || command->outcome == OUTCOME_BAD) {
		_cleanup_free_ char *reason = command_reason(command);

		if (command->code != CODE_COMPRESSIONACTIVE)
			log_warning((&(struct log_context){.side = session->options->name}),
				"the server refused compression (%s): going on without", reason);
	}
}

void session_compress(struct session *session)
{
	if (session->compressed || !session_has(session, "COMPRESS=DEFLATE"))
		return;
	session->compressed = true;
	command_init(&session->compress, compress_complete);
	session->compress_used = true;
	session->compress.kind = COMMAND_ALONE;
	command_puts(&session->compress, "COMPRESS DEFLATE");
	client_submit(session->client, &session->compress);
}

static void logout_complete(struct command *command)
{
	/* Nothing hangs on it: the connection is closed either way. */
}

void session_logout(struct session *session)
{
	if (session->logout_used || session->state != STATE_READY)
		return;
	command_init(&session->logout, logout_complete);
	session->logout_used = true;
	command_puts(&session->logout, "LOGOUT");
	client_submit(session->client, &session->logout);
}

struct stream *session_release_stream(struct session *session, struct buf *ret_leftover)
{
	assert(session->state == STATE_READY);
	return client_release_stream(session->client, ret_leftover);
}
