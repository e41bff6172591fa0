/* SPDX-License-Identifier: MIT */
#include "imap-fixture.h"

#include <errno.h>
#include <gsasl.h>

#include "sync/base/limits.h"
#include "sync/imap/sasl.h"

#define NONCE "fyko+d2lbbFgONRv9qkxdawL" /* RFC 5802 section 5 */

/*
 * In the place of the library's own function, so that the SCRAM messages are those of the RFC.  The
 * library writes it in base64.
 */
int gsasl_nonce(char *data, size_t datalen)
{
	char *nonce = NULL;
	size_t len = 0;

	assert_int_equal(gsasl_base64_from(NONCE, strlen(NONCE), &nonce, &len), GSASL_OK);
	assert_int_equal(len, datalen);
	memcpy(data, nonce, len);
	gsasl_free(nonce);
	return GSASL_OK;
}

/* Owned by the caller. */
static char *encode(const char *text, size_t len)
{
	char *base64 = NULL, *copy;

	assert_int_equal(gsasl_base64_to(text, len, &base64, NULL), GSASL_OK);
	copy = xstrdup(base64);
	gsasl_free(base64);
	return copy;
}

struct exchange {
	const char *challenge; /* NULL: none, an initial response */
	const char *response;
	size_t response_len;
};

/* One step in clear text; the result of sasl_step(). */
static int step(struct sasl *sasl, const struct exchange *exchange)
{
	_cleanup_free_ char *challenge =
		exchange->challenge != NULL
			? encode(exchange->challenge, strlen(exchange->challenge))
			: NULL;
	_cleanup_free_ char *expected = encode(exchange->response, exchange->response_len);
	_cleanup_free_ char *response = NULL;
	int r = sasl_step(sasl, challenge, &response);

	if (r == 0)
		assert_string_equal(response, expected);
	else
		assert_null(response);
	return r;
}

enum { MOST = 4 };

struct dialogue {
	const char *mechanism;
	bool client_first;
	const char *binding_type, *binding;
	struct exchange exchanges[MOST];
};

#define SHA1_FIRST "r=" NONCE "3rfcNHYJY1ZVvWVs7j,s=QSXCR+Q6sek8bf92,i=4096"
#define SHA256_FIRST "r=" NONCE "%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096"
#define SHA256_FINAL(binding, proof) \
	"c=" binding ",r=" NONCE "%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,p=" proof

/*
 * The first SCRAM-SHA-1 dialogue is that of RFC 5802.  The others were computed with Python's
 * hashlib, by a script that gives the vectors of RFC 5802 and RFC 7677 as well: the nonce of the
 * latter has a length that libgsasl does not make.
 */
static const struct dialogue dialogues[] = {
	{"PLAIN", true, NULL, NULL, {{NULL, BYTES("\0user\0pencil")}}},
	{"plain", true, NULL, NULL, {{"", BYTES("\0user\0pencil")}}},
	{"EXTERNAL", true, NULL, NULL, {{NULL, BYTES("")}}},
	{"LOGIN", false, NULL, NULL,
		{{"Username:", BYTES("user")}, {"Password:", BYTES("pencil")}}},
	{"CRAM-MD5", false, NULL, NULL,
		{{"<1896.697170952@postoffice.reston.mci.net>",
			BYTES("user 266f82bb2d1ace6729d2c573e4e004c6")}}},
	{"SCRAM-SHA-1", true, NULL, NULL,
		{{NULL, BYTES("n,,n=user,r=" NONCE)},
			{SHA1_FIRST, BYTES("c=biws,r=" NONCE "3rfcNHYJY1ZVvWVs7j,"
					   "p=v0X8v3Bz2T0CJGbJQyF0X+HI4Ts=")},
			{"v=rmF9pqV8S7suAoZWja4dJRkFsKQ=", BYTES("")}}},
	{"SCRAM-SHA-1-PLUS", true, "tls-unique", "unique",
		{{NULL, BYTES("p=tls-unique,,n=user,r=" NONCE)},
			{SHA1_FIRST, BYTES("c=cD10bHMtdW5pcXVlLCx1bmlxdWU=,r=" NONCE
					   "3rfcNHYJY1ZVvWVs7j,p=dUZJ46/LXTDIRXn1vWIltj7Un6k=")},
			{"v=OqNoyYKgK/orSoHXzT0/nRR5jIM=", BYTES("")}}},
	{"SCRAM-SHA-256", true, NULL, NULL,
		{{"", BYTES("n,,n=user,r=" NONCE)},
			{SHA256_FIRST, BYTES(SHA256_FINAL("biws",
					       "2FUSN0pPcS7P8hBhsxBJOiUDbRoW4KVNGZT0LxVnSek="))},
			{"v=zJZjsVp2g+W9jd01vgbsshippfH1sM0tLdBvs+e3DF4=", BYTES("")}}},
	/* A binding that is not asked for does no harm. */
	{"SCRAM-SHA-1", true, "tls-exporter", "0123456789abcdef0123456789abcdef",
		{{NULL, BYTES("n,,n=user,r=" NONCE)},
			{SHA1_FIRST, BYTES("c=biws,r=" NONCE "3rfcNHYJY1ZVvWVs7j,"
					   "p=v0X8v3Bz2T0CJGbJQyF0X+HI4Ts=")},
			{"v=rmF9pqV8S7suAoZWja4dJRkFsKQ=", BYTES("")}}},
	{"SCRAM-SHA-256-PLUS", true, "tls-exporter", "0123456789abcdef0123456789abcdef",
		{{NULL, BYTES("p=tls-exporter,,n=user,r=" NONCE)},
			{SHA256_FIRST,
				BYTES(SHA256_FINAL("cD10bHMtZXhwb3J0ZXIsLDAxMjM0NTY3ODlhYmNkZWYwMTI"
						   "zNDU2Nzg5YWJjZGVm",
					"8XunCq6QelGBdN3Ff5kRP6Pyvmd2GED0NWUw29DR/H8="))},
			{"v=xhM7GT2PyIBl3zTcdnVcL0+PUbkkx/dGCPrfzxax78k=", BYTES("")}}},
};

