/* SPDX-License-Identifier: MIT */
/* The table of options, the values with a syntax of their own, and accounts made of them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <errno.h>
#include <pwd.h>
#include <sys/stat.h>
#include <unistd.h>

#include "sync/base/xalloc.h"
#include "sync/config/account.h"
#include "sync/config/options.h"

#define SERVERS "[local]\ntype = tunnel\ncommand = imap\n[remote]\nhost = imap.example.org\n"

static struct account *parse(const char *text)
{
	struct account *account = NULL;
	char *reason = NULL;

	if (account_parse("c", text, strlen(text), &account, &reason) != 0)
		fail_msg("%s", reason);
	assert_null(reason);
	return account;
}

static void refused(const char *text, const char *expected)
{
	struct account *account = NULL;
	char *reason = NULL;

	if (account_parse("c", text, strlen(text), &account, &reason) != -EINVAL)
		fail_msg("not refused: %s", text);
	assert_null(account);
	assert_string_equal(reason, expected);
	free(reason);
}

/* The part of a reason after "c:LINE: NAME: ". */
static void bad_value(const char *section, const char *name, const char *value, const char *why)
{
	_cleanup_free_ char *text = xasprintf("%s%s%s\n%s = %s\n" SERVERS,
		section[0] != '\0' ? "[" : "", section, section[0] != '\0' ? "]" : "", name, value);
	_cleanup_free_ char *expected = xasprintf("c:2: %s: %s", name, why);

	refused(text, expected);
}

static void good_value(const char *section, const char *name, const char *value)
{
	_cleanup_free_ char *text = xasprintf("%s%s%s\n%s = %s\n[remote]\n",
		section[0] != '\0' ? "[" : "", section, section[0] != '\0' ? "]" : "", name, value);

	(void)account_free(parse(text));
}

static void test_table(void **state)
{
	for (size_t i = 0; i < options_count; i++) {
		const struct option_entry *option = &options_table[i];

		assert_non_null(option->help);
		assert_true(option->sections != 0);
		/* A name means one thing in a section. */
		for (size_t k = 0; k < i; k++)
			assert_true((option->sections & options_table[k].sections) == 0 ||
				    strcmp(option->name, options_table[k].name) != 0);
		assert_int_equal(option->type == OPTION_CHOICE || option->type == OPTION_CHOICES,
			option->choices != NULL);
		/* Defaults are values. */
		if (option->fallback != NULL && option->check != NULL)
			assert_null(option->check(option->fallback));
	}
}

static void test_unknown(void **state)
{
	refused("x = 1\n" SERVERS, "c:1: unknown option x");
	refused(SERVERS "Host = 1\n", "c:6: unknown option Host");
	refused("[server]\n" SERVERS, "c:1: unknown section [server]");
	refused("[default]\n" SERVERS, "c:1: unknown section [default]");
	refused(SERVERS "database = x\n", "c:6: the option database belongs before any section");
	refused("path = /x\n" SERVERS, "c:1: the option path belongs in [local]");
	refused("listen = x\n" SERVERS, "c:1: the option listen belongs in [proxy]");
	refused("type = maildir\n" SERVERS, "c:1: type: maildir is none of: imap imaps tunnel");
	refused("", "c: there is no section [remote]");
	refused("[local]\ntype = tunnel\n[remote]\n",
		"c:2: [local] with type=tunnel needs the option command");
	refused("type = tunnel\n[local]\ncommand = x\n[remote]\n",
		"c:1: [remote] with type=tunnel needs the option command");
	refused("nonsense\n" SERVERS,
		"c:1: expected [section], name = value, or a comment that begins with # or ;");
}

