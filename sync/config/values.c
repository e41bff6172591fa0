/* SPDX-License-Identifier: MIT */
#include "sync/config/values.h"

#define PCRE2_CODE_UNIT_WIDTH 8
#include <arpa/inet.h>
#include <ctype.h>
#include <errno.h>
#include <pcre2.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "sync/base/xalloc.h"
#include "sync/imap/utf7.h"
#include "sync/net/socks5.h"
#include "sync/net/tunnel.h"

enum { LOG_PREFIX_DEPTH = 16 };

static bool is_blank(char c)
{
	return c == ' ' || c == '\t';
}

char **value_words(const char *value)
{
	char **words = xcalloc(1, sizeof(*words));
	size_t count = 0;

	for (const char *at = value + strspn(value, " \t"); *at != '\0'; at += strspn(at, " \t")) {
		size_t n = strcspn(at, " \t");

		words = xreallocarray(words, count + 2, sizeof(*words));
		words[count++] = xstrndup(at, n);
		words[count] = NULL;
		at += n;
	}
	return words;
}

void value_words_free(char **words)
{
	for (size_t i = 0; words != NULL && words[i] != NULL; i++)
		free(words[i]);
	free(words);
}

void list_patterns_free(struct list_pattern *patterns, size_t count)
{
	for (size_t i = 0; i < count; i++)
		free(patterns[i].bytes);
	free(patterns);
}

static int hex_digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	c = (char)tolower((unsigned char)c);
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static bool is_octal(char c)
{
	return c >= '0' && c <= '7';
}

/* *at is behind a backslash; moves behind the escape sequence.  The byte, or -1. */
static int unescape(const char **at)
{
	static const char letters[] = "abefnrtv\\\"'?";
	static const char bytes[] = "\a\b\033\f\n\r\t\v\\\"'?";
	const char *letter, *p = *at;
	int byte = 0;

	if (*p == 'x') {
		if (hex_digit(p[1]) < 0 || hex_digit(p[2]) < 0)
			return -1;
		*at = p + 3;
		return hex_digit(p[1]) * 16 + hex_digit(p[2]);
	}
	if (is_octal(*p)) {
		for (int i = 0; i < 3 && is_octal(*p); i++)
			byte = 8 * byte + (*p++ - '0');
		*at = p;
		return byte <= 0xff ? byte : -1;
	}
	letter = *p != '\0' ? strchr(letters, *p) : NULL;
	*at = p + 1;
	return letter != NULL ? bytes[letter - letters] : -1;
}

/* The bytes go to `bytes`, which has room for as many as there are characters. */
static char *parse_quoted(const char **at, char *bytes, size_t *len)
{
	const char *p = *at + 1;

	while (*p != '"') {
		int byte = (unsigned char)*p;

		p++;
		if (byte == '\0' || (byte == '\\' && *p == '\0'))
			return xstrdup("a double quote is not closed");
		if (byte == '\\') {
			const char *escape = p;

			byte = unescape(&p);
			if (byte < 0)
				return xasprintf("unknown escape sequence \\%.3s", escape);
		}
		bytes[(*len)++] = (char)byte;
	}
	*at = p + 1;
	if (**at != '\0' && !is_blank(**at))
		return xstrdup("there must be a space after a closing double quote");
	return NULL;
}

static char *parse_bare(const char **at, char *bytes, size_t *len)
{
	const char *p = *at;

	for (; *p != '\0' && !is_blank(*p); p++) {
		/* As in interimap.conf(5): what no atom may hold (RFC 3501 section 9). */
		if (strchr("\"\\(){", *p) != NULL || (unsigned char)*p < ' ' || *p == 0x7f)
			return xstrdup("a name with special characters needs double quotes");
		bytes[(*len)++] = *p;
	}
	*at = p;
	return NULL;
}

/*
 * Quoted or not, it would go out as it is, and no server could know what is meant.  Who writes the
 * bytes as escapes means them: some servers have such names, against RFC 3501 section 5.1.
 */
static char *check_seven_bits(const char *from, const char *to, const struct list_pattern *pattern)
{
	_cleanup_free_ char *utf7 = NULL;

	for (; from < to; from++) {
		if ((unsigned char)*from < 0x80)
			continue;
		utf7 = utf7_from_utf8((struct slice){.data = pattern->bytes, .len = pattern->len});
		return utf7 != NULL ? xasprintf("names are in modified UTF-7: %s", utf7)
				    : xstrdup("names are in modified UTF-7, that is in ASCII");
	}
	return NULL;
}

