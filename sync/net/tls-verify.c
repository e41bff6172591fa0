/* SPDX-License-Identifier: MIT */
/*
 * Whether the server is who it should be, decided within the handshake, before anything of ours is
 * sent: the chain of trust and the name (unless switched off), and then, if there are any, the
 * fingerprints of its public key.  Neither check replaces the other.
 */
#include <arpa/inet.h>
#include <openssl/err.h>
#include <openssl/x509v3.h>
#include <stdlib.h>
#include <string.h>

#include "sync/base/buf.h"
#include "sync/base/limits.h"
#include "sync/base/log.h"
#include "sync/base/xalloc.h"
#include "sync/net/tls-private.h"

/* Adds a name from the certificate, which may hold anything: only what a host name may consist of.
 */
static void add_name(struct buf *names, const ASN1_STRING *string)
{
	const unsigned char *text = ASN1_STRING_get0_data(string);
	int n = ASN1_STRING_length(string);

	if (n <= 0 || (size_t)n + 2 > buf_room(names))
		return;
	if (buf_len(names) > 0)
		(void)buf_puts(names, ", ");
	for (int i = 0; i < n; i++)
		(void)buf_putc(names, text[i] > ' ' && text[i] < 0x7f ? (char)text[i] : '?');
}

static void add_address(struct buf *names, const ASN1_STRING *string)
{
	char text[INET6_ADDRSTRLEN];
	int family = ASN1_STRING_length(string) == 4 ? AF_INET : AF_INET6;

	if (ASN1_STRING_length(string) != 4 && ASN1_STRING_length(string) != 16)
		return;
	if (inet_ntop(family, ASN1_STRING_get0_data(string), text, sizeof(text)) != NULL &&
		buf_room(names) > strlen(text) + 2)
		(void)buf_printf(names, "%s%s", buf_len(names) > 0 ? ", " : "", text);
}

/* The names that a certificate is for, for a message; the caller frees it. */
static char *list_names(X509 *certificate)
{
	GENERAL_NAMES *list = X509_get_ext_d2i(certificate, NID_subject_alt_name, NULL, NULL);
	const X509_NAME *subject = X509_get_subject_name(certificate);
	int at = X509_NAME_get_index_by_NID(subject, NID_commonName, -1);
	struct buf names;

	buf_init(&names, LIMIT_CERTIFICATE_NAMES);
	for (int i = 0; i < sk_GENERAL_NAME_num(list); i++) {
		const GENERAL_NAME *name = sk_GENERAL_NAME_value(list, i);

		if (name->type == GEN_DNS)
			add_name(&names, name->d.dNSName);
		else if (name->type == GEN_IPADD)
			add_address(&names, name->d.iPAddress);
	}
	GENERAL_NAMES_free(list);
	if (buf_len(&names) == 0 && at >= 0)
		add_name(&names, X509_NAME_ENTRY_get_data(X509_NAME_get_entry(subject, at)));
	if (buf_len(&names) == 0)
		(void)buf_puts(&names, "nobody by name");
	return buf_steal(&names);
}

/* It may be the right one, signed by somebody whom we do not know: a person can tell. */
static bool is_of_unknown_issuer(int error)
{
	return error == X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT ||
	       error == X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY ||
	       error == X509_V_ERR_UNABLE_TO_VERIFY_LEAF_SIGNATURE ||
	       error == X509_V_ERR_DEPTH_ZERO_SELF_SIGNED_CERT ||
	       error == X509_V_ERR_SELF_SIGNED_CERT_IN_CHAIN;
}