static void test_bad_values(void **state)
{
	bad_value("", "compress", "maybe", "it must be YES or NO");
	bad_value("", "compress", "YES NO", "it must be YES or NO");
	bad_value("", "database", "", "it must not be empty");
	bad_value("", "adopt", "1", "it must be YES or NO");
	bad_value("", "list-select-opts", "SUBSCRIBED ALL",
		"ALL is none of: SUBSCRIBED REMOTE RECURSIVEMATCH SPECIAL-USE");
	bad_value("", "auth", "PLAI",
		"PLAI is none of: PLAIN LOGIN EXTERNAL CRAM-MD5 SCRAM-SHA-1"
		" SCRAM-SHA-256 SCRAM-SHA-1-PLUS SCRAM-SHA-256-PLUS OAUTHBEARER XOAUTH2");
	bad_value("", "SSL_protocol_min", "TLSv1.1 TLSv1.2",
		"TLSv1.1 TLSv1.2 is none of: SSLv3 TLSv1 TLSv1.1 TLSv1.2 TLSv1.3");
	bad_value("", "port", "0", "a port must be a number from 1 to 65535");
	bad_value("", "port", "65536", "a port must be a number from 1 to 65535");
	bad_value("", "port", "99999999999999999999", "a port must be a number from 1 to 65535");
	bad_value("", "port", "im ap", "a port must be a number or the name of a service");
	bad_value("", "host", "a b", "it must be a host name or an IP address");
	bad_value("", "host", "../x", "it must be a host name or an IP address");
	bad_value("", "host", "[::1", "between square brackets there must be an IP address");
	bad_value("", "host", "[", "between square brackets there must be an IP address");
	bad_value("", "host", "[]", "between square brackets there must be an IP address");
	bad_value("", "host", "[name]", "between square brackets there must be an IP address");
	bad_value("", "host", "::1]", "between square brackets there must be an IP address");
	bad_value("", "ignore-mailbox", "a(b", "missing closing parenthesis at character 4");
	bad_value("proxy", "max-clients", "0", "it must be a number from 1 to 10000");
	bad_value("proxy", "max-clients", "10001", "it must be a number from 1 to 10000");
	bad_value("proxy", "max-clients", "+5", "it must be a number from 1 to 10000");
	bad_value("proxy", "password-hash", "secret",
		"it must be a hash as of crypt(5), which begins with $");
	bad_value("", "SSL_fingerprint", "sha256$abc",
		"sha256$abc is not of the form"
		" [ALGO$]DIGEST_HEX");
	bad_value("", "SSL_fingerprint", "ab ag", "ag is not of the form [ALGO$]DIGEST_HEX");
	bad_value("", "SSL_fingerprint", "$ab", "$ab is not of the form [ALGO$]DIGEST_HEX");
	bad_value("", "proxy", "http://x",
		"unknown proxy protocol \"http\" (known are socks5 and socks5h)");
}

static void test_good_values(void **state)
{
	good_value("", "compress", "yes");
	good_value("", "host", "[::1]");
	good_value("", "host", "[fe80::1%eth0]");
	good_value("", "host", "[127.0.0.1]");
	good_value("", "port", "imaps");
	good_value("", "port", "65535");
	good_value("", "auth", "scram-sha-256  PLAIN");
	good_value("", "SSL_protocols", "!SSLv3 !TLSv1");
	good_value("", "SSL_fingerprint",
		"sha1$ABcdABcdABcdABcdABcdABcdABcdABcdABcdABcd "
		"0123012301230123012301230123012301230123012301230123012301230123");
	good_value("", "SSL_hostname", "");
	good_value("", "ignore-mailbox", "^virtual(?:\\x00|$)");
	good_value("", "proxy", "socks5h://user:p@ss@[::1]:9050");
	good_value("proxy", "password-hash", "$y$j9T$abcdefghijkl");
	good_value("proxy", "max-clients", "1");
	good_value("", "max-deletions", "0");
	good_value("", "log-prefix", "");
}

static void assert_patterns(const char *value, const char *expected, size_t len, size_t n)
{
	struct list_pattern *patterns = NULL;
	char joined[256];
	size_t count = 0, at = 0;

	assert_null(value_parse_patterns(value, &patterns, &count));
	assert_int_equal(count, n);
	for (size_t i = 0; i < count; i++) {
		assert_int_equal(patterns[i].bytes[patterns[i].len], 0);
		memcpy(joined + at, patterns[i].bytes, patterns[i].len);
		at += patterns[i].len;
		joined[at++] = '|';
	}
	assert_int_equal(at, len);
	assert_memory_equal(joined, expected, len);
	list_patterns_free(patterns, count);
}

#define PATTERNS(value, expected, n) assert_patterns(value, expected, sizeof(expected) - 1, n)

static void bad_patterns(const char *value, const char *expected)
{
	_cleanup_free_ char *wrong = value_check_patterns(value);

	assert_non_null(wrong);
	assert_string_equal(wrong, expected);
}

