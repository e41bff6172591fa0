/* SPDX-License-Identifier: MIT */
/*
 * TLS.  OpenSSL reads from the filter below through a BIO of ours, and writes into a bounded buffer
 * from which push() sends.  So a record, once made, never has to be offered again with the same
 * bytes, several records leave in one send(), and it works upon anything that is a filter.
 */
#include <assert.h>
#include <errno.h>
#include <openssl/err.h>
#include <stdlib.h>
#include <string.h>

#include "sync/base/buf.h"
#include "sync/base/limits.h"
#include "sync/base/xalloc.h"
#include "sync/net/filter.h"
#include "sync/net/tls-private.h"

enum {
	RECORD = 16 << 10, /* most plaintext of one record (RFC 8446 section 5.1) */
	OUTPUT_MAX = LIMIT_FILTER_OUTPUT + 96 * 1024, /* beside records: our certificates */
	BINDING_SIZE = 64,
};

struct filter_tls {
	struct filter filter;
	SSL *ssl;
	struct tls_peer peer;
	struct buf out;
	int lower_error; /* of the last read, negative errno, 0 for none */
	bool lower_eof;
	bool starved; /* OpenSSL wants more input from below before it can give any */
	bool output_blocked; /* OpenSSL must write before it can read on */
	bool retry; /* that was so, and is no more */
	bool established; /* the handshake is done */
	bool failed; /* the connection is beyond an orderly end */
	char *description;
	unsigned char binding[BINDING_SIZE];
};

static struct filter_tls *tls_of(const struct filter *filter)
{
	return container_of(filter, struct filter_tls, filter);
}

static int bio_read(BIO *bio, char *data, int n)
{
	struct filter_tls *tls = BIO_get_data(bio);
	struct filter *lower = tls->filter.lower;
	ssize_t got;

	BIO_clear_retry_flags(bio);
	if (n <= 0)
		return 0;
	got = lower->class->recv(lower, data, (size_t)n);
	if (got > 0)
		return (int)got;
	if (got == 0) {
		tls->lower_eof = true;
		return 0;
	}
	if (got == -EAGAIN)
		BIO_set_retry_read(bio);
	else
		tls->lower_error = (int)got;
	return -1;
}

static int bio_write(BIO *bio, const char *data, int n)
{
	struct filter_tls *tls = BIO_get_data(bio);

	BIO_clear_retry_flags(bio);
	if (n <= 0)
		return 0;
	if (!buf_append(&tls->out, data, (size_t)n)) {
		BIO_set_retry_write(bio);
		return -1;
	}
	return n;
}

static long bio_ctrl(BIO *bio, int command, long number, void *data)
{
	const struct filter_tls *tls = BIO_get_data(bio);

	switch (command) {
	case BIO_CTRL_FLUSH:
		return 1;
	case BIO_CTRL_EOF:
		return tls->lower_eof;
	default:
		return 0;
	}
}

/* Made once, for the life of the process. */
static const BIO_METHOD *bio_method(void)
{
	static BIO_METHOD *method;

	if (method != NULL)
		return method;
	method = BIO_meth_new(BIO_get_new_index() | BIO_TYPE_SOURCE_SINK, "filter");
	if (method == NULL || BIO_meth_set_read(method, bio_read) != 1 ||
		BIO_meth_set_write(method, bio_write) != 1 ||
		BIO_meth_set_ctrl(method, bio_ctrl) != 1)
		abort();
	return method;
}

/* What a peer without TLS on this port looks like. */
static bool is_no_tls(int reason)
{
	return reason == SSL_R_WRONG_VERSION_NUMBER || reason == SSL_R_HTTP_REQUEST ||
	       reason == SSL_R_PACKET_LENGTH_TOO_LONG || reason == SSL_R_UNKNOWN_PROTOCOL;
}

static void explain(struct filter_tls *tls)
{
	bool handshake = !tls->established;
	unsigned long code = ERR_peek_error();
	const char *text = ERR_reason_error_string(code);

	if (tls->peer.reason != NULL)
		filter_fail(&tls->filter, "%s", tls->peer.reason);
	else if (handshake && is_no_tls(ERR_GET_REASON(code)))
		filter_fail(
			&tls->filter, "TLS handshake failed: the other side does not speak TLS");
	else
		filter_fail(&tls->filter, "%s: %s",
			handshake ? "TLS handshake failed" : "TLS connection failed",
			text != NULL ? text : "unknown error");
}

