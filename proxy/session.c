/* SPDX-License-Identifier: MIT */
/*
 * The dialogue before login (RFC 3501 section 6.1 and 6.2, RFC 4959 SASL-IR, RFC 7888 LITERAL+, RFC
 * 2971 ID) is written as on_event(), which reads and writes, run_command(), which is what a command
 * means, and enter(), which is what a state begins with.
 *
 * Commands are answered one after the other; while one waits (for the password check, the delay
 * after a wrong one, the store) nothing more is read, so what a client sends behind its LOGIN stays
 * in order and goes to the store.
 */
#include "proxy/session.h"

#include <assert.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "proxy/auth.h"
#include "proxy/backend.h"
#include "proxy/capabilities.h"
#include "proxy/login.h"
#include "proxy/relay.h"
#include "sync/base/buf.h"
#include "sync/base/limits.h"
#include "sync/base/log.h"
#include "sync/base/loop.h"
#include "sync/base/xalloc.h"
#include "sync/net/stream.h"

enum state {
	STATE_HANDSHAKE, /* TLS from the first byte */
	STATE_COMMAND, /* waits for a command */
	STATE_ANSWER, /* waits for the client's line of AUTHENTICATE */
	STATE_STARTTLS, /* its OK is on its way, then the handshake */
	STATE_CHECKING, /* the worker compares the password */
	STATE_DELAYED, /* it was wrong, and the client does not know yet */
	STATE_CONNECTING, /* to the store */
	STATE_RELAYING,
	STATE_CLOSING, /* the last words are on their way */
	STATE_ENDED,
};

static const char *const state_names[] = {"handshake", "command", "answer", "starttls", "checking",
	"delayed", "connecting", "relaying", "closing", "ended"};
static_assert(ARRAY_LEN(state_names) == STATE_ENDED + 1, "one name a state");

struct proxy_session {
	const struct proxy_context *context;
	struct proxy_session_handler *handler;
	struct task task; /* wakes when it is over */
	enum state state;
	char *name;
	bool is_local;

	struct stream *stream; /* NULL once it is the relay's */
	struct stream_handler events;
	struct buf in; /* read, not yet used */
	struct buf out; /* not yet taken by the stream */
	struct login_reader reader;
	struct ev_timer deadline, delay;

	char *tag; /* of the LOGIN or AUTHENTICATE under way */
	unsigned failures, bad_commands;
	struct auth_check *check;
	struct auth_handler auth_handler;
	struct backend *backend;
	struct backend_handler backend_handler;
	struct relay *relay;
	struct relay_handler relay_handler;
};

static const struct log_context *context = &(const struct log_context){.side = "proxy"};

static void enter(struct proxy_session *session, enum state state);

static void start_timer(struct proxy_session *session, struct ev_timer *timer, double seconds)
{
	ev_timer_stop(session->context->loop->ev, timer);
	ev_timer_set(timer, seconds, 0);
	ev_timer_start(session->context->loop->ev, timer);
}

static void reply(struct proxy_session *session, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));

static void reply(struct proxy_session *session, const char *fmt, ...)
{
	_cleanup_free_ char *text = NULL;
	va_list ap;

	va_start(ap, fmt);
	text = xvasprintf(fmt, ap);
	va_end(ap);
	/* Nothing is read while much is unwritten, so this is only full for a tag of its own size.
	 */
	(void)buf_printf(&session->out, "%s\r\n", text);
}

static void reply_tagged(struct proxy_session *session, const char *text)
{
	_cleanup_free_ char *tag = take(session->tag);

	reply(session, "%s %s", tag != NULL ? tag : "*", text);
}

static void say_bye(struct proxy_session *session, const char *text)
{
	reply(session, "* BYE %s", text);
	enter(session, STATE_CLOSING);
}

static bool may_log_in(const struct proxy_session *session)
{
	return session->is_local || session->context->tls == NULL || stream_is_tls(session->stream);
}

static const char *capabilities(const struct proxy_session *session)
{
	if (stream_is_tls(session->stream) || session->context->tls == NULL)
		return "IMAP4rev1 SASL-IR LITERAL+ ID AUTH=PLAIN";
	if (may_log_in(session))
		return "IMAP4rev1 SASL-IR LITERAL+ ID STARTTLS AUTH=PLAIN";
	return "IMAP4rev1 SASL-IR LITERAL+ ID STARTTLS LOGINDISABLED";
}

