/* SPDX-License-Identifier: MIT */
/*
 * A dialogue of at most three questions.  Each answer is read to exactly its length, as what comes
 * after the last one is the server's.
 */
#include "sync/net/socks5.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "sync/base/buf.h"
#include "sync/base/loop.h"
#include "sync/base/xalloc.h"
#include "sync/net/reason.h"
#include "sync/net/resolve.h"

enum {
	VERSION = 5,
	AUTH_VERSION = 1, /* of RFC 1929 */
	METHOD_NONE = 0,
	METHOD_PASSWORD = 2,
	COMMAND_CONNECT = 1,
	TYPE_IPV4 = 1,
	TYPE_NAME = 3,
	TYPE_IPV6 = 4,
	REPLY_HEAD = 5, /* of an answer to CONNECT: as far as the length of a name */
	STRING_MAX = 255,
	QUESTION_MAX = 3 + 2 * STRING_MAX,
	ANSWER_MAX = 4 + 1 + STRING_MAX + 2,
	DEFAULT_PORT = 1080,
};

enum socks5_state {
	SOCKS5_METHOD, /* asked which authentication it wants */
	SOCKS5_PASSWORD, /* sent user and password */
	SOCKS5_HEAD, /* sent CONNECT */
	SOCKS5_TAIL, /* know how long its answer is */
	SOCKS5_DONE,
	SOCKS5_FAILED,
};

struct socks5 {
	struct loop *loop;
	struct task *waiter;
	const struct socks5_proxy *proxy;
	enum socks5_state state;
	struct ev_io io;
	int fd;
	struct buf out;
	unsigned char answer[ANSWER_MAX];
	size_t have, need; /* bytes of the answer */
	unsigned char request[ANSWER_MAX];
	size_t request_size;
	char *reason;
	bool target_failed;
};

/* --- The address of the proxy --- */

static bool parse_host(char *text, struct socks5_proxy *proxy)
{
	char *end, *port = NULL;

	if (text[0] == '[') {
		end = strchr(++text, ']');
		if (end == NULL)
			return false;
		*end++ = '\0';
		if (*end == ':')
			port = end + 1;
		else if (*end != '\0')
			return false;
	} else {
		port = strchr(text, ':');
		if (port != NULL)
			*port++ = '\0';
	}
	proxy->port = port != NULL ? resolve_port(port) : DEFAULT_PORT;
	if (text[0] == '\0' || proxy->port == 0)
		return false;
	proxy->host = xstrdup(text);
	return true;
}

static bool parse_login(char *text, struct socks5_proxy *proxy)
{
	char *colon = strchr(text, ':');

	if (colon == NULL)
		return false;
	*colon++ = '\0';
	/* Each length is an octet, and not zero (RFC 1929 section 2). */
	if (text[0] == '\0' || strlen(text) > STRING_MAX || colon[0] == '\0' ||
		strlen(colon) > STRING_MAX)
		return false;
	proxy->user = xstrdup(text);
	proxy->password = xstrdup(colon);
	return true;
}

char *socks5_parse(const char *url, struct socks5_proxy *ret_proxy)
{
	struct socks5_proxy proxy = {0};
	const char *rest = strstr(url, "://");
	char *copy, *host, *at, *reason = NULL;

	if (rest == NULL)
		return xstrdup("the proxy is not of the form "
			       "PROTOCOL://[USER:PASSWORD@]HOST[:PORT]");
	proxy.proxy_resolves = strncmp(url, "socks5h://", 10) == 0;
	if (!proxy.proxy_resolves && strncmp(url, "socks5://", 9) != 0)
		return xasprintf("unknown proxy protocol \"%.*s\" (known are socks5 and socks5h)",
			(int)(rest - url), url);
	copy = xstrdup(rest + 3);
	host = copy;
	at = strrchr(copy, '@'); /* the last one: a password may hold others */
	if (at != NULL) {
		*at = '\0';
		host = at + 1;
	}
	if (at != NULL && !parse_login(copy, &proxy))
		reason = xstrdup("the proxy's USER:PASSWORD needs 1 to 255 bytes each");
	else if (!parse_host(host, &proxy))
		reason = xstrdup("the proxy's HOST[:PORT] is not valid");
	explicit_bzero(copy, strlen(rest + 3));
	free(copy);
	if (reason != NULL)
		socks5_proxy_done(&proxy);
	else
		*ret_proxy = proxy;
	return reason;
}

