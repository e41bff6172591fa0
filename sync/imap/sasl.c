/* SPDX-License-Identifier: MIT */
#include "sync/imap/sasl.h"

#include <errno.h>
#include <gsasl.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "sync/base/limits.h"
#include "sync/base/xalloc.h"
#include "sync/imap/bearer.h"
#include "sync/imap/slice.h"

struct mechanism {
	const char *name;
	bool client_first;
	bool scram;
	bool binds; /* the channel */
	enum bearer bearer; /* else libgsasl has it */
};

struct sasl {
	const struct mechanism *mechanism;
	Gsasl *library;
	Gsasl_session *session;
	char *initial, *token; /* of a bearer mechanism: what it says; what may not be shown */
	char *error; /* that the server told it */
	bool started, complete, failed;
};

static const struct mechanism mechanisms[] = {
	{"PLAIN", true, false, false},
	{"LOGIN", false, false, false},
	{"EXTERNAL", true, false, false},
	{"CRAM-MD5", false, false, false},
	{"SCRAM-SHA-1", true, true, false},
	{"SCRAM-SHA-1-PLUS", true, true, true},
	{"SCRAM-SHA-256", true, true, false},
	{"SCRAM-SHA-256-PLUS", true, true, true},
	{"OAUTHBEARER", true, .bearer = BEARER_OAUTHBEARER},
	{"XOAUTH2", true, .bearer = BEARER_XOAUTH2},
};

static const struct mechanism *find_mechanism(const char *name)
{
	for (size_t i = 0; i < ARRAY_LEN(mechanisms); i++)
		if (strcasecmp(mechanisms[i].name, name) == 0)
			return &mechanisms[i];
	return NULL;
}

/* libgsasl copies what it is given, and aborting is what we do without memory. */
static void set(Gsasl_session *session, Gsasl_property property, const char *value)
{
	if (value != NULL && gsasl_property_set(session, property, value) != GSASL_OK)
		abort();
}

/* False when there is none that libgsasl knows. */
static bool set_binding(struct sasl *sasl, const struct sasl_options *options)
{
	Gsasl_property property;
	char *base64 = NULL;

	if (options->binding_type == NULL || options->binding_size == 0)
		return false;
	if (strcmp(options->binding_type, "tls-exporter") == 0)
		property = GSASL_CB_TLS_EXPORTER;
	else if (strcmp(options->binding_type, "tls-unique") == 0)
		property = GSASL_CB_TLS_UNIQUE;
	else
		return false;
	if (gsasl_base64_to(options->binding_data, options->binding_size, &base64, NULL) !=
		GSASL_OK)
		abort();
	set(sasl->session, property, base64);
	gsasl_free(base64);
	return true;
}

static bool start_bearer(struct sasl *sasl, const struct sasl_options *options)
{
	if (!bearer_is_valid(options))
		return false;
	sasl->initial = bearer_message(sasl->mechanism->bearer, options);
	sasl->token = xstrdup(options->token);
	return true;
}

struct sasl *sasl_new(const char *mechanism, const struct sasl_options *options)
{
	const struct mechanism *found = find_mechanism(mechanism);
	struct sasl *sasl;

	if (found == NULL || (found->bearer == BEARER_NONE && options->token != NULL))
		return NULL;
	sasl = xcalloc(1, sizeof(*sasl));
	sasl->mechanism = found;
	if (found->bearer != BEARER_NONE)
		return start_bearer(sasl, options) ? sasl : sasl_free(sasl);
	if (gsasl_init(&sasl->library) != GSASL_OK ||
		gsasl_client_start(sasl->library, found->name, &sasl->session) != GSASL_OK)
		return sasl_free(sasl);
	set(sasl->session, GSASL_AUTHID, options->username);
	set(sasl->session, GSASL_PASSWORD, options->password);
	set(sasl->session, GSASL_SERVICE, "imap");
	set(sasl->session, GSASL_HOSTNAME, options->host);
	/*
	 * Plain SCRAM should say that we could have bound the channel ("y", RFC 5802 section 6),
	 * but libgsasl 2.2.0 fails when it is given the binding there; so it says "n".
	 */
	if (found->binds && !set_binding(sasl, options))
		return sasl_free(sasl);
	return sasl;
}

static void wipe(char *secret)
{
	if (secret != NULL)
		explicit_bzero(secret, strlen(secret));
	free(secret);
}

struct sasl *sasl_free(struct sasl *sasl)
{
	if (sasl == NULL)
		return NULL;
	if (sasl->session != NULL)
		gsasl_finish(sasl->session);
	if (sasl->library != NULL)
		gsasl_done(sasl->library);
	wipe(sasl->initial);
	wipe(sasl->token);
	free(sasl->error);
	free(sasl);
	return NULL;
}

