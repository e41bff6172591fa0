/* SPDX-License-Identifier: MIT */
/* Certificates for tests, made on the spot. */
#ifndef INTERIMAP_TESTS_CERTIFICATES_FIXTURE_H
#define INTERIMAP_TESTS_CERTIFICATES_FIXTURE_H

#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <stdlib.h>

#include "sync/base/xalloc.h"

struct certificate {
	X509 *x509;
	EVP_PKEY *key;
	char *cert_file, *key_file;
};

struct certificate_options {
	const char *name; /* common name */
	const char *alternative_names; /* "DNS:a,IP:127.0.0.1", or NULL */
	const struct certificate *issuer; /* NULL: itself */
	long from, to; /* seconds from now */
	bool is_authority;
	const char *usage; /* extended key usage, or NULL */
};

static inline void add_extension(X509 *x509, X509 *issuer, int nid, const char *value)
{
	X509_EXTENSION *extension;
	X509V3_CTX context;

	if (value == NULL)
		return;
	X509V3_set_ctx(&context, issuer, x509, NULL, NULL, 0);
	extension = X509V3_EXT_conf_nid(NULL, &context, nid, value);
	if (extension == NULL || X509_add_ext(x509, extension, -1) != 1)
		abort();
	X509_EXTENSION_free(extension);
}

static inline void write_certificate(struct certificate *c, const char *folder, const char *name)
{
	FILE *file;

	c->cert_file = xasprintf("%s/%s.pem", folder, name);
	c->key_file = xasprintf("%s/%s.key", folder, name);
	file = fopen(c->cert_file, "w");
	if (file == NULL || PEM_write_X509(file, c->x509) != 1 || fclose(file) != 0)
		abort();
	file = fopen(c->key_file, "w");
	if (file == NULL || PEM_write_PrivateKey(file, c->key, NULL, NULL, 0, NULL, NULL) != 1 ||
		fclose(file) != 0)
		abort();
}

static inline void make_certificate(
	struct certificate *c, const char *folder, const struct certificate_options *options)
{
	static long serial = 1;
	X509 *x509 = X509_new();
	X509 *issuer = options->issuer != NULL ? options->issuer->x509 : x509;
	X509_NAME *subject = X509_get_subject_name(x509);
	_cleanup_free_ char *file = xasprintf("%ld", serial);

	c->x509 = x509;
	c->key = EVP_EC_gen("P-256");
	X509_set_version(x509, 2);
	ASN1_INTEGER_set(X509_get_serialNumber(x509), serial++);
	X509_gmtime_adj(X509_getm_notBefore(x509), options->from);
	X509_gmtime_adj(X509_getm_notAfter(x509), options->to);
	X509_NAME_add_entry_by_txt(
		subject, "CN", MBSTRING_ASC, (const unsigned char *)options->name, -1, -1, 0);
	X509_set_issuer_name(x509, X509_get_subject_name(issuer));
	X509_set_pubkey(x509, c->key);
	add_extension(x509, issuer, NID_basic_constraints,
		options->is_authority ? "critical,CA:TRUE" : "critical,CA:FALSE");
	add_extension(x509, issuer, NID_subject_alt_name, options->alternative_names);
	add_extension(x509, issuer, NID_ext_key_usage, options->usage);
	if (X509_sign(x509, options->issuer != NULL ? options->issuer->key : c->key,
		    EVP_sha256()) == 0)
		abort();
	write_certificate(c, folder, file);
}

static inline void free_certificate(struct certificate *c)
{
	(void)remove(c->cert_file);
	(void)remove(c->key_file);
	free(c->cert_file);
	free(c->key_file);
	X509_free(c->x509);
	EVP_PKEY_free(c->key);
}

/* Fingerprint of the key, in hexadecimal; the caller frees it. */
static inline char *key_fingerprint(const struct certificate *c, const EVP_MD *algorithm)
{
	unsigned char digest[EVP_MAX_MD_SIZE], *der = NULL;
	int n = i2d_PUBKEY(c->key, &der);
	unsigned size;
	char *hex;

	EVP_Digest(der, (size_t)n, digest, &size, algorithm, NULL);
	OPENSSL_free(der);
	hex = xcalloc(size * 2 + 1, 1);
	for (unsigned i = 0; i < size; i++)
		sprintf(hex + 2 * i, "%02x", digest[i]);
	return hex;
}

#endif