/* --- Commands --- */

static bool run_capability(struct proxy_session *session, struct lexer *arguments)
{
	if (!lex_at_end(arguments))
		return false;
	reply(session, "* CAPABILITY %s", capabilities(session));
	reply_tagged(session, "OK Capabilities listed.");
	return true;
}

static bool run_noop(struct proxy_session *session, struct lexer *arguments)
{
	if (!lex_at_end(arguments))
		return false;
	reply_tagged(session, "OK Nothing done.");
	return true;
}

static bool run_id(struct proxy_session *session, struct lexer *arguments)
{
	if (!lex_space(arguments) || !lex_skip_value(arguments) || !lex_at_end(arguments))
		return false;
	reply(session, "* ID (\"name\" \"interimap\" \"version\" \"%s\")", INTERIMAP_VERSION);
	reply_tagged(session, "OK Pleased to meet you.");
	return true;
}

static bool run_logout(struct proxy_session *session, struct lexer *arguments)
{
	if (!lex_at_end(arguments))
		return false;
	reply(session, "* BYE Logging out.");
	reply_tagged(session, "OK Logged out.");
	enter(session, STATE_CLOSING);
	return true;
}

static bool run_starttls(struct proxy_session *session, struct lexer *arguments)
{
	if (!lex_at_end(arguments) || session->context->tls == NULL ||
		stream_is_tls(session->stream))
		return false;
	if (buf_len(&session->in) > 0) {
		/* Bytes that came in clear text would be taken for the client's own under TLS. */
		say_bye(session, "Nothing may follow STARTTLS before the handshake.");
		return true;
	}
	reply_tagged(session, "OK Begin TLS negotiation now.");
	enter(session, STATE_STARTTLS);
	return true;
}

static void check_password(struct proxy_session *session, const char *user, const char *password)
{
	session->check =
		auth_check_new(session->context->auth, user, password, &session->auth_handler);
	enter(session, STATE_CHECKING);
}

static void wipe(char *own_secret)
{
	if (own_secret != NULL)
		explicit_bzero(own_secret, strlen(own_secret));
	free(own_secret);
}

static bool refuse_clear_text(struct proxy_session *session)
{
	if (may_log_in(session))
		return false;
	reply_tagged(session, "NO [PRIVACYREQUIRED] Log in after STARTTLS only.");
	return true;
}

static bool run_login(struct proxy_session *session, struct lexer *arguments)
{
	struct slice user, password;
	char *user_copy, *password_copy;

	if (!lex_space(arguments) || !lex_astring(arguments, &user) || !lex_space(arguments) ||
		!lex_astring(arguments, &password) || !lex_at_end(arguments))
		return false;
	if (memchr(user.data, '\0', user.len) != NULL ||
		memchr(password.data, '\0', password.len) != NULL)
		return false;
	if (refuse_clear_text(session))
		return true;
	user_copy = slice_dup(user);
	password_copy = slice_dup(password);
	check_password(session, user_copy, password_copy);
	free(user_copy);
	wipe(password_copy);
	return true;
}

/* The client's message of AUTHENTICATE PLAIN has come. */
static void run_plain(struct proxy_session *session, struct slice message)
{
	char *user = NULL, *password = NULL;

	if (message.len == 1 && message.data[0] == '*') {
		reply_tagged(session, "BAD Authentication cancelled.");
		enter(session, STATE_COMMAND);
	} else if (!login_decode_plain(message, &user, &password)) {
		reply_tagged(session, "BAD This is no message of the PLAIN mechanism.");
		session->bad_commands++;
		enter(session, STATE_COMMAND);
	} else {
		check_password(session, user, password);
	}
	free(user);
	wipe(password);
}

static bool run_authenticate(struct proxy_session *session, struct lexer *arguments)
{
	struct slice mechanism;

	if (!lex_space(arguments) || !lex_atom(arguments, &mechanism))
		return false;
	if (refuse_clear_text(session))
		return true;
	if (!slice_is(mechanism, "PLAIN")) {
		reply_tagged(session, "NO [CANNOT] Only the PLAIN mechanism is known here.");
		return true;
	}
	if (lex_space(arguments)) {
		run_plain(session, lex_rest(arguments));
		return true;
	}
	if (!lex_at_end(arguments))
		return false;
	reply(session, "+ ");
	enter(session, STATE_ANSWER);
	return true;
}