char *value_parse_patterns(const char *value, struct list_pattern **ret, size_t *ret_count)
{
	struct list_pattern *patterns = NULL;
	size_t count = 0;
	const char *at = value + strspn(value, " \t");
	char *wrong = NULL;

	while (wrong == NULL && *at != '\0') {
		struct list_pattern *pattern;
		const char *from = at;

		patterns = xreallocarray(patterns, count + 1, sizeof(*patterns));
		pattern = &patterns[count++];
		*pattern = (struct list_pattern){.bytes = xcalloc(1, strlen(at) + 1)};
		wrong = *at == '"' ? parse_quoted(&at, pattern->bytes, &pattern->len)
				   : parse_bare(&at, pattern->bytes, &pattern->len);
		if (wrong == NULL && pattern->len == 0)
			wrong = xstrdup("a pattern must not be empty");
		if (wrong == NULL)
			wrong = check_seven_bits(from, at, pattern);
		at += strspn(at, " \t");
	}
	if (wrong == NULL && count == 0)
		wrong = xstrdup("there is no pattern");
	if (wrong != NULL) {
		list_patterns_free(patterns, count);
		return wrong;
	}
	*ret = patterns;
	*ret_count = count;
	return NULL;
}

char *value_check_patterns(const char *value)
{
	struct list_pattern *patterns;
	size_t count;
	char *wrong = value_parse_patterns(value, &patterns, &count);

	if (wrong == NULL)
		list_patterns_free(patterns, count);
	return wrong;
}

char *value_check_regex(const char *value)
{
	PCRE2_SIZE offset;
	PCRE2_UCHAR message[256];
	int error;
	pcre2_code *code =
		pcre2_compile((PCRE2_SPTR)value, PCRE2_ZERO_TERMINATED, 0, &error, &offset, NULL);

	if (code != NULL) {
		pcre2_code_free(code);
		return NULL;
	}
	(void)pcre2_get_error_message(error, message, sizeof(message));
	return xasprintf("%s at character %zu", (char *)message, (size_t)offset + 1);
}

/* Behind a %: opens a condition, or is a specifier.  Moves to its last character. */
static char *check_specifier(const char **at, bool *in_else, size_t *depth)
{
	const char *p = *at;

	if (*p == '?') {
		if ((p[1] != 'n' && p[1] != 'm') || p[2] != '?')
			return xstrdup("a condition must begin with %?n? or %?m?");
		if (*depth == LOG_PREFIX_DEPTH)
			return xstrdup("conditions are nested too deeply");
		in_else[(*depth)++] = false;
		*at = p + 2;
	} else if (*p != 'n' && *p != 'm' && *p != '%') {
		return xstrdup("only %n, %m, %% and a condition may begin with %");
	}
	return NULL;
}

/* %n %m %%, conditions %?X?then&else? that may be nested, and a backslash before & ? and itself. */
char *value_check_log_prefix(const char *value)
{
	bool in_else[LOG_PREFIX_DEPTH];
	size_t depth = 0;
	char *wrong = NULL;

	for (const char *at = value; wrong == NULL && *at != '\0'; at++) {
		if (*at == '%') {
			at++;
			wrong = check_specifier(&at, in_else, &depth);
		} else if (*at == '\\') {
			if (at[1] == '\0')
				return xstrdup("there is a lone \\ at the end");
			at += strchr("&?\\", at[1]) != NULL; /* else it stands for itself */
		} else if (*at == '&') {
			if (depth == 0 || in_else[depth - 1])
				return xstrdup("a literal & must be written \\&");
			in_else[depth - 1] = true;
		} else if (*at == '?') {
			if (depth == 0)
				return xstrdup("a literal ? must be written \\?");
			depth--;
		}
	}
	if (wrong == NULL && depth > 0)
		wrong = xstrdup("a condition is not closed by a ?");
	return wrong;
}

/* Up to nine digits, so that it fits everywhere. */
static bool parse_digits(const char *text, size_t len, unsigned *ret)
{
	unsigned number = 0;

	if (len == 0 || len > 9)
		return false;
	for (size_t i = 0; i < len; i++) {
		if (!isdigit((unsigned char)text[i]))
			return false;
		number = 10 * number + (unsigned)(text[i] - '0');
	}
	*ret = number;
	return true;
}

static bool parse_max_deletions(const char *value, struct plan_brake *ret)
{
	size_t len = strlen(value);
	unsigned number;

	if (strcasecmp(value, "NO") == 0) {
		*ret = (struct plan_brake){.off = true};
		return true;
	}
	if (len > 0 && value[len - 1] == '%') {
		if (!parse_digits(value, len - 1, &number) || number < 1 || number > 100)
			return false;
		*ret = (struct plan_brake){.percent = number, .side_percent = number};
		return true;
	}
	if (!parse_digits(value, len, &number))
		return false;
	*ret = (struct plan_brake){.count = number};
	return true;
}

char *value_check_max_deletions(const char *value)
{
	struct plan_brake brake;

	return parse_max_deletions(value, &brake)
		       ? NULL
		       : xstrdup("it must be NO, a number, or a percentage from 1% to 100%");
}

struct plan_brake value_parse_max_deletions(const char *value)
{
	struct plan_brake brake = {.count = 100, .percent = 50, .side_percent = 20};

	if (value != NULL)
		(void)parse_max_deletions(value, &brake);
	return brake;
}