/* A sentence for a refused chain or name. */
static char *chain_reason(X509_STORE_CTX *store, const char *host)
{
	int error = X509_STORE_CTX_get_error(store);
	const char *whose = X509_STORE_CTX_get_error_depth(store) > 0
				    ? "the certificate of the server's issuer"
				    : "the certificate";
	_cleanup_free_ char *names = NULL;

	switch (error) {
	case X509_V_ERR_HOSTNAME_MISMATCH:
	case X509_V_ERR_IP_ADDRESS_MISMATCH:
		names = list_names(X509_STORE_CTX_get0_cert(store));
		return xasprintf("the certificate is for %s, not for %s", names, host);
	case X509_V_ERR_CERT_HAS_EXPIRED:
		return xasprintf("%s has expired", whose);
	case X509_V_ERR_CERT_NOT_YET_VALID:
		return xasprintf("%s is not valid yet", whose);
	default:
		return xasprintf("the certificate is not trusted: %s%s",
			X509_verify_cert_error_string(error),
			is_of_unknown_issuer(error)
				? "; if it is the server's, put its issuer's into SSL_CAfile"
				: "");
	}
}

/* The digest of the Subject Public Key Info (RFC 5280 section 4.1.2.7), as `openssl pkey -pubin
 * -outform DER` writes it. */
static bool digest_key(X509 *certificate, const EVP_MD *algorithm, unsigned char *digest)
{
	unsigned char *der = NULL;
	int n = i2d_X509_PUBKEY(X509_get_X509_PUBKEY(certificate), &der);
	bool done;

	if (n <= 0)
		return false;
	done = EVP_Digest(der, (size_t)n, digest, NULL, algorithm, NULL) == 1;
	OPENSSL_free(der);
	return done;
}

static char *to_hex(const unsigned char *bytes, size_t n)
{
	char *hex = xmalloc(2 * n + 1);

	for (size_t i = 0; i < n; i++) {
		hex[2 * i] = "0123456789abcdef"[bytes[i] >> 4];
		hex[2 * i + 1] = "0123456789abcdef"[bytes[i] & 15];
	}
	hex[2 * n] = '\0';
	return hex;
}

/* NULL if the key is one of those expected, else a sentence. */
static char *pin_reason(const struct tls_context *context, X509 *certificate)
{
	unsigned char digest[EVP_MAX_MD_SIZE];
	_cleanup_free_ char *hex = NULL;

	for (size_t i = 0; i < context->n_pins; i++) {
		const struct tls_pin *pin = &context->pins[i];

		if (digest_key(certificate, pin->algorithm, digest) &&
			memcmp(digest, pin->digest, pin->size) == 0)
			return NULL;
	}
	if (!digest_key(certificate, EVP_sha256(), digest))
		return xstrdup("the public key of the certificate cannot be read");
	hex = to_hex(digest, 32);
	return xasprintf(
		"the fingerprint of the server's public key is none of those expected: sha256$%s; "
		"if that is the server's, put it into SSL_fingerprint",
		hex);
}

/* With --debug: what the server shows, and what SSL_fingerprint would pin. */
static void log_chain(X509_STORE_CTX *store, const SSL *ssl, const char *host)
{
	const char *name = SSL_get_servername(ssl, TLSEXT_NAMETYPE_host_name);
	STACK_OF(X509) *chain = X509_STORE_CTX_get0_untrusted(store);
	unsigned char digest[EVP_MAX_MD_SIZE];

	if (!log_is_debug() || host == NULL)
		return;
	log_debug(NULL, "TLS: connecting to %s, the name asked for (SNI) is %s", host,
		name != NULL ? name : "none");
	for (int i = 0; i < sk_X509_num(chain); i++) {
		X509 *certificate = sk_X509_value(chain, i);
		_cleanup_free_ char *hex = digest_key(certificate, EVP_sha256(), digest)
						   ? to_hex(digest, 32)
						   : xstrdup("(unreadable)");
		char *subject = X509_NAME_oneline(X509_get_subject_name(certificate), NULL, 0);
		char *issuer = X509_NAME_oneline(X509_get_issuer_name(certificate), NULL, 0);

		log_debug(NULL, "TLS: certificate %d: subject %s, issuer %s, public key sha256$%s",
			i, subject != NULL ? subject : "?", issuer != NULL ? issuer : "?", hex);
		OPENSSL_free(subject);
		OPENSSL_free(issuer);
	}
}

