/* SPDX-License-Identifier: MIT */
/* What a client may ask before it has logged in (RFC 3501 sections 6.1 and 6.2). */
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "proxy/session-private.h"
#include "sync/base/xalloc.h"

void proxy_session_reply(struct proxy_session *session, const char *fmt, ...)
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

void proxy_session_reply_tagged(struct proxy_session *session, const char *text)
{
	_cleanup_free_ char *tag = take(session->tag);

	proxy_session_reply(session, "%s %s", tag != NULL ? tag : "*", text);
}

void proxy_session_say_bye(struct proxy_session *session, const char *text)
{
	proxy_session_reply(session, "* BYE %s", text);
	proxy_session_enter(session, STATE_CLOSING);
}

static bool may_log_in(const struct proxy_session *session)
{
	return session->is_local || session->context->tls == NULL || stream_is_tls(session->stream);
}

const char *proxy_session_capabilities(const struct proxy_session *session)
{
	if (stream_is_tls(session->stream) || session->context->tls == NULL)
		return "IMAP4rev1 SASL-IR LITERAL+ ID AUTH=PLAIN";
	if (may_log_in(session))
		return "IMAP4rev1 SASL-IR LITERAL+ ID STARTTLS AUTH=PLAIN";
	return "IMAP4rev1 SASL-IR LITERAL+ ID STARTTLS LOGINDISABLED";
}

static bool run_capability(struct proxy_session *session, struct lexer *arguments)
{
	if (!lex_at_end(arguments))
		return false;
	proxy_session_reply(session, "* CAPABILITY %s", proxy_session_capabilities(session));
	proxy_session_reply_tagged(session, "OK Capabilities listed.");
	return true;
}

static bool run_noop(struct proxy_session *session, struct lexer *arguments)
{
	if (!lex_at_end(arguments))
		return false;
	proxy_session_reply_tagged(session, "OK Nothing done.");
	return true;
}

static bool run_id(struct proxy_session *session, struct lexer *arguments)
{
	if (!lex_space(arguments) || !lex_skip_value(arguments) || !lex_at_end(arguments))
		return false;
	proxy_session_reply(
		session, "* ID (\"name\" \"interimap\" \"version\" \"%s\")", INTERIMAP_VERSION);
	proxy_session_reply_tagged(session, "OK Pleased to meet you.");
	return true;
}

static bool run_logout(struct proxy_session *session, struct lexer *arguments)
{
	if (!lex_at_end(arguments))
		return false;
	proxy_session_reply(session, "* BYE Logging out.");
	proxy_session_reply_tagged(session, "OK Logged out.");
	proxy_session_enter(session, STATE_CLOSING);
	return true;
}

static bool run_starttls(struct proxy_session *session, struct lexer *arguments)
{
	if (!lex_at_end(arguments) || session->context->tls == NULL ||
		stream_is_tls(session->stream))
		return false;
	if (buf_len(&session->in) > 0) {
		/* Bytes that came in clear text would be taken for the client's own under TLS. */
		proxy_session_say_bye(session, "Nothing may follow STARTTLS before the handshake.");
		return true;
	}
	proxy_session_reply_tagged(session, "OK Begin TLS negotiation now.");
	proxy_session_enter(session, STATE_STARTTLS);
	return true;
}

static void check_password(struct proxy_session *session, const char *user, const char *password)
{
	session->check =
		auth_check_new(session->context->auth, user, password, &session->auth_handler);
	proxy_session_enter(session, STATE_CHECKING);
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
	proxy_session_reply_tagged(session, "NO [PRIVACYREQUIRED] Log in after STARTTLS only.");
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
void proxy_session_run_answer(struct proxy_session *session, struct slice message)
{
	char *user = NULL, *password = NULL;

	if (message.len == 1 && message.data[0] == '*') {
		proxy_session_reply_tagged(session, "BAD Authentication cancelled.");
		proxy_session_enter(session, STATE_COMMAND);
	} else if (!login_decode_plain(message, &user, &password)) {
		proxy_session_reply_tagged(
			session, "BAD This is no message of the PLAIN mechanism.");
		session->bad_commands++;
		proxy_session_enter(session, STATE_COMMAND);
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
		proxy_session_reply_tagged(
			session, "NO [CANNOT] Only the PLAIN mechanism is known here.");
		return true;
	}
	if (lex_space(arguments)) {
		proxy_session_run_answer(session, lex_rest(arguments));
		return true;
	}
	if (!lex_at_end(arguments))
		return false;
	proxy_session_reply(session, "+ ");
	proxy_session_enter(session, STATE_ANSWER);
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
	proxy_session_reply_tagged(session, text);
	session->bad_commands++;
}

/* "GET / HTTP/1.1" has a tag, and the end of a line, too.  All commands are words of letters. */
static bool is_imap(const struct login_command *command)
{
	for (size_t i = 0; i < command->name.len; i++) {
		char lower = (char)(command->name.data[i] | 0x20);

		if (lower < 'a' || lower > 'z')
			return false;
	}
	return command->name.len > 0;
}

void proxy_session_run_command(struct proxy_session *session)
{
	struct login_command command;
	bool is_command = login_parse(&session->reader, &command);

	if (command.tag.len == 0 && login_line(&session->reader).len == 0)
		return; /* an empty line */
	if (!session->known && !is_imap(&command)) {
		proxy_session_say_bye(session, "This is no IMAP.");
		return;
	}
	session->known = true;
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