static const struct {
	const char *name;
	/* False if the arguments are not what they must be; nothing was done then. */
	bool (*run)(struct proxy_session *session, struct lexer *arguments);
} commands[] = {
	{"AUTHENTICATE", run_authenticate},
	{"CAPABILITY", run_capability},
	{"ID", run_id},
	{"LOGIN", run_login},
	{"LOGOUT", run_logout},
	{"NOOP", run_noop},
	{"STARTTLS", run_starttls},
};

static void complain(struct proxy_session *session, const char *text)
{
	reply_tagged(session, text);
	session->bad_commands++;
}

static void run_command(struct proxy_session *session)
{
	struct login_command command;
	bool is_command = login_parse(&session->reader, &command);

	if (command.tag.len == 0 && login_line(&session->reader).len == 0)
		return; /* an empty line */
	free(session->tag);
	session->tag = command.tag.len > 0 ? slice_dup(command.tag) : NULL;
	if (!is_command) {
		complain(session, "BAD This is no command.");
		return;
	}
	for (size_t i = 0; i < ARRAY_LEN(commands); i++) {
		if (!slice_is(command.name, commands[i].name))
			continue;
		if (!commands[i].run(session, &command.arguments))
			complain(session, "BAD The command's arguments are wrong.");
		return;
	}
	complain(session, "BAD There is no such command before login.");
}

/* --- Reading and writing --- */

static bool is_listening(const struct proxy_session *session)
{
	return session->state == STATE_COMMAND || session->state == STATE_ANSWER;
}

static void flush(struct proxy_session *session)
{
	ssize_t sent = 1;

	while (sent > 0 && buf_len(&session->out) > 0) {
		sent = stream_send(
			session->stream, buf_data(&session->out), buf_len(&session->out));
		if (sent > 0)
			buf_consume(&session->out, (size_t)sent);
	}
	stream_flush(session->stream);
	stream_want_write(session->stream, buf_len(&session->out) > 0);
}

static void use_line(struct proxy_session *session)
{
	struct login_reader *reader = &session->reader;

	if (session->state == STATE_ANSWER)
		run_plain(session, login_line(reader));
	else
		run_command(session);
	login_reader_reset(reader, session->state == STATE_ANSWER);
	if (session->bad_commands > LIMIT_BAD_COMMANDS && is_listening(session))
		say_bye(session, "Too many bad commands.");
}

/* Writes, and does what was waiting for the last byte to be written. */
static void write_output(struct proxy_session *session)
{
	flush(session);
	if (buf_len(&session->out) > 0)
		return;
	if (session->state == STATE_STARTTLS)
		enter(session, STATE_HANDSHAKE);
	else if (session->state == STATE_CLOSING)
		stream_shutdown(session->stream);
}

/* Uses what was read, as far as commands may run now. */
static void use_input(struct proxy_session *session)
{
	write_output(session);
	while (is_listening(session) && buf_len(&session->in) > 0 && buf_len(&session->out) == 0) {
		size_t used = 0;
		enum login_result result = login_reader_feed(
			&session->reader, buf_data(&session->in), buf_len(&session->in), &used);

		buf_consume(&session->in, used);
		if (result == LOGIN_TOO_LONG)
			say_bye(session, "This is too long before login.");
		else if (result == LOGIN_CONTINUE)
			reply(session, "+ Go on.");
		else if (result == LOGIN_COMMAND)
			use_line(session);
		write_output(session);
	}
	if (session->state != STATE_CLOSING)
		stream_want_read(
			session->stream, is_listening(session) && buf_len(&session->out) == 0);
}

static void read_input(struct proxy_session *session)
{
	char *room = buf_reserve(&session->in, LIMIT_LOGIN_LINE);
	ssize_t n = stream_recv(session->stream, room, LIMIT_LOGIN_LINE);

	if (n == 0) {
		enter(session, STATE_ENDED);
	} else if (n > 0 && session->state != STATE_CLOSING) {
		buf_commit(&session->in, (size_t)n);
		use_input(session);
	}
}

static void on_event(struct stream_handler *handler, enum stream_event event)
{
	struct proxy_session *session = container_of(handler, struct proxy_session, events);

	switch (event) {
	case STREAM_UP:
		log_debug(context, "client %s: %s", session->name,
			stream_tls_description(session->stream));
		enter(session, STATE_COMMAND);
		use_input(session);
		break;
	case STREAM_READABLE:
		read_input(session);
		break;
	case STREAM_WRITABLE:
		use_input(session);
		break;
	case STREAM_LOST:
		log_debug(context, "client %s: %s", session->name, stream_error(session->stream));
		enter(session, STATE_ENDED);
		break;
	}
}

