/* SPDX-License-Identifier: MIT */
#include "sync/net/tls.h"

#include <openssl/err.h>
#include <stdlib.h>
#include <string.h>

#include "sync/base/xalloc.h"
#include "sync/net/tls-private.h"

struct protocol {
	const char *name;
	int version;
	uint64_t disable; /* SSL_OP_NO_…; 0 where OpenSSL has it no more */
};

static const struct protocol protocols[] = {
	{"SSLv2", 0, 0},
	{"SSLv3", SSL3_VERSION, SSL_OP_NO_SSLv3},
	{"TLSv1", TLS1_VERSION, SSL_OP_NO_TLSv1},
	{"TLSv1.1", TLS1_1_VERSION, SSL_OP_NO_TLSv1_1},
	{"TLSv1.2", TLS1_2_VERSION, SSL_OP_NO_TLSv1_2},
	{"TLSv1.3", TLS1_3_VERSION, SSL_OP_NO_TLSv1_3},
};

static const struct protocol *find_protocol(const char *name)
{
	for (size_t i = 0; i < ARRAY_LEN(protocols); i++)
		if (strcmp(protocols[i].name, name) == 0)
			return &protocols[i];
	return NULL;
}

/*
 * What went wrong, for the end of a sentence: of the errors that OpenSSL queued, the first if the
 * system reported it, else the last.
 */
static const char *openssl_reason(void)
{
	unsigned long code = ERR_peek_error();
	const char *text;

	if (ERR_SYSTEM_ERROR(code))
		return strerror(ERR_GET_REASON(code));
	code = ERR_peek_last_error();
	text = ERR_reason_error_string(code);
	return text != NULL ? text : "unknown error";
}

static char *set_bound(SSL_CTX *ctx, const char *name, bool is_min)
{
	const struct protocol *protocol;

	if (name == NULL)
		return NULL;
	protocol = find_protocol(name);
	if (protocol == NULL || protocol->version == 0)
		return xasprintf("unknown TLS protocol version \"%s\"", name);
	if ((is_min ? SSL_CTX_set_min_proto_version(ctx, protocol->version)
		    : SSL_CTX_set_max_proto_version(ctx, protocol->version)) != 1)
		return xasprintf("OpenSSL does not support protocol version %s", name);
	return NULL;
}

/*
 * "A B" enables only these, "!A" disables A.  Enabling one that is older than our minimum lowers
 * the minimum, as otherwise it would not be enabled at all.
 */
static char *set_protocols(SSL_CTX *ctx, const char *list)
{
	_cleanup_free_ char *copy = xstrdup(list);
	uint64_t enabled = 0, disabled = 0, all = 0;
	char *rest = copy, *word;
	int oldest = 0;

	for (size_t i = 0; i < ARRAY_LEN(protocols); i++)
		all |= protocols[i].disable;
	while ((word = strsep(&rest, " \t")) != NULL) {
		bool off = word[0] == '!';
		const struct protocol *protocol = find_protocol(word + off);

		if (word[0] == '\0')
			continue;
		if (protocol == NULL)
			return xasprintf("unknown TLS protocol version \"%s\"", word + off);
		if (!off && protocol->disable == 0)
			return xasprintf("OpenSSL does not support protocol version %s", word);
		if (off)
			disabled |= protocol->disable;
		else
			enabled |= protocol->disable;
		if (!off && (oldest == 0 || protocol->version < oldest))
			oldest = protocol->version;
	}
	if (enabled != 0)
		disabled |= all & ~enabled;
	(void)SSL_CTX_set_options(ctx, disabled);
	if (oldest != 0 && oldest < TLS1_2_VERSION)
		(void)SSL_CTX_set_min_proto_version(ctx, oldest);
	return NULL;
}

static char *set_versions(SSL_CTX *ctx, const struct tls_options *options)
{
	char *reason = NULL;

	if (options->protocols != NULL)
		reason = set_protocols(ctx, options->protocols);
	if (reason == NULL)
		reason = set_bound(ctx, options->protocol_min, true);
	if (reason == NULL)
		reason = set_bound(ctx, options->protocol_max, false);
	return reason;
}

