/* SPDX-License-Identifier: MIT */
#include "sync/imap/bearer.h"

#include <gsasl.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "sync/base/buf.h"
#include "sync/base/limits.h"
#include "sync/base/printable.h"
#include "sync/base/xalloc.h"
#include "sync/imap/sasl.h"

/* b64token of RFC 6750 section 2.1.  The "=" are looked for in any place: servers see to theirs. */
static bool is_token(const char *token)
{
	static const char allowed[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
				      "0123456789-._~+/=";

	return *token != '\0' && token[strspn(token, allowed)] == '\0';
}

bool bearer_is_valid(const struct sasl_options *options)
{
	const char *name = options->username;

	if (name == NULL || options->token == NULL || !is_token(options->token))
		return false;
	for (; *name != '\0'; name++)
		if ((unsigned char)*name < ' ' || *name == 0x7f)
			return false;
	return true;
}

/* A saslname: "," and "=" separate (RFC 5801 section 4). */
static void put_name(struct buf *message, const char *name)
{
	for (; *name != '\0'; name++) {
		if (*name == ',')
			(void)buf_puts(message, "=2C");
		else if (*name == '=')
			(void)buf_puts(message, "=3D");
		else
			(void)buf_putc(message, *name);
	}
}

/* Not with buf_printf(), which has a copy of its own. */
static void put_token(struct buf *message, const char *token)
{
	(void)buf_puts(message, "auth=Bearer ");
	(void)buf_puts(message, token);
	(void)buf_puts(message, "\1\1");
}

static void put_xoauth2(struct buf *message, const struct sasl_options *options)
{
	(void)buf_printf(message, "user=%s\1", options->username);
	put_token(message, options->token);
}

/* RFC 7628 section 3.1. */
static void put_oauthbearer(struct buf *message, const struct sasl_options *options)
{
	(void)buf_puts(message, "n,a=");
	put_name(message, options->username);
	(void)buf_puts(message, ",\1");
	if (options->host != NULL)
		(void)buf_printf(message, "host=%s\1", options->host);
	if (options->port > 0)
		(void)buf_printf(message, "port=%u\1", options->port);
	put_token(message, options->token);
}

static char *encode(const char *data, size_t len)
{
	char *base64 = NULL, *copy;

	if (gsasl_base64_to(data, len, &base64, NULL) != GSASL_OK)
		abort(); /* there is no memory */
	copy = xstrdup(base64);
	explicit_bzero(base64, strlen(base64));
	gsasl_free(base64);
	return copy;
}

char *bearer_message(enum bearer bearer, const struct sasl_options *options)
{
	struct buf message;
	char *base64;

	buf_init(&message, LIMIT_COMMAND_BYTES);
	/* At once as large as it can become: a buffer that grows leaves copies behind. */
	(void)buf_reserve(&message, 3 * strlen(options->username) + strlen(options->token) + 400);
	if (bearer == BEARER_OAUTHBEARER)
		put_oauthbearer(&message, options);
	else
		put_xoauth2(&message, options);
	base64 = encode(buf_data(&message), buf_len(&message));
	buf_wipe(&message);
	return base64;
}

const char *bearer_end(enum bearer bearer)
{
	return bearer == BEARER_OAUTHBEARER ? "AQ==" /* 0x01 */ : "";
}

static void put_member(struct buf *text, const json_t *error, const char *name, const char *token)
{
	const json_t *member = json_object_get(error, name);
	_cleanup_free_ char *value = NULL;

	if (json_is_integer(member))
		value = xasprintf("%lld", (long long)json_integer_value(member));
	else if (json_is_string(member))
		value = xstrdup(json_string_value(member));
	if (value == NULL || *value == '\0' || (token != NULL && strstr(value, token) != NULL))
		return;
	if (strlen(value) > LIMIT_BEARER_SHOWN)
		value[LIMIT_BEARER_SHOWN] = '\0';
	printable_neutralise(value);
	(void)buf_printf(text, "%s%s %s", buf_len(text) > 0 ? ", " : "", name, value);
}

char *bearer_error(const char *challenge, const char *token)
{
	size_t len = strlen(challenge);
	char *bytes = NULL;
	json_t *error;
	struct buf text;

	if (len > LIMIT_BEARER_ERROR || gsasl_base64_from(challenge, len, &bytes, &len) != GSASL_OK)
		return NULL;
	error = json_loadb(bytes, len, JSON_DISABLE_EOF_CHECK, NULL);
	gsasl_free(bytes);
	buf_init(&text, 1024);
	put_member(&text, error, "status", token);
	put_member(&text, error, "scope", token);
	json_decref(error);
	if (buf_len(&text) > 0)
		return buf_steal(&text);
	buf_done(&text);
	return NULL;
}
