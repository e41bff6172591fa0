/* SPDX-License-Identifier: MIT */
/*
 * A server's challenges, one a line.  The first byte is the mechanism, and whether the lines are
 * base64 already.
 */
#include <errno.h>
#include <gsasl.h>
#include <stdbool.h>

#include "sync/base/limits.h"
#include "sync/base/printable.h"
#include "sync/imap/sasl.h"
#include "tests/fuzz/fuzz.h"

/* In the place of the library's own function: the same input always gives the same. */
int gsasl_nonce(char *data, size_t datalen)
{
	memset(data, 0, datalen);
	return GSASL_OK;
}

/* A count of five to seven digits is allowed, but is too slow for fuzzing. */
static bool is_slow(const char *text, size_t len)
{
	const char *end = text + len, *at = memmem(text, len, "i=", 2);

	for (; at != NULL; at = memmem(at, (size_t)(end - at), "i=", 2)) {
		size_t digits = 0;

		at += 2;
		while (at + digits < end && at[digits] >= '0' && at[digits] <= '9')
			digits++;
		if (digits > 4)
			return true;
	}
	return false;
}

/* One challenge; false when the exchange is over. */
static bool step(struct sasl *sasl, const char *text, size_t len, bool encoded, bool scram)
{
	char *challenge = NULL, *response = NULL;
	int r;

	if (is_slow(text, len))
		return false;
	if (encoded)
		challenge = strndup(text, len);
	else
		CHECK(gsasl_base64_to(text, len, &challenge, NULL) == GSASL_OK);
	CHECK(!sasl_is_complete(sasl));
	r = sasl_step(sasl, challenge, &response);
	CHECK((r == 0) == (response != NULL));
	CHECK(r == 0 || r == -EACCES || r == -EINVAL || r == -ERANGE);
	/* SCRAM ends with nothing but the server's proof. */
	if (scram && sasl_is_complete(sasl))
		CHECK(encoded || (len >= 2 && memcmp(text, "v=", 2) == 0));
	if (r < 0)
		CHECK(!sasl_is_complete(sasl) && sasl_step(sasl, challenge, &response) == -EINVAL);
	free(response);
	free(challenge);
	return r == 0 && !sasl_is_complete(sasl);
}

/* The error that a server answers to a token with: in any case it is answered, once. */
static void fuzz_bearer(uint8_t how, const char *text, size_t len)
{
	const struct sasl_options options = {.username = "user", .token = "pencil"};
	struct sasl *sasl = sasl_new((how & 1) != 0 ? "OAUTHBEARER" : "XOAUTH2", &options);
	char *challenge = NULL, *response = NULL;
	const char *error;

	if ((how & 8) != 0)
		challenge = strndup(text, len);
	else
		CHECK(gsasl_base64_to(text, len, &challenge, NULL) == GSASL_OK);
	CHECK(sasl_step(sasl, NULL, &response) == 0);
	free(response);
	CHECK(sasl_step(sasl, challenge, &response) == 0 && !sasl_is_complete(sasl));
	free(response);
	error = sasl_server_error(sasl);
	CHECK(error == NULL || (printable(error) && strlen(error) < 2 * LIMIT_BEARER_SHOWN + 20 &&
				       strstr(error, "pencil") == NULL));
	CHECK(sasl_step(sasl, challenge, &response) == -EINVAL);
	free(challenge);
	sasl_free(sasl);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const char *const mechanisms[] = {"PLAIN", "LOGIN", "EXTERNAL", "CRAM-MD5",
		"SCRAM-SHA-1", "SCRAM-SHA-1-PLUS", "SCRAM-SHA-256", "SCRAM-SHA-256-PLUS"};
	struct sasl_options options = {.username = "user",
		.password = "pencil",
		.host = "imap.example",
		.binding_type = "tls-exporter",
		.binding_data = "binding",
		.binding_size = 7};
	uint8_t how = fuzz_byte(&data, &size);
	const char *mechanism = mechanisms[how % 8];
	struct sasl *sasl = sasl_new(mechanism, &options);
	char *text = fuzz_copy(data, size), *response = NULL;
	size_t at = 0;

	if ((how & 32) != 0)
		fuzz_bearer(how, text, size);
	CHECK(sasl != NULL);
	if (sasl_client_first(sasl) && (how & 16) != 0)
		CHECK(sasl_step(sasl, NULL, &response) == 0);
	free(response);
	while (at <= size && !sasl_is_complete(sasl)) {
		const char *newline = memchr(text + at, '\n', size - at);
		size_t end = newline != NULL ? (size_t)(newline - text) : size;

		if (!step(sasl, text + at, end - at, (how & 8) != 0,
			    strncmp(mechanism, "SCRAM", 5) == 0))
			break;
		at = end + 1;
	}
	sasl_free(sasl);
	free(text);
	return 0;
}
