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

/* --- Bearer tokens --- */

/* https://developers.google.com/gmail/imap/xoauth2-protocol, its example. */
#define GOOGLE_TOKEN "ya29.vF9dft4qmTc2Nvb3RlckBhdHRhdmlzdGEuY29tCg"
#define GOOGLE_MESSAGE \
	"dXNlcj1zb21ldXNlckBleGFtcGxlLmNvbQFhdXRoPUJlYXJlciB5YTI5LnZGOWRmdDRxbVRjMk52YjNSbGNrQmhk" \
	"SFJoZG1semRHRXVZMjl0Q2cBAQ=="
#define GOOGLE_ERROR \
	"eyJzdGF0dXMiOiI0MDEiLCJzY2hlbWVzIjoiYmVhcmVyIG1hYyIsInNjb3BlIjoiaHR0cHM6Ly9tYWlsLmdvb2ds" \
	"ZS5jb20vIn0K"
/* RFC 7628 sections 4.1 and 4.3 */
#define RFC_TOKEN "vF9dft4qmTc2Nvb3RlckBhbHRhdmlzdGEuY29tCg=="
#define RFC_MESSAGE \
	"bixhPXVzZXJAZXhhbXBsZS5jb20sAWhvc3Q9c2VydmVyLmV4YW1wbGUuY29tAXBvcnQ9MTQzAWF1dGg9QmVhcmVy" \
	"IHZGOWRmdDRxbVRjMk52YjNSbGNrQmhiSFJoZG1semRHRXVZMjl0Q2c9PQEB"
#define RFC_ERROR \
	"eyJzdGF0dXMiOiJpbnZhbGlkX3Rva2VuIiwic2NvcGUiOiJleGFtcGxlX3Njb3BlIiwib3BlbmlkLWNvbmZpZ3Vy" \
	"YXRpb24iOiJodHRwczovL2V4YW1wbGUuY29tLy53ZWxsLWtub3duL29wZW5pZC1jb25maWd1cmF0aW9uIn0="

static const struct sasl_options google = {
	.username = "someuser@example.com", .token = GOOGLE_TOKEN, .host = "imap.gmail.com"};
static const struct sasl_options rfc = {.username = "user@example.com",
	.token = RFC_TOKEN,
	.host = "server.example.com",
	.port = 143};

static void expect_step(struct sasl *sasl, const char *challenge, const char *expected)
{
	_cleanup_free_ char *response = NULL;

	assert_int_equal(sasl_step(sasl, challenge, &response), 0);
	assert_string_equal(response, expected);
}

/* Bytes are compared: with an initial response, and without. */
static void test_bearer_examples(void **state)
{
	static const struct {
		const char *mechanism;
		const struct sasl_options *options;
		const char *message, *error, *answer, *shown;
	} examples[] = {
		{"XOAUTH2", &google, GOOGLE_MESSAGE, GOOGLE_ERROR, "",
			"status 401, scope https://mail.google.com/"},
		{"OAUTHBEARER", &rfc, RFC_MESSAGE, RFC_ERROR,
			"AQ==", "status invalid_token, scope example_scope"},
	};

	for (size_t i = 0; i < 2 * ARRAY_LEN(examples); i++) {
		struct sasl *sasl = sasl_new(examples[i / 2].mechanism, examples[i / 2].options);
		char *response = NULL;

		assert_true(sasl_client_first(sasl));
		assert_false(sasl_proves_server(sasl));
		assert_false(sasl_is_complete(sasl));
		expect_step(sasl, i % 2 == 0 ? NULL : "", examples[i / 2].message);
		assert_true(sasl_is_complete(sasl));
		assert_null(sasl_server_error(sasl));
		expect_step(sasl, examples[i / 2].error, examples[i / 2].answer);
		assert_false(sasl_is_complete(sasl));
		assert_string_equal(sasl_server_error(sasl), examples[i / 2].shown);
		assert_int_equal(sasl_step(sasl, "", &response), -EINVAL);
		sasl_free(sasl);
	}
}

/* A name may be anything, but it cannot end its field; a token is what RFC 6750 lets it be. */
static void test_bearer_cannot_be_broken_out_of(void **state)
{
	static const struct sasl_options bad[] = {
		{.username = "user\1auth=Bearer x", .token = "t"},
		{.username = "user", .token = "t\1"},
		{.username = "user", .token = "two words"},
		{.username = "user", .token = ""},
		{.username = "user", .token = "\xc3\xa4"},
		{.token = "t"},
		{.username = "user", .password = "pencil"},
	};
	const struct sasl_options odd = {.username = "a,b=c\xc3\xa4", .token = "t"};
	_cleanup_free_ char *expected = encode(BYTES("n,a=a=2Cb=3Dc\xc3\xa4,\1auth=Bearer t\1\1"));
	struct sasl *sasl = sasl_new("OAUTHBEARER", &odd);

	expect_step(sasl, NULL, expected);
	sasl_free(sasl);
	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		assert_null(sasl_new("OAUTHBEARER", &bad[i]));
		assert_null(sasl_new("XOAUTH2", &bad[i]));
	}
	/* A token is no password. */
	assert_null(sasl_new("PLAIN", &google));
}

/* What a hostile server says is shown in part, or not at all, and is always answered. */
static void test_bearer_errors(void **state)
{
	_cleanup_free_ char *deep = xcalloc(1, 3001), *longer = xcalloc(1, 9001);
	_cleanup_free_ char *lengthy = NULL, *cut = NULL;
	const struct {
		const char *json, *shown;
	} errors[] = {
		{"", NULL},
		{"no JSON", NULL},
		{"[\"status\"]", NULL},
		{"{}", NULL},
		{"{\"status\":null,\"scope\":{\"status\":\"x\"}}", NULL},
		{"{\"status\":400}", "status 400"},
		{"{\"status\":\"4\\u001b[2J\\u202e0\",\"scope\":\"\"}", "status 4?[2J?0"},
		{"{\"status\":\"we got " GOOGLE_TOKEN "\",\"scope\":\"a\"}", "scope a"},
		{"{\"status\":\"a\\u0000b\"}", NULL},
		{deep, NULL},
		{longer, NULL},
		{lengthy = xasprintf("{\"scope\":\"%0200d\"}", 0),
			cut = xasprintf("scope %0*d", LIMIT_BEARER_SHOWN, 0)},
	};

	memset(deep, '[', 3000);
	memset(longer, ' ', 9000);
	memcpy(longer, "{\"status\":\"1\"}", 14);
	for (size_t i = 0; i < ARRAY_LEN(errors); i++) {
		struct sasl *sasl = sasl_new("XOAUTH2", &google);
		_cleanup_free_ char *challenge = encode(errors[i].json, strlen(errors[i].json));

		expect_step(sasl, NULL, GOOGLE_MESSAGE);
		expect_step(sasl, i == 0 ? "!!!" : challenge, "");
		if (errors[i].shown == NULL)
			assert_null(sasl_server_error(sasl));
		else
			assert_string_equal(sasl_server_error(sasl), errors[i].shown);
		sasl_free(sasl);
	}
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
		cmocka_unit_test(test_bearer_examples),
		cmocka_unit_test(test_bearer_cannot_be_broken_out_of),
		cmocka_unit_test(test_bearer_errors),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