void socks5_proxy_done(struct socks5_proxy *proxy)
{
	free(proxy->host);
	free(proxy->user);
	if (proxy->password != NULL)
		explicit_bzero(proxy->password, strlen(proxy->password));
	free(proxy->password);
	*proxy = (struct socks5_proxy){0};
}

/* --- The dialogue --- */

static void update(struct socks5 *s)
{
	ev_io_stop(s->loop->ev, &s->io);
	if (s->state >= SOCKS5_DONE) {
		buf_wipe(&s->out);
		task_wake(s->waiter);
		return;
	}
	ev_io_set(&s->io, s->fd, buf_len(&s->out) > 0 ? EV_WRITE : EV_READ);
	ev_io_start(s->loop->ev, &s->io);
}

static void enter(struct socks5 *s, enum socks5_state state, size_t need)
{
	s->state = state;
	s->need = need;
	if (state != SOCKS5_TAIL)
		s->have = 0;
}

static void fail(struct socks5 *s, char *own_reason)
{
	s->reason = own_reason;
	enter(s, SOCKS5_FAILED, 0);
}

static void ask_connect(struct socks5 *s)
{
	(void)buf_append(&s->out, s->request, s->request_size);
	enter(s, SOCKS5_HEAD, REPLY_HEAD);
}

static void ask_password(struct socks5 *s)
{
	const char *user = s->proxy->user, *password = s->proxy->password;

	(void)buf_putc(&s->out, AUTH_VERSION);
	(void)buf_putc(&s->out, (char)strlen(user));
	(void)buf_puts(&s->out, user);
	(void)buf_putc(&s->out, (char)strlen(password));
	(void)buf_puts(&s->out, password);
	enter(s, SOCKS5_PASSWORD, 2);
}

static void on_method(struct socks5 *s)
{
	if (s->answer[0] != VERSION)
		fail(s, xstrdup("the proxy does not speak SOCKS version 5"));
	else if (s->answer[1] == METHOD_NONE)
		ask_connect(s);
	else if (s->answer[1] == METHOD_PASSWORD && s->proxy->user != NULL)
		ask_password(s);
	else if (s->proxy->user == NULL)
		fail(s, xstrdup("the proxy wants a user name and password"));
	else
		fail(s, xstrdup("the proxy wants an authentication that is not known here"));
}

static void on_password(struct socks5 *s)
{
	if (s->answer[1] == 0)
		ask_connect(s);
	else
		fail(s, xstrdup("the proxy refused user name and password"));
}

/* RFC 1928 section 6. */
static void on_refusal(struct socks5 *s, unsigned code)
{
	static const char *const text[] = {
		[1] = "general failure",
		[2] = "not allowed by its rules",
		[3] = "network unreachable",
		[4] = "host unreachable",
		[5] = "connection refused",
		[6] = "time to live expired",
		[7] = "command not supported",
		[8] = "address type not supported",
	};

	s->target_failed = true;
	if (code < ARRAY_LEN(text) && text[code] != NULL)
		fail(s, xasprintf("the proxy could not connect: %s", text[code]));
	else
		fail(s, xasprintf("the proxy could not connect: code %u", code));
}

static void on_head(struct socks5 *s)
{
	size_t address;

	if (s->answer[0] != VERSION) {
		fail(s, xstrdup("the proxy does not speak SOCKS version 5"));
		return;
	}
	if (s->answer[1] != 0) {
		on_refusal(s, s->answer[1]);
		return;
	}
	switch (s->answer[3]) {
	case TYPE_IPV4:
		address = 4;
		break;
	case TYPE_IPV6:
		address = 16;
		break;
	case TYPE_NAME:
		address = 1 + (size_t)s->answer[4];
		break;
	default:
		fail(s, xstrdup("the proxy sent an invalid answer"));
		return;
	}
	enter(s, SOCKS5_TAIL, 4 + address + 2);
}

static void on_answer(struct socks5 *s)
{
	switch (s->state) {
	case SOCKS5_METHOD:
		on_method(s);
		break;
	case SOCKS5_PASSWORD:
		on_password(s);
		break;
	case SOCKS5_HEAD:
		on_head(s);
		break;
	case SOCKS5_TAIL:
		enter(s, SOCKS5_DONE, 0);
		break;
	case SOCKS5_DONE:
	case SOCKS5_FAILED:
		break;
	}
}

/* 0 or -errno; -EAGAIN when there is more to come. */
static int write_question(struct socks5 *s)
{
	ssize_t sent = send(s->fd, buf_data(&s->out), buf_len(&s->out), MSG_NOSIGNAL);

	if (sent < 0)
		return errno == EINTR ? -EAGAIN : -errno;
	buf_consume(&s->out, (size_t)sent);
	return buf_len(&s->out) > 0 ? -EAGAIN : 0;
}