/*
 * The outcome of a call of OpenSSL that did not succeed: 0 at the end of the input, -EAGAIN, or
 * another -errno.  A missing close_notify (RFC 8446 section 6.1) is an end as well: many servers
 * omit it, and an IMAP response cut short is recognised as such by its grammar.
 */
static int outcome(struct filter_tls *tls, int result)
{
	switch (SSL_get_error(tls->ssl, result)) {
	case SSL_ERROR_WANT_READ:
		tls->starved = true;
		return -EAGAIN;
	case SSL_ERROR_WANT_WRITE:
		tls->output_blocked = true;
		return -EAGAIN;
	case SSL_ERROR_ZERO_RETURN:
		return 0;
	default:
		break;
	}
	if (tls->lower_error != 0) {
		tls->failed = true;
		return tls->lower_error;
	}
	if (tls->lower_eof &&
		(ERR_peek_error() == 0 ||
			ERR_GET_REASON(ERR_peek_error()) == SSL_R_UNEXPECTED_EOF_WHILE_READING)) {
		tls->failed = true;
		return 0;
	}
	tls->failed = true;
	explain(tls);
	return -EPROTO;
}

static ssize_t tls_recv(struct filter *filter, void *data, size_t n)
{
	struct filter_tls *tls = tls_of(filter);
	size_t got;
	int r;

	if (tls->failed && tls->lower_eof)
		return 0;
	ERR_clear_error();
	tls->starved = tls->retry = false;
	r = SSL_read_ex(tls->ssl, data, n, &got);
	return r == 1 ? (ssize_t)got : outcome(tls, r);
}

static int tls_push(struct filter *filter)
{
	struct filter_tls *tls = tls_of(filter);
	struct filter *lower = filter->lower;

	while (buf_len(&tls->out) > 0) {
		ssize_t sent = lower->class->send(lower, buf_data(&tls->out), buf_len(&tls->out));

		if (sent == -EAGAIN)
			return 0;
		if (sent < 0)
			return (int)sent;
		buf_consume(&tls->out, (size_t)sent);
		if (tls->output_blocked) {
			tls->output_blocked = false;
			tls->retry = true;
		}
	}
	return 0;
}

static bool tls_has_room(const struct filter *filter)
{
	return buf_len(&tls_of(filter)->out) < LIMIT_FILTER_OUTPUT;
}

static ssize_t tls_send(struct filter *filter, const void *data, size_t n)
{
	struct filter_tls *tls = tls_of(filter);
	size_t sent;
	int r;

	if (!tls_has_room(filter)) {
		r = tls_push(filter);
		if (r < 0)
			return r;
		if (!tls_has_room(filter))
			return -EAGAIN;
	}
	ERR_clear_error();
	r = SSL_write_ex(tls->ssl, data, n < RECORD ? n : RECORD, &sent);
	if (r == 1)
		return (ssize_t)sent;
	r = outcome(tls, r);
	return r == 0 ? -EPIPE : r;
}

static void tls_flush(struct filter *filter)
{
}

static void tls_shutdown(struct filter *filter)
{
	struct filter_tls *tls = tls_of(filter);

	if (tls->failed)
		return;
	ERR_clear_error();
	(void)SSL_shutdown(tls->ssl); /* only makes the close_notify; the peer's is not awaited */
	ERR_clear_error();
}

static bool tls_has_input(const struct filter *filter)
{
	const struct filter_tls *tls = tls_of(filter);

	if (tls->retry)
		return true;
	if (tls->starved || tls->output_blocked || tls->failed)
		return false;
	return SSL_has_pending(tls->ssl) != 0;
}

static bool tls_has_output(const struct filter *filter)
{
	return buf_len(&tls_of(filter)->out) > 0;
}

static void tls_filter_free(struct filter *filter)
{
	struct filter_tls *tls = tls_of(filter);

	SSL_free(tls->ssl);
	buf_wipe(&tls->out);
	free(tls->peer.host);
	free(tls->peer.reason);
	free(tls->description);
	explicit_bzero(tls->binding, sizeof(tls->binding));
	free(tls);
}

static const struct filter_class tls_class = {
	.recv = tls_recv,
	.send = tls_send,
	.push = tls_push,
	.flush = tls_flush,
	.shutdown = tls_shutdown,
	.has_input = tls_has_input,
	.has_output = tls_has_output,
	.has_room = tls_has_room,
	.free = tls_filter_free,
};