static char *set_ciphers(SSL_CTX *ctx, const struct tls_options *options)
{
	if (options->cipher_list != NULL && SSL_CTX_set_cipher_list(ctx, options->cipher_list) != 1)
		return xasprintf("no usable cipher in \"%s\"", options->cipher_list);
	if (options->cipher_suites != NULL &&
		SSL_CTX_set_ciphersuites(ctx, options->cipher_suites) != 1)
		return xasprintf("no usable cipher suite in \"%s\"", options->cipher_suites);
	return NULL;
}

static char *set_trust(SSL_CTX *ctx, const struct tls_options *options)
{
	if (!options->verify)
		return NULL;
	if (options->ca_file == NULL && options->ca_path == NULL &&
		SSL_CTX_set_default_verify_paths(ctx) != 1)
		return xstrdup("cannot use the system's trusted certificates");
	if (options->ca_file != NULL && SSL_CTX_load_verify_file(ctx, options->ca_file) != 1)
		return xasprintf("cannot read trusted certificates from %s: %s", options->ca_file,
			openssl_reason());
	if (options->ca_path != NULL && SSL_CTX_load_verify_dir(ctx, options->ca_path) != 1)
		return xasprintf("cannot read trusted certificates from %s: %s", options->ca_path,
			openssl_reason());
	return NULL;
}

/* What both sides have in common; aborts only for want of memory. */
static struct tls_context *context_new(const SSL_METHOD *method)
{
	struct tls_context *context = xcalloc(1, sizeof(*context));
	SSL_CTX *ctx;

	ERR_clear_error();
	ctx = SSL_CTX_new(method);
	if (ctx == NULL)
		abort();
	context->ctx = ctx;
	/* Output is held in a buffer of the filter, which may move between two tries. */
	(void)SSL_CTX_set_mode(ctx, SSL_MODE_ENABLE_PARTIAL_WRITE |
					    SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER |
					    SSL_MODE_RELEASE_BUFFERS);
	/* A renegotiation would make writing depend on reading.  Compression leaks secrets. */
	(void)SSL_CTX_set_options(ctx, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION);
	(void)SSL_CTX_set_min_proto_version(ctx, TLS1_2_VERSION);
	(void)SSL_CTX_set_session_cache_mode(ctx, SSL_SESS_CACHE_OFF);
	SSL_CTX_set_read_ahead(ctx, 1); /* a record's header and body in one read() */
	return context;
}

struct tls_context *tls_client_new(const struct tls_options *options, char **ret_reason)
{
	struct tls_context *context = context_new(TLS_client_method());
	char *reason;

	context->verify = options->verify;
	context->server_name = options->server_name != NULL ? xstrdup(options->server_name) : NULL;
	reason = set_versions(context->ctx, options);
	if (reason == NULL)
		reason = set_ciphers(context->ctx, options);
	if (reason == NULL)
		reason = set_trust(context->ctx, options);
	if (reason == NULL && options->fingerprints != NULL)
		reason = tls_parse_pins(context, options->fingerprints);
	if (reason != NULL) {
		*ret_reason = reason;
		return tls_free(context);
	}
	tls_set_verification(context);
	return context;
}

/* A service cannot ask for a passphrase, and OpenSSL would, on the terminal. */
static int no_passphrase(char *passphrase, int size, int writing, void *data)
{
	return -1;
}

struct tls_context *tls_server_new(const char *cert_file, const char *key_file, char **ret_reason)
{
	struct tls_context *context = context_new(TLS_server_method());
	SSL_CTX *ctx = context->ctx;

	SSL_CTX_set_default_passwd_cb(ctx, no_passphrase);
	(void)SSL_CTX_set_num_tickets(ctx, 0);
	(void)SSL_CTX_set_options(ctx, SSL_OP_NO_TICKET | SSL_OP_CIPHER_SERVER_PREFERENCE);
	if (SSL_CTX_use_certificate_chain_file(ctx, cert_file) != 1)
		*ret_reason = xasprintf(
			"cannot read the certificate in %s: %s", cert_file, openssl_reason());
	else if (SSL_CTX_use_PrivateKey_file(ctx, key_file, SSL_FILETYPE_PEM) != 1)
		*ret_reason = xasprintf(
			"cannot use the private key in %s: %s", key_file, openssl_reason());
	else
		return context;
	return tls_free(context);
}

struct tls_context *tls_free(struct tls_context *context)
{
	if (context == NULL)
		return NULL;
	SSL_CTX_free(context->ctx);
	free(context->server_name);
	free(context->pins);
	free(context);
	return NULL;
}