/* --- Login --- */

static void on_decided(struct auth_handler *handler, bool accepted)
{
	struct proxy_session *session = container_of(handler, struct proxy_session, auth_handler);

	session->check = auth_check_free(session->check);
	enter(session, accepted ? STATE_CONNECTING : STATE_DELAYED);
}

static void on_delay(struct ev_loop *ev, struct ev_timer *timer, int revents)
{
	struct proxy_session *session = container_of(timer, struct proxy_session, delay);

	reply_tagged(session, "NO [AUTHENTICATIONFAILED] Wrong user name or password.");
	enter(session, STATE_COMMAND);
	if (++session->failures >= LIMIT_LOGIN_FAILURES)
		say_bye(session, "Too many wrong passwords.");
	use_input(session);
}

static void on_deadline(struct ev_loop *ev, struct ev_timer *timer, int revents)
{
	struct proxy_session *session = container_of(timer, struct proxy_session, deadline);

	if (session->state == STATE_CLOSING || session->state == STATE_HANDSHAKE) {
		enter(session, STATE_ENDED);
		return;
	}
	say_bye(session, "Too slow to log in.");
	write_output(session);
}

/* The session knows capabilities in upper case; a client may look for them as the RFCs write them.
 */
static void restore_case(char *list)
{
	for (char *at = list; (at = strstr(at, "IMAP4REV")) != NULL;)
		memcpy(at, "IMAP4rev", 8);
}

/* The OK of LOGIN tells what the store can do (RFC 3501 section 7.1, CAPABILITY). */
static void welcome(struct proxy_session *session)
{
	_cleanup_free_ char *list = xstrdup(backend_capabilities(session->backend));
	struct capability_filter filter = {.len = 0};
	struct buf shown;

	restore_case(list);
	buf_init(&shown, LIMIT_RELAY);
	capability_filter_feed(&filter, list, strlen(list), &shown);
	capability_filter_end(&filter, &shown);
	(void)buf_printf(&session->out, "%s OK [CAPABILITY ", session->tag);
	(void)buf_append(&session->out, buf_data(&shown), buf_len(&shown));
	(void)buf_puts(&session->out, "] Logged in.\r\n");
	buf_done(&shown);
}

static void on_store_ready(struct backend_handler *handler)
{
	struct proxy_session *session =
		container_of(handler, struct proxy_session, backend_handler);
	struct buf leftover;
	struct relay_start start = {
		.from_client = &session->in, .from_store = &leftover, .to_client = &session->out};

	welcome(session);
	buf_init(&leftover, LIMIT_READ);
	start.own_store = backend_take_stream(session->backend, &leftover);
	start.own_client = take(session->stream);
	session->relay = relay_new(session->context->loop, &start, session->context->receiver,
		&session->relay_handler);
	session->backend = backend_free(session->backend);
	enter(session, STATE_RELAYING);
}

static void on_store_failed(struct backend_handler *handler, const char *reason)
{
	struct proxy_session *session =
		container_of(handler, struct proxy_session, backend_handler);
	_cleanup_free_ char *text = xasprintf("NO [UNAVAILABLE] The mail store: %s.", reason);

	log_warning(context, "client %s: the local store: %s", session->name, reason);
	for (char *at = text; *at != '\0'; at++)
		if ((unsigned char)*at < ' ' || (unsigned char)*at >= 0x7f)
			*at = '?'; /* resp-text is printable ASCII */
	session->backend = backend_free(session->backend);
	reply_tagged(session, text);
	start_timer(session, &session->deadline, LIMIT_LOGIN_SECONDS);
	enter(session, STATE_COMMAND);
	use_input(session);
}

static void on_relay_ended(struct relay_handler *handler, const char *reason)
{
	struct proxy_session *session = container_of(handler, struct proxy_session, relay_handler);

	if (reason != NULL)
		log_warning(context, "client %s: the local store: %s", session->name, reason);
	session->relay = relay_free(session->relay);
	enter(session, STATE_ENDED);
}

/* --- States --- */

/* Nothing that is under way has a say any more. */
static void abandon(struct proxy_session *session)
{
	ev_timer_stop(session->context->loop->ev, &session->delay);
	session->check = auth_check_free(session->check);
	session->backend = backend_free(session->backend);
}