/* An address in square brackets, without them; a zone (fe80::1%eth0) is left to the system. */
static bool is_literal(const char *text, size_t len)
{
	struct in6_addr address;
	const char *zone = memchr(text, '%', len);
	_cleanup_free_ char *copy =
		xstrndup(text, zone != NULL && zone > text ? (size_t)(zone - text) : len);

	return inet_pton(AF_INET6, copy, &address) == 1 || inet_pton(AF_INET, copy, &address) == 1;
}

char *value_check_host(const char *value)
{
	size_t len = strlen(value);
	const char *bracket = strpbrk(value, "[]");

	if (strpbrk(value, " \t/\"'") != NULL)
		return xstrdup("it must be a host name or an IP address");
	if (bracket != NULL && (bracket != value || strpbrk(value + 1, "[]") != value + len - 1 ||
				       value[len - 1] != ']' || !is_literal(value + 1, len - 2)))
		return xstrdup("between square brackets there must be an IP address");
	return NULL;
}

char *value_check_port(const char *value)
{
	unsigned number;

	if (isdigit((unsigned char)value[0])) {
		if (!parse_digits(value, strlen(value), &number) || number < 1 || number > 65535)
			return xstrdup("a port must be a number from 1 to 65535");
		return NULL;
	}
	/* The name of a service, as in services(5). */
	for (const char *at = value; *at != '\0'; at++) {
		if (!isalnum((unsigned char)*at) && *at != '-' && *at != '_')
			return xstrdup("a port must be a number or the name of a service");
	}
	return NULL;
}

char *value_check_socks(const char *value)
{
	struct socks5_proxy proxy = {0};
	char *wrong = socks5_parse(value, &proxy);

	if (wrong == NULL)
		socks5_proxy_done(&proxy);
	return wrong;
}

/* Whether the algorithm is known and the digest has its length is for OpenSSL to say. */
char *value_check_fingerprints(const char *value)
{
	char **words = value_words(value);
	char *wrong = NULL;

	for (size_t i = 0; words[i] != NULL && wrong == NULL; i++) {
		const char *dollar = strchr(words[i], '$');
		const char *digest = dollar != NULL ? dollar + 1 : words[i];
		size_t len = strlen(digest);

		if (len == 0 || len % 2 != 0 || dollar == words[i] ||
			strspn(digest, "0123456789abcdefABCDEF") != len)
			wrong = xasprintf("%s is not of the form [ALGO$]DIGEST_HEX", words[i]);
	}
	value_words_free(words);
	return wrong;
}

char *value_check_hash(const char *value)
{
	return value[0] == '$' && strpbrk(value, " \t:") == NULL && strlen(value) >= 13
		       ? NULL
		       : xstrdup("it must be a hash as of crypt(5), which begins with $");
}

char *value_check_command(const char *value)
{
	char **words = tunnel_parse(value);
	bool none = words == NULL;

	tunnel_free_strings(words);
	return none ? xstrdup("there is no command in it") : NULL;
}

void listen_addresses_free(struct listen_address *addresses, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		free(addresses[i].unix_path);
		free(addresses[i].host);
		free(addresses[i].port);
	}
	free(addresses);
}

static char *parse_listen_address(const char *word, struct listen_address *address)
{
	const char *colon = strrchr(word, ':');
	size_t len = colon != NULL ? (size_t)(colon - word) : 0;
	char *wrong;

	if (strncmp(word, "unix:", 5) == 0) {
		if (word[5] != '/' && strncmp(word + 5, "~/", 2) != 0)
			return xasprintf("the path in %s must be absolute", word);
		address->unix_path = xstrdup(word + 5);
		return NULL;
	}
	if (len == 0 || colon[1] == '\0')
		return xasprintf("%s is neither ADDRESS:PORT nor unix:PATH", word);
	if (word[0] != '[' && memchr(word, ':', len) != NULL)
		return xasprintf("the address in %s needs square brackets", word);
	address->host = xstrndup(word, len);
	address->port = xstrdup(colon + 1);
	wrong = value_check_host(address->host);
	if (wrong == NULL && address->host[0] == '[') {
		memmove(address->host, address->host + 1, len - 2);
		address->host[len - 2] = '\0';
	}
	return wrong != NULL ? wrong : value_check_port(address->port);
}

char *value_parse_listen(const char *value, struct listen_address **ret, size_t *ret_count)
{
	char **words = value_words(value);
	struct listen_address *addresses = NULL;
	size_t count = 0;
	char *wrong = NULL;

	for (; words[count] != NULL && wrong == NULL; count++) {
		addresses = xreallocarray(addresses, count + 1, sizeof(*addresses));
		addresses[count] = (struct listen_address){0};
		wrong = parse_listen_address(words[count], &addresses[count]);
	}
	value_words_free(words);
	if (wrong != NULL) {
		listen_addresses_free(addresses, count);
		return wrong;
	}
	*ret = addresses;
	*ret_count = count;
	return NULL;
}

char *value_check_listen(const char *value)
{
	struct listen_address *addresses;
	size_t count;
	char *wrong = value_parse_listen(value, &addresses, &count);

	if (wrong == NULL)
		listen_addresses_free(addresses, count);
	return wrong;
}