/* OpenSSL's hook for the whole verification of a peer's certificate.  1 accepts it. */
static int verify(X509_STORE_CTX *store, void *arg)
{
	const struct tls_context *context = arg;
	const SSL *ssl = X509_STORE_CTX_get_ex_data(store, SSL_get_ex_data_X509_STORE_CTX_idx());
	struct tls_peer *peer = SSL_get_app_data(ssl);
	char *reason = NULL;

	log_chain(store, ssl, peer->host);
	if (context->verify && X509_verify_cert(store) != 1) {
		reason = chain_reason(store, peer->host);
	} else if (context->n_pins > 0) {
		reason = pin_reason(context, X509_STORE_CTX_get0_cert(store));
		if (reason != NULL)
			X509_STORE_CTX_set_error(store, X509_V_ERR_APPLICATION_VERIFICATION);
	}
	if (reason == NULL) {
		X509_STORE_CTX_set_error(store, X509_V_OK);
		return 1;
	}
	free(peer->reason);
	peer->reason = reason;
	return 0;
}

void tls_set_verification(struct tls_context *context)
{
	/* Always VERIFY_PEER: with VERIFY_NONE what the hook says is ignored. */
	SSL_CTX_set_verify(context->ctx, SSL_VERIFY_PEER, NULL);
	SSL_CTX_set_cert_verify_callback(context->ctx, verify, context);
}

bool tls_is_ip(const char *host)
{
	unsigned char address[sizeof(struct in6_addr)];

	return inet_pton(AF_INET, host, address) == 1 || inet_pton(AF_INET6, host, address) == 1;
}

bool tls_expect_host(SSL *ssl, const char *host)
{
	/* To OpenSSL "" means any name, and ".example.org" any below it. */
	if (host[0] == '\0' || host[0] == '.')
		return false;
	if (tls_is_ip(host))
		return X509_VERIFY_PARAM_set1_ip_asc(SSL_get0_param(ssl), host) == 1;
	SSL_set_hostflags(ssl, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS);
	return SSL_set1_host(ssl, host) == 1;
}

static int hex_value(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	c |= 0x20;
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static bool parse_hex(const char *hex, struct tls_pin *pin)
{
	if (strlen(hex) != 2 * pin->size)
		return false;
	for (size_t i = 0; i < pin->size; i++) {
		int high = hex_value(hex[2 * i]), low = hex_value(hex[2 * i + 1]);

		if (high < 0 || low < 0)
			return false;
		pin->digest[i] = (unsigned char)(high << 4 | low);
	}
	return true;
}

static char *parse_pin(char *word, struct tls_pin *pin)
{
	char *dollar = strchr(word, '$');
	const char *name = "sha256", *hex = word;

	if (dollar != NULL) {
		*dollar = '\0';
		name = word;
		hex = dollar + 1;
	}
	pin->algorithm = EVP_get_digestbyname(name);
	if (pin->algorithm == NULL || EVP_MD_get_size(pin->algorithm) <= 0)
		return xasprintf("unknown fingerprint algorithm \"%s\"", name);
	pin->size = (size_t)EVP_MD_get_size(pin->algorithm);
	if (!parse_hex(hex, pin))
		return xasprintf("\"%s\" is not a %s fingerprint (%zu hexadecimal digits)", hex,
			name, 2 * pin->size);
	return NULL;
}

char *tls_parse_pins(struct tls_context *context, const char *fingerprints)
{
	_cleanup_free_ char *copy = xstrdup(fingerprints);
	char *rest = copy, *word, *reason;

	while ((word = strsep(&rest, " \t\r\n")) != NULL) {
		struct tls_pin pin = {0};

		if (word[0] == '\0')
			continue;
		reason = parse_pin(word, &pin);
		if (reason != NULL)
			return reason;
		context->pins =
			xreallocarray(context->pins, context->n_pins + 1, sizeof(*context->pins));
		context->pins[context->n_pins++] = pin;
	}
	return context->n_pins > 0 ? NULL : xstrdup("the list of fingerprints is empty");
}