static struct sasl *start(const struct dialogue *dialogue)
{
	struct sasl_options options = {
		.username = "user",
		.password = "pencil",
		.host = "imap.example",
		.binding_type = dialogue->binding_type,
		.binding_data = dialogue->binding,
		.binding_size = dialogue->binding != NULL ? strlen(dialogue->binding) : 0,
	};

	return sasl_new(dialogue->mechanism, &options);
}

static void complete_dialogues(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(dialogues); i++) {
		const struct dialogue *dialogue = &dialogues[i];
		struct sasl *sasl = start(dialogue);
		char *none = NULL;

		assert_non_null(sasl);
		assert_int_equal(sasl_client_first(sasl), dialogue->client_first);
		for (size_t j = 0; j < MOST && dialogue->exchanges[j].response != NULL; j++) {
			/* An OK that comes before the end must not be believed. */
			assert_false(sasl_is_complete(sasl));
			assert_int_equal(step(sasl, &dialogue->exchanges[j]), 0);
		}
		assert_true(sasl_is_complete(sasl));
		assert_int_equal(sasl_step(sasl, "", &none), -EINVAL);
		assert_null(none);
		assert_null(sasl_free(sasl));
	}
	assert_null(sasl_free(NULL));
}

static const struct dialogue *find(const char *mechanism)
{
	for (size_t i = 0; i < ARRAY_LEN(dialogues); i++)
		if (strcmp(dialogues[i].mechanism, mechanism) == 0)
			return &dialogues[i];
	fail();
	return NULL;
}

/* A server that does not know the password, though it knows the rest. */
static void wrong_proof(void **state)
{
	static const char *const final[] = {"v=rmF9pqV8S7suAoZWja4dJRkFsKR=",
		"v=AAAAAAAAAAAAAAAAAAAAAAAAAAA=", "v=", "e=other-error", "", "x"};
	const struct dialogue *dialogue = find("SCRAM-SHA-1");

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(final); i++) {
		struct exchange last = {final[i], BYTES("")};
		struct sasl *sasl = start(dialogue);

		assert_int_equal(step(sasl, &dialogue->exchanges[0]), 0);
		assert_int_equal(step(sasl, &dialogue->exchanges[1]), 0);
		assert_true(step(sasl, &last) < 0);
		assert_false(sasl_is_complete(sasl));
		/* Nor does a second try help. */
		assert_int_equal(step(sasl, &dialogue->exchanges[2]), -EINVAL);
		assert_false(sasl_is_complete(sasl));
		sasl_free(sasl);
	}
}

static void proof_of_another(void **state)
{
	struct exchange other = {"v=OqNoyYKgK/orSoHXzT0/nRR5jIM=", BYTES("")};
	const struct dialogue *dialogue = find("SCRAM-SHA-1");
	struct sasl *sasl = start(dialogue);

	(void)state;
	assert_int_equal(step(sasl, &dialogue->exchanges[0]), 0);
	assert_int_equal(step(sasl, &dialogue->exchanges[1]), 0);
	assert_int_equal(step(sasl, &other), -EACCES);
	sasl_free(sasl);
}