static void test_patterns(void **state)
{
	PATTERNS("*", "*|", 1);
	PATTERNS(" INBOX \t foo.% ", "INBOX|foo.%|", 2);
	PATTERNS("\"foo\\x00bar\"", "foo\0bar|", 1);
	PATTERNS("\"a b\" \"c\\\"d\"", "a b|c\"d|", 2);
	PATTERNS("\"\\a\\b\\e\\f\\n\\r\\t\\v\\\\\\?\\'\"", "\a\b\033\f\n\r\t\v\\?'|", 1);
	PATTERNS("\"\\0\\101\\1779\\x7F0\"",
		"\0A\177"
		"9\177"
		"0|",
		1);
	PATTERNS("[Gmail]/%", "[Gmail]/%|", 1);
	bad_patterns("\"abc", "a double quote is not closed");
	bad_patterns("\"abc\\", "a double quote is not closed");
	bad_patterns("\"abc\\\"", "a double quote is not closed");
	bad_patterns("\"a\"b", "there must be a space after a closing double quote");
	bad_patterns("a\"b\"", "a name with special characters needs double quotes");
	bad_patterns("a\\b", "a name with special characters needs double quotes");
	bad_patterns("foo{bar", "a name with special characters needs double quotes");
	bad_patterns("foo(bar", "a name with special characters needs double quotes");
	bad_patterns("a\x01", "a name with special characters needs double quotes");
	/* Quotes, which were advised, sent it out as it is. */
	bad_patterns("Entw\xc3\xbcrfe", "names are in modified UTF-7: Entw&APw-rfe");
	bad_patterns("\"\xc3\xa9\"", "names are in modified UTF-7: &AOk-");
	bad_patterns("\"\xe9\"", "names are in modified UTF-7, that is in ASCII");
	PATTERNS("\"\\xe9\\377\"", "\xe9\377|", 1); /* meant */
	bad_patterns("a \"\"", "a pattern must not be empty");
	bad_patterns("  ", "there is no pattern");
	bad_patterns("\"\\q\"", "unknown escape sequence \\q\"");
	bad_patterns("\"\\x1\"", "unknown escape sequence \\x1\"");
	bad_patterns("\"\\x\"", "unknown escape sequence \\x\"");
	bad_patterns("\"\\400\"", "unknown escape sequence \\400");
}

static void test_log_prefix(void **state)
{
	static const char *const good[] = {"%?n?%?m?%n(%m)&%n?: ?", "", "%%", "a\\?b\\&c\\\\",
		"%?m?x?", "%?m?&?", "%?n?%?m?a&b?&%?m?c&d??", "\\x", "\\%?n?x?"};
	static const char *const bad[] = {"%", "%x", "a?", "a&b", "%?n?x", "%?x?y?", "%?n", "%?",
		"\\", "%?n?a&b&c?", "%?m?x??", "\\%", "\\%x"};

	for (size_t i = 0; i < ARRAY_LEN(good); i++)
		assert_null(value_check_log_prefix(good[i]));
	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		_cleanup_free_ char *wrong = value_check_log_prefix(bad[i]);

		if (wrong == NULL)
			fail_msg("accepted: %s", bad[i]);
	}
}

static void test_max_deletions(void **state)
{
	static const char *const bad[] = {
		"", "YES", "-1", "%", "0%", "101%", "50 %", "5x", "10000000000", "1e3"};
	struct plan_brake brake = value_parse_max_deletions(NULL);

	assert_true(!brake.off && brake.count == 100 && brake.percent == 50 &&
		    brake.side_percent == 20);
	brake = value_parse_max_deletions("no");
	assert_true(brake.off);
	brake = value_parse_max_deletions("7");
	assert_true(!brake.off && brake.count == 7 && brake.percent == 0);
	brake = value_parse_max_deletions("7%");
	assert_true(!brake.off && brake.count == 0 && brake.percent == 7);
	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		_cleanup_free_ char *wrong = value_check_max_deletions(bad[i]);

		if (wrong == NULL)
			fail_msg("accepted: %s", bad[i]);
	}
}

