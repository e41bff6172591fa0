/* SPDX-License-Identifier: MIT */
/*
 * The dialogue before login (RFC 3501 section 6.1 and 6.2, RFC 4959 SASL-IR, RFC 7888 LITERAL+, RFC
 * 2971 ID) is written as on_event(), which reads and writes, what a command means
 * (session-commands.c), and proxy_session_enter(), which is what a state begins with.
 *
 * Commands are answered one after the other; while one waits (for the password check, the delay
 * after a wrong one, the store) nothing more is read, so what a client sends behind its LOGIN stays
 * in order and goes to the store.
 */
#include "proxy/session-private.h"

#include <assert.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "proxy/capabilities.h"
#include "sync/base/limits.h"
#include "sync/base/log.h"
#include "sync/base/xalloc.h"
#include "sync/config/endpoint.h"

static const char *const state_names[] = {"handshake", "command", "answer", "starttls", "checking",
	"delayed", "connecting", "relaying", "closing", "ended"};
static_assert(ARRAY_LEN(state_names) == STATE_ENDED + 1, "one name a state");

static const struct log_context *context = &(const struct log_context){.side = "proxy"};

static void start_timer(struct proxy_session *session, struct ev_timer *timer, double seconds)
{
	ev_timer_stop(session->context->loop->ev, timer);
	ev_timer_set(timer, seconds, 0);
	ev_timer_start(session->context->loop->ev, timer);
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
		proxy_session_run_answer(session, login_line(reader));
	else
		proxy_session_run_command(session);
	login_reader_reset(reader, session->state == STATE_ANSWER);
	if (session->bad_commands > LIMIT_BAD_COMMANDS && is_listening(session))
		proxy_session_say_bye(session, "Too many bad commands.");
}

/* Writes, and does what was waiting for the last byte to be written. */
static void write_output(struct proxy_session *session)
{
	flush(session);
	if (buf_len(&session->out) > 0)
		return;
	if (session->state == STATE_STARTTLS)
		proxy_session_enter(session, STATE_HANDSHAKE);
	else if (session->state == STATE_CLOSING)
		stream_shutdown(session->stream);
}

/*
 * What no client of IMAP begins with: a ClientHello of TLS, say.  The end of its line, if it has
 * one, may be far.
 */
static bool begins_oddly(const struct proxy_session *session)
{
	unsigned char first = (unsigned char)*buf_data(&session->in);

	return !session->known && buf_len(&session->reader.text) == 0 &&
	       (first < ' ' || first >= 0x7f) && first != '\r' && first != '\n';
}

/* Uses what was read, as far as commands may run now. */
static void use_input(struct proxy_session *session)
{
	write_output(session);
	while (is_listening(session) && buf_len(&session->in) > 0 && buf_len(&session->out) == 0) {
		size_t used = 0;
		enum login_result result;

		if (begins_oddly(session)) {
			proxy_session_say_bye(session, "This is no IMAP.");
			write_output(session);
			break;
		}
		result = login_reader_feed(
			&session->reader, buf_data(&session->in), buf_len(&session->in), &used);

		buf_consume(&session->in, used);
		if (result == LOGIN_TOO_LONG)
			proxy_session_say_bye(session, "This is too long before login.");
		else if (result == LOGIN_CONTINUE)
			proxy_session_reply(session, "+ Go on.");
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
		proxy_session_enter(session, STATE_ENDED);
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
		proxy_session_enter(session, STATE_COMMAND);
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
		proxy_session_enter(session, STATE_ENDED);
		break;
	}
}

/* --- Login --- */

static void on_decided(struct auth_handler *handler, bool accepted)
{
	struct proxy_session *session = container_of(handler, struct proxy_session, auth_handler);

	session->check = auth_check_free(session->check);
	proxy_session_enter(session, accepted ? STATE_CONNECTING : STATE_DELAYED);
}

static void on_delay(struct ev_loop *ev, struct ev_timer *timer, int revents)
{
	struct proxy_session *session = container_of(timer, struct proxy_session, delay);

	proxy_session_reply_tagged(
		session, "NO [AUTHENTICATIONFAILED] Wrong user name or password.");
	proxy_session_enter(session, STATE_COMMAND);
	if (++session->failures >= LIMIT_LOGIN_FAILURES)
		proxy_session_say_bye(session, "Too many wrong passwords.");
	use_input(session);
}

static void on_deadline(struct ev_loop *ev, struct ev_timer *timer, int revents)
{
	struct proxy_session *session = container_of(timer, struct proxy_session, deadline);

	if (session->state == STATE_CLOSING || session->state == STATE_HANDSHAKE) {
		proxy_session_enter(session, STATE_ENDED);
		return;
	}
	proxy_session_say_bye(session, "Too slow to log in.");
	write_output(session);
}

/* It is just logged in: the client decides about ENABLE, and the relay must see the bytes
 * uncompressed. */
static void connect_store(struct proxy_session *session)
{
	const struct proxy_context *shared = session->context;

	endpoint_trim_log(shared->store);
	session->store = session_new(shared->loop, shared->worker,
		endpoint_session_options(shared->store), &session->store_handler);
}

/* The session knows capabilities in upper case; a client may look for them as the RFCs write them.
 */
static void restore_case(char *list)
{
	static const char known[] = "IMAP4REV", written[] = "IMAP4rev";

	for (char *at = list; (at = strstr(at, known)) != NULL;)
		memcpy(at, written, strlen(written));
}

