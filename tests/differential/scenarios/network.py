# SPDX-License-Identifier: MIT
"""TCP, TLS and logging in; the remote account is on a whole server."""

from . import Ours, local, remote, run, scenario, step

UNUSED = {"remote": {"INBOX": 1}, "local": {}}
DONE = {"both": {"INBOX": 1}}
CHECKED = Ours("What the configuration says is checked before anything is made.", free=("files",))


def good(name, kind, options=None, *steps, **keys):
    return scenario(name, step("network", kind), step("config", "remote", options or {}),
                    remote("append", "INBOX", 1), *steps, run(), expect=DONE, **keys)


def bad(name, kind, options, *steps, **keys):
    return scenario(name, step("network", kind), step("config", "remote", options),
                    remote("append", "INBOX", 1), *steps, run(exit=1), expect=UNUSED, **keys)


SCENARIOS = (
    scenario("imaps", step("network", "imaps"), remote("append", "INBOX", 2), run(),
             local("append", "INBOX", 1), run(), expect={"both": {"INBOX": 3}}),
    scenario("imap-with-starttls", step("network", "starttls"), remote("append", "INBOX", 2),
             run(), local("append", "INBOX", 1), run(), expect={"both": {"INBOX": 3}}),
    scenario("imap-in-the-clear", step("network", "imap"), remote("append", "INBOX", 2), run(),
             local("append", "INBOX", 1), run(), expect={"both": {"INBOX": 3}}),
    scenario("network-default-database", step("network", "imaps"),
             step("config", "", {"database": None}), run(), run()),
    scenario("network-default-database-of-an-address", step("network", "imaps"),
             step("config", "remote", {"host": "127.0.0.1"}),
             step("config", "", {"database": None}), run(), run()),
    scenario("network-watch", step("network", "imaps"), run(), step("start", "--watch=1"),
             remote("append", "INBOX", 1), step("until", both={"INBOX": 1}), step("rest"),
             step("stop"), run(), expect=DONE),
    scenario("network-debug-hides-the-login", step("network", "imaps"),
             step("config", "remote", {"auth": "LOGIN"}), remote("append", "INBOX", 1),
             run("--debug", hides=r"(?<!<)secret|c2VjcmV0"), expect=DONE),
    scenario("network-debug-twice-shows-the-login", step("network", "imaps"),
             step("config", "remote", {"auth": "LOGIN"}),
             remote("append", "INBOX", 1), run("--debug", "--debug", says=r"secret|c2VjcmV0"),
             expect=DONE),
    good("host-in-brackets", "imaps", {"host": "[127.0.0.1]"}),
    good("host-is-an-address", "imaps", {"host": "127.0.0.1"}),
    bad("host-unknown", "imaps", {"host": "nowhere.invalid"}),
    bad("port-closed", "imaps", {"port": "1"}),
    bad("port-of-another-protocol", "imaps", {"port": "@imap-port@"}),
    bad("proxy-refuses", "imaps", {"proxy": "socks5h://127.0.0.1:1"}),
    bad("proxy-unknown", "imaps", {"proxy": "http://127.0.0.1:1"}, ours=CHECKED),

    bad("password-wrong", "imaps", {"password": "wrong"}),
    bad("username-missing", "imaps", {"username": None}),
    bad("password-missing", "imaps", {"password": None}),
    good("auth-plain", "imaps", {"auth": "PLAIN"}),
    good("auth-login", "imaps", {"auth": "LOGIN"}),
    good("auth-several", "imaps", {"auth": "LOGIN PLAIN"}),
    good("compress-no", "imaps", {"compress": "NO"}),
    good("compress-yes", "imaps", {"compress": "YES"}),

    bad("ca-unknown", "imaps", {"SSL_CAfile": None}),
    bad("ca-another", "imaps", {"SSL_CAfile": "@other-ca@"}),
    bad("ca-missing", "imaps", {"SSL_CAfile": "/no/such/file"}, ours=CHECKED),
    good("ca-path", "imaps", {"SSL_CAfile": None, "SSL_CApath": "@ca-path@"}),
    bad("ca-path-empty", "imaps", {"SSL_CAfile": None, "SSL_CApath": "/var/empty"}),
    good("verify-no", "imaps", {"SSL_CAfile": None, "SSL_verify": "NO"}),
    bad("starttls-verifies", "starttls", {"SSL_CAfile": "@other-ca@"}),
    good("fingerprint", "imaps", {"SSL_fingerprint": "@spki@"}),
    good("fingerprint-with-its-digest", "imaps", {"SSL_fingerprint": "sha256$@spki@"}),
    good("fingerprint-of-sha512", "imaps", {"SSL_fingerprint": "sha512$@spki512@"}),
    good("fingerprints-several", "imaps",
         {"SSL_fingerprint": "sha256$" + "00" * 32 + " @spki@"}),
    bad("fingerprint-wrong", "imaps", {"SSL_fingerprint": "sha256$" + "00" * 32}),
    bad("fingerprint-wrong-and-verify-no", "imaps",
        {"SSL_fingerprint": "00" * 32, "SSL_verify": "NO"}),
    good("fingerprint-and-verify-no", "imaps",
         {"SSL_CAfile": None, "SSL_fingerprint": "@spki@", "SSL_verify": "NO"}),
    bad("fingerprint-lifts-no-check", "imaps",
        {"SSL_CAfile": "@other-ca@", "SSL_fingerprint": "@spki@"}),
    good("hostname-empty", "imaps", {"SSL_hostname": ""}),
    good("hostname-another", "imaps", {"SSL_hostname": "mail.example.org"}),
    good("protocol-min", "imaps", {"SSL_protocol_min": "TLSv1.3"}),
    good("protocol-max", "imaps", {"SSL_protocol_max": "TLSv1.2"}),
    bad("protocol-range-empty", "imaps",
        {"SSL_protocol_min": "TLSv1.3", "SSL_protocol_max": "TLSv1.2"}),
    bad("protocol-unknown", "imaps", {"SSL_protocol_min": "TLSv9"}, ours=CHECKED),
    good("protocols-one", "imaps", {"SSL_protocols": "TLSv1.2"}),
    good("protocols-all-but-one", "imaps", {"SSL_protocols": "!TLSv1.3"}),
    good("cipherlist", "imaps", {"SSL_protocol_max": "TLSv1.2",
                                 "SSL_cipherlist": "ECDHE+AESGCM"}),
    bad("cipherlist-of-no-use", "imaps", {"SSL_protocol_max": "TLSv1.2",
                                          "SSL_cipherlist": "ECDHE-RSA-AES128-GCM-SHA256"}),
    bad("cipherlist-unknown", "imaps", {"SSL_cipherlist": "NOTHING"}, ours=CHECKED),
    good("ciphersuites", "imaps", {"SSL_protocol_min": "TLSv1.3",
                                   "SSL_ciphersuites": "TLS_CHACHA20_POLY1305_SHA256"}),
    bad("ciphersuites-unknown", "imaps", {"SSL_ciphersuites": "NOTHING"}, ours=CHECKED),
)