static void test_listen(void **state)
{
	static const char *const bad[] = {"localhost", ":143", "a:", "::1:143", "[::1]", "[x]:1",
		"a:99999", "unix:", "unix:relative", "a:1 b", "[::1]x:1"};
	struct account *account =
		parse("[proxy]\nlisten = unix:~/s [::1]:1  unix:/a:b *:imap\n" SERVERS);
	const struct listen_address *listen = account->proxy.listen;
	_cleanup_free_ char *path = xasprintf("%s/s", getenv("HOME"));

	assert_int_equal(account->proxy.listen_count, 4);
	assert_string_equal(listen[0].unix_path, path);
	assert_null(listen[0].host);
	assert_string_equal(listen[1].host, "::1");
	assert_string_equal(listen[1].port, "1");
	assert_null(listen[1].unix_path);
	assert_string_equal(listen[2].unix_path, "/a:b");
	assert_string_equal(listen[3].host, "*");
	assert_string_equal(listen[3].port, "imap");
	(void)account_free(account);
	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		_cleanup_free_ char *wrong = value_check_listen(bad[i]);

		if (wrong == NULL)
			fail_msg("accepted: %s", bad[i]);
	}
}

/* A fixed place for what depends on the user. */
static int set_environment(void **state)
{
	return setenv("HOME", "/home/u", 1) | unsetenv("XDG_CONFIG_HOME") |
	       unsetenv("XDG_DATA_HOME");
}

static void test_defaults(void **state)
{
	struct account *account = parse("[remote]\n");
	const struct passwd *user = getpwuid(geteuid());

	assert_string_equal(account->config_path, "c");
	assert_int_equal(account->local.type, ACCOUNT_MAILDIR);
	assert_string_equal(account->local.path, "/home/u/Mail");
	assert_false(account->local.compress);
	assert_int_equal(account->remote.type, ACCOUNT_IMAPS);
	assert_string_equal(account->remote.host, "localhost");
	assert_string_equal(account->remote.tls_host, "localhost");
	assert_string_equal(account->remote.port, "993");
	assert_true(account->remote.compress);
	assert_true(account->remote.starttls);
	assert_true(account->remote.tls.verify);
	assert_null(account->remote.tls.server_name);
	assert_null(account->remote.username);
	assert_null(account->remote.path);
	assert_string_equal(account->remote.auth[0], "PLAIN");
	assert_string_equal(account->remote.auth[1], "LOGIN");
	assert_null(account->remote.auth[2]);
	assert_string_equal(account->remote.list_reference, "");
	assert_string_equal(account->database, "/home/u/.local/share/interimap/localhost.db");
	assert_int_equal(account->list_pattern_count, 1);
	assert_string_equal(account->list_patterns[0].bytes, "*");
	assert_null(account->list_select_opts[0]);
	assert_string_equal(account->log_prefix, "%?n?%?m?%n(%m)&%n?: ?");
	assert_null(account->logfile);
	assert_true(account->adopt);
	assert_int_equal(account->proxy.listen_count, 2);
	assert_string_equal(account->proxy.listen[0].host, "127.0.0.1");
	assert_string_equal(account->proxy.listen[1].host, "::1");
	assert_string_equal(account->proxy.listen[1].port, "1143");
	assert_string_equal(account->proxy.username, user->pw_name);
	assert_int_equal(account->proxy.max_clients, 100);
	assert_null(account->warnings[0]);
	assert_null(account_free(account));
	assert_null(account_free(NULL));
}

static void test_inheritance(void **state)
{
	struct account *account = parse("type = tunnel\n"
					"command = both\n"
					"compress = YES\n"
					"SSL_verify = no\n"
					"username = u\n"
					"password = \n"
					"SSL_hostname = x\n"
					"[local]\n"
					"compress = NO\n"
					"null-stderr = YES\n"
					"list-reference = a/\n"
					"[remote]\n"
					"command = a;b # c\n"
					"username = v\n"
					"auth = scram-sha-256\n"
					"SSL_hostname =\n"
					"SSL_CAfile = ~/ca.pem\n"
					"[proxy]\n"
					"password = p\n");

	assert_int_equal(account->local.type, ACCOUNT_TUNNEL);
	assert_string_equal(account->local.command, "both");
	assert_string_equal(account->remote.command, "a;b # c");
	assert_false(account->local.compress);
	assert_true(account->remote.compress);
	assert_false(account->local.tls.verify);
	assert_true(account->local.null_stderr);
	assert_false(account->remote.null_stderr);
	assert_string_equal(account->local.username, "u");
	assert_string_equal(account->local.password, "");
	assert_string_equal(account->remote.username, "v");
	assert_string_equal(account->remote.auth[0], "SCRAM-SHA-256");
	assert_string_equal(account->local.tls.server_name, "x");
	assert_string_equal(account->remote.tls.server_name, "");
	assert_string_equal(account->remote.tls.ca_file, "/home/u/ca.pem");
	assert_string_equal(account->local.list_reference, "a/");
	/* The proxy inherits nothing: these are the names of another server. */
	assert_string_not_equal(account->proxy.username, "u");
	assert_string_equal(account->proxy.password, "p");
	(void)account_free(account);
}