/* The OK of LOGIN tells what the store can do (RFC 3501 section 7.1, CAPABILITY). */
static void welcome(struct proxy_session *session)
{
	_cleanup_free_ char *list = xstrdup(session_capabilities(session->store));
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

static void on_store_ready(struct session_handler *handler)
{
	struct proxy_session *session = container_of(handler, struct proxy_session, store_handler);
	struct buf leftover;
	struct relay_start start = {
		.from_client = &session->in, .from_store = &leftover, .to_client = &session->out};

	welcome(session);
	buf_init(&leftover, LIMIT_READ);
	start.own_store = session_release_stream(session->store, &leftover);
	start.own_client = take(session->stream);
	session->relay = relay_new(session->context->loop, &start, session->context->receiver,
		session->context->actions, &session->relay_handler);
	session->store = session_free(session->store);
	proxy_session_enter(session, STATE_RELAYING);
}

static void on_store_lost(
	struct session_handler *handler, enum session_failure failure, const char *reason)
{
	struct proxy_session *session = container_of(handler, struct proxy_session, store_handler);
	_cleanup_free_ char *text = xasprintf("NO [UNAVAILABLE] The mail store: %s.", reason);

	log_warning(context, "client %s: the local store: %s", session->name, reason);
	for (char *at = text; *at != '\0'; at++)
		if ((unsigned char)*at < ' ' || (unsigned char)*at >= 0x7f)
			*at = '?'; /* resp-text is printable ASCII */
	session->store = session_free(session->store);
	proxy_session_reply_tagged(session, text);
	start_timer(session, &session->deadline, LIMIT_LOGIN_SECONDS);
	proxy_session_enter(session, STATE_COMMAND);
	use_input(session);
}

static void on_relay_ended(struct relay_handler *handler, const char *reason)
{
	struct proxy_session *session = container_of(handler, struct proxy_session, relay_handler);

	if (reason != NULL)
		log_warning(context, "client %s: %s", session->name, reason);
	session->relay = relay_free(session->relay);
	proxy_session_enter(session, STATE_ENDED);
}

/* --- States --- */

/* Nothing that is under way has a say any more. */
static void abandon(struct proxy_session *session)
{
	ev_timer_stop(session->context->loop->ev, &session->delay);
	session->check = auth_check_free(session->check);
	session->store = session_free(session->store);
}

void proxy_session_enter(struct proxy_session *session, enum session_state state)
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
		start_timer(session, &session->delay,
			auth_delay(shared->auth, ev_now(shared->loop->ev)));
		log_warning(context, "client %s: wrong user name or password (%u lately)",
			session->name, auth_failures(shared->auth));
		break;
	case STATE_CONNECTING:
		/* The store has its own patience. */
		ev_timer_stop(shared->loop->ev, &session->deadline);
		connect_store(session);
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
	session->store_handler.ready = on_store_ready;
	session->store_handler.lost = on_store_lost;
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
	proxy_session_enter(session, client->implicit_tls ? STATE_HANDSHAKE : STATE_COMMAND);
	proxy_session_reply(session, "* OK [CAPABILITY %s] interimap ready.",
		client->implicit_tls ? "IMAP4rev1 SASL-IR LITERAL+ ID AUTH=PLAIN"
				     : proxy_session_capabilities(session));
	if (!client->implicit_tls)
		flush(session);
	return session;
}

/* What it waits for in each state. */
bool proxy_session_is_attended(const struct proxy_session *session)
{
	if (session->task.queued)
		return true;
	switch (session->state) {
	case STATE_HANDSHAKE: /* the greeting waits for its end */
		return ev_is_active(&session->deadline) && stream_is_listening(session->stream);
	case STATE_COMMAND:
	case STATE_ANSWER:
	case STATE_STARTTLS:
		return ev_is_active(&session->deadline) &&
		       (buf_len(&session->out) > 0 ? stream_awaits_room(session->stream)
						   : stream_is_listening(session->stream));
	case STATE_CHECKING:
		return session->check != NULL;
	case STATE_DELAYED:
		return ev_is_active(&session->delay);
	case STATE_CONNECTING:
		return session_is_attended(session->store);
	case STATE_RELAYING:
		return relay_is_attended(session->relay);
	case STATE_CLOSING:
		return ev_is_active(&session->deadline);
	case STATE_ENDED:
		break;
	}
	return false;
}

void proxy_session_say_state(const struct proxy_session *session)
{
	(void)fprintf(stderr, "  client %s: %s, %zu bytes read, %zu to write\n", session->name,
		state_names[session->state], buf_len(&session->in), buf_len(&session->out));
	if (session->relay != NULL)
		relay_say_state(session->relay);
}

bool proxy_session_is_guest(const struct proxy_session *session)
{
	switch (session->state) {
	case STATE_CHECKING:
	case STATE_CONNECTING:
	case STATE_RELAYING:
	case STATE_ENDED:
		return false;
	default:
		return true;
	}
}

bool proxy_session_has_ended(const struct proxy_session *session)
{
	return session->state == STATE_ENDED;
}

void proxy_session_give_way(struct proxy_session *session)
{
	if (is_listening(session)) {
		proxy_session_reply(session, "* BYE Others want to log in.");
		flush(session);
	}
	abandon(session);
	proxy_session_enter(session, STATE_ENDED);
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
		proxy_session_reply(session, "* BYE %s", text);
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
