/* SPDX-License-Identifier: MIT */
/* Shared by tls.c, tls-verify.c and filter-tls.c only. */
#ifndef INTERIMAP_NET_TLS_PRIVATE_H
#define INTERIMAP_NET_TLS_PRIVATE_H

#include <openssl/ssl.h>
#include <stdbool.h>
#include <stddef.h>

#include "sync/net/tls.h"

struct tls_pin {
	const EVP_MD *algorithm;
	unsigned char digest[EVP_MAX_MD_SIZE];
	size_t size;
};

struct tls_context {
	SSL_CTX *ctx;
	bool verify;
	char *server_name; /* NULL: the host name */
	struct tls_pin *pins;
	size_t n_pins;
};

/* One connection, as the verification sees it: the SSL's app data. */
struct tls_peer {
	const struct tls_context *context;
	char *host; /* what the certificate must be for, NULL on the server's side */
	char *reason; /* why the certificate was refused */
};

/*
 * Adds the space-separated [ALGO$]HEX digests.  NULL, or a sentence that the caller frees.
 */
char *tls_parse_pins(struct tls_context *context, const char *fingerprints);

/* Makes the context check certificates our way: chain and name if so configured, then the pins. */
void tls_set_verification(struct tls_context *context);

/* Which name this connection's certificate must carry. */
bool tls_expect_host(SSL *ssl, const char *host);

/* Whether it is an IPv4 or IPv6 literal (without brackets). */
bool tls_is_ip(const char *host);

#endif