/* Of password, password-command and token-command, a section's own hides those before all sections. */
static void test_secrets(void **state)
{
	struct account *account = parse("username = u\n"
					"password-command = pass show x\n"
					"[local]\n"
					"password = p\n"
					"[remote]\n"
					"token-command = oama access u # v\n");

	assert_string_equal(account->local.password, "p");
	assert_null(account->local.password_command);
	assert_null(account->remote.password);
	assert_null(account->remote.password_command);
	assert_string_equal(account->remote.token_command, "oama access u # v");
	assert_string_equal(account->local.auth[0], "PLAIN");
	assert_string_equal(account->remote.auth[0], "OAUTHBEARER");
	assert_string_equal(account->remote.auth[1], "XOAUTH2");
	assert_null(account->remote.auth[2]);
	(void)account_free(account);
	account = parse("password-command = a\nauth = xoauth2 plain\n[remote]\n");
	assert_string_equal(account->remote.password_command, "a");
	assert_string_equal(account->remote.auth[1], "PLAIN");
	(void)account_free(account);

	refused("[remote]\npassword = a\ntoken-command = b\n",
		"c:3: either password or token-command, not both");
	refused("password-command = b\ntoken-command = c\n[remote]\n",
		"c:2: either password-command or token-command, not both");
	refused("[remote]\ntoken-command = b\nauth = PLAIN LOGIN\n",
		"c:3: auth: token-command needs OAUTHBEARER or XOAUTH2");
	refused("[remote]\npassword = b\nauth = XOAUTH2\n",
		"c:3: auth: OAUTHBEARER and XOAUTH2 need the option token-command");
	refused("[remote]\ntoken-command = \n", "c:2: token-command: it must not be empty");
	refused("[remote]\n[proxy]\ntoken-command = a\n",
		"c:3: the option token-command belongs before any section");
}

static void test_maildir(void **state)
{
	struct account *account =
		parse("type = imap\n[local]\ntype = maildir\npath = mail/x\n[remote]\n");

	assert_int_equal(account->local.type, ACCOUNT_MAILDIR);
	assert_string_equal(account->local.path, "/home/u/mail/x");
	assert_int_equal(account->remote.type, ACCOUNT_IMAP);
	assert_string_equal(account->remote.port, "143");
	(void)account_free(account);
	/* An empty section is one: its server is on localhost. */
	account = parse("[local]\n[remote]\n");
	assert_int_equal(account->local.type, ACCOUNT_IMAPS);
	assert_string_equal(account->local.host, "localhost");
	(void)account_free(account);
	/* What the default section says is not about a local server alone. */
	account = parse("type = imap\n[remote]\n");
	assert_int_equal(account->local.type, ACCOUNT_MAILDIR);
	(void)account_free(account);
}

static void assert_database(const char *text, const char *expected)
{
	struct account *account = parse(text);

	assert_string_equal(account->database, expected);
	(void)account_free(account);
}

/* The same as the Perl program chooses. */
static void test_database(void **state)
{
	assert_database(SERVERS, "/home/u/.local/share/interimap/imap.example.org.db");
	assert_database("[local]\nhost = a\n[remote]\nport = 1\n",
		"/home/u/.local/share/interimap/localhost.db");
	assert_database("[remote]\ntype = tunnel\ncommand = x\n",
		"/home/u/.local/share/interimap/localhost.db");
	assert_database("[remote]\ntype = tunnel\ncommand = x\nhost = foo\n",
		"/home/u/.local/share/interimap/foo.db");
	assert_database("host = [::1]\n[remote]\n", "/home/u/.local/share/interimap/[::1].db");
	assert_database("database = x\n[remote]\n", "/home/u/.local/share/interimap/x");
	assert_database("database = /x\n[remote]\n", "/x");
	assert_database("database = ~/x\n[remote]\n", "/home/u/x");
	assert_int_equal(setenv("XDG_DATA_HOME", "/data", 1), 0);
	assert_database("database = x\n[remote]\n", "/data/interimap/x");
	assert_int_equal(setenv("XDG_DATA_HOME", "relative", 1), 0);
	assert_database("database = x\n[remote]\n", "/home/u/.local/share/interimap/x");
}