static void enter(struct proxy_session *session, enum state state)
{
	const struct proxy_context *shared = session->context;

	if (session->state == STATE_ENDED)
		return;
	log_debug(context, "client %s: %s", session->name, state_names[state]);
	session->state = state;
	switch (state) {
	case STATE_HANDSHAKE:
		stream_start_tls_server(session->stream, shared->tls);
		break;
	case STATE_DELAYED:
		log_warning(context, "client %s: wrong user name or password", session->name);
		start_timer(session, &session->delay,
			auth_delay(shared->auth, ev_now(shared->loop->ev)));
		break;
	case STATE_CONNECTING:
		/* The store has its own patience. */
		ev_timer_stop(shared->loop->ev, &session->deadline);
		session->backend = backend_new(
			shared->loop, shared->worker, shared->store, &session->backend_handler);
		break;
	case STATE_RELAYING:
		log_info(context, "client %s has logged in", session->name);
		free(take(session->tag));
		login_reader_done(&session->reader);
		break;
	case STATE_CLOSING:
		abandon(session);
		/* What it still sends is read and dropped, so that it gets to see our last words.
		 */
		stream_want_read(session->stream, true);
		start_timer(session, &session->deadline, LIMIT_LINGER_SECONDS);
		break;
	case STATE_ENDED:
		task_wake(&session->task);
		break;
	case STATE_COMMAND:
	case STATE_ANSWER:
	case STATE_STARTTLS:
	case STATE_CHECKING:
		break;
	}
}

static enum step step(struct task *task)
{
	return STEP_DONE;
}

static void finished(struct task *task, enum step result)
{
	struct proxy_session *session = container_of(task, struct proxy_session, task);

	session->handler->ended(session->handler, session);
}

struct proxy_session *proxy_session_new(const struct proxy_context *shared,
	const struct proxy_client *client, struct proxy_session_handler *handler)
{
	struct proxy_session *session = xcalloc(1, sizeof(*session));

	session->context = shared;
	session->handler = handler;
	session->name = xstrdup(client->name);
	session->is_local = client->is_local;
	session->events.event = on_event;
	session->auth_handler.decided = on_decided;
	session->backend_handler.ready = on_store_ready;
	session->backend_handler.failed = on_store_failed;
	session->relay_handler.ended = on_relay_ended;
	task_init(&session->task, shared->loop, step, finished);
	buf_init(&session->in, 2 * LIMIT_LOGIN_LINE);
	buf_init(&session->out, 2 * LIMIT_RELAY);
	login_reader_init(&session->reader);
	ev_timer_init(&session->deadline, on_deadline, LIMIT_LOGIN_SECONDS, 0);
	ev_timer_init(&session->delay, on_delay, 0, 0);
	ev_timer_start(shared->loop->ev, &session->deadline);

	session->stream = stream_new(shared->loop, client->own_fd, &session->events);
	stream_set_keepalive(session->stream, true, 0);
	enter(session, client->implicit_tls ? STATE_HANDSHAKE : STATE_COMMAND);
	reply(session, "* OK [CAPABILITY %s] interimap ready.",
		client->implicit_tls ? "IMAP4rev1 SASL-IR LITERAL+ ID AUTH=PLAIN"
				     : capabilities(session));
	if (!client->implicit_tls)
		flush(session);
	return session;
}

void proxy_session_nudge(struct proxy_session *session, const char *mailbox)
{
	if (session->relay != NULL)
		relay_nudge(session->relay, mailbox);
}

/* What can be said without waiting, when the program ends. */
static void part(struct proxy_session *session)
{
	static const char text[] = "interimap is shutting down.";

	if (session->relay != NULL) {
		relay_say_bye(session->relay, text);
	} else if (session->stream != NULL && is_listening(session)) {
		reply(session, "* BYE %s", text);
		flush(session);
	}
}

struct proxy_session *proxy_session_free(struct proxy_session *session)
{
	if (session == NULL)
		return NULL;
	part(session);
	task_cancel(&session->task);
	ev_timer_stop(session->context->loop->ev, &session->deadline);
	abandon(session);
	relay_free(session->relay);
	stream_free(session->stream);
	login_reader_done(&session->reader);
	buf_wipe(&session->in);
	buf_done(&session->out);
	free(session->tag);
	free(session->name);
	free(session);
	return NULL;
}