/* Without the brackets of an IPv6 literal and without a final dot, neither of which a certificate
 * has. */
static char *plain_host(const char *host)
{
	size_t n = strlen(host);

	if (n >= 2 && host[0] == '[' && host[n - 1] == ']')
		return xstrndup(host + 1, n - 2);
	if (n >= 2 && host[n - 1] == '.')
		n--;
	return xstrndup(host, n);
}

static void prepare_client(struct filter_tls *tls, const char *host_name)
{
	const struct tls_context *context = tls->peer.context;
	const char *name;

	SSL_set_connect_state(tls->ssl);
	tls->peer.host = plain_host(host_name);
	name = context->server_name;
	if (name == NULL)
		name = tls_is_ip(tls->peer.host) ? "" : tls->peer.host;
	/* A name that OpenSSL refuses is too long for any certificate: the match would fail. */
	if ((context->verify && !tls_expect_host(tls->ssl, tls->peer.host)) ||
		(name[0] != '\0' && SSL_set_tlsext_host_name(tls->ssl, name) != 1))
		filter_fail(&tls->filter, "\"%s\" is not a host name", tls->peer.host);
}

struct filter *filter_tls_new(const struct tls_context *context, const char *host_name)
{
	struct filter_tls *tls = xcalloc(1, sizeof(*tls));
	BIO *bio = BIO_new(bio_method());

	tls->filter.class = &tls_class;
	tls->ssl = SSL_new(context->ctx);
	if (tls->ssl == NULL || bio == NULL)
		abort();
	BIO_set_data(bio, tls);
	BIO_set_init(bio, 1);
	SSL_set_bio(tls->ssl, bio, bio);
	tls->peer.context = context;
	SSL_set_app_data(tls->ssl, &tls->peer);
	buf_init(&tls->out, OUTPUT_MAX);
	if (host_name != NULL)
		prepare_client(tls, host_name);
	else
		SSL_set_accept_state(tls->ssl);
	return &tls->filter;
}

int filter_tls_handshake(struct filter *filter)
{
	struct filter_tls *tls = tls_of(filter);
	int r;

	if (filter->error != NULL)
		return -EINVAL;
	ERR_clear_error();
	tls->starved = tls->retry = false;
	r = SSL_do_handshake(tls->ssl);
	if (r == 1) {
		tls->established = true;
		return 0;
	}
	r = outcome(tls, r);
	if (r == 0) {
		filter_fail(filter, "connection closed by the other side during the TLS handshake");
		return -EPROTO;
	}
	return r;
}

const char *filter_tls_description(struct filter *filter)
{
	struct filter_tls *tls = tls_of(filter);

	if (tls->description == NULL)
		tls->description = xasprintf(
			"%s with %s", SSL_get_version(tls->ssl), SSL_get_cipher_name(tls->ssl));
	return tls->description;
}

/*
 * TLS 1.3 has tls-exporter (RFC 9266); before, tls-unique (RFC 5929 section 3) is the first
 * Finished message, here always the client's as no session is resumed.  Without the extended master
 * secret (RFC 7627) it does not bind to this connection alone.
 */
bool filter_tls_channel_binding(
	struct filter *filter, const char **ret_type, const void **ret_data, size_t *ret_size)
{
	static const char label[] = "EXPORTER-Channel-Binding";
	struct filter_tls *tls = tls_of(filter);
	size_t n;

	if (SSL_version(tls->ssl) >= TLS1_3_VERSION) {
		n = 32;
		if (SSL_export_keying_material(tls->ssl, tls->binding, n, label, sizeof(label) - 1,
			    (const unsigned char *)"", 0, 1) != 1)
			return false;
		*ret_type = "tls-exporter";
	} else {
		if (SSL_get_extms_support(tls->ssl) != 1 || SSL_session_reused(tls->ssl))
			return false;
		n = SSL_is_server(tls->ssl)
			    ? SSL_get_peer_finished(tls->ssl, tls->binding, BINDING_SIZE)
			    : SSL_get_finished(tls->ssl, tls->binding, BINDING_SIZE);
		if (n == 0 || n > BINDING_SIZE)
			return false;
		*ret_type = "tls-unique";
	}
	*ret_data = tls->binding;
	*ret_size = n;
	return true;
}