static void test_proxy_section(void **state)
{
	struct account *account;

	refused("[remote]\n[proxy]\npassword = x\npassword-hash = $y$j9T$abcdefghijkl\n",
		"c:4: either password or password-hash, not both");
	refused("[remote]\n[proxy]\nSSL_cert = /x\n", "c:3: SSL_cert and SSL_key belong together");
	/* What only OpenSSL can judge had neither file nor line. */
	refused("[remote]\nSSL_fingerprint = sha256$ab\n",
		"c:2: SSL_fingerprint: \"ab\" is not a sha256 fingerprint (64 hexadecimal digits)");
	refused("SSL_fingerprint = rot13$ab\n[remote]\n",
		"c:1: SSL_fingerprint: unknown fingerprint algorithm \"rot13\"");
	refused("[remote]\nSSL_cipherlist = none-such\n",
		"c:2: SSL_cipherlist: no usable cipher in \"none-such\"");
	refused("[remote]\n[proxy]\nSSL_key = /x\n", "c:3: SSL_cert and SSL_key belong together");
	account = parse("[remote]\n[proxy]\nSSL_key = ~/k\nSSL_cert = c\nusername = me\n");
	assert_string_equal(account->proxy.key, "/home/u/k");
	assert_string_equal(account->proxy.cert, "c");
	assert_string_equal(account->proxy.username, "me");
	(void)account_free(account);
}

static void write_file(const char *path, mode_t mode, const char *text)
{
	FILE *file = fopen(path, "w");

	assert_non_null(file);
	assert_true(fputs(text, file) >= 0);
	assert_int_equal(fclose(file), 0);
	assert_int_equal(chmod(path, mode), 0);
}

static bool warns(const char *path)
{
	struct account *account = NULL;
	char *reason = NULL;
	bool warned;

	if (account_load(path, &account, &reason) != 0)
		fail_msg("%s", reason);
	warned = account->warnings[0] != NULL;
	if (warned)
		assert_non_null(strstr(account->warnings[0], "can be read by others"));
	(void)account_free(account);
	return warned;
}

static void test_files(void **state)
{
	char directory[] = "/tmp/interimap-account-XXXXXX";
	_cleanup_free_ char *below = NULL, *path = NULL;
	struct account *account = NULL;
	char *reason = NULL;

	assert_non_null(mkdtemp(directory));
	below = xasprintf("%s/interimap", directory);
	path = xasprintf("%s/config", below);
	assert_int_equal(setenv("XDG_CONFIG_HOME", directory, 1), 0);
	assert_int_equal(account_load(NULL, &account, &reason), -ENOENT);
	assert_non_null(strstr(reason, path));
	free(reason);
	assert_int_equal(mkdir(below, 0700), 0);
	write_file(path, 0644, "[remote]\n");
	assert_false(warns(NULL));
	write_file(path, 0640, "password = x\n[remote]\n");
	assert_true(warns(NULL));
	assert_true(warns("config"));
	assert_true(warns(path));
	write_file(path, 0600, "password = x\n[remote]\n");
	assert_false(warns(NULL));
	write_file(path, 0644, "[remote]\n[proxy]\npassword-hash = $y$j9T$abcdefghijkl\n");
	assert_true(warns(NULL));
	write_file(path, 0644, "[remote]\nproxy = socks5://a:b@c\n");
	assert_true(warns(NULL));
	write_file(path, 0644, "[remote]\nproxy = socks5://c\npassword =\n");
	assert_false(warns(NULL));
	assert_int_equal(unlink(path), 0);
	assert_int_equal(rmdir(below), 0);
	assert_int_equal(rmdir(directory), 0);
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup(f, set_environment)
	const struct CMUnitTest tests[] = {
		TEST(test_table),
		TEST(test_unknown),
		TEST(test_bad_values),
		TEST(test_good_values),
		TEST(test_patterns),
		TEST(test_log_prefix),
		TEST(test_max_deletions),
		TEST(test_listen),
		TEST(test_defaults),
		TEST(test_inheritance),
		TEST(test_secrets),
		TEST(test_maildir),
		TEST(test_database),
		TEST(test_proxy_section),
		TEST(test_files),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