static int read_answer(struct socks5 *s)
{
	ssize_t got = recv(s->fd, s->answer + s->have, s->need - s->have, 0);

	if (got < 0)
		return errno == EINTR ? -EAGAIN : -errno;
	if (got == 0)
		return -EPIPE;
	s->have += (size_t)got;
	return s->have < s->need ? -EAGAIN : 0;
}

static void on_event(struct ev_loop *ev, struct ev_io *watcher, int revents)
{
	struct socks5 *s = container_of(watcher, struct socks5, io);
	_cleanup_free_ char *why = NULL;
	bool writing = buf_len(&s->out) > 0;
	int r = writing ? write_question(s) : read_answer(s);

	if (r == -EPIPE) {
		fail(s, xstrdup("the proxy closed the connection"));
	} else if (r < 0 && r != -EAGAIN) {
		why = reason_errno(r);
		fail(s, xasprintf("the connection to the proxy failed: %s", why));
	} else if (r == 0 && !writing) {
		on_answer(s);
	}
	update(s);
}

/* Makes the CONNECT (RFC 1928 section 4).  False for a name that is too long for it. */
static bool make_request(struct socks5 *s, const struct socks5_target *target)
{
	size_t name = target->address == NULL ? strlen(target->name) : 0;
	struct buf request;

	if (target->address == NULL && (name == 0 || name > STRING_MAX))
		return false;
	buf_init(&request, sizeof(s->request));
	(void)buf_append(&request, (const char[]){VERSION, COMMAND_CONNECT, 0}, 3);
	if (target->address == NULL) {
		(void)buf_putc(&request, TYPE_NAME);
		(void)buf_putc(&request, (char)name);
		(void)buf_append(&request, target->name, name);
	} else if (target->address->sa_family == AF_INET) {
		(void)buf_putc(&request, TYPE_IPV4);
		(void)buf_append(&request,
			&((const struct sockaddr_in *)(const void *)target->address)->sin_addr, 4);
	} else {
		(void)buf_putc(&request, TYPE_IPV6);
		(void)buf_append(&request,
			&((const struct sockaddr_in6 *)(const void *)target->address)->sin6_addr,
			16);
	}
	(void)buf_putc(&request, (char)(target->port >> 8));
	(void)buf_putc(&request, (char)(target->port & 0xff));
	s->request_size = buf_len(&request);
	memcpy(s->request, buf_data(&request), s->request_size);
	buf_done(&request);
	return true;
}

struct socks5 *socks5_start(struct loop *loop, int own_fd, const struct socks5_proxy *proxy,
	const struct socks5_target *target, struct task *waiter)
{
	static const char plain[] = {VERSION, 1, METHOD_NONE};
	static const char with_password[] = {VERSION, 2, METHOD_NONE, METHOD_PASSWORD};
	struct socks5 *s = xcalloc(1, sizeof(*s));

	s->loop = loop;
	s->waiter = waiter;
	s->proxy = proxy;
	s->fd = own_fd;
	buf_init(&s->out, QUESTION_MAX);
	ev_io_init(&s->io, on_event, own_fd, EV_WRITE);
	if (proxy->user != NULL)
		(void)buf_append(&s->out, with_password, sizeof(with_password));
	else
		(void)buf_append(&s->out, plain, sizeof(plain));
	enter(s, SOCKS5_METHOD, 2);
	if (!make_request(s, target))
		fail(s, xstrdup("the host name is too long for the proxy"));
	update(s);
	return s;
}

bool socks5_is_done(const struct socks5 *socks5)
{
	return socks5->state >= SOCKS5_DONE;
}

int socks5_take(struct socks5 *socks5)
{
	int fd = socks5->fd;

	if (socks5->state != SOCKS5_DONE)
		return -1;
	socks5->fd = -1;
	return fd;
}

const char *socks5_reason(const struct socks5 *socks5)
{
	return socks5->reason;
}

bool socks5_is_target_failure(const struct socks5 *socks5)
{
	return socks5->target_failed;
}

struct socks5 *socks5_free(struct socks5 *socks5)
{
	if (socks5 == NULL)
		return NULL;
	ev_io_stop(socks5->loop->ev, &socks5->io);
	if (socks5->fd >= 0)
		(void)close(socks5->fd);
	buf_wipe(&socks5->out);
	free(socks5->reason);
	free(socks5);
	return NULL;
}