bool sasl_client_first(const struct sasl *sasl)
{
	return sasl->mechanism->client_first;
}

/* Whether the attribute that begins here, up to a comma, is a count above the limit. */
static bool is_excessive(const char *attribute)
{
	uint64_t n = 0;

	if (strncmp(attribute, "i=", 2) != 0)
		return false;
	for (attribute += 2; *attribute >= '0' && *attribute <= '9'; attribute++) {
		n = n * 10 + (uint64_t)(*attribute - '0');
		if (n > LIMIT_SCRAM_ITERATIONS)
			return true;
	}
	return false;
}

/*
 * A hostile server could make us hash for hours (RFC 5802 section 9), and libgsasl has no limit: so
 * the count is read before it gets the message.
 */
static int check_iterations(const char *challenge)
{
	_cleanup_free_ char *text = NULL;
	const char *attribute;
	char *message = NULL;
	size_t len = 0;

	if (gsasl_base64_from(challenge, strlen(challenge), &message, &len) != GSASL_OK)
		return -EINVAL;
	text = xmemdup0(message, len);
	gsasl_free(message);
	for (attribute = text; attribute != NULL; attribute = strchr(attribute, ',')) {
		attribute += *attribute == ',';
		if (is_excessive(attribute))
			return -ERANGE;
	}
	return 0;
}

static int to_errno(int status)
{
	switch (status) {
	case GSASL_MALLOC_ERROR:
		abort();
	case GSASL_AUTHENTICATION_ERROR:
		return -EACCES;
	case GSASL_SASLPREP_ERROR:
		return -EILSEQ;
	case GSASL_NO_AUTHID:
	case GSASL_NO_PASSWORD:
	case GSASL_NO_HOSTNAME:
	case GSASL_NO_CB_TLS_EXPORTER:
	case GSASL_NO_CB_TLS_UNIQUE:
		return -ENOKEY;
	default:
		return -EINVAL;
	}
}

/*
 * Whether the password can be prepared at all (RFC 4013): to be known before the server gets to
 * see anything of it, and libgsasl leaks memory when it finds out later.
 */
static int check_password(struct sasl *sasl)
{
	const char *password = gsasl_property_fast(sasl->session, GSASL_PASSWORD);
	char *prepared = NULL;
	int status;

	if (password == NULL)
		return -ENOKEY;
	status = gsasl_saslprep(password, (Gsasl_saslprep_flags)0, &prepared, NULL);
	if (prepared != NULL)
		explicit_bzero(prepared, strlen(prepared));
	gsasl_free(prepared);
	return status == GSASL_OK ? 0 : to_errno(status);
}

static int check_scram(struct sasl *sasl, const char *challenge)
{
	int r = sasl->started ? 0 : check_password(sasl);

	return r == 0 && challenge != NULL ? check_iterations(challenge) : r;
}

/* One message; and an answer to the server's error, behind which it says NO. */
static char *bearer_step(struct sasl *sasl, const char *challenge)
{
	if (!sasl->started) {
		sasl->started = sasl->complete = true;
		return take(sasl->initial);
	}
	sasl->failed = true;
	sasl->error = bearer_error(challenge, sasl->token);
	return xstrdup(bearer_end(sasl->mechanism->bearer));
}

static int step(struct sasl *sasl, const char *challenge, char **ret_response)
{
	char *output = NULL;
	int status, r;

	if (challenge == NULL && (!sasl->mechanism->client_first || sasl->started))
		return -EINVAL;
	if (sasl->failed || (sasl->complete && sasl->mechanism->bearer == BEARER_NONE))
		return -EINVAL;
	if (sasl->mechanism->bearer != BEARER_NONE) {
		*ret_response = bearer_step(sasl, challenge);
		return 0;
	}
	r = sasl->mechanism->scram ? check_scram(sasl, challenge) : 0;
	if (r < 0)
		return r;
	sasl->started = true;
	status = gsasl_step64(sasl->session, challenge, &output);
	if (status != GSASL_OK && status != GSASL_NEEDS_MORE) {
		gsasl_free(output);
		return to_errno(status);
	}
	sasl->complete = status == GSASL_OK;
	*ret_response = xstrdup(output != NULL ? output : "");
	if (output != NULL)
		explicit_bzero(output, strlen(output));
	gsasl_free(output);
	return 0;
}

int sasl_step(struct sasl *sasl, const char *challenge, char **ret_response)
{
	int r = step(sasl, challenge, ret_response);

	sasl->failed = sasl->failed || r < 0;
	return r;
}

const char *sasl_server_error(const struct sasl *sasl)
{
	return sasl->error;
}

bool sasl_proves_server(const struct sasl *sasl)
{
	return sasl->mechanism->scram;
}

bool sasl_is_complete(const struct sasl *sasl)
{
	return sasl->complete && !sasl->failed;
}