static void malformed_challenges(void **state)
{
	static const struct {
		const char *challenge;
		int error;
	} table[] = {
		{"", -EINVAL},
		{"x", -EINVAL},
		{"r=other,s=QSXCR+Q6sek8bf92,i=4096", -EACCES},
		{"r=" NONCE "x,s=QSXCR+Q6sek8bf92", -EINVAL},
		{"r=" NONCE "x,s=QSXCR+Q6sek8bf92,i=0", -EINVAL},
		{"r=" NONCE "x,s=QSXCR+Q6sek8bf92,i=", -EINVAL},
		{"r=" NONCE "x,i=4096", -EINVAL},
		{"r=" NONCE "x,s=QSXCR+Q6sek8bf92,i=1000001", -ERANGE},
		{"r=" NONCE "x,s=QSXCR+Q6sek8bf92,i=99999999999999999999999999", -ERANGE},
		{"m=x,r=" NONCE "x,s=QSXCR+Q6sek8bf92,i=99999999", -ERANGE},
	};
	const struct dialogue *dialogue = find("SCRAM-SHA-1");

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(table); i++) {
		struct exchange bad = {table[i].challenge, BYTES("")};
		struct sasl *sasl = start(dialogue);

		assert_int_equal(step(sasl, &dialogue->exchanges[0]), 0);
		assert_int_equal(step(sasl, &bad), table[i].error);
		assert_false(sasl_is_complete(sasl));
		sasl_free(sasl);
	}
}

static void bad_base64(void **state)
{
	static const char *const table[] = {"!", "abc", "=", "YWJj=", "YWJjZA", "Y\xff"};
	static const char *const mechanisms[] = {"SCRAM-SHA-1", "CRAM-MD5"};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(table) * ARRAY_LEN(mechanisms); i++) {
		const struct dialogue *dialogue = find(mechanisms[i % ARRAY_LEN(mechanisms)]);
		struct sasl *sasl = start(dialogue);
		char *response = NULL;

		if (dialogue->client_first)
			assert_int_equal(step(sasl, &dialogue->exchanges[0]), 0);
		assert_int_equal(
			sasl_step(sasl, table[i / ARRAY_LEN(mechanisms)], &response), -EINVAL);
		assert_null(response);
		sasl_free(sasl);
	}
}

static void no_initial_response(void **state)
{
	struct sasl *sasl = start(find("LOGIN"));
	char *response = NULL;

	(void)state;
	assert_int_equal(sasl_step(sasl, NULL, &response), -EINVAL);
	assert_null(response);
	sasl_free(sasl);
}

static void missing_credentials(void **state)
{
	static const struct sasl_options table[] = {
		{.password = "pencil"},
		{.username = "user"},
		{0},
	};
	static const char *const mechanisms[] = {"PLAIN", "SCRAM-SHA-256"};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(table) * ARRAY_LEN(mechanisms); i++) {
		struct sasl *sasl = sasl_new(mechanisms[i % 2], &table[i / 2]);
		char *response = NULL;

		assert_non_null(sasl);
		assert_int_equal(sasl_step(sasl, NULL, &response), -ENOKEY);
		assert_null(response);
		sasl_free(sasl);
	}
}

/* U+0007 is prohibited in a password (RFC 4013 section 2.3). */
static void unpreparable(void **state)
{
	struct sasl_options options = {.username = "user", .password = "a\ab"};
	struct exchange first = {NULL, BYTES("n,,n=user,r=" NONCE)};
	struct sasl *sasl = sasl_new("SCRAM-SHA-1", &options);

	(void)state;
	assert_int_equal(step(sasl, &first), -EILSEQ);
	sasl_free(sasl);
}

static void unsupported(void **state)
{
	static const struct sasl_options plain = {.username = "user", .password = "pencil"};
	static const struct sasl_options odd = {.username = "user",
		.password = "pencil",
		.binding_type = "tls-server-end-point",
		.binding_data = "x",
		.binding_size = 1};

	(void)state;
	assert_null(sasl_new("", &plain));
	assert_null(sasl_new("GSSAPI", &plain));
	assert_null(sasl_new("DIGEST-MD5", &plain));
	assert_null(sasl_new("SCRAM-SHA-1-PLUS", &plain));
	assert_null(sasl_new("SCRAM-SHA-256-PLUS", &odd));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(complete_dialogues),
		cmocka_unit_test(wrong_proof),
		cmocka_unit_test(proof_of_another),
		cmocka_unit_test(malformed_challenges),
		cmocka_unit_test(bad_base64),
		cmocka_unit_test(no_initial_response),
		cmocka_unit_test(missing_credentials),
		cmocka_unit_test(unpreparable),
		cmocka_unit_test(unsupported),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
