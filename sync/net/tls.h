/* SPDX-License-Identifier: MIT */
/* TLS settings of one account or listener, made once and shared by its connections (OpenSSL). */
#ifndef INTERIMAP_NET_TLS_H
#define INTERIMAP_NET_TLS_H

#include <stdbool.h>

struct tls_context;

/* All strings are borrowed during the call only; NULL means the default. */
struct tls_options {
	bool verify; /* chain and host name */
	const char *ca_file; /* PEM file of trusted certificates */
	const char
		*ca_path; /* directory in hash format; the system's trust store if neither is set */
	const char *server_name; /* SNI; NULL: the host name unless it is an IP literal; "": none */
	const char *protocols; /* space-separated versions to enable, or to disable with '!'
				  (deprecated) */
	const char *protocol_min; /* "TLSv1.2" … */
	const char *protocol_max;
	const char *cipher_list; /* TLS 1.2 and below, ciphers(1) */
	const char *cipher_suites; /* TLS 1.3 */
	const char *fingerprints; /* space-separated [ALGO$]HEX of acceptable SPKI digests; default
				     algorithm sha256 */
};

/* NULL on failure, with a sentence in *ret_reason (the caller frees it): unknown protocol,
 * unreadable file … */
struct tls_context *tls_client_new(const struct tls_options *options, char **ret_reason);
/* Server side: PEM files of certificate chain and key. */
struct tls_context *tls_server_new(const char *cert_file, const char *key_file, char **ret_reason);
struct tls_context *tls_free(struct tls_context *context);

#endif
